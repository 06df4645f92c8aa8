//! S3: ids of a correspondent grow, and one that was durable never means another message.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, CorrespondentId, MessageId, ProviderMessageId};
use anteroom_core::store::{ArchiveAnswer, InsertAnswer, StoreReply, StoreRequest};

use super::Judge;
use super::seen::{Scene, Seen, Told};
use crate::plan::MessageName;

#[derive(Default)]
pub(super) struct Ids {
    meant: BTreeMap<(BotId, CorrespondentId, MessageId), ProviderMessageId>,
    /// The highest id that a correspondent's messages were acknowledged under.
    highest: BTreeMap<(BotId, CorrespondentId), MessageId>,
    /// The same at the moment when a message was first offered.
    floors: BTreeMap<MessageName, Option<MessageId>>,
}

impl Ids {
    fn durable(
        &mut self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        id: MessageId,
        means: &ProviderMessageId,
    ) -> Result<(), String> {
        let key = (bot_id.clone(), correspondent_id.clone(), id);
        let meant = self.meant.entry(key).or_insert_with(|| means.clone());
        if meant == means {
            return Ok(());
        }
        Err(format!("{bot_id}/{correspondent_id}/{id} was {meant} and becomes {means}"))
    }

    fn told(&mut self, bot_id: &BotId, name: &MessageName, told: Told) -> Result<(), String> {
        let Some(id) = told.durable_id() else { return Ok(()) };
        let correspondent = (bot_id.clone(), name.correspondent_id.clone());
        let floor = self.floors.get(name).copied().flatten();
        if floor.is_some_and(|floor| id <= floor) {
            return Err(format!(
                "{bot_id}/{}/{} has the id {id}, and {} was acknowledged before it came",
                name.correspondent_id,
                name.provider_message_id,
                floor.map_or(0, MessageId::get)
            ));
        }
        let highest = self.highest.entry(correspondent).or_insert(id);
        *highest = id.max(*highest);
        Ok(())
    }
}

impl Judge for Ids {
    fn see(&mut self, seen: &Seen<'_>, _scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Offered { bot_id, name, .. } => {
                let correspondent = (BotId::clone(bot_id), name.correspondent_id.clone());
                let highest = self.highest.get(&correspondent).copied();
                self.floors.entry(MessageName::clone(name)).or_insert(highest);
                Ok(())
            }
            Seen::Receipted { bot_id, name, told, .. } => self.told(bot_id, name, *told),
            Seen::Applied { request, result: Ok(reply), .. } => match (request, reply) {
                (StoreRequest::Archive { fence, items }, StoreReply::Archive(answers)) => {
                    for (item, answer) in items.iter().zip(answers) {
                        if let ArchiveAnswer::Stored { .. } = answer {
                            let message = &item.message;
                            let means = &message.provider_message_id;
                            let correspondent_id = &item.correspondent_id;
                            self.durable(&fence.bot_id, correspondent_id, message.id, means)?;
                        }
                    }
                    Ok(())
                }
                (StoreRequest::InsertJobs { fence, jobs }, StoreReply::InsertJobs(answers)) => {
                    for (new, answer) in jobs.iter().zip(answers) {
                        if let InsertAnswer::Inserted { .. } = answer {
                            let message = &new.job.placeholder_message;
                            let means = &message.provider_message_id;
                            let correspondent_id = &new.job.correspondent_id;
                            self.durable(&fence.bot_id, correspondent_id, message.id, means)?;
                        }
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    fn archive(rule: &mut Ids, stage: &mut Stage, name: &str, id: u64) -> Result<(), String> {
        let mut message = stage.text(name, "hello");
        message.id = MessageId::new(id).expect("not zero");
        let (request, result) = stage.archived(message);
        let seen = Seen::Applied { by: None, request: &request, result: &result, lost: false };
        rule.see(&seen, &stage.scene())
    }

    /// Goal: an id that meant one message and then means another is found.
    #[test]
    fn an_id_is_not_reused() {
        let mut rule = Ids::default();
        assert_eq!(archive(&mut rule, &mut Stage::new(), "m1", 1), Ok(()));
        assert_eq!(archive(&mut rule, &mut Stage::new(), "m2", 2), Ok(()));
        // Another store, which has forgotten the first.
        assert!(archive(&mut rule, &mut Stage::new(), "m3", 1).is_err());
    }

    /// Goal: an id below one that was acknowledged before its message came is found.
    #[test]
    fn ids_grow() {
        let mut rule = Ids::default();
        let stage = Stage::new();
        let bot_id = stage.bot_id.clone();
        let (name, draft) = stage.draft("m2", "second");
        let correspondent = (bot_id.clone(), name.correspondent_id.clone());
        rule.highest.insert(correspondent, MessageId::new(7).expect("not zero"));
        rule.see(&Seen::Offered { bot_id: &bot_id, name: &name, draft: &draft }, &stage.scene())
            .expect("an offer breaks nothing");
        let floor = rule.floors.get(&name).copied().flatten();
        assert_eq!(floor, MessageId::new(7));
        let accepted = |id| Told::Accepted(MessageId::new(id).expect("not zero"));
        assert!(rule.told(&bot_id, &name, accepted(1)).is_err());
        assert_eq!(rule.told(&bot_id, &name, accepted(8)), Ok(()));
    }
}
