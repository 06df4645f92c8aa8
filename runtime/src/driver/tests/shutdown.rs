//! The end of a node.

use anteroom_core::id::BotId;
use anteroom_core::store::StoreRequest;

use super::world::{BOT, World};
use crate::driver::{Stopped, StreamItem};

/// Goal: shutting down leaves nothing behind. Method: a connected provider, a stream and traffic, then
/// the end: the bot is released, everyone is told, and no task is alive.
#[tokio::test(start_paused = true)]
async fn shutdown_releases_the_bot_ends_every_outlet_and_every_task() {
    let world = World::start();
    let mut provider = world.connect().await;
    let mut consumer = world.attach().await;
    provider.text(1, "hello").await;
    provider.receipt().await;
    let key = super::world::callback(&mut consumer).await.key();
    world.handle.acknowledge(BotId::from(BOT), vec![key]).await.expect("the node runs");
    assert!(world.handle.is_ready());

    world.handle.shutdown().await;

    assert!(!world.handle.is_ready());
    let released =
        world.store.asked(|request| matches!(request, StoreRequest::ReleaseBot(_)).then_some(()));
    assert_eq!(released.len(), 1);
    while provider.next().await.is_some() {}
    assert_eq!(consumer.items.recv().await, Some(StreamItem::Ended));
    assert_eq!(consumer.items.recv().await, None);
    world.driver.await.expect("the driver did not panic");
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

/// Goal: after the end every call says so, and shutting down again is no harm. Method: call.
#[tokio::test(start_paused = true)]
async fn a_stopped_node_answers_every_call() {
    let world = World::start();
    world.handle.shutdown().await;
    world.handle.shutdown().await;
    world.driver.await.expect("the driver did not panic");
    let bot_id = BotId::from(BOT);
    let session = world.handle.open_session(uuid::Uuid::from_u128(3).into()).await;
    assert_eq!(session.err(), Some(Stopped));
    assert_eq!(world.handle.attach_consumer(bot_id.clone()).await.err(), Some(Stopped));
    assert_eq!(world.handle.acknowledge(bot_id, Vec::new()).await, Err(Stopped));
}

/// Goal: a node that nobody holds any more ends by itself. Method: drop the only handle.
#[tokio::test(start_paused = true)]
async fn a_node_without_handles_shuts_down() {
    let world = World::start();
    drop(world.handle);
    world.driver.await.expect("the driver did not panic");
}

/// Goal: a driver that breaks leaves nobody waiting. Method: a clock that panics when it is told to;
/// the driver's task ends by the panic, and every call says that the node has stopped.
#[tokio::test(start_paused = true)]
async fn a_driver_that_breaks_leaves_nobody_waiting() {
    let world = World::start();
    let mut provider = world.connect().await;
    let attached = world.attach().await;
    world.clock.break_down();
    provider.text(1, "hello").await;
    assert!(world.driver.await.expect_err("it panicked").is_panic());
    assert!(!world.handle.is_ready());
    world.handle.shutdown().await;
    while provider.next().await.is_some() {}
    drop(attached);
    assert_eq!(world.handle.acknowledge(BotId::from(BOT), Vec::new()).await, Err(Stopped));
}
