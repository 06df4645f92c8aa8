//! Fencing: a former owner changes nothing.

use std::sync::Arc;

use anteroom_core::id::{ArchiveSeq, Attempt, Epoch};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::store::{CallbackPlan, Fence, MarkAnswer, OwedScope, StoreError, StoreRequest};
use anteroom_runtime::store::Store;

use super::fixtures::{
    POOL, TTL, acknowledged, ended, id, item, job, key, lease, media, placeholder, text, unleased,
    words,
};
use super::rig::MANY;
use super::{Rig, TestClock};

/// Every request that carries a fence, each of which would do something for the rightful owner of the
/// bot that [`every_fenced_request_refuses_a_former_owner`] sets up.
fn fenced_requests(fence: &Fence, rig: &Rig<'_>) -> Vec<StoreRequest> {
    let fence = || fence.clone();
    let new = job(&fence(), "c", 50, 50, rig.clock.now());
    let offers = vec![LeaseOffer { pool: POOL.into(), lease: lease(50), places: MANY }];
    vec![
        StoreRequest::ReleaseBot(fence()),
        StoreRequest::RestoreBot {
            fence: fence(),
            after: None,
            limit: MANY,
            offers,
            routing: None,
        },
        StoreRequest::InsertJobs { fence: fence(), jobs: vec![unleased(new)] },
        StoreRequest::Archive { fence: fence(), items: vec![item("c", text(60))] },
        StoreRequest::Revise {
            fence: fence(),
            media_id: media(3),
            revision: 1,
            message: Arc::new(ended(3, 3, words("again"))),
            correspondent_id: "c".into(),
            callback: CallbackPlan::Owed,
        },
        StoreRequest::CompletedJobs { fence: fence(), after: None, limit: MANY },
        StoreRequest::OwedCallbacks {
            fence: fence(),
            scope: OwedScope::Bot { after: ArchiveSeq(0), except: Vec::new() },
            limit: MANY,
        },
        StoreRequest::RaiseAttempts { fence: fence(), callbacks: vec![(key("c", 1, 0), 7)] },
        StoreRequest::MarkCalledBack { fence: fence(), marks: vec![acknowledged(key("c", 1, 0))] },
        StoreRequest::Redeliver { fence: fence(), key: key("c", 1, 0), attempts: Attempt(1) },
        StoreRequest::OwedSends { fence: fence(), limit: MANY },
        StoreRequest::MarkSent { fence: fence(), sent: vec![("s".into(), "p".into())] },
        StoreRequest::HoldBot(fence()),
    ]
}

/// Goal: once a bot has a new owner, the old epoch is refused everywhere and changes nothing; so is an
/// epoch that nobody was given. Method: every fenced request, then a look at all that it could have
/// changed.
pub async fn every_fenced_request_refuses_a_former_owner(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let old = rig.bot("b").await;
    rig.archived(&old, item("c", text(1))).await;
    let waiting = job(&old, "c", 2, 2, clock.now());
    rig.inserted(&old, &waiting).await;
    clock.advance(TTL);
    let new = rig.acquired("b", 2).await;
    let future = Fence { epoch: Epoch(new.epoch.0 + 1), ..new.clone() };
    let unknown = Fence { bot_id: "unknown".into(), ..new.clone() };
    for fence in [&old, &future, &unknown] {
        for request in fenced_requests(fence, &rig) {
            assert_eq!(rig.refused(request.clone()).await, StoreError::Fenced, "{request:?}");
        }
    }
    assert_eq!(rig.next_id(&new, "c").await, id(3), "nothing was inserted or archived");
    let [owed] = &rig.owed(&new).await[..] else { panic!("one callback is owed") };
    assert_eq!((owed.attempt.0, owed.failures), (2, 0), "no attempt was raised");
    let pool = rig.claim(POOL, None, lease(1), 1).await;
    assert_eq!(pool.jobs.len(), 1, "the job was not moved to holding, nor leased");
}

/// Goal: a former owner is refused as well where there is nothing that its requests could change or find.
pub async fn a_former_owner_of_an_empty_bot_is_refused(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let old = rig.bot("b").await;
    clock.advance(TTL);
    rig.acquired("b", 2).await;
    for request in fenced_requests(&old, &rig) {
        assert_eq!(rig.refused(request.clone()).await, StoreError::Fenced, "{request:?}");
    }
}

/// Goal: the rightful owner is not refused, also after a renewal and another `acquire`.
pub async fn the_owner_passes_every_fence(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(1))).await;
    assert_eq!(rig.acquired("b", 1).await, fence);
    let mut requests = fenced_requests(&fence, &rig);
    requests.rotate_left(1);
    for request in requests {
        rig.ask(request).await;
    }
}

/// Goal: fences are per bot, also where one bot's id begins with another's or reads like a pattern.
pub async fn bots_with_similar_ids_stay_apart(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let ids = ["a", "a%", "a/", "a_", "ab", "A", "ä", "a\u{0}b"];
    for (n, bot_id) in (1..).zip(ids) {
        let fence = rig.bot(bot_id).await;
        let jobs = [job(&fence, "c", 7, n, clock.now())];
        rig.inserted(&fence, &jobs[0]).await;
        rig.archived(&fence, item("c", text(n))).await;
    }
    for (n, bot_id) in (1..).zip(ids) {
        let fence = rig.acquired(bot_id, 1).await;
        let owed = rig.owed(&fence).await;
        assert_eq!(owed.len(), 1, "{bot_id}");
        assert_eq!(owed[0].message.id, id(n), "{bot_id}");
        assert_eq!(rig.hold(&fence).await, 1, "{bot_id}");
    }
}

/// Goal: what was refused changes nothing for the requests around it. Method: a message that makes no
/// sense in the middle of a batch refuses the whole batch, and the batch without it goes through.
pub async fn an_invalid_request_changes_nothing(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let items = vec![item("c", text(1)), item("c", placeholder(2, 2)), item("c", text(3))];
    let request = StoreRequest::Archive { fence: fence.clone(), items: items.clone() };
    assert!(matches!(rig.refused(request).await, StoreError::Invalid { .. }));
    assert!(rig.owed(&fence).await.is_empty());
    let mut other = job(&fence, "c", 4, 4, clock.now());
    other.bot_id = "other".into();
    let jobs = vec![unleased(job(&fence, "c", 5, 5, clock.now())), unleased(other)];
    let request = StoreRequest::InsertJobs { fence: fence.clone(), jobs };
    assert!(matches!(rig.refused(request).await, StoreError::Invalid { .. }));
    assert!(rig.restore(&fence).await.is_empty());
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 0))).await, MarkAnswer::Unknown);
    rig.archived(&fence, items[0].clone()).await;
}
