//! Media under load: large files in little memory, a slow pool beside quick ones, a quota that is full.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anteroom_tests::binary::MIN_FREE_BYTES;
use anteroom_tests::frames::{self, Media};
use anteroom_tests::{
    Acknowledge, Connection, Consumer, PATIENCE, Server, eventually, fixtures, http_client,
    process, staging,
};
use futures_util::stream;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const BOT: &str = "demo";

/// A server with this configuration.
async fn configured(text: &str) -> (TempDir, Server) {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = home.path().join("anteroom.toml");
    std::fs::write(&file, text).expect("it can be written");
    let server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]).await;
    (home, server)
}

fn audio(bytes: usize) -> Media {
    Media {
        kind: "audio",
        original_filename: None,
        size_bytes: bytes,
        ..Media::document("audio/ogg; codecs=opus", "", b"")
    }
}

/// A speech server that reads everything, counts it, and says one sentence.
async fn counting() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let counted = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&counted);
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            tokio::spawn(answer(line, Arc::clone(&count)));
        }
    });
    (url, counted)
}

async fn answer(line: TcpStream, count: Arc<AtomicU64>) {
    let mut line = BufReader::new(line);
    let mut length = 0;
    loop {
        let mut header = String::new();
        if line.read_line(&mut header).await.unwrap_or(0) == 0 {
            return;
        }
        let header = header.trim().to_ascii_lowercase();
        if let Some(bytes) = header.strip_prefix("content-length:") {
            length = bytes.trim().parse().expect("a length");
        }
        if header.is_empty() {
            break;
        }
    }
    let mut chunk = vec![0; 64 * 1024];
    let mut left: u64 = length;
    while left > 0 {
        let read = line.read(&mut chunk).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        left = left.saturating_sub(read as u64);
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
    let body = r#"{"text": "a very long talk"}"#;
    let said = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = line.into_inner().write_all(said.as_bytes()).await;
}

/// Goal: a file of 200 MB that is uploaded, and uploaded again to a speech server, costs less than
/// 64 MiB of memory at any moment, as it is never in memory as a whole.
/// Method: the kernel's own high-water mark of the process, against what it had before.
#[tokio::test(flavor = "multi_thread")]
async fn large_files_take_little_memory() {
    const BYTES: usize = 200 * 1_000 * 1_000;
    const EXTRA_KIB_MAX: u64 = 64 * 1_024;
    let (url, counted) = counting().await;
    let engine =
        format!("[engines.openai]\nbase_url = \"{url}\"\ntranscription_model = \"whisper-1\"\n");
    let (_home, server) = configured(&engine).await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let before = process::resident_kib(server.id());

    let media = audio(BYTES);
    let chunk = vec![7_u8; 100_000];
    let chunks =
        stream::iter((0..BYTES / chunk.len()).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let address = format!("{}/v1/media/{}", server.url(), media.media_id);
    let request = http_client().put(address).header("content-length", BYTES);
    let answer = request.body(reqwest::Body::wrap_stream(chunks)).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 201);
    let uploaded = process::peak_resident_kib(server.id());

    provider.receipt(&frames::media("alice", "talk", "", &media)).await;
    let callback = consumer.callback_of("talk").await;
    assert_eq!(callback.body["message"]["content"], "[Audio transcript: a very long talk]");
    let sent = counted.load(Ordering::Relaxed);
    assert!(sent > BYTES as u64 && sent < BYTES as u64 + 10_000, "sent once, whole: {sent}");
    let peak = process::peak_resident_kib(server.id());
    println!(
        "resident: {before} KiB before, at most {uploaded} KiB with the upload, {peak} KiB in all"
    );
    assert!(peak - before < EXTRA_KIB_MAX, "{} KiB more", peak - before);
}

/// Goal: one slow pool delays no other. Method: more recordings than the pool has slots, each of which
/// takes for ever, and a document behind them: its callback comes, and none of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_pool_delays_no_other() {
    let (_home, server) = configured(
        "[pools.audio]\nengine = \"slow\"\ntimeout = \"1h\"\n[engines.slow]\nprocessor = \"stub\"\ndelay = \"50 min\"\ntext = \"x\"\n",
    )
    .await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let directory = staging::directory(provider.welcome());
    for number in 0..10 {
        let media = audio(1);
        staging::share(&directory, media.media_id, b"x");
        let frame = frames::media(&format!("c{number}"), &format!("slow {number}"), "", &media);
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
    }
    let file = fixtures::pdf(&["quick"]);
    let media = Media::document(fixtures::PDF, "quick.pdf", &file);
    staging::share(&directory, media.media_id, &file);
    provider.receipt(&frames::media("alice", "quick", "", &media)).await;
    let callback = consumer.callback_of("quick").await;
    assert_eq!(callback.body["message"]["content"], "[Document text (quick.pdf): quick]");
    assert_eq!(consumer.contents().len(), 1, "nothing else has ended");
}

