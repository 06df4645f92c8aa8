//! The first free message id of a correspondent.
//!
//! Owns what is asked together: a question costs the server much more than one more correspondent in it,
//! and new correspondents come in crowds. So those of a bot that come while one question is under way
//! share the next.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anteroom_core::id::{BotId, CorrespondentId, MessageId, ProviderName};
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::collections::{ACTIVE, ARCHIVE, BOTS, HOLDING, QUARANTINE};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::job_changes::union;
use super::turns::Turns;
use super::values::message_id;

/// Who waits for the id of a correspondent.
type Asked = BTreeMap<CorrespondentId, Vec<oneshot::Sender<MessageId>>>;

/// What is to be asked, bot by bot.
#[derive(Debug, Default)]
pub(super) struct NextIds {
    waiting: Mutex<BTreeMap<BotId, Asked>>,
    turns: Turns,
}

impl NextIds {
    fn add(
        &self,
        bot_id: &BotId,
        correspondent_id: &CorrespondentId,
    ) -> oneshot::Receiver<MessageId> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        let asked = waiting.entry(bot_id.clone()).or_default();
        asked.entry(correspondent_id.clone()).or_default().push(sender);
        receiver
    }

    fn take(&self, bot_id: &BotId) -> Asked {
        self.lock().remove(bot_id).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BotId, Asked>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first free message id of a correspondent.
pub(super) async fn next_id(
    store: &Connection,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
) -> Answer<MessageId> {
    let mut answer = store.next_ids.add(bot_id, correspondent_id);
    let _turn = store.next_ids.turns.take(bot_id).await;
    if let Ok(next_id) = answer.try_recv() {
        return Ok(next_id);
    }
    let mut asked = store.next_ids.take(bot_id);
    // It is not among them when the question that it was taken into has failed.
    asked.entry(correspondent_id.clone()).or_default();
    let highest = highest_ids(store, bot_id, &asked).await?;
    let next_id = |of: &CorrespondentId| highest.get(of).map_or(MessageId::FIRST, |id| id.next());
    for (of, askers) in asked {
        for asker in askers {
            // Who has given up does not listen.
            let _ = asker.send(next_id(&of));
        }
    }
    Ok(next_id(correspondent_id))
}

/// The highest message id of each correspondent that has any: archived, of a job or set aside, in one
/// snapshot, so that nothing is missed that is being moved.
async fn highest_ids(
    store: &Connection,
    bot_id: &BotId,
    asked: &Asked,
) -> Answer<BTreeMap<CorrespondentId, MessageId>> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        correspondent_id: CorrespondentId,
        highest: i64,
    }
    let provider_name = provider_name(store, bot_id).await?;
    let correspondents: Vec<&str> = asked.keys().map(CorrespondentId::as_str).collect();
    let mut pipeline = archived(bot_id, provider_name.as_str(), &correspondents);
    pipeline.push(union(ACTIVE, waiting(bot_id, &correspondents)));
    pipeline.push(union(HOLDING, waiting(bot_id, &correspondents)));
    pipeline.push(union(QUARANTINE, set_aside(bot_id, &correspondents)));
    let mut highest: BTreeMap<CorrespondentId, MessageId> = BTreeMap::new();
    for document in store.aggregate_snapshot(ARCHIVE, pipeline).await? {
        // What was set aside may have no number.
        let Ok(found) = mongodb::bson::deserialize_from_slice::<Found>(document.as_bytes()) else {
            continue;
        };
        let id = message_id(found.highest).map_err(Failure::unavailable)?;
        let known = highest.entry(found.correspondent_id).or_insert(id);
        *known = id.max(*known);
    }
    Ok(highest)
}

/// The stages that find the highest ids in the archive: an entry of its index each.
fn archived(bot_id: &BotId, provider_name: &str, correspondents: &[&str]) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "provider_name": provider_name,
            "correspondent_id": { "$in": correspondents },
        } },
        doc! { "$sort": { "bot_id": -1, "provider_name": -1, "correspondent_id": -1, "id": -1 } },
        doc! { "$group": { "_id": "$correspondent_id", "highest": { "$first": "$id" } } },
    ]
}

/// The stages that find them among the jobs; there are at most as many as placeholders may wait.
fn waiting(bot_id: &BotId, correspondents: &[&str]) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "correspondent_id": { "$in": correspondents },
            "revision": 0,
        } },
        doc! { "$group": { "_id": "$correspondent_id", "highest": { "$max": "$message_id" } } },
    ]
}

/// The stages that find them in what was set aside: an entry of its index each.
fn set_aside(bot_id: &BotId, correspondents: &[&str]) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "correspondent_id": { "$in": correspondents },
        } },
        doc! { "$sort": { "bot_id": -1, "correspondent_id": -1, "message_id": -1 } },
        doc! { "$group": {
            "_id": "$correspondent_id", "highest": { "$first": "$message_id" },
        } },
    ]
}

/// A bot's provider, asked of the server only where nobody here has acquired the bot.
async fn provider_name(store: &Connection, bot_id: &BotId) -> Answer<ProviderName> {
    #[derive(Deserialize)]
    struct Provider {
        provider_name: Option<String>,
    }
    if let Some(provider_name) = store.known_bots.provider_name(bot_id) {
        return Ok(provider_name);
    }
    let provider: Option<Provider> = store.find(BOTS, bot_id.as_str()).await?;
    let provider_name = provider.and_then(|provider| provider.provider_name).unwrap_or_default();
    Ok(provider_name.into())
}
