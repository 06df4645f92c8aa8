//! One store operation at a time, asked again until it is answered.
//!
//! Owns the payload while the operation is under way, so that it can be built anew for a retry. An
//! operation whose answer was lost may have happened: every operation is idempotent, so asking again
//! gives the one right answer.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::id::OpId;
use crate::notice::Notice;
use crate::settings::BackOff;
use crate::time::Timestamp;

/// One store operation at a time, with what it was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lane<T> {
    state: State<T>,
    failures: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State<T> {
    Idle,
    InFlight { op: OpId, payload: T },
    Waiting { retry_at: Timestamp, payload: T },
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { state: State::Idle, failures: 0 }
    }
}

impl<T> Lane<T> {
    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// An operation has been asked for.
    pub fn begin(&mut self, op: OpId, payload: T) {
        debug_assert!(self.is_idle(), "a lane carries one operation at a time");
        self.state = State::InFlight { op, payload };
    }

    /// Whether the operation `op` is in flight.
    pub fn awaits(&self, op: OpId) -> bool {
        matches!(&self.state, State::InFlight { op: asked, .. } if *asked == op)
    }

    /// The payload of the operation `op`, if that is what is in flight; the lane is idle then.
    pub fn take(&mut self, op: OpId) -> Option<T> {
        match &self.state {
            State::InFlight { op: asked, .. } if *asked == op => self.take_any(),
            State::InFlight { .. } | State::Idle | State::Waiting { .. } => None,
        }
    }

    /// The payload, whether in flight or waiting; a reply that comes later finds nothing.
    pub fn take_any(&mut self) -> Option<T> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => None,
            State::InFlight { payload, .. } | State::Waiting { payload, .. } => Some(payload),
        }
    }

    /// What is under way, in flight or waiting.
    pub fn payload(&self) -> Option<&T> {
        match &self.state {
            State::Idle => None,
            State::InFlight { payload, .. } | State::Waiting { payload, .. } => Some(payload),
        }
    }

    /// The operation succeeded, or was refused for good.
    pub fn settle(&mut self) {
        self.failures = 0;
    }

    /// The operation was not answered: it is due again after a back-off.
    pub fn retry_later(
        &mut self,
        cx: &mut Context<'_>,
        payload: T,
        operation: &str,
        detail: String,
    ) {
        let back_off: BackOff = cx.settings.store_retry;
        let wait = cx.source.jittered(back_off.after(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting { retry_at: cx.now + wait, payload };
        cx.notice(Notice::StoreRetried { operation: operation.to_owned(), detail });
    }

    /// The payload of an operation that is due again.
    pub fn take_due(&mut self, now: Timestamp) -> Option<T> {
        match &self.state {
            State::Waiting { retry_at, .. } if *retry_at <= now => self.take_any(),
            State::Waiting { .. } | State::Idle | State::InFlight { .. } => None,
        }
    }

    /// The operation that is in flight, with its payload.
    pub fn in_flight(&self) -> Option<(OpId, &T)> {
        match &self.state {
            State::InFlight { op, payload } => Some((*op, payload)),
            State::Idle | State::Waiting { .. } => None,
        }
    }

    /// When an operation is due again.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Waiting { retry_at, .. } => Some(*retry_at),
            State::Idle | State::InFlight { .. } => None,
        }
    }
}
