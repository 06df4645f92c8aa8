//! Records that cannot be read are set aside: one bad record stops nothing.

use anteroom_core::id::{ArchiveSeq, Attempt, BotId, Epoch};
use anteroom_core::store::{
    Fence, MarkAnswer, OperatorAnswer, StoreReply, StoreRequest, TokenAnswer,
};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, acknowledged, ended, failure, id, item, item_of_lease, job, key, lease, media,
    of_each, text, token, words,
};

use crate::Place;

/// A bot with three jobs of one correspondent, each with a lease of the same number if `leased`.
async fn three_jobs(rig: &Rig<'_>, leased: bool) -> Fence {
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        let new = job(&fence, "c", n, n, rig.clock.now());
        match leased {
            true => rig.inserted_leased(&fence, &new, lease(n)).await,
            false => rig.inserted(&fence, &new).await,
        }
    }
    fence
}

/// Makes the body of the second media unreadable.
fn spoil(place: &Place, table: &str) {
    place.tamper(&format!("UPDATE {table} SET body = '{{broken' WHERE hex(media_id) LIKE '%02'"));
}

fn set_aside(place: &Place, table: &str) -> i64 {
    place.count(&format!("SELECT count(*) FROM quarantine WHERE source = '{table}'"))
}

/// Something that meets all three jobs, and how many it is to handle.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Claim,
    Restore,
    Hold,
    Results,
    Reclaim,
    ExpireActive,
    ExpireHolding,
}

impl Step {
    /// Leads the jobs to where the step finds them.
    async fn prepare(self, rig: &Rig<'_>) -> Fence {
        let leased = matches!(self, Self::Results | Self::Reclaim);
        let fence = three_jobs(rig, leased).await;
        match self {
            Self::ExpireHolding => assert_eq!(rig.hold(&fence).await, 3),
            Self::Results => {
                for n in 1..=3 {
                    rig.complete(media(n), token(n), words("x")).await;
                }
            }
            Self::Claim | Self::Restore | Self::Hold | Self::Reclaim | Self::ExpireActive => {}
        }
        rig.clock.advance(Millis::from_hours(1));
        fence
    }

    /// How many jobs it handles.
    async fn take(self, rig: &Rig<'_>, fence: &Fence) -> usize {
        match self {
            Self::Claim => rig.claim(POOL, None, lease(9), 9).await.jobs.len(),
            Self::Restore => rig.restore(fence).await.len(),
            Self::Hold => rig.hold(fence).await as usize,
            Self::Results => rig.completed(fence, None, 9).await.jobs.len(),
            Self::Reclaim => rig.reclaim().await.len(),
            Self::ExpireActive => expire(rig, vec![(fence.bot_id.clone(), fence.epoch)]).await,
            Self::ExpireHolding => expire(rig, Vec::new()).await,
        }
    }
}

async fn expire(rig: &Rig<'_>, running: Vec<(BotId, Epoch)>) -> usize {
    let request = StoreRequest::ExpireJobs {
        running,
        active_ttl: Millis::from_secs(1),
        holding_ttl: Millis::from_secs(1),
        limit: 9,
    };
    match rig.ask(request).await {
        StoreReply::ExpireJobs(swept) => swept.len(),
        other => panic!("expected expired jobs, got {other:?}"),
    }
}

/// Goal: claims, pages and sweeps go on over a job that cannot be read. Method: each of them meets a
/// bad job between two good ones.
#[tokio::test]
async fn a_bad_job_stops_nothing() {
    for step in [
        Step::Claim,
        Step::Restore,
        Step::Hold,
        Step::Results,
        Step::Reclaim,
        Step::ExpireActive,
        Step::ExpireHolding,
    ] {
        let place = Place::new();
        let store = place.open();
        let rig = Rig::new(&store, &place.clock);
        let fence = step.prepare(&rig).await;
        spoil(&place, "jobs");
        assert_eq!(step.take(&rig, &fence).await, 2, "{step:?}");
        assert_eq!(set_aside(&place, "jobs"), 1, "{step:?}");
    }
}

/// Goal: what is set aside keeps its message id taken and its file known, so nothing is mistaken for
/// it; its worker and its operator are told that it is not there.
#[tokio::test]
async fn a_bad_job_keeps_its_id_and_its_file() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 7, 2, place.clock.now()), lease(2)).await;
    spoil(&place, "jobs");
    assert_eq!(rig.complete(media(2), token(2), words("x")).await, TokenAnswer::Stale);
    assert_eq!(rig.discard(media(2)).await, OperatorAnswer::NotFound);
    assert_eq!(set_aside(&place, "jobs"), 1);
    assert_eq!(rig.next_id(&fence, "c").await, id(8));
    assert_eq!(rig.known(vec![media(2)]).await, [media(2)]);
}

