//! What providers are told: S8, S3, S4.

use anteroom_core::draft::Draft;
use anteroom_core::id::{BotId, MessageId};
use anteroom_core::receipt::{EvictReason, Receipt, RejectReason};
use anteroom_core::time::Timestamp;

use super::{Rules, Said};
use crate::store::StoreModel;

impl Rules {
    /// S8, S3: what is called durable is durable, under that id; S4: it is never evicted, and nothing is
    /// given up for a reason that it does not give.
    pub fn receipt(
        &mut self,
        now: Timestamp,
        bot: &BotId,
        draft: &Draft,
        receipt: &Receipt,
        store: &StoreModel,
    ) {
        let said = (bot.clone(), draft.correspondent_id.clone(), draft.provider_message_id.clone());
        let id = match receipt {
            Receipt::Accepted { message_id } | Receipt::Duplicate { message_id } => {
                *message_id.get()
            }
            Receipt::Rejected { reason, .. } => {
                if *reason == RejectReason::Invalid {
                    self.break_rule("S8", format!("{said:?} is called invalid"));
                }
                return;
            }
            Receipt::Evicted { reason, .. } => {
                if self.accepted.contains_key(&said) {
                    self.break_rule("S4", format!("accepted {said:?} is evicted"));
                }
                let age = self.said_at.get(&said).map(|at| now.since(*at)).unwrap_or_default();
                if *reason == EvictReason::Age && age <= self.max_age {
                    self.break_rule("S4", format!("{said:?} is evicted for its age of {age}"));
                }
                return;
            }
        };
        if durable_id(&said, store) != Some(id) {
            let durable = durable_id(&said, store);
            self.break_rule("S8", format!("{said:?} is said to be {id}, and is {durable:?}"));
        }
        let known = *self.accepted.entry(said.clone()).or_insert(id);
        if known != id {
            self.break_rule("S3", format!("{said:?} is {known} and {id}"));
        }
    }
}

/// Under which id the store has a message, archived or as a job.
fn durable_id(said: &Said, store: &StoreModel) -> Option<MessageId> {
    let (bot_id, correspondent_id, provider_message_id) = said;
    let rows = store.archive_rows().filter(|row| {
        row.bot_id == *bot_id
            && row.correspondent_id == *correspondent_id
            && row.message.provider_message_id == *provider_message_id
    });
    let jobs = store.jobs().filter(|job| {
        job.bot_id == *bot_id
            && job.correspondent_id == *correspondent_id
            && job.placeholder_message.provider_message_id == *provider_message_id
    });
    let archived = rows.map(|row| row.message.id).next();
    archived.or_else(|| jobs.map(|job| job.placeholder_message.id).next())
}
