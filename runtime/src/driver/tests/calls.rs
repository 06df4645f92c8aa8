//! Consumers that are called: how often, in which order, and never two at once for one correspondent.
//!
//! Time is simulated: an hour passes as fast as there is nothing to do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteroom_core::bot::event::ConsumerAnswer;
use anteroom_core::id::BotId;
use anteroom_core::store::StoreRequest;
use anteroom_core::time::Millis;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::world::{BOT, World};
use crate::consumer::{Call, Consumer};
use crate::driver::ports::BoxFuture;

/// One call as the consumer saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    id: String,
    text: String,
    attempt: u32,
    at: Duration,
}

/// A consumer that answers as the test says, and tells what it saw.
struct Scripted<F> {
    answer: F,
    begun: Instant,
    open: Arc<Mutex<BTreeMap<String, u32>>>,
    seen: mpsc::UnboundedSender<Seen>,
}

/// Counts a call as open for as long as its future lives.
struct Open {
    correspondent: String,
    open: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Open {
    fn begin(correspondent: String, open: Arc<Mutex<BTreeMap<String, u32>>>) -> Self {
        let mut counts = open.lock().expect("no test panics with it");
        let count = counts.entry(correspondent.clone()).or_default();
        *count += 1;
        assert_eq!(*count, 1, "{correspondent} has two open calls");
        drop(counts);
        Self { correspondent, open }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.open.lock().expect("no test panics with it");
        *open.get_mut(&self.correspondent).expect("it was counted") -= 1;
    }
}

impl<F, A> Consumer for Scripted<F>
where
    F: Fn(Seen) -> A + Send + Sync + 'static,
    A: Future<Output = ConsumerAnswer> + Send + 'static,
{
    fn call(&self, call: Call) -> BoxFuture<'static, ConsumerAnswer> {
        let callback = &call.callbacks[0];
        let seen = Seen {
            id: callback.callback_id.to_string(),
            text: callback.message.content.clone(),
            attempt: callback.attempt.0,
            at: self.begun.elapsed(),
        };
        self.seen.send(seen.clone()).expect("the test listens");
        let open = Open::begin(call.correspondent_id.to_string(), Arc::clone(&self.open));
        let answering = (self.answer)(seen);
        Box::pin(async move {
            let _open = open;
            answering.await
        })
    }
}

/// A world whose bot's consumer answers so, and what it sees.
async fn called<F, A>(answer: F) -> (World, mpsc::UnboundedReceiver<Seen>)
where
    F: Fn(Seen) -> A + Send + Sync + 'static,
    A: Future<Output = ConsumerAnswer> + Send + 'static,
{
    let world = World::start();
    let (seen, sees) = mpsc::unbounded_channel();
    let consumer = Scripted { answer, begun: Instant::now(), open: Arc::default(), seen };
    let bot_id = BotId::from(BOT);
    world.handle.call_consumer(bot_id.clone(), Arc::new(consumer)).await.expect("the node runs");
    assert!(world.handle.has_called_consumer(&bot_id));
    (world, sees)
}

const TAKEN: ConsumerAnswer = ConsumerAnswer::Acknowledged { reply: None };
const AWAY: ConsumerAnswer = ConsumerAnswer::Unavailable { retry_after: None };

async fn texts(sees: &mut mpsc::UnboundedReceiver<Seen>, count: usize) -> Vec<(String, u32)> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let seen = sees.recv().await.expect("the consumer lives");
        texts.push((seen.text, seen.attempt));
    }
    texts
}

fn said(text: &str, attempt: u32) -> (String, u32) {
    (text.to_owned(), attempt)
}

/// Goal: a consumer is called once for each message, in order, and its reply is in the same write as the
/// end of its callback.
#[tokio::test(start_paused = true)]
async fn a_consumer_is_called_in_order_and_replies() {
    let (world, mut sees) = called(async |seen: Seen| ConsumerAnswer::Acknowledged {
        reply: Some(format!("{} to you", seen.text)),
    })
    .await;
    let mut provider = world.connect().await;
    for seq in 1..=3 {
        provider.text(seq, &format!("hello {seq}")).await;
        provider.receipt().await;
    }
    let expected = [said("hello 1", 1), said("hello 2", 1), said("hello 3", 1)];
    assert_eq!(texts(&mut sees, 3).await, expected);
    world.handle.shutdown().await;
    let replies = world.store.asked(|request| match request {
        StoreRequest::MarkCalledBack { marks, .. } => marks[0].reply.clone(),
        _ => None,
    });
    assert_eq!(replies, ["hello 1 to you", "hello 2 to you", "hello 3 to you"]);
}

