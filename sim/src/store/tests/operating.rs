//! What operators do.

use anteroom_core::job::{Place, Rejection, Status};
use anteroom_core::message::Outcome;
use anteroom_core::store::{
    ArchiveItem, CallbackPlan, FinishedJob, OperatorAnswer, StoreReply, StoreRequest,
};

use super::support::{
    Bench, archive, ask, heard, job, mark, marks, media, media_message, text_item,
};

fn discard(number: u128) -> StoreRequest {
    StoreRequest::DiscardJob { media_id: media(number) }
}

fn retry(number: u128) -> StoreRequest {
    StoreRequest::RetryJob { media_id: media(number), routing: None }
}

fn done() -> OperatorAnswer {
    OperatorAnswer::Done { bot_id: "a".into(), pool: "audio".into() }
}

/// Goal: an open job is given up, its lease void, and discarding it again is done already.
#[test]
fn an_open_job_is_discarded() {
    for leased in [false, true] {
        let mut bench = Bench::new();
        bench.insert(&[job("a", "c", 1)]);
        if leased {
            bench.claim(1, 1);
        }
        assert_eq!(bench.apply_twice(&discard(1)), Ok(StoreReply::DiscardJob(done())));
        let expected = Status::Completed { outcome: Outcome::Discarded, token: None, worked: None };
        assert_eq!(bench.status(1), &expected);
        bench.complete(1, heard("late"));
        assert_eq!(bench.status(1), &expected);
    }
}

/// Goal: a completed job is not discarded, and an unknown one is not found.
#[test]
fn a_completed_or_unknown_job_is_not_discarded() {
    let mut bench = Bench::new();
    bench.completed_job(1, heard("hello"));
    let rejected = OperatorAnswer::Rejected(Rejection::WrongState);
    assert_eq!(bench.apply_twice(&discard(1)), Ok(StoreReply::DiscardJob(rejected)));
    let not_found = Ok(StoreReply::DiscardJob(OperatorAnswer::NotFound));
    assert_eq!(bench.apply_twice(&discard(2)), not_found);
}

/// Goal: a failed job whose callback has ended begins anew, once, as the next revision; its copy is
/// kept.
#[test]
fn a_failed_job_is_retried_as_the_next_revision() {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    assert_eq!(bench.apply_twice(&retry(1)), Ok(StoreReply::RetryJob(done())));
    let job = bench.model.job(media(1)).expect("the retry is a job");
    assert_eq!((job.revision, &job.status, job.place), (1, &Status::Pending, Place::Active));
    assert_eq!(bench.model.failed_copies().count(), 1);
    bench.claim(1, 1);
    bench.complete(1, heard("at last"));
    assert_eq!(bench.apply_twice(&retry(1)), Ok(StoreReply::RetryJob(done())));
}

/// Goal: a failure is not retried before its message is archived and its callback has ended.
#[test]
fn a_failure_is_not_retried_before_its_callback_ended() {
    let mut bench = Bench::new();
    bench.completed_job(1, Outcome::TimedOut);
    let rejected = Ok(StoreReply::RetryJob(OperatorAnswer::Rejected(Rejection::NotCalledBack)));
    assert_eq!(bench.apply_twice(&retry(1)), rejected, "not archived");
    let item = ArchiveItem {
        message: media_message(1, Outcome::TimedOut).into(),
        job: Some(FinishedJob { media_id: media(1), token: None, worked: None }),
        ..text_item("c", 1, CallbackPlan::OwedInWindow)
    };
    ask!(bench, Archive, archive(vec![item]));
    assert_eq!(bench.apply_twice(&retry(1)), rejected, "not called back");
    ask!(bench, MarkCalledBack, marks(vec![mark("c", 1, 0, None)]));
    assert_eq!(bench.apply_twice(&retry(1)), Ok(StoreReply::RetryJob(done())));
}

/// Goal: without a failed copy there is nothing to retry.
#[test]
fn without_a_copy_there_is_nothing_to_retry() {
    let mut bench = Bench::new();
    bench.called_back_media(1, heard("hello"));
    for number in [1, 2] {
        let not_found = Ok(StoreReply::RetryJob(OperatorAnswer::NotFound));
        assert_eq!(bench.apply_twice(&retry(number)), not_found);
    }
}
