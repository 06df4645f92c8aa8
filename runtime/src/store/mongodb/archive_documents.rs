//! Archived messages as documents.
//!
//! Owns the shape of the documents in `queues`: how a row is found, and the state of its callback.
//! `retention` is `due`, until the sweep has found a row to be its correspondent's highest: it is
//! `highest` then, and out of the sweep's way.

use std::collections::BTreeMap;

use anteroom_core::id::{
    ArchiveSeq, BotId, CorrespondentId, Epoch, MediaId, MessageId, ProviderMessageId, ProviderName,
};
use anteroom_core::message::Message;
use anteroom_core::store::{ArchiveItem, CallbackEnd, CallbackPlan};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{
    DateTime, Document, RawDocument, RawDocumentBuf, Uuid, deserialize_from_slice, doc,
    serialize_to_raw_document_buf,
};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::failure::Answer;
use super::fence::Passed;
use super::inserts::{ProviderMessages, by_correspondent};
use super::job_changes;
use super::job_documents::WorkedDocument;
use super::quarantine;
use super::transaction::{Transaction, transact};
use super::values::{AsUuid, date, id_of, message_id, message_number, saturating, unsigned};

/// What a row's `retention` is as long as the sweep may drop the row.
pub(super) const RETENTION_DUE: &str = "due";
/// What it is once the row was kept as its correspondent's highest.
pub(super) const RETENTION_HIGHEST: &str = "highest";

/// How far the callback of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallbackState {
    /// It owes none.
    None,
    /// It is owed.
    Owed,
    /// The consumer acknowledged it.
    Acknowledged,
    /// The consumer refused it too often.
    Undeliverable,
}

impl CallbackState {
    /// The state and the attempts that a message begins with.
    fn planned(plan: CallbackPlan) -> (Self, u32) {
        match plan {
            CallbackPlan::None => (Self::None, 0),
            CallbackPlan::Owed | CallbackPlan::OwedInWindow => (Self::Owed, 1),
        }
    }

    /// The state that an owed callback ends in.
    pub(super) fn ended(end: CallbackEnd) -> Self {
        match end {
            CallbackEnd::Acknowledged => Self::Acknowledged,
            CallbackEnd::Undeliverable => Self::Undeliverable,
        }
    }

    /// How it is stored.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Owed => "owed",
            Self::Acknowledged => "acknowledged",
            Self::Undeliverable => "undeliverable",
        }
    }
}

impl Callback {
    /// The callback of a message that was archived, or has got this revision, under an epoch.
    pub(super) fn new(epoch: Epoch, revision: u32, plan: CallbackPlan) -> Self {
        let (state, attempts) = CallbackState::planned(plan);
        let epoch = (state == CallbackState::Owed).then(|| saturating(epoch.0));
        Self { state, attempts, failures: 0, revision, epoch }
    }
}

/// What is asked of an archived message, short of the message.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) position: ObjectId,
    pub(super) correspondent_id: CorrespondentId,
    pub(super) id: MessageId,
    pub(super) provider_message_id: ProviderMessageId,
    pub(super) media_id: Option<MediaId>,
    pub(super) seq: ArchiveSeq,
    pub(super) revision: u32,
    pub(super) callback: CallbackState,
    pub(super) attempts: u32,
    epoch: Option<i64>,
}

impl Row {
    /// Whether nobody but the owner under this epoch can have sent its callback, and that one with the
    /// first number alone.
    pub(super) fn is_first_attempt_under(&self, epoch: Epoch) -> bool {
        self.attempts == 1 && self.epoch == Some(saturating(epoch.0))
    }
}

/// How far the callback of a row is.
#[derive(Serialize, Deserialize)]
pub(super) struct Callback {
    pub(super) state: CallbackState,
    attempts: u32,
    failures: u32,
    revision: u32,
    /// The epoch of the owner that alone may call it back: under it the callback came to be owed, or its
    /// attempts were raised last. None when an operator had it owed anew, until they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
}

#[derive(Serialize)]
struct ArchiveDocument<'m> {
    #[serde(rename = "_id")]
    position: ObjectId,
    bot_id: &'m str,
    provider_name: &'m str,
    correspondent_id: &'m str,
    id: i64,
    provider_message_id: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_id: Option<Uuid>,
    archive_seq: i64,
    callback: Callback,
    archived_at: DateTime,
    retention: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime>,
    /// Whose work its text is.
    #[serde(skip_serializing_if = "Option::is_none")]
    worked: Option<WorkedDocument>,
    message: &'m Message,
}

