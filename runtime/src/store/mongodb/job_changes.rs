//! How jobs are found and changed inside a transaction.
//!
//! Owns the one way in which a job changes there: the core's transition is applied to the job that the
//! transaction's snapshot holds, and what it made of it is written, its failed copy included. A writer
//! that came in between makes the server abort one of the two, so the guard that the transition looked
//! at still holds when the change is committed.

use std::collections::BTreeMap;

use anteroom_core::id::MediaId;
use anteroom_core::job::{Applied, FailedCopy, Job};
use anteroom_core::time::Timestamp;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

use super::collections::FAILED;
use super::connection::Connection;
use super::failed_copies;
use super::failure::{Answer, Failure};
use super::job_documents::{self, Shelf};
use super::quarantine;
use super::statements::Statement;
use super::transaction::Transaction;
use super::values::{AsUuid, timestamp, uuids};

/// Jobs as the snapshot holds them.
#[derive(Default)]
pub(super) struct Found {
    /// Those that could be read, in the order in which they were found.
    pub(super) jobs: Vec<Job>,
    /// How many documents there were, unreadable ones included.
    pub(super) documents: usize,
    /// The store's time; none when nothing was found.
    pub(super) now: Option<Timestamp>,
}

/// The stages that mark what comes out of a collection, so that it can be told apart in a union.
pub(super) fn marked(part: &str, stages: Vec<Document>, now: Bson) -> Vec<Document> {
    let mut stages = stages;
    stages.push(doc! { "$replaceWith": { "part": part, "doc": "$$ROOT", "now": now } });
    stages
}

/// The stage that adds another collection's documents, marked.
pub(super) fn union(collection: &str, pipeline: Vec<Document>) -> Document {
    doc! { "$unionWith": { "coll": collection, "pipeline": pipeline } }
}

/// The stages that tell whether any document matches.
pub(super) fn any(filter: Document) -> Vec<Document> {
    vec![doc! { "$match": filter }, doc! { "$limit": 1 }, doc! { "$project": { "_id": 1 } }]
}

/// The jobs that `active` finds in active and `holding` in holding, in one snapshot, active first.
pub(super) async fn find(
    transaction: &mut Transaction<'_>,
    active: Vec<Document>,
    holding: Vec<Document>,
) -> Answer<Found> {
    let mut found = Found::default();
    for (shelf, stages) in [(Shelf::Active, active), (Shelf::Holding, holding)] {
        find_on(transaction, shelf, stages, &mut found).await?;
    }
    Ok(found)
}

/// The jobs that are found in one of the collections, added to others.
pub(super) async fn find_on(
    transaction: &mut Transaction<'_>,
    shelf: Shelf,
    stages: Vec<Document>,
    found: &mut Found,
) -> Answer<()> {
    find_by(transaction, shelf, stages, None, found).await
}

/// The same through the index of a name, if one is given.
pub(super) async fn find_by(
    transaction: &mut Transaction<'_>,
    shelf: Shelf,
    stages: Vec<Document>,
    index: Option<&str>,
    found: &mut Found,
) -> Answer<()> {
    let pipeline = marked("job", stages, transaction.store.time.now());
    let documents = transaction.aggregate_by(shelf.collection(), pipeline, index).await?;
    found.documents += documents.len();
    for document in &documents {
        found.now = found.now.or_else(|| moment(document));
        found.jobs.extend(job_in(transaction, shelf, document).await?);
    }
    Ok(())
}

/// The jobs of several media, wherever they are.
pub(super) async fn find_media(
    transaction: &mut Transaction<'_>,
    media_ids: impl IntoIterator<Item = &MediaId>,
) -> Answer<(BTreeMap<MediaId, Job>, Option<Timestamp>)> {
    let these = vec![doc! { "$match": { "_id": { "$in": uuids(media_ids) } } }];
    let found = find(transaction, these.clone(), these).await?;
    let jobs = found.jobs.into_iter().map(|job| (job.media_id, job)).collect();
    Ok((jobs, found.now))
}

/// Which part of a union a document comes from.
pub(super) fn part(marked: &RawDocument) -> &str {
    marked.get_str("part").unwrap_or_default()
}

/// The store's time in a marked document.
pub(super) fn moment(marked: &RawDocument) -> Option<Timestamp> {
    marked.get_datetime("now").ok().map(timestamp)
}

/// The document that was marked.
pub(super) fn inner(marked: &RawDocument) -> Answer<&RawDocument> {
    marked.get_document("doc").map_err(|error| Failure::unavailable(error.to_string()))
}

/// The job in a marked document; none when it cannot be read and is set aside.
async fn job_in(
    transaction: &mut Transaction<'_>,
    shelf: Shelf,
    marked: &RawDocument,
) -> Answer<Option<Job>> {
    let document = inner(marked)?;
    match job_documents::read(shelf, document) {
        Ok(job) => Ok(Some(job)),
        Err(reason) => {
            quarantine::set_aside(transaction, shelf.collection(), document, &reason).await?;
            Ok(None)
        }
    }
}

