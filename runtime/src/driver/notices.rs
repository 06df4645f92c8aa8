//! Notices as log lines: one structured line each.
//!
//! Owns the level and the words of every notice. **Invariant:** ids and reasons are logged, never what
//! anybody said: outcomes appear by their kind only, and a processor's own words at `debug` only,
//! because they may quote the file. Text from outside is logged as a quoted string, so that it cannot
//! forge a line.

use anteroom_core::id::{BotId, CallbackId, CallbackKey, MediaId};
use anteroom_core::message::Outcome;
use anteroom_core::notice::Notice;
use tracing::{debug, info, warn};

/// Writes the line of one notice. One arm a notice, and nothing but its words in it.
pub(super) fn log(notice: &Notice) {
    match notice {
        Notice::BotStarted { bot_id, epoch, restored } => {
            info!(bot_id = bot_id.as_str(), epoch = epoch.0, restored, "bot started");
        }
        Notice::BotStopped { bot_id } => info!(bot_id = bot_id.as_str(), "bot stopped"),
        Notice::BotFenced { bot_id } => {
            warn!(bot_id = bot_id.as_str(), "bot not owned here any more, stopped at once");
        }
        Notice::BotHeldElsewhere { bot_id } => {
            info!(bot_id = bot_id.as_str(), "bot is owned by another node");
        }
        Notice::ProviderStatus { bot_id, status } => {
            info!(bot_id = bot_id.as_str(), ?status, "provider says how it stands");
        }
        Notice::MessageEvicted { bot_id, correspondent_id, message_id, reason } => info!(
            bot_id = bot_id.as_str(),
            correspondent_id = correspondent_id.as_str(),
            message_id = message_id.get(),
            ?reason,
            "message evicted"
        ),
        Notice::MessageRejected { bot_id, correspondent_id, reason } => info!(
            bot_id = bot_id.as_str(),
            correspondent_id = correspondent_id.as_str(),
            ?reason,
            "message rejected"
        ),
        Notice::OverflowEntered { bot_id, correspondent_id } => warn!(
            bot_id = bot_id.as_str(),
            correspondent_id = correspondent_id.as_str(),
            "message accepted above the limit"
        ),
        Notice::DuplicateMessage { bot_id, correspondent_id, message_id } => debug!(
            bot_id = bot_id.as_str(),
            correspondent_id = correspondent_id.as_str(),
            message_id = message_id.get(),
            "message was sent again"
        ),
        Notice::MediaEnded { bot_id, media_id, outcome } => {
            log_media_ended(bot_id, *media_id, outcome);
        }
        Notice::LeaseReclaimed { bot_id, media_id } => {
            warn!(bot_id = bot_id.as_str(), %media_id, "job taken away from a lost worker");
        }
        Notice::LeaseLost { media_id } => warn!(%media_id, "lease of a running job lost"),
        Notice::StaleResult { media_id } => info!(%media_id, "late result dropped"),
        Notice::TransientFailure { media_id, detail } => {
            info!(%media_id, "processor failed for now, the job is tried again");
            debug!(%media_id, detail = detail.as_str(), "what the processor said");
        }
        Notice::ProcessorTimedOut { media_id } => info!(%media_id, "processor timed out"),
        Notice::JobExpired { bot_id, media_id } => {
            info!(bot_id = bot_id.as_str(), %media_id, "job waited too long and was ended");
        }
        Notice::ArchiveRetried { bot_id, messages } => {
            warn!(bot_id = bot_id.as_str(), messages, "archive batch is asked for again");
        }
        Notice::StoreRetried { operation, detail } => {
            let (operation, detail) = (operation.as_str(), detail.as_str());
            warn!(operation, detail, "store operation failed and is asked for again");
        }
        Notice::StoreRefused { operation, detail } => {
            let (operation, detail) = (operation.as_str(), detail.as_str());
            warn!(operation, detail, "store refused an operation as invalid");
        }
        Notice::CallbackUndeliverable { bot_id, key } => {
            let callback_id = callback_id(bot_id, key);
            warn!(%callback_id, "callback refused too often, the next one proceeds");
        }
        Notice::CircuitOpened { bot_id } => {
            warn!(bot_id = bot_id.as_str(), "consumer unavailable, callbacks wait");
        }
        Notice::CircuitClosed { bot_id } => {
            info!(bot_id = bot_id.as_str(), "consumer answers again");
        }
        Notice::ConsumerGone { bot_id } => {
            warn!(bot_id = bot_id.as_str(), "consumer is gone for good, callbacks stay owed");
        }
        Notice::GatingReleased { bot_id, key } => {
            let callback_id = callback_id(bot_id, key);
            info!(%callback_id, "callback has waited long enough for the media in front of it");
        }
        Notice::OrphanFileDeleted { media_id } => {
            info!(%media_id, "staged file without a job deleted");
        }
        Notice::RecordSkipped { detail } => {
            warn!(detail = detail.as_str(), "record could not be used and was left alone");
        }
        Notice::UnexpectedEvent { what } => {
            warn!(what = what.as_str(), "event that means nothing now ignored");
        }
    }
}

fn log_media_ended(bot_id: &BotId, media_id: MediaId, outcome: &Outcome) {
    let (bot_id, kind) = (bot_id.as_str(), kind(outcome));
    if let Outcome::Failed { error, detail } = outcome {
        info!(bot_id, %media_id, outcome = kind, ?error, "media job ended");
        if let Some(detail) = detail {
            debug!(%media_id, detail = detail.as_str(), "what the processor said");
        }
    } else {
        info!(bot_id, %media_id, outcome = kind, "media job ended");
    }
}

/// The callback's public name, whose parts are percent-encoded.
fn callback_id(bot_id: &BotId, key: &CallbackKey) -> CallbackId {
    CallbackId { bot_id: bot_id.clone(), key: key.clone() }
}

/// Every word of [`kind`].
#[cfg(not(madsim))]
pub(crate) const KINDS: [&str; 9] = [
    "text",
    "nothing",
    "corrupt",
    "unsupported",
    "not_processed",
    "timed_out",
    "failed",
    "expired",
    "discarded",
];

/// What an outcome is, without what it says.
pub(crate) fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Text(_) => "text",
        Outcome::Nothing => "nothing",
        Outcome::Corrupt { .. } => "corrupt",
        Outcome::Unsupported { .. } => "unsupported",
        Outcome::NotProcessed => "not_processed",
        Outcome::TimedOut => "timed_out",
        Outcome::Failed { .. } => "failed",
        Outcome::Expired => "expired",
        Outcome::Discarded => "discarded",
    }
}
