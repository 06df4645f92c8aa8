//! The webhook consumer on a real node: what its receiver gets when it is slow, broken, rude or gone.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::settings::{BackOff, BotSettings, Debounce};
use anteroom_core::time::Millis;
use anteroom_runtime::consumer::{Call, Consumer};
use anteroom_runtime::webhook::signature::{Headers, Secret, verify};
use anteroom_runtime::webhook::{Webhook, WebhookSettings};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::receiver::{Received, Receiver, Reply};
use crate::world::{BOT, Socket, World, client, message};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn secret(text: &str) -> Secret {
    Secret::parse(text).expect("a secret")
}

fn webhook(receiver: &Receiver, allow_private_addresses: bool) -> Webhook {
    let url = receiver.url.parse().expect("a url");
    let secrets = vec![secret(SECRET), secret(OTHER)];
    let settings = WebhookSettings { url, secrets, allow_private_addresses };
    Webhook::new(settings).expect("a webhook")
}

/// Retries come soon, so that a test does not wait for them.
fn impatient(bot: &mut BotSettings) {
    let soon = BackOff { first: Millis::from_ms(5), most: Millis::from_ms(50) };
    bot.callbacks.unavailable_back_off = soon;
    bot.callbacks.refused_back_off = soon;
}

/// A node whose bot is called at the receiver, and the bot's provider.
async fn called(receiver: &Receiver, change: impl FnOnce(&mut BotSettings)) -> (World, Socket) {
    let world = World::with_bots(|bot| {
        impatient(bot);
        change(bot);
    })
    .await;
    let consumer = Arc::new(webhook(receiver, true));
    world.handle.call_consumer(BOT.into(), consumer).await.expect("the node runs");
    let provider = world.provider(BOT).await;
    (world, provider)
}

/// Hands in a text. Nothing else is on its way to the provider: the next frame is its receipt.
async fn say(provider: &mut Socket, seq: u64, text: &str) {
    provider.say(&message(seq, text)).await;
    let frame = provider.next().await;
    assert_eq!((&frame["type"], &frame["outcome"]), (&json!("receipt"), &json!("accepted")));
}

fn said(id: u64, text: &str) -> (String, String) {
    (format!("demo/alice/{id}"), text.to_owned())
}

