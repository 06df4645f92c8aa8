//! A real MongoDB server for tests: a replica set of one node on 127.0.0.1.
//!
//! Owns [`Mongod`], a server of a test's own that can be killed and started again on its data, and
//! [`Mongod::shared`], the one server that all tests of a run share, each in a database of its own.
//! Where the program comes from is in [`install`]; who ends it, and when, in [`keeper`].
//!
//! **Invariant**: no server outlives its test or its run, however that ends: the keeper sees the end
//! of a pipe, or that nobody holds the lock any more.

pub mod install;

mod keeper;
mod shared;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tempfile::TempDir;
use tokio::time::Instant;

use self::keeper::Kept;
use crate::PATIENCE;

/// The name of the replica set.
const REPLICA_SET: &str = "rs0";

/// A server of a test's own. It is gone when the value is dropped, its data with it.
#[derive(Debug)]
pub struct Mongod {
    home: TempDir,
    port: u16,
    running: Option<Kept>,
}

/// The cache of a server beside which others run.
const SMALL_CACHE_GIB: &str = "0.5";

/// The cache of a server that is alone.
const LARGE_CACHE_GIB: &str = "4";

impl Mongod {
    /// Starts a server on a free port with an empty data directory, as a replica set that takes
    /// writes.
    ///
    /// # Panics
    /// When it is not ready in time; the message holds the end of its log.
    pub async fn start() -> Self {
        let mongod = Self::start_standalone(true).await;
        initiate(mongod.port).await;
        mongod
    }

    /// Starts a server as [`Self::start`] does, with as large a cache as one has that is alone on a machine:
    /// by default it takes half of the memory. It does not write down for an hour which sessions were used,
    /// by default each of them every five minutes, for that would count as whatever is measured then.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn with_room() -> Self {
        let more = ["--setParameter", "logicalSessionRefreshMillis=3600000"].map(str::to_owned);
        let mongod = Self::start_with(true, LARGE_CACHE_GIB, |_| more.to_vec()).await;
        initiate(mongod.port).await;
        mongod
    }

    /// Starts a server that is no replica set.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn without_replica_set() -> Self {
        Self::start_standalone(false).await
    }

    /// Starts a server that waits to be made a replica set.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn not_initiated() -> Self {
        Self::start_standalone(true).await
    }

    /// Starts a server as [`Self::start`] does, that can be told to fail.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn with_fail_points() -> Self {
        let more = ["--setParameter", "enableTestCommands=1"].map(str::to_owned);
        let mongod = Self::start_with(true, SMALL_CACHE_GIB, |_| more.to_vec()).await;
        initiate(mongod.port).await;
        mongod
    }

    /// Starts a replica set that asks for names and passwords, with users that have a role each in the
    /// database `d`. Their password is `password`.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn with_users(users: &[(&str, &str)]) -> Self {
        let key = |home: &Path| {
            let file = home.join("key");
            std::fs::write(&file, "a key that members of a replica set share").expect("a file");
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, private).expect("it is our own file");
            vec!["--auth".to_owned(), "--keyFile".to_owned(), path_text(&file)]
        };
        let mongod = Self::start_with(true, SMALL_CACHE_GIB, key).await;
        initiate(mongod.port).await;
        // The first user may be made from this machine by anybody, and makes the others.
        let password = "password";
        let root = doc! { "createUser": "root", "pwd": password, "roles": ["root"] };
        command(&direct(mongod.port), root).await.expect("the first user can be made");
        let port = mongod.port;
        let uri = format!("mongodb://root:{password}@127.0.0.1:{port}/?directConnection=true");
        let client = Client::with_uri_str(uri).await.expect("the address is valid");
        for (name, role) in users {
            let roles = [doc! { "role": *role, "db": "d" }];
            let user = doc! { "createUser": *name, "pwd": password, "roles": roles };
            command(&client, user).await.expect("a user can be made");
        }
        mongod
    }

    async fn start_standalone(replicates: bool) -> Self {
        Self::start_with(replicates, SMALL_CACHE_GIB, |_| Vec::new()).await
    }

    async fn start_with(
        replicates: bool,
        cache_gib: &str,
        more: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let port = crate::server::quiet_port();
        let mut arguments = arguments(home.path(), port, replicates, cache_gib);
        arguments.extend(more(home.path()));
        let mut mongod = Self { home, port, running: None };
        mongod.running = Some(Kept::private(&arguments));
        answers(port, mongod.home.path()).await;
        mongod
    }

    /// Where clients find a database of it.
    pub fn uri(&self, database: &str) -> String {
        uri(self.port, database)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as a power cut would, and waits until it is gone. Its data stays.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill9(&mut self) {
        self.running.take().expect("the server runs").kill().await;
    }

    /// Starts it again on the same data and the same port, with a small cache, and waits until it takes
    /// writes.
    ///
    /// # Panics
    /// When it runs, or as [`Self::start`].
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "kill the server before it is started again");
        let arguments = arguments(self.home.path(), self.port, true, SMALL_CACHE_GIB);
        self.running = Some(Kept::private(&arguments));
        answers(self.port, self.home.path()).await;
        takes_writes(self.port).await;
    }

    /// The server that all tests of a run share; `ANTEROOM_TEST_MONGODB_URI` where that is set.
    ///
    /// # Panics
    /// When there is none and none can be started.
    pub async fn shared() -> SharedMongod {
        match std::env::var("ANTEROOM_TEST_MONGODB_URI") {
            Ok(uri) if !uri.is_empty() => SharedMongod { place: Place::Given(uri) },
            Ok(_) | Err(_) => SharedMongod { place: Place::Own(shared::join().await) },
        }
    }
}

