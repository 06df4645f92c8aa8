//! Records whose bodies cannot be read, set aside so that they are in nobody's way.
//!
//! Owns the `quarantine` table. A record moves there within the request that met it, with a log line
//! that names it. Its message id stays taken and its file stays known, so that an operator can put it
//! right.

use anteroom_core::id::{BotId, MediaId};

use super::columns::{AsBlob, moment};
use super::failure::Answer;
use super::work::Work;

/// Sets a bot's record aside.
pub(super) fn bot(work: &Work<'_>, bot_id: &BotId, reason: &str) -> Answer<()> {
    tracing::error!(%bot_id, reason, "a bot's record cannot be read and is set aside");
    work.run(
        "INSERT INTO quarantine (source, bot_id, body, reason, set_aside_at)
         SELECT 'bots', bot_id, body, ?2, ?3 FROM bots WHERE bot_id = ?1",
        (bot_id.as_str(), reason, moment(work.now)),
    )?;
    work.run("DELETE FROM bots WHERE bot_id = ?1", [bot_id.as_str()])?;
    Ok(())
}

/// Sets a job aside.
pub(super) fn job(work: &Work<'_>, media_id: MediaId, reason: &str) -> Answer<()> {
    tracing::error!(%media_id, reason, "a media job cannot be read and is set aside");
    work.run(
        "INSERT INTO quarantine
            (source, bot_id, correspondent_id, message_id, media_id, body, reason, set_aside_at)
         SELECT 'jobs', bot_id, correspondent_id, message_id, media_id, body, ?2, ?3
         FROM jobs WHERE media_id = ?1",
        (media_id.blob(), reason, moment(work.now)),
    )?;
    work.run("DELETE FROM jobs WHERE media_id = ?1", [media_id.blob()])?;
    Ok(())
}

/// Sets a failed copy aside.
pub(super) fn failed_copy(work: &Work<'_>, media_id: MediaId, reason: &str) -> Answer<()> {
    tracing::error!(%media_id, reason, "a failed copy cannot be read and is set aside");
    work.run(
        "INSERT INTO quarantine (source, media_id, body, reason, set_aside_at)
         SELECT 'failed', media_id, body, ?2, ?3 FROM failed WHERE media_id = ?1",
        (media_id.blob(), reason, moment(work.now)),
    )?;
    work.run("DELETE FROM failed WHERE media_id = ?1", [media_id.blob()])?;
    Ok(())
}

/// Sets an archived message aside.
pub(super) fn archived(work: &Work<'_>, position: i64, reason: &str) -> Answer<()> {
    let named = work.first(
        "INSERT INTO quarantine
            (source, bot_id, correspondent_id, message_id, media_id, body, reason, set_aside_at)
         SELECT 'archive', bot_id, correspondent_id, id, media_id, body, ?2, ?3
         FROM archive WHERE position = ?1
         RETURNING bot_id, correspondent_id, message_id",
        (position, reason, moment(work.now)),
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
    )?;
    if let Some((bot_id, correspondent_id, message_id)) = named {
        tracing::error!(
            bot_id,
            correspondent_id,
            message_id,
            reason,
            "an archived message cannot be read and is set aside"
        );
    }
    work.run("DELETE FROM archive WHERE position = ?1", [position])?;
    Ok(())
}
