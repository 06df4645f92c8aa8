//! The processors that ask a server: what they ask, and what they make of every kind of answer.

use std::sync::Arc;
use std::time::Duration;

use anteroom_core::message::{Extracted, FailureKind, MediaKind, Outcome};
use anteroom_runtime::media::document::Reader;
use anteroom_runtime::media::openai::{
    Endpoint, Transcriber, TranscriptionSettings, Viewer, VisionSettings,
};
use anteroom_runtime::media::processor::{Failure, Work, run_isolated};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use crate::picture::{animated_webp, encoded, picture};
use crate::server::{Answer, Asked, Misbehaving};
use crate::{ANTEROOM, Staged, stage, work};

const KEY: &str = "sk-very-secret";

fn transcriber(url: &str, settings: TranscriptionSettings) -> Arc<Transcriber> {
    let endpoint = Endpoint::new(url, Some(KEY)).expect("an endpoint");
    Arc::new(Transcriber::new("openai", endpoint, settings))
}

fn voice_note(staged: &Staged) -> Work {
    Work {
        kind: MediaKind::Audio,
        filename: Some("secret-plans\"\r\n.ogg".to_owned()),
        ..work(&staged.path, "audio/ogg; codecs=opus")
    }
}

/// Has a server with these answers transcribe a file; returns the end, and what it was asked.
async fn transcribe(answers: Vec<Answer>) -> (Result<Outcome, Failure>, Vec<Asked>) {
    let server = Misbehaving::start(answers).await;
    let staged = stage(b"OggS and the rest");
    let engine = transcriber(server.url(), TranscriptionSettings::new("whisper-1"));
    let ended = run_isolated(engine, voice_note(&staged)).await;
    (ended, server.asked())
}

fn whole(status: u16, body: &str) -> Answer {
    Answer::Whole(status, "", body.to_owned())
}

fn success() -> Answer {
    whole(
        200,
        r#"{"text": " see you at eight ", "language": "english", "duration": 2.5,
                  "segments": [{"text": " see you at eight ", "no_speech_prob": 0.01}]}"#,
    )
}

fn said() -> Result<Outcome, Failure> {
    Ok(Outcome::Text(Extracted {
        text: "see you at eight".to_owned(),
        language: Some("english".to_owned()),
        duration_ms: Some(2_500),
        truncated: false,
    }))
}

/// Goal: a recording is sent whole, with its length, its format's name and what is asked for, and the
/// answer becomes text, language and length. What its sender called it stays here.
#[tokio::test]
async fn a_recording_is_sent_and_its_text_comes_back() {
    let server = Misbehaving::start(vec![success()]).await;
    let content: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let staged = stage(&content);
    let settings = TranscriptionSettings {
        language: Some("en".to_owned()),
        prompt: Some("Anteroom".to_owned()),
        ..TranscriptionSettings::new("whisper-1")
    };
    let engine = transcriber(server.url(), settings);
    assert_eq!(run_isolated(engine, voice_note(&staged)).await, said());
    let [asked] = &server.asked()[..] else { panic!("asked once") };
    assert!(asked.head.starts_with("post /v1/audio/transcriptions http/1.1"), "{}", asked.head);
    assert!(asked.head.contains("authorization: bearer sk-very-secret"));
    assert!(!asked.head.contains("transfer-encoding"), "the length is known");
    for part in [
        "name=\"model\"\r\n\r\nwhisper-1\r\n",
        "name=\"response_format\"\r\n\r\nverbose_json\r\n",
        "name=\"language\"\r\n\r\nen\r\n",
        "name=\"prompt\"\r\n\r\nAnteroom\r\n",
        "name=\"file\"; filename=\"recording.ogg\"\r\ncontent-type: audio/ogg\r\n",
    ] {
        let body = String::from_utf8_lossy(&asked.body).to_ascii_lowercase();
        assert!(body.contains(&part.to_ascii_lowercase()), "{part}");
    }
    assert!(
        asked.body.windows(content.len()).any(|window| window == content),
        "the bytes are whole"
    );
    assert!(!asked.says("secret-plans"));
}

/// Goal: words that the model itself takes for silence are no speech (K55).
#[tokio::test]
async fn silence_is_no_speech() {
    let you = r#"{"text": " You", "segments": [{"text": " You", "no_speech_prob": 0.9}]}"#;
    let (ended, _) = transcribe(vec![whole(200, you)]).await;
    assert_eq!(ended, Ok(Outcome::Nothing));
}

