//! What consumers say, and fail to say: streams that come, go and are replaced; late answers; the waits
//! after refusals; the circuit.

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::id::{Attempt, StreamId};
use anteroom_core::store::{MarkAnswer, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use crate::script::node::{archived, marked};
use crate::script::trace::shown;
use crate::script::*;

/// A node without workers, whose one bot runs and is owed nothing.
fn running() -> Node {
    Node::running_alone(node_settings())
}

fn detach(stream: u64) -> anteroom_core::event::Event {
    bot(BotEvent::ConsumerDetached { stream_id: StreamId(stream) })
}

/// What is said to consumers, and what is noticed of them.
fn of_consumers(effects: &[Effect]) -> Vec<String> {
    let words = [": callback ", "abort callback", "stream", "circuit", "undeliverable"];
    let lines = shown(effects).into_iter();
    lines.filter(|line| words.iter().any(|word| line.contains(word))).collect()
}

/// The store gives the one callback that waits its next attempt.
fn raised(node: &mut Node, attempt: u32) -> Vec<Effect> {
    node.answer("raise_attempts", Ok(StoreReply::RaiseAttempts(vec![Some(Attempt(attempt))])))
}

/// Goal: a stream that says again that it is there keeps what it has.
#[test]
fn a_stream_that_comes_again_changes_nothing() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    assert_eq!(shown(&node.step(attach(1))), [""; 0]);
    assert!(!node.asks("raise_attempts"), "its attempt is still open");
}

/// Goal: a stream that said that it is gone has ended when another one takes its place; itself, it may come
/// again.
#[test]
fn who_said_that_it_is_gone_has_ended_when_another_comes() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    node.step(answered(key("alice", 1), 1, ConsumerAnswer::Gone));
    assert_eq!(of_consumers(&node.step(attach(1))), [""; 0], "it came again");
    let again = of_consumers(&raised(&mut node, 2));
    assert_eq!(again, ["wa-7: callback alice/1/r0 attempt 2 stream 1 \"hello\""]);
    node.step(answered(key("alice", 1), 2, ConsumerAnswer::Gone));
    assert_eq!(of_consumers(&node.step(attach(2))), ["wa-7: stream 1 replaced"]);
}

/// Goal: what a stream had open when it ended is made again to the next one, and to nobody before.
#[test]
fn what_an_ended_stream_had_comes_to_the_next() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    let gone = of_consumers(&node.step(detach(1)));
    assert_eq!(gone, ["wa-7: abort callback alice/1/r0 attempt 1"]);
    let nobody = archived(&mut node, 2, "bob");
    assert_eq!(of_consumers(&nobody), [""; 0], "nobody is there");
    assert!(!node.asks("raise_attempts"), "nobody is there");
    let unsent = of_consumers(&node.step(attach(2)));
    assert_eq!(unsent, ["wa-7: callback bob/1/r0 attempt 1 stream 2 \"hello\""]);
    let again = of_consumers(&raised(&mut node, 2));
    assert_eq!(again, ["wa-7: callback alice/1/r0 attempt 2 stream 2 \"hello\""]);
}

/// Goal: the end of a stream that was replaced is no end of the one that is there.
#[test]
fn the_late_end_of_a_replaced_stream_is_nothing() {
    let mut node = running();
    node.step(attach(1));
    assert_eq!(of_consumers(&node.step(attach(2))), ["wa-7: stream 1 replaced"]);
    assert_eq!(shown(&node.step(detach(1))), [""; 0]);
    let effects = archived(&mut node, 1, "alice");
    let callback = "wa-7: callback alice/1/r0 attempt 1 stream 2 \"hello\"";
    assert_eq!(of_consumers(&effects), [callback]);
}

/// Goal: a consumer that acknowledges is there: the circuit closes, unless nothing was acknowledged that it had.
/// Method: an unavailable consumer acknowledges what it was sent, and what it was not.
#[test]
fn an_acknowledgement_closes_the_circuit() {
    for (whose, closes) in [("alice", true), ("bob", false)] {
        let mut node = running();
        node.step(attach(1));
        archived(&mut node, 1, "alice");
        let unavailable = ConsumerAnswer::Unavailable { retry_after: None };
        node.step(answered(key("alice", 1), 1, unavailable));
        archived(&mut node, 2, "bob");
        let effects = of_consumers(&node.step(acknowledge(1, [key(whose, 1)])));
        let closed = effects.iter().any(|line| line.contains("circuit_closed"));
        assert_eq!(closed, closes, "{whose}: {effects:?}");
    }
}

