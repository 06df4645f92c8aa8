//! `[lease]`: how jobs are leased to workers.

use anteroom_core::settings::LeaseSettings;

use super::section::{Faults, Keys, Section};
use super::value::{time, written};

impl Section for LeaseSettings {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { ttl, renew_every, poll_every } = self;
        keys.key("ttl", &mut time(ttl), "How long a lease lasts unless renewed");
        keys.key("renew_every", &mut time(renew_every), "How often leases in flight are renewed");
        keys.key(
            "poll_every",
            &mut time(poll_every),
            "How long a pool waits before it looks for work that nobody told it of",
        );
    }

    fn check(&self, faults: &mut Faults) {
        let Self { ttl, renew_every, .. } = *self;
        if renew_every >= ttl {
            let (often, long) = (written(renew_every), written(ttl));
            let why = format!(
                "renew_every ({often}) must be less than ttl ({long}): every lease would end while its \
                 work goes on"
            );
            faults.add(&["renew_every", "ttl"], why);
        }
    }
}
