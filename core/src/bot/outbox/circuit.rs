//! Whether the consumer can take callbacks at all.
//!
//! A consumer that is unavailable opens the circuit: callbacks wait, none is counted as a failure, and
//! one probe at a time asks whether it is back.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::id::{CorrespondentId, StreamId};
use crate::settings::BackOff;
use crate::time::{Millis, Timestamp};

/// Who takes callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Consumer {
    /// Nobody.
    Absent,
    /// This stream.
    Present(StreamId),
    /// It said that it is gone for good; somebody else has to come.
    Gone(StreamId),
}

/// Whether callbacks go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Circuit {
    /// They do.
    Closed,
    /// They wait until then.
    Open { probe_at: Timestamp, failures: u32 },
    /// The next one to go out is the probe.
    Due { failures: u32 },
    /// One is out, to ask.
    Probing { correspondent_id: CorrespondentId, failures: u32 },
}

impl Circuit {
    /// The consumer was unavailable. Returns whether the circuit was closed before.
    pub fn open(
        &mut self,
        cx: &mut Context<'_>,
        back_off: BackOff,
        retry_after: Option<Millis>,
    ) -> bool {
        let (was_closed, failures) = match self {
            Self::Closed => (true, 0),
            // Callbacks that went out together fail together; that is one failure.
            Self::Open { .. } | Self::Due { .. } => return false,
            Self::Probing { failures, .. } => (false, failures.saturating_add(1)),
        };
        let wait =
            cx.source.jittered(back_off.after(failures)).max(retry_after.unwrap_or_default());
        *self = Self::Open { probe_at: cx.now + wait, failures };
        was_closed
    }

    /// The consumer answered. Returns whether the circuit was not closed before.
    pub fn close(&mut self) -> bool {
        std::mem::replace(self, Self::Closed) != Self::Closed
    }

    /// Whether a callback of this correspondent may go out, becoming the probe if need be.
    pub fn lets_through(&mut self, correspondent_id: &CorrespondentId) -> bool {
        match self {
            Self::Closed => true,
            Self::Open { .. } => false,
            Self::Due { failures } => {
                let failures = *failures;
                *self = Self::Probing { correspondent_id: correspondent_id.clone(), failures };
                true
            }
            Self::Probing { correspondent_id: probing, .. } => probing == correspondent_id,
        }
    }

    /// Whether no callback may go out, not even a probe.
    pub fn blocks(&self) -> bool {
        match self {
            Self::Closed | Self::Due { .. } | Self::Probing { .. } => false,
            Self::Open { .. } => true,
        }
    }

    /// The wait for the next probe may be over.
    pub fn tick(&mut self, now: Timestamp) {
        match self {
            Self::Open { probe_at, failures } if *probe_at <= now => {
                *self = Self::Due { failures: *failures };
            }
            Self::Open { .. } | Self::Closed | Self::Due { .. } | Self::Probing { .. } => {}
        }
    }

    pub fn probe_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open { probe_at, .. } => Some(*probe_at),
            Self::Closed | Self::Due { .. } | Self::Probing { .. } => None,
        }
    }
}
