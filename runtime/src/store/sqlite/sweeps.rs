//! The janitor's sweeps: lost workers, jobs that waited too long, and records kept long enough.
//!
//! Each handles at most as many records as asked for and is safe to repeat; a record that cannot be
//! read is set aside and the sweep goes on.

use anteroom_core::id::{BotId, Epoch, MediaId, WorkerId};
use anteroom_core::job::{Command, Job, Status};
use anteroom_core::store::Swept;
use anteroom_core::time::Millis;
use rusqlite::Params;

use super::columns::{AsBlob, id_at, moment};
use super::failure::Answer;
use super::work::{Work, page_size};
use super::{bots, failed_copies, job_rows};

/// Leases that have ended, in any place.
pub(super) const LEASE_ENDED: &str = "SELECT media_id, body FROM jobs
     WHERE lease_expires_at <= ?1 ORDER BY lease_expires_at LIMIT ?2";

/// Active jobs of a bot that wait since before a moment.
pub(super) const WAITING_ACTIVE: &str = "SELECT media_id, body FROM jobs
     WHERE bot_id = ?1 AND place = 'active' AND status = 'pending' AND active_since < ?2
     ORDER BY active_since LIMIT ?3";

/// Holding jobs that wait since before a moment.
pub(super) const WAITING_HOLDING: &str = "SELECT media_id, body FROM jobs
     WHERE place = 'holding' AND status = 'pending' AND held_at < ?1
     ORDER BY held_at LIMIT ?2";

/// Failed copies from before a moment whose files no open job needs.
pub(super) const KEPT_FAILED: &str = "SELECT media_id FROM failed WHERE failed_at < ?1
        AND NOT EXISTS (SELECT 1 FROM jobs
            WHERE jobs.media_id = failed.media_id AND status <> 'completed')
     ORDER BY failed_at LIMIT ?2";

/// Archived messages that ended before a moment, and whether each is its correspondent's highest.
pub(super) const KEPT_ARCHIVED: &str =
    "SELECT position, NOT EXISTS (SELECT 1 FROM archive AS higher
            WHERE higher.correspondent = archive.correspondent
                AND higher.provider_name = archive.provider_name
                AND higher.id > archive.id)
     FROM archive WHERE ended_at < ?1 AND retained = 0 ORDER BY ended_at LIMIT ?2";

/// Confirmed sends from before a moment.
pub(super) const KEPT_SENDS: &str = "SELECT position FROM sends WHERE sent_at < ?1
     ORDER BY sent_at LIMIT ?2";

/// Whether a media is known anywhere.
pub(super) const KNOWN: &str = "SELECT 1 FROM jobs WHERE media_id = ?1
     UNION ALL SELECT 1 FROM failed WHERE media_id = ?1
     UNION ALL SELECT 1 FROM quarantine WHERE media_id = ?1";

/// How many rows that stay one sweep of the archive may meet before it leaves the rest to the next.
const PASSED_OVER_MAX: u32 = 10_000;

/// How many sends one sweep drops. Nobody asks again for their sake, and a bot may send more than it is sent.
const SENDS_MAX: i64 = 10_000;

/// How long jobs may wait.
#[derive(Clone, Copy)]
pub(super) struct TimesToLive {
    pub(super) active: Millis,
    pub(super) holding: Millis,
}

/// Takes ended leases away.
pub(super) fn reclaim_leases(work: &Work<'_>, limit: u32) -> Answer<Vec<Swept>> {
    let params = (moment(work.now), rows(limit));
    sweep(work, LEASE_ENDED, params, &Command::Reclaim)
}

