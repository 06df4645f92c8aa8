//! One node with its listener, and the clients that talk to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anteroom_core::context::Seed;
use anteroom_core::id::{MediaId, NodeId};
use anteroom_core::message::{Extracted, Outcome};
use anteroom_core::settings::{BotSettings, NodeSettings};
use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use anteroom_runtime::clock::{BootClock, Clock};
use anteroom_runtime::driver::ports::FileError;
use anteroom_runtime::driver::{self, Handle, Node, Ports, StagedFiles};
use anteroom_runtime::http::{self, HttpLimits, HttpState};
use anteroom_runtime::media::processor::{self, Failure, Processor, Work};
use anteroom_runtime::media::staging::{Staging, StagingLimits};
use anteroom_runtime::store::sqlite::{SqliteSettings, SqliteStore};
use anteroom_runtime::store::{BoxFuture, Store};
use anteroom_runtime::tls::plain_client_builder;
use anteroom_runtime::tokens::Tokens;
use futures_util::{FutureExt, SinkExt, StreamExt};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The bot of most tests.
pub const BOT: &str = "demo";

/// What is long enough for anything that is to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The default limits, on whatever disk the tests run.
pub fn roomy() -> StagingLimits {
    StagingLimits { min_free_bytes: 0, ..StagingLimits::default() }
}

/// A node with its listener.
pub struct World {
    pub url: String,
    pub handle: Handle,
    pub store: Arc<Interruptible>,
    pub staging: Arc<Staging>,
    pub shutdown: CancellationToken,
    pub listener: JoinHandle<std::io::Result<()>>,
    _directory: TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::within(HttpLimits::default(), roomy()).await
    }

    pub async fn within(limits: HttpLimits, staging: StagingLimits) -> Self {
        Self::set(limits, staging, Tokens::default(), |_| {}).await
    }

    /// A node whose bots are set so.
    pub async fn with_bots(change: impl FnOnce(&mut BotSettings)) -> Self {
        Self::set(HttpLimits::default(), roomy(), Tokens::default(), change).await
    }

    /// A node whose listener asks for these tokens.
    pub async fn with_tokens(tokens: Tokens) -> Self {
        Self::set(HttpLimits::default(), roomy(), tokens, |_| {}).await
    }

    pub async fn set(
        limits: HttpLimits,
        staging: StagingLimits,
        tokens: Tokens,
        change: impl FnOnce(&mut BotSettings),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let clock = Arc::new(BootClock::start());
        let now = Arc::clone(&clock);
        let settings = SqliteSettings::new(directory.path().join("store"));
        let store = SqliteStore::open(settings, Arc::new(move || now.now())).expect("it opens");
        let store = Arc::new(Interruptible { store, is_away: AtomicBool::new(false) });
        let staging = Staging::open(Staging::default_directory(directory.path()), staging).await;
        let staging = Arc::new(staging.expect("staging opens"));
        let mut settings = NodeSettings::new(NodeId::from(Uuid::new_v4()));
        settings.session.auto_create_bots = true;
        change(&mut settings.bot_defaults);
        let node = Node {
            settings,
            seed: Seed([7; 32]),
            bots: Vec::new(),
            runs_bots: true,
            runs_workers: true,
        };
        let ports = Ports {
            clock,
            store: Arc::clone(&store) as Arc<dyn Store>,
            processors: BTreeMap::from([(
                "document".into(),
                Arc::new(Reader) as Arc<dyn Processor>,
            )]),
            files: Arc::new(Files(Arc::clone(&staging))),
        };
        let (handle, _driver) = driver::start(node, ports).expect("the pools are well formed");
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", socket.local_addr().expect("it is bound"));
        let shutdown = CancellationToken::new();
        let state = HttpState::new(handle.clone(), Arc::clone(&staging))
            .with_limits(limits)
            .with_tokens(tokens);
        let listener = tokio::spawn(http::serve(socket, state, shutdown.clone()));
        Self { url, handle, store, staging, shutdown, listener, _directory: directory }
    }

    /// The address of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Opens a provider's socket, without a word.
    pub async fn socket(&self) -> Socket {
        self.socket_at("/v1/provider", None).await.expect("the listener takes it")
    }

    /// Opens a WebSocket, with a token or without.
    pub async fn socket_at(&self, path: &str, token: Option<&str>) -> tungstenite::Result<Socket> {
        let address = self.at(path).replacen("http", "ws", 1);
        let mut request = address.into_client_request().expect("an address");
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        let (socket, _) = connect_async(request).await?;
        Ok(Socket { socket })
    }

    /// A bot's stream of callbacks over a WebSocket.
    pub async fn callback_socket(&self, bot: &str) -> Socket {
        let path = format!("/v1/bots/{bot}/callbacks");
        self.socket_at(&path, None).await.expect("the listener takes it")
    }

    /// Opens a provider's socket whose system takes next to nothing that its owner does not read.
    pub async fn socket_with_a_small_ear(&self) -> Socket {
        let socket = TcpSocket::new_v4().expect("the system gives sockets");
        socket.set_recv_buffer_size(4_096).expect("it may be small");
        let address = self.url.trim_start_matches("http://").parse().expect("an address");
        let stream = socket.connect(address).await.expect("the listener takes it");
        let address = self.at("/v1/provider").replacen("http", "ws", 1);
        let (socket, _) = client_async(address, MaybeTlsStream::Plain(stream))
            .await
            .expect("the listener takes it");
        Socket { socket }
    }

    /// A provider of `bot` that has been welcomed.
    pub async fn provider(&self, bot: &str) -> Socket {
        let mut socket = self.socket().await;
        socket.say(&hello(bot, "cli")).await;
        assert_eq!(socket.next().await["type"], "welcome");
        socket
    }

    /// A bot's stream of callbacks.
    pub async fn events(&self, bot: &str) -> Events {
        let address = self.at(&format!("/v1/bots/{bot}/callbacks"));
        let response = timeout(PATIENCE, client().get(address).send()).await;
        let response = response.expect("the head comes at once").expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, unread: Vec::new() }
    }

    /// POSTs a body, and gives back the status and the answer's JSON.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(client().post(self.at(path)).body(body).send().await.expect("an answer")).await
    }
}

