//! A bot in the same process: the library embedded, with a consumer that is a Rust trait.
//!
//! ```sh
//! cargo run --package anteroom-runtime --example in_process
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use anteroom_core::Seed;
use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::id::{BotId, NodeId};
use anteroom_core::protocol::parse_posted_message;
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::store::{BotRecord, StoreRequest};
use anteroom_runtime::clock::{BootClock, Clock};
use anteroom_runtime::consumer::{Call, Consumer, Remembering};
use anteroom_runtime::driver::ports::{BoxFuture, FileError};
use anteroom_runtime::driver::{self, Node, Ports, StagedFiles};
use anteroom_runtime::media::staging::{Staging, StagingLimits};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::sqlite::{SqliteSettings, SqliteStore};
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

/// The bot: it says everything back, and tells what it said.
struct Echo {
    said: mpsc::UnboundedSender<String>,
}

impl Consumer for Echo {
    fn call(&self, call: Call) -> BoxFuture<'static, ConsumerAnswer> {
        let said = self.said.clone();
        Box::pin(async move {
            let texts = call.callbacks.iter().map(|callback| callback.message.content.as_str());
            let reply = format!("You said: {}", texts.collect::<Vec<_>>().join("\n"));
            // Whoever waited for it may have gone; the answer is no other for that.
            let _ = said.send(reply.clone());
            // The reply becomes a durable send in the same write as the end of the callback.
            ConsumerAnswer::Acknowledged { reply: Some(reply) }
        })
    }
}

/// Runs a node in `directory`, hands it one message, and returns what the bot said to it.
pub async fn run(directory: &Path) -> Result<String, Box<dyn Error>> {
    let clock = Arc::new(BootClock::start());
    let store_clock = Arc::clone(&clock);
    let settings = SqliteSettings::new(directory.join("store"));
    let store = Arc::new(SqliteStore::open(settings, Arc::new(move || store_clock.now()))?);
    let staging = Staging::open(directory.join("media"), StagingLimits::default()).await?;

    let bot_id = BotId::from("demo");
    let record =
        BotRecord { bot_id: bot_id.clone(), provider_name: "example".into(), run: Run::Always };
    store.execute(StoreRequest::RegisterBot(record)).await?;

    let node = Node {
        settings: NodeSettings::new(NodeId::from(Uuid::new_v4())),
        // Where tokens and jitter come from: random bytes, in a program that is no example.
        seed: Seed([7; 32]),
        bots: store.list_bots().await?,
        runs_bots: true,
        runs_workers: true,
    };
    let ports = Ports {
        clock,
        store: Arc::clone(&store) as Arc<dyn Store>,
        processors: BTreeMap::new(),
        files: Arc::new(Files(staging)),
    };
    let (handle, driver) = driver::start(node, ports)?;
    let (said, mut says) = mpsc::unbounded_channel();
    handle.call_consumer(bot_id.clone(), Arc::new(Remembering::new(Echo { said }))).await?;

    let message = json!({
        "payload_version": 1, "provider_message_id": "m1", "correspondent_id": "ada",
        "sender": {"identifier": "ada"}, "direction": "incoming",
        "originating_time": 1_790_000_000_000_u64, "message": "hello",
    });
    let message = parse_posted_message(&message.to_string())?;
    while !handle.post_message(bot_id.clone(), message.draft.clone()).await?.is_final_for_provider()
    {
        // The bot is starting.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let reply = says.recv().await.ok_or("the node has stopped")?;

    handle.shutdown().await;
    driver.await?;
    store.shutdown().await;
    Ok(reply)
}

/// The staging directory as the driver's port.
struct Files(Staging);

impl StagedFiles for Files {
    fn path(&self, media_id: anteroom_core::id::MediaId) -> std::path::PathBuf {
        self.0.path(media_id)
    }

    fn delete(
        &self,
        media_ids: Vec<anteroom_core::id::MediaId>,
    ) -> BoxFuture<'_, Vec<(anteroom_core::id::MediaId, FileError)>> {
        Box::pin(async move {
            let mut failed = Vec::new();
            for media_id in media_ids {
                if let Err(error) = self.0.delete(media_id).await {
                    failed.push((media_id, error.into()));
                }
            }
            failed
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<anteroom_core::id::MediaId>, FileError>> {
        Box::pin(async { Ok(self.0.list().await?) })
    }
}

#[allow(dead_code, reason = "a test runs the example as a module")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("anteroom-example-{}", Uuid::new_v4()));
    println!("{}", run(&directory).await?);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
