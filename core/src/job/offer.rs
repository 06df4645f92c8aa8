//! Free places of a node that are offered while a bot is restored, so that its jobs are leased as they become
//! active, and need no claim.

use serde::{Deserialize, Serialize};

use crate::id::PoolName;
use crate::job::{Command, Job, LeaseRequest, Status};
use crate::pool::routing::Routing;
use crate::time::Timestamp;

/// Free places in a pool of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseOffer {
    /// Which pool.
    pub pool: PoolName,
    /// The lease of each job that gets a place.
    pub lease: LeaseRequest,
    /// How many places.
    pub places: u32,
}

/// A page of a bot's jobs as it is restored: activated, those that wait in the pools of `routing` if there is one,
/// and leased where a job gets an offered place.
///
/// Of an offer's pool the first jobs that could be claimed, which are the oldest, get its places. A job that holds
/// an offer's lease already has a place of it, so that asking again gives nothing more. O(offers × jobs).
pub fn restored(
    jobs: &[Job],
    offers: &[LeaseOffer],
    routing: Option<&Routing>,
    now: Timestamp,
) -> Vec<Job> {
    // Activating has no guard, and neither command removes a job.
    let applied =
        |job: &Job, command| job.apply(&command, now).ok().and_then(|applied| applied.job);
    let mut jobs: Vec<Job> = jobs.to_vec();
    for job in &mut jobs {
        if let Some(activated) = applied(job, Command::Activate) {
            *job = activated;
        }
        if let Some(routing) = routing.filter(|_| job.status == Status::Pending) {
            job.reroute(routing);
        }
    }
    let leases = leases(&jobs, offers, now);
    for (job, lease) in jobs.iter_mut().zip(leases) {
        if let Some(leased) = lease.and_then(|lease| applied(job, Command::Claim(lease))) {
            *job = leased;
        }
    }
    jobs
}

/// The leases that offers give to active jobs, one or none a job, in their order.
fn leases(jobs: &[Job], offers: &[LeaseOffer], now: Timestamp) -> Vec<Option<LeaseRequest>> {
    let mut leases = vec![None; jobs.len()];
    for LeaseOffer { pool, lease, places } in offers {
        let is_held = |job: &&Job| job.lease().is_some_and(|held| held.token == lease.token);
        let taken = jobs.iter().filter(is_held).count();
        let free = (*places as usize).saturating_sub(taken);
        let is_claimable = |job: &Job| {
            job.pool == *pool
                && job.status == Status::Pending
                && job.not_before.is_none_or(|moment| moment <= now)
        };
        let claimable = jobs
            .iter()
            .zip(&mut leases)
            .filter(|(job, given)| is_claimable(job) && given.is_none());
        for (_, given) in claimable.take(free) {
            *given = Some(*lease);
        }
    }
    leases
}
