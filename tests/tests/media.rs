//! Real files become text; files that cannot say why.

use anteroom_tests::frames::{self, Media};
use anteroom_tests::{Acknowledge, Connection, Consumer, Server, eventually, fixtures, staging};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

const BOT: &str = "demo";

/// A server with one provider and one consumer.
struct World {
    server: Server,
    provider: Connection,
    consumer: Consumer,
}

/// How a file reaches the server.
#[derive(Debug, Clone, Copy)]
enum Way {
    Shared,
    Uploaded,
    NotAtAll,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let provider = Connection::hello(&server, BOT).await;
        let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
        Self { server, provider, consumer }
    }

    /// Sends a medium with a caption and returns the callback's message.
    async fn send(&mut self, way: Way, media: &Media, file: Vec<u8>, caption: &str) -> Value {
        match way {
            Way::Shared => {
                let directory = staging::directory(self.provider.welcome());
                staging::share(&directory, media.media_id, &file);
            }
            Way::Uploaded => {
                let id = media.media_id.to_string();
                let status = staging::upload(&self.server, &id, file).await;
                assert!((200..300).contains(&status), "the upload was answered {status}");
            }
            Way::NotAtAll => {}
        }
        let id = format!("message of {}", media.media_id);
        let receipt = self.provider.receipt(&frames::media("alice", &id, caption, media)).await;
        assert_eq!(receipt["outcome"], "accepted", "{receipt}");
        let callback = self.consumer.callback_of(&id).await;
        assert_eq!(callback.attempt, 1);
        callback.body["message"].clone()
    }

    /// Waits until the staged file of a finished job is deleted.
    async fn staged_file_is_gone(&self, media: &Media) {
        let path = staging::directory(self.provider.welcome()).join(media.media_id.to_string());
        eventually("the staged file to be deleted", || !path.exists()).await;
    }
}

/// Goal: each document becomes a callback whose text holds the words that are in it, with the
/// caption on its own line behind, and its staged file is deleted.
async fn check_document(way: Way, media: Media, file: Vec<u8>, expected: &str) {
    let mut world = World::new().await;
    let message = world.send(way, &media, file, "the invoice").await;
    let content = message["content"].as_str().expect("a message has content");
    let text = content.strip_suffix("\nthe invoice");
    let text = text.unwrap_or_else(|| panic!("the caption has its own line: {content:?}"));
    assert_eq!(text, expected);
    assert_eq!(message["message_size"], content.chars().count());
    assert_eq!(message["media"]["outcome"]["kind"], "text");
    world.staged_file_is_gone(&media).await;
}

/// Goal: see [`check_document`], for a PDF through the shared staging directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_pdf_becomes_its_words() {
    let file = fixtures::pdf(&["Invoice 2041 over 42 EUR"]);
    let media = Media::document(fixtures::PDF, "note.pdf", &file);
    let expected = "[Document text (note.pdf): Invoice 2041 over 42 EUR]";
    check_document(Way::Shared, media, file, expected).await;
}

/// Goal: see [`check_document`], for a PDF through an upload.
#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_pdf_becomes_its_words() {
    let file = fixtures::pdf(&["Invoice 2042 over 43 EUR"]);
    let media = Media::document(fixtures::PDF, "note.pdf", &file);
    let expected = "[Document text (note.pdf): Invoice 2042 over 43 EUR]";
    check_document(Way::Uploaded, media, file, expected).await;
}

/// Goal: see [`check_document`], for a Word document.
#[tokio::test(flavor = "multi_thread")]
async fn a_docx_becomes_its_words() {
    let file = fixtures::docx(&["The meeting is moved to Tuesday"]);
    let media = Media::document(fixtures::DOCX, "plan.docx", &file);
    let expected = "[Document text (plan.docx): The meeting is moved to Tuesday]";
    check_document(Way::Shared, media, file, expected).await;
}

/// Goal: see [`check_document`], for plain text that is not ASCII, declared with a parameter.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_file_becomes_its_words() {
    let file = "Grüße aus Köln 🦀".as_bytes().to_vec();
    let media = Media::document("text/plain; charset=utf-8", "greeting.txt", &file);
    let expected = "[Document text (greeting.txt): Grüße aus Köln 🦀]";
    check_document(Way::Uploaded, media, file, expected).await;
}

/// Goal: a picture's words are in the callback, its caption on its own line.
/// Method: needs `tesseract`; `cargo xtask test` leaves this test out, and counts it as skipped,
/// where that is not installed.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_becomes_its_words_through_tesseract() {
    let mut world = World::new().await;
    let file = fixtures::png("Meet me at the harbour");
    let media = Media { kind: "image", ..Media::document("image/png", "sign.png", &file) };
    let message = world.send(Way::Shared, &media, file, "seen today").await;
    let content = message["content"].as_str().expect("a message has content");
    assert!(content.starts_with("[Image description: "), "{content:?}");
    assert!(content.contains("Meet me at the harbour"), "{content:?}");
    assert!(content.ends_with("]\nseen today"), "{content:?}");
    world.staged_file_is_gone(&media).await;
}

