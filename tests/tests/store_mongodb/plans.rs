//! How the server executes what runs often: by an index, in its order, at 100,000 documents.
//!
//! Method: a database is filled; the requests are made under the server's profiler; every command that it
//! recorded is explained by the server, sub-questions included. No plan reads a whole collection and none
//! sorts; and what was examined is in proportion to what was asked for.

use anteroom_core::id::ArchiveSeq;
use anteroom_core::store::{CallbackPlan, OwedOf, OwedScope, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::mongodb::MongoStore;
use anteroom_runtime::store::views::{
    CallbackFilter, CallbackQuery, JobFilter, JobQuery, JobState, Question, Views,
};
use anteroom_runtime::store::{Hint, Store};
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, acknowledged, ended, failure, id, item, item_of_lease, job, key, lease, media, node,
    text, token, unleased, words,
};
use mongodb::bson::{Bson, Document, Uuid, doc};

use super::Place;

/// How many documents there are beside those that are asked for.
const FILLING: i64 = 100_000;

/// How many documents a command may examine: pages are of 20, and one request asks for all of them.
const EXAMINED_MAX: i64 = 400;

/// Collections in which everything is one document's worth of reading.
const SMALL: [&str; 4] = ["bots", "singletons", "nodes", "schema_migrations"];

/// Copies a document of a collection many times, each changed.
async fn fill(place: &Place, collection: &str, change: impl Fn(i64, &mut Document)) {
    let documents = place.database.collection::<Document>(collection);
    let template = documents.find_one(doc! {}).await.expect("the server answers");
    let template = template.expect("there is one to copy");
    for chunk in 0..FILLING / 5_000 {
        let copies = (chunk * 5_000..(chunk + 1) * 5_000).map(|n| {
            let mut copy = template.clone();
            change(n, &mut copy);
            copy
        });
        documents.insert_many(copies.collect::<Vec<_>>()).await.expect("the server answers");
    }
}

/// Fills the collections: other bots, other pools, jobs in every state.
async fn fill_all(place: &Place) {
    let id = |n: i64| Uuid::from_bytes((u128::MAX - u128::from(n.unsigned_abs())).to_be_bytes());
    let of_bot = |n: i64, copy: &mut Document| {
        copy.insert("bot_id", format!("other{}", n % 40));
        copy.insert("provider_message_id", format!("q{n}"));
        copy.insert("correspondent_id", format!("o{}", n % 1_000));
    };
    for collection in ["media_processing_jobs", "media_processing_jobs_holding"] {
        fill(place, collection, |n, copy| {
            of_bot(n, copy);
            copy.insert("_id", id(n));
            let state = ["pending", "backing_off", "completed", "pending"][(n % 4) as usize];
            copy.insert("status", state);
            copy.insert("not_before", mongodb::bson::DateTime::MAX);
            copy.insert("active_since", mongodb::bson::DateTime::MAX);
            copy.insert("pool", ["image", "audio", "video"][(n % 3) as usize]);
            if collection == "media_processing_jobs_holding" {
                copy.insert("held_at", mongodb::bson::DateTime::MAX);
            }
        })
        .await;
    }
    fill(place, "media_processing_jobs_failed", |n, copy| {
        copy.insert("_id", id(n));
        copy.insert("bot_id", format!("other{}", n % 40));
        copy.insert("failed_at", mongodb::bson::DateTime::MAX);
    })
    .await;
    fill(place, "queues", |n, copy| {
        of_bot(n, copy);
        copy.insert("_id", mongodb::bson::oid::ObjectId::new());
        copy.insert("id", n + 1_000);
        copy.insert("archive_seq", n + 1_000);
        if n % 2 == 0 {
            copy.insert("bot_id", "b");
            copy.insert("retention", "highest");
        }
        if n % 3 != 0
            && let Ok(callback) = copy.get_document_mut("callback")
        {
            callback.insert("state", "acknowledged");
        }
    })
    .await;
    // As retention does that has kept rows of a bot as the highest of their correspondents.
    let fences = place.database.collection::<Document>("fences");
    let retains = doc! { "$set": { "retains": true } };
    fences.update_one(doc! { "_id": "b" }, retains).await.expect("the server answers");
}