/// A client as plain as can be.
pub fn client() -> Client {
    plain_client_builder().no_proxy().build().expect("a client")
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let header = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().expect("ASCII").to_owned())
        };
        Self {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: response.json().await.unwrap_or_default(),
        }
    }

    /// Asserts that it is a problem document with this status and code, and gives it back.
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.content_type.as_str()), (status, "application/problem+json"));
        assert_eq!(self.body["type"], format!("urn:anteroom:problem:{code}"), "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert!(self.body["detail"].as_str().is_some_and(|it| !it.is_empty()), "{}", self.body);
        self.body
    }
}

/// A `hello`.
pub fn hello(bot: &str, provider: &str) -> Value {
    json!({"type": "hello", "payload_version": 1, "bot_id": bot, "provider_name": provider})
}

/// A message of alice, without a number.
pub fn posted(provider_message_id: &str, text: &str) -> Value {
    json!({
        "payload_version": 1, "provider_message_id": provider_message_id,
        "correspondent_id": "alice", "sender": {"identifier": "alice"}, "group": null,
        "direction": "incoming", "originating_time": 1_790_000_000_000_u64, "message": text,
    })
}

/// A message frame of alice.
pub fn message(seq: u64, text: &str) -> Value {
    let mut frame = posted(&format!("p{seq}"), text);
    frame["type"] = "message".into();
    frame["seq"] = seq.into();
    frame
}