/// Goal: what was certainly never sent is not acknowledged: the request's answer names it. What may have been sent by
/// an owner before is. Method: the second of two callbacks of a correspondent, which waits for the first; at its first
/// attempt here, and at its second, from a page.
#[test]
fn what_was_never_sent_is_not_acknowledged() {
    let mut fresh = running();
    fresh.step(attach(1));
    archived(&mut fresh, 1, "alice");
    archived(&mut fresh, 2, "alice");
    let effects = shown(&fresh.step(acknowledge(1, [key("alice", 2)])));
    let unknown = "[correspondent_id alice message_id 2 revision 0]";
    assert_eq!(effects, [format!("wa-7: ack answer request 1 acknowledged 0 unknown {unknown}")]);
    assert!(!fresh.asks("mark_called_back"));

    let mut old = Node::reading(node_settings());
    old.step(attach(1));
    let callbacks = vec![node::owed("alice", 1, 1), node::owed("alice", 2, 2)];
    old.answer("owed_callbacks", Ok(StoreReply::OwedCallbacks { callbacks, more: false }));
    old.step(acknowledge(1, [key("alice", 2)]));
    assert!(old.asks("mark_called_back"));
}

/// Goal: an unavailable consumer gets nothing until its back-off ends, and then one callback, which asks whether it is
/// back; whatever ticks come. Method: two correspondents wait; the probe is acknowledged.
#[test]
fn an_unavailable_consumer_is_asked_by_one_callback() {
    let back_off = node_settings().bot_defaults.callbacks.unavailable_back_off;
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    let unavailable = ConsumerAnswer::Unavailable { retry_after: None };
    node.step(answered(key("alice", 1), 1, unavailable));
    let waits = archived(&mut node, 2, "bob");
    assert_eq!(of_consumers(&waits), [""; 0], "the circuit is open");
    let sooner = Millis::from_ms(back_off.first.as_ms() * 3 / 4 - 1);
    node.sleep(sooner);
    assert_eq!(of_consumers(&node.step(anteroom_core::event::Event::Tick)), [""; 0]);
    assert!(!node.asks("raise_attempts"), "its back-off has not ended");
    node.wait(Millis::from_ms(back_off.first.as_ms() - sooner.as_ms()));
    assert!(node.asks("raise_attempts"), "its back-off has ended");
    let probe = of_consumers(&raised(&mut node, 2));
    assert_eq!(probe, ["wa-7: callback alice/1/r0 attempt 2 stream 1 \"hello\""]);
    let effects = of_consumers(&node.step(acknowledge(1, [key("alice", 1)])));
    assert!(effects.contains(&"wa-7: callback bob/1/r0 attempt 1 stream 1 \"hello\"".to_owned()));
}

/// Goal: an answer counts for the attempt that is open, and for no other. Method: the first attempt is answered
/// again while the second is open, and while it waits after a refusal.
#[test]
fn a_late_answer_is_no_answer() {
    let late = [ConsumerAnswer::Unavailable { retry_after: None }, ConsumerAnswer::Refused];
    for answer in &late {
        let mut node = running();
        node.step(attach(1));
        archived(&mut node, 1, "alice");
        node.step(attach(2));
        raised(&mut node, 2);
        let effects = node.step(answered(key("alice", 1), 1, answer.clone()));
        assert_eq!(shown(&effects), [""; 0], "{answer:?} for attempt 1 while 2 is open");
        let effects = node.step(acknowledge(1, [key("alice", 1)]));
        assert_eq!(of_consumers(&effects), [""; 0], "the circuit was closed all the time");
    }
    for answer in late {
        let mut settings = node_settings();
        settings.bot_defaults.callbacks.refusals_max = 2;
        let mut node = Node::running_alone(settings);
        node.step(attach(1));
        archived(&mut node, 1, "alice");
        node.step(answered(key("alice", 1), 1, ConsumerAnswer::Refused));
        let effects = node.step(answered(key("alice", 1), 1, answer.clone()));
        assert_eq!(shown(&effects), [""; 0], "{answer:?} for an attempt that was refused");
    }
}