fn is_signed(call: &Received, with: &str) -> bool {
    let headers = Headers {
        id: call.header("webhook-id"),
        timestamp: call.header("webhook-timestamp"),
        signature: call.header("webhook-signature"),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after the epoch").as_secs();
    verify(&secret(with), headers, call.body.as_bytes(), now).is_ok()
}

/// Goal: a callback is POSTed as the protocol's JSON, signed by both secrets, and named by its id.
#[tokio::test]
async fn a_callback_is_posted_and_signed() {
    let mut receiver = Receiver::start([]).await;
    let (_world, mut provider) = called(&receiver, |_| {}).await;
    say(&mut provider, 1, "hello").await;
    let call = receiver.next().await;
    assert_eq!(call.said(), said(1, "hello"));
    assert_eq!(call.header("content-type"), Some("application/json"));
    let body = call.json();
    assert_eq!((&body["type"], &body["attempt"]), (&json!("message"), &json!(1)));
    assert_eq!((&body["bot_id"], &body["correspondent_id"]), (&json!(BOT), &json!("alice")));
    assert!(is_signed(&call, SECRET) && is_signed(&call, OTHER));
    assert!(!is_signed(&call, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

/// Goal: the reply in a 2xx body is sent to the correspondent, once, under the callback's id.
#[tokio::test]
async fn a_reply_is_sent() {
    let mut receiver = Receiver::start([Reply::says("see you")]).await;
    let (_world, mut provider) = called(&receiver, |_| {}).await;
    provider.say(&message(1, "hello")).await;
    receiver.next().await;
    let send = loop {
        let frame = provider.next().await;
        if frame["type"] == "send" {
            break frame;
        }
    };
    assert_eq!((&send["send_id"], &send["message"]), (&json!("demo/alice/1"), &json!("see you")));
    assert_eq!(send["correspondent_id"], "alice");
}

/// Goal: whatever is no acknowledgement makes the same callback come again, under the same id and a higher
/// attempt, and the next message only after it. Method: each odd answer once, then 204: an error, a
/// refusal, a redirect, a line that is cut at once, and one that is cut in the middle of a 2xx body.
#[tokio::test]
async fn what_is_no_acknowledgement_makes_it_come_again() {
    let elsewhere = Receiver::start([]).await;
    let location: &'static str = format!("location: {}\r\n", elsewhere.url).leak();
    for odd in [
        Reply::status(500),
        Reply::status(503),
        Reply::status(429),
        Reply::status(404),
        Reply::Answer(302, location, String::new()),
        Reply::Answer(307, location, String::new()),
        Reply::Cut,
        Reply::CutAfterHead,
    ] {
        let mut receiver = Receiver::start([odd.clone()]).await;
        let (_world, mut provider) = called(&receiver, |_| {}).await;
        say(&mut provider, 1, "hello").await;
        say(&mut provider, 2, "and more").await;
        let first = receiver.next().await;
        let again = receiver.next().await;
        assert_eq!((first.said(), again.said()), (said(1, "hello"), said(1, "hello")), "{odd:?}");
        assert!(again.attempt() > first.attempt(), "{odd:?}");
        assert!(is_signed(&again, SECRET), "{odd:?}");
        let next = receiver.next().await;
        assert_eq!((next.said(), next.attempt()), (said(2, "and more"), 1), "{odd:?}");
    }
    let mut elsewhere = elsewhere;
    assert!(elsewhere.is_silent(), "a redirect is not followed");
}

/// Goal: a webhook that asks for patience has it.
#[tokio::test]
async fn retry_after_is_heeded() {
    let busy = Reply::Answer(503, "retry-after: 1\r\n", String::new());
    let mut receiver = Receiver::start([busy]).await;
    let (_world, mut provider) = called(&receiver, |_| {}).await;
    say(&mut provider, 1, "hello").await;
    receiver.next().await;
    let asked = Instant::now();
    assert_eq!(receiver.next().await.said(), said(1, "hello"));
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
}

/// Goal: a receiver that does not answer in time is given up: its line is closed before the callback comes
/// again, and the answer that it gives too late changes nothing.
#[tokio::test]
async fn an_answer_after_we_gave_up_changes_nothing() {
    let mut receiver = Receiver::start([Reply::TooLate, Reply::says("hi")]).await;
    let (_world, mut provider) =
        called(&receiver, |bot| bot.callbacks.ack_timeout = Millis::from_ms(200)).await;
    say(&mut provider, 1, "hello").await;
    let first = receiver.next().await;
    receiver.given_up().await;
    let again = receiver.next().await;
    assert_eq!(again.said(), first.said());
    assert!(again.attempt() > first.attempt());
    let frame = provider.next().await;
    assert_eq!((&frame["type"], &frame["message"]), (&json!("send"), &json!("hi")));
}

/// Goal: a receiver that takes its time, but answers in time, is called once for each message, and its next
/// message of the same correspondent waits for the answer; another correspondent's does not.
#[tokio::test]
async fn a_slow_receiver_is_called_once_for_each_message() {
    let ready = Arc::new(Notify::new());
    let mut receiver = Receiver::start([Reply::When(Arc::clone(&ready), 204)]).await;
    let (_world, mut provider) = called(&receiver, |_| {}).await;
    say(&mut provider, 1, "hello").await;
    say(&mut provider, 2, "and more").await;
    let first = receiver.next().await;
    assert_eq!((first.said(), first.attempt()), (said(1, "hello"), 1));
    let mut frame = message(3, "me too");
    frame["correspondent_id"] = "bob".into();
    provider.say(&frame).await;
    let other = receiver.next().await;
    let bobs = ("demo/bob/1".to_owned(), "me too".to_owned());
    assert_eq!((other.said(), other.attempt()), (bobs, 1));
    assert!(receiver.is_silent(), "alice's next message waits for the answer");
    ready.notify_one();
    let next = receiver.next().await;
    assert_eq!((next.said(), next.attempt()), (said(2, "and more"), 1));
}

/// Goal: a receiver that acknowledges and cuts the line has acknowledged: nothing comes again, and the next
/// message comes over a new line, under its first attempt.
#[tokio::test]
async fn an_acknowledgement_counts_though_the_line_is_cut() {
    let mut receiver = Receiver::start([200, 204, 202].map(Reply::AnswerAndCut)).await;
    let (_world, mut provider) = called(&receiver, |_| {}).await;
    for (seq, text) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        say(&mut provider, seq, text).await;
        let call = receiver.next().await;
        assert_eq!((call.said(), call.attempt()), (said(seq, text), 1));
    }
}

/// Goal: whatever bytes a receiver answers with, the call ends, and only a whole 2xx acknowledges.
/// Method: noise, and answers of all kinds with a piece of them replaced by noise, over a real line.
#[test]
fn any_bytes_of_a_receiver_end_the_call() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let answer =
        (100_u16..700, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(status, body)| {
            let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        });
    let noise = || prop::collection::vec(any::<u8>(), 0..200);
    let piece = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), noise());
    let bytes = prop_oneof![
        noise(),
        (answer, piece).prop_map(|(mut bytes, (from, to, noise))| {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            bytes.splice(from.min(to)..from.max(to), noise);
            bytes
        }),
    ];
    let kept =
        FileFailurePersistence::Direct("../proptest-regressions/runtime_webhook_answers.txt");
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: Some(Box::new(kept)),
        ..ProptestConfig::default()
    };
    let ended = TestRunner::new(config).run(&bytes, |bytes| {
        runtime.block_on(async {
            let mut receiver = Receiver::start([Reply::Bytes(bytes.clone())]).await;
            let call = Call {
                bot_id: BOT.into(),
                correspondent_id: "alice".into(),
                callbacks: Vec::new(),
                together: true,
                timeout: Duration::from_secs(5),
            };
            let answer = webhook(&receiver, true).call(call).await;
            receiver.next().await;
            let is_success = bytes.starts_with(b"HTTP/1.") && bytes.get(9) == Some(&b'2');
            let acknowledged = matches!(answer, ConsumerAnswer::Acknowledged { .. });
            prop_assert!(is_success || !acknowledged, "{answer:?}");
            Ok(())
        })
    });
    ended.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Goal: 410 pauses the webhook: nothing is called until somebody resumes it, and nothing is lost.
