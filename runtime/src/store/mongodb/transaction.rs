//! A transaction, and when it is tried again.
//!
//! Owns the session. What the server calls transient, and a unique key that was taken meanwhile, mean
//! that nothing happened: the transaction is tried again after a short, random pause. A commit whose
//! answer was lost is asked for again. Both end after a bounded number of times.
//!
//! ```text
//! transact!(store, |transaction| attempt(transaction, …))
//! ```

use std::time::Duration;

use anteroom_core::id::BotId;
use mongodb::ClientSession;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Hint, ReadConcern, ReadPreference, SelectionCriteria};

use super::abandoned;
use super::connection::{BATCH_DOCUMENTS, Connection};
use super::failure::{Answer, Failure};
use super::statements::{self, Statement};

/// Runs an attempt in a transaction, as often as it takes. (A macro, because the future of a closure that
/// borrows cannot be said to be `Send`.)
macro_rules! transact {
    ($store:expr, |$transaction:ident| $attempt:expr) => {{
        let mut transaction = Transaction::new($store).await?;
        loop {
            transaction.begin().await?;
            let $transaction = &mut transaction;
            let tried = $attempt.await;
            if let Some(answer) = transaction.end(tried).await? {
                break Ok(answer);
            }
        }
    }};
}
pub(super) use transact;

/// How often a transaction is tried before its caller is told to ask again.
const TRIES_MAX: u32 = 60;

/// After how many tries is looked whether whoever is in the way is gone.
const TRIES_BEFORE_LOOKING: u32 = 10;

/// How often a commit is asked for.
const COMMITS_MAX: u32 = 10;

/// The first and the longest pause between two tries.
const PAUSE_MS: (u64, u64) = (1, 64);

/// Whether a try asks what is known before it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The unique keys tell, and the guards.
    AtConflicts,
    /// They told that something is known.
    First,
}

/// A transaction that is tried until it ends.
pub(super) struct Transaction<'s> {
    /// Where it runs.
    pub(super) store: &'s Connection,
    session: ClientSession,
    tries: u32,
    /// Whose fence this try has passed.
    passed: Option<BotId>,
}

impl<'s> Transaction<'s> {
    /// One that has not begun.
    pub(super) async fn new(store: &'s Connection) -> Answer<Self> {
        let session = store.client.start_session().await?;
        Ok(Self { store, session, tries: 0, passed: None })
    }

    /// Begins the next try.
    pub(super) async fn begin(&mut self) -> Answer<()> {
        self.tries += 1;
        self.passed = None;
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        self.session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(self.store.write_concern())
            .selection_criteria(primary)
            .max_commit_time(self.store.call_timeout)
            .await?;
        Ok(())
    }

    /// Remembers that the bot's fence is passed in this try.
    pub(super) fn has_passed(&mut self, bot_id: &BotId) {
        self.passed = Some(bot_id.clone());
    }

