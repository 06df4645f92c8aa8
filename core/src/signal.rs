//! What rooms tell each other within a step. Signals never leave the machine and are all handled
//! before the step ends, in the order in which they were given.

use crate::draft::Draft;
use crate::id::{
    BotId, Epoch, LeaseToken, MediaId, PoolName, ProviderInstance, ProviderMessageId, SendId,
    SessionId,
};
use crate::job::{Job, LeaseRequest, Worked};
use crate::message::Outcome;
use crate::receipt::{Origin, Receipt};
use crate::store::{BotRecord, Send};
use crate::time::Timestamp;

/// A word from one room to another.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    Session(SessionId, SessionSignal),
    Bot(BotId, BotSignal),
    Pools(PoolSignal),
    Ownership(OwnershipSignal),
    /// A bot is to be made known.
    Register(BotRecord),
    /// A staged file that nothing here needs, to the janitor: a resend brought it, or its job has ended.
    FileUnneeded(MediaId),
    /// A provider still speaks of a file: it may yet be needed.
    FileMentioned(MediaId),
}

/// A word to a provider connection, from one of the bots it carries.
#[derive(Debug, Clone)]
pub(crate) enum SessionSignal {
    /// The bot runs: `welcome` may be said.
    Ready { bot_id: BotId, resume_after_seq: Option<u64> },
    /// A message's fate is known.
    Receipt { bot_id: BotId, seq: u64, receipt: Receipt, valid_until: Timestamp },
    /// A message is to be sent.
    Send { bot_id: BotId, send: Send, valid_until: Timestamp },
    /// Another connection took this one's place for the bot.
    Replaced { bot_id: BotId },
    /// Another node owns the bot.
    Fenced { bot_id: BotId },
}

/// A word to a bot.
#[derive(Debug, Clone)]
pub(crate) enum BotSignal {
    /// A provider's connection carries the bot from here on.
    Attached { session_id: SessionId, instance: Option<ProviderInstance> },
    /// It does not any more.
    Detached { session_id: SessionId, resume_after_seq: Option<u64> },
    /// A message came.
    Intake { origin: Origin, draft: Box<Draft> },
    /// The provider confirmed an outgoing message.
    Sent { send_id: SendId, provider_message_id: ProviderMessageId },
    /// Ownership was acquired or prolonged; outward effects are valid until then.
    Owned { epoch: Epoch, valid_until: Timestamp },
    /// Another node owns the bot; ownership keeps asking. `renewed`: that node lives.
    HeldElsewhere { renewed: bool },
    /// Ownership is lost: nothing more may be done.
    OwnershipLost,
    /// A worker here has the result of a job, under a lease it still holds.
    MediaDone { media_id: MediaId, token: LeaseToken, worked: Worked, outcome: Outcome },
    /// Results for the bot wait in the store.
    ResultsWaiting,
    /// The node shuts down.
    Stop,
}

/// A word to the workers.
#[derive(Debug, Clone)]
pub(crate) enum PoolSignal {
    /// A job of the pool waits in the store.
    WorkWaiting { pool: PoolName },
    /// A job was inserted, or restored, with a lease for a reserved slot here.
    Leased { job: Box<Job>, lease: LeaseRequest, asked_at: Timestamp },
    /// Reserved slots are free again.
    PlacesFree,
    /// A job was leased for a slot here that nobody keeps any more.
    LeasedInVain { media_id: MediaId, token: LeaseToken },
    /// The job's message is archived: the lease is over.
    Settled { media_id: MediaId },
    /// The bot cannot apply the result: store it in the job.
    Undelivered { media_id: MediaId, token: LeaseToken, outcome: Outcome },
    /// The store says that the lease is not the current one.
    LeaseLost { media_id: MediaId },
}

/// A word to ownership.
#[derive(Debug, Clone)]
pub(crate) enum OwnershipSignal {
    /// A bot wants to run.
    Acquire { bot_id: BotId },
    /// A bot has stopped.
    Release { bot_id: BotId },
}
