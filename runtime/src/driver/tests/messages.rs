//! What goes through: messages, receipts, callbacks, acknowledgements, sends.

use anteroom_core::id::{BotId, SendId};
use anteroom_core::store::{EnqueueAnswer, Send, StoreRequest};
use tokio::time::{Duration, Instant};

use super::world::{BOT, World, callback, is_accepted};
use crate::driver::StreamItem;

/// Goal: a provider hears "accepted" of what is durable. Method: hand a text in, then compare its
/// receipt with what the store was asked before.
#[tokio::test(start_paused = true)]
async fn a_text_is_archived_and_acknowledged() {
    let world = World::start();
    let mut provider = world.connect().await;
    provider.text(1, "hello").await;
    let (seq, receipt) = provider.receipt().await;
    assert_eq!(seq, 1);
    assert!(is_accepted(&receipt), "{receipt:?}");
    let archived = world.store.asked(|request| match request {
        StoreRequest::Archive { items, .. } => Some(items[0].message.content.clone()),
        _ => None,
    });
    assert_eq!(archived, ["hello"]);
}

/// Goal: a callback reaches the consumer once, and its acknowledgement is durable before it is
/// confirmed. Method: attach, hand a text in, acknowledge, look at the store.
#[tokio::test(start_paused = true)]
async fn a_callback_reaches_the_consumer_and_is_acknowledged() {
    let world = World::start();
    let provider = world.connect().await;
    let mut consumer = world.attach().await;
    provider.text(1, "hello").await;
    let callback = callback(&mut consumer).await;
    assert_eq!(callback.message.content, "hello");
    let key = callback.key();
    let answer = world.handle.acknowledge(BotId::from(BOT), vec![key.clone()]).await;
    let answer = answer.expect("the node runs").expect("the bot runs");
    assert_eq!((answer.acknowledged, answer.unknown), (1, Vec::new()));
    let marked = world.store.asked(|request| match request {
        StoreRequest::MarkCalledBack { marks, .. } => Some(marks[0].key.clone()),
        _ => None,
    });
    assert_eq!(marked, [key]);
}

/// Goal: the newest stream gets the callbacks, and the older one is told so. Method: attach twice.
#[tokio::test(start_paused = true)]
async fn a_newer_stream_replaces_the_older() {
    let world = World::start();
    let provider = world.connect().await;
    let mut older = world.attach().await;
    let mut newer = world.attach().await;
    assert_eq!(older.items.recv().await, Some(StreamItem::Replaced));
    assert_eq!(older.items.recv().await, None);
    provider.text(1, "hello").await;
    assert_eq!(callback(&mut newer).await.message.content, "hello");
}

/// Goal: a callback that was told to nobody is told to the next consumer. Method: let the stream go,
/// hand a text in, attach anew.
#[tokio::test(start_paused = true)]
async fn a_callback_waits_for_the_next_consumer() {
    let world = World::start();
    let mut provider = world.connect().await;
    drop(world.attach().await);
    provider.text(1, "hello").await;
    provider.receipt().await;
    let mut consumer = world.attach().await;
    assert_eq!(callback(&mut consumer).await.message.content, "hello");
}

/// Goal: an outgoing message is confirmed once it is durable, and reaches the provider. Method: hand
/// one in, look at the answer and at the connection.
#[tokio::test(start_paused = true)]
async fn an_outgoing_message_is_made_durable_and_sent() {
    use anteroom_core::session::event::SessionEffect;

    let world = World::start();
    let mut provider = world.connect().await;
    let send = Send {
        send_id: SendId::from("reply-1"),
        correspondent_id: "ada@s.whatsapp.net".into(),
        message: "good morning".to_owned(),
    };
    let answer = world.handle.enqueue_send(BotId::from(BOT), send.clone()).await;
    assert_eq!(answer, Ok(Some(EnqueueAnswer::Enqueued)));
    match provider.next().await {
        Some(SessionEffect::Send { send: sent, .. }) => assert_eq!(sent, send),
        other => panic!("expected a send, got {other:?}"),
    }
}

/// Goal: deadlines are kept. Method: connect and say nothing; by the paused clock the connection ends
/// when the time for `hello` is over, and not before.
#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed_in_time() {
    let world = World::start();
    let session_id = uuid::Uuid::from_u128(9).into();
    let start = Instant::now();
    let mut effects = world.handle.open_session(session_id).await.expect("the node runs");
    while effects.recv().await.is_some() {}
    let elapsed = start.elapsed();
    assert!((Duration::from_secs(20)..Duration::from_secs(22)).contains(&elapsed), "{elapsed:?}");
}

/// Goal: an answer that the store's adapter swallowed by a panic is asked for again. Method: archiving
/// panics twice, then works.
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_store_is_an_unavailable_store() {
    let world = World::start();
    let mut provider = world.connect().await;
    world.store.panic_when_archiving(2);
    provider.text(1, "hello").await;
    let (_, receipt) = provider.receipt().await;
    assert!(is_accepted(&receipt), "{receipt:?}");
    let tries =
        world.store.asked(|request| matches!(request, StoreRequest::Archive { .. }).then_some(()));
    assert_eq!(tries.len(), 3);
}

/// Goal: the janitor's sweep sees what is staged. Method: let the clock jump past the first one.
#[tokio::test(start_paused = true)]
async fn staged_files_are_listed_for_the_janitor() {
    let world = World::start();
    tokio::time::sleep(Duration::from_secs(61 * 60)).await;
    assert_eq!(world.files.listings(), 1);
}
