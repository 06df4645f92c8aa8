//! A scripted world around one driver: a store that always says yes, files that only have names, and
//! providers and consumers made of a handle.
//!
//! Time is tokio's paused clock, which jumps to the next timer whenever nothing else is to be done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anteroom_core::Seed;
use anteroom_core::id::{
    ArchiveSeq, Attempt, BotId, CallbackKey, Epoch, MediaId, MessageId, NodeId, PoolName, SessionId,
};
use anteroom_core::protocol::parse_provider_frame;
use anteroom_core::receipt::Receipt;
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{
    Acquired, ArchiveAnswer, BotRecord, Claimed, EnqueueAnswer, InsertAnswer, JobPage, MarkAnswer,
    OperatorAnswer, RedeliverAnswer, ReviseAnswer, Send, StoreError, StoreReply, StoreRequest,
    StoreResult, TokenAnswer,
};
use anteroom_core::time::{Millis, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::driver::ports::{BoxFuture, FileError};
use crate::driver::{Attached, Handle, Node, Ports, StagedFiles, StreamItem, start};
use crate::media::processor::Processor;
use crate::store::Store;

/// The bot of every test.
pub const BOT: &str = "wa-7";

/// One node in its world.
pub struct World {
    pub handle: Handle,
    pub driver: JoinHandle<()>,
    pub store: Arc<ScriptedStore>,
    pub files: Arc<NamedFiles>,
    pub clock: Arc<PausedClock>,
}

impl World {
    pub fn start() -> Self {
        Self::with([])
    }

    pub fn with<const N: usize>(processors: [(&str, Arc<dyn Processor>); N]) -> Self {
        let mut settings = NodeSettings::new(NodeId::from(Uuid::from_u128(1)));
        settings.session.auto_create_bots = true;
        let node = Node {
            settings,
            seed: Seed([7; 32]),
            bots: Vec::new(),
            runs_bots: true,
            runs_workers: true,
        };
        let store = Arc::new(ScriptedStore::default());
        let files = Arc::new(NamedFiles::default());
        let clock = Arc::new(PausedClock::start());
        let processors: BTreeMap<PoolName, _> =
            processors.into_iter().map(|(pool, processor)| (pool.into(), processor)).collect();
        let (handle, driver) = start(
            node,
            Ports {
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                store: Arc::clone(&store) as Arc<dyn Store>,
                processors,
                files: Arc::clone(&files) as Arc<dyn StagedFiles>,
            },
        )
        .expect("the default pools make a routing");
        Self { handle, driver, store, files, clock }
    }

    /// Connects a provider of the bot.
    pub async fn connect(&self) -> Provider {
        let session_id = SessionId::from(Uuid::from_u128(u128::from(self.store.fresh())));
        let effects = self.handle.open_session(session_id).await.expect("the node runs");
        let mut provider = Provider { handle: self.handle.clone(), session_id, effects };
        provider
            .say(json!({"type": "hello", "payload_version": 1, "bot_id": BOT,
                "provider_name": "whatsapp_baileys"}))
            .await;
        match provider.next().await {
            Some(SessionEffect::Welcome { bot_id, .. }) => assert_eq!(bot_id.as_str(), BOT),
            other => panic!("expected welcome, got {other:?}"),
        }
        provider
    }

    /// Opens a consumer's stream of the bot.
    pub async fn attach(&self) -> Attached {
        self.handle.attach_consumer(BotId::from(BOT)).await.expect("the node runs")
    }
}

/// One provider connection.
pub struct Provider {
    handle: Handle,
    pub session_id: SessionId,
    effects: mpsc::Receiver<SessionEffect>,
}

impl Provider {
    pub async fn say(&self, frame: Value) {
        let frame = parse_provider_frame(&frame.to_string()).expect("a well-formed frame");
        let event = SessionEvent::Frame { frame, authorized: true };
        self.handle.session_event(self.session_id, event).await.expect("the node runs");
    }

    /// Hands in a text.
    pub async fn text(&self, seq: u64, text: &str) {
        self.say(message(seq, text)).await;
    }

    /// Hands in a staged file.
    pub async fn media(&self, seq: u64, media_id: MediaId, mime_type: &str) {
        let mut frame = message(seq, "");
        frame["media"] = json!({"media_id": media_id.to_string(), "kind": "audio",
            "mime_type": mime_type, "original_filename": null});
        self.say(frame).await;
    }

    /// The next effect but pings; none when the connection was closed.
    pub async fn next(&mut self) -> Option<SessionEffect> {
        loop {
            match self.effects.recv().await {
                Some(SessionEffect::Ping) => {}
                other => return other,
            }
        }
    }

    /// The receipt that comes next.
    pub async fn receipt(&mut self) -> (u64, Receipt) {
        match self.next().await {
            Some(SessionEffect::Receipt { seq, receipt, .. }) => (seq, receipt),
            other => panic!("expected a receipt, got {other:?}"),
        }
    }
}

fn message(seq: u64, text: &str) -> Value {
    json!({"type": "message", "payload_version": 1, "seq": seq,
        "provider_message_id": format!("3EB0{seq}"), "correspondent_id": "ada@s.whatsapp.net",
        "sender": {"identifier": "ada@s.whatsapp.net", "display_name": "Ada",
            "alternate_identifiers": []},
        "group": null, "direction": "incoming", "originating_time": 1_790_000_000_000_u64,
        "replayed": false, "message": text})
}

/// The callback that comes next on a stream.
pub async fn callback(attached: &mut Attached) -> anteroom_core::bot::event::Callback {
    match attached.items.recv().await {
        Some(StreamItem::Callback { callback, .. }) => callback,
        other => panic!("expected a callback, got {other:?}"),
    }
}

/// Whether a receipt says that the message is durable.
pub fn is_accepted(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Accepted { .. })
}

