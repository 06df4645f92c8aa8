//! `[protocol]`: which versions are spoken besides the present one.

use super::section::{Keys, Section};

/// Which versions are spoken besides the present one.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProtocolSection {
    /// Whether messages of the earlier backend's bridges are taken.
    pub accept_v0: bool,
}

impl Section for ProtocolSection {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { accept_v0 } = self;
        keys.key(
            "accept_v0",
            accept_v0,
            "Whether messages of payload version 0 are taken, those of the earlier backend's bridges",
        );
    }
}
