//! A consumer of one bot's callbacks, over server-sent events.
//!
//! Owns a task that reads the stream, acknowledges, and connects again when the line breaks. It
//! records what it saw in the order in which it saw it. **Invariant**: only what was read on the live
//! stream is acknowledged, and never again after the line broke; so nothing may come again after a
//! confirmed acknowledgement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::observed::Observed;
use crate::sse::{Event, Parser};
use crate::{PATIENCE, RECONNECT_AFTER, Server};

/// When callbacks are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// As soon as they are read.
    Promptly,
    /// After they were thought about for this long.
    After(Duration),
    /// Not at all.
    Never,
}

/// A callback as it was read.
#[derive(Debug, Clone)]
pub struct Callback {
    /// The callback's id.
    pub callback_id: String,
    /// Which attempt at it.
    pub attempt: u64,
    /// The whole JSON.
    pub body: Value,
}

impl Callback {
    /// What the message says.
    ///
    /// # Panics
    /// When the callback has no message.
    pub fn content(&self) -> &str {
        self.body["message"]["content"].as_str().expect("a message has content")
    }

    /// The provider's id of the message.
    ///
    /// # Panics
    /// When the callback has no message.
    pub fn provider_message_id(&self) -> &str {
        self.body["message"]["provider_message_id"].as_str().expect("a message has one")
    }

    /// The message's id within its correspondent.
    ///
    /// # Panics
    /// When the callback has no message.
    pub fn message_id(&self) -> u64 {
        self.body["message"]["id"].as_u64().expect("a message has an id")
    }

    /// Whose message.
    ///
    /// # Panics
    /// When the callback names nobody.
    pub fn correspondent_id(&self) -> &str {
        self.body["correspondent_id"].as_str().expect("a callback names its correspondent")
    }
}

/// What a consumer saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The callbacks that were read, in order, repetitions included.
    pub callbacks: Vec<Callback>,
    /// The `provider_message_id`s that were called back.
    pub called_back: BTreeSet<String>,
    /// The callback ids whose acknowledgement is confirmed.
    pub confirmed: BTreeSet<String>,
    /// A newer stream took this one's place.
    pub replaced: bool,
}

impl Seen {
    /// The callbacks that were read, repetitions included.
    pub fn callbacks(&self) -> impl Iterator<Item = &Callback> {
        self.callbacks.iter()
    }
}

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    seen: Arc<Observed<Seen>>,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Reads the callbacks of `bot_id`, from when there is such a bot.
    pub fn connect(server: &Server, bot_id: &str, acknowledge: Acknowledge) -> Self {
        let seen = Arc::new(Observed::new(Seen::default()));
        let reader = Reader {
            client: crate::http_client(),
            url: format!("{}/v1/bots/{bot_id}/callbacks", server.url()),
            acknowledge,
            seen: Arc::clone(&seen),
        };
        Self { seen, task: tokio::spawn(reader.run()) }
    }

    /// What it saw.
    pub fn seen(&self) -> &Observed<Seen> {
        &self.seen
    }

    /// Waits until `count` different callbacks are acknowledged, confirmed.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn confirmed(&self, count: usize) {
        let what = format!("{count} confirmed acknowledgements");
        self.seen.until(&what, |seen| seen.confirmed.len() >= count).await;
    }

    /// Waits for the callback of a message, by its `provider_message_id`.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn callback_of(&self, provider_message_id: &str) -> Callback {
        let what = format!("the callback of {provider_message_id}");
        let find = |seen: &Seen| {
            seen.callbacks()
                .find(|callback| callback.provider_message_id() == provider_message_id)
                .cloned()
        };
        self.seen.seen(&what, find).await
    }

    /// The contents that were called back, in order, repetitions included.
    pub fn contents(&self) -> Vec<String> {
        self.seen.read(|seen| seen.callbacks().map(|it| it.content().to_owned()).collect())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let failed = self.task.is_finished() && !self.seen.read(|seen| seen.replaced);
        self.task.abort();
        assert!(!failed || std::thread::panicking(), "the consumer met something unexpected");
    }
}

/// Acknowledges callbacks of `bot_id` and returns the server's answer.
///
/// # Errors
/// When the server does not answer with success.
pub async fn acknowledge(
    client: &reqwest::Client,
    callbacks_url: &str,
    callback_ids: &[String],
) -> reqwest::Result<Value> {
    let request = client
        .post(format!("{callbacks_url}/ack"))
        .timeout(PATIENCE)
        .json(&json!({ "callback_ids": callback_ids }));
    request.send().await?.error_for_status()?.json().await
}

#[derive(Debug)]
struct Reader {
    client: reqwest::Client,
    url: String,
    acknowledge: Acknowledge,
    seen: Arc<Observed<Seen>>,
}

impl Reader {
    async fn run(self) {
        loop {
            // Any error is a broken line: what is not acknowledged comes again.
            let _ = self.read_stream().await;
            if self.seen.read(|seen| seen.replaced) {
                return;
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }

    async fn read_stream(&self) -> reqwest::Result<()> {
        let request = self.client.get(&self.url).header("accept", "text/event-stream");
        let mut stream = request.send().await?.error_for_status()?;
        let mut parser = Parser::default();
        while let Some(bytes) = stream.chunk().await? {
            let mut unacknowledged = Vec::new();
            for event in parser.feed(&bytes) {
                unacknowledged.extend(self.record(&event));
            }
            match self.acknowledge {
                Acknowledge::Never => continue,
                Acknowledge::Promptly => {}
                Acknowledge::After(think) => tokio::time::sleep(think).await,
            }
            if !unacknowledged.is_empty() {
                self.confirm(unacknowledged).await?;
            }
        }
        Ok(())
    }

    /// Records an event and returns the callback id to acknowledge.
    fn record(&self, event: &Event) -> Option<String> {
        if event.kind == "replaced" {
            self.seen.update(|seen| seen.replaced = true);
            return None;
        }
        let body: Value = serde_json::from_str(&event.data).expect("callbacks are JSON");
        assert_eq!(body["type"], event.kind.as_str(), "event and type agree: {body}");
        assert_eq!(body["callback_id"], event.id.as_str(), "id and callback_id agree: {body}");
        let callback = Callback {
            callback_id: event.id.clone(),
            attempt: body["attempt"].as_u64().expect("a callback has an attempt"),
            body,
        };
        self.seen.update(|seen| {
            seen.called_back.insert(callback.provider_message_id().to_owned());
            seen.callbacks.push(callback);
        });
        Some(event.id.clone())
    }

    async fn confirm(&self, callback_ids: Vec<String>) -> reqwest::Result<()> {
        let answer = acknowledge(&self.client, &self.url, &callback_ids).await?;
        let unknown = answer["unknown"].as_array().expect("the answer lists unknown ids").clone();
        self.seen.update(|seen| {
            for id in callback_ids.into_iter().filter(|id| !unknown.contains(&json!(id))) {
                seen.confirmed.insert(id);
            }
        });
        Ok(())
    }
}
