//! Debounce: what comes in a burst goes out together, as exact effects.

use std::num::NonZeroU32;

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::id::{ArchiveSeq, Attempt, RequestId};
use anteroom_core::settings::{Debounce, NodeSettings};
use anteroom_core::store::{ArchiveAnswer, MarkAnswer, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use crate::script::trace::shown;
use crate::script::*;

const WINDOW: Millis = Millis::from_ms(1_000);

/// Bursts end after a second without a message, after three seconds, or with three messages.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.debounce = Some(Debounce {
        window: WINDOW,
        max_wait: Millis::from_ms(3_000),
        max_messages: NonZeroU32::MIN.saturating_add(2),
    });
    settings
}

/// A running bot with a consumer.
fn running() -> Node {
    let mut node = Node::running(settings());
    node.step(attach(1));
    node
}

/// Texts that are durable, one archive operation each.
fn archived(node: &mut Node, numbers: std::ops::RangeInclusive<u64>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for number in numbers {
        let words = format!("text {number}");
        node.step(say(SESSION, number, text("alice", &format!("p{number}"), &words)));
        if node.asks("next_id") {
            node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
        }
        let stored = vec![ArchiveAnswer::Stored { seq: ArchiveSeq(number) }];
        effects.extend(node.answer("archive", Ok(StoreReply::Archive(stored))));
    }
    effects
}

/// What was handed to the consumer, or taken back.
fn called(effects: &[Effect]) -> Vec<String> {
    let lines = shown(effects).into_iter();
    lines.filter(|line| line.contains("callback") && !line.contains("mark")).collect()
}

fn together(node: &mut Node, callbacks: &[(u64, u32)], answer: ConsumerAnswer) -> Vec<Effect> {
    let callbacks =
        callbacks.iter().map(|(id, attempt)| (key("alice", *id), Attempt(*attempt))).collect();
    node.step(bot(BotEvent::AnsweredTogether { callbacks, answer }))
}

fn marked(node: &mut Node) -> Vec<Effect> {
    let StoreRequest::MarkCalledBack { marks, .. } = node.asked("mark_called_back") else {
        panic!("mark_called_back asks for marks")
    };
    let answers = vec![MarkAnswer::Ended; marks.len()];
    node.answer("mark_called_back", Ok(StoreReply::MarkCalledBack(answers)))
}

fn raised(node: &mut Node, attempt: u32) -> Vec<Effect> {
    let StoreRequest::RaiseAttempts { callbacks, .. } = node.asked("raise_attempts") else {
        panic!("raise_attempts asks for callbacks")
    };
    let attempts = vec![Some(Attempt(attempt)); callbacks.len()];
    node.answer("raise_attempts", Ok(StoreReply::RaiseAttempts(attempts)))
}

const ACKNOWLEDGED: ConsumerAnswer = ConsumerAnswer::Acknowledged { reply: None };

/// Goal: a burst goes out together once nothing has come for the window. Method: two texts half a
/// window apart; nothing goes out until a whole window after the second.
#[test]
fn a_burst_goes_out_when_nothing_has_come_for_the_window() {
    let mut node = running();
    assert_eq!(called(&archived(&mut node, 1..=1)), [""; 0]);
    assert_eq!(called(&node.wait(Millis::from_ms(500))), [""; 0]);
    assert_eq!(called(&archived(&mut node, 2..=2)), [""; 0]);
    assert_eq!(called(&node.wait(Millis::from_ms(999))), [""; 0]);
    assert_eq!(
        called(&node.wait(Millis::from_ms(1))),
        [
            "wa-7: callbacks stream 1 [alice/1/r0 attempt 1 \"text 1\"; alice/2/r0 attempt 1 \"text 2\"]"
        ]
    );
}

/// Goal: whoever never stops writing is called back after the longest wait all the same. Method: a text
/// every 900 ms; the first has waited three seconds when four are there.
#[test]
fn a_burst_without_a_pause_has_an_end() {
    let mut settings = settings();
    let debounce = settings.bot_defaults.callbacks.debounce.as_mut().expect("it debounces");
    debounce.max_messages = NonZeroU32::MIN.saturating_add(9);
    let mut node = Node::running(settings);
    node.step(attach(1));
    for number in 1..=4 {
        assert_eq!(called(&archived(&mut node, number..=number)), [""; 0]);
        let pause = if number < 4 { 900 } else { 299 };
        assert_eq!(called(&node.wait(Millis::from_ms(pause))), [""; 0]);
    }
    assert_eq!(
        called(&node.wait(Millis::from_ms(1))),
        [
            "wa-7: callbacks stream 1 [alice/1/r0 attempt 1 \"text 1\"; alice/2/r0 attempt 1 \"text 2\"; \
          alice/3/r0 attempt 1 \"text 3\"; alice/4/r0 attempt 1 \"text 4\"]"
        ]
    );
}

/// Goal: a burst that is as large as it may be does not wait for more.
#[test]
fn a_full_burst_does_not_wait() {
    let mut node = running();
    assert_eq!(called(&archived(&mut node, 1..=2)), [""; 0]);
    assert_eq!(
        called(&archived(&mut node, 3..=3)),
        [
            "wa-7: callbacks stream 1 [alice/1/r0 attempt 1 \"text 1\"; alice/2/r0 attempt 1 \"text 2\"; \
          alice/3/r0 attempt 1 \"text 3\"]"
        ]
    );
}

