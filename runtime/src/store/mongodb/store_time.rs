//! The time by which leases end.
//!
//! Owns the one place where that time comes from: the server's `$$NOW`, evaluated by the server as it
//! executes an operation, so that all nodes share one clock. The contract suite gives a clock of its
//! own instead; everything else is the same.

use std::sync::Arc;

use anteroom_core::time::Millis;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::values::date;
use crate::clock::{BootClock, Clock as _};
use crate::store::Clock;

/// The longest time that is added to or taken off a moment: more than anyone waits, and less than
/// what leaves the range of a date.
const LENGTH_MS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// Whose time leases end by.
#[derive(Clone)]
pub enum StoreTime {
    /// The server's.
    Server,
    /// That of a clock, so that a test can let time pass.
    Given(Clock),
}

impl StoreTime {
    /// A clock that counts as this time does, without being asked of the server.
    pub(super) fn clock(&self) -> Clock {
        match self {
            Self::Server => {
                let clock = BootClock::start();
                Arc::new(move || clock.now())
            }
            Self::Given(clock) => Arc::clone(clock),
        }
    }

    /// The present moment, as an expression that the server evaluates.
    pub(super) fn now(&self) -> Bson {
        match self {
            Self::Server => Bson::String("$$NOW".to_owned()),
            Self::Given(clock) => Bson::DateTime(date(clock())),
        }
    }

    /// The update that sets a field to the present moment, and other fields with it.
    pub(super) fn set(&self, field: &str, mut others: Document) -> Document {
        match self {
            Self::Server => doc! { "$currentDate": { field: true }, "$set": others },
            Self::Given(clock) => {
                others.insert(field, date(clock()));
                doc! { "$set": others }
            }
        }
    }

    /// The moment that lies `length` ahead, as an expression.
    pub(super) fn ahead(&self, length: Millis) -> Bson {
        Bson::Document(doc! { "$add": [self.now(), bounded(length)] })
    }

    /// The moment `length` ago, as an expression.
    pub(super) fn ago(&self, length: Millis) -> Bson {
        Bson::Document(doc! { "$subtract": [self.now(), bounded(length)] })
    }
}

/// The moment that lies `length` after another.
pub(super) fn later(moment: DateTime, length: Millis) -> DateTime {
    DateTime::from_millis(moment.timestamp_millis().saturating_add(bounded(length)))
}

fn bounded(length: Millis) -> i64 {
    i64::try_from(length.as_ms().min(LENGTH_MS_MAX)).unwrap_or(i64::MAX)
}
