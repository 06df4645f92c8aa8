//! The durable half of the outbox.

use anteroom_core::id::{ArchiveSeq, Attempt, CallbackId, CorrespondentId};
use anteroom_core::store::{
    ArchiveItem, CallbackEnd, CallbackPlan, Fence, Mark, MarkAnswer, OwedCallback, OwedScope,
};
use anteroom_runtime::store::Store;

use super::fixtures::{TTL, acknowledged, id, item, key, of_each, text};
use super::{Rig, TestClock};

/// Archives a message of a correspondent whose callback stays in the store.
async fn owed_later(rig: &Rig<'_>, fence: &Fence, correspondent: &str, n: u64) -> ArchiveSeq {
    let item = ArchiveItem { callback: CallbackPlan::Owed, ..item(correspondent, text(n)) };
    rig.archived(fence, item).await
}

fn ids(callbacks: &[OwedCallback]) -> Vec<u64> {
    callbacks.iter().map(|callback| callback.message.id.get()).collect()
}

fn attempts(callbacks: &[OwedCallback]) -> Vec<u32> {
    callbacks.iter().map(|callback| callback.attempt.0).collect()
}

fn whole_bot(after: ArchiveSeq, except: &[&str]) -> OwedScope {
    OwedScope::Bot { after, except: except.iter().map(|&id| CorrespondentId::from(id)).collect() }
}

/// Goal: a bot's callbacks come in archive order, page by page, less the correspondents named.
pub async fn a_bots_callbacks_come_in_archive_order(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for (correspondent, n) in [("c", 5), ("d", 1), ("c", 4), ("e", 2), ("c", 6)] {
        owed_later(&rig, &fence, correspondent, n).await;
    }
    let (page, more) = rig.owed_page(&fence, whole_bot(ArchiveSeq(0), &[]), 2).await;
    assert_eq!((ids(&page), more), (vec![5, 1], true));
    let behind = page[1].seq;
    let (page, more) = rig.owed_page(&fence, whole_bot(behind, &[]), 3).await;
    assert_eq!((ids(&page), more), (vec![4, 2, 6], false));
    let (page, more) = rig.owed_page(&fence, whole_bot(ArchiveSeq(0), &["c", "x"]), 2).await;
    assert_eq!((ids(&page), more), (vec![1, 2], false));
    let (page, more) = rig.owed_page(&fence, whole_bot(ArchiveSeq(u64::MAX), &[]), 2).await;
    assert_eq!((ids(&page), more), (vec![], false));
}

/// Goal: one correspondent's callbacks come in archive order, or by message id where gating wants it.
pub async fn a_correspondents_callbacks_come_in_either_order(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let mut places = Vec::new();
    for (correspondent, n) in [("c", 5), ("d", 1), ("c", 4), ("c", 6)] {
        places.push(owed_later(&rig, &fence, correspondent, n).await);
    }
    let correspondent_id = CorrespondentId::from("c");
    let by_id =
        |after| OwedScope::CorrespondentById { correspondent_id: correspondent_id.clone(), after };
    for (scope, limit, expected, expected_more) in [
        (of_each(&[("c", ArchiveSeq(0), 4)]), 4, vec![5, 4, 6], false),
        (of_each(&[("c", places[0], 1)]), 1, vec![4], true),
        (of_each(&[("c", places[3], 1)]), 1, vec![], false),
        (by_id(None), 2, vec![4, 5], true),
        (by_id(Some(id(5))), 2, vec![6], false),
        (by_id(Some(id(6))), 2, vec![], false),
    ] {
        let (page, more) = rig.owed_page(&fence, scope.clone(), limit).await;
        assert_eq!((ids(&page), more), (expected, expected_more), "{scope:?}");
    }
}

