//! What scripts talk about: one bot, its correspondents, their messages, and short names for ids.

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::draft::{Direction, Draft, DraftMedia};
use anteroom_core::event::Event;
use anteroom_core::id::{
    Attempt, CallbackKey, Epoch, LeaseToken, MediaId, MessageId, NodeId, RequestId, SessionId,
    StreamId,
};
use anteroom_core::job::{Job, Place, Status};
use anteroom_core::message::{Extracted, Media, MediaKind, Message, Outcome, Participant, Source};
use anteroom_core::protocol::{Hello, MessageFrame, ProviderFrame};
use anteroom_core::session::event::SessionEvent;
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::store::BotRecord;
use anteroom_core::time::Timestamp;
use uuid::Uuid;

pub const BOT: &str = "wa-7";
pub const PROVIDER: &str = "whatsapp_baileys";
/// The connection that carries the bot.
pub const SESSION: u128 = 1;

pub fn node_settings() -> NodeSettings {
    NodeSettings::new(node_id(1))
}

pub fn node_id(number: u128) -> NodeId {
    Uuid::from_u128(number).into()
}

pub fn session(number: u128) -> SessionId {
    Uuid::from_u128(number).into()
}

pub fn media(number: u128) -> MediaId {
    Uuid::from_u128(number).into()
}

pub fn token(number: u128) -> LeaseToken {
    Uuid::from_u128(number).into()
}

pub fn epoch(number: u64) -> Epoch {
    Epoch(number)
}

pub fn message_id(number: u64) -> MessageId {
    MessageId::new(number).expect("ids count from 1")
}

pub fn key(correspondent: &str, number: u64) -> CallbackKey {
    CallbackKey {
        correspondent_id: correspondent.into(),
        message_id: message_id(number),
        revision: 0,
    }
}

pub fn record(bot: &str) -> BotRecord {
    BotRecord { bot_id: bot.into(), provider_name: PROVIDER.into(), run: Run::WhileConnected }
}

pub fn hello(session_number: u128, bot: &str, provider: &str) -> Event {
    let hello = Hello {
        bot_id: bot.into(),
        provider_name: provider.into(),
        provider_instance: Some("phone".into()),
        token: None,
    };
    frame(session_number, ProviderFrame::Hello(hello), true)
}

pub fn frame(session_number: u128, frame: ProviderFrame, authorized: bool) -> Event {
    Event::Session(session(session_number), SessionEvent::Frame { frame, authorized })
}

pub fn closed(session_number: u128) -> Event {
    Event::Session(session(session_number), SessionEvent::Closed)
}

/// A message over a connection. Its provider's id is told, its number counts.
pub fn say(session_number: u128, seq: u64, draft: Draft) -> Event {
    let message = MessageFrame { seq, bot_id: None, draft: Box::new(draft) };
    frame(session_number, ProviderFrame::Message(message), false)
}

pub fn text(correspondent: &str, provider_message_id: &str, content: &str) -> Draft {
    Draft {
        correspondent_id: correspondent.into(),
        provider_message_id: provider_message_id.into(),
        content: content.to_owned(),
        sender: Participant { identifier: correspondent.to_owned(), ..Participant::default() },
        direction: Direction::Incoming,
        send_id: None,
        originating_time: Timestamp::from_ms(999_000),
        group: None,
        replayed: false,
        media: None,
    }
}

/// A voice note.
pub fn voice(correspondent: &str, provider_message_id: &str, number: u128) -> Draft {
    let media = DraftMedia {
        media_id: media(number),
        kind: MediaKind::Audio,
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        original_filename: None,
        size_bytes: None,
        sha256: None,
        quota_exceeded: false,
        detail: None,
    };
    Draft { media: Some(media), ..text(correspondent, provider_message_id, "") }
}

pub fn words(text: &str) -> Outcome {
    Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() })
}

/// A job as the store holds it from an earlier run.
pub fn job(correspondent: &str, id: u64, number: u128, status: Status) -> Job {
    let accepted = Timestamp::from_ms(900_000);
    let placeholder_message = Message {
        id: message_id(id),
        content: String::new(),
        sender: Participant { identifier: correspondent.to_owned(), ..Participant::default() },
        source: Source::User,
        accepted_time: accepted,
        message_size: 0,
        originating_time: accepted,
        group: None,
        provider_message_id: format!("p-media-{number}").as_str().into(),
        replayed: false,
        truncated: false,
        media: Some(Box::new(Media {
            media_id: media(number),
            kind: MediaKind::Audio,
            mime_type: "audio/ogg".to_owned(),
            original_filename: None,
            caption: None,
            outcome: None,
        })),
    };
    Job {
        media_id: media(number),
        bot_id: BOT.into(),
        correspondent_id: correspondent.into(),
        provider_name: PROVIDER.into(),
        placeholder_message,
        mime_type: "audio/ogg".to_owned(),
        kind: MediaKind::Audio,
        pool: "audio".into(),
        original_filename: None,
        quota_exceeded: false,
        detail: None,
        place: Place::Active,
        status,
        created_at: accepted,
        active_since: accepted,
        claims: 0,
        lost: 0,
        transient: 0,
        not_before: None,
        revision: 0,
    }
}

pub fn bot(event: BotEvent) -> Event {
    Event::Bot(BOT.into(), event)
}

pub fn attach(stream: u64) -> Event {
    bot(BotEvent::ConsumerAttached { stream_id: StreamId(stream) })
}

pub fn acknowledge(request: u64, keys: impl IntoIterator<Item = CallbackKey>) -> Event {
    let keys = keys.into_iter().collect();
    bot(BotEvent::Acknowledge { request_id: RequestId(request), keys })
}

pub fn answered(key: CallbackKey, attempt: u32, answer: ConsumerAnswer) -> Event {
    bot(BotEvent::Answered { key, attempt: Attempt(attempt), answer })
}
