//! The durable half of the outbox: owed callbacks, their attempts, and their end.
//!
//! **Invariant:** an attempt number is written before it is told, and never told twice.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::id::{
    Attempt, BotId, CallbackId, CallbackKey, CorrespondentId, Epoch, MessageId, ProviderName,
};
use anteroom_core::message::Message;
use anteroom_core::store::{
    CallbackEnd, Fence, Mark, MarkAnswer, OwedCallback, OwedOf, OwedScope, Send, StoreReply,
};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, deserialize_from_slice, doc};
use serde::Deserialize;

use super::archive_documents::{self, CallbackState, Row};
use super::collections::ARCHIVE;
use super::connection::Connection;
use super::failure::Answer;
use super::fence::{self, Passed};
use super::given::place;
use super::inserts::by_correspondent;
use super::job_changes::union;
use super::pages::{documents_to_read, page_size};
use super::quarantine;
use super::sends;
use super::statements::Statement;
use super::transaction::{Transaction, transact};
use super::values::{date, message_number, saturating};

/// The stages that find a page of owed callbacks, in the order of their scope.
pub(super) fn owed_stages(bot_id: &BotId, scope: &OwedScope, limit: i64) -> Vec<Document> {
    let mut filter = doc! { "bot_id": bot_id.as_str(), "callback.state": "owed" };
    let order = match scope {
        OwedScope::Bot { after, except } => {
            filter.insert("archive_seq", doc! { "$gt": saturating(after.0) });
            if !except.is_empty() {
                let except: Vec<&str> = except.iter().map(|id| id.as_str()).collect();
                filter.insert("correspondent_id", doc! { "$nin": except });
            }
            doc! { "archive_seq": 1 }
        }
        OwedScope::Correspondents(of) => return stages_of_several(bot_id, of),
        OwedScope::CorrespondentById { correspondent_id, after } => {
            filter.insert("correspondent_id", correspondent_id.as_str());
            let after = after.map_or(0, |id| saturating(id.get()));
            filter.insert("id", doc! { "$gt": after });
            doc! { "id": 1 }
        }
    };
    vec![doc! { "$match": filter }, doc! { "$sort": order }, doc! { "$limit": limit }]
}

/// The same for one of several correspondents.
fn stages_of(bot_id: &BotId, of: &OwedOf) -> Vec<Document> {
    let filter = doc! {
        "bot_id": bot_id.as_str(),
        "callback.state": "owed",
        "correspondent_id": of.correspondent_id.as_str(),
        "archive_seq": { "$gt": saturating(of.after.0) },
    };
    let limit = doc! { "$limit": i64::from(of.limit) };
    vec![doc! { "$match": filter }, doc! { "$sort": { "archive_seq": 1 } }, limit]
}

/// The same for several correspondents, in one question, which a transaction cannot ask.
fn stages_of_several(bot_id: &BotId, of: &[OwedOf]) -> Vec<Document> {
    let [first, others @ ..] = of else { return vec![doc! { "$match": { "_id": [] } }] };
    let others = others.iter().map(|of| union(ARCHIVE, stages_of(bot_id, of)));
    stages_of(bot_id, first).into_iter().chain(others).collect()
}

/// The next owed callbacks of a scope, each with an attempt number that is durable with the answer.
pub(super) async fn owed(
    store: &Connection,
    fence: &Fence,
    scope: &OwedScope,
    limit: u32,
) -> Answer<StoreReply> {
    let _turn = store.turns.take(&fence.bot_id).await;
    transact!(store, |transaction| try_owed(transaction, fence, scope, page_size(limit)))
}

