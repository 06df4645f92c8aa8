//! The connection to the server: a pool of a bounded size, time-outs, and the operations that need no
//! transaction.
//!
//! **Invariant:** what is written is durable when it is answered (majority and journal), and what is
//! read outside a transaction was durable (majority).

use std::time::Duration;

use anteroom_core::id::BotId;
use anteroom_core::time::Timestamp;
use futures_util::future::try_join_all;
use mongodb::bson::{Document, RawDocumentBuf, doc, rawdoc};
use mongodb::options::{
    AggregateOptions, Hint, ReadConcern, ReturnDocument, SelectionCriteria, UpdateModifications,
    WriteConcern,
};
use mongodb::{Client, Database};
use serde::de::DeserializeOwned;

use super::abandoned::LastLook;
use super::failure::Answer;
use super::given::Given;
use super::known_bots::KnownBots;
use super::next_id::NextIds;
use super::statements::{self, Statement};
use super::store_time::StoreTime;
use super::turns::Turns;
use super::unsettled::Unsettled;
use crate::store::Clock;

/// How many documents one answer of the server holds at the most, its own limit on size apart.
pub(super) const BATCH_DOCUMENTS: u32 = 20_000;

/// One of several questions.
pub(super) struct Question {
    pub(super) collection: &'static str,
    pub(super) pipeline: Vec<Document>,
    /// The index that answers it; with many filters, planning would cost more than reading.
    pub(super) index: Option<&'static str>,
}

/// The connected store, as its operations see it.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) database: Database,
    pub(super) time: StoreTime,
    /// This machine's time, by which it counts how long what it was granted lasts.
    pub(super) clock: Clock,
    pub(super) turns: Turns,
    pub(super) unsettled: Unsettled,
    pub(super) last_look: LastLook,
    pub(super) known_bots: KnownBots,
    pub(super) next_ids: NextIds,
    pub(super) given: Given,
    /// How long one call may take.
    pub(super) call_timeout: Duration,
}

impl Connection {
    /// The present moment of this machine, which never steps back.
    pub(super) fn here(&self) -> Timestamp {
        (self.clock)()
    }

    /// Forgets what only the owner of a bot may rely on.
    pub(super) fn give_up(&self, bot_id: &BotId) {
        self.known_bots.give_up(bot_id);
        self.given.forget(bot_id);
    }

    /// Durable on a majority of the nodes.
    pub(super) fn write_concern(&self) -> WriteConcern {
        write_concern(self.call_timeout)
    }

    /// What an aggregation finds; it bounds its documents.
    pub(super) async fn aggregate(
        &self,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Answer<Vec<RawDocumentBuf>> {
        self.read(collection, pipeline, None, ReadConcern::majority()).await
    }

    /// The same by an index of this name.
    pub(super) async fn aggregate_by(
        &self,
        collection: &str,
        pipeline: Vec<Document>,
        index: &str,
    ) -> Answer<Vec<RawDocumentBuf>> {
        self.read(collection, pipeline, Some(index), ReadConcern::majority()).await
    }

    /// The same, of the newest state, for a transaction that writes its bot's fence: since the owner has
    /// acquired the bot, only its own transactions commit, one after the other, and when this one is
    /// durable, so is what it saw. Asked beside the fence; behind it where one may be under way still
    /// (`unsettled`). (The server takes no union of collections inside a transaction.)
    pub(super) async fn aggregate_newest(
        &self,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Answer<Vec<RawDocumentBuf>> {
        self.read(collection, pipeline, None, ReadConcern::local()).await
    }

    /// The same for several questions, side by side.
    pub(super) async fn ask_newest(&self, questions: Vec<Question>) -> Answer<Vec<RawDocumentBuf>> {
        let asked = questions.into_iter().map(|Question { collection, pipeline, index }| {
            self.read(collection, pipeline, index, ReadConcern::local())
        });
        Ok(try_join_all(asked).await?.concat())
    }

    async fn read(
        &self,
        collection: &str,
        pipeline: Vec<Document>,
        index: Option<&str>,
        concern: ReadConcern,
    ) -> Answer<Vec<RawDocumentBuf>> {
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let mut options = AggregateOptions::default();
        options.max_time = Some(self.call_timeout);
        options.read_concern = Some(concern);
        options.batch_size = Some(BATCH_DOCUMENTS);
        options.hint = index.map(|name| Hint::Name(name.to_owned()));
        let aggregate = collection.aggregate(pipeline).with_options(options);
        let mut cursor = aggregate.with_type::<RawDocumentBuf>().await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            found.push(cursor.current().to_owned());
        }
        Ok(found)
    }

    /// The same in one snapshot of all its collections.
    pub(super) async fn aggregate_snapshot(
        &self,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Answer<Vec<RawDocumentBuf>> {
        let mut session = self.client.start_session().snapshot(true).await?;
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let aggregate = collection.aggregate(pipeline).max_time(self.call_timeout);
        let aggregate = aggregate.batch_size(BATCH_DOCUMENTS).with_type::<RawDocumentBuf>();
        let mut cursor = aggregate.session(&mut session).await?;
        let mut found = Vec::new();
        while cursor.advance(&mut session).await? {
            found.push(cursor.current().to_owned());
        }
        Ok(found)
    }

    /// Executes updates, and tells how many documents they matched.
    pub(super) async fn update(&self, collection: &str, statements: Vec<Statement>) -> Answer<u64> {
        let mut matched = 0;
        for mut command in statements::commands(collection, statements) {
            let timeout_ms = i64::try_from(self.call_timeout.as_millis()).unwrap_or(i64::MAX);
            let concern = rawdoc! { "w": "majority", "j": true, "wtimeout": timeout_ms };
            command.append(mongodb::bson::raw::cstr!("writeConcern"), concern);
            let reply = self.database.run_raw_command(command).await?;
            matched += statements::matched(&reply)?;
        }
        Ok(matched)
    }

    /// Changes all documents that match, and tells how many they were.
    pub(super) async fn update_all(
        &self,
        collection: &str,
        filter: Document,
        change: impl Into<UpdateModifications>,
    ) -> Answer<u64> {
        let collection = self.database.collection::<Document>(collection);
        Ok(collection.update_many(filter, change).await?.matched_count)
    }

    /// Changes or makes one document by a pipeline, and returns it as it is afterwards.
    pub(super) async fn put<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        id: impl Into<mongodb::bson::Bson>,
        pipeline: Vec<Document>,
    ) -> Answer<Option<T>> {
        let collection = self.database.collection::<T>(collection);
        let putting = collection.find_one_and_update(doc! { "_id": id.into() }, pipeline);
        Ok(putting.upsert(true).return_document(ReturnDocument::After).await?)
    }

    /// The document with an id.
    pub(super) async fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        id: impl Into<mongodb::bson::Bson>,
    ) -> Answer<Option<T>> {
        let collection = self.database.collection::<T>(collection);
        let finding = collection.find_one(doc! { "_id": id.into() });
        Ok(finding.max_time(self.call_timeout).await?)
    }
}

/// Durable on a majority of the nodes, and told so within a time.
pub(super) fn write_concern(timeout: Duration) -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern.w_timeout = Some(timeout);
    concern
}

/// Durable on a majority of the nodes, read where writes go.
pub(super) fn reads() -> (ReadConcern, SelectionCriteria) {
    let primary = mongodb::options::ReadPreference::Primary;
    (ReadConcern::majority(), SelectionCriteria::ReadPreference(primary))
}