/// Goal: a page of several correspondents has of each what was asked for, in the order of the question,
/// and all of those that have less; their attempts rise, and nobody else's.
pub async fn a_page_serves_several_correspondents(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let mut places = Vec::new();
    for (correspondent, n) in [("c", 5), ("d", 1), ("c", 4), ("e", 2), ("c", 6), ("d", 3)] {
        places.push(owed_later(&rig, &fence, correspondent, n).await);
    }
    let start = ArchiveSeq(0);
    let scope = of_each(&[("d", start, 3), ("x", start, 3), ("c", places[0], 1)]);
    let (page, more) = rig.owed_page(&fence, scope, 7).await;
    assert_eq!((ids(&page), more), (vec![1, 3, 4], true));
    let scope = of_each(&[("d", start, 3), ("e", start, 2), ("c", places[2], 2)]);
    let (page, more) = rig.owed_page(&fence, scope, 7).await;
    assert_eq!((ids(&page), more), (vec![1, 3, 2, 6], false));
    clock.advance(TTL);
    let fence = rig.acquired("b", 2).await;
    let scope = of_each(&[("d", start, 3), ("x", start, 3), ("c", places[0], 1)]);
    let (page, _) = rig.owed_page(&fence, scope, 7).await;
    assert_eq!(attempts(&page), [2, 2, 2]);
    assert_eq!(attempts(&rig.owed(&fence).await), [2, 3, 3, 2, 2, 3], "in archive order");
}

/// Goal: under a later epoch than that in which a callback came to be owed, its attempts rise by one with
/// every page that holds it, of whichever scope, and with nothing else: those that were not returned keep
/// theirs.
pub async fn a_page_raises_the_attempts_of_what_it_returns(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let former = rig.bot("b").await;
    for n in 1..=3 {
        owed_later(&rig, &former, "c", n).await;
    }
    clock.advance(TTL);
    let fence = rig.acquired("b", 2).await;
    let (page, _) = rig.owed_page(&fence, whole_bot(ArchiveSeq(0), &[]), 1).await;
    assert_eq!(attempts(&page), [2], "the former owner may have sent the first");
    let correspondent_id = CorrespondentId::from("c");
    let scope = OwedScope::CorrespondentById { correspondent_id, after: None };
    let (page, _) = rig.owed_page(&fence, scope, 2).await;
    assert_eq!(attempts(&page), [3, 2]);
    assert_eq!(attempts(&rig.owed(&fence).await), [4, 3, 2]);
}

/// Goal: to the owner under whose epoch a callback came to be owed, every page gives its first number, until
/// it is raised: what it has sent it knows.
pub async fn a_page_gives_first_attempts_to_their_owner(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let former = rig.bot("b").await;
    owed_later(&rig, &former, "c", 1).await;
    clock.advance(TTL);
    let fence = rig.acquired("b", 2).await;
    owed_later(&rig, &fence, "c", 2).await;
    rig.archived(&fence, item("d", text(3))).await;
    let correspondent_id = || CorrespondentId::from("c");
    for (scope, expected) in [
        (whole_bot(ArchiveSeq(0), &[]), &[2, 1, 1][..]),
        (of_each(&[("c", ArchiveSeq(0), 4)]), &[3, 1]),
        (
            OwedScope::CorrespondentById { correspondent_id: correspondent_id(), after: None },
            &[4, 1],
        ),
    ] {
        let (page, _) = rig.owed_page(&fence, scope.clone(), 4).await;
        assert_eq!(attempts(&page), expected, "{scope:?}");
    }
    let raised = rig.raise(&fence, vec![(key("c", 2, 0), 0)]).await;
    assert_eq!(raised, [Some(Attempt(2))]);
    assert_eq!(attempts(&rig.owed(&fence).await), [5, 3, 1]);
}

