//! The witness that something is durable.
//!
//! **Architecture invariant:** telling the outside something that must be durable first takes a
//! [`Durable`] value, and a `Durable` is made only from the reply of a store operation. Forgetting to
//! persist first does not compile. (The two lists of raft-rs, "send now" and "send once persisted",
//! as a type.)

use serde::Serialize;

use crate::bot::event::AckAnswer;
use crate::id::CallbackKey;

/// A value whose durable cause has been confirmed by the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Durable<T>(T);

/// A successful reply of the store: what makes a [`Durable`].
pub(crate) trait Witness {}

impl<T> Durable<T> {
    /// Binds `value` to the store's reply that makes it true.
    pub(crate) fn by(_witness: &impl Witness, value: T) -> Self {
        Self(value)
    }

    /// Another value that the same durable cause makes true.
    pub(crate) fn map<U>(self, derive: impl FnOnce(T) -> U) -> Durable<U> {
        Durable(derive(self.0))
    }

    /// The same, of a reference.
    pub(crate) fn as_ref(&self) -> Durable<&T> {
        Durable(&self.0)
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, owned.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Durable<AckAnswer> {
    /// Acknowledging nothing needs no witness.
    pub(crate) fn of_nothing(unknown: Vec<CallbackKey>) -> Self {
        Self(AckAnswer { acknowledged: 0, unknown })
    }
}
