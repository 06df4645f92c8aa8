//! `kill -9` at any moment between sending and acknowledging loses nothing, tells nothing twice
//! after a confirmed acknowledgement, and both clients find the server again by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anteroom_tests::consumer::{self, Sight};
use anteroom_tests::frames::{self, Media};
use anteroom_tests::provider::{self, Settled};
use anteroom_tests::{Acknowledge, Consumer, PATIENCE, Provider, Server, cli, fixtures, staging};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

const BOT: &str = "demo";
const KILLS: u64 = 30;
const MESSAGES_PER_ROUND: u64 = 12;
const CORRESPONDENTS: [&str; 4] = ["ada", "bob", "cy", "dan"];

/// A job whose worker died waits for its lease to end, if the server does not know better.
const SETTLE_PATIENCE: Duration = Duration::from_secs(100);

/// What a kill waits for.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The server is ready again.
    Ready,
    /// So many frames were written to the line.
    FramesSent,
    /// So many messages have their receipt.
    Receipts,
    /// So many callbacks were read.
    Callbacks,
    /// So many acknowledgements are confirmed.
    Confirmations,
}

/// The moment of the `number`th kill: what is waited for, how many of it, and how much longer.
fn moment(number: u64) -> (Moment, u64, Duration) {
    const MOMENTS: [Moment; 5] = [
        Moment::FramesSent,
        Moment::Receipts,
        Moment::Callbacks,
        Moment::Confirmations,
        Moment::Ready,
    ];
    let moment = MOMENTS[(number % 5) as usize];
    // Steps that share no factor with the ranges visit all of them.
    (moment, 1 + number * 3 % 8, Duration::from_micros(number * 1_700 % 9_000))
}

/// What was sent, in the order of sending.
#[derive(Debug)]
struct Sent {
    correspondent_id: &'static str,
    provider_message_id: String,
    content: String,
    is_media: bool,
}

/// Goal: see the file's head.
/// Method: thirty kills, each after a count of frames, receipts, callbacks or confirmations and a
/// small delay, all fixed by the kill's number; then everything that was seen is checked.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_many_moments_nothing_is_lost_and_nothing_told_twice() {
    let mut server = Server::start().await;
    let provider = Provider::connect(&server, BOT);
    // The consumer thinks a little, so that kills fall between its reading and its answer.
    let consumer = Consumer::connect(&server, BOT, Acknowledge::After(Duration::from_millis(3)));
    let directory = provider.staging_directory().await;
    let mut sent = Vec::new();

    for number in 0..KILLS {
        let (moment, count, delay) = moment(number);
        let before = Counts::of(&provider, &consumer);
        for _ in 0..MESSAGES_PER_ROUND {
            send_next(&provider, &directory, &mut sent).await;
        }
        before.reached(moment, count, &provider, &consumer).await;
        tokio::time::sleep(delay).await;
        server.kill().await;
        server.restart().await;
    }
    everything_is_called_back(&provider, &consumer, sent.len()).await;

    // A last start: whatever were still owed would come before a correspondent's next message.
    assert!(server.terminate(PATIENCE).await.success());
    server.restart().await;
    for _ in CORRESPONDENTS {
        send_next(&provider, &directory, &mut sent).await;
    }
    everything_is_called_back(&provider, &consumer, sent.len()).await;

    provider.seen().read(|provider| consumer.seen().read(|it| check(&sent, provider, it)));
}

/// Sends the next message of the sequence; every fifth one is a document.
async fn send_next(provider: &Provider, directory: &std::path::Path, sent: &mut Vec<Sent>) {
    let number = sent.len();
    let correspondent_id = CORRESPONDENTS[number % CORRESPONDENTS.len()];
    let provider_message_id = format!("p{number}");
    let is_media = number % 5 == 1;
    let content = if is_media {
        let words = format!("page of message {number}");
        let file = fixtures::pdf(&[&words]);
        let media = Media::document(fixtures::PDF, "page.pdf", &file);
        staging::share(directory, media.media_id, &file);
        let caption = format!("caption {number}");
        let frame = frames::media(correspondent_id, &provider_message_id, &caption, &media);
        provider.send(frame).await;
        format!("[Document text (page.pdf): {words}]\n{caption}")
    } else {
        let content = format!("text {number}");
        provider.send(frames::text(correspondent_id, &provider_message_id, &content)).await;
        content
    };
    sent.push(Sent { correspondent_id, provider_message_id, content, is_media });
}

/// How much was seen so far.
struct Counts {
    frames_sent: u64,
    receipts: u64,
    callbacks: u64,
    confirmations: u64,
}