/// One provider's WebSocket.
pub struct Socket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    pub async fn say(&mut self, frame: &Value) {
        self.say_raw(Message::text(frame.to_string())).await.expect("the socket is open");
    }

    pub async fn say_raw(&mut self, message: Message) -> tungstenite::Result<()> {
        self.socket.send(message).await
    }

    /// Writes bytes past the WebSocket.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let MaybeTlsStream::Plain(stream) = self.socket.get_mut() else {
            unreachable!("no test uses TLS")
        };
        stream.write_all(bytes).await.expect("the socket is open");
    }

    /// The next frame.
    pub async fn next(&mut self) -> Value {
        match self.next_raw().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("frames are JSON"),
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    /// The next message of any kind but pings; none at the end.
    pub async fn next_raw(&mut self) -> Option<Message> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("something comes");
            match message {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// How the connection is closed; frames before that are passed over.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.next_raw().await {
                Some(Message::Close(frame)) => return frame,
                Some(_) => {}
                None => panic!("the connection ended without a word"),
            }
        }
    }
}

/// A bot's stream of callbacks.
pub struct Events {
    response: Response,
    unread: Vec<u8>,
}

/// One event: its fields as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub event: String,
    pub data: String,
}

impl Events {
    /// The next block of lines, comments included; none at the end.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(length) = self.first_block() {
                let block = self.unread.drain(..length + 2).take(length).collect();
                return Some(String::from_utf8(block).expect("UTF-8"));
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("something comes");
            self.unread.extend_from_slice(&chunk.ok().flatten()?);
        }
    }

    /// Where the first block that is there as a whole ends.
    fn first_block(&self) -> Option<usize> {
        self.unread.windows(2).position(|end| end == b"\n\n")
    }

    /// The events that have come, at least one.
    pub async fn all_there_is(&mut self) -> Vec<Event> {
        let mut events = vec![self.next().await.expect("an event")];
        while let Some(Ok(Some(chunk))) = self.response.chunk().now_or_never() {
            self.unread.extend_from_slice(&chunk);
        }
        while self.first_block().is_some() {
            events.extend(self.next().await);
        }
        events
    }

    /// The next event; none at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                let prefix = format!("{name}: ");
                let line = block.lines().find_map(|line| line.strip_prefix(&prefix));
                line.unwrap_or_default().to_owned()
            };
            if block.lines().any(|line| line.starts_with("data:")) {
                return Some(Event { id: field("id"), event: field("event"), data: field("data") });
            }
        }
    }
}

/// The embedded store, which can be made to be away.
pub struct Interruptible {
    store: SqliteStore,
    is_away: AtomicBool,
}

impl Interruptible {
    pub fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }
}

impl Store for Interruptible {
    fn execute(&self, request: StoreRequest) -> BoxFuture<'_, StoreResult> {
        if self.is_away.load(Ordering::SeqCst) {
            let detail = "the test said so".to_owned();
            return Box::pin(async { Err(StoreError::Unavailable { detail }) });
        }
        self.store.execute(request)
    }

    fn list_bots(&self) -> BoxFuture<'_, Result<Vec<BotRecord>, StoreError>> {
        self.store.list_bots()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.store.shutdown()
    }
}

/// A processor that takes any file for text.
struct Reader;

impl Processor for Reader {
    fn name(&self) -> &str {
        "reader"
    }

    fn process(&self, work: Work) -> processor::BoxFuture<'static, Result<Outcome, Failure>> {
        Box::pin(async move {
            let text = tokio::fs::read_to_string(&work.path).await;
            let text = text.map_err(|error| Failure::unreadable(error.to_string()))?;
            Ok(Outcome::Text(Extracted { text, ..Extracted::default() }))
        })
    }
}

/// The staging directory as the driver's port.
struct Files(Arc<Staging>);

impl StagedFiles for Files {
    fn path(&self, media_id: MediaId) -> PathBuf {
        self.0.path(media_id)
    }

    fn delete(
        &self,
        media_ids: Vec<MediaId>,
    ) -> driver::ports::BoxFuture<'_, Vec<(MediaId, FileError)>> {
        Box::pin(async move {
            for media_id in media_ids {
                self.0.delete(media_id).await.expect("staging is there");
            }
            Vec::new()
        })
    }

    fn list(&self) -> driver::ports::BoxFuture<'_, Result<Vec<MediaId>, FileError>> {
        Box::pin(async { Ok(self.0.list().await?) })
    }
}
