//! How a bot gets its jobs back: page by page, and with them leases for the workers here, as many as have room.
//!
//! A page is asked for with places that are kept free for it. Whoever takes the answer, or gives it up, gives
//! back those that no job got; a lease that comes when nobody waits for it any more is given back as well.

use serde::{Deserialize, Serialize};

use super::Bot;
use super::lifecycle::Start;
use crate::context::Context;
use crate::id::{LeaseToken, MediaId};
use crate::job::Job;
use crate::job::offer::LeaseOffer;
use crate::signal::PoolSignal;
use crate::store::{JobPage, StoreReply, StoreRequest};
use crate::time::Timestamp;

/// How many jobs are restored at a time.
const PAGE: u32 = 250;

/// A page that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Restore {
    after: Option<MediaId>,
    offers: Vec<LeaseOffer>,
    /// When it was first asked for: its leases end, for us, as if they had begun then.
    asked_at: Timestamp,
}

impl Restore {
    /// The leases that it may give.
    pub fn tokens(&self) -> Vec<LeaseToken> {
        self.offers.iter().map(|offer| offer.lease.token).collect()
    }

    /// Gives all offered places back.
    pub fn withdraw(self, cx: &mut Context<'_>) {
        unreserve(cx, &self.offers);
    }
}

impl Bot {
    /// Asks for the page behind `after`.
    pub(super) fn restore(&mut self, cx: &mut Context<'_>, after: Option<MediaId>) {
        let offered = cx.board.offer(PAGE as usize);
        let offers = offered.into_iter().map(|(pool, places)| {
            let places = u32::try_from(places).unwrap_or(PAGE);
            LeaseOffer { pool, lease: cx.lease_request(), places }
        });
        let restore = Restore { after, offers: offers.collect(), asked_at: cx.now };
        self.ask_lifecycle(cx, Start::Restore(restore));
    }

    pub(super) fn restore_request(&self, restore: &Restore) -> StoreRequest {
        let Restore { after, offers, .. } = restore;
        let (fence, after, offers) = (self.fence(), *after, offers.clone());
        StoreRequest::RestoreBot { fence, after, limit: PAGE, offers }
    }

    /// Takes a page in, and hands its leases to the workers.
    pub(super) fn take_page(
        &mut self,
        cx: &mut Context<'_>,
        restore: Restore,
        reply: &StoreReply,
        page: &JobPage,
    ) {
        let Restore { mut offers, asked_at, .. } = restore;
        for job in &page.jobs {
            self.take_job(cx, reply, job);
            let Some(offer) = offer_of(&mut offers, job) else { continue };
            // Each job takes a place that was kept for it; one that has none is left to its lease.
            if offer.places == 0 || job.pool != offer.pool {
                cx.unexpected(format!("bot {}: no place for job {}", self.id, job.media_id));
                continue;
            }
            offer.places -= 1;
            let (job, lease) = (Box::new(job.clone()), offer.lease);
            cx.tell_pools(PoolSignal::Leased { job, lease, asked_at });
        }
        unreserve(cx, &offers);
    }
}

/// The offer under whose lease a job is held.
fn offer_of<'o>(offers: &'o mut [LeaseOffer], job: &Job) -> Option<&'o mut LeaseOffer> {
    let token = job.lease()?.token;
    offers.iter_mut().find(|offer| offer.lease.token == token)
}

/// Gives back the places that no job got.
fn unreserve(cx: &mut Context<'_>, offers: &[LeaseOffer]) {
    for LeaseOffer { pool, places, .. } in offers.iter().filter(|offer| offer.places > 0) {
        cx.unreserve(pool, *places as usize);
    }
}
