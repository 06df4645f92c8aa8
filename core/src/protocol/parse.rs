//! The strict reading of what a provider sends.
//!
//! The first thing that is wrong is told, with its field. A frame that is refused changes nothing
//! and, but for a `hello` of another version, ends nothing.

use serde_json::{Map, Value};

use super::PayloadVersion;
use super::envelope::Envelope;
use super::error::{ErrorCode, FrameError};
use super::fields::{
    FieldError, Fields, Reading, expected, flag, id, media_id, name_up_to, natural, object, one_of,
    sha256, text, text_cut_to, timestamp,
};
use super::limits::{
    ALTERNATE_IDENTIFIERS_MAX, DETAIL_CHARACTERS_MAX, DISPLAY_NAME_CHARACTERS_MAX,
    FILENAME_CHARACTERS_MAX, FRAME_BYTES_MAX, MIME_TYPE_BYTES_MAX, SEND_ID_BYTES_MAX,
    STATUS_DETAIL_CHARACTERS_MAX, TOKEN_BYTES_MAX,
};
use super::provider::{
    Hello, MessageFrame, Ping, ProviderFrame, ProviderStatus, Sent, StatusFrame,
};
use super::secret::Secret;
use super::surrogate::repaired;
use crate::draft::{Direction, Draft, DraftMedia};
use crate::id::{ProviderInstance, SendId};
use crate::message::{MediaKind, Participant};

/// Reads one frame of a provider.
///
/// # Errors
/// A [`FrameError`] for every text that is not exactly one frame within the protocol's
/// [`limits`](super::limits). It carries the `seq` of a message frame wherever that could be read;
/// [`FrameError::into_reply`] makes the answer.
pub fn parse_provider_frame(text: &str) -> Result<ProviderFrame, FrameError> {
    if text.len() > FRAME_BYTES_MAX {
        return Err(too_large(text));
    }
    frame_from_json(json(text)?)
}

/// Reads one frame that is JSON already.
pub(super) fn frame_from_json(json: Value) -> Result<ProviderFrame, FrameError> {
    let object = frame_object(json)?;
    let envelope = Envelope::of_object(&object);
    frame(&mut Fields::of_frame(object)).map_err(|error| error.about(envelope))
}

/// Reads a text as JSON.
pub(super) fn json(text: &str) -> Result<Value, FrameError> {
    serde_json::from_str(text)
        .or_else(|error| repaired(text).map_or(Err(error), |text| serde_json::from_str(&text)))
        .map_err(|error| {
            let detail = format!("not JSON that can be read: {error}");
            FrameError::new(ErrorCode::MalformedJson, None, detail).about(Envelope::of_text(text))
        })
}

/// Takes JSON as the object that every frame is.
pub(super) fn frame_object(json: Value) -> Result<Map<String, Value>, FrameError> {
    object(json).map_err(|detail| FrameError::new(ErrorCode::MalformedJson, None, detail))
}

fn too_large(text: &str) -> FrameError {
    let envelope = Envelope::of_text(text);
    let field = envelope.large_field.map(str::to_owned);
    FrameError { field, ..FrameError::too_large(text.len() as u64) }.about(envelope)
}

#[derive(Clone, Copy)]
enum FrameType {
    Hello,
    Message,
    Status,
    Sent,
    Ping,
}

const FRAME_TYPES: &[(&str, FrameType)] = &[
    ("hello", FrameType::Hello),
    ("message", FrameType::Message),
    ("status", FrameType::Status),
    ("sent", FrameType::Sent),
    ("ping", FrameType::Ping),
];

const STATUSES: &[(&str, ProviderStatus)] = &[
    ("connected", ProviderStatus::Connected),
    ("connecting", ProviderStatus::Connecting),
    ("disconnected", ProviderStatus::Disconnected),
    ("logged_out", ProviderStatus::LoggedOut),
];

pub(super) const DIRECTIONS: &[(&str, Direction)] =
    &[("incoming", Direction::Incoming), ("outgoing", Direction::Outgoing)];

const MEDIA_KINDS: &[(&str, MediaKind)] = &[
    ("audio", MediaKind::Audio),
    ("video", MediaKind::Video),
    ("image", MediaKind::Image),
    ("sticker", MediaKind::Sticker),
    ("document", MediaKind::Document),
];

fn frame(fields: &mut Fields) -> Result<ProviderFrame, FrameError> {
    let name = fields.required("type", text)?;
    let frame_type = one_of(FRAME_TYPES)(Value::String(name)).map_err(|detail| {
        FrameError::new(ErrorCode::UnknownFrameType, Some("type".to_owned()), detail)
    })?;
    let frame = match frame_type {
        FrameType::Hello => return hello(fields).map(ProviderFrame::Hello),
        FrameType::Message => ProviderFrame::Message(message(fields)?),
        FrameType::Status => ProviderFrame::Status(status(fields)?),
        FrameType::Sent => ProviderFrame::Sent(sent(fields)?),
        FrameType::Ping => ProviderFrame::Ping(Ping { bot_id: fields.optional("bot_id", id)? }),
    };
    Ok(frame)
}

