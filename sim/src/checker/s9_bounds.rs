//! S9: texts and captions, batches, pages, slots and callbacks under way stay within their caps.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{BotId, CallbackKey, LeaseToken, MediaId, NodeId, PoolName};
use anteroom_core::message::Message;
use anteroom_core::settings::{BotSettings, NodeSettings};
use anteroom_core::store::{ArchiveItem, StoreRequest};
use anteroom_core::time::Timestamp;

use super::Judge;
use super::seen::{Scene, Seen};

#[derive(Default)]
pub(super) struct Bounds {
    settings: BTreeMap<usize, NodeSettings>,
    /// Callbacks without an answer, with the end of their time by their node's clock.
    open: BTreeMap<(usize, BotId), BTreeMap<CallbackKey, Timestamp>>,
    /// Callbacks of which a consumer has said something while they were not open: an attempt that its node had
    /// given up, perhaps, and the node may hear of it at any time.
    answered_late: BTreeSet<(usize, BotId, CallbackKey)>,
    /// Processors that have not ended.
    running: BTreeMap<usize, BTreeMap<(MediaId, LeaseToken), PoolName>>,
}

impl Bounds {
    fn bot(&self, node: usize, bot_id: &BotId) -> Option<&BotSettings> {
        let settings = self.settings.get(&node)?;
        Some(settings.bots.get(bot_id).unwrap_or(&settings.bot_defaults))
    }

    fn asked(&self, node: usize, process: NodeId, request: &StoreRequest) -> Result<(), String> {
        // What a process asked that has died since was within what that one was set to.
        if self.settings.get(&node).is_none_or(|settings| settings.node_id != process) {
            return Ok(());
        }
        let within = |what: &str, count: usize, most: usize| {
            if count <= most { Ok(()) } else { Err(format!("{what}: {count}, at most {most}")) }
        };
        match request {
            StoreRequest::Archive { fence, items } => {
                let Some(bot) = self.bot(node, &fence.bot_id) else { return Ok(()) };
                within("messages in a batch", items.len(), bot.limits.archive_batch_messages)?;
                let texts = items.iter().filter(|item| item.message.media.is_none());
                within("characters of a text", longest(texts.map(|it| &*it.message)), cut(bot))?;
                let all_but_last = items.len().saturating_sub(1);
                let bytes = |item: &ArchiveItem| item.message.content.len();
                let bytes: usize = items[..all_but_last].iter().map(bytes).sum();
                within("bytes in a batch", bytes, bot.limits.archive_batch_bytes)
            }
            StoreRequest::InsertJobs { fence, jobs } => {
                let Some(bot) = self.bot(node, &fence.bot_id) else { return Ok(()) };
                let captions = jobs.iter().map(|new| &new.job.placeholder_message);
                within("characters of a caption", longest(captions), cut(bot))?;
                within("jobs in an insert", jobs.len(), bot.limits.insert_batch_jobs)
            }
            StoreRequest::OwedCallbacks { fence, limit, .. } => {
                let Some(bot) = self.bot(node, &fence.bot_id) else { return Ok(()) };
                let callbacks = &bot.callbacks;
                let most = callbacks.outbox_window.max(callbacks.correspondent_window);
                within("a page of callbacks", *limit as usize, most)
            }
            _ => Ok(()),
        }
    }

    fn called_back(
        &mut self,
        node: usize,
        node_now: Timestamp,
        bot_id: &BotId,
        key: CallbackKey,
    ) -> Result<(), String> {
        let Some(bot) = self.bot(node, bot_id) else { return Ok(()) };
        let callbacks = bot.callbacks.clone();
        if self.answered_late.remove(&(node, bot_id.clone(), key.clone())) {
            return Ok(());
        }
        let open = self.open.entry((node, bot_id.clone())).or_default();
        open.retain(|_, end| *end > node_now);
        open.insert(key, node_now + callbacks.ack_timeout);
        if open.len() > callbacks.max_in_flight {
            return Err(format!(
                "{bot_id}: {} callbacks are under way, at most {}",
                open.len(),
                callbacks.max_in_flight
            ));
        }
        Ok(())
    }

    fn started(&mut self, node: usize, pool: &PoolName) -> Result<(), String> {
        let running = self.running.get(&node).into_iter().flat_map(BTreeMap::values);
        let running = running.filter(|other| *other == pool).count();
        let pools = self.settings.get(&node).map(|settings| &settings.pools);
        let slots = pools.into_iter().flatten().find(|it| it.name == *pool).map(|it| it.slots);
        if slots.is_some_and(|slots| running > slots.get() as usize) {
            return Err(format!("node {node}: {running} processors run in {pool}: {slots:?}"));
        }
        Ok(())
    }
}

/// The characters of the longest of the messages.
fn longest<'a>(messages: impl Iterator<Item = &'a Message>) -> usize {
    messages.map(|message| message.content.chars().count()).max().unwrap_or(0)
}

/// How many characters a bot leaves of a message.
fn cut(bot: &BotSettings) -> usize {
    usize::try_from(bot.limits.max_characters_single_message).unwrap_or(usize::MAX)
}

