//! Opening: the connection, what must hold of the server, and the shape of the database.
//!
//! In this order, and each step names what is missing: the address, somebody who answers, a replica
//! set, its version, the clocks, the collections, the migrations, the indexes.

use std::time::{Duration, SystemTime};

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};

use super::abandoned::{APP_NAME, LastLook};
use super::collections;
use super::connection::{Connection, reads, write_concern};
use super::failure::{code_of, explain, is_unauthorized};
use super::given::Given;
use super::indexes::indexes;
use super::known_bots::KnownBots;
use super::next_id::NextIds;
use super::open_error::OpenError;
use super::store_time::StoreTime;
use super::turns::Turns;
use super::unsettled::Unsettled;
use super::{MongoSettings, migrations};

/// The database, where the address names none.
const DATABASE: &str = "anteroom";

/// The oldest server, as it is said to people and as servers say it.
const OLDEST: (&str, i32) = ("MongoDB 6.0", 17);

/// How far the clocks may be apart before the node refuses to start, and before it says so.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(5 * 60);
const CLOCKS_APART_SAID: Duration = Duration::from_secs(2);

/// The collection is there already.
const NAMESPACE_EXISTS: i32 = 48;

/// Connects, and makes everything ready.
pub(super) async fn open(
    settings: &MongoSettings,
    time: StoreTime,
) -> Result<Connection, OpenError> {
    let options = options(settings).await?;
    let place = Place::of(&options, settings);
    let asked_set = options.repl_set_name.clone();
    let client = Client::with_options(options)
        .map_err(|error| OpenError::Address { detail: explain(&error) })?;
    let hello = match client.database("admin").run_command(doc! { "hello": 1 }).await {
        Ok(hello) => hello,
        Err(error) => return Err(place.diagnose(error, asked_set).await),
    };
    place.check_server(&hello)?;
    if let StoreTime::Server = time {
        place.check_clock(&hello)?;
    }
    let database = client.database(&place.database);
    place.make_collections(&database).await?;
    let connection = Connection {
        client,
        database,
        clock: time.clock(),
        time,
        turns: Turns::default(),
        unsettled: Unsettled::default(),
        last_look: LastLook::default(),
        known_bots: KnownBots::default(),
        next_ids: NextIds::default(),
        given: Given::default(),
        call_timeout: settings.call_timeout,
    };
    migrations::migrate(&connection).await.map_err(|failed| place.explain_migration(failed))?;
    place.make_indexes(&connection.database).await?;
    Ok(connection)
}

async fn options(settings: &MongoSettings) -> Result<ClientOptions, OpenError> {
    let mut options = ClientOptions::parse(&settings.uri)
        .await
        .map_err(|error| OpenError::Address { detail: explain(&error) })?;
    let (read_concern, selection_criteria) = reads();
    options.app_name = Some(APP_NAME.to_owned());
    options.max_pool_size = Some(settings.connections_max);
    options.connect_timeout = Some(settings.selection_timeout);
    options.server_selection_timeout = Some(settings.selection_timeout);
    options.retry_reads = Some(true);
    options.retry_writes = Some(true);
    options.read_concern = Some(read_concern);
    options.selection_criteria = Some(selection_criteria);
    options.write_concern = Some(write_concern(settings.call_timeout));
    Ok(options)
}

/// Where the store is, as it is told to people.
struct Place {
    hosts: String,
    database: String,
    patience: Duration,
    options: ClientOptions,
}

impl Place {
    fn of(options: &ClientOptions, settings: &MongoSettings) -> Self {
        let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        let database = options.default_database.clone().filter(|name| !name.is_empty());
        Self {
            hosts: hosts.join(","),
            database: database.unwrap_or_else(|| DATABASE.to_owned()),
            patience: settings.selection_timeout,
            options: options.clone(),
        }
    }

    /// Why no server could be asked: the first of them is asked directly, whatever it is.
    async fn diagnose(&self, error: Error, asked_set: Option<String>) -> OpenError {
        if let ErrorKind::Authentication { message, .. } = error.kind.as_ref() {
            let (hosts, detail) = (self.hosts.clone(), message.clone());
            return OpenError::NotAuthenticated { hosts, detail };
        }
        let mut options = self.options.clone();
        options.hosts.truncate(1);
        options.repl_set_name = None;
        options.direct_connection = Some(true);
        let hello = match Client::with_options(options) {
            Ok(client) => client.database("admin").run_command(doc! { "hello": 1 }).await.ok(),
            Err(_) => None,
        };
        let hosts = self.hosts.clone();
        let found = hello.as_ref().map(|hello| hello.get_str("setName"));
        match (hello.as_ref(), found) {
            (Some(hello), Some(Err(_))) if hello.contains_key("isreplicaset") => {
                OpenError::NotInitiated { hosts }
            }
            (Some(_), Some(Err(_))) => OpenError::NoReplicaSet { hosts },
            (Some(_), Some(Ok(found))) if asked_set.as_deref().is_some_and(|set| set != found) => {
                let asked = asked_set.unwrap_or_default();
                OpenError::OtherReplicaSet { hosts, found: found.to_owned(), asked }
            }
            _ => OpenError::Unreachable { hosts, patience: self.patience, detail: explain(&error) },
        }
    }

