//! `[session]`: how provider connections are kept.

use anteroom_core::settings::SessionSettings;

use super::section::{Faults, Keys, Section};
use super::value::{count, time, written};

/// How provider connections are kept.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// All but whether unknown bots are created.
    settings: SessionSettings,
    /// Whether an unknown bot is created at its first `hello`; it depends on the address when unset.
    auto_create_bots: Option<bool>,
}

impl Session {
    /// What the core needs to know. `may_create_bots`: whether whoever says `hello` may make a bot known.
    pub(super) fn settings(&self, may_create_bots: bool) -> SessionSettings {
        let auto_create_bots = self.auto_create_bots.unwrap_or(may_create_bots);
        SessionSettings { auto_create_bots, ..self.settings }
    }
}

impl Section for Session {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { settings, auto_create_bots } = self;
        let SessionSettings {
            window,
            ping_every,
            silence_max,
            hello_timeout,
            welcome_timeout,
            bots_max,
            auto_create_bots: _,
        } = settings;
        keys.key("window", window, "Messages that a provider may have without a receipt");
        keys.key("ping_every", &mut time(ping_every), "How often a connection is pinged");
        keys.key("silence_max", &mut time(silence_max), "After how much silence a peer is gone");
        keys.key(
            "hello_timeout",
            &mut time(hello_timeout),
            "How long a connection may take to say `hello`",
        );
        keys.key(
            "welcome_timeout",
            &mut time(welcome_timeout),
            "How long `welcome` waits for the bot to start",
        );
        keys.key("bots_max", &mut count(bots_max), "Bots that one connection may carry");
        keys.key(
            "auto_create_bots",
            auto_create_bots,
            "Whether an unknown bot is created at its first `hello`; without it, only by a node that \
             listens on a loopback address, or that asks for the bot's token",
        );
    }

    fn check(&self, faults: &mut Faults) {
        let SessionSettings { ping_every, silence_max, .. } = self.settings;
        if ping_every >= silence_max {
            let (often, long) = (written(ping_every), written(silence_max));
            let why = format!(
                "ping_every ({often}) must be less than silence_max ({long}): a peer that answers \
                 every ping would be taken for gone"
            );
            faults.add(&["ping_every", "silence_max"], why);
        }
    }
}
