//! The janitor's sweeps.

use anteroom_core::id::Epoch;
use anteroom_core::job::{LOST_MAX, Status};
use anteroom_core::message::Outcome;
use anteroom_core::store::{
    CallbackPlan, EnqueueAnswer, NewJob, OwedScope, Send, StoreReply, StoreRequest, Swept,
};
use anteroom_core::time::Millis;

use super::support::{
    Bench, TTL, archive, ask, fence, heard, id, job, lease, mark, marks, media, node, seq,
    text_item,
};

const DAY: Millis = Millis::from_hours(24);
const MOMENT: Millis = Millis::from_ms(1);

fn swept(number: u128, worker: Option<u128>, completed: bool) -> Swept {
    Swept {
        bot_id: "a".into(),
        media_id: media(number),
        pool: "audio".into(),
        worker_id: worker.map(node),
        completed,
    }
}

fn expire(running: &[(&str, u64)], limit: u32) -> StoreRequest {
    StoreRequest::ExpireJobs {
        running: running.iter().map(|(bot, epoch)| ((*bot).into(), Epoch(*epoch))).collect(),
        active_ttl: TTL,
        holding_ttl: DAY,
        limit,
    }
}

/// Goal: a lease is taken away at its end and not before, in either place, and the third lost worker
/// ends the job with a copy.
#[test]
fn ended_leases_are_taken_away() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    let reclaim = StoreRequest::ReclaimLeases { limit: 9 };
    for lost in 1..=LOST_MAX {
        bench.claim(u128::from(lost), 1);
        if lost == 2 {
            ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
        }
        bench.pass(Millis::from_ms(TTL.as_ms() - 1));
        assert_eq!(ask!(bench, ReclaimLeases, reclaim), []);
        bench.pass(MOMENT);
        let expected = [swept(1, Some(1), lost == LOST_MAX)];
        assert_eq!(ask!(bench, ReclaimLeases, reclaim), expected);
        assert_eq!(ask!(bench, ReclaimLeases, reclaim), []);
        let restore = StoreRequest::RestoreBot {
            fence: fence("a", 1),
            after: None,
            limit: 9,
            offers: Vec::new(),
            routing: None,
        };
        ask!(bench, RestoreBot, restore);
    }
    assert!(matches!(bench.status(1), Status::Completed { .. }));
    assert_eq!(bench.model.failed_copies().count(), 1);
}

/// Goal: a sweep stops at its limit, with the longest ended first.
#[test]
fn a_sweep_stops_at_its_limit() {
    let mut bench = Bench::new();
    for number in [3, 1, 2] {
        bench.insert(&[job("a", "c", number)]);
        bench.claim(number, 1);
        bench.pass(MOMENT);
    }
    bench.pass(TTL);
    let reclaimed = ask!(bench, ReclaimLeases, StoreRequest::ReclaimLeases { limit: 2 });
    assert_eq!(reclaimed, [swept(3, Some(1), false), swept(1, Some(1), false)]);
}

/// Goal: an active job expires only for a bot that is owned under the given epoch, and only when it is
/// pending and past its time.
#[test]
fn active_jobs_expire_for_running_bots_only() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1), job("a", "c", 2)]);
    bench.claim(1, 1);
    bench.pass(TTL);
    assert_eq!(ask!(bench, ExpireJobs, expire(&[("a", 1)], 9)), []);
    bench.pass(MOMENT);
    assert_eq!(ask!(bench, ExpireJobs, expire(&[], 9)), []);
    assert_eq!(ask!(bench, ExpireJobs, expire(&[("a", 2), ("b", 1)], 9)), []);
    assert_eq!(ask!(bench, ExpireJobs, expire(&[("a", 1)], 0)), []);
    let expired = ask!(bench, ExpireJobs, expire(&[("a", 1), ("a", 1)], 9));
    assert_eq!(expired, [swept(2, None, true)]);
    let expected = Status::Completed { outcome: Outcome::Expired, token: None, worked: None };
    assert_eq!(bench.status(2), &expected);
    assert_eq!(bench.model.failed_copies().count(), 1);
}

/// Goal: holding jobs of any bot expire after their own, longer time.
#[test]
fn holding_jobs_expire_whoever_owns_the_bot() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    bench.pass(DAY);
    assert_eq!(ask!(bench, ExpireJobs, expire(&[], 9)), []);
    bench.pass(MOMENT);
    assert_eq!(ask!(bench, ExpireJobs, expire(&[], 9)), [swept(1, None, true)]);
}

/// Goal: a media is known while a job in either place or a failed copy has it.
#[test]
fn media_are_known_to_jobs_and_copies() {
    let mut bench = Bench::new();
    bench.called_back_media(4, Outcome::TimedOut);
    bench.called_back_media(5, heard("done"));
    bench.insert(&[job("a", "c", 1)]);
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    bench.insert(&[job("a", "c", 2)]);
    let media_ids = [5, 4, 3, 2, 1].map(media).to_vec();
    let known = [4, 2, 1].map(media).to_vec();
    let request = StoreRequest::KnownMedia { media_ids };
    assert_eq!(bench.apply_twice(&request), Ok(StoreReply::KnownMedia(known)));
}

