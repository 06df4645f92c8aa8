//! Transactions that a process left behind when it was killed.
//!
//! The server keeps such a transaction open for a minute, with everything it wrote locked: the fence of
//! a bot above all, which the bot's next owner has to write. Owns how they are found and ended. Every
//! call ends within its time-out, so what has been open for longer belongs to nobody.
//!
//! Whoever meets the same conflict again and again looks, at most once in a while. Neither looking nor
//! ending needs a right beyond the user's own.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, RawDocumentBuf, doc};

use super::connection::Connection;

/// What connections of every node are called.
pub(super) const APP_NAME: &str = "anteroom";

/// How long after its call's end a transaction is given up for.
const GRACE: Duration = Duration::from_secs(1);

/// How often is looked at the most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When was looked last.
#[derive(Debug, Default)]
pub(super) struct LastLook(Mutex<Option<Instant>>);

impl LastLook {
    /// Whether it is time to look again; then it counts as done.
    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= LOOK_EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

/// Ends what was left behind. That it could not is only said: the server does so by itself, later.
pub(super) async fn end(store: &Connection) {
    if !store.last_look.is_due() {
        return;
    }
    match try_end(store).await {
        Ok(0) => {}
        Ok(ended) => tracing::warn!(ended, "transactions that were left behind have been ended"),
        Err(error) => {
            let reason = super::failure::explain(&error);
            tracing::warn!(reason, "transactions that were left behind could not be looked for");
        }
    }
}

async fn try_end(store: &Connection) -> mongodb::error::Result<usize> {
    let admin = store.client.database("admin");
    let open_micros = i64::try_from((store.call_timeout + GRACE).as_micros()).unwrap_or(i64::MAX);
    let pipeline = vec![
        doc! { "$currentOp": { "allUsers": false, "idleSessions": true } },
        doc! { "$match": {
            "type": "idleSession",
            "appName": APP_NAME,
            "transaction.timeOpenMicros": { "$gt": open_micros },
        } },
        doc! { "$limit": 100 },
        doc! { "$project": { "_id": 0, "id": "$lsid.id" } },
    ];
    // This is asked of the server that takes writes, without a read concern, which it does not know.
    let local = mongodb::options::ReadConcern::local();
    let aggregate = admin.aggregate(pipeline).read_concern(local).max_time(store.call_timeout);
    let mut cursor = aggregate.with_type::<RawDocumentBuf>().await?;
    let mut sessions: Vec<Document> = Vec::new();
    while cursor.advance().await? {
        sessions.push(Document::try_from(cursor.current())?);
    }
    let ended = sessions.len();
    if ended > 0 {
        admin.run_command(doc! { "killSessions": sessions }).await?;
    }
    Ok(ended)
}
