//! Bots, who owns them, and the fence that every bot-side write passes.
//!
//! An ownership stands until it is released or another node takes it after its end; its end alone
//! takes nothing away. Epochs are never reset: releasing keeps them.

use anteroom_core::id::{BotId, Epoch, NodeId, ProviderName};
use anteroom_core::store::{Acquired, BotRecord, Fence, StoreError};
use anteroom_core::time::{Millis, Timestamp};

use super::columns::{AsBlob, id_at, moment, read_body, saturating, timestamp, to_body, unsigned};
use super::failure::{Answer, Failure};
use super::quarantine;
use super::work::Work;

/// Makes a bot known, and returns the record that stands.
pub(super) fn register(work: &Work<'_>, record: &BotRecord) -> Answer<BotRecord> {
    let stored =
        work.first("SELECT body FROM bots WHERE bot_id = ?1", [record.bot_id.as_str()], |row| {
            Ok(read_body::<BotRecord>(row, 0))
        })?;
    match stored {
        Some(Ok(stored)) => return Ok(stored),
        Some(Err(reason)) => quarantine::bot(work, &record.bot_id, &reason)?,
        None => {}
    }
    let body = to_body(record)?;
    work.run(
        "INSERT INTO bots (bot_id, provider_name, body) VALUES (?1, ?2, ?3)",
        (record.bot_id.as_str(), record.provider_name.as_str(), body),
    )?;
    Ok(record.clone())
}

/// Every registered bot. One whose record cannot be read is left out, until it is registered anew.
pub(super) fn list(work: &Work<'_>) -> Answer<Vec<BotRecord>> {
    let rows = work.all("SELECT bot_id, body FROM bots ORDER BY bot_id", [], |row| {
        Ok((row.get::<_, String>(0)?, read_body::<BotRecord>(row, 1)))
    })?;
    let readable = rows.into_iter().filter_map(|(bot_id, record)| match record {
        Ok(record) => Some(record),
        Err(reason) => {
            tracing::error!(bot_id, reason, "a bot's record cannot be read");
            None
        }
    });
    Ok(readable.collect())
}

/// The provider of a bot.
pub(super) fn provider_name(work: &Work<'_>, bot_id: &BotId) -> Answer<ProviderName> {
    work.first("SELECT provider_name FROM bots WHERE bot_id = ?1", [bot_id.as_str()], |row| {
        row.get::<_, String>(0)
    })?
    .map(ProviderName::from)
    .ok_or_else(|| Failure::invalid(format!("the bot {bot_id} is not registered")))
}

/// Who owns a bot.
struct Ownership {
    epoch: Epoch,
    owner: Option<Owner>,
}

struct Owner {
    node_id: NodeId,
    expires_at: Timestamp,
}

fn ownership(work: &Work<'_>, bot_id: &BotId) -> Answer<Option<Ownership>> {
    work.first(
        "SELECT epoch, expires_at, node_id FROM ownership WHERE bot_id = ?1",
        [bot_id.as_str()],
        |row| {
            let expires_at: Option<i64> = row.get(1)?;
            let owner = match expires_at {
                Some(end) => Some(Owner { node_id: id_at(row, 2)?, expires_at: timestamp(end) }),
                None => None,
            };
            Ok(Ownership { epoch: Epoch(unsigned(row.get(0)?)), owner })
        },
    )
}

