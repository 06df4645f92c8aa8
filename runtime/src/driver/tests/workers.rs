//! Processors at work: their end is always told.

use std::sync::Arc;

use anteroom_core::id::MediaId;
use anteroom_core::message::{Extracted, Outcome};
use anteroom_core::store::StoreRequest;
use uuid::Uuid;

use super::world::{World, callback, is_accepted};
use crate::driver::ports::BoxFuture;
use crate::media::processor::{Failure, Processor, Work};

/// What a scripted processor does.
enum Scripted {
    /// It says the name of the file.
    SayPath,
    /// It panics.
    Panic,
    /// It goes on until it is told to stop.
    UntilCancelled,
}

impl Processor for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        match self {
            Self::SayPath => {
                let text = work.path.display().to_string();
                Box::pin(async { Ok(Outcome::Text(Extracted { text, ..Extracted::default() })) })
            }
            Self::Panic => panic!("deliberate, by the test"),
            Self::UntilCancelled => Box::pin(async move {
                work.cancel.cancelled().await;
                Err(Failure::Cancelled)
            }),
        }
    }
}

fn media_id() -> MediaId {
    MediaId::from(Uuid::from_u128(0x8c7a_2f0e))
}

/// What the consumer is told of one audio file.
async fn told_of(world: &World, mime_type: &str) -> String {
    let mut provider = world.connect().await;
    let mut consumer = world.attach().await;
    provider.media(1, media_id(), mime_type).await;
    let (_, receipt) = provider.receipt().await;
    assert!(is_accepted(&receipt), "{receipt:?}");
    callback(&mut consumer).await.message.content.clone()
}

/// Goal: a staged file is worked on where it is, its text is called back, and the file is deleted.
/// Method: a processor that says the path.
#[tokio::test(start_paused = true)]
async fn media_becomes_text_and_its_file_is_deleted() {
    let world = World::with([("audio", Arc::new(Scripted::SayPath) as Arc<dyn Processor>)]);
    let told = told_of(&world, "audio/ogg").await;
    assert_eq!(told, format!("[Audio transcript: /staging/{}]", media_id()));
    world.handle.shutdown().await;
    assert_eq!(world.files.deleted(), [media_id()]);
}

/// Goal: a panic costs its own job only. Method: a processor that panics before its first await; the
/// message still ends, and the next one passes.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_processor_ends_its_job_as_failed() {
    let world = World::with([("audio", Arc::new(Scripted::Panic) as Arc<dyn Processor>)]);
    assert_eq!(told_of(&world, "audio/ogg").await, "[Audio processing failed]");
    let mut provider = world.connect().await;
    provider.text(2, "still there?").await;
    let (_, receipt) = provider.receipt().await;
    assert!(is_accepted(&receipt), "{receipt:?}");
}

/// Goal: a pool without a processor says so. Method: no processors at all.
#[tokio::test(start_paused = true)]
async fn media_without_a_processor_end_as_unsupported() {
    let world = World::start();
    assert_eq!(
        told_of(&world, "audio/ogg").await,
        "[Unsupported audio/ogg media: no processor configured for audio]"
    );
}

/// Goal: a node that shuts down gives back what its processors have not finished. Method: a processor
/// that goes on until it is cancelled; the node stops, and the store was asked to release the job.
#[tokio::test(start_paused = true)]
async fn processors_are_cancelled_and_their_jobs_released_at_shutdown() {
    let world = World::with([("audio", Arc::new(Scripted::UntilCancelled) as Arc<dyn Processor>)]);
    let mut provider = world.connect().await;
    provider.media(1, media_id(), "audio/ogg").await;
    provider.receipt().await;
    world.handle.shutdown().await;
    let released = world.store.asked(|request| match request {
        StoreRequest::Release { releases } => Some(releases[0].media_id),
        _ => None,
    });
    assert_eq!(released, [media_id()]);
}