/// Everything that runs often, for the bot `b`.
async fn run_everything(place: &Place, store: &dyn Store) {
    let rig = Rig::new(store, &place.clock);
    let fence = rig.acquired("b", 1).await;
    let now = place.clock.now();
    // Whoever begins to watch looks for what is there already; of this bot there are many results.
    rig.bot("other2").await;
    let mut hints = store.hints().expect("there may be other nodes");
    let results = Hint::ResultsWaiting { bot_id: "other2".into() };
    while hints.recv().await.expect("the store is open") != results {}
    let jobs = (100..110).map(|n| unleased(job(&fence, "c", n, n, now))).collect();
    rig.insert(&fence, jobs).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 120, 120, now), lease(120)).await;
    rig.archived(&fence, item_of_lease("c", ended(120, 120, words("x")), 120)).await;
    rig.archived(&fence, item("c", text(130))).await;
    rig.archived(
        &fence,
        anteroom_core::store::ArchiveItem { callback: CallbackPlan::Owed, ..item("d", text(131)) },
    )
    .await;
    rig.claim_once(POOL, lease(200), 3).await;
    rig.claim(POOL, Some("b"), lease(201), 3).await;
    rig.renew(media(100), token(200), Millis::from_secs(60)).await;
    rig.complete(media(100), token(200), words("x")).await;
    rig.completed(&fence, None, 20).await;
    let of = |correspondent_id: &str| OwedOf {
        correspondent_id: correspondent_id.into(),
        after: ArchiveSeq(0),
        limit: 10,
    };
    for scope in [
        OwedScope::Bot { after: ArchiveSeq(0), except: vec!["c".into()] },
        OwedScope::Correspondents(["c", "d"].map(of).into()),
    ] {
        rig.owed_page(&fence, scope, 20).await;
    }
    rig.raise(&fence, vec![(key("c", 130, 0), 1)]).await;
    rig.mark(&fence, acknowledged(key("c", 130, 0))).await;
    rig.owed_sends(&fence).await;
    rig.next_id(&fence, "c").await;
    rig.known((1..20).map(media).collect()).await;
    place.clock.advance(Millis::from_secs(90));
    rig.ask(StoreRequest::ReclaimLeases { limit: 20 }).await;
    let running = vec![(fence.bot_id.clone(), fence.epoch)];
    let (active_ttl, holding_ttl) = (Millis::from_hours(3), Millis::from_hours(168));
    rig.ask(StoreRequest::ExpireJobs { running, active_ttl, holding_ttl, limit: 20 }).await;
    rig.ask(StoreRequest::ForgetFailed { retention: Millis::from_hours(1), limit: 20 }).await;
    rig.ask(StoreRequest::ForgetArchived { retention: Millis::from_hours(1), limit: 20 }).await;
    rig.hold(&fence).await;
    let page = rig.restore_page(&fence, None, 20).await;
    rig.restore_page(&fence, page.behind(None), 20).await;
    rig.discard(media(105)).await;
    let renew = StoreRequest::RenewBots {
        node_id: node(1),
        bots: vec![("b".into(), fence.epoch)],
        ttl: Millis::from_secs(90),
    };
    rig.ask(renew).await;
}

/// Everything that operators look at a page of.
async fn look_at_everything(store: &MongoStore) {
    let all = |state| JobFilter {
        state,
        bot_id: None,
        pool: None,
        status: None,
        reason: None,
        before: Some(Timestamp::from_ms(u64::MAX)),
    };
    let of_bot = || JobFilter { bot_id: Some("b".into()), ..all(JobState::Failed) };
    let filters = [all(JobState::Active), all(JobState::Holding), all(JobState::Failed), of_bot()];
    for filter in filters {
        for newest_first in [false, true] {
            for after in [None, Some((Timestamp::from_ms(1), media(7)))] {
                let filter = filter.clone();
                let query = JobQuery { filter, newest_first, after, limit: 20 };
                look(store, Question::Jobs(query)).await;
            }
        }
    }
    for state in [CallbackFilter::Owed, CallbackFilter::Undeliverable] {
        for bot_id in [None, Some("b".into())] {
            for after in [None, Some(("b".into(), ArchiveSeq(5)))] {
                let query = CallbackQuery { state, bot_id: bot_id.clone(), after, limit: 20 };
                look(store, Question::Callbacks(query)).await;
            }
        }
    }
    look(store, Question::Medium(media(4))).await;
    look(store, Question::Message("b".into(), "c".into(), id(3))).await;
    look(store, Question::Message("b".into(), "c".into(), id(100))).await;
    look(store, Question::Leases).await;
}

async fn look(store: &MongoStore, question: Question) {
    store.look(question).await.expect("the server answers");
}

/// Goal: what runs often never reads a whole collection and never sorts.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_often_uses_an_index_for_search_and_order() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, place.clock.now())).await;
    rig.hold(&fence).await;
    rig.inserted(&fence, &job(&fence, "c", 2, 2, place.clock.now())).await;
    rig.archived(&fence, item("c", text(3))).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 4, 4, place.clock.now()), lease(4)).await;
    rig.archived(&fence, item_of_lease("c", ended(4, 4, failure()), 4)).await;
    fill_all(&place).await;

    place.record_commands(true).await;
    run_everything(&place, &store).await;
    look_at_everything(&store).await;
    place.record_commands(false).await;
    let mut explained = 0;
    for entry in recorded(&place).await {
        check(&place, &entry).await;
        explained += 1;
    }
    assert!(explained > 60, "only {explained} commands were recorded");
    check_lists(&place).await;

    // To count is to read every entry, of an index.
    place.record_commands(true).await;
    store.backlog().await.expect("the server answers");
    place.record_commands(false).await;
    let counts = recorded(&place).await.split_off(explained);
    assert_eq!(counts.len(), 3, "{counts:#?}");
    for entry in counts {
        let planned = entry.get_str("planSummary").unwrap_or_default();
        assert!(planned.contains("IXSCAN") && !planned.contains("COLLSCAN"), "{entry:#?}");
    }
}

