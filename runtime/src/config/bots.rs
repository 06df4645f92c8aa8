//! `[bot_defaults]` and `[bots.BOT]`: what a bot can choose.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, CorrespondentId};
use anteroom_core::message::Source;
use anteroom_core::settings::{
    BackOff, BotSettings, CallbackSettings, Gating, Limits, Overflow, Run,
};

use super::debounce::DebounceSection;
use super::section::{Faults, Keys, Section};
use super::tokens::Hashes;
use super::value::{count, count_or_none, size, time, time_or_none, word, words, written};
use super::webhook::WebhookSection;
use crate::tokens::TokenHash;

/// What a bot can choose.
#[derive(Debug, Clone, Default)]
pub struct Bot {
    /// What the core knows of it.
    pub settings: BotSettings,
    /// Where its callbacks are POSTed, if they are.
    pub webhook: WebhookSection,
    /// The hashes of the tokens that speak for it.
    pub tokens: Vec<TokenHash>,
}

/// Bots by their ids.
pub type Bots = BTreeMap<String, Bot>;

/// What the core knows of bots.
pub(super) fn settings(bots: &Bots) -> BTreeMap<BotId, BotSettings> {
    bots.iter().map(|(id, bot)| (BotId::from(id.as_str()), bot.settings.clone())).collect()
}

const RUNS: &[(&str, Run)] = &[("while_connected", Run::WhileConnected), ("always", Run::Always)];

impl Section for Bot {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { settings, webhook, tokens } = self;
        let BotSettings { run, disconnect_grace, limits, gating, gating_overrides, callbacks } =
            settings;
        keys.key(
            "run",
            &mut word(run, RUNS),
            "When it runs: while its provider is connected, or from the node's start to its end",
        );
        keys.key(
            "disconnect_grace",
            &mut time_or_none(disconnect_grace),
            "How long it goes on after its last provider connection ended",
        );
        keys.section(
            "limits",
            limits,
            "How much it may hold. Characters are Unicode scalar values; counts are per correspondent",
        );
        let mut gating = GatingSection::new(gating, gating_overrides);
        keys.section(
            "gating",
            &mut gating,
            "Whether a message's callback waits for media in front of it",
        );
        gating.write_back();
        keys.section("callbacks", callbacks, "How callbacks are made");
        keys.section("webhook", webhook, "Where its callbacks are POSTed");
        keys.key(
            "tokens",
            &mut Hashes(tokens),
            "Hashes of the tokens that its provider and its consumer show; several while they are changed",
        );
    }
}

