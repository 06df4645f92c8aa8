//! A thread that reads beside the writer: one for the machine, one for operators.
//!
//! Owns its connection. Each request gets a snapshot of its own, taken after it was asked, so
//! that it sees every write that was answered before.

use std::path::Path;

use anteroom_core::store::{BotRecord, StoreError, StoreRequest, StoreResult};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::correspondents::Correspondents;
use super::failure::Answer;
use super::work::Work;
use super::{Clock, backlog, bots, dispatch, views};
use crate::store::Backlog;
use crate::store::views::{Question, View};

/// A question that waits for the reader.
pub(super) enum Read {
    /// A request that only reads.
    Request {
        /// What is asked.
        request: StoreRequest,
        /// Who waits.
        answer: oneshot::Sender<StoreResult>,
    },
    /// A question of an operator.
    Look {
        /// What is asked.
        question: Question,
        /// Who waits.
        answer: oneshot::Sender<Result<View, StoreError>>,
    },
    /// All registered bots.
    ListBots {
        /// Who waits.
        answer: oneshot::Sender<Result<Vec<BotRecord>, StoreError>>,
    },
    /// What waits.
    Backlog {
        /// Who waits for that.
        answer: oneshot::Sender<Result<Backlog, StoreError>>,
    },
}

/// Serves the queue until all its senders are gone.
pub(super) fn run(
    connection: &Connection,
    mut queue: mpsc::Receiver<Read>,
    clock: &Clock,
    directory: &Path,
) {
    let correspondents = Correspondents::default();
    while let Some(read) = queue.blocking_recv() {
        let work = Work { connection, correspondents: &correspondents, now: clock() };
        // Who does not listen has timed out, and will ask again.
        match read {
            Read::Request { answer, .. } if answer.is_closed() => {}
            Read::Request { request, answer } => {
                let _ =
                    answer.send(snapshot(&work, directory, |work| dispatch::read(work, &request)));
            }
            Read::Look { answer, .. } if answer.is_closed() => {}
            Read::Look { question, answer } => {
                let _ =
                    answer.send(snapshot(&work, directory, |work| views::look(work, &question)));
            }
            Read::ListBots { answer } => {
                let _ = answer.send(snapshot(&work, directory, bots::list));
            }
            Read::Backlog { answer } => {
                let _ = answer.send(snapshot(&work, directory, backlog::count));
            }
        }
    }
}

/// Answers a question in one snapshot.
fn snapshot<T>(
    work: &Work<'_>,
    directory: &Path,
    question: impl FnOnce(&Work<'_>) -> Answer<T>,
) -> Result<T, StoreError> {
    let answer = work.run("BEGIN", []).and_then(|_| question(work));
    // Nothing was written: whether the end is a commit makes no difference, and it cannot fail twice.
    let ended = work.connection.is_autocommit() || work.run("COMMIT", []).is_ok();
    if !ended {
        tracing::error!("a snapshot could not be ended");
    }
    answer.map_err(|failure| failure.into_store_error(directory))
}
