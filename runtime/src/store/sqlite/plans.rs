//! The query plans that the design promises.

use std::path::Path;

use anteroom_core::time::Timestamp;
use rusqlite::Connection;

use super::{archive, archive_rows, callbacks, claims, job_rows, jobs, schema, sends, sweeps};

/// Goal: what runs often never reads a whole table, and never sorts. Method: SQLite's own plan of each
/// statement names no scan but that of a parameter, and no temporary tree.
#[test]
fn frequent_statements_use_an_index_for_search_and_order() {
    let connection = Connection::open_in_memory().unwrap();
    schema::migrate(&connection, Path::new(":memory:"), Timestamp::ZERO).unwrap();
    for (sql, index) in [
        (claims::NEXT, "jobs_claimable"),
        (claims::FIRST, "jobs_claimable"),
        (claims::END_BACK_OFF, "jobs_backing_off"),
        (claims::NEXT_BACK_OFF, "jobs_backing_off"),
        (claims::HELD, "jobs_lease_token"),
        (jobs::RESTORE, "jobs_bot"),
        (jobs::HOLD, "jobs_bot"),
        (jobs::COMPLETED, "jobs_completed"),
        (jobs::HIGHEST_ID, "jobs_provider_message"),
        (job_rows::INSERT_UNKNOWN, "archive_provider_message"),
        (jobs::HIGHEST_ID, "archive_identity"),
        (jobs::HIGHEST_ID, "quarantine_message"),
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
        (sweeps::LEASE_ENDED, "jobs_lease_expiry"),
        (sweeps::WAITING_ACTIVE, "jobs_waiting_active"),
        (sweeps::WAITING_HOLDING, "jobs_waiting_holding"),
        (sweeps::KEPT_FAILED, "failed_at"),
        (sweeps::KEPT_ARCHIVED, "archive_ended"),
        (sweeps::KEPT_SENDS, "sends_sent"),
        (sweeps::KNOWN, "quarantine_media"),
    ] {
        let plan = plan_of(&connection, sql);
        assert!(plan.iter().any(|step| uses(step, index)), "{index} unused\n{sql}\n{plan:#?}");
        for step in plan {
            let reads_a_table = step.starts_with("SCAN") && !is_of_a_parameter(&step);
            assert!(!reads_a_table, "{step}\n{sql}");
            assert!(!step.contains("TEMP B-TREE"), "{step}\n{sql}");
        }
    }
}

/// Goal: a page of a gated correspondent sorts entries of an index, and reads no body but the page's.
#[test]
fn a_page_in_the_order_of_ids_sorts_an_index() {
    let connection = Connection::open_in_memory().unwrap();
    schema::migrate(&connection, Path::new(":memory:"), Timestamp::ZERO).unwrap();
    let plan = plan_of(&connection, callbacks::OWED_MESSAGE);
    let covered = "USING COVERING INDEX archive_owed_correspondent";
    assert!(plan.iter().any(|step| step.contains(covered)), "{plan:#?}");
    assert!(plan.iter().all(|step| !step.starts_with("SCAN")), "{plan:#?}");
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