fn hello(fields: &mut Fields) -> Result<Hello, FrameError> {
    version(fields).map_err(|error| FrameError {
        fatal: error.code == ErrorCode::UnsupportedPayloadVersion,
        ..error.into()
    })?;
    Ok(Hello {
        bot_id: fields.required("bot_id", id)?,
        provider_name: fields.required("provider_name", id)?,
        provider_instance: fields.optional("provider_instance", instance)?.flatten(),
        token: fields.optional("token", token)?,
    })
}

/// The payload's version: the one that is spoken here, or an error of its own code.
fn version(fields: &mut Fields) -> Result<(), FieldError> {
    let version = fields.required("payload_version", Ok)?;
    if version == PayloadVersion::NUMBER {
        return Ok(());
    }
    let wanted = format!("{}, the only version spoken here", PayloadVersion::NUMBER);
    Err(FieldError {
        code: ErrorCode::UnsupportedPayloadVersion,
        field: "payload_version".to_owned(),
        detail: expected(&wanted, &version),
    })
}

/// A provider instance; an empty one is none.
fn instance(value: Value) -> Reading<Option<ProviderInstance>> {
    if value.as_str() == Some("") { Ok(None) } else { id(value).map(Some) }
}

/// A token; its value is never shown.
fn token(value: Value) -> Reading<Secret> {
    match value {
        Value::String(text) if text.len() <= TOKEN_BYTES_MAX => Ok(text.into()),
        Value::String(_) => Err(format!("at most {TOKEN_BYTES_MAX} bytes")),
        _ => Err("expected a string".to_owned()),
    }
}

fn message(fields: &mut Fields) -> Result<MessageFrame, FieldError> {
    let seq = fields.required("seq", natural)?;
    let bot_id = fields.optional("bot_id", id)?;
    version(fields)?;
    let media = fields.nested("media")?.as_mut().map(media).transpose()?;
    let content = match fields.optional("message", text)? {
        Some(content) => content,
        None if media.is_some() => String::new(),
        None => return Err(fields.missing("message")),
    };
    let draft = Draft {
        correspondent_id: fields.required("correspondent_id", id)?,
        provider_message_id: fields.required("provider_message_id", id)?,
        content,
        sender: participant(fields, "sender")?.ok_or_else(|| fields.missing("sender"))?,
        direction: fields.required("direction", one_of(DIRECTIONS))?,
        send_id: fields.optional("send_id", send_id)?,
        originating_time: fields.required("originating_time", timestamp)?,
        group: participant(fields, "group")?,
        replayed: fields.optional("replayed", flag)?.unwrap_or(false),
        media,
    };
    Ok(MessageFrame { seq, bot_id, draft: Box::new(draft) })
}

fn participant(fields: &mut Fields, name: &str) -> Result<Option<Participant>, FieldError> {
    let Some(mut fields) = fields.nested(name)? else { return Ok(None) };
    Ok(Some(Participant {
        identifier: fields.required("identifier", id)?,
        display_name: fields.optional("display_name", text_cut_to(DISPLAY_NAME_CHARACTERS_MAX))?,
        alternate_identifiers: fields
            .list("alternate_identifiers", ALTERNATE_IDENTIFIERS_MAX, id)?
            .unwrap_or_default(),
    }))
}

fn media(fields: &mut Fields) -> Result<DraftMedia, FieldError> {
    Ok(DraftMedia {
        media_id: fields.required("media_id", media_id)?,
        kind: fields.required("kind", one_of(MEDIA_KINDS))?,
        mime_type: fields.required("mime_type", name_up_to(MIME_TYPE_BYTES_MAX))?,
        original_filename: fields
            .optional("original_filename", text_cut_to(FILENAME_CHARACTERS_MAX))?,
        size_bytes: fields.optional("size_bytes", natural)?,
        sha256: fields.optional("sha256", sha256)?,
        quota_exceeded: fields.optional("quota_exceeded", flag)?.unwrap_or(false),
        detail: fields.optional("detail", text_cut_to(DETAIL_CHARACTERS_MAX))?,
    })
}

fn status(fields: &mut Fields) -> Result<StatusFrame, FieldError> {
    Ok(StatusFrame {
        bot_id: fields.optional("bot_id", id)?,
        status: fields.required("status", one_of(STATUSES))?,
        detail: fields.optional("detail", text_cut_to(STATUS_DETAIL_CHARACTERS_MAX))?,
    })
}

fn sent(fields: &mut Fields) -> Result<Sent, FieldError> {
    Ok(Sent {
        bot_id: fields.optional("bot_id", id)?,
        send_id: fields.required("send_id", send_id)?,
        provider_message_id: fields.required("provider_message_id", id)?,
    })
}

fn send_id(value: Value) -> Reading<SendId> {
    name_up_to(SEND_ID_BYTES_MAX)(value).map(SendId::from)
}
