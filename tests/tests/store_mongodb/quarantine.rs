//! Documents that cannot be read: set aside, and in nobody's way.

use anteroom_core::id::{ArchiveSeq, Attempt};
use anteroom_core::job::ReleaseReason;
use anteroom_core::store::{Release, StoreReply, StoreRequest};
use anteroom_core::time::Millis;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, ended, failure, id, item, item_of_lease, job, lease, media, of_each, text,
};
use mongodb::bson::{Document, doc};

use super::Place;

/// Takes away what a document needs to be read.
async fn spoil(place: &Place, collection: &str, filter: Document, field: &str) {
    let collection = place.database.collection::<Document>(collection);
    let spoiling = collection.update_many(filter, doc! { "$unset": { field: "" } });
    assert!(spoiling.await.expect("the server answers").modified_count > 0);
}

async fn set_aside(place: &Place) -> Vec<String> {
    let quarantine = place.database.collection::<Document>("quarantine");
    let found = quarantine.distinct("source", doc! {}).await.expect("the server answers");
    found.iter().filter_map(|source| source.as_str().map(str::to_owned)).collect()
}

/// Goal: a back-off whose end is missing, or is no time, stops no other back-off from ending. Method: one of
/// two jobs in back-off is spoilt; the other's time comes.
#[tokio::test]
async fn a_back_off_without_an_end_is_in_nobodys_way() {
    for change in
        [doc! { "$unset": { "not_before": "" } }, doc! { "$set": { "not_before": "soon" } }]
    {
        let place = Place::new().await;
        let store = place.open().await;
        let rig = Rig::new(&store, &place.clock);
        let fence = rig.bot("b").await;
        for n in [1, 2] {
            rig.inserted_leased(&fence, &job(&fence, "c", n, n, place.clock.now()), lease(n)).await;
            let (token, delay) = (lease(n).token, Millis::from_secs(5));
            let reason = ReleaseReason::Transient;
            rig.release(Release { media_id: media(n), token, delay, reason }).await;
        }
        let jobs = place.database.collection::<Document>("media_processing_jobs");
        let spoiling = jobs.update_one(doc! { "message_id": 1_i64 }, change);
        assert_eq!(spoiling.await.expect("the server answers").modified_count, 1);
        place.clock.advance(Millis::from_secs(5));
        let claimed = rig.claim_once(POOL, lease(9), 2).await;
        assert!(claimed.jobs.iter().any(|job| job.media_id == media(2)));
    }
}

/// Goal: a job that cannot be read stops neither a claim nor a restore nor a sweep, and those beside it
/// are served; its message id stays taken, and its file known.
#[tokio::test]
async fn a_job_that_cannot_be_read_is_in_nobodys_way() {
    for way in ["claim", "restore", "reclaim", "hold", "restore leased", "hold leased"] {
        let place = Place::new().await;
        let store = place.open().await;
        let rig = Rig::new(&store, &place.clock);
        let fence = rig.bot("b").await;
        for n in [1, 2] {
            let new = job(&fence, "c", n, n, place.clock.now());
            match way {
                "reclaim" | "restore leased" | "hold leased" => {
                    rig.inserted_leased(&fence, &new, lease(n)).await;
                }
                _ => rig.inserted(&fence, &new).await,
            }
        }
        let first = doc! { "message_id": 1_i64 };
        let needed = if way.ends_with("leased") { "lease" } else { "placeholder_message" };
        spoil(&place, "media_processing_jobs", first, needed).await;
        let served: Vec<_> = match way {
            "claim" => {
                let claimed = rig.claim_once(POOL, lease(9), 2).await;
                claimed.jobs.iter().map(|job| job.media_id).collect()
            }
            "restore" | "restore leased" => {
                rig.restore(&fence).await.iter().map(|job| job.media_id).collect()
            }
            "hold" | "hold leased" => {
                assert_eq!(rig.hold(&fence).await, 1);
                vec![media(2)]
            }
            _ => {
                place.clock.advance(TTL);
                rig.reclaim().await.iter().map(|swept| swept.media_id).collect()
            }
        };
        assert_eq!(served, [media(2)], "{way}");
        assert_eq!(set_aside(&place).await, ["media_processing_jobs"], "{way}");
        assert_eq!(rig.known(vec![media(1), media(2), media(3)]).await, [media(1), media(2)]);
        assert_eq!(rig.next_id(&fence, "c").await, id(3), "{way}");
    }
}

