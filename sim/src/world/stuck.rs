//! What waits for what, in one paragraph, for a run that does not come to its end.

use std::fmt::Write as _;

use anteroom_core::time::Timestamp;

use super::World;
use crate::store::CallbackState;

/// How much of each kind is named.
const NAMED_MAX: usize = 3;

impl World {
    /// What waits for what.
    pub(super) fn stuck(&self) -> String {
        let mut told = String::from("Nothing moves.");
        for node in 0..self.nodes.len() {
            self.tell_of_node(&mut told, node);
        }
        for (bot_id, ownership) in self.store.ownerships() {
            let owner = ownership.owner.map_or("nobody".to_owned(), |hold| {
                let node = self.nodes.iter().position(|node| {
                    node.settings.as_ref().is_some_and(|it| it.node_id == hold.node_id)
                });
                let whose =
                    node.map_or("a node that died".to_owned(), |node| format!("node {node}"));
                format!("{whose} until {}", self.relative(hold.expires_at))
            });
            let _ = write!(told, " {bot_id} is owned by {owner} (epoch {}).", ownership.epoch);
        }
        for (number, provider) in self.providers.iter().enumerate() {
            let connected = provider.connection.as_ref();
            let connected = connected.map_or("not connected".to_owned(), |connection| {
                let open: usize = connection.bots.values().map(|bound| bound.open.len()).sum();
                let welcomed = connection.bots.values().filter(|bound| bound.welcomed).count();
                let node = connection.node;
                format!("connected to node {node}, {welcomed} bots welcomed, {open} open")
            });
            let kept = provider.kept.len();
            let _ = write!(told, " Provider {number} keeps {kept} messages and is {connected}.");
        }
        for job in self.store.jobs().take(NAMED_MAX) {
            let _ = write!(
                told,
                " Job {} of {} ({}) is {:?} in {:?}, claimed {} times.",
                job.media_id, job.bot_id, job.pool, job.status, job.place, job.claims
            );
        }
        let owed = self.store.archive_rows().filter(|row| row.callback == CallbackState::Owed);
        for row in owed.take(NAMED_MAX) {
            let _ = write!(
                told,
                " {}/{}/{} owes its callback, {} attempts, {} refusals.",
                row.bot_id, row.correspondent_id, row.message.id, row.attempts.0, row.failures
            );
        }
        told
    }

    fn tell_of_node(&self, told: &mut String, node: usize) {
        let it = &self.nodes[node];
        let state = if !it.is_up() {
            "is down".to_owned()
        } else if it.frozen {
            "stands still".to_owned()
        } else {
            let next = self.deadline_of(node).map_or("nothing".to_owned(), |(at, why)| {
                format!("{why:?} in {}", at.since(self.node_now(node)))
            });
            let stopping = if it.stopping { ", shutting down" } else { "" };
            format!("is up{stopping} and waits for {next}")
        };
        let _ = write!(told, " Node {node} {state}.");
    }

    fn relative(&self, at: Timestamp) -> String {
        if at >= self.now {
            format!("in {}", at.since(self.now))
        } else {
            format!("{} ago", self.now.since(at))
        }
    }
}