/// Tokio's clock as a node's, until it breaks down.
pub struct PausedClock {
    start: Instant,
    broken: AtomicBool,
}

impl PausedClock {
    fn start() -> Self {
        Self { start: Instant::now(), broken: AtomicBool::new(false) }
    }

    /// Lets whoever asks for the time panic.
    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        assert!(!self.broken.load(Ordering::Relaxed), "deliberate, by the test");
        let elapsed = self.start.elapsed().as_millis() as u64;
        Timestamp::from_ms(1_790_000_000_000) + Millis::from_ms(elapsed)
    }
}

/// A store that says yes to everything and remembers what it was asked.
#[derive(Default)]
pub struct ScriptedStore {
    state: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    asked: Vec<StoreRequest>,
    /// How often archiving still panics before it works.
    archive_panics: u32,
    sends: Vec<Send>,
    attempts: BTreeMap<CallbackKey, Attempt>,
    last: u64,
}

impl ScriptedStore {
    /// What it was asked that `pick` finds something in.
    pub fn asked<T>(&self, pick: impl FnMut(&StoreRequest) -> Option<T>) -> Vec<T> {
        self.state.lock().expect("no test panics with it").asked.iter().filter_map(pick).collect()
    }

    pub fn panic_when_archiving(&self, times: u32) {
        self.state.lock().expect("no test panics with it").archive_panics = times;
    }

    fn fresh(&self) -> u64 {
        let mut state = self.state.lock().expect("no test panics with it");
        state.last += 1;
        state.last
    }

    fn breaks_on(&self, request: &StoreRequest) -> bool {
        let mut state = self.state.lock().expect("no test panics with it");
        state.asked.push(request.clone());
        let breaks = matches!(request, StoreRequest::Archive { .. }) && state.archive_panics > 0;
        state.archive_panics -= u32::from(breaks);
        breaks
    }

