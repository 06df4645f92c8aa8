//! `[ownership]`: how bots are owned by nodes.

use anteroom_core::settings::OwnershipSettings;

use super::section::{Faults, Keys, Section};
use super::value::{time, written};

impl Section for OwnershipSettings {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { ttl, renew_every, margin } = self;
        keys.key("ttl", &mut time(ttl), "How long an ownership lasts unless renewed");
        keys.key("renew_every", &mut time(renew_every), "How often it is renewed");
        keys.key(
            "margin",
            &mut time(margin),
            "How long before its end a node that cannot renew stops by itself",
        );
    }

    fn check(&self, faults: &mut Faults) {
        let Self { ttl, renew_every, margin } = *self;
        let (long, often, before) = (written(ttl), written(renew_every), written(margin));
        if margin >= ttl {
            let why = format!(
                "margin ({before}) must be less than ttl ({long}): no time to work is left"
            );
            faults.add(&["margin", "ttl"], why);
        } else if renew_every.as_ms().saturating_add(margin.as_ms()) >= ttl.as_ms() {
            let why = format!(
                "renew_every ({often}) and margin ({before}) together must be less than ttl ({long}): \
                 the node would stop before it renews"
            );
            faults.add(&["renew_every", "margin", "ttl"], why);
        }
    }
}