impl Counts {
    fn of(provider: &Provider, consumer: &Consumer) -> Self {
        let (frames_sent, receipts) =
            provider.seen().read(|seen| (seen.frames_sent, seen.settled.len() as u64));
        let (callbacks, confirmations) = consumer
            .seen()
            .read(|seen| (seen.called_back.len() as u64, seen.confirmed.len() as u64));
        Self { frames_sent, receipts, callbacks, confirmations }
    }

    /// Waits for `count` more of what `moment` counts.
    async fn reached(&self, moment: Moment, count: u64, provider: &Provider, consumer: &Consumer) {
        let what = format!("{count} more {moment:?}");
        let provider = provider.seen();
        let consumer = consumer.seen();
        match moment {
            Moment::Ready => {}
            Moment::FramesSent => {
                provider.until(&what, |seen| seen.frames_sent >= self.frames_sent + count).await;
            }
            Moment::Receipts => {
                let enough = self.receipts + count;
                provider.until(&what, |seen| seen.settled.len() as u64 >= enough).await;
            }
            Moment::Callbacks => {
                let enough = self.callbacks + count;
                consumer.until(&what, |seen| seen.called_back.len() as u64 >= enough).await;
            }
            Moment::Confirmations => {
                let enough = self.confirmations + count;
                consumer.until(&what, |seen| seen.confirmed.len() as u64 >= enough).await;
            }
        }
    }
}

/// Waits until each message has its receipt and was called back. Confirmations are not waited for:
/// one that a kill swallowed never comes.
async fn everything_is_called_back(provider: &Provider, consumer: &Consumer, count: usize) {
    provider.settled(count).await;
    let called_back = |seen: &consumer::Seen| (seen.called_back.len() >= count).then_some(());
    if consumer.seen().seen_within(SETTLE_PATIENCE, called_back).await.is_none() {
        let missing: Vec<String> = provider.seen().read(|sent| {
            consumer.seen().read(|seen| {
                let ids = sent.settled.keys();
                ids.filter(|id| !seen.called_back.contains(*id)).cloned().collect()
            })
        });
        panic!("accepted, but not called back within {SETTLE_PATIENCE:?}: {missing:?}");
    }
}

/// Checks everything that was seen against everything that was sent.
fn check(sent: &[Sent], provider: &provider::Seen, consumer: &consumer::Seen) {
    check_receipts(sent, provider);
    check_callbacks(sent, provider, consumer);
    check_repetitions(consumer);
    check_order(sent, provider, consumer);
    let repeated = consumer.callbacks().count() - consumer.called_back.len();
    let resent = provider.frames_sent - sent.len() as u64;
    println!("{KILLS} kills: {resent} messages sent again, {repeated} callbacks repeated");
    assert!(resent + repeated as u64 > 0, "no kill fell between sending and acknowledging");
}

/// Every message is durable, under an id of its own; those of texts grow as the texts were sent. (A
/// document whose job was not durable yet takes its id anew, behind texts that were.)
fn check_receipts(sent: &[Sent], provider: &provider::Seen) {
    assert_eq!(provider.contradictions, Vec::<String>::new());
    let mut used = BTreeSet::new();
    let mut last = BTreeMap::new();
    for message in sent {
        let id = durable_id(provider, message);
        assert!(used.insert((message.correspondent_id, id)), "{id} is used again: {message:?}");
        if !message.is_media && !provider.postponed.contains(&message.provider_message_id) {
            let before = last.insert(message.correspondent_id, id);
            assert!(before < Some(id), "{id} is no higher than {before:?}: {message:?}");
        }
    }
}

fn durable_id(provider: &provider::Seen, message: &Sent) -> u64 {
    match &provider.settled[&message.provider_message_id] {
        Settled::Durable { message_id, .. } => *message_id,
        Settled::Invalid(receipt) => panic!("{message:?} was refused: {receipt}"),
    }
}

/// Every message was called back, with the right words, always under the same id.
fn check_callbacks(sent: &[Sent], provider: &provider::Seen, consumer: &consumer::Seen) {
    let by_id: BTreeMap<&str, &Sent> =
        sent.iter().map(|message| (message.provider_message_id.as_str(), message)).collect();
    let mut called_back = BTreeMap::new();
    for callback in consumer.callbacks() {
        let message = by_id.get(callback.provider_message_id());
        let message = message.unwrap_or_else(|| panic!("nobody sent this: {callback:?}"));
        assert_eq!(callback.correspondent_id(), message.correspondent_id);
        assert_eq!(callback.message_id(), durable_id(provider, message), "of {message:?}");
        assert!(
            callback.content() == message.content
                || message.is_media && is_lost_worker(&callback.body),
            "{message:?} became {callback:?}"
        );
        let id = called_back.entry(callback.provider_message_id()).or_insert(&callback.callback_id);
        assert_eq!(*id, &callback.callback_id, "two callbacks for {message:?}");
    }
    assert_eq!(called_back.len(), sent.len());
    let distinct: BTreeSet<_> = called_back.values().collect();
    assert_eq!(distinct.len(), sent.len(), "two messages share a callback id");
}

