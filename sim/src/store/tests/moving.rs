//! Jobs of a bot that starts, runs and stops.

use anteroom_core::job::{Job, Place, Status};
use anteroom_core::store::{JobCursor, JobPage, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use super::support::{Bench, ask, fence, heard, job, media, token};

/// The place of a job with a number: all are made at one moment.
fn cursor(number: u128) -> JobCursor {
    JobCursor::of(&job("a", "c", number))
}

fn restore(after: Option<u128>, limit: u32) -> StoreRequest {
    StoreRequest::RestoreBot {
        fence: fence("a", 1),
        after: after.map(cursor),
        limit,
        offers: Vec::new(),
        routing: None,
    }
}

fn completed(after: Option<u128>, limit: u32) -> StoreRequest {
    StoreRequest::CompletedJobs { fence: fence("a", 1), after: after.map(cursor), limit }
}

fn numbers(page: &JobPage) -> Vec<u128> {
    page.jobs.iter().map(|job| job.media_id.as_uuid().as_u128()).collect()
}

/// Goal: holding takes all of a bot's jobs, keeps leases and results, and counts what is held.
#[test]
fn holding_keeps_leases_and_results() {
    let mut bench = Bench::new();
    bench.completed_job(1, heard("hello"));
    bench.insert(&[job("a", "c", 2)]);
    bench.claim(2, 1);
    bench.insert(&[job("a", "c", 3)]);
    let hold = StoreRequest::HoldBot(fence("a", 1));
    assert_eq!(bench.apply_twice(&hold), Ok(StoreReply::HoldBot(3)));
    let held = Place::Holding { held_at: bench.now };
    assert!(bench.model.jobs().all(|job| job.place == held));
    assert_eq!(bench.model.job(media(2)).and_then(Job::lease).map(|l| l.token), Some(token(2)));
    assert!(matches!(bench.status(1), Status::Completed { .. }));
    bench.pass(Millis::from_secs(1));
    assert_eq!(ask!(bench, HoldBot, hold), 3);
    assert!(bench.model.jobs().all(|job| job.place == held), "held once, since then");
    assert_eq!(ask!(bench, HoldBot, StoreRequest::HoldBot(fence("b", 1))), 0);
}

/// Goal: restoring pages through holding and active jobs of the bot alike and makes them active now.
#[test]
fn restoring_activates_and_adopts_every_job() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1), job("a", "d", 2)]);
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    bench.insert(&[job("a", "c", 3)]);
    bench.pass(Millis::from_secs(5));
    let first = ask!(bench, RestoreBot, restore(None, 2));
    assert_eq!((numbers(&first), first.more), (vec![1, 2], true));
    let reply = bench.apply_twice(&restore(Some(2), 2));
    let Ok(StoreReply::RestoreBot(second)) = reply else { panic!("{reply:?}") };
    assert_eq!((numbers(&second), second.more), (vec![3], false));
    for job in first.jobs.iter().chain(&second.jobs) {
        assert_eq!((job.place, job.active_since), (Place::Active, bench.now));
        assert_eq!(bench.model.job(job.media_id), Some(job));
    }
}

/// Goal: a page of results has the active, completed jobs of the bot and nothing else.
#[test]
fn results_are_read_in_pages() {
    let mut bench = Bench::new();
    for number in [1, 2, 4] {
        bench.completed_job(number, heard("hello"));
    }
    bench.insert(&[job("a", "c", 3)]);
    let first = ask!(bench, CompletedJobs, completed(None, 2));
    assert_eq!((numbers(&first), first.more), (vec![1, 2], true));
    let rest = ask!(bench, CompletedJobs, completed(Some(2), 2));
    assert_eq!((numbers(&rest), rest.more), (vec![4], false));
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    assert_eq!(numbers(&ask!(bench, CompletedJobs, completed(None, 9))), []);
}
