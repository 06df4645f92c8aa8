//! Conservation: every message and every character that came in is there, or went with a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Answer;
use crate::id::MessageId;
use crate::queue::{Addition, Completion, Evicted, Injection, Popped, Removed, Verdict};

/// Where every message and every character went.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) messages_in: u64,
    pub(super) messages_out: u64,
    pub(super) characters_in: u64,
    pub(super) characters_out: u64,
    /// The highest id that an addition was given.
    last_added: Option<MessageId>,
    /// Never to be evicted.
    acknowledged: BTreeSet<MessageId>,
}

impl Ledger {
    /// Books one step: what was there, what is there, and what the answer says came and went.
    pub(super) fn enter(
        &mut self,
        before: &BTreeMap<MessageId, u64>,
        after: &BTreeMap<MessageId, u64>,
        answer: &Answer,
    ) {
        let mut expected = before.clone();
        let mut take_out = |id: MessageId, size: Option<u64>| {
            let held = expected.remove(&id).expect("only what was there goes");
            assert!(size.is_none_or(|size| size == held), "it goes with the size it had");
            self.messages_out += 1;
            self.characters_out += held;
        };
        let evicted = match answer {
            Answer::Added(addition) => addition.evicted.as_slice(),
            Answer::Completed(Completion::Updated { evicted, .. }) => evicted.as_slice(),
            _ => &[],
        };
        for Evicted { id, message_size, .. } in evicted {
            assert!(!self.acknowledged.contains(id), "nothing acknowledged is evicted");
            take_out(*id, Some(*message_size));
        }
        match answer {
            Answer::Popped(Some(Popped { message, .. }))
            | Answer::Removed(Some(Removed { message, .. })) => {
                take_out(message.id, Some(message.message_size));
            }
            Answer::GivenUp(given_up) => {
                for (id, _) in given_up {
                    assert!(!self.acknowledged.contains(id), "nothing acknowledged is given up");
                    take_out(*id, None);
                }
            }
            Answer::Added(_)
            | Answer::Injected(_)
            | Answer::Completed(_)
            | Answer::Popped(None)
            | Answer::Removed(None)
            | Answer::PlaceholderConfirmed(_)
            | Answer::Nothing => {}
        }
        match answer {
            Answer::Added(Addition { verdict: Verdict::Added { id, .. }, .. }) => {
                assert!(self.last_added < Some(*id), "ids only rise");
                self.last_added = Some(*id);
                self.come_in(*id, after, &mut expected);
            }
            Answer::Injected(Injection::Injected) => {
                let new = after.keys().find(|id| !before.contains_key(id)).copied();
                let id = new.expect("what was injected is there");
                self.acknowledged.insert(id);
                self.come_in(id, after, &mut expected);
            }
            Answer::Completed(Completion::Updated { id, old_size, new_size, .. }) => {
                assert_eq!(expected.insert(*id, *new_size), Some(*old_size));
                self.acknowledged.insert(*id);
                self.characters_in += new_size;
                self.characters_in -= old_size;
            }
            Answer::PlaceholderConfirmed(Some((id, _))) => {
                self.acknowledged.insert(*id);
            }
            Answer::Added(_)
            | Answer::Injected(Injection::AlreadyPresent)
            | Answer::Completed(Completion::NotFound)
            | Answer::Popped(_)
            | Answer::Removed(_)
            | Answer::PlaceholderConfirmed(None)
            | Answer::GivenUp(_)
            | Answer::Nothing => {}
        }
        assert_eq!(
            &expected, after,
            "what is there is what was there, and what came, less what went"
        );
    }

    fn come_in(
        &mut self,
        id: MessageId,
        after: &BTreeMap<MessageId, u64>,
        expected: &mut BTreeMap<MessageId, u64>,
    ) {
        let size = *after.get(&id).expect("what was added is there");
        assert_eq!(expected.insert(id, size), None, "an id is given once");
        self.messages_in += 1;
        self.characters_in += size;
    }
}
