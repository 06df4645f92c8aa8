//! The requests that wait for the writer.
//!
//! In the order in which they came, but for renewals of ownership, which go first: a node that cannot renew in
//! time loses all its bots, however busy its disk is with their jobs.

use std::collections::VecDeque;

use anteroom_core::store::StoreRequest;
use tokio::sync::mpsc;

use super::writer::Write;

/// What waits; empty once all senders are gone.
pub(super) struct Line {
    queue: mpsc::Receiver<Write>,
    waiting: VecDeque<Write>,
}

impl Line {
    pub(super) fn new(queue: mpsc::Receiver<Write>) -> Self {
        Self { queue, waiting: VecDeque::new() }
    }

    /// The next request, if one waits.
    pub(super) fn next(&mut self) -> Option<Write> {
        while let Ok(write) = self.queue.try_recv() {
            match write.request {
                StoreRequest::RenewBots { .. } => self.waiting.push_front(write),
                _ => self.waiting.push_back(write),
            }
        }
        self.waiting.pop_front()
    }

    /// The next request, as soon as there is one; none when all senders are gone.
    pub(super) fn wait(&mut self) -> Option<Write> {
        self.next().or_else(|| self.queue.blocking_recv())
    }

    /// A request that has done a piece of its work goes behind those that wait.
    pub(super) fn again(&mut self, write: Write) {
        self.waiting.push_back(write);
    }
}
