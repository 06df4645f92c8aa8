//! Failed jobs, kept with their files for a while.
//!
//! Owns the `failed` table. A copy is written with the step that fails its job; a later failure of the
//! same media replaces it, so writing one never meets another.

use anteroom_core::id::MediaId;
use anteroom_core::job::FailedCopy;

use super::columns::{AsBlob, moment, read_body, to_body};
use super::failure::Answer;
use super::quarantine;
use super::work::Work;
use crate::store::views::reason;

/// Writes a copy, in place of an earlier one of the same media.
pub(super) fn put(work: &Work<'_>, copy: &FailedCopy) -> Answer<()> {
    work.run(
        "INSERT INTO failed (media_id, failed_at, body, bot_id, pool, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (media_id) DO UPDATE SET failed_at = excluded.failed_at, body = excluded.body,
            bot_id = excluded.bot_id, pool = excluded.pool, reason = excluded.reason",
        (
            copy.job.media_id.blob(),
            moment(copy.failed_at),
            to_body(copy)?,
            copy.job.bot_id.as_str(),
            copy.job.pool.as_str(),
            reason(&copy.job),
        ),
    )?;
    Ok(())
}

/// The copy of a media.
pub(super) fn find(work: &Work<'_>, media_id: MediaId) -> Answer<Option<FailedCopy>> {
    let stored =
        work.first("SELECT body FROM failed WHERE media_id = ?1", [media_id.blob()], |row| {
            Ok(read_body::<FailedCopy>(row, 0))
        })?;
    match stored {
        None => Ok(None),
        Some(Ok(copy)) => Ok(Some(copy)),
        Some(Err(reason)) => {
            quarantine::failed_copy(work, media_id, &reason)?;
            Ok(None)
        }
    }
}

/// Drops the copy of a media.
pub(super) fn delete(work: &Work<'_>, media_id: MediaId) -> Answer<()> {
    work.run("DELETE FROM failed WHERE media_id = ?1", [media_id.blob()])?;
    Ok(())
}