/// Goal: the wait after a refusal doubles from the first one on, shortened by a quarter at the most, and a message
/// is given up at the last refusal that is allowed. Method: it is refused three times.
#[test]
fn the_wait_after_a_refusal_doubles() {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.refusals_max = 3;
    let first = settings.bot_defaults.callbacks.refused_back_off.first;
    let mut node = Node::running_alone(settings);
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    for (attempt, wait) in [(1, first), (2, Millis::from_ms(first.as_ms() * 2))] {
        node.step(answered(key("alice", 1), attempt, ConsumerAnswer::Refused));
        let sooner = Millis::from_ms(wait.as_ms() * 3 / 4 - 1);
        node.wait(sooner);
        assert!(!node.asks("raise_attempts"), "too early for attempt {}", attempt + 1);
        node.wait(Millis::from_ms(wait.as_ms() - sooner.as_ms()));
        assert!(node.asks("raise_attempts"), "too late for attempt {}", attempt + 1);
        raised(&mut node, attempt + 1);
    }
    let effects = of_consumers(&node.step(answered(key("alice", 1), 3, ConsumerAnswer::Refused)));
    assert!(effects.iter().any(|line| line.contains("undeliverable")), "{effects:?}");
    node.answer("mark_called_back", Ok(marked(1)));
}

/// Goal: what waits to be marked is bounded: ten thousand, and not one more; then there is room again. Method: while
/// the store does not answer, a consumer acknowledges what an owner before may have sent.
#[test]
fn acknowledgements_wait_within_bounds() {
    let mut node = running();
    node.step(attach(1));
    let mut number = 0;
    let mut acknowledged = |node: &mut Node, count: usize| {
        let from = number + 1;
        number += count as u64;
        let effects = node.step(acknowledge(from, (from..=number).map(|id| key("alice", id))));
        shown(&effects)
    };
    assert!(acknowledged(&mut node, 500)[0].contains("mark_called_back"), "it is being marked");
    assert_eq!(acknowledged(&mut node, 10_000), [""; 0], "it waits");
    let refused = acknowledged(&mut node, 1);
    assert_eq!(refused, ["wa-7: ack answer request 10501 -"]);
    node.answer("mark_called_back", Ok(marked(500)));
    assert_eq!(acknowledged(&mut node, 500), [""; 0], "there is room for as many as were taken");
    assert_eq!(acknowledged(&mut node, 1).len(), 1);
}

/// Goal: what the store did not make durable is asked for again, once its patience has ended: the end of a callback, and
/// the number of an attempt.
#[test]
fn what_is_not_durable_is_asked_for_again() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    node.step(attach(2));
    node.fail("raise_attempts");
    assert!(!node.asks("raise_attempts"), "not at once");
    node.wait(node_settings().store_retry.after(1));
    let again = of_consumers(&raised(&mut node, 2));
    assert_eq!(again, ["wa-7: callback alice/1/r0 attempt 2 stream 2 \"hello\""]);

    node.step(acknowledge(1, [key("alice", 1)]));
    node.fail("mark_called_back");
    assert!(!node.asks("mark_called_back"), "not at once");
    node.wait(node_settings().store_retry.after(1));
    let effects = shown(&node.answer("mark_called_back", Ok(marked(1))));
    assert_eq!(effects, ["wa-7: ack answer request 1 acknowledged 1 unknown []"]);
}

