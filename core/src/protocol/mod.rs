//! The wire protocol, version 1: what providers, Anteroom and consumers say to each other.
//!
//! Owns the frames as types, their JSON form, and the one strict reading of what comes from outside.
//! The contract, frame by frame, is `docs/protocol/v1.md`; a test parses every example there.
//!
//! **Architecture invariant:** whatever comes from outside passes through [`parse_provider_frame`],
//! [`parse_ack`], [`parse_consumer_frame`], [`parse_webhook_answer`](consumer::parse_webhook_answer),
//! [`v0::parse`] or the readers of [`posted`], and nothing else. They are total: any text gives a
//! frame or a [`FrameError`] that names the field and the reason, in memory and time bounded by the
//! text's length. What they let through is within [`limits`].
//!
//! | file | idea |
//! |---|---|
//! | [`provider`] | frames provider → Anteroom |
//! | [`server`], [`receipt`] | frames Anteroom → provider |
//! | [`consumer`] | callbacks and their acknowledgement |
//! | [`stream`] | the WebSocket of callbacks |
//! | [`parse`] | the strict reading, over `fields`, `envelope` and `surrogate` |
//! | [`v0`] | the messages of the earlier backend's bridges |
//! | [`posted`] | the bodies of requests that stand for frames |
//! | [`error`] | what is wrong with a frame, and how it is told |
//! | [`limits`] | every bound of the protocol |
//! | [`secret`] | a token that is not shown |

pub mod consumer;
mod envelope;
pub mod error;
mod fields;
pub mod limits;
pub mod parse;
pub mod posted;
pub mod provider;
pub mod receipt;
pub mod secret;
pub mod server;
pub mod stream;
mod surrogate;
pub mod v0;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use consumer::{AckRequest, AckResponse, CallbackBatch, CallbackFrame, parse_ack};
pub use error::{ErrorCode, FrameError};
pub use limits::FRAME_BYTES_MAX;
pub use parse::parse_provider_frame;
pub use posted::{parse_posted_message, parse_posted_send};
pub use provider::{Hello, MessageFrame, ProviderFrame, ProviderStatus, Sent, StatusFrame};
pub use receipt::{Receipt, ReceiptOutcome, Rejection};
pub use secret::Secret;
pub use server::{ErrorFrame, Pong, Quota, SendFrame, ServerFrame, Welcome, WelcomeMedia};
pub use stream::{ConsumerFrame, NotAcked, StreamFrame, StreamWord, parse_consumer_frame};

/// The versions of the payload that [`parse_provider_frame`] reads.
pub const SUPPORTED_VERSIONS: &[u32] = &[PayloadVersion::NUMBER];

/// The one version of the payload that these types are; reads and writes as `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadVersion;

impl PayloadVersion {
    /// The version's number.
    pub const NUMBER: u32 = 1;
}

impl Serialize for PayloadVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for PayloadVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => Err(serde::de::Error::custom(format!("unsupported payload_version {other}"))),
        }
    }
}