impl Section for Limits {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self {
            max_messages,
            max_characters,
            max_characters_single_message,
            max_characters_media_text,
            max_age,
            max_placeholders,
            overflow,
            dedupe_window,
            max_waiting_for_id,
            max_correspondents,
            silent_after,
            archive_batch_messages,
            archive_batch_bytes,
            insert_batch_jobs,
        } = self;
        keys.key("max_messages", &mut count(max_messages), "Entries of a queue");
        keys.key("max_characters", &mut count(max_characters), "Characters of a queue");
        keys.key(
            "max_characters_single_message",
            &mut count(max_characters_single_message),
            "Characters of a text or caption; what is longer is cut",
        );
        keys.key(
            "max_characters_media_text",
            &mut count(max_characters_media_text),
            "Characters of a message whose media has become text",
        );
        keys.key(
            "max_age",
            &mut time(max_age),
            "How old a message may be that the store has not taken",
        );
        keys.key("max_placeholders", &mut count(max_placeholders), "Open placeholders of a queue");
        let mut overflow = OverflowSection::new(overflow);
        keys.section(
            "overflow",
            &mut overflow,
            "What happens over a limit when nothing can be evicted",
        );
        overflow.write_back();
        keys.key(
            "dedupe_window",
            &mut count(dedupe_window),
            "Messages remembered for telling resends apart without asking the store",
        );
        keys.key(
            "max_waiting_for_id",
            &mut count(max_waiting_for_id),
            "Messages that may wait for a correspondent's first id to be read",
        );
        keys.key(
            "max_correspondents",
            &mut count(max_correspondents),
            "Correspondents in memory at once",
        );
        keys.key(
            "silent_after",
            &mut time(silent_after),
            "How long a correspondent must have been silent to be released from memory",
        );
        keys.key(
            "archive_batch_messages",
            &mut count(archive_batch_messages),
            "Messages in one archive batch",
        );
        let mut batch_bytes = u64::try_from(*archive_batch_bytes).unwrap_or(u64::MAX);
        keys.key(
            "archive_batch_bytes",
            &mut size(&mut batch_bytes),
            "Bytes of content in one archive batch",
        );
        *archive_batch_bytes = usize::try_from(batch_bytes).unwrap_or(usize::MAX);
        keys.key("insert_batch_jobs", &mut count(insert_batch_jobs), "Jobs in one insert");
    }

    fn check(&self, faults: &mut Faults) {
        let (single, media) = (self.max_characters_single_message, self.max_characters_media_text);
        if media < single.saturating_add(MEDIA_TEXT_ROOM) {
            let why = format!(
                "max_characters_media_text ({media}) must be at least \
                 max_characters_single_message + {MEDIA_TEXT_ROOM} ({}): a caption and its frame must fit",
                single.saturating_add(MEDIA_TEXT_ROOM)
            );
            faults.add(&["max_characters_media_text", "max_characters_single_message"], why);
        }
        if self.max_characters < single {
            let why = format!(
                "max_characters ({}) must be at least max_characters_single_message ({single}): the \
                 longest message must fit",
                self.max_characters
            );
            faults.add(&["max_characters", "max_characters_single_message"], why);
        }
        if self.archive_batch_bytes == 0 {
            faults.add(&["archive_batch_bytes"], "a batch must hold something: give it a size");
        }
    }
}

/// What a message of media needs beside its caption: the frame around the text, and some of it.
const MEDIA_TEXT_ROOM: u64 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Reject,
    Bounded,
}

const POLICIES: &[(&str, Policy)] = &[("bounded", Policy::Bounded), ("reject", Policy::Reject)];

/// An overflow, taken apart.
struct OverflowSection<'a> {
    overflow: &'a mut Overflow,
    policy: Policy,
    messages: usize,
    characters: u64,
}

impl<'a> OverflowSection<'a> {
    fn new(overflow: &'a mut Overflow) -> Self {
        let policy = match overflow {
            Overflow::Reject => Policy::Reject,
            Overflow::Bounded { .. } => Policy::Bounded,
        };
        let (messages, characters) = (overflow.messages(), overflow.characters());
        Self { overflow, policy, messages, characters }
    }

    fn write_back(self) {
        let Self { overflow, policy, messages, characters } = self;
        *overflow = match policy {
            Policy::Reject => Overflow::Reject,
            Policy::Bounded => Overflow::Bounded { messages, characters },
        };
    }
}

impl Section for OverflowSection<'_> {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { overflow: _, policy, messages, characters } = self;
        let before = *policy;
        keys.key(
            "policy",
            &mut word(policy, POLICIES),
            "Reject the message, or accept so much above the limit and then reject",
        );
        if *policy != before {
            // A policy does not begin with the numbers of the other one.
            let begins = match *policy {
                Policy::Reject => Overflow::Reject,
                Policy::Bounded => Limits::default().overflow,
            };
            (*messages, *characters) = (begins.messages(), begins.characters());
        }
        keys.key(
            "messages",
            &mut count_or_none(messages),
            "Entries above `max_messages`, with policy `bounded`",
        );
        keys.key(
            "characters",
            &mut count_or_none(characters),
            "Characters above `max_characters`, with policy `bounded`",
        );
    }

    fn check(&self, faults: &mut Faults) {
        if self.policy == Policy::Reject && (self.messages, self.characters) != (0, 0) {
            let why = "with policy \"reject\" nothing is accepted above the limit: leave messages and \
                       characters out";
            faults.add(&["messages", "characters", "policy"], why);
        }
    }
}

/// Gating, and who has a gating of their own.
struct GatingSection<'a> {
    gating: &'a mut Gating,
    overrides: &'a mut BTreeMap<CorrespondentId, bool>,
    always: Vec<String>,
    never: Vec<String>,
}