async fn try_owed(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    scope: &OwedScope,
    size: usize,
) -> Answer<StoreReply> {
    fence::pass(transaction, fence, 0).await?;
    let bot_id = &fence.bot_id;
    let mut page = Page::under(fence.epoch);
    let more = if let OwedScope::Correspondents(of) = scope {
        take_of_several(transaction, bot_id, of, &mut page).await?
    } else {
        let stages = owed_stages(bot_id, scope, documents_to_read(size));
        let found = transaction.aggregate(ARCHIVE, stages).await?;
        page.take(transaction, found.iter().take(size)).await?;
        found.len() > size
    };
    if !page.raised.is_empty() {
        let change = doc! {
            "$inc": { "callback.attempts": 1_i64 },
            "$set": { "callback.epoch": saturating(fence.epoch.0) },
        };
        transaction.update_all(ARCHIVE, doc! { "_id": { "$in": page.raised } }, change).await?;
    }
    transaction.store.given.add(bot_id, fence.epoch, &page.rows);
    Ok(StoreReply::OwedCallbacks { callbacks: page.callbacks, more })
}

/// Owed callbacks that were read for the owner under an epoch, their rows, and where those of them lie whose
/// attempts are to be raised.
struct Page {
    epoch: Epoch,
    callbacks: Vec<OwedCallback>,
    rows: Vec<Row>,
    raised: Vec<Bson>,
}

impl Page {
    fn under(epoch: Epoch) -> Self {
        Self { epoch, callbacks: Vec::new(), rows: Vec::new(), raised: Vec::new() }
    }

    /// Takes what can be read; the rest is set aside.
    async fn take(
        &mut self,
        transaction: &mut Transaction<'_>,
        found: impl Iterator<Item = &RawDocumentBuf>,
    ) -> Answer<()> {
        for document in found {
            match owed_callback(document, self.epoch) {
                Ok((row, callback)) => {
                    if callback.attempt.0 > row.attempts {
                        self.raised.push(row.position.into());
                    }
                    self.rows.push(row);
                    self.callbacks.push(callback);
                }
                Err(reason) => {
                    quarantine::set_aside(transaction, ARCHIVE, document, &reason).await?;
                }
            }
        }
        Ok(())
    }
}

/// Takes the callbacks of several correspondents; says whether one of them may have more.
async fn take_of_several(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    of: &[OwedOf],
    page: &mut Page,
) -> Answer<bool> {
    let question = stages_of_several(bot_id, of);
    let found = transaction.store.aggregate_newest(ARCHIVE, question).await?;
    page.take(transaction, found.iter()).await?;
    let mut read = found.len();
    // In the place of what cannot be read come the next ones, for fewer would mean that there are no
    // more. What is set aside is gone for the transaction only.
    while page.callbacks.len() < read {
        *page = Page::under(page.epoch);
        read = 0;
        for of in of {
            let found = transaction.aggregate(ARCHIVE, stages_of(bot_id, of)).await?;
            page.take(transaction, found.iter()).await?;
            read += found.len();
        }
    }
    let mut counts: BTreeMap<&CorrespondentId, u32> = BTreeMap::new();
    for callback in &page.callbacks {
        *counts.entry(&callback.correspondent_id).or_default() += 1;
    }
    let full = |of: &OwedOf| counts.get(&of.correspondent_id).is_some_and(|n| *n >= of.limit);
    Ok(of.iter().any(full))
}

/// The callback in a document, with its next attempt, or why it cannot be read.
fn owed_callback(document: &RawDocument, epoch: Epoch) -> Result<(Row, OwedCallback), String> {
    #[derive(Deserialize)]
    struct Owed {
        message: Message,
        callback: Failures,
    }
    #[derive(Deserialize)]
    struct Failures {
        failures: u32,
    }
    let row = archive_documents::read_row(document)?;
    let owed: Owed =
        deserialize_from_slice(document.as_bytes()).map_err(|error| error.to_string())?;
    let raise = u32::from(!row.is_first_attempt_under(epoch));
    let callback = OwedCallback {
        seq: row.seq,
        correspondent_id: row.correspondent_id.clone(),
        message: Arc::new(owed.message),
        revision: row.revision,
        attempt: Attempt(row.attempts.saturating_add(raise)),
        failures: owed.callback.failures,
    };
    Ok((row, callback))
}

/// Raises attempt numbers and stores the refusals counted so far.
pub(super) async fn raise(
    store: &Connection,
    fence: &Fence,
    callbacks: &[(CallbackKey, u32)],
) -> Answer<Vec<Option<Attempt>>> {
    let _turn = store.turns.take(&fence.bot_id).await;
    transact!(store, |transaction| try_raise(transaction, fence, callbacks))
}