/// A use of the shared server; it runs for as long as anybody has one.
#[derive(Debug)]
pub struct SharedMongod {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// One that somebody else looks after.
    Given(String),
    /// One of the run's own.
    Own(shared::Membership),
}

impl SharedMongod {
    /// Where clients find a database of it.
    pub fn uri(&self, database: &str) -> String {
        match &self.place {
            Place::Own(membership) => uri(membership.port(), database),
            Place::Given(uri) => with_database(uri, database),
        }
    }

    /// The port it listens on; none of a server that is not of this run.
    pub fn port(&self) -> Option<u16> {
        match &self.place {
            Place::Own(membership) => Some(membership.port()),
            Place::Given(_) => None,
        }
    }

    /// The name of a database that nobody else has.
    pub fn fresh_database() -> String {
        format!("anteroom_test_{}", uuid::Uuid::new_v4().simple())
    }

    /// A client's view of a database, past the store.
    ///
    /// # Panics
    /// When the address makes no sense.
    pub async fn database(&self, name: &str) -> Database {
        let client = Client::with_uri_str(self.uri(name)).await;
        client.expect("the address of a test server is valid").database(name)
    }
}

fn uri(port: u16, database: &str) -> String {
    format!("mongodb://127.0.0.1:{port}/{database}?replicaSet={REPLICA_SET}")
}

/// The address with its database replaced.
fn with_database(uri: &str, database: &str) -> String {
    let (uri, options) = uri.split_once('?').map_or((uri, None), |(uri, o)| (uri, Some(o)));
    let hosts_begin = uri.find("://").map_or(0, |at| at + 3);
    let hosts_end = uri[hosts_begin..].find('/').map_or(uri.len(), |at| hosts_begin + at);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{}/{database}{options}", &uri[..hosts_end])
}