impl<'a> GatingSection<'a> {
    fn new(gating: &'a mut Gating, overrides: &'a mut BTreeMap<CorrespondentId, bool>) -> Self {
        let with = |gated: bool| {
            let those = overrides.iter().filter(|&(_, &is_gated)| is_gated == gated);
            those.map(|(correspondent, _)| correspondent.to_string()).collect()
        };
        let (always, never) = (with(true), with(false));
        Self { gating, overrides, always, never }
    }

    fn write_back(self) {
        let always = self.always.into_iter().map(|correspondent| (correspondent, true));
        let never = self.never.into_iter().map(|correspondent| (correspondent, false));
        let all = always.chain(never);
        *self.overrides = all.map(|(who, gated)| (CorrespondentId::from(who), gated)).collect();
    }
}

impl Section for GatingSection<'_> {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Gating { enabled, max_wait } = &mut *self.gating;
        keys.key("enabled", enabled, "Whether it does");
        keys.key(
            "max_wait",
            &mut time(max_wait),
            "How long at the most, from the later of the placeholder's acceptance and the bot's start",
        );
        keys.key("always", &mut self.always, "Correspondents whose callbacks wait in any case");
        keys.key("never", &mut self.never, "Correspondents whose callbacks never wait");
    }

    fn check(&self, faults: &mut Faults) {
        for both in self.always.iter().filter(|who| self.never.contains(who)) {
            let why = format!("{both:?} is in always and in never: choose one");
            faults.add(&["always", "never"], why);
        }
    }
}

const SOURCES: &[(&str, Source)] =
    &[("user", Source::User), ("user_outgoing", Source::UserOutgoing), ("bot", Source::Bot)];

impl Section for CallbackSettings {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self {
            sources,
            ack_timeout,
            max_in_flight,
            outbox_window,
            correspondent_window,
            unavailable_back_off,
            refused_back_off,
            refusals_max,
            debounce,
        } = self;
        keys.key(
            "sources",
            &mut words(sources, SOURCES),
            "Whose messages owe a callback: the correspondent's, the owner's from another device, the bot's",
        );
        keys.key("ack_timeout", &mut time(ack_timeout), "How long an acknowledgement may take");
        keys.key("max_in_flight", &mut count(max_in_flight), "Open callbacks of a bot");
        keys.key("outbox_window", &mut count(outbox_window), "Owed callbacks of a bot in memory");
        keys.key(
            "correspondent_window",
            &mut count(correspondent_window),
            "Owed callbacks of one correspondent in memory",
        );
        keys.key(
            "refusals_max",
            &mut count(refusals_max),
            "Refusals after which a message is undeliverable",
        );
        keys.section(
            "unavailable_back_off",
            unavailable_back_off,
            "Waits between attempts while the consumer is unavailable",
        );
        keys.section(
            "refused_back_off",
            refused_back_off,
            "Waits between attempts at a message that the consumer refuses",
        );
        let mut debounce = DebounceSection::new(debounce);
        keys.section(
            "debounce",
            &mut debounce,
            "Whether messages of one correspondent that come in a burst travel together",
        );
        debounce.write_back();
    }

    fn check(&self, faults: &mut Faults) {
        let (one, all) = (self.correspondent_window, self.outbox_window);
        if one > all {
            let why = format!(
                "correspondent_window ({one}) must not be more than outbox_window ({all}): one is a \
                 part of the other"
            );
            faults.add(&["correspondent_window", "outbox_window"], why);
        }
    }
}

impl Section for BackOff {
    fn visit(&mut self, keys: &mut dyn Keys) {
        let Self { first, most } = self;
        keys.key("first", &mut time(first), "The first wait, which doubles each time");
        keys.key("most", &mut time(most), "The longest wait");
    }

    fn check(&self, faults: &mut Faults) {
        if self.first > self.most {
            let why = format!(
                "first ({}) must not be more than most ({})",
                written(self.first),
                written(self.most)
            );
            faults.add(&["first", "most"], why);
        }
    }
}