async fn try_raise(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    callbacks: &[(CallbackKey, u32)],
) -> Answer<Vec<Option<Attempt>>> {
    let passed = fence::pass(transaction, fence, 0).await?;
    let keys = callbacks.iter().map(|(key, _)| key);
    let mut rows = rows_of(transaction, &fence.bot_id, &passed, keys).await?;
    let mut raised: BTreeMap<(CorrespondentId, MessageId), u32> = BTreeMap::new();
    let mut attempts = Vec::with_capacity(callbacks.len());
    for (key, failures) in callbacks {
        let place = place(key);
        let row = rows.get_mut(&place);
        let owed =
            row.filter(|row| row.callback == CallbackState::Owed && row.revision == key.revision);
        attempts.push(owed.map(|row| {
            row.attempts = row.attempts.saturating_add(1);
            raised.insert(place, *failures);
            Attempt(row.attempts)
        }));
    }
    let statements = raised.iter().filter_map(|(place, failures)| {
        let row = rows.get(place)?;
        let change = doc! { "$set": {
            "callback.attempts": i64::from(row.attempts),
            "callback.failures": i64::from(*failures),
            "callback.epoch": saturating(fence.epoch.0),
        } };
        Some(Statement::one(doc! { "_id": row.position }, change))
    });
    let statements = statements.collect::<Answer<Vec<_>>>()?;
    transaction.update(ARCHIVE, statements).await?;
    let given = raised.keys().filter_map(|place| rows.get(place));
    transaction.store.given.add(&fence.bot_id, fence.epoch, given);
    Ok(attempts)
}

/// Filters for the rows of several callbacks, a filter a correspondent.
fn places<'k>(
    bot_id: &BotId,
    provider_name: &ProviderName,
    keys: impl Iterator<Item = &'k CallbackKey>,
) -> Answer<Vec<Document>> {
    let numbers = keys
        .map(|key| Ok((&key.correspondent_id, message_number(key.message_id)?)))
        .collect::<Answer<Vec<_>>>()?;
    let numbers = by_correspondent(numbers.into_iter());
    Ok(archive_documents::of_messages(bot_id.as_str(), provider_name, &numbers))
}

/// The rows of several callbacks.
async fn rows_of<'k>(
    transaction: &mut Transaction<'_>,
    bot_id: &BotId,
    passed: &Passed,
    keys: impl Iterator<Item = &'k CallbackKey> + std::marker::Send,
) -> Answer<BTreeMap<(CorrespondentId, MessageId), Row>> {
    let Ok(provider_name) = passed.provider_name(bot_id) else { return Ok(BTreeMap::new()) };
    let filters = places(bot_id, &provider_name, keys)?;
    if filters.is_empty() {
        return Ok(BTreeMap::new());
    }
    let stages = vec![doc! { "$match": { "$or": filters } }, archive_documents::row_projection()];
    let found = transaction.aggregate(ARCHIVE, stages).await?;
    let mut rows = BTreeMap::new();
    for document in &found {
        let row = archive_documents::row_in(transaction, document).await?;
        rows.extend(row.map(|row| ((row.correspondent_id.clone(), row.id), row)));
    }
    Ok(rows)
}

/// Ends owed callbacks, and makes the consumers' replies durable. What was given up may be acknowledged yet.
pub(super) async fn mark(
    store: &Connection,
    fence: &Fence,
    marks: &[Mark],
) -> Answer<Vec<MarkAnswer>> {
    let _turn = store.turns.take(&fence.bot_id).await;
    let known = store.given.take(fence, marks).filter(|_| marks.iter().all(is_usual));
    if let Some(rows) = known
        && end(store, fence, marks, &rows).await? == marks.len() as u64
    {
        return Ok(vec![MarkAnswer::Ended; marks.len()]);
    }
    transact!(store, |transaction| try_mark(transaction, fence, marks))
}

/// Whether a mark is as nearly all are: of what this owner has sent, and without a reply.
fn is_usual(mark: &Mark) -> bool {
    mark.sent && mark.reply.is_none()
}