#[tokio::test]
async fn a_webhook_that_is_gone_is_left_alone_until_it_is_resumed() {
    let mut receiver = Receiver::start([Reply::status(410)]).await;
    let (world, mut provider) = called(&receiver, |_| {}).await;
    say(&mut provider, 1, "hello").await;
    let first = receiver.next().await;
    say(&mut provider, 2, "more").await;
    say(&mut provider, 3, "and more").await;
    assert!(receiver.is_silent());
    let resume = client().post(world.at("/v1/bots/demo/callbacks/resume")).send().await;
    assert_eq!(resume.expect("an answer").status(), 204);
    let again = receiver.next().await;
    assert_eq!(again.said(), said(1, "hello"));
    assert!(again.attempt() > first.attempt());
    assert_eq!(receiver.next().await.said(), said(2, "more"));
    assert_eq!(receiver.next().await.said(), said(3, "and more"));
}

/// Goal: an answer that is too large acknowledges, and its reply is not sent; so does one whose reply is no
/// text. Method: the next message's reply is the first that is sent.
#[tokio::test]
async fn a_spoilt_reply_acknowledges_and_is_not_sent() {
    let large = json!({"reply": "x".repeat(100_000)}).to_string();
    let strange = json!({"reply": {"text": "hi"}}).to_string();
    let answers =
        [Reply::Answer(200, "", large), Reply::Answer(200, "", strange), Reply::says("this one")];
    let mut receiver = Receiver::start(answers).await;
    let (_world, mut provider) = called(&receiver, |_| {}).await;
    for (seq, text) in [(1, "a"), (2, "b"), (3, "c")] {
        say(&mut provider, seq, text).await;
        let call = receiver.next().await;
        assert_eq!((call.said(), call.attempt()), (said(seq, text), 1));
    }
    let frame = provider.next().await;
    assert_eq!((&frame["type"], &frame["message"]), (&json!("send"), &json!("this one")));
}

