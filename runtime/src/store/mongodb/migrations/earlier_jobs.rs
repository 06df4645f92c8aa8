//! Media jobs of the earlier backend.
//!
//! A job gets its `guid` as `_id`. Whoever worked on one did so without a lease and is gone: it waits
//! again. A result that was stored is kept, and applied when its bot starts.

use anteroom_core::id::NodeId;
use anteroom_core::job::{FailedCopy, Job, Place, Status};
use anteroom_core::message::{Extracted, FailureKind, Outcome};
use anteroom_core::pool::routing::Routing;
use anteroom_core::settings::NodeSettings;
use anteroom_core::time::Timestamp;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use serde::Deserialize;

use super::super::collections::{ACTIVE, FAILED, HOLDING};
use super::super::connection::Connection;
use super::super::failed_copies;
use super::super::failure::{Answer, Failure};
use super::super::job_documents;
use super::super::quarantine;
use super::super::statements::Statement;
use super::super::transaction::Transaction;
use super::super::values::AsUuid;
use super::earlier;

/// How many documents one transaction changes: each costs some round trips, while other nodes wait.
const CHUNK_DOCUMENTS: i64 = 50;

/// Gives all jobs the present shape, and tells how many had another.
pub(super) async fn migrate(store: &Connection) -> Answer<u64> {
    let pools = NodeSettings::new(NodeId::from(uuid::Uuid::nil())).pools;
    let routing = Routing::new(&pools)
        .map_err(|error| Failure::unavailable(format!("the pools make no routing: {error}")))?;
    let mut changed = 0;
    let mut transaction = Transaction::new(store).await?;
    for collection in [ACTIVE, HOLDING, FAILED] {
        loop {
            transaction.begin().await?;
            let tried = chunk(&mut transaction, collection, &routing).await;
            match transaction.end(tried).await? {
                Some(0) => break,
                Some(chunk) => changed += chunk,
                None => {}
            }
        }
    }
    Ok(changed)
}

/// Where several jobs wait for one provider's message, all but the one with the lowest message id are set
/// aside: the others came of resends that the earlier backend did not know.
pub(super) async fn set_duplicates_aside(store: &Connection) -> Answer<u64> {
    #[derive(Deserialize)]
    struct Agreeing {
        jobs: Vec<Position>,
    }
    #[derive(Deserialize)]
    struct Position {
        id: Bson,
        is_held: bool,
    }
    let read = |is_held: bool| {
        doc! { "$project": {
            "key": ["$bot_id", "$correspondent_id", "$provider_message_id"],
            "message_id": 1,
            "is_held": { "$literal": is_held },
        } }
    };
    let stages = vec![
        read(false),
        doc! { "$unionWith": { "coll": HOLDING, "pipeline": [read(true)] } },
        doc! { "$sort": { "message_id": 1, "_id": 1 } },
        doc! { "$group": {
            "_id": "$key",
            "jobs": { "$push": { "id": "$_id", "is_held": "$is_held" } },
        } },
        doc! { "$match": { "jobs.1": { "$exists": true } } },
    ];
    let active = store.database.collection::<Document>(ACTIVE);
    let mut cursor = active.aggregate(stages).allow_disk_use(true).with_type::<Agreeing>().await?;
    let mut changed = 0;
    while cursor.advance().await? {
        let Agreeing { jobs } = cursor.deserialize_current()?;
        let Some(first) = jobs.first().map(|job| job.id.clone()) else { continue };
        // The same job twice is one that moves, on a node that has migrated and works.
        for position in jobs.into_iter().filter(|job| job.id != first) {
            let collection = if position.is_held { HOLDING } else { ACTIVE };
            let this = vec![doc! { "$match": { "_id": position.id } }];
            for document in store.aggregate_newest(collection, this).await? {
                let reason = "another job waits for its provider's message";
                quarantine::set_aside_alone(store, collection, &document, reason).await?;
                changed += 1;
            }
        }
    }
    Ok(changed)
}

/// Changes some documents of a collection, and tells how many.
async fn chunk(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    routing: &Routing,
) -> Answer<u64> {
    let earlier = vec![
        doc! { "$match": { "guid": { "$exists": true } } },
        doc! { "$limit": CHUNK_DOCUMENTS },
    ];
    let found = transaction.aggregate(collection, earlier).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let now = earlier::now(transaction, collection).await?;
    for document in &found {
        match Document::try_from(document).map_err(|error| error.to_string()).and_then(|document| {
            let job = job(&document, collection, routing, now)?;
            Ok((job, document.get("_id").cloned().unwrap_or(Bson::Null)))
        }) {
            Ok((job, id)) => replace(transaction, collection, &job, id, now).await?,
            Err(reason) => {
                quarantine::set_aside(transaction, collection, document, &reason).await?;
            }
        }
    }
    Ok(found.len() as u64)
}

