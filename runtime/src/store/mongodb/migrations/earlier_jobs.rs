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

/// How many documents one transaction changes.
const CHUNK_DOCUMENTS: i64 = 200;

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
    for document in &found {
        match Document::try_from(document).map_err(|error| error.to_string()).and_then(|document| {
            let job = job(&document, collection, routing)?;
            Ok((job, document.get("_id").cloned().unwrap_or(Bson::Null)))
        }) {
            Ok((job, id)) => replace(transaction, collection, &job, id).await?,
            Err(reason) => {
                quarantine::set_aside(transaction, collection, document, &reason).await?;
            }
        }
    }
    Ok(found.len() as u64)
}

/// Writes the job under its media id. One that is there already was migrated before, or is newer.
async fn replace(
    transaction: &mut Transaction<'_>,
    collection: &'static str,
    job: &Job,
    earlier_id: Bson,
) -> Answer<()> {
    transaction.delete(collection, doc! { "_id": earlier_id }).await?;
    if collection == FAILED {
        let copy = FailedCopy { job: job.clone(), failed_at: job.created_at };
        transaction.update(FAILED, vec![failed_copies::put(&copy)?]).await?;
        return Ok(());
    }
    let document: RawDocumentBuf = job_documents::write(job)?;
    let new = doc! { "_id": job.media_id.stored() };
    let known = transaction.aggregate(collection, vec![doc! { "$match": new.clone() }]).await?;
    if known.is_empty() {
        transaction.update(collection, vec![Statement::put(new, document)?]).await?;
    }
    Ok(())
}

/// The job in a document of the earlier backend.
fn job(document: &Document, collection: &str, routing: &Routing) -> Result<Job, String> {
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
        place: place(collection, created_at),
        status: status(document, collection),
        created_at,
        active_since: created_at,
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
        Some(outcome) => Status::Completed { outcome, token: None },
        None => Status::Pending,
    }
}
