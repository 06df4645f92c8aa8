//! The query plans that the design promises.

use std::path::Path;

use anteroom_core::time::Timestamp;
use rusqlite::Connection;

use crate::store::views::{CallbackFilter, CallbackQuery, JobFilter, JobQuery, JobState};

use super::{
    archive, archive_rows, callbacks, claims, correspondents, job_rows, jobs, schema, sends,
    sweeps, views,
};

/// Goal: what runs often never reads a whole table, and never sorts. Method: SQLite's own plan of each
/// statement names no scan but that of a parameter, and no temporary tree.
#[test]
fn frequent_statements_use_an_index_for_search_and_order() {
    let connection = newest_schema();
    for (sql, index) in [
        (claims::NEXT, "jobs_claimable"),
        (claims::FIRST, "jobs_claimable"),
        (claims::END_BACK_OFF, "jobs_backing_off"),
        (claims::NEXT_BACK_OFF, "jobs_backing_off"),
        (claims::HELD, "jobs_leased"),
        (jobs::RESTORE, "jobs_bot"),
        (jobs::HOLD, "jobs_bot"),
        (jobs::HELD, "jobs_bot"),
        (jobs::COMPLETED, "jobs_completed"),
        (jobs::HIGHEST_ID, "jobs_provider_message"),
        (job_rows::INSERT_UNKNOWN, "archive_provider_message"),
        (jobs::HIGHEST_ID, "archive_identity"),
        (jobs::HIGHEST_ID, "quarantine_message"),
        (correspondents::NUMBER, "correspondents_name"),
        (job_rows::BY_PROVIDER_MESSAGE, "jobs_provider_message"),
        (archive_rows::BY_ID, "archive_identity"),
        (archive_rows::BY_PROVIDER_MESSAGE, "archive_provider_message"),
        (archive::RETAINED, "archive_retained"),
        (archive::GIVE_UP_RETAINED, "archive_retained"),
        (archive::END_HELD, "sqlite_autoindex_jobs_1"),
        (callbacks::END, "archive_identity"),
        (callbacks::OWED_BOT, "archive_owed_bot"),
        (callbacks::OWED_CORRESPONDENT, "archive_owed_correspondent"),
        (sends::OWED, "sends_owed"),
        (sweeps::LEASE_ENDED, "jobs_leased"),
        (sweeps::WAITING_ACTIVE, "jobs_waiting_active"),
        (sweeps::WAITING_HOLDING, "jobs_waiting_holding"),
        (sweeps::KEPT_FAILED, "failed_listed"),
        (sweeps::KEPT_ARCHIVED, "archive_ended"),
        (sweeps::KEPT_SENDS, "sends_sent"),
        (sweeps::KNOWN, "quarantine_media"),
        (views::BY_MEDIA, "archive_media"),
        (views::LAST_BEFORE, "PRIMARY"),
        (views::BY_MESSAGE, "archive_identity"),
        (views::WAITING_MESSAGE, "jobs_provider_message"),
        (views::LEASED, "jobs_leased"),
    ] {
        let plan = plan_of(&connection, sql);
        assert!(plan.iter().any(|step| uses(step, index)), "{index} unused\n{sql}\n{plan:#?}");
        for step in plan {
            let reads_a_table = step.starts_with("SCAN") && !is_of_a_parameter(&step);
            // Leases are few.
            assert!(!reads_a_table || uses(&step, "jobs_leased"), "{step}\n{sql}");
            assert!(!step.contains("TEMP B-TREE"), "{step}\n{sql}");
        }
    }
}

/// Goal: who looks through all leases reads no job but those that are asked for. Method: what is asked by stands
/// in the index, so the same question for ids alone reads nothing else.
#[test]
fn leases_are_looked_through_in_their_index() {
    let connection = newest_schema();
    let rows = claims::HELD.replace("media_id, body", "rowid");
    assert_ne!(rows, claims::HELD, "it asks for bodies");
    let plan = plan_of(&connection, &rows);
    let covered = "USING COVERING INDEX jobs_leased";
    assert!(plan.iter().any(|step| step.contains(covered)), "{plan:#?}");
}

