//! Revisions of archived messages.

use std::sync::Arc;

use anteroom_core::id::Attempt;
use anteroom_core::job::Rejection;
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{CallbackPlan, ReviseAnswer, StoreError, StoreReply, StoreRequest};

use super::support::{
    Bench, ask, fence, heard, id, media, media_message, placeholder, seq, text_message,
};
use crate::store::CallbackState;

fn revise(number: u128, revision: u32, message: Message, plan: CallbackPlan) -> StoreRequest {
    StoreRequest::Revise {
        fence: fence("a", 1),
        media_id: media(number),
        revision,
        message: Arc::new(message),
        correspondent_id: "c".into(),
        callback: plan,
    }
}

/// The message 1 archived as a failure, its job retried and completed with this outcome.
fn retried(outcome: Outcome) -> Bench {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    assert_eq!(bench.claim(1, 1).jobs.len(), 1);
    bench.complete(1, outcome);
    bench
}

/// Goal: a row takes the result, a new place and a new callback; the job and the failure's copy are
/// gone; the call repeated changes nothing.
#[test]
fn a_retrys_result_becomes_the_rows_content() {
    let mut bench = retried(heard("at last"));
    assert_eq!((bench.row(1).attempts, bench.row(1).failures), (Attempt(2), 2));
    let message = media_message(1, heard("at last"));
    let request = revise(1, 1, message.clone(), CallbackPlan::OwedInWindow);
    let revised = Ok(StoreReply::Revise(ReviseAnswer::Revised { seq: seq(2) }));
    assert_eq!(bench.apply_twice(&request), revised);
    let row = bench.row(1);
    assert_eq!((&*row.message, row.revision, row.seq), (&message, 1, seq(2)));
    assert_eq!((row.callback, row.attempts, row.failures), (CallbackState::Owed, Attempt(1), 0));
    assert_eq!((bench.model.jobs().count(), bench.model.failed_copies().count()), (0, 0));
}

/// Goal: a retry that fails keeps its copy, and can be retried as the next revision.
#[test]
fn a_failed_retry_keeps_its_copy() {
    let mut bench = retried(Outcome::TimedOut);
    let message = media_message(1, Outcome::TimedOut);
    let before = bench.row(1).callback;
    ask!(bench, Revise, revise(1, 1, message, CallbackPlan::None));
    assert_eq!(bench.row(1).callback, before);
    assert_eq!(bench.model.failed_copies().count(), 1);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    assert_eq!(bench.model.job(media(1)).map(|job| job.revision), Some(2));
}

/// Goal: a job without a result, or of another revision than the row's next, is left as it is.
#[test]
fn a_revision_that_does_not_follow_is_rejected() {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    let message = || media_message(1, heard("early"));
    let request = |revision| revise(1, revision, message(), CallbackPlan::Owed);
    let rejected = |rejection| Ok(StoreReply::Revise(ReviseAnswer::Rejected(rejection)));
    assert_eq!(bench.apply_twice(&request(1)), rejected(Rejection::WrongState));
    assert_eq!(bench.apply_twice(&request(0)), rejected(Rejection::WrongRevision));
    assert_eq!(bench.apply_twice(&request(2)), Ok(StoreReply::Revise(ReviseAnswer::NotFound)));
    assert_eq!(bench.row(1).revision, 0);
}

/// Goal: a repetition of an earlier revision is told that it is past, and changes nothing.
#[test]
fn an_earlier_revision_is_past() {
    let mut bench = retried(Outcome::TimedOut);
    let first = revise(1, 1, media_message(1, Outcome::TimedOut), CallbackPlan::None);
    ask!(bench, Revise, first);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    assert_eq!(ask!(bench, Revise, first), ReviseAnswer::Revised { seq: seq(2) });
    bench.claim(1, 1);
    bench.complete(1, heard("at last"));
    let second = revise(1, 2, media_message(1, heard("at last")), CallbackPlan::Owed);
    assert_eq!(ask!(bench, Revise, second), ReviseAnswer::Revised { seq: seq(3) });
    let past = ReviseAnswer::Rejected(Rejection::WrongRevision);
    assert_eq!(ask!(bench, Revise, first), past);
    assert_eq!(bench.row(1).revision, 2);
}

/// Goal: without a row, or for another media than the row's, there is nothing to revise.
#[test]
fn a_revision_without_its_row_is_not_found() {
    let mut bench = retried(heard("at last"));
    let elsewhere = Message { id: id(5), ..media_message(1, heard("x")) };
    let not_found = Ok(StoreReply::Revise(ReviseAnswer::NotFound));
    let request = revise(1, 1, elsewhere, CallbackPlan::Owed);
    assert_eq!(bench.apply_twice(&request), not_found);
    let request = revise(2, 1, media_message(1, heard("x")), CallbackPlan::Owed);
    assert_eq!(bench.apply_twice(&request), not_found);
}

/// Goal: a placeholder, or another message under the row's id, is invalid.
#[test]
fn another_message_is_no_revision() {
    let mut bench = retried(heard("at last"));
    let renamed = Message { provider_message_id: "p9".into(), ..media_message(1, heard("x")) };
    for message in [placeholder(1), text_message(1), renamed] {
        let answer = bench.apply_twice(&revise(1, 1, message, CallbackPlan::Owed));
        assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
    }
}