fn arguments(home: &Path, port: u16, replicates: bool, cache_gib: &str) -> Vec<String> {
    let data = home.join("data");
    std::fs::create_dir_all(&data).expect("a directory can be made in a temporary one");
    let mut arguments = vec![path_text(&install::mongod())];
    let fixed = ["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet"];
    arguments.extend(fixed.map(str::to_owned));
    arguments.extend(["--wiredTigerCacheSizeGB".to_owned(), cache_gib.to_owned()]);
    let parameter = "diagnosticDataCollectionEnabled=false";
    arguments.extend(["--setParameter".to_owned(), parameter.to_owned()]);
    arguments.extend(["--port".to_owned(), port.to_string()]);
    arguments.extend(["--dbpath".to_owned(), path_text(&data)]);
    arguments.extend(["--logpath".to_owned(), path_text(&log(home)), "--logappend".to_owned()]);
    if replicates {
        arguments.extend(["--replSet".to_owned(), REPLICA_SET.to_owned()]);
    }
    arguments
}

fn log(home: &Path) -> PathBuf {
    home.join("mongod.log")
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("the paths of tests are UTF-8").to_owned()
}

/// A connection to this very server, whatever its part in a replica set.
fn direct(port: u16) -> Client {
    let mut options = ClientOptions::default();
    let host =
        mongodb::options::ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) };
    options.hosts = vec![host];
    options.direct_connection = Some(true);
    options.server_selection_timeout = Some(Duration::from_secs(2));
    Client::with_options(options).expect("the options of a test client are valid")
}

async fn command(client: &Client, command: Document) -> mongodb::error::Result<Document> {
    client.database("admin").run_command(command).await
}

/// Waits until the server answers at all.
async fn answers(port: u16, home: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if Instant::now() > deadline {
            panic!("mongod did not listen within {PATIENCE:?}; {}", end_of_log(home));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn end_of_log(home: &Path) -> String {
    let log = std::fs::read_to_string(log(home)).unwrap_or_default();
    let end: Vec<&str> = log.lines().rev().take(20).collect();
    format!("the end of its log, last line first:\n{}", end.join("\n"))
}

/// Makes the server a replica set of one node, once for its data.
async fn initiate(port: u16) {
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
    let settings = doc! { "electionTimeoutMillis": 1_000, "heartbeatIntervalMillis": 500 };
    let config = doc! { "_id": REPLICA_SET, "members": [member], "settings": settings };
    let initiated = command(&direct(port), doc! { "replSetInitiate": config }).await;
    initiated.expect("a new server can be made a replica set");
    takes_writes(port).await;
}

/// Waits until the server is a primary.
async fn takes_writes(port: u16) {
    let client = direct(port);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let hello = command(&client, doc! { "hello": 1 }).await;
        if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
            return;
        }
        assert!(Instant::now() < deadline, "mongod took no writes within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a given address keeps its hosts, its credentials and its options under another database.
    #[test]
    fn a_given_address_is_used_with_another_database() {
        for (given, expected) in [
            ("mongodb://h:1", "mongodb://h:1/d"),
            ("mongodb://h:1/", "mongodb://h:1/d"),
            ("mongodb://u:p@h:1,i:2/x?a=b", "mongodb://u:p@h:1,i:2/d?a=b"),
            ("mongodb://h:1?a=/b", "mongodb://h:1/d?a=/b"),
        ] {
            assert_eq!(with_database(given, "d"), expected);
        }
    }

    /// Goal: what was written with majority and journal is there after a kill and a restart.
    #[tokio::test]
    async fn data_survives_a_kill() {
        let mut mongod = Mongod::start().await;
        let connect = async |mongod: &Mongod| {
            let client = Client::with_uri_str(mongod.uri("d")).await;
            client.expect("the address is valid").database("d").collection::<Document>("c")
        };
        let before = connect(&mongod).await;
        before.insert_one(doc! { "_id": 1 }).await.expect("a primary takes writes");
        mongod.kill9().await;
        mongod.restart().await;
        let found = connect(&mongod).await.find_one(doc! { "_id": 1 }).await;
        assert!(found.expect("a primary answers").is_some());
    }
}