/// Goal: no job stays held because those in front of it cannot be read. Method: of four held jobs two are spoilt; a
/// younger one is active; pages of two are restored.
#[tokio::test]
async fn no_job_is_passed_over_where_a_page_has_lost_some() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=4 {
        rig.inserted(&fence, &job(&fence, "c", n, n, place.clock.now())).await;
        place.clock.advance(Millis::from_secs(1));
    }
    rig.hold(&fence).await;
    rig.inserted(&fence, &job(&fence, "c", 5, 5, place.clock.now())).await;
    let first = doc! { "message_id": { "$in": [1_i64, 2] } };
    spoil(&place, "media_processing_jobs_holding", first, "placeholder_message").await;
    let mut restored = Vec::new();
    let mut after = None;
    loop {
        let (fence, offers, routing) = (fence.clone(), Vec::new(), None);
        let request = StoreRequest::RestoreBot { fence, after, limit: 2, offers, routing };
        let StoreReply::RestoreBot(page) = rig.ask(request).await else { panic!("a page") };
        after = page.behind(after);
        restored.extend(page.jobs.iter().map(|job| job.media_id));
        if !page.more {
            break;
        }
    }
    assert_eq!(restored, [media(3), media(4), media(5)]);
}

/// Goal: an archived message that cannot be read does not stop the outbox, and its id stays taken.
#[tokio::test]
async fn a_message_that_cannot_be_read_does_not_stop_the_outbox() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in [1, 2] {
        rig.archived(&fence, item("c", text(n))).await;
    }
    spoil(&place, "queues", doc! { "id": 2_i64 }, "message").await;
    let owed = rig.owed(&fence).await;
    assert_eq!(owed.iter().map(|callback| callback.message.id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(set_aside(&place).await, ["queues"]);
    assert_eq!(rig.next_id(&fence, "c").await, id(3));
}

/// Goal: in the place of a message that cannot be read come the next ones, for a page that is not full says
/// that there are no more.
#[tokio::test]
async fn a_page_of_correspondents_is_full_around_what_cannot_be_read() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for (correspondent, n) in [("c", 1), ("d", 1), ("c", 2), ("c", 3), ("c", 4)] {
        rig.archived(&fence, item(correspondent, text(n))).await;
    }
    spoil(&place, "queues", doc! { "id": { "$in": [2_i64, 3] } }, "message").await;
    place.clock.advance(TTL);
    let fence = rig.acquired("b", 2).await;
    let scope = of_each(&[("c", ArchiveSeq(0), 2), ("d", ArchiveSeq(0), 2)]);
    let (page, more) = rig.owed_page(&fence, scope, 4).await;
    let found: Vec<_> = page.iter().map(|callback| callback.message.id).collect();
    assert_eq!((found, more), (vec![id(1), id(4), id(1)], true));
    assert!(page.iter().all(|callback| callback.attempt == Attempt(2)), "raised once: {page:?}");
}

/// Goal: a failed copy that cannot be read stops neither a retry nor the sweep.
#[tokio::test]
async fn a_failed_copy_that_cannot_be_read_is_in_nobodys_way() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in [1, 2] {
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, place.clock.now()), lease(n)).await;
        rig.archived(&fence, item_of_lease("c", ended(n, n, failure()), n)).await;
    }
    let failed = "media_processing_jobs_failed";
    spoil(&place, failed, doc! { "job.message_id": 1_i64 }, "job").await;
    rig.retry(media(1)).await;
    assert_eq!(set_aside(&place).await, [failed]);
    assert_eq!(rig.known(vec![media(1)]).await, [media(1)], "its file stays known");
    place.clock.advance(Millis::from_hours(1));
    let forget = StoreRequest::ForgetFailed { retention: Millis::ZERO, limit: 10 };
    assert_eq!(rig.ask(forget).await, StoreReply::ForgetFailed(vec![media(2)]));
}
