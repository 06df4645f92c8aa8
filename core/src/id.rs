//! Names of things: every id and token has a type of its own, so none can stand in for another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lookup;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct $name(#[cfg_attr(test, schemars(with = "String"))] Uuid);

        impl $name {
            /// The id as a UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

text_id! {
    /// One bot: the account a provider connects and whose consumer gets the callbacks.
    BotId
}
text_id! {
    /// The provider's own id of a message; unique for a correspondent.
    ProviderMessageId
}
text_id! {
    /// The kind of provider a bot is connected through, `whatsapp_baileys` for example.
    ProviderName
}
text_id! {
    /// One installation of a provider; a new connection of the same one replaces the old.
    ProviderInstance
}
text_id! {
    /// The idempotency key of an outgoing message.
    SendId
}
text_id! {
    /// A pool of workers, `audio` for example.
    PoolName
}
uuid_id! {
    /// One media file and the job that turns it into text.
    MediaId
}
uuid_id! {
    /// The proof that a claim of a job is the current one; new for every claim.
    LeaseToken
}
uuid_id! {
    /// One process of Anteroom, from its start to its end.
    NodeId
}
uuid_id! {
    /// One provider connection.
    SessionId
}
number_id! {
    /// A callback stream that a consumer holds open.
    StreamId
}
number_id! {
    /// A request from outside that waits for its answer.
    RequestId
}
number_id! {
    /// One store operation in flight; never used twice by a machine.
    OpId
}
number_id! {
    /// The fencing token of a bot's ownership; grows with every change of owner.
    Epoch
}
number_id! {
    /// The place of a message in its bot's archive; grows with every archived message.
    ArchiveSeq
}

/// Whom a bot talks with: a person or a group, as the provider names it.
///
/// Everything a message goes through looks its correspondent up, so the id carries its own hash. It
/// is seeded anew in each process, and never seen outside.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Arc<str>", into = "Arc<str>")]
pub struct CorrespondentId {
    text: Arc<str>,
    hash: u64,
}

impl CorrespondentId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Arc<str>> for CorrespondentId {
    fn from(text: Arc<str>) -> Self {
        Self { hash: lookup::hash(&text), text }
    }
}

impl From<&str> for CorrespondentId {
    fn from(text: &str) -> Self {
        Arc::<str>::from(text).into()
    }
}

impl From<String> for CorrespondentId {
    fn from(text: String) -> Self {
        Arc::<str>::from(text).into()
    }
}

impl From<CorrespondentId> for Arc<str> {
    fn from(id: CorrespondentId) -> Self {
        id.text
    }
}

impl Hash for CorrespondentId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for CorrespondentId {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for CorrespondentId {}

impl PartialOrd for CorrespondentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CorrespondentId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Debug for CorrespondentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CorrespondentId").field(&self.text).finish()
    }
}

impl fmt::Display for CorrespondentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl MediaId {
    /// Parses the hyphenated form and nothing else, so that a media id can safely name a file.
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        (text.len() == 36).then_some(Self(uuid))
    }
}

/// Who holds a lease: the node's process. New at each process start.
pub type WorkerId = NodeId;

/// The number of a message within its correspondent, counted from 1, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageId(NonZeroU64);

impl MessageId {
    /// The id of a correspondent's first message.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The id with this number; none for 0.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The id after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How often a callback has been tried, the current time included; durable before it is sent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attempt(pub u32);

/// Which callback of a bot: the message, and which revision of it (0 for the message itself).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallbackKey {
    /// Whose message.
    pub correspondent_id: CorrespondentId,
    /// Which message.
    pub message_id: MessageId,
    /// 0 for the message, n for its n-th revision.
    pub revision: u32,
}

/// The public, stable name of a callback: `bot/correspondent/message_id`, `…/r<n>` for a revision.
///
/// The parts are percent-encoded, so that any id survives a URL, a header and a log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallbackId {
    /// The bot.
    pub bot_id: BotId,
    /// The callback within the bot.
    pub key: CallbackKey,
}

/// What stays readable in a callback id: unreserved characters and those common in chat ids.
const CALLBACK_PART: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b'+');

impl fmt::Display for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            utf8_percent_encode(self.bot_id.as_str(), CALLBACK_PART),
            utf8_percent_encode(self.key.correspondent_id.as_str(), CALLBACK_PART),
            self.key.message_id
        )?;
        match self.key.revision {
            0 => Ok(()),
            revision => write!(f, "/r{revision}"),
        }
    }
}

/// The text is no callback id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a callback id (expected bot/correspondent/message_id or …/r<n>)")]
pub struct InvalidCallbackId;

impl FromStr for CallbackId {
    type Err = InvalidCallbackId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let decoded =
            |part: &str| percent_decode_str(part).decode_utf8().map(|text| text.into_owned()).ok();
        let mut parts = text.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(InvalidCallbackId);
        let bot_id = decoded(next()?).ok_or(InvalidCallbackId)?;
        let correspondent_id = decoded(next()?).ok_or(InvalidCallbackId)?;
        let number = next()?.parse().map_err(|_| InvalidCallbackId)?;
        let message_id = MessageId::new(number).ok_or(InvalidCallbackId)?;
        let revision = match parts.next() {
            None => 0,
            Some(part) => part
                .strip_prefix('r')
                .and_then(|number| number.parse().ok())
                .filter(|number| *number > 0)
                .ok_or(InvalidCallbackId)?,
        };
        if parts.next().is_some() {
            return Err(InvalidCallbackId);
        }
        Ok(Self {
            bot_id: bot_id.into(),
            key: CallbackKey { correspondent_id: correspondent_id.into(), message_id, revision },
        })
    }
}

impl Serialize for CallbackId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallbackId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: any id, however odd, comes back from its callback id unchanged.
    #[test]
    fn callback_id_survives_odd_ids() {
        for (bot, correspondent, revision) in
            [("wa-7", "4917@s.whatsapp.net", 0), ("a/b", "c d%/é", 3), ("..", "🦀", 1)]
        {
            let id = CallbackId {
                bot_id: bot.into(),
                key: CallbackKey {
                    correspondent_id: correspondent.into(),
                    message_id: MessageId::FIRST,
                    revision,
                },
            };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    /// Goal: what is no callback id is refused, never misread.
    #[test]
    fn callback_id_refuses_nonsense() {
        for text in ["", "a/b", "a/b/0", "a/b/x", "a//1", "a/b/1/2", "a/b/1/r0", "a/b/1/r1/x"] {
            assert_eq!(text.parse::<CallbackId>(), Err(InvalidCallbackId), "{text}");
        }
    }

    /// Goal: only the hyphenated form of a UUID is a media id; nothing that could be a path is.
    #[test]
    fn media_id_is_a_hyphenated_uuid() {
        assert!(MediaId::parse("8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11").is_some());
        for text in [
            "",
            "../../etc/passwd",
            "8c7a2f0e41e44d4f9d402f6f5f0f9a11",
            "{8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11}",
        ] {
            assert_eq!(MediaId::parse(text), None, "{text}");
        }
    }
}
