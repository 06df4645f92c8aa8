//! The simulation's store: the whole port as a pure, synchronous model in memory.
//!
//! [`StoreModel::apply`] takes the store's time and a request, and answers as the design says every
//! store answers. It is total (any request in any state has an answer), deterministic, and atomic: a
//! request that is refused changes nothing. Faults are not its business; whoever drives it decides
//! what is lost on the way. It can be cloned to fork a world and compared to tell two worlds apart.
//!
//! Where the rules live: who may write in `bots`, jobs in `jobs` (with `inserts`, `claims`, `leases`,
//! `moves`, `operator`), messages in `archive` (with `archiving`, `revisions`, `callbacks`), outgoing
//! messages in `sends`, the janitor's work in `sweeps`.
//!
//! **Architecture invariant:** the model decides nothing about jobs: it applies
//! [`anteroom_core::job::Job::apply`] and stores what comes out. The read-only accessors are for a
//! checker, which sees what is durable, and never what a machine believes.

mod archive;
mod archiving;
mod bots;
mod callbacks;
mod claims;
mod dispatch;
mod failed_copies;
mod inserts;
mod job_indices;
mod jobs;
mod leases;
mod moves;
mod multimap;
mod operator;
mod revisions;
mod sends;
mod sweeps;
#[cfg(test)]
mod tests;

use anteroom_core::id::{BotId, CorrespondentId, MediaId, MessageId, ProviderMessageId};
use anteroom_core::job::{FailedCopy, Job};
use anteroom_core::store::{BotRecord, StoreError};

pub use archive::{ArchiveRow, CallbackState};
pub use bots::{Hold, Ownership};
pub use sends::{Sent, StoredSend};

use archive::Archive;
use bots::Bots;
use job_indices::ProviderKey;
use jobs::Jobs;
use sends::Sends;

/// Everything that is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreModel {
    bots: Bots,
    jobs: Jobs,
    archive: Archive,
    sends: Sends,
}

impl StoreModel {
    /// A store that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more than the highest id of a correspondent in archive and jobs.
    fn next_id(&self, bot_id: &BotId, correspondent_id: &CorrespondentId) -> MessageId {
        let archived = self.archive.highest_message_id(bot_id, correspondent_id);
        let waiting = self.jobs.indices.highest_message_id(bot_id, correspondent_id);
        archived.max(waiting).map_or(MessageId::FIRST, MessageId::next)
    }

    /// Every registered bot, in the order of their ids.
    pub fn bots(&self) -> impl Iterator<Item = &BotRecord> {
        self.bots.records()
    }

    /// Every bot that was ever owned, and by whom, in the order of their ids.
    pub fn ownerships(&self) -> impl Iterator<Item = (&BotId, &Ownership)> {
        self.bots.ownerships()
    }

    /// Who owns a bot, if it was ever owned.
    pub fn ownership(&self, bot_id: &BotId) -> Option<&Ownership> {
        self.bots.ownership(bot_id)
    }

    /// Every job, active and holding, in the order of media ids.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    /// The job of a media.
    pub fn job(&self, media_id: MediaId) -> Option<&Job> {
        self.jobs.get(media_id).map(AsRef::as_ref)
    }

    /// The jobs of a bot, in the order of media ids.
    pub fn jobs_of(&self, bot_id: &BotId) -> impl Iterator<Item = &Job> {
        let media_ids = self.jobs.indices.of_bot(bot_id, None);
        media_ids.filter_map(|media_id| self.job(media_id))
    }

    /// The id that a provider's message has in archive, active or holding.
    pub fn id_of(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        provider_message_id: &ProviderMessageId,
    ) -> Option<MessageId> {
        let key = ProviderKey {
            bot_id: bot_id.clone(),
            correspondent_id: correspondent_id.clone(),
            provider_message_id: provider_message_id.clone(),
        };
        self.archive.id_of_provider_message(&key).or_else(|| {
            let media_id = self.jobs.indices.of_provider_message(&key)?;
            Some(self.job(media_id)?.placeholder_message.id)
        })
    }

    /// The failed copy of a media.
    pub fn failed_copy(&self, media_id: MediaId) -> Option<&FailedCopy> {
        self.jobs.failed.get(media_id).map(AsRef::as_ref)
    }

    /// Every failed copy, in the order of media ids.
    pub fn failed_copies(&self) -> impl Iterator<Item = &FailedCopy> {
        self.jobs.failed.iter()
    }

    /// Every archived message, in the order of bots, correspondents and message ids.
    pub fn archive_rows(&self) -> impl Iterator<Item = &ArchiveRow> {
        self.archive.iter()
    }

    /// The archived message with an id.
    pub fn archive_row(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
        message_id: MessageId,
    ) -> Option<&ArchiveRow> {
        self.archive.get(bot_id, correspondent_id, message_id).map(AsRef::as_ref)
    }

    /// Every outgoing message, confirmed or not, in the order of bots and send ids.
    pub fn sends(&self) -> impl Iterator<Item = &StoredSend> {
        self.sends.iter()
    }
}

/// The answer to a request that makes no sense.
fn invalid(detail: String) -> StoreError {
    StoreError::Invalid { detail }
}
