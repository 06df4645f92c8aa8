//! What a node remembers of what it did lately, so that one message's story can be told.
//!
//! Owns a ring of bounded size: the store keeps what became of a message, and forgets who worked on it.
//! **Invariant:** ids, numbers and names are remembered, never what anybody wrote.

use std::collections::VecDeque;

use anteroom_core::bot::event::{BotEffect, Callback};
use anteroom_core::effect::Effect;
use anteroom_core::id::{
    Attempt, BotId, CallbackKey, CorrespondentId, MediaId, MessageId, PoolName,
};
use anteroom_core::notice::Notice;
use anteroom_core::pool::event::PoolEffect;
use anteroom_core::time::Timestamp;
use serde::Serialize;

use super::notices;

/// How much is remembered.
const REMEMBERED_MAX: usize = if cfg!(madsim) { 64 } else { 8_192 };

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Journal {
    ring: VecDeque<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    about: Subject,
    remembered: Remembered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Media(MediaId),
    Message(BotId, CorrespondentId, MessageId),
}

/// Whose story is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Of this medium.
    pub media_id: Option<MediaId>,
    /// Of this message.
    pub message: Option<(BotId, CorrespondentId, MessageId)>,
}

/// Something that this node did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happened {
    /// A worker here began to work on the medium.
    WorkBegan {
        /// Of which pool.
        pool: PoolName,
    },
    /// The medium has its outcome.
    Ended {
        /// Which, by its kind.
        outcome: &'static str,
    },
    /// The worker's lease was taken away.
    Reclaimed,
    /// The engine failed in a way that may pass.
    TransientFailure,
    /// The worker did not end in time.
    TimedOut,
    /// A callback was handed to the consumer.
    CalledBack {
        /// Of which revision.
        revision: u32,
        /// Which attempt.
        attempt: Attempt,
    },
    /// The consumer refused it too often.
    Undeliverable,
    /// It was let go, although media in front of it had not become text.
    GateReleased,
}

impl Journal {
    /// Takes note of an effect, if it belongs to a story.
    pub fn note(&mut self, now: impl FnOnce() -> Timestamp, effect: &Effect) {
        match effect {
            Effect::Pools(PoolEffect::Start(work)) => {
                let what = Happened::WorkBegan { pool: work.pool.clone() };
                self.add(now(), Subject::Media(work.media_id), what);
            }
            Effect::Bot(bot_id, BotEffect::Callback { callback, .. }) => {
                self.add_callback(now(), bot_id, callback.get());
            }
            Effect::Bot(bot_id, BotEffect::Callbacks { callbacks, .. }) => {
                let now = now();
                for callback in callbacks {
                    self.add_callback(now, bot_id, callback.get());
                }
            }
            Effect::Notice(notice) => {
                if let Some((about, what)) = noticed(notice) {
                    self.add(now(), about, what);
                }
            }
            Effect::Session(..)
            | Effect::Bot(..)
            | Effect::Pools(_)
            | Effect::Ownership(_)
            | Effect::Janitor(_)
            | Effect::Stopped => {}
        }
    }

    fn add_callback(&mut self, now: Timestamp, bot_id: &BotId, callback: &Callback) {
        let (revision, attempt) = (callback.revision, callback.attempt);
        let about = of_key(bot_id, &callback.key());
        self.add(now, about, Happened::CalledBack { revision, attempt });
    }

    fn add(&mut self, at: Timestamp, about: Subject, what: Happened) {
        if self.ring.len() >= REMEMBERED_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry { about, remembered: Remembered { at, what } });
    }

    /// What is remembered of a story, oldest first. Linear in the ring.
    pub fn recall(&self, asked: &About) -> Vec<Remembered> {
        let is_asked = |about: &Subject| match about {
            Subject::Media(media_id) => asked.media_id == Some(*media_id),
            Subject::Message(bot_id, whom, id) => {
                asked.message.as_ref().is_some_and(|it| (&it.0, &it.1, &it.2) == (bot_id, whom, id))
            }
        };
        let entries = self.ring.iter().filter(|entry| is_asked(&entry.about));
        entries.map(|entry| entry.remembered.clone()).collect()
    }
}

fn noticed(notice: &Notice) -> Option<(Subject, Happened)> {
    let told = match notice {
        Notice::MediaEnded { media_id, outcome, .. } => {
            let outcome = notices::kind(outcome);
            (Subject::Media(*media_id), Happened::Ended { outcome })
        }
        Notice::LeaseReclaimed { media_id, .. } => (Subject::Media(*media_id), Happened::Reclaimed),
        Notice::TransientFailure { media_id, .. } => {
            (Subject::Media(*media_id), Happened::TransientFailure)
        }
        Notice::ProcessorTimedOut { media_id } => (Subject::Media(*media_id), Happened::TimedOut),
        Notice::CallbackUndeliverable { bot_id, key } => {
            (of_key(bot_id, key), Happened::Undeliverable)
        }
        Notice::GatingReleased { bot_id, key } => (of_key(bot_id, key), Happened::GateReleased),
        _ => return None,
    };
    Some(told)
}

fn of_key(bot_id: &BotId, key: &CallbackKey) -> Subject {
    Subject::Message(bot_id.clone(), key.correspondent_id.clone(), key.message_id)
}

#[cfg(test)]
mod tests {
    use anteroom_core::message::Outcome;

    use super::*;

    fn ended(number: u128) -> Effect {
        let media_id = uuid::Uuid::from_u128(number).into();
        Effect::Notice(Notice::MediaEnded {
            bot_id: "b".into(),
            media_id,
            outcome: Outcome::Nothing,
        })
    }

    /// Goal: a story is told of what happened to it alone, and the memory is bounded. Method: more than fits
    /// is noted; the first is forgotten, the last is there.
    #[test]
    fn the_latest_is_remembered() {
        let mut journal = Journal::default();
        let many = REMEMBERED_MAX as u128 + 1;
        for number in 0..many {
            journal.note(|| Timestamp::from_ms(7), &ended(number));
        }
        assert_eq!(journal.ring.len(), REMEMBERED_MAX);
        let of = |number: u128| About {
            media_id: Some(uuid::Uuid::from_u128(number).into()),
            message: None,
        };
        assert_eq!(journal.recall(&of(0)), []);
        let what = Happened::Ended { outcome: "nothing" };
        assert_eq!(journal.recall(&of(many - 1)), [Remembered { at: Timestamp::from_ms(7), what }]);
    }
}