/// Goal: what has gone out together is tried again as it was: nothing joins it, and what has come
/// meanwhile goes out after it. Method: the consumer is unavailable while a third text comes.
#[test]
fn nothing_joins_what_has_gone_out_once() {
    let mut node = running();
    archived(&mut node, 1..=2);
    node.wait(WINDOW);
    archived(&mut node, 3..=3);
    let unavailable = ConsumerAnswer::Unavailable { retry_after: None };
    assert_eq!(called(&together(&mut node, &[(1, 1), (2, 1)], unavailable)), [""; 0]);
    node.wait(Millis::from_secs(5));
    assert_eq!(
        called(&raised(&mut node, 2)),
        [
            "wa-7: callbacks stream 1 [alice/1/r0 attempt 2 \"text 1\"; alice/2/r0 attempt 2 \"text 2\"]"
        ]
    );
    together(&mut node, &[(1, 2), (2, 2)], ACKNOWLEDGED);
    assert_eq!(
        called(&marked(&mut node)),
        ["wa-7: callbacks stream 1 [alice/3/r0 attempt 1 \"text 3\"]"]
    );
}

/// Goal: each is acknowledged by itself; what is left of a burst stays open alone, is aborted when its
/// time is over, and comes again alone, before what has come since.
#[test]
fn what_is_left_of_a_burst_comes_again_alone() {
    let mut settings = settings();
    settings.bot_defaults.callbacks.ack_timeout = Millis::from_secs(2);
    let mut node = Node::running(settings);
    node.step(attach(1));
    archived(&mut node, 1..=3);
    let keys = vec![key("alice", 1), key("alice", 3)];
    node.step(bot(BotEvent::Acknowledge { request_id: RequestId(1), keys }));
    marked(&mut node);
    assert_eq!(called(&archived(&mut node, 4..=4)), [""; 0]);
    assert_eq!(
        called(&node.wait(Millis::from_secs(2))),
        ["wa-7: abort callback alice/2/r0 attempt 1"]
    );
    node.wait(Millis::from_secs(3));
    assert_eq!(
        called(&raised(&mut node, 2)),
        ["wa-7: callbacks stream 1 [alice/2/r0 attempt 2 \"text 2\"]"]
    );
}

/// Goal: one answer ends all of a burst, and its reply is one send, which goes with the last of them.
#[test]
fn one_answer_ends_a_burst_and_its_reply_goes_with_the_last() {
    let mut node = running();
    archived(&mut node, 1..=2);
    node.wait(WINDOW);
    let reply = Some("thanks".to_owned());
    let answer = ConsumerAnswer::Acknowledged { reply: reply.clone() };
    together(&mut node, &[(1, 1), (2, 1)], answer);
    let StoreRequest::MarkCalledBack { marks, .. } = node.asked("mark_called_back") else {
        panic!("mark_called_back asks for marks")
    };
    let replies: Vec<_> = marks.iter().map(|mark| (mark.key.clone(), mark.reply.clone())).collect();
    assert_eq!(replies, [(key("alice", 1), None), (key("alice", 2), reply)]);
}

/// Goal: a burst that the consumer refuses waits as a whole, and comes again as a whole. Method: each
/// of its callbacks has a back-off of its own; nothing goes out before the last of them is over.
#[test]
fn a_refused_burst_comes_again_as_a_whole() {
    let mut node = running();
    archived(&mut node, 1..=2);
    node.wait(WINDOW);
    assert_eq!(called(&together(&mut node, &[(1, 1), (2, 1)], ConsumerAnswer::Refused)), [""; 0]);
    node.wait(Millis::from_secs(5));
    assert_eq!(
        called(&raised(&mut node, 2)),
        [
            "wa-7: callbacks stream 1 [alice/1/r0 attempt 2 \"text 1\"; alice/2/r0 attempt 2 \"text 2\"]"
        ]
    );
}

/// Goal: bursts of several correspondents never have more open than the bot may have, and one that
/// needs more room than there is goes out as a whole when there is room.
#[test]
fn a_burst_waits_for_room_as_a_whole() {
    let mut settings = settings();
    settings.bot_defaults.callbacks.max_in_flight = 3;
    let mut node = Node::running(settings);
    node.step(attach(1));
    for (number, correspondent) in [(1, "alice"), (2, "alice"), (3, "bert"), (4, "bert")] {
        node.step(say(SESSION, number, text(correspondent, &format!("p{number}"), "hello")));
        if node.asks("next_id") {
            node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
        }
        let stored = vec![ArchiveAnswer::Stored { seq: ArchiveSeq(number) }];
        node.answer("archive", Ok(StoreReply::Archive(stored)));
    }
    assert_eq!(
        called(&node.wait(WINDOW)),
        [
            "wa-7: callbacks stream 1 [alice/1/r0 attempt 1 \"hello\"; alice/2/r0 attempt 1 \"hello\"]"
        ]
    );
    let keys = vec![key("alice", 1)];
    let acknowledge = bot(BotEvent::Acknowledge { request_id: RequestId(1), keys });
    assert_eq!(
        called(&node.step(acknowledge)),
        ["wa-7: callbacks stream 1 [bert/1/r0 attempt 1 \"hello\"; bert/2/r0 attempt 1 \"hello\"]"]
    );
}
