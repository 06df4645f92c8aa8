//! The embedded store, held by another process for a while.

use crate::Server;

/// A hold on a server's embedded store: until it is let go, nothing that the server writes becomes durable.
#[derive(Debug)]
pub struct HeldStore(rusqlite::Connection);

impl HeldStore {
    /// Takes hold of the database of a server with an embedded store.
    ///
    /// # Panics
    /// When there is no database, or somebody else holds it.
    pub fn of(server: &Server) -> Self {
        let database = server.data_directory().join("anteroom.sqlite3");
        let elsewhere = rusqlite::Connection::open(database).expect("the database is there");
        elsewhere.busy_timeout(crate::PATIENCE).expect("a time-out can be set");
        elsewhere.execute_batch("BEGIN IMMEDIATE").expect("the database is free in time");
        Self(elsewhere)
    }

    /// Lets go of it, unchanged.
    ///
    /// # Panics
    /// Never: nothing was changed.
    pub fn release(self) {
        self.0.execute_batch("COMMIT").expect("nothing was changed");
    }
}
