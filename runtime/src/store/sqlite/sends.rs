//! Outgoing messages, idempotent by their keys.
//!
//! Owns the `sends` table. A confirmed send stays for as long as archived messages do, so that its key
//! is still known when it is enqueued again.

use anteroom_core::id::{BotId, ProviderMessageId, SendId};
use anteroom_core::store::{EnqueueAnswer, Fence, Send};

use super::bots;
use super::columns::moment;
use super::failure::Answer;
use super::work::{Work, page_size};

/// The sends to be made, oldest first.
pub(super) const OWED: &str = "SELECT send_id, correspondent_id, message FROM sends
     WHERE bot_id = ?1 AND sent_at IS NULL ORDER BY position LIMIT ?2";

/// Makes an outgoing message durable.
pub(super) fn enqueue(work: &Work<'_>, bot_id: &BotId, send: &Send) -> Answer<EnqueueAnswer> {
    let stored = work.first(
        "SELECT correspondent_id = ?3 AND message = ?4 FROM sends
         WHERE bot_id = ?1 AND send_id = ?2",
        (
            bot_id.as_str(),
            send.send_id.as_str(),
            send.correspondent_id.as_str(),
            send.message.as_str(),
        ),
        |row| row.get::<_, bool>(0),
    )?;
    match stored {
        Some(true) => return Ok(EnqueueAnswer::AlreadyPresent),
        Some(false) => return Ok(EnqueueAnswer::Conflict),
        None => {}
    }
    work.run(
        "INSERT INTO sends (bot_id, send_id, correspondent_id, message) VALUES (?1, ?2, ?3, ?4)",
        (
            bot_id.as_str(),
            send.send_id.as_str(),
            send.correspondent_id.as_str(),
            send.message.as_str(),
        ),
    )?;
    Ok(EnqueueAnswer::Enqueued)
}

/// The sends that were not confirmed, oldest first.
pub(super) fn owed(work: &Work<'_>, fence: &Fence, limit: u32) -> Answer<Vec<Send>> {
    bots::pass_fence(work, fence)?;
    let size = i64::try_from(page_size(limit)).unwrap_or(i64::MAX);
    work.all(OWED, (fence.bot_id.as_str(), size), |row| {
        Ok(Send {
            send_id: row.get::<_, String>(0)?.into(),
            correspondent_id: row.get::<_, String>(1)?.into(),
            message: row.get(2)?,
        })
    })
}

/// Confirms sends. One that is unknown or was confirmed before stays as it is.
pub(super) fn mark_sent(
    work: &Work<'_>,
    fence: &Fence,
    sent: &[(SendId, ProviderMessageId)],
) -> Answer<()> {
    bots::pass_fence(work, fence)?;
    for (send_id, provider_message_id) in sent {
        work.run(
            "UPDATE sends SET sent_at = ?3, provider_message_id = ?4
             WHERE bot_id = ?1 AND send_id = ?2 AND sent_at IS NULL",
            (
                fence.bot_id.as_str(),
                send_id.as_str(),
                moment(work.now),
                provider_message_id.as_str(),
            ),
        )?;
    }
    Ok(())
}
