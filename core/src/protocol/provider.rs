//! Frames provider → Anteroom, as types, and how a client writes them.
//!
//! They are read by [`parse_provider_frame`](super::parse_provider_frame) only; the `Deserialize`
//! here is the same reading. Every frame names its bot, unless the connection has only one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::PayloadVersion;
use super::parse::frame_from_json;
use super::secret::{REDACTED, Secret};
use crate::draft::{Direction, Draft, DraftMedia};
use crate::id::{
    BotId, CorrespondentId, ProviderInstance, ProviderMessageId, ProviderName, SendId,
};
use crate::message::Participant;
use crate::time::Timestamp;

/// What a provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderFrame {
    /// It introduces a bot.
    Hello(Hello),
    /// It hands a message over.
    Message(MessageFrame),
    /// It tells how it stands with its network.
    Status(StatusFrame),
    /// It has sent a message of the bot.
    Sent(Sent),
    /// It wants to hear a `pong`.
    Ping(Ping),
}

/// The introduction of a bot: the first frame of a connection, and of each further bot on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Which bot.
    pub bot_id: BotId,
    /// The kind of provider; a bot has exactly one.
    pub provider_name: ProviderName,
    /// Which installation of it; none stands for one of its own, that replaces no other.
    pub provider_instance: Option<ProviderInstance>,
    /// What proves the right to speak for the bot.
    pub token: Option<Secret>,
}

/// A message handed over, to be answered with exactly one receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFrame {
    /// The number that its receipt names; the provider counts.
    pub seq: u64,
    /// Which bot; none while the connection has only one.
    pub bot_id: Option<BotId>,
    /// The message.
    pub draft: Box<Draft>,
}

/// How a provider stands with its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatusFrame {
    /// Which bot; none while the connection has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// How it stands.
    pub status: ProviderStatus,
    /// More about it, for people; a login code as a data URL for example.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::contents::maybe")]
    pub detail: Option<String>,
}

/// How a provider stands with its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ProviderStatus {
    /// Messages flow.
    Connected,
    /// It is trying.
    Connecting,
    /// It is not connected and tries again by itself.
    Disconnected,
    /// It needs a person to log in.
    LoggedOut,
}

/// The confirmation of a send: it left, under this id of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sent {
    /// Which bot; none while the connection has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// Which send.
    pub send_id: SendId,
    /// The id it has at the provider.
    pub provider_message_id: ProviderMessageId,
}

/// A question whether the other side lives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ping {
    /// Which bot; none while the connection has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
}

impl ProviderFrame {
    /// The bot that the frame names.
    pub fn bot_id(&self) -> Option<&BotId> {
        match self {
            Self::Hello(hello) => Some(&hello.bot_id),
            Self::Message(message) => message.bot_id.as_ref(),
            Self::Status(status) => status.bot_id.as_ref(),
            Self::Sent(sent) => sent.bot_id.as_ref(),
            Self::Ping(ping) => ping.bot_id.as_ref(),
        }
    }

    /// The frame as a client sends it, a hello's token included. (`Serialize` leaves the token out.)
    pub fn to_wire(&self) -> String {
        let token = match self {
            Self::Hello(hello) => hello.token.as_ref().map(Secret::expose),
            Self::Message(_) | Self::Status(_) | Self::Sent(_) | Self::Ping(_) => None,
        };
        serde_json::to_string(&self.wire(token))
            .expect("a frame is an object of strings, numbers and lists: JSON can write it")
    }

    fn wire<'a>(&'a self, token: Option<&'a str>) -> Wire<'a> {
        match self {
            Self::Hello(hello) => Wire::Hello(WireHello::new(hello, token)),
            Self::Message(message) => Wire::Message(WireMessage::from(message)),
            Self::Status(status) => Wire::Status(status),
            Self::Sent(sent) => Wire::Sent(sent),
            Self::Ping(ping) => Wire::Ping(ping),
        }
    }
}

impl Serialize for ProviderFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = match self {
            Self::Hello(hello) => hello.token.as_ref().map(|_| REDACTED),
            Self::Message(_) | Self::Status(_) | Self::Sent(_) | Self::Ping(_) => None,
        };
        self.wire(token).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProviderFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        frame_from_json(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A frame in the order and under the names of the wire.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Wire<'a> {
    Hello(WireHello<'a>),
    Message(WireMessage<'a>),
    Status(&'a StatusFrame),
    Sent(&'a Sent),
    Ping(&'a Ping),
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WireHello<'a> {
    payload_version: PayloadVersion,
    bot_id: &'a BotId,
    provider_name: &'a ProviderName,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_instance: Option<&'a ProviderInstance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> WireHello<'a> {
    fn new(hello: &'a Hello, token: Option<&'a str>) -> Self {
        Self {
            payload_version: PayloadVersion,
            bot_id: &hello.bot_id,
            provider_name: &hello.provider_name,
            provider_instance: hello.provider_instance.as_ref(),
            token,
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct WireMessage<'a> {
    payload_version: PayloadVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot_id: Option<&'a BotId>,
    seq: u64,
    provider_message_id: &'a ProviderMessageId,
    correspondent_id: &'a CorrespondentId,
    sender: &'a Participant,
    group: Option<&'a Participant>,
    direction: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_id: Option<&'a SendId>,
    originating_time: Timestamp,
    // What is written always, and may be left out.
    #[cfg_attr(test, schemars(default))]
    replayed: bool,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    #[serde(serialize_with = "crate::contents::text")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a DraftMedia>,
}

impl<'a> From<&'a MessageFrame> for WireMessage<'a> {
    fn from(frame: &'a MessageFrame) -> Self {
        let draft = &frame.draft;
        Self {
            payload_version: PayloadVersion,
            bot_id: frame.bot_id.as_ref(),
            seq: frame.seq,
            provider_message_id: &draft.provider_message_id,
            correspondent_id: &draft.correspondent_id,
            sender: &draft.sender,
            group: draft.group.as_ref(),
            direction: draft.direction,
            send_id: draft.send_id.as_ref(),
            originating_time: draft.originating_time,
            replayed: draft.replayed,
            message: &draft.content,
            media: draft.media.as_ref(),
        }
    }
}

/// The schema of a provider's frames.
#[cfg(test)]
pub(super) fn schema() -> schemars::Schema {
    schemars::schema_for!(Wire<'_>)
}
