//! How a bot gets its jobs back: page by page, and with them leases for the workers here, as many as have room.
//!
//! A page is asked for with places that are kept free for it. Whoever takes the answer, or waits for it no
//! longer, gives back those that no job got; a lease that comes and has no place any more is given back as well.

use serde::{Deserialize, Serialize};

use super::Bot;
use super::lifecycle::Start;
use crate::context::Context;
use crate::id::LeaseToken;
use crate::job::Job;
use crate::job::offer::LeaseOffer;
use crate::signal::PoolSignal;
use crate::store::{JobCursor, JobPage, StoreReply, StoreRequest};
use crate::time::Timestamp;

/// How many jobs are restored at a time.
const PAGE: u32 = 250;

/// A page that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Restore {
    after: Option<JobCursor>,
    /// At most one of a pool; without places while none are kept for it.
    offers: Vec<LeaseOffer>,
    /// When the leases were first asked for: they end, for us, as if they had begun then.
    asked_at: Timestamp,
}

impl Restore {
    /// The leases that it may give.
    pub fn tokens(&self) -> Vec<LeaseToken> {
        self.offers.iter().map(|offer| offer.lease.token).collect()
    }

    /// Where the page behind this one begins.
    pub fn behind(&self, page: &JobPage) -> Option<JobCursor> {
        page.behind(self.after)
    }

    /// Takes places for it. Asked again, it has the same leases, for they may have been given; those that
    /// would begin half spent are given up.
    pub fn offer(&mut self, cx: &mut Context<'_>) {
        if cx.is_half_spent(self.asked_at) {
            self.offers.clear();
            self.asked_at = cx.now;
        }
        for (pool, count) in cx.board.offer(PAGE as usize) {
            let places = u32::try_from(count).unwrap_or(PAGE);
            match self.offers.iter_mut().find(|offer| offer.pool == pool) {
                Some(offer) => offer.places = places,
                None => self.offers.push(LeaseOffer { pool, lease: cx.lease_request(), places }),
            }
        }
    }

    /// Gives back the places that no job got.
    pub fn withdraw(&mut self, cx: &mut Context<'_>) {
        for offer in self.offers.iter_mut().filter(|offer| offer.places > 0) {
            cx.unreserve(&offer.pool, offer.places as usize);
            offer.places = 0;
        }
    }
}

impl Bot {
    /// Asks for the page behind `after`.
    pub(super) fn restore(&mut self, cx: &mut Context<'_>, after: Option<JobCursor>) {
        let restore = Restore { after, offers: Vec::new(), asked_at: cx.now };
        self.ask_lifecycle(cx, Start::Restore(restore));
    }

    pub(super) fn restore_request(&self, cx: &Context<'_>, restore: &Restore) -> StoreRequest {
        let Restore { after, offers, .. } = restore;
        let (fence, after, offers) = (self.fence(), *after, offers.clone());
        let routing = Some(cx.board.routing());
        StoreRequest::RestoreBot { fence, after, limit: PAGE, offers, routing }
    }

    /// Takes a page in, and hands its leases to the workers.
    pub(super) fn take_page(
        &mut self,
        cx: &mut Context<'_>,
        mut restore: Restore,
        reply: &StoreReply,
        page: &JobPage,
    ) {
        for job in &page.jobs {
            self.take_job(cx, reply, job);
            let Some(offer) = offer_of(&mut restore.offers, job) else { continue };
            // Each job takes a place that was kept for it; one that has none, because there are fewer than
            // when the page was first asked for, is given back.
            let (media_id, token) = (job.media_id, offer.lease.token);
            if offer.places == 0 || job.pool != offer.pool {
                cx.tell_pools(PoolSignal::LeasedInVain { media_id, token });
                continue;
            }
            offer.places -= 1;
            let (job, lease, asked_at) = (Box::new(job.clone()), offer.lease, restore.asked_at);
            cx.tell_pools(PoolSignal::Leased { job, lease, asked_at });
        }
        restore.withdraw(cx);
    }
}

/// The offer under whose lease a job is held.
fn offer_of<'o>(offers: &'o mut [LeaseOffer], job: &Job) -> Option<&'o mut LeaseOffer> {
    let token = job.lease()?.token;
    offers.iter_mut().find(|offer| offer.lease.token == token)
}