/// Ends jobs that waited too long: active ones of the running bots, holding ones of any bot.
pub(super) fn expire_jobs(
    work: &Work<'_>,
    running: &[(BotId, Epoch)],
    ttls: TimesToLive,
    limit: u32,
) -> Answer<Vec<Swept>> {
    let command = Command::Expire { active_ttl: ttls.active, holding_ttl: ttls.holding };
    let mut swept = Vec::new();
    for (bot_id, epoch) in running {
        if bots::owns(work, bot_id, *epoch)? {
            let since = moment(work.now.minus(ttls.active));
            let params = (bot_id.as_str(), since, rows_left(limit, &swept));
            swept.extend(sweep(work, WAITING_ACTIVE, params, &command)?);
        }
    }
    // Nobody vouches here that the bot of an active job is running.
    let active_ttl = Millis::from_ms(u64::MAX);
    let command = Command::Expire { active_ttl, holding_ttl: ttls.holding };
    let since = moment(work.now.minus(ttls.holding));
    let params = (since, rows_left(limit, &swept));
    swept.extend(sweep(work, WAITING_HOLDING, params, &command)?);
    Ok(swept)
}

/// Applies a sweep's command to the jobs that a query finds.
fn sweep(work: &Work<'_>, sql: &str, params: impl Params, command: &Command) -> Answer<Vec<Swept>> {
    let mut swept = Vec::new();
    for job in job_rows::select(work, sql, params)?.jobs {
        match job_rows::apply(work, &job, command)? {
            Ok(Some(changed)) => swept.push(report(&job, &changed)),
            Ok(None) => {}
            // The columns asked for the sweep and the body forbids it: they are brought in line.
            Err(_) => job_rows::update(work, &job)?,
        }
    }
    Ok(swept)
}

fn report(before: &Job, after: &Job) -> Swept {
    let worker_id: Option<WorkerId> = before.lease().map(|lease| lease.worker_id);
    Swept {
        bot_id: after.bot_id.clone(),
        media_id: after.media_id,
        pool: after.pool.clone(),
        worker_id,
        completed: matches!(after.status, Status::Completed { .. }),
    }
}

/// Those of the media that a job, a failed copy or a record set aside knows.
pub(super) fn known_media(work: &Work<'_>, media_ids: &[MediaId]) -> Answer<Vec<MediaId>> {
    let mut known = Vec::new();
    for &media_id in media_ids {
        if work.exists(KNOWN, [media_id.blob()])? {
            known.push(media_id);
        }
    }
    Ok(known)
}

/// Drops failed copies, and returns the media whose files nothing needs any more.
pub(super) fn forget_failed(
    work: &Work<'_>,
    retention: Millis,
    limit: u32,
) -> Answer<Vec<MediaId>> {
    let before = moment(work.now.minus(retention));
    let forgotten = work.all(KEPT_FAILED, (before, rows(limit)), |row| id_at(row, 0))?;
    for media_id in &forgotten {
        failed_copies::delete(work, *media_id)?;
    }
    Ok(forgotten)
}

/// Drops archived messages, and with them the keys of sends that were confirmed as long ago; returns
/// how many messages.
///
/// A correspondent's highest row is passed over once and then out of the sweep's way, until a higher
/// one is archived: what is kept for ever is not looked at for ever.
pub(super) fn forget_archived(work: &Work<'_>, retention: Millis, limit: u32) -> Answer<u32> {
    let before = moment(work.now.minus(retention));
    let (mut forgotten, mut passed_over) = (0, 0);
    while forgotten < limit && passed_over < PASSED_OVER_MAX {
        let params = (before, rows(limit - forgotten));
        let ended = work.all(KEPT_ARCHIVED, params, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?))
        })?;
        if ended.is_empty() {
            break;
        }
        for (position, highest) in ended {
            if highest {
                work.run("UPDATE archive SET retained = 1 WHERE position = ?1", [position])?;
                passed_over += 1;
            } else {
                work.run("DELETE FROM archive WHERE position = ?1", [position])?;
                forgotten += 1;
            }
        }
    }
    for position in work.all(KEPT_SENDS, (before, SENDS_MAX), |row| row.get::<_, i64>(0))? {
        work.run("DELETE FROM sends WHERE position = ?1", [position])?;
    }
    Ok(forgotten)
}

fn rows(limit: u32) -> i64 {
    i64::try_from(page_size(limit)).unwrap_or(i64::MAX)
}

fn rows_left(limit: u32, swept: &[Swept]) -> i64 {
    i64::try_from(page_size(limit).saturating_sub(swept.len())).unwrap_or(i64::MAX)
}
