//! The first free message id of a correspondent.

use anteroom_core::id::{BotId, CorrespondentId, MessageId, ProviderName};
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::collections::{ACTIVE, ARCHIVE, BOTS, HOLDING, QUARANTINE};
use super::connection::Connection;
use super::failure::{Answer, Failure};
use super::job_changes::union;
use super::values::message_id;

/// The stages that find the highest message id of a correspondent in the archive.
pub(super) fn highest_archived(
    bot_id: &BotId,
    provider_name: &str,
    correspondent_id: &CorrespondentId,
) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "provider_name": provider_name,
            "correspondent_id": correspondent_id.as_str(),
        } },
        doc! { "$sort": { "id": -1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "_id": 0, "highest": "$id" } },
    ]
}

/// The stages that find it among the jobs; there are at most as many as placeholders may wait.
pub(super) fn highest_waiting(bot_id: &BotId, correspondent_id: &CorrespondentId) -> Vec<Document> {
    vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "correspondent_id": correspondent_id.as_str(),
            "revision": 0,
        } },
        doc! { "$group": { "_id": Bson::Null, "highest": { "$max": "$message_id" } } },
    ]
}

/// The first free message id of a correspondent.
pub(super) async fn next_id(
    store: &Connection,
    bot_id: &BotId,
    correspondent_id: &CorrespondentId,
) -> Answer<MessageId> {
    let provider_name = provider_name(store, bot_id).await?;
    let mut pipeline = highest_archived(bot_id, provider_name.as_str(), correspondent_id);
    pipeline.push(union(ACTIVE, highest_waiting(bot_id, correspondent_id)));
    pipeline.push(union(HOLDING, highest_waiting(bot_id, correspondent_id)));
    let set_aside = vec![
        doc! { "$match": {
            "bot_id": bot_id.as_str(),
            "correspondent_id": correspondent_id.as_str(),
        } },
        doc! { "$sort": { "message_id": -1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "_id": 0, "highest": "$message_id" } },
    ];
    pipeline.push(union(QUARANTINE, set_aside));
    let found = store.aggregate_snapshot(ARCHIVE, pipeline).await?;
    let highest = found.iter().filter_map(|part| part.get_i64("highest").ok()).max();
    match highest {
        None => Ok(MessageId::FIRST),
        Some(highest) => message_id(highest).map(MessageId::next).map_err(Failure::unavailable),
    }
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
