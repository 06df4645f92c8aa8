//! Owed callbacks, attempts, marks.

use anteroom_core::id::{Attempt, CallbackKey};
use anteroom_core::message::Outcome;
use anteroom_core::store::{
    CallbackEnd, CallbackPlan, Mark, MarkAnswer, OwedCallback, OwedOf, OwedScope, Send, StoreReply,
    StoreRequest,
};

use super::support::{
    Bench, TTL, acquire, archive, ask, fence, heard, id, key, mark, marks, media, media_message,
    seq, text_item,
};
use crate::store::CallbackState;

/// Archived in this order: c/2, d/1, c/1, e/1, all owed; f/1 owes none.
fn five_messages() -> Bench {
    let mut bench = Bench::new();
    let owed = [("c", 2), ("d", 1), ("c", 1), ("e", 1)];
    let mut items: Vec<_> = owed
        .into_iter()
        .map(|(correspondent, number)| text_item(correspondent, number, CallbackPlan::Owed))
        .collect();
    items.push(text_item("f", 1, CallbackPlan::None));
    ask!(bench, Archive, archive(items));
    bench
}

fn seqs(page: &[OwedCallback]) -> Vec<u64> {
    page.iter().map(|callback| callback.seq.0).collect()
}

fn of_bot(after: u64, except: &[&str]) -> OwedScope {
    let except = except.iter().map(|correspondent| (*correspondent).into()).collect();
    OwedScope::Bot { after: seq(after), except }
}

fn raise(keys: Vec<(CallbackKey, u32)>) -> StoreRequest {
    StoreRequest::RaiseAttempts { fence: fence("a", 1), callbacks: keys }
}

/// The next owner's page of a bot.
fn owed_to_the_next_owner(bench: &mut Bench, limit: u32) -> Vec<OwedCallback> {
    let (fence, scope) = (fence("a", 2), of_bot(0, &[]));
    let page = StoreRequest::OwedCallbacks { fence, scope, limit };
    match bench.apply(&page) {
        Ok(StoreReply::OwedCallbacks { callbacks, .. }) => callbacks,
        other => panic!("not a page: {other:?}"),
    }
}

/// Another node takes the bot over.
fn take_over(bench: &mut Bench) {
    bench.pass(TTL);
    ask!(bench, AcquireBot, acquire("a", 2));
}

/// Goal: a bot's page is in archive order, behind a place, without some correspondents.
#[test]
fn a_bots_page_is_in_archive_order() {
    for (after, except, limit, expected, expect_more) in [
        (0, &[][..], 9, &[1, 2, 3, 4][..], false),
        (0, &[], 3, &[1, 2, 3], true),
        (1, &[], 3, &[2, 3, 4], false),
        (0, &["c"], 1, &[2], true),
        (0, &["c", "e"], 9, &[2], false),
        (4, &[], 9, &[], false),
        (0, &[], 0, &[], true),
    ] {
        let (page, more) = five_messages().owed(of_bot(after, except), limit);
        assert_eq!((seqs(&page), more), (expected.to_vec(), expect_more), "{after} {except:?}");
    }
}

/// Goal: a correspondent's page is its own, in archive order or in that of ids.
#[test]
fn a_correspondents_page_is_in_either_order() {
    let correspondent_id = || "c".into();
    let of =
        |after, limit| OwedOf { correspondent_id: correspondent_id(), after: seq(after), limit };
    let by_seq = |after, limit| OwedScope::Correspondents(vec![of(after, limit)]);
    let by_id =
        |after| OwedScope::CorrespondentById { correspondent_id: correspondent_id(), after };
    for (scope, limit, expected, expect_more) in [
        (by_seq(0, 9), 9, &[1, 3][..], false),
        (by_seq(0, 1), 1, &[1], true),
        (by_seq(0, 2), 2, &[1, 3], true),
        (by_seq(1, 9), 9, &[3], false),
        (by_id(None), 9, &[3, 1], false),
        (by_id(None), 1, &[3], true),
        (by_id(Some(id(1))), 9, &[1], false),
    ] {
        let (page, more) = five_messages().owed(scope.clone(), limit);
        assert_eq!((seqs(&page), more), (expected.to_vec(), expect_more), "{scope:?}");
    }
}

/// Goal: to another owner than that under whose epoch callbacks came to be owed, exactly the returned ones
/// have their attempts raised, to the number that is returned.
#[test]
fn a_page_raises_the_attempts_of_exactly_its_rows() {
    let mut bench = five_messages();
    take_over(&mut bench);
    for expected in 2..=3 {
        let page = owed_to_the_next_owner(&mut bench, 2);
        assert!(page.iter().all(|callback| callback.attempt == Attempt(expected)));
        let raised: Vec<_> = bench.model.archive_rows().map(|row| row.attempts.0).collect();
        assert_eq!(raised, [1, expected, expected, 1, 0], "c/1, c/2, d/1, e/1, f/1");
    }
}