    /// Ends a try: commits what succeeded and gives its answer, or aborts. None when it is to be
    /// tried again.
    pub(super) async fn end<T>(&mut self, tried: Answer<T>) -> Answer<Option<T>> {
        let ended = match tried {
            Ok(answer) => self.commit().await.map(|()| answer),
            Err(failure) => {
                // Whether the server heard of it makes no difference: it aborts by itself as well.
                let _ = self.session.abort_transaction().await;
                Err(failure)
            }
        };
        match ended {
            Ok(answer) => {
                if let Some(bot_id) = self.passed.take() {
                    self.store.unsettled.end(&bot_id);
                }
                self.tries = 0;
                Ok(Some(answer))
            }
            Err(failure) if failure.is_transient() => {
                if self.tries >= TRIES_MAX {
                    let tries = self.tries;
                    return Err(Failure::Contended { tries, last: failure.to_string() });
                }
                if self.tries.is_multiple_of(TRIES_BEFORE_LOOKING) {
                    abandoned::end(self.store).await;
                }
                pause(self.tries).await;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn commit(&mut self) -> Answer<()> {
        let mut asked = 1;
        loop {
            let Err(error) = self.session.commit_transaction().await else { return Ok(()) };
            let failure = Failure::from(error);
            if !failure.is_unknown_commit() || asked == COMMITS_MAX {
                return Err(failure);
            }
            pause(asked).await;
            asked += 1;
        }
    }

    /// What an aggregation finds; it bounds its documents.
    pub(super) async fn aggregate(
        &mut self,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Answer<Vec<RawDocumentBuf>> {
        self.aggregate_by(collection, pipeline, None).await
    }

    /// The same through the index of a name, if one is given.
    pub(super) async fn aggregate_by(
        &mut self,
        collection: &str,
        pipeline: Vec<Document>,
        index: Option<&str>,
    ) -> Answer<Vec<RawDocumentBuf>> {
        let collection = self.store.database.collection::<RawDocumentBuf>(collection);
        let mut aggregate = collection.aggregate(pipeline).batch_size(BATCH_DOCUMENTS);
        if let Some(name) = index {
            aggregate = aggregate.hint(Hint::Name(name.to_owned()));
        }
        let mut cursor = aggregate.with_type::<RawDocumentBuf>().session(&mut self.session).await?;
        let mut found = Vec::new();
        while cursor.advance(&mut self.session).await? {
            found.push(cursor.current().to_owned());
        }
        Ok(found)
    }

    /// Inserts documents.
    pub(super) async fn insert(
        &mut self,
        collection: &str,
        documents: &[RawDocumentBuf],
    ) -> Answer<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let collection = self.store.database.collection::<RawDocumentBuf>(collection);
        collection.insert_many(documents).session(&mut self.session).await?;
        Ok(())
    }

    /// Executes updates, and tells how many documents they matched.
    pub(super) async fn update(
        &mut self,
        collection: &str,
        statements: Vec<Statement>,
    ) -> Answer<u64> {
        let mut matched = 0;
        for command in statements::commands(collection, statements) {
            let database = &self.store.database;
            let reply = database.run_raw_command(command).session(&mut self.session).await?;
            matched += statements::matched(&reply)?;
        }
        Ok(matched)
    }

    /// Changes all documents that match.
    pub(super) async fn update_all(
        &mut self,
        collection: &str,
        filter: Document,
        change: Document,
    ) -> Answer<()> {
        let collection = self.store.database.collection::<Document>(collection);
        collection.update_many(filter, change).session(&mut self.session).await?;
        Ok(())
    }

    /// Deletes one document a filter, each found by its id, and tells how many there were.
    pub(super) async fn delete_each(
        &mut self,
        collection: &str,
        filters: Vec<Document>,
    ) -> Answer<u64> {
        self.delete_by_ids(collection, filters, 1).await
    }

    /// Deletes all documents that match, found by their ids, and tells how many there were.
    pub(super) async fn delete_all(
        &mut self,
        collection: &str,
        filters: Vec<Document>,
    ) -> Answer<u64> {
        self.delete_by_ids(collection, filters, 0).await
    }

    /// Deletes as many documents a filter as `limit` says; 0 are all.
    async fn delete_by_ids(
        &mut self,
        collection: &str,
        filters: Vec<Document>,
        limit: i32,
    ) -> Answer<u64> {
        if filters.is_empty() {
            return Ok(0);
        }
        // With the index named, nothing is planned.
        let delete = |filter| doc! { "q": filter, "limit": limit, "hint": { "_id": 1 } };
        let deletes: Vec<Document> = filters.into_iter().map(delete).collect();
        let command = doc! { "delete": collection, "deletes": deletes, "ordered": true };
        let database = &self.store.database;
        let reply = database.run_command(command).session(&mut self.session).await?;
        statements::matched(&reply)
    }

    /// Deletes all documents that match.
    pub(super) async fn delete(&mut self, collection: &str, filter: Document) -> Answer<()> {
        let collection = self.store.database.collection::<Document>(collection);
        collection.delete_many(filter).session(&mut self.session).await?;
        Ok(())
    }

    /// Changes one document, and returns it as it is afterwards.
    pub(super) async fn change<T: serde::de::DeserializeOwned + Send + Sync>(
        &mut self,
        collection: &str,
        filter: Document,
        change: Document,
    ) -> Answer<Option<T>> {
        let collection = self.store.database.collection::<T>(collection);
        let changing = collection.find_one_and_update(filter, change);
        let after = mongodb::options::ReturnDocument::After;
        Ok(changing.return_document(after).session(&mut self.session).await?)
    }
}

/// Waits for a random part of a time that doubles with every try.
async fn pause(tries: u32) {
    let (first, longest) = PAUSE_MS;
    let most = first.checked_shl(tries.min(16)).unwrap_or(longest).min(longest);
    let random = uuid::Uuid::new_v4().as_u64_pair().1;
    tokio::time::sleep(Duration::from_millis(1 + random % most)).await;
}