    fn check_server(&self, hello: &Document) -> Result<(), OpenError> {
        let hosts = || self.hosts.clone();
        let is_router = hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
        if hello.contains_key("isreplicaset") {
            return Err(OpenError::NotInitiated { hosts: hosts() });
        }
        if !is_router && !hello.contains_key("setName") {
            return Err(OpenError::NoReplicaSet { hosts: hosts() });
        }
        let found = hello.get_i32("maxWireVersion").unwrap_or_default();
        let (needed, oldest) = OLDEST;
        if found < oldest {
            return Err(OpenError::TooOld { hosts: hosts(), found, needed });
        }
        Ok(())
    }

    fn check_clock(&self, hello: &Document) -> Result<(), OpenError> {
        let Ok(theirs) = hello.get_datetime("localTime") else { return Ok(()) };
        let theirs = theirs.to_system_time();
        let ours = SystemTime::now();
        let difference = ours
            .duration_since(theirs)
            .or_else(|_| theirs.duration_since(ours))
            .unwrap_or_default();
        if difference > CLOCKS_APART_MAX {
            return Err(OpenError::WrongClock { hosts: self.hosts.clone(), difference });
        }
        if difference > CLOCKS_APART_SAID {
            tracing::warn!(?difference, "the clocks of this machine and of MongoDB differ");
        }
        Ok(())
    }

    async fn make_collections(&self, database: &Database) -> Result<(), OpenError> {
        let listed = database.list_collection_names().await;
        let listed = listed.map_err(|error| self.refused(&error, "list the collections"))?;
        for name in collections::ALL {
            if listed.iter().any(|listed| listed == name) {
                continue;
            }
            match database.create_collection(name).await {
                Ok(()) => {}
                // Another node was faster.
                Err(error) if code_of(&error) == Some(NAMESPACE_EXISTS) => {}
                Err(error) => {
                    return Err(self.refused(&error, &format!("make the collection {name}")));
                }
            }
        }
        Ok(())
    }

    async fn make_indexes(&self, database: &Database) -> Result<(), OpenError> {
        let mut models = std::collections::BTreeMap::<&str, Vec<_>>::new();
        for index in indexes() {
            models.entry(index.collection).or_default().push(index);
        }
        for (collection, indexes) in models {
            let names: Vec<&str> = indexes.iter().map(|index| index.name).collect();
            let names = names.join(", ");
            let models: Vec<_> = indexes.into_iter().map(|index| index.model()).collect();
            let made = database.collection::<Document>(collection).create_indexes(models).await;
            made.map_err(|error| match is_unauthorized(&error) {
                true => self.refused(&error, &format!("make indexes of {collection}")),
                false => OpenError::Index {
                    index: names,
                    collection: collection.to_owned(),
                    detail: explain(&error),
                },
            })?;
        }
        Ok(())
    }

    fn explain_migration(&self, failed: migrations::Failed) -> OpenError {
        match failed {
            migrations::Failed::Newer { found, known } => {
                OpenError::NewerSchema { database: self.database.clone(), found, known }
            }
            migrations::Failed::Step { name, failure } => OpenError::Database {
                hosts: self.hosts.clone(),
                what: format!("the migration {name:?}"),
                detail: failure.to_string(),
            },
        }
    }

    /// What an error of the server means, for what was tried.
    fn refused(&self, error: &Error, what: &str) -> OpenError {
        let detail = explain(error);
        if is_unauthorized(error) {
            let database = self.database.clone();
            return OpenError::NoRights { what: what.to_owned(), database, detail };
        }
        OpenError::Database { hosts: self.hosts.clone(), what: what.to_owned(), detail }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;

    use super::*;

    fn place() -> Place {
        Place::of(&ClientOptions::default(), &MongoSettings::new("mongodb://localhost"))
    }

    /// Goal: a server is taken only if it is a member of a replica set, or a router, of a version that
    /// is known to do; what is missing is told apart.
    #[test]
    fn servers_are_judged_by_what_they_say() {
        let member = |version: i32| doc! { "setName": "rs0", "maxWireVersion": version };
        let router = doc! { "msg": "isdbgrid", "maxWireVersion": 21 };
        for fine in [member(17), member(25), router] {
            assert!(place().check_server(&fine).is_ok(), "{fine}");
        }
        let refused = |hello: Document| place().check_server(&hello).expect_err("it is refused");
        assert!(matches!(refused(member(13)), OpenError::TooOld { found: 13, .. }));
        let alone = doc! { "maxWireVersion": 17 };
        assert!(matches!(refused(alone), OpenError::NoReplicaSet { .. }));
        let waiting = doc! { "maxWireVersion": 17, "isreplicaset": true };
        assert!(matches!(refused(waiting), OpenError::NotInitiated { .. }));
    }

    /// Goal: clocks that are far apart are refused, in either direction.
    #[test]
    fn clocks_that_are_far_apart_are_refused() {
        let hello = |ahead_ms: i64| {
            let theirs = DateTime::now().timestamp_millis() + ahead_ms;
            doc! { "localTime": DateTime::from_millis(theirs) }
        };
        for apart in [0, 60_000, -60_000] {
            assert!(place().check_clock(&hello(apart)).is_ok(), "{apart}");
        }
        for apart in [600_000, -600_000] {
            let error = place().check_clock(&hello(apart)).expect_err("it is refused");
            let OpenError::WrongClock { difference, .. } = &error else { panic!("{error:?}") };
            assert!(difference.as_secs().abs_diff(600) < 5, "{error}");
        }
    }
}
