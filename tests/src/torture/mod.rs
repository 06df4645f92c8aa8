//! The torture: the real binary, killed at random, with hundreds of messages and media under way.
//!
//! Actors play the outside: [`author`]s make messages and stage their files, [`provider`]s and a
//! [`poster`] hand them over, [`consumer`]s read callbacks, the [`killer`] ends processes. They write
//! what they do and see into the [`ledger`] and judge nothing. When everything is over, the
//! [`account`] puts the ledger beside what is left ([`remains`]), and the [`rules`] judge.
//! [`fleet`]: the nodes. [`place`]: which store. [`dice`]: where all randomness comes from. [`media`]: what files hold. [`world`]: how a run goes.
//! [`sweep`]: the last look at the files. [`progress`]: what is said meanwhile. [`history`]: what is said of a broken promise.
//!
//! **Architecture invariant**: nothing here believes the server. A promise is held against what an
//! outsider saw and what the store holds afterwards.

pub mod account;
pub mod author;
pub mod consumer;
pub mod dice;
pub mod fleet;
pub mod history;
pub mod killer;
pub mod ledger;
pub mod media;
pub mod place;
pub mod poster;
pub mod progress;
pub mod provider;
pub mod remains;
pub mod rules;
pub mod sweep;
pub mod upload;
pub mod world;

use std::path::PathBuf;
use std::time::Duration;

/// Where the node keeps what must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// In the embedded store.
    Sqlite,
    /// In a MongoDB, which is killed as well.
    Mongodb,
}

/// How nodes end while a run lasts; settling comes on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deaths {
    /// They are killed and stopped at random for so long, and consumers behave badly.
    AtRandom(Duration),
    /// Each is stopped and started again in its turn, so many times, and consumers behave: then nothing
    /// has a reason to come again.
    InTurn(usize),
}

/// What a run is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where all randomness comes from.
    pub seed: u64,
    /// Where the node keeps what must be durable.
    pub store: StoreKind,
    /// How many nodes there are; several need a store that nodes share.
    pub nodes: usize,
    /// How nodes end while a run lasts.
    pub deaths: Deaths,
    /// Where the node keeps what it has. Empty, or not there; left as it is in the end.
    pub home: PathBuf,
    /// How often the progress is printed.
    pub progress_every: Duration,
}

/// How a run went that kept all promises.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// How much happened.
    pub counts: ledger::Counts,
    /// Files that are left for failed copies, and to the sweep for orphans.
    pub files_left: usize,
}

/// Why a run did not go well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Promises were broken: in words, with a history.
    #[error("{0}")]
    Broken(String),
    /// The run says nothing about promises.
    #[error("the torture could not be run: {0:#}")]
    NotRun(#[from] anyhow::Error),
}

/// The address of a bot, whose id may hold anything.
///
/// # Panics
/// When `url` is none.
pub fn path_of_bot(url: &str, bot_id: &str) -> String {
    let mut url = reqwest::Url::parse(url).expect("the server's address is a URL");
    let mut segments = url.path_segments_mut().expect("HTTP addresses have a path");
    segments.clear().extend(["v1", "bots", bot_id]);
    drop(segments);
    url.to_string()
}

#[cfg(test)]
mod tests {
    /// Goal: a bot's id stays one part of the path, whatever it holds.
    #[test]
    fn a_bots_id_is_one_part_of_the_path() {
        let url = super::path_of_bot("http://127.0.0.1:80", "größe/1?#");
        assert_eq!(url, "http://127.0.0.1/v1/bots/gr%C3%B6%C3%9Fe%2F1%3F%23");
    }
}
