//! Conformance: the running binary, over a real socket, does what `docs/protocol/v1.md` says.
//!
//! Bad input of providers is in `bad_input.rs`; here is what a well-behaved stranger relies on: every error of
//! a connection, every limit that a configuration sets, a reconnect at every point of the conversation, two
//! connections for one bot, who waits for whom in a flood and behind a store that stands still, webhooks and
//! tokens.

#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/fairness.rs"]
mod fairness;
#[path = "conformance/reconnects.rs"]
mod reconnects;
#[path = "conformance/tokens.rs"]
mod tokens;
#[path = "conformance/webhooks.rs"]
mod webhooks;
#[path = "conformance/window.rs"]
mod window;

use std::fs;

use anteroom_tests::Server;
use tempfile::TempDir;

/// A server with a configuration of its own.
struct Configured {
    server: Server,
    _home: TempDir,
}

impl Configured {
    async fn start(configuration: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        fs::write(home.path().join("anteroom.toml"), configuration).expect("it can be written to");
        let mut server = Server::lent(home.path(), &[]);
        server.restart().await;
        Self { server, _home: home }
    }
}
