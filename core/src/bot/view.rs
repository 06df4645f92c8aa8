//! A bot as operators see it. Linear in what is shown; nothing is changed.

use super::Bot;
use super::correspondent::Correspondent;
use super::lifecycle::Phase;
use crate::id::{CorrespondentId, MessageId};
use crate::time::Timestamp;
use crate::view::{BotView, CorrespondentView, GateView, PhaseView};

impl Bot {
    pub fn view(&self) -> BotView {
        let owns = self.phase.keeps_promises() || matches!(self.phase, Phase::Restoring { .. });
        BotView {
            bot_id: self.id.clone(),
            record: self.record.clone(),
            phase: self.phase.view(),
            barred: self.barred,
            epoch: owns.then_some(self.epoch),
            connections: self.attachments.len(),
            correspondents: self.correspondents.len(),
            placeholders: self.media.len(),
            consumer: self.outbox.consumer_view(),
            circuit: self.outbox.circuit_view(),
            open_callbacks: self.outbox.open_callbacks(),
            owed_in_memory: self.outbox.owed_in_memory(),
        }
    }

    /// One correspondent, at most `limit` messages and callbacks of it; none when nothing of it is in
    /// memory.
    pub fn correspondent_view(
        &self,
        now: Timestamp,
        correspondent_id: &CorrespondentId,
        limit: usize,
    ) -> Option<CorrespondentView> {
        let entry = self.correspondents.get(correspondent_id);
        let (mut callbacks, more_in_store) =
            self.outbox.callback_views(correspondent_id, limit).unwrap_or_default();
        if entry.is_none() && callbacks.is_empty() && !more_in_store {
            return None;
        }
        for callback in &mut callbacks {
            let message_id = callback.key.message_id;
            callback.gate =
                entry.and_then(|entry| self.gate(now, correspondent_id, entry, message_id));
        }
        let queue = entry.map(|entry| entry.queue.views(limit)).unwrap_or_default();
        Some(CorrespondentView {
            queue,
            archiving: entry.map_or(0, |entry| entry.archiving),
            total_chars: entry.map_or(0, |entry| entry.queue.total_chars()),
            callbacks,
            more_in_store,
        })
    }

    fn gate(
        &self,
        now: Timestamp,
        correspondent_id: &CorrespondentId,
        entry: &Correspondent,
        message_id: MessageId,
    ) -> Option<GateView> {
        if !self.settings.is_gated(correspondent_id) {
            return None;
        }
        let max_wait = self.settings.gating.max_wait;
        entry
            .open_media_before(message_id)
            .map(|(behind, accepted)| GateView {
                behind,
                until: accepted.max(self.running_since) + max_wait,
            })
            .filter(|gate| gate.until > now)
            .min_by_key(|gate| gate.until)
    }
}

impl Phase {
    fn view(&self) -> PhaseView {
        match self {
            Self::Stopped => PhaseView::Stopped,
            Self::Registering => PhaseView::Registering,
            Self::Acquiring => PhaseView::Acquiring,
            Self::Restoring { .. } => PhaseView::Restoring,
            Self::Running => PhaseView::Running,
            Self::Draining { .. } => PhaseView::Draining,
            Self::Holding { .. } => PhaseView::Holding,
        }
    }
}