/// Takes a bot for a node, if it is free.
pub(super) fn acquire(
    work: &Work<'_>,
    bot_id: &BotId,
    node_id: NodeId,
    ttl: Millis,
) -> Answer<Acquired> {
    let found = ownership(work, bot_id)?;
    let stored = found.as_ref().map_or(Epoch(0), |ownership| ownership.epoch);
    let epoch = match found.and_then(|ownership| ownership.owner) {
        Some(owner) if owner.node_id == node_id => stored,
        Some(owner) if work.now < owner.expires_at => {
            let remaining = owner.expires_at.since(work.now);
            return Ok(Acquired::HeldBy { node_id: owner.node_id, remaining });
        }
        Some(_) | None => Epoch(stored.0.saturating_add(1)),
    };
    work.run(
        "INSERT INTO ownership (bot_id, epoch, node_id, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (bot_id) DO UPDATE SET
            epoch = excluded.epoch,
            node_id = excluded.node_id,
            expires_at = max(excluded.expires_at,
                CASE WHEN epoch = excluded.epoch THEN coalesce(expires_at, 0) ELSE 0 END)",
        (bot_id.as_str(), saturating(epoch.0), node_id.blob(), moment(work.now + ttl)),
    )?;
    Ok(Acquired::Acquired { epoch })
}

/// Prolongs a node's bots, and returns those that are not its own under the given epochs.
pub(super) fn renew(
    work: &Work<'_>,
    node_id: NodeId,
    bots: &[(BotId, Epoch)],
    ttl: Millis,
) -> Answer<Vec<BotId>> {
    let expires_at = moment(work.now + ttl);
    let mut lost = Vec::new();
    for (bot_id, epoch) in bots {
        let renewed = work.run(
            "UPDATE ownership SET expires_at = max(expires_at, ?4)
             WHERE bot_id = ?1 AND epoch = ?2 AND node_id = ?3",
            (bot_id.as_str(), saturating(epoch.0), node_id.blob(), expires_at),
        )?;
        if renewed == 0 {
            lost.push(bot_id.clone());
        }
    }
    Ok(lost)
}

/// Gives a bot up; its epoch stays.
pub(super) fn release(work: &Work<'_>, fence: &Fence) -> Answer<()> {
    pass_fence(work, fence)?;
    work.run(
        "UPDATE ownership SET node_id = NULL, expires_at = NULL WHERE bot_id = ?1",
        [fence.bot_id.as_str()],
    )?;
    Ok(())
}

/// Refuses a bot-side request that is made under another epoch than the bot's.
pub(super) fn pass_fence(work: &Work<'_>, fence: &Fence) -> Answer<()> {
    if owns(work, &fence.bot_id, fence.epoch)? { Ok(()) } else { Err(StoreError::Fenced.into()) }
}

/// Whether the epoch is the bot's current one.
pub(super) fn owns(work: &Work<'_>, bot_id: &BotId, epoch: Epoch) -> Answer<bool> {
    let stored =
        work.first("SELECT epoch FROM ownership WHERE bot_id = ?1", [bot_id.as_str()], |row| {
            row.get::<_, i64>(0)
        })?;
    Ok(stored.is_some_and(|stored| unsigned(stored) == epoch.0))
}

/// Takes a name for a node, if it is free, expired or the node's own.
pub(super) fn acquire_singleton(
    work: &Work<'_>,
    name: &str,
    node_id: NodeId,
    ttl: Millis,
) -> Answer<bool> {
    let taken = work.run(
        "INSERT INTO singletons (name, node_id, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET
            node_id = excluded.node_id, expires_at = excluded.expires_at
         WHERE node_id = excluded.node_id OR expires_at <= ?4",
        (name, node_id.blob(), moment(work.now + ttl), moment(work.now)),
    )?;
    Ok(taken > 0)
}

/// The last place in a bot's archive. Places are never given twice, also when rows are dropped.
pub(super) fn last_seq(work: &Work<'_>, bot_id: &BotId) -> Answer<i64> {
    work.first("SELECT archive_seq FROM ownership WHERE bot_id = ?1", [bot_id.as_str()], |row| {
        row.get(0)
    })?
    .ok_or_else(|| Failure::invalid(format!("the bot {bot_id} was never owned")))
}

/// Remembers the last place in a bot's archive.
pub(super) fn put_last_seq(work: &Work<'_>, bot_id: &BotId, seq: i64) -> Answer<()> {
    work.run("UPDATE ownership SET archive_seq = ?2 WHERE bot_id = ?1", (bot_id.as_str(), seq))?;
    Ok(())
}
