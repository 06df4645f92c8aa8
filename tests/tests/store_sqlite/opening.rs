//! Opening a data directory: what is kept, what is taken over, what is refused.

use anteroom_core::id::Attempt;
use anteroom_core::job::LOST_MAX;
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::store::{
    ArchiveAnswer, InsertAnswer, Mark, MarkAnswer, StoreReply, StoreRequest,
};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::sqlite::{OpenError, SqliteSettings, SqliteStore};
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, acknowledged, id, item, job, key, lease, media, node, text, token, unleased, words,
};

use crate::{Place, refusal};

/// Goal: what was answered is there after the store was dropped without a shutdown.
#[tokio::test]
async fn everything_answered_is_there_after_a_drop() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(1))).await;
    let new = job(&fence, "c", 2, 2, place.clock.now());
    rig.inserted(&fence, &new).await;
    drop(store);
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    assert_eq!(store.list_bots().await.unwrap().len(), 1);
    let fence = rig.acquired("b", 2).await;
    assert_eq!(rig.restore(&fence).await, [new]);
    assert_eq!(rig.owed(&fence).await.len(), 1);
    assert_eq!(rig.next_id(&fence, "c").await, id(3));
}

/// Goal: the next process owns everything at once, under new epochs; leases of the one before are
/// those of lost workers, results are kept.
#[tokio::test]
async fn the_next_process_takes_over_at_once() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let old = rig.bot("b").await;
    for n in [1, 2] {
        let new = job(&old, "c", n, n, place.clock.now());
        rig.inserted_leased(&old, &new, lease(n)).await;
    }
    rig.complete(media(2), token(2), words("x")).await;
    let janitor = |n| StoreRequest::AcquireSingleton {
        name: "janitor".to_owned(),
        node_id: node(n),
        ttl: TTL,
    };
    assert_eq!(rig.ask(janitor(1)).await, StoreReply::AcquireSingleton(true));
    drop(store);
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.acquired("b", 2).await;
    assert!(fence.epoch > old.epoch);
    assert_eq!(rig.ask(janitor(2)).await, StoreReply::AcquireSingleton(true));
    let claimed = rig.claim(POOL, None, lease(3), 9).await;
    let [lost] = &claimed.jobs[..] else { panic!("one job is free, {claimed:?}") };
    assert_eq!((lost.media_id, lost.claims, lost.lost), (media(1), 2, 1));
    let page = rig.completed(&fence, None, 9).await;
    assert_eq!(page.jobs[0].outcome(), Some(&words("x")));
}

/// Goal: a job that takes every process down with it is given up. Method: the process ends under it as
/// often as a worker may be lost, and time stands still.
#[tokio::test]
async fn a_job_that_ends_every_process_is_given_up() {
    let place = Place::new();
    for n in 1..=u64::from(LOST_MAX) {
        let store = place.open();
        let rig = Rig::new(&store, &place.clock);
        let fence = rig.bot("b").await;
        if n == 1 {
            rig.inserted(&fence, &job(&fence, "c", 1, 1, place.clock.now())).await;
        }
        assert_eq!(rig.claim(POOL, None, lease(n), 1).await.jobs.len(), 1);
    }
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    let page = rig.completed(&fence, None, 9).await;
    let lost = Outcome::Failed { error: FailureKind::WorkerLost, detail: None };
    assert_eq!(page.jobs[0].outcome(), Some(&lost));
    assert_eq!(place.count("SELECT count(*) FROM failed"), 1);
}

/// Goal: a second process on one directory is refused by name, and the first is not disturbed; after a
/// shutdown the directory is free.
#[tokio::test]
async fn a_directory_has_one_store() {
    let place = Place::new();
    let store = place.open();
    let error = refusal(&place);
    assert!(matches!(error, OpenError::InUse { .. }));
    let directory = place.directory.path().display().to_string();
    assert!(error.to_string().contains(&directory), "{error}");
    assert!(store.list_bots().await.is_ok());
    store.shutdown().await;
    place.open();
}

/// Goal: a missing directory is made, with its parents.
#[tokio::test]
async fn a_missing_directory_is_made() {
    let place = Place::new();
    let settings = SqliteSettings::new(place.directory.path().join("a/b"));
    let store = SqliteStore::open(settings, place.clock.as_clock()).unwrap();
    assert_eq!(store.list_bots().await, Ok(Vec::new()));
}

