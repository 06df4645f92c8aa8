//! Data of the earlier backend: taken over whole, once, also by two nodes at once.

use std::time::Duration;

use anteroom_core::id::MediaId;
use anteroom_core::job::{Place as JobPlace, Status};
use anteroom_core::message::{Extracted, Outcome};
use anteroom_core::settings::JanitorSettings;
use anteroom_core::store::{BotRecord, StoreReply, StoreRequest};
use anteroom_core::time::Millis;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::id;
use mongodb::IndexModel;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;

use super::Place;

/// How many archived messages and jobs there are.
const MESSAGES: i64 = 450;
const JOBS: u128 = 250;

fn guid(n: u128) -> String {
    uuid::Uuid::from_u128(n).hyphenated().to_string()
}

fn message(id: i64) -> Document {
    doc! {
        "id": id,
        "content": format!("text {id}"),
        "sender": { "identifier": "49@s.whatsapp.net", "display_name": "Ada" },
        "source": "user",
        "accepted_time": 1_650_000_000_000_i64 + id,
        "message_size": 6,
        "originating_time": 1_650_000_000_000.0,
        "group": Bson::Null,
        "provider_message_id": format!("p{id}"),
    }
}

fn job(n: u128, message_id: i64, status: &str) -> Document {
    let mut placeholder = message(message_id);
    placeholder.insert("media_processing_id", guid(n));
    doc! {
        "_id": ObjectId::new(),
        "guid": guid(n),
        "bot_id": "b",
        "correspondent_id": "c",
        "placeholder_message": placeholder,
        "mime_type": "audio/ogg; codecs=opus",
        "original_filename": Bson::Null,
        "quota_exceeded": false,
        "status": status,
        "created_at": 1_650_000_000_000_i64,
    }
}

fn resend(mut job: Document, provider_message_id: &str) -> Document {
    let message = job.get_document_mut("placeholder_message").expect("a job has a message");
    message.insert("provider_message_id", provider_message_id);
    job
}

/// What the earlier backend left behind: an archive, jobs in every state, and oddities.
async fn earlier(place: &Place) {
    let put = async |collection: &str, documents: Vec<Document>| {
        let collection = place.database.collection::<Document>(collection);
        collection.insert_many(documents).await.expect("the server answers");
    };
    let row = |id: i64| {
        let mut row = message(id);
        row.extend(
            doc! { "bot_id": "b", "provider_name": "whatsapp_baileys", "correspondent_id": "c" },
        );
        row
    };
    let mut rows: Vec<Document> = (1..=MESSAGES).map(row).collect();
    // Written twice; a message without a provider's id, twice; and one that makes no sense.
    rows.push(row(7));
    for id in [MESSAGES + 1, MESSAGES + 2] {
        let mut nameless = row(id);
        nameless.remove("provider_message_id");
        rows.push(nameless);
    }
    rows.push(doc! { "bot_id": "b", "correspondent_id": "c", "content": "no id" });
    put("queues", rows).await;

    let mut jobs: Vec<Document> =
        (1..=JOBS).map(|n| job(n, 1_000 + i64::try_from(n).expect("small"), "pending")).collect();
    jobs[1].insert("status", "processing");
    jobs[2].extend(doc! { "status": "completed", "result": "words" });
    jobs[3].remove("placeholder_message");
    put("media_processing_jobs", jobs).await;
    // Moves that were broken off left two documents of a job; one of them has a result since.
    let mut held = vec![job(9_001, 2_001, "pending"), job(5, 1_005, "pending")];
    held.push(job(6, 1_006, "completed"));
    held[2].insert("result", "held words");
    // A resend that was not known for one, and two messages without a provider's id.
    held.push(resend(job(9_003, 2_003, "pending"), "p1007"));
    held.extend([9_004, 9_005].map(|n| resend(job(n, 2_004, "pending"), "")));
    put("media_processing_jobs_holding", held).await;
    let mut failed = job(9_002, 2_002, "failed");
    failed.insert("error", "it broke");
    put("media_processing_jobs_failed", vec![failed]).await;
}

fn media(n: u128) -> MediaId {
    uuid::Uuid::from_u128(n).into()
}

