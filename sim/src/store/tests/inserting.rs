//! New jobs and the first free id.

use anteroom_core::id::MessageId;
use anteroom_core::job::{Job, Status};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{
    CallbackPlan, InsertAnswer, NewJob, StoreError, StoreReply, StoreRequest,
};
use anteroom_core::time::Millis;

use super::support::{
    Bench, archive, ask, fence, heard, id, job, lease, media, placeholder, placeholder_of,
    text_item, token,
};

const UNLEASED: InsertAnswer = InsertAnswer::Inserted { leased: false };

fn insert(jobs: Vec<NewJob>) -> StoreRequest {
    StoreRequest::InsertJobs { fence: fence("a", 1), jobs }
}

/// A job for another message or media than its number says.
fn mixed(media_number: u128, message_number: u128) -> Job {
    let placeholder_message = placeholder_of(media_number, message_number);
    Job { media_id: media(media_number), placeholder_message, ..job("a", "c", 1) }
}

/// Goal: jobs are inserted pending or leased, and the call repeated says so again.
#[test]
fn jobs_are_inserted_once_with_or_without_a_lease() {
    let mut bench = Bench::new();
    let request = insert(vec![
        NewJob { job: job("a", "c", 1), lease: Some(lease(1)) },
        NewJob { job: job("a", "c", 2), lease: None },
    ]);
    let expected = vec![InsertAnswer::Inserted { leased: true }, UNLEASED];
    assert_eq!(bench.apply_twice(&request), Ok(StoreReply::InsertJobs(expected)));
    let leased = bench.model.job(media(1)).and_then(Job::lease).map(|lease| lease.token);
    assert_eq!(leased, Some(token(1)));
    assert_eq!(bench.status(2), &Status::Pending);
}

/// Goal: a lease that was lost since is not said to stand.
#[test]
fn a_lost_lease_is_not_said_to_stand() {
    let mut bench = Bench::new();
    let request = insert(vec![NewJob { job: job("a", "c", 1), lease: Some(lease(1)) }]);
    ask!(bench, InsertJobs, request);
    bench.complete(1, heard("hello"));
    assert_eq!(ask!(bench, InsertJobs, request), [UNLEASED]);
}

/// Goal: a provider's message that waits under another media or message id is a duplicate, in either
/// place.
#[test]
fn a_known_message_under_other_ids_is_a_duplicate() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    let of_1 = [InsertAnswer::DuplicateProviderMessage { message_id: id(1) }];
    let other_id =
        Job { placeholder_message: Message { id: id(9), ..placeholder(1) }, ..job("a", "c", 1) };
    for place in ["active", "holding"] {
        assert_eq!(bench.insert(&[mixed(2, 1)]), of_1, "{place}");
        assert_eq!(bench.insert(std::slice::from_ref(&other_id)), of_1, "{place}");
        assert_eq!(ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1))), 1);
    }
    assert_eq!(bench.model.jobs().count(), 1);
}

/// Goal: an archived message is a duplicate, with the same media or another; only the very same call,
/// repeated, is answered as it was.
#[test]
fn an_archived_message_is_a_duplicate() {
    let mut bench = Bench::new();
    bench.called_back_media(1, heard("hello"));
    let of_1 = [InsertAnswer::DuplicateProviderMessage { message_id: id(1) }];
    let again = [InsertAnswer::Inserted { leased: false }];
    assert_eq!(bench.insert(&[job("a", "c", 1)]), again);
    let resent = Message { id: id(9), ..placeholder(1) };
    let resent = Job { placeholder_message: resent, ..job("a", "c", 1) };
    assert_eq!(bench.insert(std::slice::from_ref(&resent)), of_1);
    assert_eq!(bench.insert(&[mixed(2, 1)]), of_1);
}

/// Goal: a media id of another message is refused, wherever that message is: among jobs, failed
/// copies or in the archive; also when the message itself is known too.
#[test]
fn a_media_id_of_another_message_is_refused() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    assert_eq!(bench.insert(&[mixed(1, 2)]), [InsertAnswer::MediaIdInUse]);
    let elsewhere = insert(vec![NewJob { job: job("a", "d", 1), lease: None }]);
    assert_eq!(ask!(bench, InsertJobs, elsewhere), [InsertAnswer::MediaIdInUse]);
    bench.claim(1, 1);
    bench.complete(1, Outcome::TimedOut);
    ask!(bench, Archive, archive(vec![text_item("c", 5, CallbackPlan::None)]));
    assert_eq!(bench.insert(&[mixed(1, 5)]), [InsertAnswer::MediaIdInUse]);

    let mut bench = Bench::new();
    bench.called_back_media(1, heard("hello"));
    assert_eq!(bench.insert(&[mixed(1, 2)]), [InsertAnswer::MediaIdInUse]);
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    assert_eq!(bench.insert(&[mixed(1, 2)]), [InsertAnswer::MediaIdInUse]);
}

