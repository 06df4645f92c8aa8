//! What can keep a node from its MongoDB, each with what to do about it.

use std::time::Duration;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address makes no sense. It is not repeated, since it may hold a password.
    #[error("the address of MongoDB is not understood: {detail}")]
    Address {
        /// What is wrong with it.
        detail: String,
    },
    /// Nobody answers.
    #[error("MongoDB at {hosts} does not answer within {patience:?}: {detail}")]
    Unreachable {
        /// Where it was looked for.
        hosts: String,
        /// For how long.
        patience: Duration,
        /// What the driver saw.
        detail: String,
    },
    /// The name or the password is wrong.
    #[error("MongoDB at {hosts} does not accept the user's name and password: {detail}")]
    NotAuthenticated {
        /// Where.
        hosts: String,
        /// What it said.
        detail: String,
    },
    /// The server stands alone.
    #[error(
        "MongoDB at {hosts} is no replica set, and without one there are no transactions: start it \
         with --replSet rs0 and run rs.initiate() once (one node is enough)"
    )]
    NoReplicaSet {
        /// Where.
        hosts: String,
    },
    /// The server waits to be made a replica set.
    #[error(
        "MongoDB at {hosts} was started as a replica set and never initiated: run rs.initiate() once"
    )]
    NotInitiated {
        /// Where.
        hosts: String,
    },
    /// It is another replica set.
    #[error(
        "MongoDB at {hosts} belongs to the replica set {found:?}, the address asks for {asked:?}"
    )]
    OtherReplicaSet {
        /// Where.
        hosts: String,
        /// Its name.
        found: String,
        /// The name in the address.
        asked: String,
    },
    /// The server is too old.
    #[error("MongoDB at {hosts} is too old (wire version {found}): {needed} or newer is needed")]
    TooOld {
        /// Where.
        hosts: String,
        /// What it speaks.
        found: i32,
        /// What is needed.
        needed: &'static str,
    },
    /// The user may not do what the store does.
    #[error(
        "the MongoDB user has not the right to {what} in the database {database:?}: grant it the \
         role readWrite there ({detail})"
    )]
    NoRights {
        /// What was tried.
        what: String,
        /// Where.
        database: String,
        /// What the server said.
        detail: String,
    },
    /// The clocks of the node and the server tell different times.
    #[error(
        "the clock of this machine and that of MongoDB at {hosts} differ by {difference:?}: set \
         both by NTP (leases end by the server's clock, messages carry this machine's)"
    )]
    WrongClock {
        /// Where.
        hosts: String,
        /// By how much.
        difference: Duration,
    },
    /// The documents were made by a newer version.
    #[error(
        "the database {database:?} has schema version {found}, this version of Anteroom knows \
         {known}: run the newer version that made it"
    )]
    NewerSchema {
        /// Which.
        database: String,
        /// Its version.
        found: i32,
        /// The newest version known here.
        known: i32,
    },
    /// An index could not be made.
    #[error("the index {index:?} of {collection:?} could not be made: {detail}")]
    Index {
        /// Which index.
        index: String,
        /// Of which collection.
        collection: String,
        /// What the server said.
        detail: String,
    },
    /// Anything else.
    #[error("MongoDB at {hosts} could not be made ready ({what}): {detail}")]
    Database {
        /// Where.
        hosts: String,
        /// What was tried.
        what: String,
        /// What the server said.
        detail: String,
    },
}
