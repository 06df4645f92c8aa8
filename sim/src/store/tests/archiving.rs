//! Archiving: messages, their callbacks, and the end of their jobs.

use std::sync::Arc;

use anteroom_core::id::Attempt;
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{
    ArchiveAnswer, ArchiveItem, CallbackPlan, FinishedJob, StoreError, StoreRequest,
};

use super::support::{
    Bench, acquire, archive, ask, fence, heard, id, job, media, media_message, placeholder, seq,
    text_item, text_message, token,
};
use crate::store::CallbackState;

fn media_item(number: u128, outcome: Outcome, token_number: Option<u128>) -> ArchiveItem {
    ArchiveItem {
        message: Arc::new(media_message(number, outcome)),
        job: Some(FinishedJob {
            media_id: media(number),
            token: token_number.map(token),
            worked: None,
        }),
        ..text_item("c", number, CallbackPlan::Owed)
    }
}

/// A text whose provider's message is another's.
fn renamed(number: u128, provider_number: u128) -> ArchiveItem {
    let message = Message { id: id(number), ..text_message(provider_number) };
    ArchiveItem { message: Arc::new(message), ..text_item("c", number, CallbackPlan::Owed) }
}

/// Goal: messages take places from 1 in their order, owe what is planned, and a repetition finds them.
#[test]
fn messages_are_stored_once_with_what_they_owe() {
    let mut bench = Bench::new();
    let request = archive(vec![
        text_item("c", 2, CallbackPlan::None),
        text_item("c", 1, CallbackPlan::Owed),
        text_item("d", 1, CallbackPlan::OwedInWindow),
    ]);
    let stored = [1, 2, 3].map(|number| ArchiveAnswer::Stored { seq: seq(number) });
    assert_eq!(ask!(bench, Archive, request), stored);
    let once = bench.model.clone();
    let again = [1, 2, 3].map(|number| ArchiveAnswer::AlreadyStored { seq: seq(number) });
    assert_eq!(ask!(bench, Archive, request), again);
    assert_eq!(bench.model, once);
    let rows: Vec<_> = bench.model.archive_rows().collect();
    let states: Vec<_> = rows.iter().map(|row| (row.callback, row.attempts)).collect();
    let not_owed = CallbackState::NotOwed { since: bench.now };
    let expected = [
        (CallbackState::Owed, Attempt(1)),
        (not_owed, Attempt(0)),
        (CallbackState::Owed, Attempt(1)),
    ];
    assert_eq!(states, expected);
}

/// Goal: places are a bot's own.
#[test]
fn places_are_a_bots_own() {
    let mut bench = Bench::new();
    ask!(bench, Archive, archive(vec![text_item("c", 1, CallbackPlan::Owed)]));
    let items = vec![text_item("c", 1, CallbackPlan::Owed)];
    let of_b = StoreRequest::Archive { fence: fence("b", 1), items };
    assert_eq!(ask!(bench, Archive, of_b), [ArchiveAnswer::Stored { seq: seq(1) }]);
}

/// Goal: a stored result is archived and its job gone, in one step.
#[test]
fn a_completed_job_ends_with_its_message() {
    let mut bench = Bench::new();
    bench.completed_job(1, heard("hello"));
    let request = archive(vec![media_item(1, heard("hello"), None)]);
    assert_eq!(ask!(bench, Archive, request), [ArchiveAnswer::Stored { seq: seq(1) }]);
    assert_eq!(bench.model.job(media(1)), None);
    assert_eq!(ask!(bench, Archive, request), [ArchiveAnswer::AlreadyStored { seq: seq(1) }]);
}

/// Goal: a result made here is archived under its lease without having been stored before; a failure
/// leaves its copy.
#[test]
fn a_leased_job_ends_with_its_message_and_leaves_its_copy() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    bench.claim(1, 1);
    let request = archive(vec![media_item(1, Outcome::TimedOut, Some(1))]);
    assert_eq!(ask!(bench, Archive, request), [ArchiveAnswer::Stored { seq: seq(1) }]);
    assert_eq!(bench.model.job(media(1)), None);
    let outcomes: Vec<_> = bench.model.failed_copies().map(|copy| copy.job.outcome()).collect();
    assert_eq!(outcomes, [Some(&Outcome::TimedOut)]);
}

/// Goal: a message whose job has another lease, no result, or is not there is not stored; the others
/// of its batch are.
#[test]
fn a_stale_job_keeps_its_message_out() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1), job("a", "c", 2)]);
    bench.claim(1, 1);
    let before = bench.model.clone();
    let request = archive(vec![
        media_item(1, heard("wrong"), Some(7)),
        media_item(2, heard("none"), None),
        media_item(3, heard("gone"), Some(3)),
    ]);
    let stale = || vec![ArchiveAnswer::StaleLease; 3];
    assert_eq!(ask!(bench, Archive, request), stale());
    assert_eq!(bench.model, before);
    let mut items = vec![text_item("c", 9, CallbackPlan::Owed)];
    items.extend([media_item(1, heard("wrong"), Some(7))]);
    let mixed = [ArchiveAnswer::Stored { seq: seq(1) }, ArchiveAnswer::StaleLease];
    assert_eq!(ask!(bench, Archive, archive(items)), mixed);
}