/// Looks at everything that was taken over.
async fn is_taken_over(place: &Place) {
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let record = BotRecord {
        bot_id: "b".into(),
        provider_name: "whatsapp_baileys".into(),
        run: anteroom_core::settings::Run::Always,
    };
    rig.ask(StoreRequest::RegisterBot(record)).await;
    let fence = rig.acquired("b", 1).await;
    assert!(rig.owed(&fence).await.is_empty(), "nobody is told again");
    assert_eq!(rig.next_id(&fence, "c").await, id(2_005), "ids go on behind all of them");
    let next = rig.archived(&fence, super_item()).await;
    assert!(next.0 > u64::try_from(MESSAGES).expect("positive"), "places as well: {next}");

    let jobs = rig.restore(&fence).await;
    // One of them made no sense; three held ones have come to them.
    assert_eq!(jobs.len(), usize::try_from(JOBS + 2).expect("small"));
    let of = |n: u128| jobs.iter().find(|job| job.media_id == media(n)).expect("it was taken over");
    assert_eq!(of(1).status, Status::Pending);
    assert_eq!((of(1).pool.as_str(), of(1).created_at.as_ms()), ("audio", 1_650_000_000_000));
    assert_eq!(of(2).status, Status::Pending, "whoever worked on it is gone");
    let words = Outcome::Text(Extracted { text: "words".to_owned(), ..Extracted::default() });
    assert_eq!(of(3).outcome(), Some(&words));
    assert_eq!(of(9_001).place, JobPlace::Active);
    assert_eq!(of(5).status, Status::Pending);
    let words = Outcome::Text(Extracted { text: "held words".to_owned(), ..Extracted::default() });
    assert_eq!(of(6).outcome(), Some(&words), "a result counts more than a place");
    let placeholder = &of(1).placeholder_message;
    assert!(placeholder.is_placeholder());
    assert_eq!(placeholder.sender.display_name.as_deref(), Some("Ada"));
    assert_eq!(rig.known(vec![media(9_002), media(4), media(9_003)]).await.len(), 3);

    let quarantine = place.database.collection::<Document>("quarantine");
    let count = quarantine.count_documents(doc! {}).await.expect("the server answers");
    assert_eq!(count, 4, "a job, a message, and a message and a job that were there twice");
    let steps = place.database.collection::<Document>("schema_migrations");
    assert_eq!(steps.count_documents(doc! {}).await.expect("the server answers"), 8);
}

fn super_item() -> anteroom_core::store::ArchiveItem {
    use anteroom_tests::store_contract::fixtures::{item, text};
    item("new", text(1))
}

/// Goal: no sweep ends or drops what was taken over for being old: whatever it waits for, or is kept for, begins with
/// the migration.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_over_outlives_the_first_sweeps() {
    let place = Place::new().await;
    earlier(&place).await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    place.clock.advance(Millis::from_hours(1));
    let janitor = JanitorSettings::default();
    let (active_ttl, holding_ttl, limit) = (janitor.active_ttl, janitor.holding_ttl, 500);
    let expire = StoreRequest::ExpireJobs { running: Vec::new(), active_ttl, holding_ttl, limit };
    assert_eq!(rig.ask(expire).await, StoreReply::ExpireJobs(Vec::new()));
    let retention = janitor.failed_media_retention;
    let failed = rig.ask(StoreRequest::ForgetFailed { retention, limit }).await;
    assert_eq!(failed, StoreReply::ForgetFailed(Vec::new()));
    let retention = janitor.archive_retention;
    let archived = rig.ask(StoreRequest::ForgetArchived { retention, limit }).await;
    assert_eq!(archived, StoreReply::ForgetArchived(0));
}

/// Goal: jobs, messages and failed copies of the earlier backend are taken over, and what makes no sense
/// is set aside.
#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_earlier_backend_is_taken_over() {
    let place = Place::new().await;
    earlier(&place).await;
    is_taken_over(&place).await;
}

/// Goal: the same by three nodes that start at once.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_take_it_over_once() {
    let place = Place::new().await;
    earlier(&place).await;
    let _nodes = tokio::join!(place.open(), place.open(), place.open());
    is_taken_over(&place).await;
}

