//! How the core's values stand in columns.
//!
//! Owns the conversions. SQLite's integers are signed: moments saturate (their bodies hold the
//! truth), ids that do not fit are refused.

use anteroom_core::id::{LeaseToken, MediaId, MessageId, NodeId};
use anteroom_core::time::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::failure::{Answer, Failure};

/// A moment as a column.
pub(super) fn moment(timestamp: Timestamp) -> i64 {
    saturating(timestamp.as_ms())
}

/// A number as a column, where being too large means being larger than everything stored.
pub(super) fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored from an unsigned one.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A moment that was stored.
pub(super) fn timestamp(column: i64) -> Timestamp {
    Timestamp::from_ms(unsigned(column))
}

/// A message id to be stored.
pub(super) fn message_number(id: MessageId) -> Answer<i64> {
    i64::try_from(id.get())
        .map_err(|_| Failure::invalid(format!("the message id {id} is too large to be stored")))
}

/// A message id that was stored.
pub(super) struct StoredMessageId(pub(super) MessageId);

impl FromSql for StoredMessageId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = i64::column_result(value)?;
        MessageId::new(unsigned(number)).map(Self).ok_or(FromSqlError::OutOfRange(number))
    }
}

/// An id of 16 bytes as a column.
pub(super) trait AsBlob {
    /// Its bytes; their order is the order of the ids.
    fn blob(&self) -> [u8; 16];
}

impl AsBlob for MediaId {
    fn blob(&self) -> [u8; 16] {
        self.as_uuid().into_bytes()
    }
}

impl AsBlob for NodeId {
    fn blob(&self) -> [u8; 16] {
        self.as_uuid().into_bytes()
    }
}

impl AsBlob for LeaseToken {
    fn blob(&self) -> [u8; 16] {
        self.as_uuid().into_bytes()
    }
}

/// The id of 16 bytes in a column.
pub(super) fn id_at<T: From<Uuid>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    Ok(Uuid::from_bytes(row.get(column)?).into())
}

/// A value as the JSON of a body.
pub(super) fn to_body(value: &impl Serialize) -> Answer<String> {
    serde_json::to_string(value)
        .map_err(|error| Failure::invalid(format!("a record cannot be written: {error}")))
}

/// The value in a body, or why it cannot be read.
pub(super) fn read_body<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, String> {
    let value = row.get_ref(column).map_err(|error| error.to_string())?;
    let bytes = value.as_bytes().map_err(|error| error.to_string())?;
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}
