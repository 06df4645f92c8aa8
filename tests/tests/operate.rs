//! What operators see and do, against the real binary on both stores.
//!
//! Every endpoint and every command; who is refused; what is never shown; many at once.

#![cfg(unix)]

#[path = "operate/access.rs"]
mod access;
#[path = "operate/api.rs"]
mod api;
#[cfg(target_os = "linux")]
#[path = "operate/aside.rs"]
mod aside;
#[path = "operate/commands.rs"]
mod commands;
#[path = "operate/explaining.rs"]
mod explaining;
#[path = "operate/lists.rs"]
mod lists;
#[path = "operate/many.rs"]
mod many;
#[path = "operate/page.rs"]
mod page;

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, PATIENCE, Server, cli, http_client};
use serde_json::Value;

use self::api::Api;

/// A bot that all tests here use.
const BOT: &str = "demo";

/// What is in every message and file, and must never be shown to operators.
const SECRET: &str = "unspeakable";

/// On which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Sqlite,
    Mongodb,
}

/// A server, and an operator who asks it and holds every answer against what it says of itself.
struct World {
    server: Server,
    api: Api,
}

impl World {
    async fn start(on: On, arguments: &[&str]) -> Self {
        let server = match on {
            On::Sqlite => Server::start_with(arguments).await,
            On::Mongodb => Server::start_on_mongodb(arguments).await,
        };
        let api = Api::of(&server).await;
        Self { server, api }
    }

    /// What is at an address, and the answer's status.
    async fn get(&self, path: &str) -> (u16, Value) {
        let request = http_client().get(format!("{}{path}", self.server.url())).timeout(PATIENCE);
        let answer = read(request.send().await.expect("the server answers")).await;
        self.api.check("get", path, &answer);
        answer
    }

    /// What comes of asking for something to be done.
    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = http_client().post(format!("{}{path}", self.server.url())).timeout(PATIENCE);
        let answer = read(request.json(&body).send().await.expect("the server answers")).await;
        self.api.check("post", path, &answer);
        answer
    }

    /// The same, which must succeed.
    async fn seen(&self, path: &str) -> Value {
        let (status, answer) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Looks until what is at an address is as it should be.
    async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (_, answer) = self.get(path).await;
            if is_so(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} stays {answer}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Runs a command against the server.
    async fn run(&self, arguments: &[&str]) -> cli::Ended {
        cli::run(&self.server, arguments).await
    }

    /// Runs a command that prints JSON.
    async fn run_json(&self, arguments: &[&str]) -> Value {
        let printed = self.run(arguments).await.succeeded().stdout;
        serde_json::from_str(&printed).unwrap_or_else(|_| panic!("no JSON: {printed}"))
    }

    /// The bot's provider.
    async fn provider(&self) -> Connection {
        Connection::hello(&self.server, BOT).await
    }

    /// The bot's consumer, which takes everything.
    fn consumer(&self) -> Consumer {
        Consumer::connect(&self.server, BOT, Acknowledge::Promptly)
    }

    /// Sends media whose files never come, so that their jobs fail, and waits until they have.
    async fn fail(&self, provider: &mut Connection, whom: &str, count: usize) -> Vec<Media> {
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let media = Media::document("text/plain", "unspeakable.txt", SECRET.as_bytes());
            let id = format!("{whom}-{number}");
            let frame = frames::media(whom, &id, SECRET, &media);
            let receipt = provider.receipt(&frame).await;
            assert_eq!(receipt["outcome"], "accepted", "{receipt}");
            all.push(media);
        }
        let wanted = count as u64;
        let path = "/v1/jobs/count?state=failed";
        self.until(path, |counted| counted["matched"].as_u64() >= Some(wanted)).await;
        all
    }
}

async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("the answer has an end");
    let answer = serde_json::from_str(&text);
    (status, answer.unwrap_or_else(|_| panic!("{status}, no JSON: {text}")))
}

/// A member that is a list.
fn listed<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

/// A case on both stores, one test each.
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* $case:ident)*) => {
        mod sqlite {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $case() { super::$case(crate::On::Sqlite).await; })*
        }
        mod mongodb {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $case() { super::$case(crate::On::Mongodb).await; })*
        }
    };
}

use on_both_stores;
