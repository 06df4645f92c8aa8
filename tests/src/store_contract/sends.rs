//! Outgoing messages.

use anteroom_core::store::{EnqueueAnswer, Send, StoreReply, StoreRequest};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::{Rig, TestClock};

fn send(send_id: &str, correspondent: &str, message: &str) -> Send {
    Send {
        send_id: send_id.into(),
        correspondent_id: correspondent.into(),
        message: message.to_owned(),
    }
}

async fn enqueue(rig: &Rig<'_>, bot_id: &str, send: Send) -> EnqueueAnswer {
    match rig.ask(StoreRequest::EnqueueSend { bot_id: bot_id.into(), send }).await {
        StoreReply::EnqueueSend(answer) => answer,
        other => panic!("expected an answer to a send, got {other:?}"),
    }
}

/// Goal: a key stands for one message; the same again is known, another one is refused; keys of two
/// bots have nothing to do with each other.
pub async fn a_send_is_known_by_its_key(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, other) = (rig.bot("b").await, rig.bot("b2").await);
    let first = send("s", "c", "hello");
    assert_eq!(enqueue(&rig, "b", first.clone()).await, EnqueueAnswer::Enqueued);
    assert_eq!(enqueue(&rig, "b", first.clone()).await, EnqueueAnswer::AlreadyPresent);
    for conflicting in [send("s", "c", "bye"), send("s", "d", "hello")] {
        assert_eq!(enqueue(&rig, "b", conflicting).await, EnqueueAnswer::Conflict);
    }
    let theirs = send("s", "c", "bye");
    assert_eq!(enqueue(&rig, "b2", theirs.clone()).await, EnqueueAnswer::Enqueued);
    assert_eq!(rig.owed_sends(&fence).await, [first]);
    assert_eq!(rig.owed_sends(&other).await, [theirs]);
}

/// Goal: sends are owed oldest first, until their provider confirms them; confirming again, or what is
/// unknown, changes nothing, and a confirmed key stays known.
pub async fn sends_are_owed_until_confirmed(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let sends = ["z", "a", "m"].map(|send_id| send(send_id, "c", "hello"));
    for send in &sends {
        enqueue(&rig, "b", send.clone()).await;
        clock.advance(Millis::from_ms(1));
    }
    assert_eq!(rig.owed_sends(&fence).await, sends);
    let first = StoreRequest::OwedSends { fence: fence.clone(), limit: 1 };
    assert_eq!(rig.twice(first).await, StoreReply::OwedSends(vec![sends[0].clone()]));
    let sent = vec![("a".into(), "p1".into()), ("unknown".into(), "p2".into())];
    let confirm = StoreRequest::MarkSent { fence: fence.clone(), sent };
    assert_eq!(rig.twice(confirm).await, StoreReply::MarkSent);
    assert_eq!(rig.owed_sends(&fence).await, [sends[0].clone(), sends[2].clone()]);
    assert_eq!(enqueue(&rig, "b", sends[1].clone()).await, EnqueueAnswer::AlreadyPresent);
    assert_eq!(rig.owed_sends(&fence).await.len(), 2);
}

/// Goal: keys of confirmed sends are dropped with the archive, all that are due, however few messages that drops; one
/// that is not confirmed, or not long ago, stays.
pub async fn confirmed_sends_are_dropped_with_the_archive(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let sends: Vec<Send> = (0..6).map(|n| send(&format!("s{n}"), "c", "hello")).collect();
    for send in &sends {
        enqueue(&rig, "b", send.clone()).await;
    }
    let confirm = async |numbers: std::ops::Range<usize>| {
        let sent = sends[numbers].iter().map(|send| (send.send_id.clone(), "p".into())).collect();
        rig.twice(StoreRequest::MarkSent { fence: fence.clone(), sent }).await;
    };
    confirm(0..4).await;
    clock.advance(Millis::from_hours(1));
    confirm(4..5).await;
    clock.advance(Millis::from_ms(1));
    let forget = StoreRequest::ForgetArchived { retention: Millis::from_hours(1), limit: 1 };
    assert_eq!(rig.twice(forget).await, StoreReply::ForgetArchived(0));
    for (number, send) in sends.into_iter().enumerate() {
        let expected =
            if number < 4 { EnqueueAnswer::Enqueued } else { EnqueueAnswer::AlreadyPresent };
        assert_eq!(enqueue(&rig, "b", send).await, expected, "{number}");
    }
}
