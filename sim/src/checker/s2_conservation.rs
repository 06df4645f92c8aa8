//! S2: nothing said is changed or lost on the way to the archive.
//!
//! What is archived is what was offered, cut only at a limit that some node was set to; sizes count
//! characters; media end in a content that carries the processor's words and the whole caption.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::{BotId, CorrespondentId, ProviderMessageId};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::settings::BotSettings;
use anteroom_core::store::{ArchiveItem, StoreReply, StoreRequest};

use super::Judge;
use super::seen::{Scene, Seen};

#[derive(Default)]
pub(super) struct Conservation {
    said: BTreeMap<(BotId, CorrespondentId, ProviderMessageId), String>,
    /// The limits of single messages that nodes were set to.
    cuts: BTreeSet<u64>,
    /// The highest limit of a medium's text that a node was set to.
    media_text_max: u64,
}

impl Conservation {
    fn set_to(&mut self, settings: &BotSettings) {
        self.cuts.insert(settings.limits.max_characters_single_message);
        self.media_text_max = self.media_text_max.max(settings.limits.max_characters_media_text);
    }

    fn stored(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        message: &Message,
    ) -> Result<(), String> {
        let named = format!("{bot_id}/{correspondent_id}/{}", message.provider_message_id);
        let size = message.content.chars().count() as u64;
        if message.message_size != size {
            return Err(format!("{named} has {size} characters, not {}", message.message_size));
        }
        let key = (bot_id.clone(), correspondent_id.clone(), message.provider_message_id.clone());
        let Some(said) = self.said.get(&key) else {
            return Err(format!("{named} was stored, and nobody said it"));
        };
        let words = match &message.media {
            None => &message.content,
            Some(media) => {
                let caption = media.caption.as_deref().unwrap_or_default();
                self.completed(&named, message, media.outcome.as_deref(), caption)?;
                return self.as_said(&named, said, caption, message.truncated);
            }
        };
        self.as_said(&named, said, words, message.truncated)
    }

    /// Whether words are those that were said, cut at most at a limit.
    fn as_said(&self, named: &str, said: &str, words: &str, truncated: bool) -> Result<(), String> {
        let (all, some) = (said.chars().count() as u64, words.chars().count() as u64);
        let cut_right =
            if truncated { self.cuts.contains(&some) && some < all } else { some == all };
        if !said.starts_with(words) || !cut_right {
            return Err(format!("{named} was said as {said:?} and stored as {words:?}"));
        }
        Ok(())
    }

    /// Whether a medium's content carries its outcome and its caption.
    fn completed(
        &self,
        named: &str,
        message: &Message,
        outcome: Option<&Outcome>,
        caption: &str,
    ) -> Result<(), String> {
        let content = &message.content;
        let Some(outcome) = outcome else {
            // A placeholder's content is its caption.
            return if content == caption {
                Ok(())
            } else {
                Err(format!("the placeholder {named} says {content:?}"))
            };
        };
        if !content.ends_with(caption) {
            return Err(format!("{named} lost its caption: {content:?}"));
        }
        if let Outcome::Text(extracted) = outcome
            && (!content.contains(&extracted.text) || message.message_size > self.media_text_max)
        {
            return Err(format!("{named} lost its text, or holds too much: {content:?}"));
        }
        Ok(())
    }
}

impl Judge for Conservation {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Booted { settings, .. } => {
                self.set_to(&settings.bot_defaults);
                settings.bots.values().for_each(|settings| self.set_to(settings));
                Ok(())
            }
            Seen::Offered { bot_id, draft, .. } => {
                let key = (
                    BotId::clone(bot_id),
                    draft.correspondent_id.clone(),
                    draft.provider_message_id.clone(),
                );
                self.said.entry(key).or_insert_with(|| draft.content.clone());
                Ok(())
            }
            Seen::Applied { request, result: Ok(reply), .. } => match (request, reply) {
                (StoreRequest::Archive { fence, items }, StoreReply::Archive(_)) => {
                    let (bot_id, store) = (&fence.bot_id, scene.store);
                    let row = |item: &'_ ArchiveItem| {
                        store.archive_row(bot_id, &item.correspondent_id, item.message.id)
                    };
                    let mut rows = items.iter().filter_map(row);
                    rows.try_for_each(|row| {
                        self.stored(bot_id, &row.correspondent_id, &row.message)
                    })
                }
                (StoreRequest::InsertJobs { fence, jobs }, StoreReply::InsertJobs(_)) => {
                    jobs.iter().try_for_each(|new| {
                        let job = &new.job;
                        self.stored(&fence.bot_id, &job.correspondent_id, &job.placeholder_message)
                    })
                }
                (
                    StoreRequest::Revise { fence, correspondent_id, message, .. },
                    StoreReply::Revise(_),
                ) => self.stored(&fence.bot_id, correspondent_id, message),
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

    fn judged(said: &str, change: impl FnOnce(&mut Message)) -> Result<(), String> {
        let mut stage = Stage::new();
        let mut rule = Conservation::default();
        rule.see(&stage.booted(), &stage.scene())?;
        let (name, draft) = stage.draft("m1", said);
        let bot_id = stage.bot_id.clone();
        rule.see(&Seen::Offered { bot_id: &bot_id, name: &name, draft: &draft }, &stage.scene())?;
        let mut message = stage.text("m1", said);
        change(&mut message);
        let (request, result) = stage.archived(message);
        let seen = Seen::Applied { by: None, request: &request, result: &result, lost: false };
        rule.see(&seen, &stage.scene())
    }

    /// Goal: what is archived as it was said is fine.
    #[test]
    fn what_was_said_is_archived() {
        assert_eq!(judged("grüße", |_| ()), Ok(()));
    }

    /// Goal: bytes instead of characters are found.
    #[test]
    fn sizes_count_characters() {
        assert!(judged("grüße", |message| message.message_size = 7).is_err());
    }

    /// Goal: a changed text, and one that is cut without a limit, are found.
    #[test]
    fn texts_are_not_changed() {
        assert!(judged("hello", |message| message.content = "hellO".to_owned()).is_err());
        let cut = |message: &mut Message| {
            (message.content, message.message_size) = ("he".to_owned(), 2);
        };
        assert!(judged("hello", cut).is_err());
    }

    /// Goal: what nobody said is found.
    #[test]
    fn nothing_is_invented() {
        let rename = |message: &mut Message| message.provider_message_id = "other".into();
        assert!(judged("hello", rename).is_err());
    }
}