/// The message 1 failed and was called back, and the archive has forgotten it since.
fn forgotten_failure() -> Bench {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    ask!(bench, Archive, archive(vec![text_item("c", 9, CallbackPlan::None)]));
    bench.pass(Millis::from_ms(1));
    let forget = StoreRequest::ForgetArchived { retention: Millis::ZERO, limit: 1 };
    assert_eq!(ask!(bench, ForgetArchived, forget), 1);
    bench
}

/// Goal: a message that only a failed copy knows is new, and its media is still its own.
#[test]
fn a_failed_copy_keeps_the_media_for_its_message() {
    let mut bench = forgotten_failure();
    assert_eq!(bench.insert(&[mixed(1, 2)]), [InsertAnswer::MediaIdInUse]);
    assert_eq!(bench.insert(&[job("a", "c", 1)]), [UNLEASED]);
}

/// Goal: the retry of a forgotten message does not stand for the message, nor does it ever hide the
/// job that does.
#[test]
fn a_retry_does_not_stand_for_its_forgotten_message() {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    ask!(bench, Archive, archive(vec![text_item("c", 9, CallbackPlan::None)]));
    bench.pass(Millis::from_ms(1));
    let forget = StoreRequest::ForgetArchived { retention: Millis::ZERO, limit: 1 };
    assert_eq!(ask!(bench, ForgetArchived, forget), 1);
    assert_eq!(bench.insert(&[mixed(2, 1)]), [UNLEASED]);
    assert_eq!(bench.claim(1, 9).jobs.len(), 2);
    let of_1 = [InsertAnswer::DuplicateProviderMessage { message_id: id(1) }];
    assert_eq!(bench.insert(&[mixed(3, 1)]), of_1);
}

/// Goal: the same provider message id of another correspondent or bot is another message.
#[test]
fn provider_ids_are_a_correspondents_own() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    let other = Job { media_id: media(2), ..job("a", "d", 1) };
    assert_eq!(bench.insert(&[other]), [UNLEASED]);
    let jobs = vec![NewJob { job: Job { media_id: media(3), ..job("b", "c", 1) }, lease: None }];
    let request = StoreRequest::InsertJobs { fence: fence("b", 1), jobs };
    assert_eq!(ask!(bench, InsertJobs, request), [UNLEASED]);
}

/// Goal: two jobs for one message within a call are judged one after the other.
#[test]
fn a_batch_is_judged_in_its_order() {
    let mut bench = Bench::new();
    let answers = bench.insert(&[job("a", "c", 1), mixed(2, 1), mixed(1, 2)]);
    let duplicate = InsertAnswer::DuplicateProviderMessage { message_id: id(1) };
    assert_eq!(answers, [UNLEASED, duplicate, InsertAnswer::MediaIdInUse]);
}

/// Goal: a job that is not new, or not the bot's, is invalid, and its whole call with it.
#[test]
fn a_job_that_is_not_new_is_invalid() {
    let completed = Status::Completed { outcome: Outcome::Nothing, token: None, worked: None };
    let bad_jobs = [
        job("b", "c", 2),
        Job { status: completed, ..job("a", "c", 2) },
        Job { revision: 1, ..job("a", "c", 2) },
    ];
    for bad in bad_jobs {
        let mut bench = Bench::new();
        let jobs = [job("a", "c", 1), bad].map(|job| NewJob { job, lease: None });
        let answer = bench.apply(&insert(jobs.into()));
        assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
        assert_eq!(bench.model.jobs().count(), 0);
    }
}

/// Goal: the first free id is behind the highest of archive and jobs, and is a correspondent's own.
#[test]
fn the_next_id_is_behind_archive_and_jobs() {
    let mut bench = Bench::new();
    let next = |correspondent: &str| StoreRequest::NextId {
        bot_id: "a".into(),
        correspondent_id: correspondent.into(),
    };
    assert_eq!(ask!(bench, NextId, next("c")), MessageId::FIRST);
    bench.insert(&[job("a", "c", 3)]);
    assert_eq!(ask!(bench, NextId, next("c")), id(4));
    ask!(bench, Archive, archive(vec![text_item("c", 6, CallbackPlan::None)]));
    assert_eq!(bench.apply_twice(&next("c")), Ok(StoreReply::NextId(id(7))));
    ask!(bench, HoldBot, StoreRequest::HoldBot(fence("a", 1)));
    bench.insert(&[job("a", "c", 8)]);
    assert_eq!(ask!(bench, NextId, next("c")), id(9));
    assert_eq!(ask!(bench, NextId, next("d")), MessageId::FIRST);
}
