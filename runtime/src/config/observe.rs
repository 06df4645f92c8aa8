//! `[observe]`: what a node says of itself.

use super::section::{Keys, Section};
use super::value::time;
use crate::observe::ObserveOptions;

impl Section for ObserveOptions {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { metrics, stalled_after } = self;
        keys.key("metrics", metrics, "Whether series are kept and shown at `/metrics`");
        keys.key(
            "stalled_after",
            &mut time(stalled_after),
            "How long claims or archives may be asked for in vain before `/readyz` says that the node is \
             not ready. It should be longer than `store_retry.most`",
        );
    }
}
