//! `[bots.BOT.callbacks.debounce]`: whether bursts travel together.

use anteroom_core::settings::Debounce;

use super::section::{Faults, Keys, Section};
use super::value::{time, written};

/// A debounce, taken apart.
pub(super) struct DebounceSection<'a> {
    debounce: &'a mut Option<Debounce>,
    enabled: bool,
    values: Debounce,
}

impl<'a> DebounceSection<'a> {
    pub fn new(debounce: &'a mut Option<Debounce>) -> Self {
        let enabled = debounce.is_some();
        let values = debounce.unwrap_or_default();
        Self { debounce, enabled, values }
    }

    pub fn write_back(self) {
        *self.debounce = self.enabled.then_some(self.values);
    }
}

impl Section for DebounceSection<'_> {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { debounce: _, enabled, values } = self;
        let Debounce { window, max_wait, max_messages } = values;
        keys.key("enabled", enabled, "Whether they do");
        keys.key(
            "window",
            &mut time(window),
            "How long nothing must have come for a burst to be over",
        );
        keys.key("max_wait", &mut time(max_wait), "How long its first message waits at the most");
        keys.key(
            "max_messages",
            max_messages,
            "How many messages travel together at the most; `correspondent_window` and `max_in_flight` \
             are bounds too",
        );
    }

    fn check(&self, faults: &mut Faults) {
        let Debounce { window, max_wait, .. } = self.values;
        if window > max_wait {
            let why = format!(
                "window ({}) must not be more than max_wait ({}): no burst would be waited for to its end",
                written(window),
                written(max_wait)
            );
            faults.add(&["window", "max_wait"], why);
        }
    }
}