#[derive(Deserialize)]
struct RowDocument {
    #[serde(rename = "_id")]
    position: ObjectId,
    correspondent_id: CorrespondentId,
    id: i64,
    #[serde(default)]
    provider_message_id: String,
    media_id: Option<Uuid>,
    archive_seq: i64,
    callback: Callback,
}

/// A message as a new row.
pub(super) fn write(
    bot_id: &BotId,
    provider_name: &ProviderName,
    item: &ArchiveItem,
    seq: i64,
    passed: &Passed,
) -> Answer<(Row, RawDocumentBuf)> {
    let message = &*item.message;
    let now = passed.now;
    let callback = Callback::new(passed.epoch, 0, item.callback);
    let (state, attempts, epoch) = (callback.state, callback.attempts, callback.epoch);
    let position = ObjectId::new();
    let document = ArchiveDocument {
        position,
        bot_id: bot_id.as_str(),
        provider_name: provider_name.as_str(),
        correspondent_id: item.correspondent_id.as_str(),
        id: message_number(message.id)?,
        provider_message_id: message.provider_message_id.as_str(),
        media_id: message.media_id().map(|media_id| media_id.stored()),
        archive_seq: seq,
        callback,
        archived_at: date(now),
        retention: RETENTION_DUE,
        ended_at: (state != CallbackState::Owed).then(|| date(now)),
        worked: item.job.and_then(|job| job.worked).as_ref().map(WorkedDocument::from),
        message,
    };
    let row = Row {
        position,
        correspondent_id: item.correspondent_id.clone(),
        id: message.id,
        provider_message_id: message.provider_message_id.clone(),
        media_id: message.media_id(),
        seq: ArchiveSeq(unsigned(seq)),
        revision: 0,
        callback: state,
        attempts,
        epoch,
    };
    Ok((row, serialize_to_raw_document_buf(&document)?))
}

/// What a row must hold to be read by [`read_row`].
pub(super) fn row_projection() -> Document {
    doc! { "$project": {
        "correspondent_id": 1,
        "id": 1,
        "provider_message_id": 1,
        "media_id": 1,
        "archive_seq": 1,
        "callback": 1,
    } }
}

/// The row in a document, or why it cannot be read.
pub(super) fn read_row(document: &RawDocument) -> Result<Row, String> {
    let row: RowDocument =
        deserialize_from_slice(document.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Row {
        position: row.position,
        correspondent_id: row.correspondent_id,
        id: message_id(row.id)?,
        provider_message_id: row.provider_message_id.into(),
        media_id: row.media_id.map(id_of),
        seq: ArchiveSeq(unsigned(row.archive_seq)),
        revision: row.callback.revision,
        callback: row.callback.state,
        attempts: row.callback.attempts,
        epoch: row.callback.epoch,
    })
}

/// The row in a marked document that was read outside a transaction; none when it cannot be read and is
/// set aside.
pub(super) async fn row_aside(store: &Connection, marked: &RawDocument) -> Answer<Option<Row>> {
    let document = job_changes::inner(marked)?;
    match read_row(document) {
        Ok(row) => Ok(Some(row)),
        Err(reason) => {
            transact!(store, |transaction| quarantine::row(transaction, document, &reason))
                .map(|()| None)
        }
    }
}

/// The row in a document, or a part of one; none when it cannot be read and is set aside.
pub(super) async fn row_in(
    transaction: &mut Transaction<'_>,
    document: &RawDocument,
) -> Answer<Option<Row>> {
    match read_row(document) {
        Ok(row) => Ok(Some(row)),
        Err(reason) => quarantine::row(transaction, document, &reason).await.map(|()| None),
    }
}

/// The providers' messages of what is to be archived.
pub(super) fn provider_messages<'i>(
    items: impl Iterator<Item = &'i ArchiveItem>,
) -> ProviderMessages<'i> {
    let message =
        |item: &'i ArchiveItem| (&item.correspondent_id, item.message.provider_message_id.as_str());
    by_correspondent(items.map(message))
}

/// Filters for the rows of messages, a filter a correspondent.
pub(super) fn of_messages(
    bot_id: &str,
    provider_name: &ProviderName,
    messages: &BTreeMap<&CorrespondentId, Vec<i64>>,
) -> Vec<Document> {
    let filters = messages.iter().map(|(correspondent_id, ids)| {
        doc! {
            "bot_id": bot_id,
            "provider_name": provider_name.as_str(),
            "correspondent_id": correspondent_id.as_str(),
            "id": { "$in": ids.clone() },
        }
    });
    filters.collect()
}