/// Goal: the first number needs no write for the owner under whose epoch the callback came to be owed; once
/// an operator has it owed anew, it needs one.
#[test]
fn a_first_attempt_is_its_owners() {
    let mut bench = five_messages();
    let before = bench.model.clone();
    let (page, _) = bench.owed(of_bot(0, &[]), 9);
    assert!(page.iter().all(|callback| callback.attempt == Attempt(1)));
    assert_eq!(bench.model, before);
    let given_up = Mark { end: CallbackEnd::Undeliverable, ..mark("c", 1, 0, None) };
    ask!(bench, MarkCalledBack, marks(vec![given_up]));
    let key = key("c", 1, 0);
    let anew = StoreRequest::Redeliver { fence: fence("a", 1), key, attempts: Attempt(1) };
    ask!(bench, Redeliver, anew);
    let (page, _) = bench.owed(of_bot(4, &[]), 9);
    assert_eq!(page[0].attempt, Attempt(2));
}

/// Goal: raising stores the refusals and returns a higher number, and none where nothing is owed.
#[test]
fn raising_tells_the_new_number_where_one_is_owed() {
    let mut bench = five_messages();
    ask!(bench, RaiseAttempts, raise(vec![(key("e", 1, 0), 0)]));
    ask!(bench, MarkCalledBack, marks(vec![mark("e", 1, 0, None)]));
    let keys = vec![
        (key("c", 1, 0), 3),
        (key("c", 1, 0), 4),
        (key("c", 1, 1), 9),
        (key("e", 1, 0), 9),
        (key("f", 1, 0), 9),
        (key("x", 1, 0), 9),
    ];
    let raised = ask!(bench, RaiseAttempts, raise(keys));
    assert_eq!(raised, [Some(Attempt(2)), Some(Attempt(3)), None, None, None, None]);
    assert_eq!((bench.row(1).attempts, bench.row(1).failures), (Attempt(3), 4));
    let (page, _) = bench.owed(of_bot(2, &[]), 9);
    assert_eq!((page[0].attempt, page[0].failures), (Attempt(4), 4));
}

/// Goal: a callback ends once, as it was first said; what was never owed is unknown, and so is a first attempt
/// that its owner has not sent.
#[test]
fn a_callback_ends_once() {
    let mut bench = five_messages();
    let request = marks(vec![
        mark("c", 1, 0, None),
        Mark { end: CallbackEnd::Undeliverable, ..mark("c", 1, 0, None) },
        Mark { sent: false, ..mark("c", 2, 0, None) },
        mark("c", 1, 1, None),
        mark("f", 1, 0, None),
        mark("c", 7, 0, None),
    ]);
    let mut expected = vec![MarkAnswer::Ended; 2];
    expected.extend([MarkAnswer::Unknown; 4]);
    assert_eq!(bench.apply_twice(&request), Ok(StoreReply::MarkCalledBack(expected)));
    let ended = CallbackState::Ended { end: CallbackEnd::Acknowledged, at: bench.now };
    assert_eq!(bench.row(1).callback, ended);
    assert_eq!(seqs(&bench.owed(of_bot(0, &[]), 9).0), [1, 2, 4]);
    take_over(&mut bench);
    let heard = vec![Mark { sent: false, ..mark("c", 2, 0, None) }];
    let request = StoreRequest::MarkCalledBack { fence: fence("a", 2), marks: heard };
    assert_eq!(ask!(bench, MarkCalledBack, request), [MarkAnswer::Ended], "it may have been sent");
}

/// Goal: the mark of an earlier revision than the row's has its answer and ends nothing.
#[test]
fn the_mark_of_an_earlier_revision_ends_nothing() {
    let mut bench = Bench::new();
    bench.called_back_media(1, Outcome::TimedOut);
    ask!(bench, RetryJob, StoreRequest::RetryJob { media_id: media(1), routing: None });
    bench.claim(1, 1);
    bench.complete(1, heard("at last"));
    let revise = StoreRequest::Revise {
        fence: fence("a", 1),
        media_id: media(1),
        revision: 1,
        message: media_message(1, heard("at last")).into(),
        correspondent_id: "c".into(),
        callback: CallbackPlan::OwedInWindow,
    };
    ask!(bench, Revise, revise);
    let request = marks(vec![mark("c", 1, 0, Some("late"))]);
    let ended = Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]));
    assert_eq!(bench.apply_twice(&request), ended);
    assert_eq!(bench.row(1).callback, CallbackState::Owed);
    assert_eq!(bench.model.sends().count(), 0);
}

/// Goal: a reply becomes one send with the callback's id, with the mark that ended the callback.
#[test]
fn a_reply_becomes_one_send() {
    let mut bench = five_messages();
    let never_sent = marks(vec![Mark { sent: false, ..mark("c", 1, 0, Some("hi")) }]);
    assert_eq!(ask!(bench, MarkCalledBack, never_sent), [MarkAnswer::Unknown]);
    assert_eq!(bench.model.sends().count(), 0);
    let request = marks(vec![mark("c", 1, 0, Some("hi"))]);
    let ended = Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]));
    assert_eq!(bench.apply_twice(&request), ended);
    let sends: Vec<_> = bench.model.sends().map(|stored| stored.send.clone()).collect();
    let expected =
        Send { send_id: "a/c/1".into(), correspondent_id: "c".into(), message: "hi".to_owned() };
    assert_eq!(sends, [expected]);
}