/// Goal: a job whose body is another job's is set aside too, and the other one is not touched.
#[tokio::test]
async fn a_job_with_anothers_body_is_set_aside() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = three_jobs(&rig, false).await;
    place.tamper(
        "UPDATE jobs SET body = (SELECT body FROM jobs WHERE hex(media_id) LIKE '%03')
         WHERE hex(media_id) LIKE '%02'",
    );
    let claimed = rig.claim(POOL, None, lease(9), 9).await;
    let claimed: Vec<_> = claimed.jobs.iter().map(|job| job.media_id).collect();
    assert_eq!(claimed, [media(1), media(3)]);
    assert_eq!(rig.restore(&fence).await.len(), 2);
}

/// Goal: a job whose row says another age than its body is set aside by whoever meets it in a page, for the next
/// page begins behind what the body says.
#[tokio::test]
async fn a_job_of_another_age_than_its_row_is_set_aside() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = three_jobs(&rig, false).await;
    place.tamper("UPDATE jobs SET created_at = created_at + 1 WHERE hex(media_id) LIKE '%02'");
    let restored: Vec<_> = rig.restore(&fence).await.iter().map(|job| job.media_id).collect();
    assert_eq!(restored, [media(1), media(3)]);
    assert_eq!(set_aside(&place, "jobs"), 1);
}

/// Goal: where columns and body disagree, the body is right, and a claim neither takes the job nor
/// turns in a circle.
#[tokio::test]
async fn columns_follow_the_body() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, place.clock.now()), lease(1)).await;
    place.tamper("UPDATE jobs SET status = 'pending', lease_token = NULL");
    assert!(rig.claim(POOL, None, lease(2), 9).await.jobs.is_empty());
    assert_eq!(rig.claim(POOL, None, lease(1), 9).await.jobs.len(), 1, "its lease stands");
    rig.inserted(&fence, &job(&fence, "c", 2, 2, place.clock.now())).await;
    place.tamper("UPDATE jobs SET place = 'holding', held_at = 0 WHERE status = 'pending'");
    place.clock.advance(Millis::from_hours(1));
    assert_eq!(expire(&rig, Vec::new()).await, 0, "nobody vouches for the bot of an active job");
    assert_eq!(rig.claim(POOL, None, lease(3), 9).await.jobs.len(), 1);
}

/// Goal: in the place of a message that cannot be read come the next ones, for a page that is not full says
/// that there are no more.
#[tokio::test]
async fn a_page_of_correspondents_is_full_around_what_cannot_be_read() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for (correspondent, n) in [("c", 1), ("d", 1), ("c", 2), ("c", 3), ("c", 4)] {
        rig.archived(&fence, item(correspondent, text(n))).await;
    }
    place.tamper("UPDATE archive SET body = '{broken' WHERE id IN (2, 3)");
    place.clock.advance(TTL);
    let fence = rig.acquired("b", 2).await;
    let scope = of_each(&[("c", ArchiveSeq(0), 2), ("d", ArchiveSeq(0), 2)]);
    let (page, more) = rig.owed_page(&fence, scope, 4).await;
    let found: Vec<_> = page.iter().map(|callback| callback.message.id).collect();
    assert_eq!((found, more), (vec![id(1), id(4), id(1)], true));
    assert!(page.iter().all(|callback| callback.attempt == Attempt(2)), "raised once: {page:?}");
}

/// Goal: pages of owed callbacks go on over a message that cannot be read, and its id stays taken.
#[tokio::test]
async fn a_bad_message_does_not_stop_the_outbox() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        rig.archived(&fence, item("c", text(n))).await;
    }
    place.tamper("UPDATE archive SET body = 'broken' WHERE id > 1");
    let owed = rig.owed(&fence).await;
    assert_eq!((owed.len(), owed[0].message.id), (1, id(1)));
    assert_eq!(set_aside(&place, "archive"), 2);
    assert_eq!(rig.next_id(&fence, "c").await, id(4));
    let answer = rig.mark(&fence, acknowledged(key("c", 1, 0))).await;
    assert_eq!(answer, MarkAnswer::Ended);
}

/// Goal: a failed copy that cannot be read cannot be retried, and is told as not there.
#[tokio::test]
async fn a_bad_copy_cannot_be_retried() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 2, 2, place.clock.now()), lease(2)).await;
    rig.archived(&fence, item_of_lease("c", ended(2, 2, failure()), 2)).await;
    rig.mark(&fence, acknowledged(key("c", 2, 0))).await;
    spoil(&place, "failed");
    assert_eq!(rig.retry(media(2)).await, OperatorAnswer::NotFound);
    assert_eq!(set_aside(&place, "failed"), 1);
}

/// Goal: a bot whose record cannot be read is left out of the list until it is registered anew; its
/// messages and its ownership stay.
#[tokio::test]
async fn a_bad_bot_record_is_registered_anew() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.bot("good").await;
    rig.archived(&fence, item("c", text(1))).await;
    place.tamper("UPDATE bots SET body = '[]' WHERE bot_id = 'b'");
    assert_eq!(store.list_bots().await.unwrap().len(), 1);
    assert_eq!(rig.bot("b").await, fence);
    assert_eq!(store.list_bots().await.unwrap().len(), 2);
    assert_eq!(set_aside(&place, "bots"), 1);
    assert_eq!(rig.next_id(&fence, "c").await, id(2));
}
