//! Which nodes run, as far as they say so: one document each.

use anteroom_core::id::NodeId;
use anteroom_core::time::Millis;
use mongodb::bson::{Document, Uuid, deserialize_from_slice, doc};
use serde::Deserialize;

use super::collections::NODES;
use super::connection::Connection;
use super::failure::Answer;
use super::values::{AsUuid, id_of, unsigned};
use crate::store::presence::{Presence, Present};

/// How many nodes are told of.
const LISTED_MAX: i64 = 1_000;

/// A node runs.
pub(super) async fn sign_in(store: &Connection, node: Presence) -> Answer<()> {
    let Presence { node_id, role, listen, version } = node;
    let now = store.time.now();
    // What a node says is no expression, whatever its signs.
    let said = doc! {
        "role": { "$literal": role },
        "listen": { "$literal": listen },
        "version": { "$literal": version },
        "started_at": { "$ifNull": ["$started_at", now.clone()] },
        "seen_at": now,
    };
    store.put::<Document>(NODES, node_id.stored(), vec![doc! { "$set": said }]).await?;
    Ok(())
}

/// A node has ended.
pub(super) async fn sign_out(store: &Connection, node_id: NodeId) -> Answer<()> {
    let nodes = store.database.collection::<Document>(NODES);
    nodes.delete_one(doc! { "_id": node_id.stored() }).await?;
    Ok(())
}

/// The nodes that said so, in the order of their ids.
pub(super) async fn list(store: &Connection) -> Answer<Vec<Present>> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        node_id: Uuid,
        role: String,
        listen: String,
        version: String,
        up: i64,
        silent: i64,
    }
    let now = store.time.now();
    let stages = vec![
        doc! { "$sort": { "_id": 1 } },
        doc! { "$limit": LISTED_MAX },
        doc! { "$project": {
            "role": 1,
            "listen": 1,
            "version": 1,
            "up": { "$subtract": [now.clone(), "$started_at"] },
            "silent": { "$subtract": [now, "$seen_at"] },
        } },
    ];
    let found = store.aggregate(NODES, stages).await?;
    let read = found.iter().filter_map(|found| deserialize_from_slice(found.as_bytes()).ok());
    let present = read.map(|found: Found| Present {
        node: Presence {
            node_id: id_of(found.node_id),
            role: found.role,
            listen: found.listen,
            version: found.version,
        },
        up: Millis::from_ms(unsigned(found.up)),
        silent: Millis::from_ms(unsigned(found.silent)),
    });
    Ok(present.collect())
}
