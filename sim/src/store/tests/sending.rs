//! Outgoing messages.

use anteroom_core::id::SendId;
use anteroom_core::store::{EnqueueAnswer, Send, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use super::support::{Bench, ask, fence};

fn enqueue(key: &str, message: &str) -> StoreRequest {
    let send =
        Send { send_id: key.into(), correspondent_id: "c".into(), message: message.to_owned() };
    StoreRequest::EnqueueSend { bot_id: "a".into(), send }
}

fn owed(bench: &mut Bench, limit: u32) -> Vec<SendId> {
    let sends = ask!(bench, OwedSends, StoreRequest::OwedSends { fence: fence("a", 1), limit });
    sends.into_iter().map(|send| send.send_id).collect()
}

fn mark_sent(key: &str, provider_message_id: &str) -> StoreRequest {
    let sent = vec![(key.into(), provider_message_id.into())];
    StoreRequest::MarkSent { fence: fence("a", 1), sent }
}

/// Goal: a key is one message's: the same again is present, another conflicts, before and after it
/// was sent; another bot's key is its own.
#[test]
fn a_key_is_one_messages() {
    let mut bench = Bench::new();
    assert_eq!(ask!(bench, EnqueueSend, enqueue("k", "hello")), EnqueueAnswer::Enqueued);
    for _ in ["owed", "sent"] {
        let present = Ok(StoreReply::EnqueueSend(EnqueueAnswer::AlreadyPresent));
        assert_eq!(bench.apply_twice(&enqueue("k", "hello")), present);
        let conflict = Ok(StoreReply::EnqueueSend(EnqueueAnswer::Conflict));
        assert_eq!(bench.apply_twice(&enqueue("k", "other")), conflict);
        assert_eq!(bench.apply(&mark_sent("k", "x")), Ok(StoreReply::MarkSent));
    }
    let StoreRequest::EnqueueSend { send, .. } = enqueue("k", "other") else { unreachable!() };
    let of_b = StoreRequest::EnqueueSend { bot_id: "b".into(), send };
    assert_eq!(ask!(bench, EnqueueSend, of_b), EnqueueAnswer::Enqueued);
}

/// Goal: what is owed comes oldest first, and is owed no more once it was confirmed, however often.
#[test]
fn sends_are_owed_oldest_first_until_confirmed() {
    let mut bench = Bench::new();
    for key in ["z", "m", "b"] {
        ask!(bench, EnqueueSend, enqueue(key, "hello"));
    }
    assert_eq!(owed(&mut bench, 2), ["z".into(), "m".into()]);
    for request in [mark_sent("z", "x1"), mark_sent("never", "x2")] {
        assert_eq!(bench.apply_twice(&request), Ok(StoreReply::MarkSent));
    }
    bench.pass(Millis::from_secs(1));
    let once = bench.model.clone();
    assert_eq!(bench.apply(&mark_sent("z", "other")), Ok(StoreReply::MarkSent));
    assert_eq!(bench.model, once, "the first confirmation stands");
    assert_eq!(owed(&mut bench, 9), ["m".into(), "b".into()]);
}
