//! L3: every placeholder whose job was durable ends as a message that says what became of it.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, CorrespondentId, MediaId, ProviderMessageId};
use anteroom_core::store::{InsertAnswer, StoreReply, StoreRequest};

use super::Ends;
use super::seen::{Final, Seen};

#[derive(Default)]
pub(super) struct PlaceholdersEnd {
    durable: BTreeMap<MediaId, (BotId, CorrespondentId, ProviderMessageId)>,
}

impl Ends for PlaceholdersEnd {
    fn see(&mut self, seen: &Seen<'_>) {
        let Seen::Applied { request, result: Ok(reply), .. } = seen else { return };
        let (StoreRequest::InsertJobs { jobs, .. }, StoreReply::InsertJobs(answers)) =
            (request, reply)
        else {
            return;
        };
        for (new, answer) in jobs.iter().zip(answers) {
            if let InsertAnswer::Inserted { .. } = answer {
                let job = &new.job;
                let provider_message_id = job.placeholder_message.provider_message_id.clone();
                let message =
                    (job.bot_id.clone(), job.correspondent_id.clone(), provider_message_id);
                self.durable.insert(job.media_id, message);
            }
        }
    }

    fn judge(&self, world: &Final<'_>) -> Result<(), String> {
        for (media_id, (bot_id, correspondent_id, provider_message_id)) in &self.durable {
            let id = world.store.id_of(bot_id, correspondent_id, provider_message_id);
            let row = id.and_then(|id| world.store.archive_row(bot_id, correspondent_id, id));
            if row.is_none_or(|row| row.message.is_placeholder()) {
                return Err(format!(
                    "the placeholder of {media_id}, {bot_id}/{correspondent_id}/\
                     {provider_message_id}, never came to its end"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    /// Goal: a placeholder that vanished, or still waits, is found.
    #[test]
    fn placeholders_do_not_vanish() {
        let mut stage = Stage::new();
        let (request, result) = stage.inserted("m1", 1);
        let mut rule = PlaceholdersEnd::default();
        rule.see(&Seen::Applied { by: None, request: &request, result: &result, lost: false });
        assert!(rule.judge(&stage.ends()).is_err(), "it waits");
        assert!(rule.judge(&Stage::new().ends()).is_err(), "it vanished");
        stage.fail_and_archive(1);
        assert_eq!(rule.judge(&stage.ends()), Ok(()));
    }
}