/// Goal: a consumer that is away for an hour is asked by one probe at a time, ever less often; then
/// everything comes, in order, under growing attempts. Method: an hour of simulated time.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_away_for_an_hour_misses_nothing() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let (world, mut sees) =
        called(async |seen: Seen| if seen.at < HOUR { AWAY } else { TAKEN }).await;
    let mut provider = world.connect().await;
    for seq in 1..=10 {
        provider.text(seq, &format!("hello {seq}")).await;
        provider.receipt().await;
    }
    let mut probes = Vec::new();
    let last = loop {
        let seen = sees.recv().await.expect("the consumer lives");
        assert_eq!((seen.id.as_str(), seen.text.as_str()), (id(1).as_str(), "hello 1"));
        if seen.at >= HOUR {
            break seen;
        }
        probes.push(seen);
    };
    // 1 s, 2 s, 4 s … 256 s, then every 5 minutes, each up to a tenth earlier or later.
    assert!((15..=25).contains(&probes.len()), "{} probes", probes.len());
    assert!(probes.windows(2).all(|pair| pair[0].attempt < pair[1].attempt), "{probes:?}");
    assert!(last.attempt > probes[probes.len() - 1].attempt);
    for seq in 2..=10 {
        let seen = sees.recv().await.expect("the consumer lives");
        assert_eq!((seen.id, seen.text, seen.attempt), (id(seq), format!("hello {seq}"), 1));
    }
}

/// The id of the callback of ada's message.
fn id(message_id: u64) -> String {
    format!("{BOT}/ada@s.whatsapp.net/{message_id}")
}

/// Goal: an attempt that is not answered in time is cancelled, and the next one begins only when its
/// future is gone. Method: a consumer that hangs once; one that notices two calls of a correspondent
/// panics.
#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_cancelled_before_the_next() {
    let (world, mut sees) = called(async |seen: Seen| {
        if seen.attempt == 1 {
            sleep(Duration::from_secs(3_600)).await;
        }
        TAKEN
    })
    .await;
    let provider = world.connect().await;
    provider.text(1, "hello").await;
    provider.text(2, "again").await;
    let first = sees.recv().await.expect("the consumer lives");
    let second = sees.recv().await.expect("the consumer lives");
    assert_eq!((first.text.as_str(), second.text.as_str()), ("hello", "hello"));
    assert!(second.attempt > first.attempt);
    let ack_timeout = Duration::from(Millis::from_secs(30));
    assert!(second.at - first.at >= ack_timeout, "{:?}", second.at - first.at);
    // The second message hangs at its first attempt too, and has the first answered before it.
    assert_eq!(texts(&mut sees, 2).await, [said("again", 1), said("again", 2)]);
}

/// Goal: a consumer that panics has not answered: it is called again, and the node goes on.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_panics_is_called_again() {
    let (world, mut sees) = called(async |seen: Seen| {
        assert!(seen.attempt > 1, "deliberate, by the test");
        TAKEN
    })
    .await;
    let provider = world.connect().await;
    provider.text(1, "hello").await;
    assert_eq!(texts(&mut sees, 2).await, [said("hello", 1), said("hello", 2)]);
}

/// Goal: a refusal concerns one message, and waits by itself; another correspondent is not held up.
#[tokio::test(start_paused = true)]
async fn a_refused_message_comes_again() {
    let (world, mut sees) =
        called(async |seen: Seen| if seen.attempt < 3 { ConsumerAnswer::Refused } else { TAKEN })
            .await;
    let provider = world.connect().await;
    provider.text(1, "hello").await;
    let expected = [said("hello", 1), said("hello", 2), said("hello", 3)];
    assert_eq!(texts(&mut sees, 3).await, expected);
}

/// Goal: a consumer that says that it is gone is not called, however long; what is owed comes when
/// somebody resumes it.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_gone_is_left_alone_until_it_is_resumed() {
    let (world, mut sees) = called(async |seen: Seen| {
        if seen.attempt == 1 && seen.text == "hello" { ConsumerAnswer::Gone } else { TAKEN }
    })
    .await;
    let mut provider = world.connect().await;
    provider.text(1, "hello").await;
    provider.receipt().await;
    assert_eq!(texts(&mut sees, 1).await, [said("hello", 1)]);
    provider.text(2, "more").await;
    provider.receipt().await;
    sleep(Duration::from_secs(24 * 3_600)).await;
    assert!(sees.try_recv().is_err(), "nobody is called");
    let resumed = world.handle.resume_consumer(BotId::from(BOT)).await;
    assert_eq!(resumed, Ok(true));
    assert_eq!(texts(&mut sees, 2).await, [said("hello", 2), said("more", 1)]);
    assert_eq!(world.handle.resume_consumer("nobody".into()).await, Ok(false));
}

/// Goal: a node that shuts down waits for a call that ends in time, and cancels one that does not.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_an_open_call() {
    let (world, mut sees) = called(async |_| {
        sleep(Duration::from_secs(20)).await;
        TAKEN
    })
    .await;
    let mut provider = world.connect().await;
    provider.text(1, "hello").await;
    provider.receipt().await;
    texts(&mut sees, 1).await;
    world.handle.shutdown().await;
    let marked = world.store.asked(|request| match request {
        StoreRequest::MarkCalledBack { marks, .. } => Some(marks.len()),
        _ => None,
    });
    assert_eq!(marked, [1]);
}