/// What operators look through: filters and orders that have an index.
async fn check_lists(place: &Place) {
    let (jobs, holding) = ("media_processing_jobs", "media_processing_jobs_holding");
    let failed = "media_processing_jobs_failed";
    let waiting = doc! { "status": "pending", "mime_type": "audio/ogg; codecs=opus" };
    let of_bot = || doc! { "bot_id": "b", "status": "pending" };
    let owed = doc! { "bot_id": "b", "callback.state": "owed" };
    let chat = doc! { "bot_id": "b", "provider_name": "provider", "correspondent_id": "c" };
    for (collection, filter, order) in [
        (jobs, waiting, doc! { "created_at": 1 }),
        (jobs, of_bot(), doc! { "created_at": 1, "_id": 1 }),
        (holding, of_bot(), doc! { "created_at": 1, "_id": 1 }),
        (failed, doc! {}, doc! { "failed_at": -1 }),
        (failed, doc! { "bot_id": "b" }, doc! { "failed_at": -1 }),
        (failed, doc! { "error.kind": "engine" }, doc! { "failed_at": -1 }),
        ("queues", owed, doc! { "archive_seq": 1 }),
        ("queues", chat, doc! { "id": -1 }),
    ] {
        let list = doc! { "find": collection, "filter": filter, "sort": order, "limit": 50 };
        check_plan(place, list).await;
    }
}

/// What the server recorded of the store's questions and changes.
async fn recorded(place: &Place) -> Vec<Document> {
    let profile = place.database.collection::<Document>("system.profile");
    let mut cursor = profile.find(doc! {}).await.expect("the server answers");
    let mut entries = Vec::new();
    while cursor.advance().await.expect("the server answers") {
        let entry: Document = cursor.deserialize_current().expect("an entry");
        let namespace = entry.get_str("ns").unwrap_or_default();
        let collection = namespace.split_once('.').map_or("", |(_, name)| name);
        let is_ours = !collection.starts_with("system.") && !SMALL.contains(&collection);
        let op = entry.get_str("op").unwrap_or_default();
        // A change stream reads the server's log, from its end on.
        let is_ours = is_ours && !entry.to_string().contains("$changeStream");
        if is_ours && ["query", "update", "remove", "command"].contains(&op) {
            entries.push(entry);
        }
    }
    entries
}

async fn check(place: &Place, entry: &Document) {
    let planned = entry.get_str("planSummary").unwrap_or_default();
    assert!(!planned.contains("COLLSCAN"), "{entry:#?}");
    assert!(!entry.get_bool("hasSortStage").unwrap_or(false), "{entry:#?}");
    let examined = ["docsExamined", "keysExamined"].map(|name| match entry.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        _ => 0,
    });
    assert!(examined.iter().all(|examined| *examined <= EXAMINED_MAX), "{entry:#?}");
    // Of a union the server records only the first question.
    let Ok(command) = entry.get_document("command") else { return };
    if !command.contains_key("pipeline") {
        return;
    }
    let mut asked = Document::new();
    for field in ["aggregate", "pipeline"] {
        asked.insert(field, command.get(field).cloned().unwrap_or(Bson::Null));
    }
    asked.extend(command.get("hint").map(|hint| ("hint".to_owned(), hint.clone())));
    asked.insert("cursor", doc! {});
    check_plan(place, asked).await;
}

/// Has the server explain a question.
async fn check_plan(place: &Place, asked: Document) {
    let explain = doc! { "explain": asked, "verbosity": "queryPlanner" };
    let explained = place.database.run_command(explain).await.expect("a question is explained");
    let stages = stages(&Bson::Document(explained.clone()));
    for stage in ["COLLSCAN", "SORT"] {
        assert!(!stages.iter().any(|found| found == stage), "{stage} in {explained:#?}");
    }
}

/// The names of all stages in an explanation, the rejected plans left out.
fn stages(explained: &Bson) -> Vec<String> {
    match explained {
        Bson::Document(document) => {
            let own = document.get_str("stage").ok().map(str::to_owned);
            let inner = document.iter().filter(|(name, _)| *name != "rejectedPlans");
            own.into_iter().chain(inner.flat_map(|(_, value)| stages(value))).collect()
        }
        Bson::Array(values) => values.iter().flat_map(stages).collect(),
        _ => Vec::new(),
    }
}