/// The job in a marked document that was read outside a transaction; none when it cannot be read and
/// is set aside.
pub(super) async fn job_aside(
    store: &Connection,
    shelf: Shelf,
    marked: &RawDocument,
) -> Answer<Option<Job>> {
    let document = inner(marked)?;
    match job_documents::read(shelf, document) {
        Ok(job) => Ok(Some(job)),
        Err(reason) => {
            quarantine::set_aside_alone(store, shelf.collection(), document, &reason).await?;
            Ok(None)
        }
    }
}

/// The failed copy in a marked document that was read outside a transaction; none when it cannot be
/// read and is set aside.
pub(super) async fn copy_aside(
    store: &Connection,
    marked: &RawDocument,
) -> Answer<Option<FailedCopy>> {
    let document = inner(marked)?;
    match failed_copies::read(document) {
        Ok(copy) => Ok(Some(copy)),
        Err(reason) => {
            quarantine::set_aside_alone(store, FAILED, document, &reason).await?;
            Ok(None)
        }
    }
}

/// The failed copy in a marked document; none when it cannot be read and is set aside.
pub(super) async fn copy_in(
    transaction: &mut Transaction<'_>,
    marked: &RawDocument,
) -> Answer<Option<FailedCopy>> {
    let document = inner(marked)?;
    match failed_copies::read(document) {
        Ok(copy) => Ok(Some(copy)),
        Err(reason) => {
            quarantine::set_aside(transaction, FAILED, document, &reason).await?;
            Ok(None)
        }
    }
}

/// What is to be written: gathered, so that each collection is written once.
#[derive(Default)]
pub(super) struct Changes {
    replaced: BTreeMap<Shelf, Vec<Statement>>,
    inserted: BTreeMap<Shelf, Vec<RawDocumentBuf>>,
    deleted: BTreeMap<Shelf, Vec<Bson>>,
    failed: Vec<Statement>,
    forgotten: Vec<Bson>,
    finished: BTreeMap<Shelf, Vec<Document>>,
}

impl Changes {
    /// Adds what a command made of a stored job.
    pub(super) fn add(&mut self, before: &Job, applied: &Applied) -> Answer<()> {
        if let Some(copy) = &applied.failed_copy {
            self.keep_copy(copy)?;
        }
        match &applied.job {
            Some(after) => self.replace(before, after),
            None => {
                let deleted = self.deleted.entry(Shelf::of(before)).or_default();
                deleted.push(before.media_id.stored().into());
                Ok(())
            }
        }
    }

    /// Adds a job as it is afterwards, moved where its place has changed.
    pub(super) fn replace(&mut self, before: &Job, after: &Job) -> Answer<()> {
        let shelf = Shelf::of(before);
        let id = before.media_id.stored();
        if after == before {
            return Ok(());
        }
        if Shelf::of(after) != shelf {
            self.deleted.entry(shelf).or_default().push(id.into());
            return self.insert(after);
        }
        let replaced = Statement::replace(doc! { "_id": id }, job_documents::write(after)?)?;
        self.replaced.entry(shelf).or_default().push(replaced);
        Ok(())
    }

    /// Adds the end of a job that was read outside the transaction: only if it is still as it was.
    pub(super) fn finish(&mut self, before: &Job, applied: &Applied) -> Answer<()> {
        if let Some(copy) = &applied.failed_copy {
            self.keep_copy(copy)?;
        }
        let mut guard = doc! { "_id": before.media_id.stored() };
        match before.lease() {
            Some(lease) => {
                guard.insert("status", "processing");
                guard.insert("lease.token", lease.token.stored());
            }
            None => {
                guard.insert("status", "completed");
            }
        }
        self.finished.entry(Shelf::of(before)).or_default().push(guard);
        Ok(())
    }

    /// Adds a failed copy.
    pub(super) fn keep_copy(&mut self, copy: &FailedCopy) -> Answer<()> {
        self.failed.push(failed_copies::put(copy)?);
        Ok(())
    }

    /// Adds a new job.
    pub(super) fn insert(&mut self, job: &Job) -> Answer<()> {
        let document = job_documents::write(job)?;
        self.inserted.entry(Shelf::of(job)).or_default().push(document);
        Ok(())
    }

    /// Adds the end of a failed copy.
    pub(super) fn forget_copy(&mut self, media_id: MediaId) {
        self.forgotten.push(media_id.stored().into());
    }

    /// Writes it all. Deletions come first: a job is never in both collections, nor is its
    /// provider's message.
    pub(super) async fn write(self, transaction: &mut Transaction<'_>) -> Answer<()> {
        for (shelf, guards) in self.finished {
            let asked = guards.len() as u64;
            if transaction.delete_each(shelf.collection(), guards).await? != asked {
                return Err(Failure::Changed("a job that ends with its message"));
            }
        }
        for (shelf, ids) in self.deleted {
            transaction.delete(shelf.collection(), doc! { "_id": { "$in": ids } }).await?;
        }
        for (shelf, documents) in self.inserted {
            transaction.insert(shelf.collection(), &documents).await?;
        }
        for (shelf, statements) in self.replaced {
            transaction.update(shelf.collection(), statements).await?;
        }
        transaction.update(FAILED, self.failed).await?;
        if !self.forgotten.is_empty() {
            transaction.delete(FAILED, doc! { "_id": { "$in": self.forgotten } }).await?;
        }
        Ok(())
    }
}