/// Goal: a node waits for another one that is at a migration, however long that takes, and starts then. Method:
/// a transaction that has changed a job of the earlier backend stays open for longer than a call is tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_another_ones_migration() {
    let place = Place::new().await;
    earlier(&place).await;
    let mut other = place.database.client().start_session().await.expect("a session");
    other.start_transaction().await.expect("a transaction");
    let jobs = place.database.collection::<Document>("media_processing_jobs");
    let touch = doc! { "$set": { "touched": true } };
    jobs.update_many(doc! {}, touch).session(&mut other).await.expect("the server answers");
    let opening = place.open();
    tokio::pin!(opening);
    let early = tokio::time::timeout(Duration::from_secs(5), &mut opening).await;
    assert!(early.is_err(), "it starts with what another node is at");
    other.abort_transaction().await.expect("the server answers");
    opening.await;
    is_taken_over(&place).await;
}

/// Goal: a migration that was broken off is taken up again. Method: its records are removed after it is
/// done, and some of the earlier data is put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_repeatable() {
    let place = Place::new().await;
    earlier(&place).await;
    place.open().await;
    let steps = place.database.collection::<Document>("schema_migrations");
    steps.delete_many(doc! { "_id": { "$gt": 1 } }).await.expect("the server answers");
    let jobs = place.database.collection::<Document>("media_processing_jobs");
    // The indexes are there by then; the earlier shape has none of their fields.
    jobs.insert_one(job(1, 1_001, "pending")).await.expect("the server answers");
    is_taken_over(&place).await;
}

/// The indexes of jobs: their names, with their keys and the documents that are in them.
async fn job_indexes(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    for collection in ["media_processing_jobs", "media_processing_jobs_holding"] {
        let collection = place.database.collection::<Document>(collection);
        let mut indexes = collection.list_indexes().await.expect("the server answers");
        while indexes.advance().await.expect("the server answers") {
            let index = indexes.deserialize_current().expect("an index");
            let only = index.options.as_ref().and_then(|it| it.partial_filter_expression.clone());
            let name = index.options.and_then(|it| it.name);
            found.push(format!("{} {name:?} {} {only:?}", collection.name(), index.keys));
        }
    }
    found.sort();
    found
}

/// Goal: the indexes of an earlier version are made anew in their present shape, by nodes that start at once,
/// and again where that was broken off. Method: those of a new database are compared with what becomes of
/// the earlier ones.
#[tokio::test(flavor = "multi_thread")]
async fn former_indexes_are_made_anew() {
    let (fresh, place) = (Place::new().await, Place::new().await);
    fresh.open().await;
    place.open().await;
    let expected = job_indexes(&fresh).await;
    let steps = place.database.collection::<Document>("schema_migrations");
    let former = [
        ("media_processing_jobs", "status_mime_type_created_at", "status mime_type created_at"),
        (
            "media_processing_jobs",
            "pool_status_bot_id_created_at",
            "pool status bot_id created_at _id",
        ),
        ("media_processing_jobs", "bot_id_status", "bot_id status _id"),
        ("media_processing_jobs_holding", "bot_id_status", "bot_id status _id"),
        ("media_processing_jobs", "created_at_listed", "created_at _id bot_id pool"),
        ("media_processing_jobs_holding", "created_at_listed", "created_at _id bot_id pool"),
        ("media_processing_jobs", "lease_expires_at", "lease.expires_at _id"),
        ("media_processing_jobs_holding", "lease_expires_at", "lease.expires_at _id"),
    ];
    for begun_with in [0, 3] {
        for (collection, name, keys) in &former[begun_with..] {
            let collection = place.database.collection::<Document>(collection);
            collection.drop_index(*name).await.expect("it is there");
            let keys: Document =
                keys.split(' ').map(|key| (key.to_owned(), Bson::Int32(1))).collect();
            let options = IndexOptions::builder().name((*name).to_owned()).build();
            let index = IndexModel::builder().keys(keys).options(options).build();
            collection.create_index(index).await.expect("an index can be made");
        }
        let both = doc! { "_id": { "$gte": 5 } };
        steps.delete_many(both).await.expect("the server answers");
        assert_ne!(job_indexes(&place).await, expected);
        let _nodes = tokio::join!(place.open(), place.open(), place.open());
        assert_eq!(job_indexes(&place).await, expected);
    }
}
