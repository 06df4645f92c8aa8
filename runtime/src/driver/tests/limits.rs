//! What is slow, late or gone costs itself and nobody else.

use std::sync::Arc;

use anteroom_core::bot::event::{AckAnswer, BotEvent, Callback};
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, BotId, SessionId, StreamId};
use anteroom_core::message::{Message, Participant, Source};
use anteroom_core::receipt::{Receipt, RejectReason};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::time::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::world::{BOT, World, is_accepted};
use crate::clock::Clock;
use crate::driver::handle::{Command, Handle, StreamItem};
use crate::driver::outlets::{Outlets, Timed};
use crate::driver::tasks::Completion;

const NOW: Timestamp = Timestamp::from_ms(1_000);
const LATER: Timestamp = Timestamp::from_ms(1_001);

fn session_id() -> SessionId {
    SessionId::from(Uuid::from_u128(1))
}

fn receipt(valid_until: Timestamp) -> SessionEffect {
    let receipt = Receipt::rejected(RejectReason::Overflow);
    SessionEffect::Receipt { bot_id: None, seq: 1, receipt, error: None, valid_until }
}

fn callback() -> Callback {
    let message = Message {
        id: anteroom_core::id::MessageId::FIRST,
        content: "hello".to_owned(),
        sender: Participant::default(),
        source: Source::User,
        accepted_time: NOW,
        message_size: 5,
        originating_time: NOW,
        group: None,
        provider_message_id: "3EB0".into(),
        replayed: false,
        truncated: false,
        media: None,
    };
    Callback {
        correspondent_id: "ada".into(),
        attempt: Attempt(1),
        revision: 0,
        message: message.into(),
    }
}

/// Goal: a connection that reads nothing is closed after a bounded number of effects, and others are
/// served. Method: flood one connection with pings that are answered, read none of the answers.
#[tokio::test(start_paused = true)]
async fn a_connection_that_reads_nothing_is_closed_alone() {
    let world = World::start();
    let mut slow = world.connect().await;
    for _ in 0..3_000 {
        slow.say(json!({"type": "ping"})).await;
    }
    let mut answers = 0;
    while slow.next().await.is_some() {
        answers += 1;
    }
    assert_eq!(answers, 1_024);
    let mut other = world.connect().await;
    other.text(1, "hello").await;
    assert!(is_accepted(&other.receipt().await.1));
}

/// Goal: what is past its time is not handed over, and ends the connection: its message has to come
/// again. Method: one receipt that ends later, one that ends now.
#[test]
fn a_receipt_past_its_time_ends_the_connection() {
    let (outlet, mut effects) = mpsc::channel(4);
    let mut outlets = Outlets::default();
    outlets.open_session(session_id(), outlet);
    assert_eq!(outlets.tell_session(NOW, session_id(), receipt(LATER)), None);
    let closed = Event::Session(session_id(), SessionEvent::Closed);
    assert_eq!(outlets.tell_session(NOW, session_id(), receipt(NOW)), Some(closed));
    assert_eq!(effects.blocking_recv(), Some(receipt(LATER)));
    assert_eq!(effects.blocking_recv(), None);
}

/// Goal: closing lets what was said before be read. Method: say, close, read.
#[test]
fn a_closed_connection_ends_after_what_was_said() {
    let (outlet, mut effects) = mpsc::channel(4);
    let mut outlets = Outlets::default();
    outlets.open_session(session_id(), outlet);
    outlets.tell_session(NOW, session_id(), SessionEffect::Pong);
    outlets.tell_session(NOW, session_id(), SessionEffect::Close);
    outlets.tell_session(NOW, session_id(), SessionEffect::Ping);
    assert_eq!(effects.blocking_recv(), Some(SessionEffect::Pong));
    assert_eq!(effects.blocking_recv(), None);
}

/// Goal: a connection that has gone without a word is noticed when something is said to it. Method:
/// drop its receiver.
#[test]
fn a_connection_that_has_gone_is_told_to_the_machine() {
    let (outlet, effects) = mpsc::channel(4);
    let mut outlets = Outlets::default();
    outlets.open_session(session_id(), outlet);
    drop(effects);
    let lost = outlets.tell_session(NOW, session_id(), SessionEffect::Ping);
    assert_eq!(lost, Some(Event::Session(session_id(), SessionEvent::Closed)));
    assert!(!outlets.has_session(session_id()));
}