/// Goal: recordings whose pool an operator has taken away are processed by who takes their type after the restart.
/// Method: one is worked on and one waits, for ever by the configuration before; so does neither by the one after.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_pool_that_is_gone_goes_to_another() {
    let (home, mut server) = configured(
        "shutdown_grace = \"1s\"\n[pools.calls]\nmime_types = [\"audio/ogg\"]\nslots = 1\nengine = \"slow\"\ntimeout = \"1h\"\n\
         [engines.slow]\nprocessor = \"stub\"\ndelay = \"50 min\"\ntext = \"x\"\n",
    )
    .await;
    let mut provider = Connection::hello(&server, BOT).await;
    let directory = staging::directory(provider.welcome());
    for number in 0..2 {
        let media = audio(1);
        staging::share(&directory, media.media_id, b"x");
        let frame = frames::media(&format!("c{number}"), &format!("call {number}"), "", &media);
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
    }
    server.terminate(PATIENCE).await;
    let after = "[pools.audio]\nengine = \"quick\"\n[engines.quick]\nprocessor = \"stub\"\ntext = \"heard\"\n";
    std::fs::write(home.path().join("anteroom.toml"), after).expect("it can be written");
    server.restart().await;
    let _provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    for number in 0..2 {
        let callback = consumer.callback_of(&format!("call {number}")).await;
        assert_eq!(callback.body["message"]["content"], "[Audio transcript: heard]");
    }
}

/// Goal: a full quota is told at once: the upload by 507, the provider by a frame, the operator by a
/// line; space that returns is told as well, and used, without anybody's doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_quota_is_told_and_recovers() {
    let (_home, server) =
        configured("[media]\nquota_bytes = \"1 MB\"\nmax_file_bytes = \"1 MB\"\n").await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let text = "All work and no play.\n".repeat(950_000 / 22);
    let media = Media::document("text/plain", "long.txt", text.as_bytes());
    let id = media.media_id.to_string();
    assert_eq!(staging::upload(&server, &id, text.clone().into_bytes()).await, 201);
    eventually("the operator to be told", || {
        server.log().contains("the media quota is nearly used up")
    })
    .await;
    let other = uuid::Uuid::new_v4().to_string();
    assert_eq!(staging::upload(&server, &other, vec![b'x'; 200_000]).await, 507);
    let quota = provider.quota().await;
    assert_eq!(
        (&quota["quota_bytes"], &quota["used_bytes"]),
        (&1_000_000.into(), &text.len().into())
    );
    eventually("the operator to be told", || server.log().contains("files are refused")).await;

    provider.receipt(&frames::media("alice", "long", "", &media)).await;
    consumer.callback_of("long").await;
    let quota = provider.quota().await;
    assert_eq!(quota["used_bytes"], 0);
    assert_eq!(staging::upload(&server, &other, vec![b'x'; 200_000]).await, 201);
}