impl Judge for Bounds {
    fn see(&mut self, seen: &Seen<'_>, _scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Booted { node, settings, .. } => {
                self.settings.insert(*node, NodeSettings::clone(settings));
            }
            Seen::Died { node } => {
                self.open.retain(|(at, _), _| at != node);
                self.answered_late.retain(|(at, ..)| at != node);
                self.running.remove(node);
            }
            Seen::Applied { by: Some((node, process)), request, .. } => {
                return self.asked(*node, *process, request);
            }
            Seen::CallbackSent { node, node_now, bot_id, callback } => {
                return self.called_back(*node, *node_now, bot_id, callback.key());
            }
            Seen::ConsumerSaid { node, bot_id, key, .. } => {
                let bot_id = BotId::clone(bot_id);
                let open = self.open.entry((*node, bot_id.clone())).or_default();
                if open.remove(*key).is_none() {
                    self.answered_late.insert((*node, bot_id, CallbackKey::clone(key)));
                }
            }
            Seen::Aborted { node, bot_id, key } => {
                if let Some(open) = self.open.get_mut(&(*node, BotId::clone(bot_id))) {
                    open.remove(*key);
                }
            }
            Seen::LineChanged { node, bot_id } => {
                self.open.remove(&(*node, BotId::clone(bot_id)));
            }
            Seen::ProcessorStarted { node, work, .. } => {
                let running = self.running.entry(*node).or_default();
                running.insert((work.media_id, work.token), work.pool.clone());
                return self.started(*node, &work.pool);
            }
            Seen::ProcessorEnded { node, media_id, token, .. } => {
                if let Some(running) = self.running.get_mut(node) {
                    running.remove(&(*media_id, *token));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, media_id, node_id, token};
    use super::*;

    fn set() -> (Stage, Bounds) {
        let stage = Stage::new();
        let mut rule = Bounds::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        (stage, rule)
    }

    /// Goal: a batch that is larger than its node was set to is found.
    #[test]
    fn batches_are_capped() {
        let (mut stage, rule) = set();
        let most = stage.settings.bot_defaults.limits.archive_batch_messages;
        let message = stage.text("m1", "hello");
        let (request, _) = stage.archived(message);
        let StoreRequest::Archive { fence, items } = request else { panic!("it archives") };
        let of = |count| StoreRequest::Archive {
            fence: fence.clone(),
            items: vec![items[0].clone(); count],
        };
        assert_eq!(rule.asked(0, node_id(1), &of(most)), Ok(()));
        assert!(rule.asked(0, node_id(1), &of(most + 1)).is_err());
    }

    /// Goal: a text and a caption that were not cut are found.
    #[test]
    fn texts_and_captions_are_cut() {
        let (mut stage, rule) = set();
        let most = cut(&stage.settings.bot_defaults);
        for (characters, holds) in [(most, true), (most + 1, false)] {
            let message = stage.text("m1", &"ä".repeat(characters));
            let (archive, _) = stage.archived(message);
            assert_eq!(rule.asked(0, node_id(1), &archive).is_ok(), holds);
            let (mut insert, _) = stage.inserted("m2", characters as u128);
            let StoreRequest::InsertJobs { jobs, .. } = &mut insert else { panic!("it inserts") };
            let placeholder = &mut jobs[0].job.placeholder_message;
            placeholder.content = "ä".repeat(characters);
            assert_eq!(rule.asked(0, node_id(1), &insert).is_ok(), holds);
        }
    }

    /// Goal: one callback too many is found; those whose time is up do not count.
    #[test]
    fn callbacks_under_way_are_capped() {
        let (stage, mut rule) = set();
        let callbacks = stage.settings.bot_defaults.callbacks.clone();
        let key = |number| CallbackKey {
            correspondent_id: "c".into(),
            message_id: anteroom_core::id::MessageId::new(number).expect("not zero"),
            revision: 0,
        };
        for number in 1..=callbacks.max_in_flight as u64 {
            let called = rule.called_back(0, stage.now, &stage.bot_id, key(number));
            assert_eq!(called, Ok(()));
        }
        let later = stage.now + callbacks.ack_timeout;
        assert!(rule.called_back(0, stage.now, &stage.bot_id, key(1_000)).is_err());
        assert_eq!(rule.called_back(0, later, &stage.bot_id, key(1_001)), Ok(()));
    }

    /// Goal: an attempt does not count whose callback was answered before, for its node may know by then.
    #[test]
    fn an_answer_to_an_attempt_before_counts() {
        let (mut stage, mut rule) = set();
        let most = stage.settings.bot_defaults.callbacks.max_in_flight as u64;
        let key = anteroom_core::id::CallbackKey {
            correspondent_id: "c".into(),
            message_id: stage.text("m1", "hello").id,
            revision: 0,
        };
        let said =
            Seen::ConsumerSaid { node: 0, bot_id: &stage.bot_id, key: &key, acknowledged: true };
        rule.see(&said, &stage.scene()).expect("a consumer may say what it likes");
        for number in 0..most {
            let other = CallbackKey {
                message_id: anteroom_core::id::MessageId::new(100 + number).expect("not zero"),
                ..key.clone()
            };
            assert_eq!(rule.called_back(0, stage.now, &stage.bot_id, other), Ok(()));
        }
        assert_eq!(rule.called_back(0, stage.now, &stage.bot_id, key.clone()), Ok(()));
        assert!(rule.called_back(0, stage.now, &stage.bot_id, key).is_err(), "once");
    }

    /// Goal: more processors than slots are found.
    #[test]
    fn processors_are_capped() {
        let (stage, mut rule) = set();
        let pool = &stage.settings.pools[0];
        for number in 0..u128::from(pool.slots.get()) {
            let running = rule.running.entry(0).or_default();
            running.insert((media_id(number), token(number)), pool.name.clone());
        }
        assert_eq!(rule.started(0, &pool.name), Ok(()));
        let running = rule.running.entry(0).or_default();
        running.insert((media_id(99), token(99)), pool.name.clone());
        assert!(rule.started(0, &pool.name).is_err());
    }
}
