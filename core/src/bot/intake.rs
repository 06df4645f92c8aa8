//! The way in: a message is dedup'd, cut, given an id and put in its queue, or refused with a receipt.

use serde::{Deserialize, Serialize};

use super::Bot;
use super::correspondent::Ids;
use super::lifecycle::Phase;
use super::sends::Classified;
use crate::context::Context;
use crate::draft::Draft;
use crate::id::{CorrespondentId, MediaId, MessageId};
use crate::message::Source;
use crate::notice::Notice;
use crate::queue::{Addition, Evicted, Verdict};
use crate::receipt::{Origin, Receipt, RejectReason};
use crate::signal::Signal;

/// A message that waits for its correspondent's first free id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub origin: Origin,
    pub source: Source,
    pub draft: Box<Draft>,
}

/// A resend that waits for the fate of its message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Resend {
    pub origin: Origin,
    /// The medium that it brought, if that is not the message's own.
    pub media_id: Option<MediaId>,
}

impl Bot {
    pub(super) fn intake(&mut self, cx: &mut Context<'_>, origin: Origin, draft: Box<Draft>) {
        if let Some(media) = &draft.media {
            cx.signals.push_back(Signal::FileMentioned(media.media_id));
        }
        if let Some(reason) = self.phase.refusal() {
            return self.answer(cx, origin, Receipt::rejected(reason));
        }
        match self.classify(cx, origin, draft) {
            Classified::Now { source, draft } => self.admit(cx, origin, source, draft),
            Classified::Waits => {}
        }
    }

    /// Takes a message in whose source is known.
    pub(super) fn admit(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        source: Source,
        draft: Box<Draft>,
    ) {
        let Some(place) = self.place_of(&draft.correspondent_id, cx.now) else {
            return self.refuse(cx, origin, &draft.correspondent_id, RejectReason::RetryLater);
        };
        let max_waiting = self.settings.limits.max_waiting_for_id;
        match &mut self.correspondents[place].ids {
            Ids::Known => self.take_in(cx, place, Waiting { origin, source, draft }),
            Ids::Reading(waiting) if waiting.len() < max_waiting => {
                waiting.push_back(Waiting { origin, source, draft });
            }
            Ids::Reading(_) => {
                self.refuse(cx, origin, &draft.correspondent_id, RejectReason::RetryLater);
            }
            ids @ Ids::Unread => {
                let correspondent_id = draft.correspondent_id.clone();
                *ids = Ids::Reading([Waiting { origin, source, draft }].into());
                self.read_next_id(cx, correspondent_id);
            }
        }
    }

    /// Puts a message in its queue, whose ids are known, and which stands at `place`.
    pub(super) fn take_in(&mut self, cx: &mut Context<'_>, place: usize, message: Waiting) {
        let Waiting { origin, source, draft } = message;
        let media_id = draft.media.as_ref().map(|media| media.media_id);
        let Some((correspondent_id, entry)) = self.correspondents.get_index_mut(place) else {
            return;
        };
        let correspondent_id = correspondent_id.clone();
        // A medium that stands in another correspondent's queue cannot be this one's as well.
        if let Some(media_id) = media_id
            && self.media.get(&media_id).is_some_and(|holder| *holder != correspondent_id)
        {
            return self.refuse(cx, origin, &correspondent_id, RejectReason::Invalid);
        }
        let limits = &self.settings.limits;
        let Addition { verdict, evicted } =
            entry.queue.add_message(draft, source, Some(origin), limits, cx.now);
        if let Verdict::Added { placeholder: false, .. } = verdict {
            self.archive.list(&correspondent_id, entry);
        }
        self.tell_evicted(cx, &correspondent_id, evicted);
        match verdict {
            Verdict::Added { placeholder, overflow, .. } => {
                if overflow {
                    cx.notice(Notice::OverflowEntered {
                        bot_id: self.id.clone(),
                        correspondent_id: correspondent_id.clone(),
                    });
                }
                match media_id {
                    Some(media_id) if placeholder => self.insert_job(correspondent_id, media_id),
                    // What its sender's own device sent is not processed, so its file is not needed.
                    Some(media_id) => self.drop_file(cx, media_id),
                    None => {}
                }
            }
            Verdict::Joined { id } => {
                let media_id = media_id.filter(|media_id| !self.media.contains_key(media_id));
                let resend = Resend { origin, media_id };
                self.joined.entry((correspondent_id, id)).or_default().push(resend);
            }
            Verdict::Duplicate { id } => {
                self.notice_duplicate(cx, &correspondent_id, *id.get());
                self.answer(cx, origin, Receipt::Duplicate { message_id: id });
                if let Some(media_id) = media_id {
                    self.drop_file(cx, media_id);
                }
            }
            Verdict::Rejected { reason } => self.refuse(cx, origin, &correspondent_id, reason),
        }
    }

    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
        correspondent_id: &CorrespondentId,
        reason: RejectReason,
    ) {
        cx.notice(Notice::MessageRejected {
            bot_id: self.id.clone(),
            correspondent_id: correspondent_id.clone(),
            reason,
        });
        self.answer(cx, origin, Receipt::rejected(reason));
    }

    pub(super) fn tell_evicted(
        &mut self,
        cx: &mut Context<'_>,
        correspondent_id: &CorrespondentId,
        evicted: Vec<Evicted>,
    ) {
        for Evicted { id, origin, reason, .. } in evicted {
            cx.notice(Notice::MessageEvicted {
                bot_id: self.id.clone(),
                correspondent_id: correspondent_id.clone(),
                message_id: id,
                reason,
            });
            self.answer_all(cx, correspondent_id, id, origin, &Receipt::evicted(reason));
        }
    }

    pub(super) fn notice_duplicate(
        &self,
        cx: &mut Context<'_>,
        correspondent_id: &CorrespondentId,
        message_id: MessageId,
    ) {
        cx.notice(Notice::DuplicateMessage {
            bot_id: self.id.clone(),
            correspondent_id: correspondent_id.clone(),
            message_id,
        });
    }

    /// A file that nothing here needs is deleted, once the store has said that no job knows it.
    pub(super) fn drop_file(&self, cx: &mut Context<'_>, media_id: MediaId) {
        if !self.media.contains_key(&media_id) {
            cx.signals.push_back(Signal::FileUnneeded(media_id));
        }
    }
}

impl Phase {
    /// Why a message cannot be taken in, if it cannot.
    fn refusal(&self) -> Option<RejectReason> {
        match self {
            Self::Running => None,
            Self::Registering | Self::Acquiring | Self::Restoring { .. } => {
                Some(RejectReason::RetryLater)
            }
            Self::Stopped | Self::Draining { .. } | Self::Holding { .. } => {
                Some(RejectReason::BotNotRunning)
            }
        }
    }
}
