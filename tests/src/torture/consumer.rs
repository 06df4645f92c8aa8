//! A consumer of one bot's callbacks that acknowledges promptly, late, or not at all, reads slowly, and
//! goes away and comes back.
//!
//! **Invariant**: only what was read on the live stream is acknowledged, and never again after it
//! ended; so nothing may come again after a confirmed acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::RECONNECT_AFTER;
use crate::consumer::acknowledge;
use crate::sse::{Event, Parser};
use crate::torture::dice::Dice;
use crate::torture::ledger::{Callback, Fact, Ledger, LineId, Side};
use crate::torture::path_of_bot;

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    /// What it is called.
    pub name: Arc<str>,
    /// The server's address.
    pub url: String,
    /// Its bot.
    pub bot_id: Arc<str>,
    /// Whether it always behaves.
    pub behaves: bool,
    /// Its draws.
    pub dice: Dice,
    /// Where everything is entered.
    pub ledger: Ledger,
}

/// How a consumer behaves for as long as a stream lasts.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// How long it thinks before it acknowledges, at the most, in milliseconds.
    think_ms_max: u64,
    /// Of a hundred callbacks, how many it never acknowledges.
    dropped_percent: u64,
    /// How long it rests between two looks at the stream, in milliseconds.
    rest_ms: u64,
    /// How long the stream lasts.
    life: Option<Duration>,
}

impl Manner {
    /// The manner of one that is to end everything.
    const GOOD: Self = Self { think_ms_max: 1, dropped_percent: 0, rest_ms: 0, life: None };

    fn draw(dice: &mut Dice) -> Self {
        let life = Some(dice.millis(200..6_000));
        match dice.below(10) {
            0..4 => Self { life, ..Self::GOOD },
            4..7 => Self { think_ms_max: dice.between(5..800), life, ..Self::GOOD },
            7 => {
                Self { dropped_percent: dice.between(5..60), think_ms_max: 20, life, ..Self::GOOD }
            }
            8 => Self { rest_ms: dice.between(50..700), life, ..Self::GOOD },
            _ => Self { dropped_percent: 100, life: Some(dice.millis(100..1_500)), ..Self::GOOD },
        }
    }
}

impl Consumer {
    /// Reads until it is aborted; from `finale` on, it behaves.
    pub async fn run(mut self, finale: watch::Receiver<bool>) {
        let client = crate::http_client();
        let url = format!("{}/callbacks", path_of_bot(&self.url, &self.bot_id));
        loop {
            let line = self.ledger.open_line(&self.name);
            let by = match self.read_stream(&client, &url, line, finale.clone()).await {
                Ok(by) => by,
                Err(_) => Side::Theirs,
            };
            self.ledger.record(Fact::LineEnded { line, by });
            sleep(RECONNECT_AFTER).await;
        }
    }

    /// Reads a stream until it ends, and says whose doing that is.
    async fn read_stream(
        &mut self,
        client: &reqwest::Client,
        url: &str,
        line: LineId,
        mut finale: watch::Receiver<bool>,
    ) -> reqwest::Result<Side> {
        let is_finale = *finale.borrow_and_update();
        let manner =
            if is_finale || self.behaves { Manner::GOOD } else { Manner::draw(&mut self.dice) };
        let request = client.get(url).header("accept", "text/event-stream");
        // A server that is away, or stopping, is no line yet.
        let opened = request.send().await.and_then(reqwest::Response::error_for_status);
        let Ok(mut stream) = opened else { return Ok(Side::Ours) };
        let ends_at = manner.life.map(|life| Instant::now() + life);
        let mut parser = Parser::default();
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                chunk = stream.chunk() => {
                    let Some(bytes) = chunk? else { return Ok(Side::Theirs) };
                    let ids: Vec<String> =
                        parser.feed(&bytes).iter().filter_map(|event| self.take(line, event)).collect();
                    for ids in self.acknowledged_of(manner, ids) {
                        let think = self.dice.millis(0..manner.think_ms_max);
                        answers.push(self.answer(client, url, line, think, ids));
                    }
                    if manner.rest_ms > 0 {
                        sleep(Duration::from_millis(manner.rest_ms)).await;
                    }
                }
                Some(answered) = answers.next() => {
                    // Whether it was taken is not known: the line cannot be trusted any more.
                    if answered.is_err() {
                        return Ok(Side::Ours);
                    }
                }
                () = sleep_until(ends_at.unwrap_or_else(Instant::now)), if ends_at.is_some() => {
                    return Ok(Side::Ours);
                }
                changed = finale.changed(), if !self.behaves => {
                    // The end of the torture, or the end of the world.
                    let _ = changed;
                    return Ok(Side::Ours);
                }
            }
        }
    }

    /// Enters an event and returns the callback id to acknowledge.
    fn take(&self, line: LineId, event: &Event) -> Option<String> {
        let body: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let callback = callback(line, &body);
        let agree = body["type"] == event.kind.as_str() && body["callback_id"] == event.id.as_str();
        match callback {
            Some(callback) if agree && event.kind == "message" => {
                let id = callback.callback_id.clone();
                self.ledger.record(Fact::Received(callback));
                Some(id)
            }
            Some(_) | None => {
                let what = format!("line {}: the consumer did not expect {event:?}", line.0);
                self.ledger.record(Fact::Unexpected(what));
                None
            }
        }
    }

    /// What is acknowledged of what was read, in as many requests.
    fn acknowledged_of(&mut self, manner: Manner, ids: Vec<String>) -> Vec<Vec<String>> {
        let dropped = |dice: &mut Dice| dice.chance(manner.dropped_percent);
        let kept: Vec<String> = ids.into_iter().filter(|_| !dropped(&mut self.dice)).collect();
        // Several in one request, or each by itself.
        let size = if self.dice.chance(50) { kept.len().max(1) } else { 1 };
        kept.chunks(size).map(<[String]>::to_vec).collect()
    }

    fn answer(
        &self,
        client: &reqwest::Client,
        url: &str,
        line: LineId,
        think: Duration,
        ids: Vec<String>,
    ) -> impl Future<Output = reqwest::Result<()>> + use<> {
        let (client, url, ledger) = (client.clone(), url.to_owned(), self.ledger.clone());
        async move {
            sleep(think).await;
            let answer = acknowledge(&client, &url, &ids).await?;
            let unknown = answer["unknown"].as_array().cloned().unwrap_or_default();
            for callback_id in ids {
                let fact = match unknown.contains(&json!(callback_id)) {
                    true => Fact::Unknown { line, callback_id },
                    false => Fact::Confirmed { line, callback_id },
                };
                ledger.record(fact);
            }
            Ok(())
        }
    }
}

/// A callback's JSON; none when something is missing.
fn callback(line: LineId, body: &Value) -> Option<Callback> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let message = &body["message"];
    Some(Callback {
        line,
        callback_id: text(&body["callback_id"])?,
        attempt: body["attempt"].as_u64()?,
        bot_id: text(&body["bot_id"])?,
        correspondent_id: text(&body["correspondent_id"])?,
        message_id: message["id"].as_u64()?,
        provider_message_id: text(&message["provider_message_id"])?,
        content: text(&message["content"])?,
        outcome: text(&message["media"]["outcome"]["kind"]),
        error: text(&message["media"]["outcome"]["error"]),
    })
}
