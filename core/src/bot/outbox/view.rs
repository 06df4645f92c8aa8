//! The outbox as operators see it.

use super::Outbox;
use super::circuit::{Circuit, Consumer};
use super::lane::EntryState;
use crate::id::CorrespondentId;
use crate::view::{CallbackStateView, CallbackView, CircuitView, ConsumerView};

impl Outbox {
    pub fn consumer_view(&self) -> ConsumerView {
        match self.consumer {
            Consumer::Absent => ConsumerView::Absent,
            Consumer::Present(_) => ConsumerView::Present,
            Consumer::Gone(_) => ConsumerView::Gone,
        }
    }

    pub fn circuit_view(&self) -> CircuitView {
        match &self.circuit {
            Circuit::Closed => CircuitView::Closed,
            Circuit::Open { probe_at, .. } => CircuitView::Open { probe_at: *probe_at },
            Circuit::Due { .. } | Circuit::Probing { .. } => CircuitView::Probing,
        }
    }

    pub fn open_callbacks(&self) -> usize {
        self.open.len()
    }

    pub fn owed_in_memory(&self) -> usize {
        self.in_window
    }

    /// The owed callbacks of a correspondent in memory, at most `limit`, without their gates; and whether
    /// there are more. None when nothing of it is in memory.
    pub fn callback_views(
        &self,
        correspondent_id: &CorrespondentId,
        limit: usize,
    ) -> Option<(Vec<CallbackView>, bool)> {
        let lane = self.lanes.get(correspondent_id)?;
        let views = lane.entries.iter().take(limit).map(|entry| CallbackView {
            key: entry.key(),
            attempt: entry.attempt(),
            failures: entry.failures,
            state: match entry.state {
                EntryState::Ready | EntryState::Spent => CallbackStateView::Waiting,
                EntryState::Refused { until } => CallbackStateView::Refused { until },
                EntryState::Raising => CallbackStateView::Raising,
                EntryState::Open { .. } => CallbackStateView::Open,
                EntryState::Ending => CallbackStateView::Ending,
            },
            gate: None,
        });
        Some((views.collect(), lane.spilled || lane.entries.len() > limit))
    }
}
