//! Why the machine wants to be stepped at a certain moment.

use serde::{Deserialize, Serialize};

/// The earliest of several moments, those that there are.
pub(crate) fn earliest<T: Ord, const N: usize>(moments: [Option<T>; N]) -> Option<T> {
    let mut earliest = None;
    for moment in moments {
        earliest = match (earliest, moment) {
            (Some(first), Some(second)) => Some(std::cmp::min(first, second)),
            (first, second) => first.or(second),
        };
    }
    earliest
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
    /// Workers have had their time to finish.
    ShutdownGrace,
    /// Expired leases are to be taken away.
    ReclaimSweep,
    /// Jobs that waited too long are to be ended.
    ExpirySweep,
    /// Staged files, failed copies and old rows are to be looked through.
    FilesSweep,
}