/// Goal: a type that no processor takes ends as unsupported, in words, and its file is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_file_ends_as_unsupported() {
    let mut world = World::new().await;
    let file = fixtures::ics();
    let media = Media::document("text/calendar", "dinner.ics", &file);
    let message = world.send(Way::Shared, &media, file, "join us").await;
    assert_eq!(message["content"], "[Unsupported text/calendar media]\njoin us");
    assert_eq!(message["media"]["outcome"]["kind"], "unsupported");
    world.staged_file_is_gone(&media).await;
}

/// Goal: a file that never came ends as failed, in words.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_ends_as_failed() {
    let mut world = World::new().await;
    let media = Media::document(fixtures::PDF, "lost.pdf", b"never written");
    let message = world.send(Way::NotAtAll, &media, Vec::new(), "look").await;
    assert_eq!(message["content"], "[Document processing failed]\nlook");
    assert_eq!(message["media"]["outcome"]["kind"], "failed");
    assert_eq!(message["media"]["outcome"]["error"], "file_missing");
}

/// Goal: files that were cut short end as failed, in words, and never as half a text.
#[tokio::test(flavor = "multi_thread")]
async fn truncated_files_end_as_failed() {
    let mut world = World::new().await;
    for (mime_type, name, whole) in [
        (fixtures::PDF, "cut.pdf", fixtures::pdf(&["nobody will read this"])),
        (fixtures::DOCX, "cut.docx", fixtures::docx(&["nobody will read this"])),
    ] {
        let file = fixtures::cut_short(whole);
        let media = Media::document(mime_type, name, &file);
        let message = world.send(Way::Shared, &media, file, "").await;
        assert_eq!(message["content"], "[Document processing failed]", "of {name}");
        assert_eq!(message["media"]["outcome"]["kind"], "failed", "of {name}");
    }
}

/// Goal: what the provider could not download ends as corrupt, in words, for each kind.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_downloaded_ends_as_corrupt() {
    let mut world = World::new().await;
    for (kind, mime_type) in [
        ("audio", "media_corrupt_audio"),
        ("image", "media_corrupt_image"),
        ("video", "media_corrupt_video"),
        ("document", "media_corrupt_document"),
        ("sticker", "media_corrupt_sticker"),
    ] {
        let media = Media { kind, original_filename: None, ..Media::document(mime_type, "", b"") };
        let message = world.send(Way::NotAtAll, &media, Vec::new(), "").await;
        let expected = format!("[Corrupted {kind} media could not be downloaded]");
        assert_eq!(message["content"], expected);
        assert_eq!(message["media"]["outcome"]["kind"], "corrupt");
    }
}

/// Goal: an upload's name is a UUID or the upload is refused; nothing is written anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_under_other_names_are_refused() {
    let world = World::new().await;
    let before = files_below(world.server.home());
    for name in [
        "not-a-uuid",
        "..%2F..%2Fescaped",
        "%2e%2e%2fescaped",
        "00000000-0000-0000-0000-00000000000g",
        "%00",
        "a%20b",
    ] {
        let status = staging::upload(&world.server, name, b"x".to_vec()).await;
        assert!((400..500).contains(&status), "{name} was answered {status}");
    }
    // A URL library would resolve the dots before they reach the line.
    let raw = raw_put(&world.server, "/v1/media/../../../escaped").await;
    assert!(raw.starts_with("HTTP/1.1 4"), "{raw}");
    assert_eq!(files_below(world.server.home()), before);
    let good = staging::upload(&world.server, &Uuid::new_v4().to_string(), b"x".to_vec()).await;
    assert!((200..300).contains(&good), "a good name was answered {good}");
}

/// Goal: an upload that breaks off leaves nothing behind under its name.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = World::new().await;
    let directory = staging::directory(world.provider.welcome());
    let media_id = Uuid::new_v4();
    let mut line = TcpStream::connect(world.server.authority()).await.expect("it listens");
    let head = format!(
        "PUT /v1/media/{media_id} HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000000\r\n\r\n",
        world.server.authority()
    );
    line.write_all(head.as_bytes()).await.expect("the line is open");
    line.write_all(&[b'x'; 200_000]).await.expect("the line is open");
    let any = || std::fs::read_dir(&directory).expect("it is there").next().is_some();
    eventually("the upload to begin", any).await;
    drop(line);
    eventually("the partial file to be deleted", || !any()).await;
}

/// Sends a PUT with `path` exactly as it is and returns the answer.
async fn raw_put(server: &Server, path: &str) -> String {
    let mut line = TcpStream::connect(server.authority()).await.expect("it listens");
    let host = server.authority();
    let request = format!(
        "PUT {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"
    );
    line.write_all(request.as_bytes()).await.expect("the line is open");
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await.expect("the server answers and closes");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The names of all files below a directory but databases and logs, which change by themselves.
fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if !path.to_string_lossy().contains(".db") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
