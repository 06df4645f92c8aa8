//! The witness that something is durable.
//!
//! **Architecture invariant:** telling the outside something that must be durable first takes a
//! [`Durable`] value, and a `Durable` is made only from the reply of a store operation. Forgetting to
//! persist first does not compile. (The two lists of raft-rs, "send now" and "send once persisted",
//! as a type.)
//!
//! What a machine knows to be durable is in its snapshot, and known again when the machine is restored
//! from it; nothing else can be read back as durable:
//!
//! ```compile_fail
//! use anteroom_core::durable::Durable;
//! let forged: Durable<u64> = serde_json::from_str("1").unwrap();
//! ```

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

/// How a witness stands in the snapshot of the machine that holds it. For the private state of the
/// rooms alone: no event, effect or setting may be read back through it.
pub(crate) mod kept {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Durable;

    pub fn serialize<T, S>(durable: &Durable<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Serialize,
        S: Serializer,
    {
        durable.0.serialize(serializer)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Durable<T>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        T::deserialize(deserializer).map(Durable)
    }
}
