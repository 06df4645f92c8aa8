//! Documents that cannot be read: set aside, and in nobody's way.

use anteroom_core::id::{ArchiveSeq, Attempt};
use anteroom_core::job::ReleaseReason;
use anteroom_core::store::{Release, StoreError, StoreReply, StoreRequest};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, acknowledged, ended, failure, id, item, item_of_lease, job, key, lease, media,
    of_each, text,
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
        let (fence, offers) = (fence.clone(), Vec::new());
        let request = StoreRequest::RestoreBot { fence, after, limit: 2, offers, routing: None };
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

/// Puts a document in another's place that is the same but for what a change makes of it, its id included.
async fn replace(place: &Place, collection: &str, filter: Document, change: fn(&mut Document)) {
    let collection = place.database.collection::<Document>(collection);
    let found = collection.find_one_and_delete(filter).await.expect("the server answers");
    let mut document = found.expect("it is there");
    change(&mut document);
    collection.insert_one(document).await.expect("the server answers");
}

/// Three waiting jobs, the first the oldest.
async fn three_jobs(rig: &Rig<'_>) {
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        rig.inserted(&fence, &job(&fence, "c", n, n, rig.clock.now())).await;
        rig.clock.advance(Millis::from_ms(1));
    }
}

/// Goal: a waiting job whose id or bot cannot be read does not keep the others of its pool from being claimed.
/// Method: of three jobs the oldest is spoilt; fewer are claimed than there are, and more.
#[tokio::test]
async fn a_job_without_an_id_or_a_bot_stops_no_claim() {
    let changes: [fn(&mut Document); 2] =
        [|job| drop(job.insert("_id", "odd")), |job| drop(job.remove("bot_id"))];
    for (change, limit) in changes.into_iter().flat_map(|change| [(change, 1), (change, 9)]) {
        let place = Place::new().await;
        let store = place.open().await;
        let rig = Rig::new(&store, &place.clock);
        three_jobs(&rig).await;
        replace(&place, "media_processing_jobs", doc! { "message_id": 1_i64 }, change).await;
        let claimed = rig.claim_once(POOL, lease(9), limit).await;
        let claimed: Vec<_> = claimed.jobs.iter().map(|job| job.media_id).collect();
        assert_eq!(claimed, if limit == 1 { vec![media(2)] } else { vec![media(2), media(3)] });
        assert_eq!(set_aside(&place).await, ["media_processing_jobs"]);
    }
}

/// Goal: a job whose claims cannot be counted does not keep the others of its pool from being claimed. Method: the
/// second of three says "many"; the claim is asked again, as the core does it.
#[tokio::test]
async fn a_job_that_cannot_be_counted_stops_no_claim() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    three_jobs(&rig).await;
    let change = |job: &mut Document| drop(job.insert("claims", "many"));
    replace(&place, "media_processing_jobs", doc! { "message_id": 2_i64 }, change).await;
    let claim =
        StoreRequest::Claim { pool: POOL.into(), after_bot: None, lease: lease(9), limit: 9 };
    let first = store.execute(claim).await;
    assert!(matches!(first, Err(StoreError::Unavailable { .. })), "{first:?}");
    // What was leased before is what the repetition brings.
    for (token, number) in [(9, 1), (10, 3)] {
        let claimed = rig.claim_once(POOL, lease(token), 9).await;
        let claimed: Vec<_> = claimed.jobs.iter().map(|job| job.media_id).collect();
        assert_eq!(claimed, [media(number)]);
    }
    assert_eq!(set_aside(&place).await, ["media_processing_jobs"]);
}

/// Goal: a failed copy and an archived message that cannot be read stop no sweep. Method: a copy as an earlier
/// backend wrote them, and a message without its bot, are the oldest that are due.
#[tokio::test]
async fn what_cannot_be_read_stops_no_sweep() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, place.clock.now()), lease(n)).await;
        rig.archived(&fence, item_of_lease("c", ended(n, n, failure()), n)).await;
        rig.mark(&fence, acknowledged(key("c", n, 0))).await;
        place.clock.advance(Millis::from_ms(1));
    }
    let (failed, queues) = ("media_processing_jobs_failed", "queues");
    replace(&place, failed, doc! { "job.message_id": 1_i64 }, |copy| {
        copy.insert("_id", mongodb::bson::oid::ObjectId::new());
        copy.remove("failed_at");
    })
    .await;
    replace(&place, queues, doc! { "id": 1_i64 }, |row| drop(row.remove("bot_id"))).await;
    place.clock.advance(Millis::from_hours(1));
    let (retention, limit) = (Millis::ZERO, 10);
    let StoreReply::ForgetFailed(mut forgotten) =
        rig.ask(StoreRequest::ForgetFailed { retention, limit }).await
    else {
        panic!("failed copies are dropped")
    };
    forgotten.sort();
    assert_eq!(forgotten, [media(2), media(3)]);
    let forget = StoreRequest::ForgetArchived { retention, limit };
    assert_eq!(rig.ask(forget).await, StoreReply::ForgetArchived(1), "the last one is the highest");
    let mut aside = set_aside(&place).await;
    aside.sort();
    assert_eq!(aside, [failed, queues]);
}

/// Goal: a question whose index is being made anew is asked again later, for there is nothing wrong with it.
#[tokio::test]
async fn an_index_that_is_not_there_is_waited_for() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, place.clock.now())).await;
    let held = place.database.collection::<Document>("media_processing_jobs_holding");
    held.drop_index("bot_id_status").await.expect("it is there");
    let (after, offers, routing) = (None, Vec::new(), None);
    let restore = StoreRequest::RestoreBot { fence, after, limit: 9, offers, routing };
    let answer = store.execute(restore).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
}