/// Goal: the job of another message, correspondent or bot is not ended by a message.
#[test]
fn a_message_ends_no_job_but_its_own() {
    let mut bench = Bench::new();
    bench.completed_job(1, heard("hello"));
    let of_1 = Some(FinishedJob { media_id: media(1), token: None, worked: None });
    let others = vec![
        ArchiveItem { job: of_1, ..media_item(2, heard("x"), None) },
        ArchiveItem { correspondent_id: "d".into(), ..media_item(1, heard("x"), None) },
    ];
    let stale = [ArchiveAnswer::StaleLease, ArchiveAnswer::StaleLease];
    assert_eq!(ask!(bench, Archive, archive(others)), stale);
    let items = vec![media_item(1, heard("x"), None)];
    let of_b = StoreRequest::Archive { fence: fence("b", 1), items };
    assert_eq!(ask!(bench, Archive, of_b), [ArchiveAnswer::StaleLease]);
    assert!(bench.model.job(media(1)).is_some());
}

/// Goal: a provider's message that is archived under another id is not stored again.
#[test]
fn an_archived_message_under_another_id_is_a_duplicate() {
    let mut bench = Bench::new();
    ask!(bench, Archive, archive(vec![text_item("c", 1, CallbackPlan::Owed)]));
    let answers = ask!(bench, Archive, archive(vec![renamed(2, 1)]));
    assert_eq!(answers, [ArchiveAnswer::DuplicateProviderMessage { message_id: id(1) }]);
    assert_eq!(bench.model.archive_rows().count(), 1);
}

/// Goal: a provider's message that waits as a job under another id is not stored either.
#[test]
fn a_waiting_message_under_another_id_is_a_duplicate() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    let answers = ask!(bench, Archive, archive(vec![renamed(2, 1)]));
    assert_eq!(answers, [ArchiveAnswer::DuplicateProviderMessage { message_id: id(1) }]);
    assert_eq!((bench.model.archive_rows().count(), bench.model.jobs().count()), (0, 1));
}

/// Goal: what a message is refused for its job's sake stays so when it has become a duplicate
/// meanwhile, through the same call: its job is where it was.
#[test]
fn a_duplicate_ends_no_job_that_it_may_not_end() {
    let mut bench = Bench::new();
    bench.insert(&[job("a", "c", 1)]);
    let pending = ArchiveItem {
        message: renamed(1, 2).message,
        job: Some(FinishedJob { media_id: media(1), token: None, worked: None }),
        ..text_item("c", 1, CallbackPlan::Owed)
    };
    let request = archive(vec![pending, text_item("c", 2, CallbackPlan::Owed)]);
    let stored = ArchiveAnswer::Stored { seq: seq(1) };
    assert_eq!(ask!(bench, Archive, request), [ArchiveAnswer::StaleLease, stored]);
    let once = bench.model.clone();
    let duplicate = ArchiveAnswer::DuplicateProviderMessage { message_id: id(2) };
    let known = ArchiveAnswer::AlreadyStored { seq: seq(1) };
    assert_eq!(ask!(bench, Archive, request), [duplicate, known]);
    assert_eq!(bench.model, once);
}

/// Goal: a late repetition finds its message and leaves the retry of the same media alone.
#[test]
fn a_repetition_leaves_a_retry_alone() {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    bench.claim(1, 1);
    bench.complete(1, heard("at last"));
    let request = archive(vec![media_item(1, Outcome::TimedOut, None)]);
    assert_eq!(ask!(bench, Archive, request), [ArchiveAnswer::AlreadyStored { seq: seq(1) }]);
    assert_eq!(bench.model.job(media(1)).map(|job| job.revision), Some(1));
}

/// Goal: a batch that contradicts itself or the archive is invalid as a whole.
#[test]
fn a_batch_that_makes_no_sense_is_invalid() {
    let mut bench = Bench::new();
    ask!(bench, Archive, archive(vec![text_item("c", 1, CallbackPlan::Owed)]));
    let waiting =
        ArchiveItem { message: Arc::new(placeholder(3)), ..text_item("c", 3, CallbackPlan::Owed) };
    let no_media = ArchiveItem {
        job: Some(FinishedJob { media_id: media(3), token: Some(token(3)), worked: None }),
        ..text_item("c", 3, CallbackPlan::Owed)
    };
    let before = bench.model.clone();
    for bad in [waiting, no_media, renamed(1, 8), renamed(2, 8)] {
        let request = archive(vec![text_item("c", 2, CallbackPlan::Owed), bad]);
        let answer = bench.apply(&request);
        assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
        assert_eq!(bench.model, before);
    }
}

/// Goal: a bot without a record has no archive.
#[test]
fn a_bot_that_is_not_registered_has_no_archive() {
    let mut bench = Bench::new();
    ask!(bench, AcquireBot, acquire("never", 1));
    let request = StoreRequest::Archive { fence: fence("never", 1), items: vec![] };
    assert!(matches!(bench.apply(&request), Err(StoreError::Invalid { .. })));
}
