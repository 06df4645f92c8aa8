//! Everything that may carry contents, said once, so that a test can look for it where it must not be.

use crate::frames::{self, Media};
use crate::{Acknowledge, Connection, Consumer, Server, fixtures, staging};

/// The bot that hears it.
pub const BOT: &str = "demo";

const TEXT: &str = "xylophone-in-a-text";
const CAPTION: &str = "quagmire-in-a-caption";
const PAGE: &str = "zeppelin-on-a-page";
const FILENAME: &str = "kerfuffle-in-a-name.pdf";
const SENDER: &str = "Wolpertinger Display-Name";
const GROUP: &str = "Nincompoop Group-Name";
const NO_FRAME: &str = "bamboozle-in-no-frame";
const BROKEN: &str = "gobbledygook-in-a-broken-file";
const SEND: &str = "flabbergast-in-a-send";

/// Words that only contents hold, each in a place of its own.
pub const WORDS: [&str; 9] = [TEXT, CAPTION, PAGE, FILENAME, SENDER, GROUP, NO_FRAME, BROKEN, SEND];

/// Everything that may carry contents: texts, captions, documents, files that cannot be read, frames that
/// are none, replies, and sends. Returns the media's ids.
///
/// # Panics
/// When the server takes or calls back anything otherwise than it should.
pub async fn say_all(server: &Server) -> Vec<String> {
    let consumer = Consumer::connect(server, BOT, Acknowledge::Promptly);
    let mut provider = Connection::hello(server, BOT).await;
    let directory = staging::directory(provider.welcome());
    let mut ids = Vec::new();
    for (id, file) in [("m1", fixtures::pdf(&[PAGE])), ("m2", BROKEN.as_bytes().to_vec())] {
        let media = Media::document(fixtures::PDF, FILENAME, &file);
        staging::share(&directory, media.media_id, &file);
        let mut frame = frames::media("alice", id, CAPTION, &media);
        frame["sender"]["display_name"] = SENDER.into();
        frame["group"] = serde_json::json!({ "identifier": "g@g.us", "display_name": GROUP });
        assert_eq!(provider.receipt(&frame).await["outcome"], "accepted");
        ids.push(media.media_id.to_string());
    }
    assert_eq!(provider.receipt(&frames::text("alice", "m3", TEXT)).await["outcome"], "accepted");
    provider.send_text(format!("{{\"type\": \"{NO_FRAME}\"}}")).await;
    provider.send_text(NO_FRAME.to_owned()).await;
    let mut wrong = frames::text("alice", "m4", TEXT);
    wrong["originating_time"] = NO_FRAME.into();
    assert_eq!(provider.receipt(&wrong).await["reason"], "invalid");
    let url = format!("{}/v1/bots/{BOT}/sends", server.url());
    let send = serde_json::json!({ "send_id": "s1", "correspondent_id": "alice", "message": SEND });
    let sent = crate::http_client().post(url).json(&send).send().await;
    assert!(sent.expect("the server answers").status().is_success());
    consumer.confirmed(3).await;
    ids
}