/// A job whose worker was killed three times in a row ends so.
fn is_lost_worker(body: &Value) -> bool {
    body["message"]["media"]["outcome"]["error"] == "worker_lost"
}

/// A repeated callback has a higher attempt, and none comes after its confirmed acknowledgement.
fn check_repetitions(consumer: &consumer::Seen) {
    let mut last_attempt = BTreeMap::new();
    let mut confirmed = BTreeSet::new();
    for sight in &consumer.sights {
        match sight {
            Sight::Confirmed(callback_id) => {
                confirmed.insert(callback_id);
            }
            Sight::Received(callback) => {
                let id = &callback.callback_id;
                assert!(!confirmed.contains(id), "came after its confirmation: {callback:?}");
                let before = last_attempt.insert(id, callback.attempt);
                assert!(before < Some(callback.attempt), "no higher attempt: {callback:?}");
            }
        }
    }
}

/// By first appearance, each correspondent's texts come in the order in which they were sent.
fn check_order(sent: &[Sent], provider: &provider::Seen, consumer: &consumer::Seen) {
    let in_order: BTreeSet<&str> = sent
        .iter()
        .filter(|message| !message.is_media)
        .map(|message| message.provider_message_id.as_str())
        .filter(|&id| !provider.postponed.contains(id))
        .collect();
    for correspondent_id in CORRESPONDENTS {
        let mut seen = BTreeSet::new();
        let first_appearances: Vec<&str> = consumer
            .callbacks()
            .filter(|callback| callback.correspondent_id() == correspondent_id)
            .map(consumer::Callback::provider_message_id)
            .filter(|id| in_order.contains(id) && seen.insert(*id))
            .collect();
        let as_sent: Vec<&str> = sent
            .iter()
            .filter(|message| message.correspondent_id == correspondent_id)
            .map(|message| message.provider_message_id.as_str())
            .filter(|id| in_order.contains(id))
            .collect();
        assert_eq!(first_appearances, as_sent, "of {correspondent_id}");
    }
}

/// Goal: a `tail` that a person left running goes on by itself over a crash of the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_tail_survives_a_kill() {
    let mut server = Server::start().await;
    cli::run(&server, &["send", "--bot", BOT, "--from", "alice", "--text", "one"])
        .await
        .succeeded();
    let mut tail = cli::start(&server, &["tail", "--bot", BOT, "--json"]);
    let stdout = tail.stdout.take().expect("standard output is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut attempts = BTreeMap::<String, u64>::new();
    for words in ["one", "two", "three"] {
        if words != "one" {
            server.kill().await;
            server.restart().await;
            cli::run(&server, &["send", "--bot", BOT, "--from", "alice", "--text", words])
                .await
                .succeeded();
        }
        loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("tail did not print {words}"));
            let line = line.expect("standard output can be read").expect("tail goes on");
            let callback: Value = serde_json::from_str(&line).expect("--json prints JSON");
            let id = callback["callback_id"].as_str().expect("it has an id").to_owned();
            let attempt = callback["attempt"].as_u64().expect("it has an attempt");
            assert!(attempts.insert(id, attempt) < Some(attempt), "no higher attempt: {line}");
            if callback["message"]["content"] == words {
                break;
            }
        }
    }
    assert_eq!(attempts.len(), 3, "three messages, three callback ids");
}

/// Goal: a `send` that ended well has its message called back, whenever the server was killed.
/// Method: kill at growing delays after `send` was started, and restart at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_ended_well_is_called_back() {
    let mut server = Server::start().await;
    let consumer = Consumer::connect(&server, BOT, Acknowledge::Promptly);
    for number in 0..10_u32 {
        let text = format!("message {number}");
        let send = cli::start(&server, &["send", "--bot", BOT, "--from", "alice", "--text", &text]);
        tokio::time::sleep(Duration::from_millis(2) * number).await;
        server.kill().await;
        server.restart().await;
        // Whether it waits for a server that is away is its own choice; what it says must be true.
        if cli::ended(send).await.code == Some(0) {
            let what = format!("the callback of {text}, which was accepted");
            let is_it = |callback: &consumer::Callback| callback.content() == text;
            consumer.seen().until(&what, |seen| seen.callbacks().any(is_it)).await;
        }
    }
    let last = cli::run(&server, &["send", "--bot", BOT, "--from", "alice", "--text", "last"]);
    last.await.succeeded();
}