/// Goal: a server that has not done the work is asked again later, by the pool and not at once, and
/// when it wants to be asked.
#[tokio::test]
async fn what_was_not_done_comes_back_later() {
    for (status, headers, retry_after) in [
        (429, "retry-after: 7\r\n", Some(7)),
        (429, "", None),
        (502, "", None),
        (503, "retry-after: 120\r\n", Some(120)),
        (504, "", None),
    ] {
        let answer = Answer::Whole(status, headers, r#"{"error": {"message": "busy"}}"#.to_owned());
        let (ended, asked) = transcribe(vec![answer, success()]).await;
        let Err(Failure::Transient { retry_after: told, detail }) = ended else {
            panic!("{status}: {ended:?}")
        };
        assert_eq!(told, retry_after.map(Duration::from_secs), "{status}");
        assert!(detail.contains("busy") && detail.contains(&status.to_string()), "{detail}");
        assert_eq!(asked.len(), 1, "{status}");
    }
}

/// Goal: a server that is not there, or hangs up before it has the file, has done nothing.
#[tokio::test]
async fn a_server_that_is_not_reached_has_done_nothing() {
    let staged = stage(&vec![7; 20 << 20]);
    // A port that was free a moment ago, and that nobody listens to.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nowhere = format!("http://{}/v1", listener.local_addr().expect("an address"));
    drop(listener);
    let hangs_up = Misbehaving::start(vec![Answer::HangUp]).await;
    for url in [nowhere.as_str(), hangs_up.url()] {
        let engine = transcriber(url, TranscriptionSettings::new("m"));
        let ended = run_isolated(engine, voice_note(&staged)).await;
        assert!(matches!(ended, Err(Failure::Transient { .. })), "{url}: {ended:?}");
    }
}

/// Goal: a bare 500 may be a stumble or the file: it is asked once more, and no oftener.
#[tokio::test]
async fn a_server_that_broke_is_asked_once_more() {
    let (ended, asked) = transcribe(vec![whole(500, "oops"), success()]).await;
    assert_eq!((ended, asked.len()), (said(), 2));
    let (ended, asked) = transcribe(vec![whole(500, "oops")]).await;
    let Err(Failure::Permanent { error: FailureKind::Engine, detail }) = ended else {
        panic!("{ended:?}")
    };
    assert!(detail.contains("500") && detail.contains("oops"), "{detail}");
    assert_eq!(asked.len(), 2);
}

/// Goal: what may have been done, and charged, is never asked for again: refusals, and successes that
/// arrive broken. Method: a server that would do it well the second time.
#[tokio::test]
async fn what_may_have_been_done_is_not_asked_for_again() {
    for answer in [
        whole(400, r#"{"error": {"message": "no such model"}}"#),
        whole(401, "wrong key sk-very-secret"),
        whole(404, ""),
        whole(413, ""),
        Answer::Whole(302, "location: http://127.0.0.1:1/\r\n", String::new()),
        whole(200, "<html>not json</html>"),
        whole(200, ""),
        whole(200, r#"{"words": []}"#),
        Answer::Half(r#"{"text": "see you"#.to_owned()),
        Answer::Garbage,
        Answer::HangUpAfter,
        whole(200, &format!("{{\"text\": \"{}\"}}", "x".repeat(9 << 20))),
    ] {
        let what = format!("{answer:?}");
        let what = what.chars().take(80).collect::<String>();
        let (ended, asked) = transcribe(vec![answer, success()]).await;
        let Err(Failure::Permanent { error: FailureKind::Engine, detail }) = ended else {
            panic!("{what}: {ended:?}")
        };
        assert_eq!(asked.len(), 1, "{what}");
        assert!(!detail.is_empty() && detail.len() < 2_000, "{what}: {detail}");
        assert!(!detail.contains(KEY), "{detail}");
    }
}

/// Goal: a server that never answers costs its job's time and nothing more: it timed out, is not asked
/// again, and the connection is closed.
#[tokio::test]
async fn silence_for_ever_times_out() {
    let server = Misbehaving::start(vec![Answer::Silence, success()]).await;
    let staged = stage(b"OggS");
    let engine = transcriber(server.url(), TranscriptionSettings::new("m"));
    let work = Work { timeout: Duration::from_millis(300), ..voice_note(&staged) };
    assert_eq!(run_isolated(engine, work).await, Err(Failure::TimedOut));
    assert_eq!(server.asked().len(), 1);
}

/// Goal: attempts leave no file and no connection open, however they end (K47). Method: what this process
/// has open before and after many of them.
#[tokio::test]
async fn attempts_leave_nothing_open() {
    let open = || std::fs::read_dir("/proc/self/fd").expect("listed").count();
    let server = Misbehaving::start(vec![whole(503, "")]).await;
    let staged = stage(&vec![7; 300_000]);
    let engine = transcriber(server.url(), TranscriptionSettings::new("m"));
    let _ = run_isolated(engine.clone(), voice_note(&staged)).await;
    let before = open();
    for _ in 0..50 {
        let ended = run_isolated(engine.clone(), voice_note(&staged)).await;
        assert!(matches!(ended, Err(Failure::Transient { .. })), "{ended:?}");
    }
    assert!(open() < before + 10, "{} open, {before} before", open());
}

/// Goal: a file that the server would not take is not sent, and one that is not there is told as such.
#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let server = Misbehaving::start(vec![success()]).await;
    let staged = stage(b"12345");
    let settings =
        TranscriptionSettings { file_bytes_max: Some(4), ..TranscriptionSettings::new("m") };
    let ended = run_isolated(transcriber(server.url(), settings), voice_note(&staged)).await;
    assert!(matches!(ended, Err(Failure::Permanent { .. })), "{ended:?}");
    let gone = Work { path: "/nonexistent".into(), ..voice_note(&staged) };
    let engine = transcriber(server.url(), TranscriptionSettings::new("m"));
    assert_eq!(run_isolated(engine, gone).await, Err(Failure::file_missing()));
    assert!(server.asked().is_empty());
}

fn viewer(url: &str) -> Arc<Viewer> {
    let endpoint = Endpoint::new(url, None).expect("an endpoint");
    let reader = Reader::new(ANTEROOM.into());
    let settings = VisionSettings { side_pixels_max: 300, ..VisionSettings::new("seer") };
    Arc::new(Viewer::new("openai", endpoint, reader, settings))
}

fn description() -> Answer {
    whole(200, r#"{"choices": [{"message": {"content": "A sign."}, "finish_reason": "stop"}]}"#)
}

/// Goal: any picture arrives as a small JPEG of its first frame, laid on white, and the answer becomes
/// text. Method: an animated transparent sticker, of which the server's copy is decoded again.
#[tokio::test]
async fn a_picture_arrives_as_a_small_jpeg() {
    let sticker = picture("CALL", Rgba([0, 0, 0, 0]));
    let server = Misbehaving::start(vec![description()]).await;
    let staged = stage(&animated_webp(&sticker));
    let work = Work { kind: MediaKind::Sticker, ..work(&staged.path, "image/webp") };
    let text = Extracted { text: "A sign.".to_owned(), ..Extracted::default() };
    assert_eq!(run_isolated(viewer(server.url()), work).await, Ok(Outcome::Text(text)));
    let [asked] = &server.asked()[..] else { panic!("asked once") };
    assert!(asked.head.starts_with("post /v1/chat/completions "), "{}", asked.head);
    assert!(!asked.head.contains("authorization"), "there is no key");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert_eq!(body["model"], "seer");
    let url = body["messages"][0]["content"][1]["image_url"]["url"].as_str().expect("a URL");
    let jpeg = url.strip_prefix("data:image/jpeg;base64,").expect("a JPEG");
    let jpeg = STANDARD.decode(jpeg).expect("base64");
    let seen = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).expect("a JPEG");
    assert_eq!(seen.width().max(seen.height()), sticker.width().min(300));
    assert!(seen.to_luma8().get_pixel(0, 0).0[0] > 250, "what is transparent is white");
}

/// Goal: what is no picture is never sent, and says so.
#[tokio::test]
async fn what_is_no_picture_is_not_sent() {
    let server = Misbehaving::start(vec![description()]).await;
    let blank = DynamicImage::ImageRgba8(RgbaImage::new(40, 40));
    let whole = encoded(&blank, ImageFormat::Png);
    for content in [b"no picture".as_slice(), b"", &whole[..whole.len() / 2]] {
        let staged = stage(content);
        let ended = run_isolated(viewer(server.url()), work(&staged.path, "image/png")).await;
        assert!(
            matches!(ended, Err(Failure::Permanent { error: FailureKind::Unreadable, .. })),
            "{ended:?}"
        );
    }
    assert!(server.asked().is_empty());
}
