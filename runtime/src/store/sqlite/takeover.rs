//! Taking over what an earlier process left behind.
//!
//! The directory's lock proves that no earlier process lives: no bot has an owner, and every lease is
//! that of a lost worker, whatever its expiry says. Epochs stay, so the next owner gets a new one.

use anteroom_core::job::{Command, Job, Lease, Status};

use super::failure::Answer;
use super::job_rows;
use super::work::Work;

/// How many leases are reclaimed at a time.
const CHUNK_JOBS: i64 = 500;

/// Jobs under a lease.
const LEASED: &str = "SELECT media_id, body FROM jobs WHERE lease_expires_at IS NOT NULL
     ORDER BY lease_expires_at LIMIT ?1";

/// Frees all bots and names, and reclaims all leases, in one transaction.
pub(super) fn take_over(work: &Work<'_>) -> Answer<()> {
    let transaction = work.connection.unchecked_transaction()?;
    work.run("UPDATE ownership SET node_id = NULL, expires_at = NULL", [])?;
    work.run("DELETE FROM singletons", [])?;
    let mut reclaimed_jobs = 0_u64;
    loop {
        let leased = job_rows::select(work, LEASED, [CHUNK_JOBS])?;
        if leased.rows == 0 {
            break;
        }
        for job in leased.jobs {
            reclaim(work, &job)?;
            reclaimed_jobs += 1;
        }
    }
    transaction.commit()?;
    if reclaimed_jobs > 0 {
        tracing::info!(reclaimed_jobs, "leases of an earlier process reclaimed");
    }
    Ok(())
}

/// Ends a lease, because its holder has ended, and takes it away.
fn reclaim(work: &Work<'_>, job: &Job) -> Answer<()> {
    let ended = match &job.status {
        Status::Processing { lease } => {
            let lease = Lease { expires_at: work.now.min(lease.expires_at), ..*lease };
            Job { status: Status::Processing { lease }, ..job.clone() }
        }
        Status::Pending | Status::Completed { .. } => job.clone(),
    };
    match job_rows::apply(work, &ended, &Command::Reclaim)? {
        Ok(_) => Ok(()),
        // The columns spoke of a lease and the body knows none: they are brought in line.
        Err(_) => job_rows::update(work, &ended),
    }
}
