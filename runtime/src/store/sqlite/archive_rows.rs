//! Archived messages as rows.
//!
//! Owns how a row of `archive` is found, and the state of its callback.

use anteroom_core::id::{BotId, CorrespondentId, MediaId, MessageId, ProviderMessageId};
use anteroom_core::job::Worked;
use anteroom_core::store::{CallbackEnd, CallbackPlan};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Params, Row};
use uuid::Uuid;

use super::columns::{AsBlob, StoredMessageId, message_number, moment};
use super::correspondents;
use super::failure::Answer;
use super::work::Work;

/// The message with an id.
pub(super) const BY_ID: &str = "SELECT position, id, provider_message_id, media_id, seq, revision,
        callback, attempts
     FROM archive
     WHERE correspondent = ?2 AND id = ?3
        AND provider_name = (SELECT provider_name FROM bots WHERE bot_id = ?1)";

/// The message that its provider knows by an id.
pub(super) const BY_PROVIDER_MESSAGE: &str = "SELECT position, id, provider_message_id, media_id,
        seq, revision, callback, attempts
     FROM archive WHERE correspondent = ?1 AND provider_message_id = ?2";

/// What is asked of an archived message, short of its body.
pub(super) struct ArchiveRow {
    pub(super) position: i64,
    pub(super) id: MessageId,
    pub(super) provider_message_id: ProviderMessageId,
    pub(super) media_id: Option<MediaId>,
    pub(super) seq: i64,
    pub(super) revision: u32,
    pub(super) callback: CallbackState,
    pub(super) attempts: u32,
}

/// How far the callback of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(super) fn planned(plan: CallbackPlan) -> (Self, u32) {
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

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Owed => "owed",
            Self::Acknowledged => "acknowledged",
            Self::Undeliverable => "undeliverable",
        }
    }
}

impl ToSql for CallbackState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for CallbackState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        [Self::None, Self::Owed, Self::Acknowledged, Self::Undeliverable]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// The columns that say whose work a message's text is: who, since when, until when.
pub(super) fn worked(worked: Option<Worked>) -> (Option<[u8; 16]>, Option<i64>, Option<i64>) {
    match worked {
        Some(Worked { worker_id, claimed_at, ended_at }) => {
            (Some(worker_id.blob()), Some(moment(claimed_at)), Some(moment(ended_at)))
        }
        None => (None, None, None),
    }
}

/// The archived message with an id.
pub(super) fn find(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
    message_id: MessageId,
) -> Answer<Option<ArchiveRow>> {
    let number = message_number(message_id)?;
    let correspondent = correspondents::number(work, bot_id, correspondent_id)?;
    first(work, BY_ID, (bot_id.as_str(), correspondent, number))
}

/// The archived message that its provider knows by an id.
pub(super) fn find_by_provider_message(
    work: &Work<'_>,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
    provider_message_id: &ProviderMessageId,
) -> Answer<Option<ArchiveRow>> {
    let correspondent = correspondents::number(work, bot_id, correspondent_id)?;
    first(work, BY_PROVIDER_MESSAGE, (correspondent, provider_message_id.as_str()))
}

fn first(work: &Work<'_>, sql: &str, params: impl Params) -> Answer<Option<ArchiveRow>> {
    work.first(sql, params, read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<ArchiveRow> {
    let StoredMessageId(id) = row.get(1)?;
    Ok(ArchiveRow {
        position: row.get(0)?,
        id,
        provider_message_id: row.get::<_, String>(2)?.into(),
        media_id: row.get::<_, Option<[u8; 16]>>(3)?.map(|id| Uuid::from_bytes(id).into()),
        seq: row.get(4)?,
        revision: row.get(5)?,
        callback: row.get(6)?,
        attempts: row.get(7)?,
    })
}