/// Goal: what every job costs is written to the tables and indexes, and nowhere else. Method: no
/// instruction of the statements makes a table of its own, as a list of values in a check does.
#[test]
fn writing_a_job_makes_no_table_of_its_own() {
    let connection = newest_schema();
    for sql in [
        job_rows::INSERT_UNKNOWN,
        job_rows::UPDATE,
        archive::END_HELD,
        archive::INSERT,
        callbacks::END,
    ] {
        let mut statement = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let instructions = statement.raw_query().mapped(|row| row.get::<_, String>(1));
        let instructions: Vec<_> = instructions.collect::<rusqlite::Result<_>>().unwrap();
        assert!(instructions.iter().any(|name| name == "OpenWrite"), "{sql}");
        assert!(instructions.iter().all(|name| name != "OpenEphemeral"), "{sql}");
    }
}

/// Goal: a page of a gated correspondent sorts entries of an index, and reads no body but the page's.
#[test]
fn a_page_in_the_order_of_ids_sorts_an_index() {
    let connection = newest_schema();
    let plan = plan_of(&connection, callbacks::OWED_MESSAGE);
    let covered = "USING COVERING INDEX archive_owed_correspondent";
    assert!(plan.iter().any(|step| step.contains(covered)), "{plan:#?}");
    assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{plan:#?}");
}

/// Goal: whatever operators filter by, a list goes by its index in its own order. Method: every filter
/// alone and all together, in both orders, from the beginning and from the middle.
#[test]
fn operators_lists_go_by_an_index() {
    let connection = newest_schema();
    for state in [JobState::Active, JobState::Holding, JobState::Failed] {
        for choice in 0..32_u8 {
            let chosen = |bit: u8| choice & (1 << bit) != 0;
            let filter = JobFilter {
                state,
                bot_id: chosen(0).then(|| "b".into()),
                pool: chosen(1).then(|| "audio".into()),
                status: None,
                reason: (chosen(2) && state == JobState::Failed).then(|| "engine".to_owned()),
                before: chosen(3).then_some(Timestamp::from_ms(5)),
            };
            let after = chosen(4).then(|| (Timestamp::ZERO, uuid::Uuid::nil().into()));
            for newest_first in [false, true] {
                let filter = filter.clone();
                let query = JobQuery { filter, newest_first, after, limit: 50 };
                for asked in views::Asked::page_of_jobs(&query) {
                    by_index(&connection, &asked.sql);
                }
            }
            for asked in views::Asked::jobs("count(*)", &filter) {
                by_index(&connection, &asked.sql);
            }
        }
    }
    for state in [CallbackFilter::Owed, CallbackFilter::Undeliverable] {
        for bot_id in [None, Some("b".into())] {
            for after in [None, Some(("b".into(), anteroom_core::id::ArchiveSeq(7)))] {
                let query = CallbackQuery { state, bot_id: bot_id.clone(), after, limit: 50 };
                by_index(&connection, &views::Asked::page_of_callbacks(&query).sql);
            }
        }
    }
}

/// A list may go through its own index from one end, but through no table, and never sorts.
fn by_index(connection: &Connection, sql: &str) {
    let plan = plan_of(connection, sql);
    assert_eq!(plan.len(), 1, "{sql}\n{plan:#?}");
    assert!(plan.iter().all(|step| step.contains(" INDEX ")), "{sql}\n{plan:#?}");
}

/// An empty database.
fn newest_schema() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    schema::migrate(&connection, Path::new(":memory:"), Timestamp::ZERO).unwrap();
    connection
}

fn plan_of(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
    steps.collect::<rusqlite::Result<_>>().unwrap()
}

fn uses(step: &str, index: &str) -> bool {
    step.split(' ').any(|word| word == index)
}

/// The list of correspondents to leave out, and the one row of constants around a scalar query.
fn is_of_a_parameter(step: &str) -> bool {
    step.starts_with("SCAN json_each ") || step == "SCAN CONSTANT ROW"
}
