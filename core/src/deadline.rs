//! Why the machine wants to be stepped at a certain moment.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The earliest of several deadlines, some of which there may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Earliest(Option<(Timestamp, Deadline)>);

impl Earliest {
    pub fn of(mut self, at: Option<Timestamp>, why: Deadline) -> Self {
        if let Some(at) = at {
            self.take(at, why);
        }
        self
    }

    pub fn and(mut self, deadline: Option<(Timestamp, Deadline)>) -> Self {
        if let Some((at, why)) = deadline {
            self.take(at, why);
        }
        self
    }

    pub fn get(self) -> Option<(Timestamp, Deadline)> {
        self.0
    }

    fn take(&mut self, at: Timestamp, why: Deadline) {
        if self.0.is_none_or(|earliest| (at, why) < earliest) {
            self.0 = Some((at, why));
        }
    }
}

/// The reason of a deadline. Deadlines may be early, never late: a tick before its time is a no-op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// A connection is to be pinged, or has been silent for too long.
    SessionPing,
    /// A connection has not said `hello`, or its bot has not started.
    SessionHello,
    /// The node's ownerships are to be renewed, or a bot is to be asked for again.
    OwnershipRenewal,
    /// An ownership ends before it could be renewed.
    OwnershipEnd,
    /// The bot's last connection ended a while ago.
    DisconnectGrace,
    /// A stopping bot has waited long enough.
    DrainTimeout,
    /// A store operation is to be asked for again.
    StoreRetry,
    /// An acknowledgement is overdue.
    AckTimeout,
    /// A callback is to be tried again.
    CallbackRetry,
    /// The consumer is to be probed.
    CircuitProbe,
    /// A message has waited long enough for the media in front of it.
    GatingMaxWait,
    /// A burst of messages may be over.
    Debounce,
    /// An outgoing echo has waited long enough to be told apart.
    EchoWait,
    /// Silent correspondents are to be released.
    SilentCorrespondents,
    /// Job leases are to be renewed.
    LeaseRenewal,
    /// A job lease ends before it could be renewed.
    LeaseEnd,
    /// A processor has used up its time.
    ProcessorTimeout,
    /// A pool looks for work.
    ClaimPoll,
    /// A bot looks for results that other nodes may have made.
    ResultsPoll,
    /// A bot looks for messages to be sent that were made durable at other nodes.
    SendsPoll,
    /// Workers have had their time to finish.
    ShutdownGrace,
    /// Expired leases are to be taken away.
    ReclaimSweep,
    /// Jobs that waited too long are to be ended.
    ExpirySweep,
    /// Staged files, failed copies and old rows are to be looked through.
    FilesSweep,
}