    fn answer(&self, request: StoreRequest) -> StoreReply {
        let no_jobs = || JobPage { jobs: Vec::new(), more: false };
        match request {
            StoreRequest::RegisterBot(record) => StoreReply::RegisterBot(record),
            StoreRequest::AcquireBot { .. } => {
                StoreReply::AcquireBot(Acquired::Acquired { epoch: Epoch(1) })
            }
            StoreRequest::RenewBots { .. } => StoreReply::RenewBots(Vec::new()),
            StoreRequest::ReleaseBot(_) => StoreReply::ReleaseBot,
            StoreRequest::RestoreBot { .. } => StoreReply::RestoreBot(no_jobs()),
            StoreRequest::NextId { .. } => StoreReply::NextId(MessageId::FIRST),
            StoreRequest::InsertJobs { jobs, .. } => StoreReply::InsertJobs(
                jobs.iter()
                    .map(|job| InsertAnswer::Inserted { leased: job.lease.is_some() })
                    .collect(),
            ),
            StoreRequest::Archive { items, .. } => StoreReply::Archive(
                items
                    .iter()
                    .map(|_| ArchiveAnswer::Stored { seq: ArchiveSeq(self.fresh()) })
                    .collect(),
            ),
            StoreRequest::Revise { .. } => StoreReply::Revise(ReviseAnswer::NotFound),
            StoreRequest::CompletedJobs { .. } => StoreReply::CompletedJobs(no_jobs()),
            StoreRequest::OwedCallbacks { .. } => {
                StoreReply::OwedCallbacks { callbacks: Vec::new(), more: false }
            }
            StoreRequest::RaiseAttempts { callbacks, .. } => {
                let mut state = self.state.lock().expect("no test panics with it");
                let raise = |(key, _): &(CallbackKey, u32)| {
                    let attempt = state.attempts.entry(key.clone()).or_insert(Attempt(1));
                    attempt.0 += 1;
                    Some(*attempt)
                };
                StoreReply::RaiseAttempts(callbacks.iter().map(raise).collect())
            }
            StoreRequest::MarkCalledBack { marks, .. } => {
                StoreReply::MarkCalledBack(marks.iter().map(|_| MarkAnswer::Ended).collect())
            }
            StoreRequest::EnqueueSend { send, .. } => {
                self.state.lock().expect("no test panics with it").sends.push(send);
                StoreReply::EnqueueSend(EnqueueAnswer::Enqueued)
            }
            StoreRequest::OwedSends { .. } => StoreReply::OwedSends(
                self.state.lock().expect("no test panics with it").sends.clone(),
            ),
            StoreRequest::MarkSent { .. } => StoreReply::MarkSent,
            StoreRequest::HoldBot(_) => StoreReply::HoldBot(0),
            StoreRequest::Claim { .. } => {
                StoreReply::Claim(Claimed { jobs: Vec::new(), more: false, next_in: None })
            }
            StoreRequest::Renew { .. } => StoreReply::Renew(Vec::new()),
            StoreRequest::Release { .. } => StoreReply::Release(Vec::new()),
            StoreRequest::Complete { completions } => {
                StoreReply::Complete(completions.iter().map(|_| TokenAnswer::Ok).collect())
            }
            StoreRequest::AcquireSingleton { .. } => StoreReply::AcquireSingleton(true),
            StoreRequest::ReclaimLeases { .. } => StoreReply::ReclaimLeases(Vec::new()),
            StoreRequest::ExpireJobs { .. } => StoreReply::ExpireJobs(Vec::new()),
            StoreRequest::KnownMedia { media_ids } => StoreReply::KnownMedia(media_ids),
            StoreRequest::ForgetFailed { .. } => StoreReply::ForgetFailed(Vec::new()),
            StoreRequest::ForgetArchived { .. } => StoreReply::ForgetArchived(0),
            StoreRequest::DiscardJob { .. } => StoreReply::DiscardJob(OperatorAnswer::NotFound),
            StoreRequest::RetryJob { .. } => StoreReply::RetryJob(OperatorAnswer::NotFound),
            StoreRequest::Redeliver { .. } => StoreReply::Redeliver(RedeliverAnswer::NotFound),
        }
    }
}

impl Store for ScriptedStore {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        Box::pin(async move {
            assert!(!self.breaks_on(&request), "deliberate, by the test");
            tokio::task::yield_now().await;
            Ok(self.answer(request))
        })
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Staged files that only have names.
#[derive(Default)]
pub struct NamedFiles {
    deleted: Mutex<Vec<MediaId>>,
    listings: Mutex<u32>,
}

impl NamedFiles {
    pub fn deleted(&self) -> Vec<MediaId> {
        self.deleted.lock().expect("no test panics with it").clone()
    }

    pub fn listings(&self) -> u32 {
        *self.listings.lock().expect("no test panics with it")
    }
}

impl StagedFiles for NamedFiles {
    fn path(&self, media_id: MediaId) -> PathBuf {
        PathBuf::from("/staging").join(media_id.to_string())
    }

    fn delete(&self, media_ids: Vec<MediaId>) -> BoxFuture<'_, Vec<(MediaId, FileError)>> {
        self.deleted.lock().expect("no test panics with it").extend(media_ids);
        Box::pin(async { Vec::new() })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<MediaId>, FileError>> {
        *self.listings.lock().expect("no test panics with it") += 1;
        Box::pin(async { Ok(Vec::new()) })
    }
}