/// Goal: raising gives the next number and stores the refusals; what is not owed gets none.
pub async fn raising_counts_attempts_and_refusals(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(1))).await;
    rig.archived(&fence, ArchiveItem { callback: CallbackPlan::None, ..item("c", text(2)) }).await;
    rig.archived(&fence, item("c", text(3))).await;
    rig.mark(&fence, acknowledged(key("c", 3, 0))).await;
    let asked = vec![
        (key("c", 1, 0), 4),
        (key("c", 2, 0), 4),
        (key("c", 3, 0), 4),
        (key("c", 9, 0), 4),
        (key("c", 1, 1), 4),
        (key("c", 1, 0), 5),
    ];
    let raised = rig.raise(&fence, asked).await;
    assert_eq!(raised, [Some(Attempt(2)), None, None, None, None, Some(Attempt(3))]);
    let [owed] = &rig.owed(&fence).await[..] else { panic!("one callback is owed") };
    assert_eq!((owed.attempt, owed.failures), (Attempt(4), 5));
}

/// Goal: a callback ends once, either way, and is never owed again.
pub async fn a_callback_ends_once(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for (n, end) in [(1, CallbackEnd::Acknowledged), (2, CallbackEnd::Undeliverable)] {
        rig.archived(&fence, item("c", text(n))).await;
        let mark = Mark { key: key("c", n, 0), end, reply: None, sent: true };
        assert_eq!(rig.mark(&fence, mark).await, MarkAnswer::Ended);
    }
    assert!(rig.owed(&fence).await.is_empty());
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 2, 0))).await, MarkAnswer::Ended);
}

/// Goal: what was never sent cannot have been answered. Of a first attempt only the owner knows under whose
/// epoch it came to be owed; a later one takes it that it was sent.
pub async fn a_mark_of_what_was_never_sent_is_unknown(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    owed_later(&rig, &fence, "c", 1).await;
    rig.archived(&fence, ArchiveItem { callback: CallbackPlan::None, ..item("c", text(2)) }).await;
    rig.archived(&fence, item("c", text(3))).await;
    for unknown in [key("c", 1, 0), key("c", 2, 0), key("c", 3, 1), key("c", 9, 0), key("d", 1, 0)]
    {
        let reply = Some("hello".to_owned());
        let mark = Mark { reply, sent: false, ..acknowledged(unknown.clone()) };
        assert_eq!(rig.mark(&fence, mark).await, MarkAnswer::Unknown, "{unknown:?}");
    }
    assert!(rig.owed_sends(&fence).await.is_empty(), "and leaves no reply");
    let (page, _) = rig.owed_page(&fence, whole_bot(ArchiveSeq(0), &[]), 3).await;
    assert_eq!(ids(&page), [1, 3], "read is not sent");
    let heard = |n| Mark { sent: false, ..acknowledged(key("c", n, 0)) };
    assert_eq!(rig.mark(&fence, heard(1)).await, MarkAnswer::Unknown);
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 0))).await, MarkAnswer::Ended);
    assert_eq!(rig.mark(&fence, heard(1)).await, MarkAnswer::Ended, "once it has ended");
    clock.advance(TTL);
    let fence = rig.acquired("b", 2).await;
    assert_eq!(rig.mark(&fence, heard(3)).await, MarkAnswer::Ended);
}

/// Goal: a reply is durable with the mark, once, under the callback's id.
pub async fn a_reply_is_durable_with_the_mark(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b/é").await;
    rig.archived(&fence, item("c d", text(1))).await;
    let mark = Mark { reply: Some("hello".to_owned()), ..acknowledged(key("c d", 1, 0)) };
    assert_eq!(rig.mark(&fence, mark.clone()).await, MarkAnswer::Ended);
    let [send] = &rig.owed_sends(&fence).await[..] else { panic!("one send is owed") };
    let callback_id = CallbackId { bot_id: fence.bot_id.clone(), key: mark.key.clone() };
    assert_eq!(send.send_id.as_str(), callback_id.to_string());
    assert_eq!((send.correspondent_id.as_str(), send.message.as_str()), ("c d", "hello"));
    let late = Mark { reply: Some("another".to_owned()), ..mark };
    assert_eq!(rig.mark(&fence, late).await, MarkAnswer::Ended);
    assert_eq!(rig.owed_sends(&fence).await.len(), 1, "the first answer stands");
}