/// Space on the disk of a directory that nobody else can use, until this is dropped.
struct Ballast(tempfile::NamedTempFile);

impl Ballast {
    fn of(directory: &Path, bytes: u64) -> Self {
        let file = tempfile::NamedTempFile::new_in(directory).expect("a file can be made");
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(file.as_file(), flags, 0, bytes).expect("the disk has the space");
        Self(file)
    }

    fn throw_off(self) {
        self.0.close().expect("our own file can be deleted");
    }
}

/// How much of the disk of a directory is free.
fn free_bytes(directory: &Path) -> u64 {
    let disk = rustix::fs::statvfs(directory).expect("a disk can be looked at");
    disk.f_bavail * disk.f_frsize
}

/// Goal: a disk that somebody else has filled is told at once: the upload by 507, the provider by a frame that
/// leaves nothing of the quota, the operator by a line; when the space is back that is told as well, and used,
/// without anybody's doing.
/// Method: a floor not far below what is free, and a file that is given more than what is between them. An
/// eighth of the disk is enough for whatever else goes on on it meanwhile; in memory, where there is such a
/// disk, hardly anything does.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_others_fill_is_told_and_recovers() {
    const ROOM_BYTES_MAX: u64 = 2 << 30;
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let home = home.expect("a temporary directory can be made");
    let free = free_bytes(home.path());
    let room = (free / 8).min(ROOM_BYTES_MAX);
    let mut server = Server::lent(home.path(), &[]);
    server.set_variable(MIN_FREE_BYTES, Path::new(&(free - room).to_string()));
    server.restart().await;
    let mut provider = Connection::hello(&server, BOT).await;
    let quota_bytes = provider.welcome()["media"]["quota_bytes"].clone();
    let [kept, refused, back] = [(); 3].map(|()| uuid::Uuid::new_v4().to_string());
    assert_eq!(staging::upload(&server, &kept, vec![b'x'; 1_000]).await, 201);

    let ballast = Ballast::of(home.path(), 2 * room);
    assert_eq!(staging::upload(&server, &refused, vec![b'x'; 1_000]).await, 507);
    let quota = provider.quota().await;
    assert_eq!((&quota["quota_bytes"], &quota["used_bytes"]), (&1_000.into(), &1_000.into()));
    let late = Connection::hello(&server, "late").await;
    assert_eq!(late.welcome()["media"]["quota_bytes"], 1_000);
    let is_said = |words: &'static str| server.log().contains(words);
    eventually("the operator to be told", || is_said("is nearly full, files are refused")).await;
    let staged = std::fs::read_dir(staging::directory(provider.welcome())).expect("it is there");
    assert_eq!(staged.count(), 1, "what was refused left nothing");

    ballast.throw_off();
    let quota = provider.quota().await;
    assert_eq!((&quota["quota_bytes"], &quota["used_bytes"]), (&quota_bytes, &1_000.into()));
    eventually("the operator to be told", || is_said("the media quota has room")).await;
    assert_eq!(staging::upload(&server, &back, vec![b'x'; 1_000]).await, 201);
}

/// Goal: a job that failed keeps its file for an operator's second look; one that went well does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_keeps_its_file() {
    let server = Server::start().await;
    let mut provider = Connection::hello(&server, BOT).await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    let directory = staging::directory(provider.welcome());
    let damaged = Media::document(fixtures::PDF, "cut.pdf", b"%PDF-1.7");
    let whole = Media::document("text/plain", "a.txt", b"words");
    for (media, file, id) in
        [(&damaged, b"%PDF-1.7".as_slice(), "cut"), (&whole, b"words", "whole")]
    {
        staging::share(&directory, media.media_id, file);
        provider.receipt(&frames::media("alice", id, "", media)).await;
        consumer.callback_of(id).await;
    }
    let path = |media: &Media| directory.join(media.media_id.to_string());
    eventually("the finished file to be deleted", || !path(&whole).exists()).await;
    assert!(path(&damaged).exists());
}