/// Goal: a copy is dropped after its time, but not while its retry is open.
#[test]
fn failed_copies_are_dropped_when_nothing_needs_them() {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    bench.called_back_media(2, Outcome::TimedOut);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    let forget = StoreRequest::ForgetFailed { retention: DAY, limit: 9 };
    bench.pass(DAY);
    assert_eq!(ask!(bench, ForgetFailed, forget), []);
    bench.pass(MOMENT);
    let none = StoreRequest::ForgetFailed { retention: DAY, limit: 0 };
    assert_eq!(ask!(bench, ForgetFailed, none), []);
    assert_eq!(ask!(bench, ForgetFailed, forget), [media(2)]);
    assert_eq!(ask!(bench, ForgetFailed, forget), []);
    bench.claim(1, 1);
    bench.complete(1, heard("at last"));
    assert_eq!(ask!(bench, ForgetFailed, forget), [media(1)]);
}

/// Goal: rows are dropped a while after they owe nothing, never a correspondent's highest, and one
/// that ceases to be the highest is dropped then.
#[test]
fn archived_messages_are_dropped_but_for_the_highest() {
    let mut bench = Bench::new();
    let items = [(1, CallbackPlan::None), (2, CallbackPlan::Owed), (3, CallbackPlan::None)];
    let items = items.map(|(number, plan)| text_item("c", number, plan)).to_vec();
    ask!(bench, Archive, archive(items));
    let forget = StoreRequest::ForgetArchived { retention: DAY, limit: 9 };
    bench.pass(DAY);
    assert_eq!(ask!(bench, ForgetArchived, forget), 0);
    bench.pass(MOMENT);
    assert_eq!(ask!(bench, ForgetArchived, forget), 1);
    assert_eq!(ask!(bench, ForgetArchived, forget), 0);
    let left: Vec<_> = bench.model.archive_rows().map(|row| row.message.id).collect();
    assert_eq!(left, [id(2), id(3)]);

    ask!(bench, Archive, archive(vec![text_item("c", 4, CallbackPlan::None)]));
    assert_eq!(ask!(bench, ForgetArchived, forget), 1, "the third is the highest no more");
    let of_bot = OwedScope::Bot { after: seq(0), except: vec![] };
    bench.owed(of_bot, 9);
    ask!(bench, MarkCalledBack, marks(vec![mark("c", 2, 0, None)]));
    bench.pass(DAY);
    assert_eq!(ask!(bench, ForgetArchived, forget), 0, "counted from the end of its callback");
    bench.pass(MOMENT);
    assert_eq!(ask!(bench, ForgetArchived, forget), 1);
}

/// Goal: a place is not given again when the row that had it is dropped.
#[test]
fn places_are_not_given_again() {
    let mut bench = Bench::new();
    let items = [1, 2].map(|number| text_item("c", number, CallbackPlan::None)).to_vec();
    ask!(bench, Archive, archive(items));
    bench.pass(DAY);
    bench.pass(MOMENT);
    ask!(bench, ForgetArchived, StoreRequest::ForgetArchived { retention: DAY, limit: 9 });
    ask!(bench, Archive, archive(vec![text_item("c", 3, CallbackPlan::None)]));
    assert_eq!(bench.row(3).seq.0, 3);
}

/// Goal: the keys of confirmed sends are kept as long as archived messages, those of owed ones for
/// ever.
#[test]
fn confirmed_sends_are_dropped_with_the_archive() {
    let mut bench = Bench::new();
    let enqueue = |key: &str| StoreRequest::EnqueueSend {
        bot_id: "a".into(),
        send: Send { send_id: key.into(), correspondent_id: "c".into(), message: String::new() },
    };
    ask!(bench, EnqueueSend, enqueue("sent"));
    ask!(bench, EnqueueSend, enqueue("owed"));
    let sent = vec![("sent".into(), "x".into())];
    let reply = bench.apply(&StoreRequest::MarkSent { fence: fence("a", 1), sent });
    assert_eq!(reply, Ok(StoreReply::MarkSent));
    let forget = StoreRequest::ForgetArchived { retention: DAY, limit: 9 };
    bench.pass(DAY);
    ask!(bench, ForgetArchived, forget);
    assert_eq!(ask!(bench, EnqueueSend, enqueue("sent")), EnqueueAnswer::AlreadyPresent);
    bench.pass(MOMENT);
    ask!(bench, ForgetArchived, forget);
    assert_eq!(ask!(bench, EnqueueSend, enqueue("sent")), EnqueueAnswer::Enqueued);
    assert_eq!(ask!(bench, EnqueueSend, enqueue("owed")), EnqueueAnswer::AlreadyPresent);
}

/// Goal: a job written with a lease is swept like one that was claimed.
#[test]
fn a_lease_from_an_insert_ends_too() {
    let mut bench = Bench::new();
    let new = NewJob { job: job("a", "c", 1), lease: Some(lease(1)) };
    let request = StoreRequest::InsertJobs { fence: fence("a", 1), jobs: vec![new] };
    ask!(bench, InsertJobs, request);
    bench.pass(TTL);
    let reclaimed = ask!(bench, ReclaimLeases, StoreRequest::ReclaimLeases { limit: 9 });
    assert_eq!(reclaimed, [swept(1, Some(1), false)]);
}
