//! Jobs that wait for their bots to run again, put there without a node.

use std::sync::Arc;

use anteroom_core::id::{BotId, NodeId};
use anteroom_core::job::Job;
use anteroom_core::settings::Run;
use anteroom_core::store::{Acquired, BotRecord, Fence, NewJob, StoreReply, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::Store;
use anyhow::{Result, bail};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::bed::Bed;
use super::load::{MESSAGES_OF_CORRESPONDENT, bot};
use super::node::POOL;
use crate::frames;
use crate::store_contract::fixtures;

/// Jobs that are inserted at once.
const INSERTED_AT_ONCE: usize = 500;

/// Fills an empty store with held jobs of several bots, and waits until it has settled.
///
/// # Errors
/// When it does not take them.
pub async fn fill(bed: &Bed, jobs: usize, bots: usize) -> Result<()> {
    let store = bed.open().await?;
    let mut filling: JoinSet<Result<()>> =
        (0..bots).map(|number| fill_bot(Arc::clone(&store), bot(number), jobs / bots)).collect();
    while let Some(ended) = filling.join_next().await {
        ended??;
    }
    store.shutdown().await;
    bed.settle().await
}

async fn fill_bot(store: Arc<dyn Store>, bot_id: BotId, count: usize) -> Result<()> {
    let record = BotRecord {
        bot_id: bot_id.clone(),
        provider_name: frames::PROVIDER_NAME.into(),
        run: Run::WhileConnected,
    };
    store.execute(StoreRequest::RegisterBot(record)).await?;
    let node_id = NodeId::from(Uuid::new_v4());
    let ttl = Millis::from_minutes(10);
    let acquire = StoreRequest::AcquireBot { bot_id: bot_id.clone(), node_id, ttl };
    let StoreReply::AcquireBot(Acquired::Acquired { epoch }) = store.execute(acquire).await? else {
        bail!("the bot {bot_id} of an empty store has an owner");
    };
    let fence = Fence { bot_id, epoch };
    let numbers: Vec<usize> = (0..count).collect();
    let correspondents = count.div_ceil(MESSAGES_OF_CORRESPONDENT);
    for numbers in numbers.chunks(INSERTED_AT_ONCE) {
        let jobs = numbers.iter().map(|number| new_job(&fence, *number, correspondents)).collect();
        store.execute(StoreRequest::InsertJobs { fence: fence.clone(), jobs }).await?;
    }
    store.execute(StoreRequest::HoldBot(fence.clone())).await?;
    store.execute(StoreRequest::ReleaseBot(fence)).await?;
    Ok(())
}

/// The job of a number; the correspondents take turns, as they do where messages arrive.
fn new_job(fence: &Fence, number: usize, correspondents: usize) -> NewJob {
    let correspondent = number % correspondents;
    let correspondent_id = format!("4917012{correspondent:06}@s.whatsapp.net");
    let message_number = (number / correspondents) as u64 + 1;
    let created_at = Timestamp::from_ms(frames::now_ms());
    let mut job = fixtures::job(fence, &correspondent_id, message_number, 1, created_at);
    let media_id = Uuid::new_v4().into();
    let mut message = job.placeholder_message;
    message.provider_message_id = Uuid::new_v4().simple().to_string().into();
    message.accepted_time = created_at;
    if let Some(media) = &mut message.media {
        media.media_id = media_id;
    }
    job = Job {
        media_id,
        placeholder_message: message,
        provider_name: frames::PROVIDER_NAME.into(),
        pool: POOL.into(),
        ..job
    };
    NewJob { job, lease: None }
}