/// Ends callbacks as marks nearly always come: once, of callbacks that are owed and were given to the
/// owner under this epoch. Returns how many there were; the others are not as they were taken to be.
///
/// Needs no transaction. Another owner gives such a callback out only once it has written its own epoch
/// into the row, and from then on this one's update passes the row by.
async fn end(store: &Connection, fence: &Fence, marks: &[Mark], rows: &[ObjectId]) -> Answer<u64> {
    fence::check(store, fence).await?;
    let mut alike: BTreeMap<(&str, u32), Vec<Bson>> = BTreeMap::new();
    for (mark, row) in marks.iter().zip(rows) {
        let state = CallbackState::ended(mark.end).name();
        alike.entry((state, mark.key.revision)).or_default().push(row.into());
    }
    let mut statements = Vec::new();
    for ((state, revision), rows) in alike {
        let filter = doc! {
            "_id": { "$in": rows },
            "callback.state": "owed",
            "callback.revision": i64::from(revision),
            "callback.epoch": saturating(fence.epoch.0),
        };
        let change = store.time.set("ended_at", doc! { "callback.state": state });
        statements.push(Statement::all_of(filter, change)?);
    }
    store.update(ARCHIVE, statements).await
}

/// Ends those of the callbacks that are owed, and tells the rest apart.
async fn try_mark(
    transaction: &mut Transaction<'_>,
    fence: &Fence,
    marks: &[Mark],
) -> Answer<Vec<MarkAnswer>> {
    let passed = fence::pass(transaction, fence, 0).await?;
    passed.provider_name(&fence.bot_id)?;
    let keys = marks.iter().map(|mark| &mark.key);
    let mut rows = rows_of(transaction, &fence.bot_id, &passed, keys).await?;
    let mut statements = Vec::new();
    let mut replies = Vec::new();
    let mut answers = Vec::with_capacity(marks.len());
    for mark in marks {
        let row = rows.get_mut(&place(&mark.key));
        let (answer, ends) = judge(mark, row.as_deref(), fence.epoch);
        if let (true, Some(row)) = (ends, row) {
            row.callback = CallbackState::ended(mark.end);
            let change = doc! { "$set": {
                "callback.state": row.callback.name(), "ended_at": date(passed.now),
            } };
            statements.push(Statement::one(doc! { "_id": row.position }, change)?);
            replies.extend(reply(&fence.bot_id, mark));
        }
        answers.push(answer);
    }
    transaction.update(ARCHIVE, statements).await?;
    sends::enqueue_replies(transaction, &fence.bot_id, &replies, passed.now).await?;
    Ok(answers)
}

/// What is said of a mark, and whether it ends the callback.
fn judge(mark: &Mark, row: Option<&Row>, epoch: Epoch) -> (MarkAnswer, bool) {
    let Some(row) = row else { return (MarkAnswer::Unknown, false) };
    // Of a first attempt only its owner knows. What an earlier version never sent has no attempts at all.
    let was_sent = row.attempts > 0 && (mark.sent || !row.is_first_attempt_under(epoch));
    match (mark.key.revision.cmp(&row.revision), row.callback) {
        // A revision is made only after the callback before it has ended.
        (Ordering::Less, _) => (MarkAnswer::Ended, false),
        (Ordering::Greater, _) => (MarkAnswer::Unknown, false),
        (Ordering::Equal, CallbackState::Acknowledged) => (MarkAnswer::Ended, false),
        (Ordering::Equal, CallbackState::Undeliverable) => {
            (MarkAnswer::Ended, mark.end == CallbackEnd::Acknowledged)
        }
        (Ordering::Equal, CallbackState::Owed) if was_sent => (MarkAnswer::Ended, true),
        (Ordering::Equal, CallbackState::None | CallbackState::Owed) => {
            (MarkAnswer::Unknown, false)
        }
    }
}

fn reply(bot_id: &BotId, mark: &Mark) -> Option<Send> {
    let callback_id = CallbackId { bot_id: bot_id.clone(), key: mark.key.clone() };
    Some(Send {
        send_id: callback_id.to_string().into(),
        correspondent_id: mark.key.correspondent_id.clone(),
        message: mark.reply.clone()?,
    })
}
