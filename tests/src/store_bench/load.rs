//! What a node is given to do: messages with media by a provider, callbacks to a consumer.

use std::time::Duration;

use anteroom_core::bot::event::Callback;
use anteroom_core::id::{BotId, CallbackKey, SessionId};
use anteroom_core::protocol::{ProviderFrame, parse_provider_frame};
use anteroom_core::receipt::Receipt;
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_runtime::driver::{Attached, Handle, StreamItem};
use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use crate::frames;

/// Messages of one correspondent. Its callbacks follow one another, each once the end of the one before it
/// is durable.
pub const MESSAGES_OF_CORRESPONDENT: usize = 10;

/// The most that its queue may hold of media.
pub const MESSAGES_OF_CORRESPONDENT_MAX: usize = 50;

/// Callbacks that are acknowledged at once.
const ACKNOWLEDGED_AT_ONCE_MAX: usize = 256;

/// For how long no callback may come.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Messages without a receipt.
const WINDOW: usize = 256;

/// The bot with a number.
pub fn bot(number: usize) -> BotId {
    format!("bot-{number}").into()
}

/// So many messages with media, each new, `of_correspondent` of them of each.
///
/// # Panics
/// Never: the frames are well formed.
pub fn messages(count: usize, of_correspondent: usize) -> Vec<ProviderFrame> {
    let correspondents = count.div_ceil(of_correspondent);
    let frame = |number: usize| {
        let correspondent_id = format!("4917012{:06}@s.whatsapp.net", number % correspondents);
        let media = frames::Media {
            media_id: Uuid::new_v4(),
            kind: "audio",
            mime_type: "audio/ogg; codecs=opus",
            original_filename: None,
            size_bytes: 48_213,
        };
        let id = Uuid::new_v4().simple().to_string();
        let mut frame = frames::media(&correspondent_id, &id, "", &media);
        frame["seq"] = number.into();
        parse_provider_frame(&frame.to_string()).expect("the frame is well formed")
    };
    (0..count).map(frame).collect()
}

/// A text message with a number.
///
/// # Panics
/// Never: the frame is well formed.
pub fn text(number: usize) -> ProviderFrame {
    let mut frame = frames::text("4917012000000@s.whatsapp.net", &format!("t{number}"), "hello");
    frame["seq"] = number.into();
    parse_provider_frame(&frame.to_string()).expect("the frame is well formed")
}

/// A provider's connection of one bot.
pub struct Provider {
    handle: Handle,
    session_id: SessionId,
    effects: mpsc::Receiver<SessionEffect>,
}

impl Provider {
    /// Connects, and waits until the bot runs.
    ///
    /// # Errors
    /// When the node does not welcome it.
    pub async fn connect(handle: &Handle, bot_id: &BotId) -> Result<Self> {
        let session_id = SessionId::from(Uuid::new_v4());
        let effects = handle.open_session(session_id).await?;
        let mut provider = Self { handle: handle.clone(), session_id, effects };
        let hello = json!({
            "type": "hello", "payload_version": 1, "bot_id": bot_id.as_str(),
            "provider_name": frames::PROVIDER_NAME,
        });
        let frame = parse_provider_frame(&hello.to_string()).context("a well-formed frame")?;
        provider.say(frame).await?;
        match provider.next().await? {
            SessionEffect::Welcome { .. } => Ok(provider),
            other => bail!("hello was answered with {other:?}"),
        }
    }

    /// Sends messages, as fast as the window allows, and waits until all are accepted. One that is
    /// to be sent again later ends the benchmark: it would measure waiting.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn send(&mut self, messages: Vec<ProviderFrame>) -> Result<()> {
        let count = messages.len();
        let (mut sent, mut accepted) = (0, 0);
        let mut messages = messages.into_iter();
        while accepted < count {
            while sent < count && sent - accepted < WINDOW {
                if let Some(message) = messages.next() {
                    self.say(message).await?;
                    sent += 1;
                }
            }
            self.accepted().await?;
            accepted += 1;
        }
        Ok(())
    }

    /// Says one message.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn say_one(&self, message: ProviderFrame) -> Result<()> {
        self.say(message).await
    }

    /// Waits for a receipt that accepts.
    ///
    /// # Errors
    /// When it is another one.
    pub async fn accepted(&mut self) -> Result<()> {
        match self.next().await? {
            SessionEffect::Receipt { receipt: Receipt::Accepted { .. }, .. } => Ok(()),
            other => bail!("a message was answered with {other:?}"),
        }
    }

    async fn say(&self, frame: ProviderFrame) -> Result<()> {
        let event = SessionEvent::Frame { frame, authorized: true };
        Ok(self.handle.session_event(self.session_id, event).await?)
    }

    /// Stays connected, until it is dropped: a node takes a silent peer for gone, and stops its bot.
    ///
    /// # Errors
    /// When the node says anything but pings.
    pub async fn stay(mut self) -> Result<()> {
        bail!("a provider that is waiting was told {:?}", self.next().await?)
    }

    async fn next(&mut self) -> Result<SessionEffect> {
        loop {
            match self.effects.recv().await {
                Some(SessionEffect::Ping) => {
                    self.handle.session_event(self.session_id, SessionEvent::Heard).await?;
                }
                other => return other.context("the node has closed the connection"),
            }
        }
    }
}

/// Reads a bot's callbacks and acknowledges them, until `count` acknowledgements are durable.
///
/// # Errors
/// When the stream ends, or an acknowledgement is not taken.
pub async fn consume(handle: Handle, bot_id: BotId, count: usize) -> Result<()> {
    let mut stream = handle.attach_consumer(bot_id.clone()).await?;
    let (mut read, mut acknowledged) = (0, 0);
    let mut asking = tokio::task::JoinSet::new();
    while acknowledged < count {
        tokio::select! {
            keys = next(&mut stream), if read < count => {
                let keys = keys?;
                read += keys.len();
                let (handle, bot_id) = (handle.clone(), bot_id.clone());
                asking.spawn(async move { handle.acknowledge(bot_id, keys).await });
            }
            Some(answer) = asking.join_next() => {
                let answer = answer??.context("an acknowledgement was not durable")?;
                acknowledged += answer.acknowledged;
            }
        }
    }
    Ok(())
}

/// The callbacks that are there, one at least.
///
/// # Errors
/// When the stream has ended, or none comes.
pub async fn next(stream: &mut Attached) -> Result<Vec<CallbackKey>> {
    let mut items = Vec::new();
    let reading = stream.items.recv_many(&mut items, ACKNOWLEDGED_AT_ONCE_MAX);
    timeout(STUCK_AFTER, reading).await.context("the node is stuck: no callback comes")?;
    if items.is_empty() {
        bail!("the stream has ended");
    }
    let key = |item: StreamItem| match item {
        StreamItem::Callback { callback, .. } => Ok(Callback::key(&callback)),
        other @ (StreamItem::Callbacks { .. } | StreamItem::Replaced | StreamItem::Ended) => {
            bail!("the stream ended: {other:?}")
        }
    };
    items.into_iter().map(key).collect()
}