/// Goal: an unavailable consumer is left alone, whatever else the bot wakes up for. Method: one message was refused and
/// waits for its next attempt; that moment comes long before the circuit's.
#[test]
fn a_refused_message_does_not_probe() {
    let mut settings = node_settings();
    let callbacks = &mut settings.bot_defaults.callbacks;
    callbacks.unavailable_back_off.first = Millis::from_secs(8);
    callbacks.unavailable_back_off.most = Millis::from_secs(8);
    let refused = callbacks.refused_back_off.first;
    let mut node = Node::running_alone(settings);
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    archived(&mut node, 2, "bob");
    node.step(answered(key("bob", 1), 1, ConsumerAnswer::Refused));
    node.step(answered(key("alice", 1), 1, ConsumerAnswer::Unavailable { retry_after: None }));
    node.wait(refused);
    assert!(!node.asks("raise_attempts"), "the circuit is open");
    node.wait(Millis::from_secs(8));
    assert!(node.asks("raise_attempts"), "the circuit asks");
}

/// Goal: an acknowledgement of what is not in memory ends nothing else. Method: while it is being marked, another
/// message comes.
#[test]
fn what_is_acknowledged_ahead_ends_itself_alone() {
    let mut node = running();
    node.step(attach(1));
    node.step(acknowledge(1, [key("carol", 7)]));
    let effects = archived(&mut node, 1, "alice");
    let callback = "wa-7: callback alice/1/r0 attempt 1 stream 1 \"hello\"";
    assert_eq!(of_consumers(&effects), [callback]);
}

/// Goal: what the store says was never sent is still owed, whatever its consumer says, and made again. Method: the end of
/// an open callback is unknown to the store.
#[test]
fn what_the_store_does_not_know_to_be_sent_is_made_again() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    node.step(acknowledge(1, [key("alice", 1)]));
    let unknown = StoreReply::MarkCalledBack(vec![MarkAnswer::Unknown]);
    node.answer("mark_called_back", Ok(unknown));
    let again = of_consumers(&raised(&mut node, 2));
    assert_eq!(again, ["wa-7: callback alice/1/r0 attempt 2 stream 1 \"hello\""]);
}

/// Goal: with the end of a callback goes whether this owner may have sent it: of first attempts the store does not know.
/// Method: an open callback is acknowledged, then one that is not in memory.
#[test]
fn a_mark_says_whether_its_owner_has_sent_it() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    node.step(acknowledge(1, [key("alice", 1)]));
    let sent = |node: &Node| match node.asked("mark_called_back") {
        StoreRequest::MarkCalledBack { marks, .. } => {
            marks.iter().map(|mark| mark.sent).collect::<Vec<_>>()
        }
        request => panic!("{request:?}"),
    };
    assert_eq!(sent(&node), [true]);
    node.answer("mark_called_back", Ok(marked(1)));
    node.step(acknowledge(2, [key("carol", 7)]));
    assert_eq!(sent(&node), [false]);
}

/// Goal: the numbers of attempts are made durable one request at a time. Method: a second callback wants its next number
/// while the first one's is under way.
#[test]
fn numbers_of_attempts_are_asked_for_one_request_at_a_time() {
    let mut node = running();
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    node.step(attach(2));
    archived(&mut node, 2, "bob");
    node.step(attach(3));
    let asked = |node: &Node| node.names().iter().filter(|it| *it == "raise_attempts").count();
    assert_eq!(asked(&node), 1);
    raised(&mut node, 2);
    assert_eq!(asked(&node), 1, "the other one's turn");
    let callback = "wa-7: callback bob/1/r0 attempt 2 stream 3 \"hello\"";
    assert_eq!(of_consumers(&raised(&mut node, 2)), [callback]);
}

/// Goal: one request asks for 500 numbers at the most. Method: as many callbacks and one more are open to a stream that
/// is replaced.
#[test]
fn a_request_for_numbers_is_bounded() {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.max_in_flight = 501;
    let mut node = Node::running_alone(settings);
    node.step(attach(1));
    for number in 1..=501 {
        archived(&mut node, number, &format!("c{number}"));
    }
    node.step(attach(2));
    let asked = |node: &Node| match node.asked("raise_attempts") {
        StoreRequest::RaiseAttempts { callbacks, .. } => callbacks.len(),
        request => panic!("{request:?}"),
    };
    assert_eq!(asked(&node), 500);
    let numbers = vec![Some(Attempt(2)); 500];
    node.answer("raise_attempts", Ok(StoreReply::RaiseAttempts(numbers)));
    assert_eq!(asked(&node), 1);
}