/// Goal: a consumer that reads nothing is detached, and a late callback is no callback. Method: a
/// stream with room for one item.
#[test]
fn a_stream_that_reads_nothing_is_detached() {
    let bot_id = BotId::from(BOT);
    let stream_id = StreamId(1);
    let (outlet, mut items) = mpsc::channel(1);
    let mut outlets = Outlets::default();
    assert!(outlets.attach(bot_id.clone(), stream_id, outlet));
    let mut tell = |valid_until| {
        let item =
            StreamItem::Callback { callback: callback(), bot_id: bot_id.clone(), valid_until };
        outlets.tell_stream(NOW, stream_id, item, valid_until)
    };
    assert_eq!(tell(NOW), None);
    assert_eq!(tell(LATER), None);
    let detached = Event::Bot(bot_id.clone(), BotEvent::ConsumerDetached { stream_id });
    assert_eq!(tell(LATER), Some(detached));
    assert_eq!(tell(LATER), None);
    assert!(items.blocking_recv().is_some());
    assert_eq!(items.blocking_recv(), None);
}

/// Goal: a stream that is let go before the driver has seen it is never attached. Method: drop its
/// receiver first.
#[test]
fn a_stream_that_has_gone_is_not_attached() {
    let (outlet, items) = mpsc::channel(1);
    drop(items);
    let mut outlets = Outlets::default();
    assert!(!outlets.attach(BotId::from(BOT), StreamId(1), outlet));
    assert!(!outlets.detach(StreamId(1)));
}

/// Goal: a consumer that lets its stream go is detached at once, not at the next callback. Method: a
/// handle whose inbox and completions the test reads.
#[tokio::test]
async fn letting_a_stream_go_detaches_its_consumer() {
    let (inbox, mut commands) = mpsc::channel(1);
    let (completions, mut told) = mpsc::unbounded_channel();
    let handle = Handle {
        inbox,
        completions,
        clock: Arc::new(Standing),
        status: Arc::default(),
        last_stream: Arc::default(),
        stream_capacity: 1,
        called: Arc::default(),
        notices: tokio::sync::broadcast::channel(1).0,
        node_id: uuid::Uuid::nil().into(),
    };
    let attached = handle.attach_consumer(BotId::from(BOT)).await.expect("the inbox is open");
    let Some(Command::Attach { stream_id, outlet, .. }) = commands.recv().await else {
        panic!("an attachment was asked for");
    };
    assert_eq!(stream_id, attached.stream_id);
    assert!(!outlet.is_closed() && told.is_empty());
    drop(attached);
    assert!(outlet.is_closed());
    match told.recv().await {
        Some(Completion::Detached { stream_id: detached, .. }) => assert_eq!(detached, stream_id),
        other => panic!("expected the detachment, got {other:?}"),
    }
}

/// Goal: an answer that comes after its time is not told, even when it was handed over in time.
/// Method: a clock that stands at the moment until which the answers are valid.
#[tokio::test]
async fn answers_past_their_time_are_not_told() {
    let (inbox, mut commands) = mpsc::channel(1);
    let (completions, _told) = mpsc::unbounded_channel();
    let handle = Handle {
        inbox,
        completions,
        clock: Arc::new(Standing),
        status: Arc::default(),
        last_stream: Arc::default(),
        stream_capacity: 1,
        called: Arc::default(),
        notices: tokio::sync::broadcast::channel(1).0,
        node_id: uuid::Uuid::nil().into(),
    };
    let answering = tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            let Command::Acknowledge { reply, keys, .. } = command else {
                panic!("an acknowledgement was asked for");
            };
            let answer = AckAnswer { acknowledged: 1, unknown: Vec::new() };
            let valid_until = if keys.is_empty() { NOW } else { LATER };
            let _ = reply.send(Timed { value: Some(answer), valid_until });
        }
    });
    let late = handle.acknowledge(BotId::from(BOT), Vec::new()).await;
    assert_eq!(late, Ok(None));
    let in_time = handle.acknowledge(BotId::from(BOT), vec![callback().key()]).await;
    assert_eq!(in_time.map(|answer| answer.is_some()), Ok(true));
    drop(handle);
    answering.await.expect("the answering task does not panic");
}

/// A clock that does not go on.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        NOW
    }
}
