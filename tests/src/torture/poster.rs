//! A provider without a connection: it POSTs each message until it has its final receipt.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::torture::author::Outgoing;
use crate::torture::ledger::{Fact, Ledger, Side, Verdict};
use crate::torture::path_of_bot;
use crate::torture::provider::verdict;
use crate::{PATIENCE, RECONNECT_AFTER};

/// A provider that POSTs.
#[derive(Debug)]
pub struct Poster {
    /// What it is called.
    pub name: Arc<str>,
    /// The nodes' addresses.
    pub urls: Arc<[String]>,
    /// Where everything is entered.
    pub ledger: Ledger,
}

impl Poster {
    /// POSTs one message after the other.
    pub async fn run(self, mut messages: mpsc::Receiver<Outgoing>) {
        let client = crate::http_client();
        let mut at = 0;
        while let Some(outgoing) = messages.recv().await {
            while let Some(wait) = self.post(&client, &self.urls[at], &outgoing).await {
                // A node that refuses for now may not be the one that has the bot: the others are asked
                // before anything is waited for.
                at = (at + 1) % self.urls.len();
                tokio::time::sleep(if at == 0 { wait } else { RECONNECT_AFTER }).await;
            }
        }
    }

    /// POSTs a message; returns how long to wait before it is POSTed again.
    async fn post(
        &self,
        client: &reqwest::Client,
        url: &str,
        outgoing: &Outgoing,
    ) -> Option<Duration> {
        let Outgoing { number, media_id, ref bot_id, ref frame } = *outgoing;
        let line = self.ledger.open_line(&self.name);
        self.ledger.record(Fact::Written { number, line, media_id });
        let request = client
            .post(format!("{}/messages", path_of_bot(url, bot_id)))
            .timeout(PATIENCE)
            .json(frame);
        let answer = match request.send().await {
            Ok(answer) => answer.json::<Value>().await,
            Err(error) => Err(error),
        };
        let verdict = answer.as_ref().ok().and_then(verdict);
        self.ledger.record(Fact::LineEnded { line, by: Side::Ours });
        match (answer, verdict) {
            (Err(_), _) => Some(RECONNECT_AFTER),
            (Ok(answer), None) => {
                let what = format!("a POST was answered with no receipt: {answer}");
                self.ledger.record(Fact::Unexpected(what));
                Some(RECONNECT_AFTER)
            }
            (Ok(answer), Some(verdict)) => {
                let wait = match &verdict {
                    Verdict::Durable { .. } | Verdict::Invalid(_) => None,
                    Verdict::Later(_) => {
                        Some(Duration::from_millis(answer["retry_after_ms"].as_u64().unwrap_or(20)))
                    }
                };
                self.ledger.record(Fact::Receipt { number, line, media_id, verdict });
                wait
            }
        }
    }
}
