//! The documents of the earlier backend, read.
//!
//! It kept times as numbers of milliseconds, named a job's media `guid`, and marked a message that
//! waited for its media by `media_processing_id`. Senders may be plain names. What is missing gets the
//! value that it had there; what cannot be made sense of is an error, and set aside by the caller.

use anteroom_core::id::{MediaId, MessageId};
use anteroom_core::message::{Media, MediaKind, Message, Participant, Source, size_of};
use anteroom_core::time::Timestamp;
use mongodb::bson::{Bson, DateTime, Document, deserialize_from_slice, doc};
use serde::Deserialize;

use super::super::failure::{Answer, Failure};
use super::super::transaction::Transaction;
use super::super::values::timestamp;

/// What the earlier backend was connected through, where a document does not say it.
pub(super) const PROVIDER: &str = "whatsapp_baileys";

/// The store's time, asked of a collection that is not empty.
pub(super) async fn now(transaction: &mut Transaction<'_>, collection: &str) -> Answer<Timestamp> {
    #[derive(Deserialize)]
    struct Now {
        now: DateTime,
    }
    let now = doc! { "_id": 0, "now": transaction.store.time.now() };
    let stages = vec![doc! { "$limit": 1 }, doc! { "$project": now }];
    let found = transaction.aggregate(collection, stages).await?;
    let now = found.first().and_then(|it| deserialize_from_slice::<Now>(it.as_bytes()).ok());
    let missing = || Failure::unavailable(format!("{collection} does not tell the time"));
    Ok(timestamp(now.ok_or_else(missing)?.now))
}

/// A text; an error when it is missing.
pub(super) fn text(document: &Document, field: &str) -> Result<String, String> {
    match document.get(field) {
        Some(Bson::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{field} is {other}, which is no text")),
        None => Err(format!("it has no {field}")),
    }
}

/// A text that may be missing.
pub(super) fn optional_text(document: &Document, field: &str) -> Option<String> {
    document.get_str(field).ok().map(str::to_owned)
}

/// A number, however it was written.
pub(super) fn number(document: &Document, field: &str) -> Option<u64> {
    match document.get(field)? {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        Bson::Double(number) if (0.0..9.0e15).contains(number) => {
            // Within the range checked above the value fits, and its fraction means nothing.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "see above"
            )]
            Some(*number as u64)
        }
        Bson::DateTime(date) => u64::try_from(date.timestamp_millis()).ok(),
        _ => None,
    }
}

/// A moment in milliseconds, or a date.
pub(super) fn moment(document: &Document, field: &str) -> Option<Timestamp> {
    number(document, field).map(Timestamp::from_ms)
}

/// A media id.
pub(super) fn media_id(text: &str) -> Result<MediaId, String> {
    MediaId::parse(text).ok_or_else(|| format!("{text:?} is no media id"))
}

/// The kind of media that a type stands for.
pub(super) fn kind_of(mime_type: &str) -> MediaKind {
    match mime_type.split_once('/').map_or("", |(kind, _)| kind) {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        "image" => MediaKind::Image,
        _ => MediaKind::Document,
    }
}

/// A message.
pub(super) fn message(document: &Document) -> Result<Message, String> {
    let id = number(document, "id").and_then(MessageId::new).ok_or("it has no message id")?;
    let content = optional_text(document, "content").unwrap_or_default();
    let accepted_time = moment(document, "accepted_time").unwrap_or_default();
    Ok(Message {
        id,
        message_size: size_of(&content),
        content,
        sender: document.get("sender").map(participant).unwrap_or_default(),
        source: source(document),
        accepted_time,
        originating_time: moment(document, "originating_time").unwrap_or(accepted_time),
        group: document
            .get("group")
            .filter(|group| **group != Bson::Null)
            .map(|group| Box::new(participant(group))),
        provider_message_id: optional_text(document, "provider_message_id")
            .unwrap_or_default()
            .into(),
        replayed: false,
        truncated: false,
        media: None,
    })
}

/// The message that waits for its media.
pub(super) fn placeholder(
    document: &Document,
    media_id: MediaId,
    mime_type: &str,
    original_filename: Option<String>,
) -> Result<Message, String> {
    let mut message = message(document)?;
    if message.provider_message_id.as_str().is_empty() {
        // A name that no resend has: two jobs without one are not the same message.
        message.provider_message_id = media_id.to_string().into();
    }
    let caption = (!message.content.is_empty()).then(|| message.content.clone());
    message.media = Some(Box::new(Media {
        media_id,
        kind: kind_of(mime_type),
        mime_type: mime_type.to_owned(),
        original_filename,
        caption,
        outcome: None,
    }));
    Ok(message)
}

fn source(document: &Document) -> Source {
    match document.get_str("source") {
        Ok("bot") => Source::Bot,
        Ok("user_outgoing") => Source::UserOutgoing,
        Ok(_) | Err(_) => Source::User,
    }
}

fn participant(value: &Bson) -> Participant {
    match value {
        Bson::String(identifier) => {
            Participant { identifier: identifier.clone(), ..Participant::default() }
        }
        Bson::Document(document) => Participant {
            identifier: optional_text(document, "identifier").unwrap_or_default(),
            display_name: optional_text(document, "display_name"),
            alternate_identifiers: document
                .get_array("alternate_identifiers")
                .map(|all| all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
        },
        _ => Participant::default(),
    }
}
