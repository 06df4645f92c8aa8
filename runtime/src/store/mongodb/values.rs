//! How the core's values stand in documents.
//!
//! Owns the conversions. The server's integers and dates are signed: moments and places saturate, ids
//! that do not fit are refused.

use anteroom_core::id::{LeaseToken, MediaId, MessageId, NodeId};
use anteroom_core::time::Timestamp;
use mongodb::bson::{Bson, DateTime, Uuid};

use super::failure::{Answer, Failure};

/// A moment as a date.
pub(super) fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(saturating(moment.as_ms()))
}

/// The moment of a date.
pub(super) fn timestamp(date: DateTime) -> Timestamp {
    Timestamp::from_ms(unsigned(date.timestamp_millis()))
}

/// A number, where being too large means being larger than everything stored.
pub(super) fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored from an unsigned one.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A message id to be stored.
pub(super) fn message_number(id: MessageId) -> Answer<i64> {
    i64::try_from(id.get())
        .map_err(|_| Failure::invalid(format!("the message id {id} is too large to be stored")))
}

/// A message id that was stored.
pub(super) fn message_id(number: i64) -> Result<MessageId, String> {
    MessageId::new(unsigned(number)).ok_or_else(|| format!("{number} is no message id"))
}

/// An id of 16 bytes, stored as a UUID; their order is the order of the ids.
pub(super) trait AsUuid {
    /// The UUID as the server knows it.
    fn stored(&self) -> Uuid;
}

impl AsUuid for MediaId {
    fn stored(&self) -> Uuid {
        Uuid::from_bytes(self.as_uuid().into_bytes())
    }
}

impl AsUuid for NodeId {
    fn stored(&self) -> Uuid {
        Uuid::from_bytes(self.as_uuid().into_bytes())
    }
}

impl AsUuid for LeaseToken {
    fn stored(&self) -> Uuid {
        Uuid::from_bytes(self.as_uuid().into_bytes())
    }
}

/// The id that a UUID stands for.
pub(super) fn id_of<T: From<uuid::Uuid>>(stored: Uuid) -> T {
    uuid::Uuid::from_bytes(stored.bytes()).into()
}

/// Several ids, for a filter.
pub(super) fn uuids<'i, T: AsUuid + 'i>(ids: impl IntoIterator<Item = &'i T>) -> Vec<Bson> {
    ids.into_iter().map(|id| Bson::from(id.stored())).collect()
}