/// Goal: a path that is no directory is refused by name.
#[test]
fn a_file_is_no_directory() {
    let place = Place::new();
    let path = place.directory.path().join("file");
    std::fs::write(&path, "").unwrap();
    let opened = SqliteStore::open(SqliteSettings::new(&path), place.clock.as_clock());
    let Err(error) = opened else { panic!("a file was opened as a directory") };
    assert!(matches!(error, OpenError::Directory { .. }));
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

/// Goal: a damaged database is told as such, whether all of it is garbage or its first pages are.
#[tokio::test]
async fn a_damaged_database_is_refused() {
    let place = Place::new();
    std::fs::write(place.file(), "garbage ".repeat(4_096)).unwrap();
    let error = refusal(&place);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    std::fs::remove_file(place.file()).unwrap();
    place.open().shutdown().await;
    let mut bytes = std::fs::read(place.file()).unwrap();
    bytes[100..4_096].fill(0xff);
    std::fs::write(place.file(), bytes).unwrap();
    let error = refusal(&place);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

/// Goal: a database of a newer version is refused and left as it is.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = Place::new();
    place.open().shutdown().await;
    place.tamper("INSERT INTO schema_migrations VALUES (1000000, 'from the future', 0)");
    place.tamper("UPDATE ownership SET node_id = NULL; DROP TABLE sends");
    let error = refusal(&place);
    assert!(matches!(error, OpenError::NewerSchema { found: 1_000_000, .. }), "{error}");
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'sends'";
    assert_eq!(place.count(tables), 0);
}

/// Goal: somebody else's database is refused and left as it is.
#[test]
fn a_foreign_database_is_refused() {
    let place = Place::new();
    place.tamper("CREATE TABLE bots (name TEXT)");
    assert!(matches!(refusal(&place), OpenError::Foreign { .. }));
    assert_eq!(place.count("SELECT count(*) FROM sqlite_schema"), 1);
}

/// Goal: each migration is recorded once, however often the directory is opened.
#[tokio::test]
async fn migrations_are_recorded_once() {
    let place = Place::new();
    place.open().shutdown().await;
    let recorded = "SELECT count(*) FROM schema_migrations";
    let once = place.count(recorded);
    assert!(once > 0);
    place.open().shutdown().await;
    assert_eq!(place.count(recorded), once);
}

/// Makes the database one of version 2.
const BACK_TO_VERSION_2: &str = "
    DELETE FROM schema_migrations WHERE version > 2;
    DROP INDEX jobs_provider_message;
    DROP INDEX archive_identity;
    DROP INDEX archive_provider_message;
    DROP INDEX archive_owed_bot;
    DROP INDEX archive_owed_correspondent;
    DROP INDEX jobs_bot;
    DROP INDEX jobs_completed;
    CREATE INDEX jobs_completed
        ON jobs (bot_id, media_id) WHERE place = 'active' AND status = 'completed';
    DROP INDEX jobs_listed;
    CREATE INDEX jobs_bot ON jobs (bot_id, media_id);
    CREATE INDEX jobs_listed ON jobs (created_at, media_id, place, bot_id, pool);
    DROP INDEX archive_media;
    CREATE INDEX archive_media ON archive (media_id) WHERE media_id IS NOT NULL;
    DROP TABLE correspondents;
    ALTER TABLE jobs DROP COLUMN correspondent;
    ALTER TABLE archive DROP COLUMN correspondent;
    CREATE UNIQUE INDEX jobs_provider_message
        ON jobs (bot_id, correspondent_id, provider_message_id) WHERE revision = 0;
    CREATE UNIQUE INDEX archive_identity ON archive (bot_id, provider_name, correspondent_id, id);
    CREATE UNIQUE INDEX archive_provider_message
        ON archive (bot_id, correspondent_id, provider_message_id);
    CREATE INDEX archive_owed_bot
        ON archive (bot_id, seq, correspondent_id) WHERE callback = 'owed';
    CREATE INDEX archive_owed_correspondent
        ON archive (bot_id, correspondent_id, seq, id) WHERE callback = 'owed';
    ALTER TABLE archive DROP COLUMN epoch;
    ALTER TABLE archive DROP COLUMN worker_id;
    ALTER TABLE archive DROP COLUMN claimed_at;
    ALTER TABLE archive DROP COLUMN work_ended_at;
    DROP INDEX jobs_leased;
    CREATE INDEX jobs_lease_token ON jobs (lease_token) WHERE lease_token IS NOT NULL;
    CREATE INDEX jobs_lease_expiry ON jobs (lease_expires_at) WHERE lease_expires_at IS NOT NULL;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql,
        'status = ''pending'' OR status = ''processing'' OR status = ''completed''',
        'status IN (''pending'', ''processing'', ''completed'')')
    WHERE name = 'jobs';
    UPDATE sqlite_schema SET sql = replace(sql,
        'callback = ''none'' OR callback = ''owed'' OR callback = ''acknowledged''
        OR callback = ''undeliverable''',
        'callback IN (''none'', ''owed'', ''acknowledged'', ''undeliverable'')')
    WHERE name = 'archive';
    PRAGMA writable_schema = RESET;";

/// Goal: a database of version 2 keeps what is in it, gets the newest schema once, and still refuses
/// what is no state. Method: a job under a lease and an owed message before and after, which was never sent;
/// the schema against a new database's.
#[tokio::test]
async fn a_database_of_version_2_is_upgraded() {
    let place = Place::new();
    let store = place.open();
    let newest = schema(&place);
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(1))).await;
    let new = job(&fence, "c", 2, 2, place.clock.now());
    rig.inserted_leased(&fence, &new, lease(2)).await;
    store.shutdown().await;
    place.tamper(BACK_TO_VERSION_2);
    place.tamper("UPDATE archive SET attempts = 0");
    let lists = "SELECT count(*) FROM sqlite_schema
         WHERE sql LIKE '%(status IN (%' OR sql LIKE '%(callback IN (%'";
    assert_eq!(place.count(lists), 2, "it is of version 2");
    for _ in 0..2 {
        place.open().shutdown().await;
        assert_eq!(schema(&place), newest);
        assert_eq!(place.count("SELECT count(*) FROM schema_migrations WHERE version > 2"), 6);
        let whole = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'";
        assert_eq!(place.count(whole), 1);
    }
    for wrong in ["UPDATE jobs SET status = 'x'", "UPDATE archive SET callback = 'x'"] {
        let error = place.database().execute_batch(wrong).unwrap_err();
        assert!(error.to_string().contains("CHECK constraint failed"), "{error}");
    }
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.acquired("b", 2).await;
    let never_sent = Mark { sent: false, ..acknowledged(key("c", 1, 0)) };
    assert_eq!(rig.mark(&fence, never_sent).await, MarkAnswer::Unknown);
    let [owed] = &rig.owed(&fence).await[..] else { panic!("one callback is owed") };
    assert_eq!(owed.attempt, Attempt(1));
    let answers = rig.archive(&fence, vec![item("c", text(1))]).await;
    assert!(matches!(answers[..], [ArchiveAnswer::AlreadyStored { .. }]), "{answers:?}");
    let mut again = job(&fence, "c", 3, 3, place.clock.now());
    again.placeholder_message.provider_message_id = "p2".into();
    let known = InsertAnswer::DuplicateProviderMessage { message_id: id(2) };
    assert_eq!(rig.insert(&fence, vec![unleased(again)]).await, [known]);
    assert_eq!(rig.next_id(&fence, "c").await, id(3));
    let claimed = rig.claim(POOL, None, lease(3), 9).await;
    assert_eq!(claimed.jobs.iter().map(|job| job.media_id).collect::<Vec<_>>(), [media(2)]);
    assert_eq!(rig.claim(POOL, None, lease(3), 9).await.jobs, claimed.jobs, "the token finds it");
}

/// Every table and index as it is written down.
fn schema(place: &Place) -> Vec<(String, Option<String>)> {
    let database = place.database();
    let mut statement = database
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .expect("the statement is valid");
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .expect("a name and a text")
}

/// Goal: commits go to a log beside the database, which a shutdown folds in.
#[tokio::test]
async fn the_log_is_written_ahead() {
    let place = Place::new();
    let store = place.open();
    let mode: String =
        place.database().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    store.shutdown().await;
    let log = place.directory.path().join("anteroom.sqlite3-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0, "the log is folded in");
}