/// Writes the job under its media id, in place of the document it was read from.
async fn replace(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    job: &Job,
    earlier_id: Bson,
    now: Timestamp,
) -> Answer<()> {
    transaction.delete(collection, doc! { "_id": earlier_id }).await?;
    if collection == FAILED {
        let copy = FailedCopy { job: job.clone(), failed_at: now };
        transaction.update(FAILED, vec![failed_copies::put(&copy)?]).await?;
        return Ok(());
    }
    if make_room(transaction, job).await? {
        let document: RawDocumentBuf = job_documents::write(job)?;
        let new = doc! { "_id": job.media_id.stored() };
        transaction.update(collection, vec![Statement::put(new, document)?]).await?;
    }
    Ok(())
}

/// Whether the job is to be written. One that is there already was migrated before, or is the other half
/// of a move that the earlier backend did not end: it stands, unless it waits for the result that this
/// one has.
async fn make_room(transaction: &mut Transaction<'_>, job: &Job) -> Answer<bool> {
    let same = doc! { "_id": job.media_id.stored() };
    for collection in [ACTIVE, HOLDING] {
        let known =
            transaction.aggregate(collection, vec![doc! { "$match": same.clone() }]).await?;
        let Some(known) = known.first() else { continue };
        let waits = known.get_str("status").is_ok_and(|status| status == "pending");
        if !waits || job.outcome().is_none() {
            return Ok(false);
        }
        transaction.delete(collection, same.clone()).await?;
    }
    Ok(true)
}

/// The job in a document of the earlier backend. What it waits for, or is kept for, begins anew: no sweep is to end it
/// for having been migrated.
fn job(
    document: &Document,
    collection: &str,
    routing: &Routing,
    now: Timestamp,
) -> Result<Job, String> {
    let media_id = earlier::media_id(&earlier::text(document, "guid")?)?;
    let mime_type = earlier::text(document, "mime_type")?;
    let original_filename = earlier::optional_text(document, "original_filename");
    let message = document
        .get_document("placeholder_message")
        .map_err(|_| "it has no placeholder_message".to_owned())?;
    let placeholder_message =
        earlier::placeholder(message, media_id, &mime_type, original_filename.clone())?;
    let created_at =
        earlier::moment(document, "created_at").unwrap_or(placeholder_message.accepted_time);
    let provider_name = earlier::optional_text(document, "provider_name");
    Ok(Job {
        media_id,
        bot_id: earlier::text(document, "bot_id")?.into(),
        correspondent_id: earlier::text(document, "correspondent_id")?.into(),
        provider_name: provider_name.unwrap_or_else(|| earlier::PROVIDER.to_owned()).into(),
        placeholder_message,
        kind: earlier::kind_of(&mime_type),
        pool: routing.route(&mime_type).clone(),
        mime_type,
        original_filename,
        quota_exceeded: document.get_bool("quota_exceeded").unwrap_or(false),
        detail: None,
        place: place(collection, now),
        status: status(document, collection),
        created_at,
        active_since: now,
        claims: 0,
        lost: 0,
        transient: 0,
        not_before: None,
        revision: 0,
    })
}

fn place(collection: &str, held_at: Timestamp) -> Place {
    if collection == HOLDING { Place::Holding { held_at } } else { Place::Active }
}

fn status(document: &Document, collection: &str) -> Status {
    let result = earlier::optional_text(document, "result");
    let is_failed =
        collection == FAILED || document.get_str("status").is_ok_and(|is| is == "failed");
    let outcome = match (is_failed, result) {
        (true, detail) => {
            let detail = earlier::optional_text(document, "error").or(detail);
            Some(Outcome::Failed { error: FailureKind::Engine, detail })
        }
        (false, Some(text)) => Some(Outcome::Text(Extracted { text, ..Extracted::default() })),
        (false, None) => None,
    };
    match outcome {
        Some(outcome) => Status::Completed { outcome, token: None, worked: None },
        None => Status::Pending,
    }
}
