//! The black-box harness: everything a test needs to run the real `anteroom` binary and to play the
//! two parties that talk to it.
//!
//! Owns [`server`] (the process), [`provider`] and [`connection`] (one end of the wire),
//! [`consumer`] (the other end), [`fixtures`] (files with known words in them) and [`cli`] (the
//! binary's other commands). It speaks JSON as an outsider would and shares no type with the code
//! under test, so a change of the wire contract shows up here.
//!
//! **Invariant**: every wait has an end. A wait that runs out panics and says what it waited for.

#![warn(missing_docs)]

pub mod binary;
pub mod browser;
pub mod cli;
pub mod collector;
pub mod connection;
pub mod consumer;
pub mod contents;
pub mod fixtures;
pub mod frames;
pub mod held_store;
pub mod https;
pub mod model_store;
#[cfg(unix)]
pub mod mongod;
pub mod observed;
pub mod process;
pub mod programs;
pub mod provider;
pub mod proxy;
pub mod recordings;
pub mod series;
pub mod server;
pub mod speech;
pub mod sse;
pub mod staging;
pub mod store_bench;
pub mod store_contract;
pub mod torture;
pub mod wire_load;
pub mod words;

pub use connection::Connection;
pub use consumer::{Acknowledge, Consumer};
#[cfg(unix)]
pub use mongod::Mongod;
pub use provider::Provider;
pub use server::Server;

use std::time::Duration;

/// How long a test waits for something that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client waits before it connects again.
pub(crate) const RECONNECT_AFTER: Duration = Duration::from_millis(20);

/// A client for plain HTTP on this machine.
///
/// # Panics
/// Never: it needs nothing of the system.
pub fn http_client() -> reqwest::Client {
    let client = anteroom_runtime::tls::plain_client_builder().no_proxy().build();
    client.expect("a client without certificates needs nothing")
}

/// Waits until `condition` holds, for what can only be seen by looking (files, a process).
///
/// # Panics
/// When it does not hold within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