/// Goal: an address of this machine is not called unless that is allowed, under no name. Method: the
/// receiver hears of no call; `localhost` resolves to this machine.
#[tokio::test]
async fn this_machine_is_not_called_unless_that_is_allowed() {
    let mut receiver = Receiver::start([]).await;
    let port = receiver.url.rsplit(':').next().expect("a port").to_owned();
    let by_name = format!("http://localhost:{port}");
    let settings = |allow_private_addresses| WebhookSettings {
        url: by_name.parse().expect("a url"),
        secrets: vec![secret(SECRET)],
        allow_private_addresses,
    };
    let call = || Call {
        bot_id: BOT.into(),
        correspondent_id: "alice".into(),
        callbacks: Vec::new(),
        together: true,
        timeout: Duration::from_secs(5),
    };
    let refused = Webhook::new(settings(false)).expect("a name may be set").call(call()).await;
    assert_eq!(refused, ConsumerAnswer::Unavailable { retry_after: None });
    assert!(receiver.is_silent());
    let allowed = Webhook::new(settings(true)).expect("a name may be set").call(call()).await;
    assert_eq!(allowed, ConsumerAnswer::Acknowledged { reply: None });
    let direct = WebhookSettings { url: receiver.url.parse().expect("a url"), ..settings(false) };
    assert!(Webhook::new(direct).is_err());
}

/// Goal: a bot that is called has no stream, and says so; a bot that is not has nothing to resume.
#[tokio::test]
async fn a_bot_that_is_called_has_no_stream() {
    let receiver = Receiver::start([]).await;
    let (world, _provider) = called(&receiver, |_| {}).await;
    let answer = client().get(world.at("/v1/bots/demo/callbacks")).send().await;
    crate::world::Answer::of(answer.expect("an answer")).await.problem(409, "consumer_is_called");
    assert!(world.socket_at("/v1/bots/demo/callbacks", None).await.is_err());
    let answer = world.post("/v1/bots/other/callbacks/resume", "").await;
    answer.problem(409, "consumer_is_not_called");
}

/// Goal: a burst travels together, named by a hash of its ids, and one 2xx acknowledges it all; a burst that
/// was refused comes again under the same name, as it was.
#[tokio::test]
async fn a_burst_travels_together() {
    let mut receiver = Receiver::start([Reply::status(500), Reply::says("all three")]).await;
    let (_world, mut provider) = called(&receiver, |bot| {
        bot.callbacks.debounce = Some(Debounce {
            window: Millis::from_secs(60),
            max_wait: Millis::from_secs(60),
            max_messages: NonZeroU32::MIN.saturating_add(2),
        });
    })
    .await;
    for seq in 1..=3 {
        say(&mut provider, seq, &format!("text {seq}")).await;
    }
    let (first, again) = (receiver.next().await, receiver.next().await);
    let id = first.header("webhook-id").expect("it is signed");
    assert!(id.starts_with("batch_"), "{id}");
    assert_eq!(again.header("webhook-id"), Some(id));
    for (call, least) in [(&first, 1), (&again, 2)] {
        assert!(is_signed(call, SECRET));
        let body = call.json();
        assert_eq!(body["type"], "messages");
        let callbacks = body["callbacks"].as_array().expect("a list");
        let ids: Vec<_> = callbacks.iter().map(|it| it["callback_id"].clone()).collect();
        assert_eq!(ids, ["demo/alice/1", "demo/alice/2", "demo/alice/3"]);
        let attempt = |it: &serde_json::Value| it["attempt"].as_u64().expect("a number");
        assert!(callbacks.iter().all(|it| attempt(it) >= least), "{body}");
    }
    let frame = provider.next().await;
    assert_eq!((&frame["type"], &frame["message"]), (&json!("send"), &json!("all three")));
    assert_eq!(frame["send_id"], "demo/alice/3");
}
