//! What the outbox has to do with the life of its bot: what is waited for, and what stays.
//!
//! What the bot asks of its store is compared by the names of its operations.

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::Attempt;
use anteroom_core::store::StoreReply;
use anteroom_core::time::Millis;

use crate::script::node::{
    archived, marked, next_id, nothing_owed, owed, start, stored, unavailable,
};
use crate::script::trace::shown;
use crate::script::*;

/// The callbacks among effects.
fn callbacks(effects: &[Effect]) -> Vec<String> {
    shown(effects).into_iter().filter(|line| line.contains(": callback ")).collect()
}

/// Goal: a consumer that has attached to a bot stays attached while the bot stops and starts, and gets what
/// is owed then without a word.
#[test]
fn a_consumer_stays_while_its_bot_stops_and_starts() {
    let mut node = Node::running_alone(node_settings());
    node.step(attach(1));
    node.step(bot(BotEvent::Stop));
    node.answer("hold_bot", Ok(StoreReply::HoldBot(0)));
    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    node.step(bot(BotEvent::Start));
    node.restored(2);
    let page = StoreReply::OwedCallbacks { callbacks: vec![owed("alice", 1, 1)], more: false };
    let effects = node.answer("owed_callbacks", Ok(page));
    assert_eq!(callbacks(&effects), ["wa-7: callback alice/1/r0 attempt 2 stream 1 \"\""]);
}

/// Goal: a consumer that waits for a bot which nobody knows yet is not forgotten: it gets the first message.
#[test]
fn a_consumer_may_come_before_its_bot() {
    let mut settings = node_settings();
    settings.session.auto_create_bots = true;
    let mut node = Node::new(settings);
    node.step(start([], true, false));
    node.step(attach(1));
    node.step(Event::Tick);
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.answer("register_bot", Ok(StoreReply::RegisterBot(record(BOT))));
    node.restored(1);
    node.answer("owed_callbacks", Ok(nothing_owed()));
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", Ok(next_id(1)));
    let effects = node.answer("archive", Ok(stored([1])));
    assert_eq!(callbacks(&effects), ["wa-7: callback alice/1/r0 attempt 1 stream 1 \"hello\""]);
}

/// Goal: a stop waits for each thing that the outbox has under way, and for nothing else: an open callback, the
/// end of one that is being made durable, the number of its next attempt, a page of what is owed. Method:
/// each alone; the bot's jobs are held once it has ended, and not before.
#[test]
fn a_stop_waits_for_what_the_outbox_has_under_way() {
    let stops = |node: &mut Node| {
        node.step(bot(BotEvent::Stop));
        assert!(!node.asks("hold_bot"), "the stop waits");
    };
    let mut open = Node::running_alone(node_settings());
    open.step(attach(1));
    archived(&mut open, 1, "alice");
    stops(&mut open);
    open.step(acknowledge(1, [key("alice", 1)]));
    assert!(!open.asks("hold_bot"), "it waits for the end to be durable");
    open.answer("mark_called_back", Ok(marked(1)));
    assert!(open.asks("hold_bot"));

    let mut marking = Node::running_alone(node_settings());
    marking.step(attach(1));
    archived(&mut marking, 1, "alice");
    marking.step(acknowledge(1, [key("alice", 1)]));
    stops(&mut marking);
    marking.answer("mark_called_back", Ok(marked(1)));
    assert!(marking.asks("hold_bot"));

    let mut raising = Node::running_alone(node_settings());
    raising.step(attach(1));
    archived(&mut raising, 1, "alice");
    raising.step(attach(2));
    assert!(raising.asks("raise_attempts"), "the first attempt is spent");
    stops(&mut raising);
    raising.answer("raise_attempts", Ok(StoreReply::RaiseAttempts(vec![Some(Attempt(2))])));
    assert!(raising.asks("hold_bot"));

    let mut paging = Node::reading(node_settings());
    paging.answer("owed_sends", Ok(StoreReply::OwedSends(Vec::new())));
    stops(&mut paging);
    paging.answer("owed_callbacks", Ok(nothing_owed()));
    assert!(paging.asks("hold_bot"));
}

/// Goal: a page of owed callbacks and an archive batch never overlap, so that no page misses what is archived.
/// Method: a message comes while the first page is under way.
#[test]
fn nothing_is_archived_while_a_page_is_read() {
    let mut node = Node::reading(node_settings());
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", Ok(next_id(1)));
    assert!(node.asks("owed_callbacks") && !node.asks("archive"));
    node.answer("owed_callbacks", Ok(nothing_owed()));
    assert!(node.asks("archive"));
}

/// Goal: a consumer's reply, which became a durable send with the end of its callback, is looked for at once.
#[test]
fn a_reply_is_looked_for_when_it_is_durable() {
    for (reply, looks) in [(Some("good morning".to_owned()), true), (None, false)] {
        let mut node = Node::running_alone(node_settings());
        node.step(attach(1));
        archived(&mut node, 1, "alice");
        node.step(answered(key("alice", 1), 1, ConsumerAnswer::Acknowledged { reply }));
        assert!(!node.asks("owed_sends"), "it is not durable yet");
        node.answer("mark_called_back", Ok(marked(1)));
        assert_eq!(node.asks("owed_sends"), looks);
    }
}

/// Goal: a correspondent stays in memory while something of it is owed there, however long it is silent, and is
/// let go after that. Method: without a consumer, with one that says nothing, and with one that acknowledges; the next
/// message asks for the first free id again, which only one who is not in memory does.
#[test]
fn a_correspondent_stays_as_long_as_it_is_owed_something() {
    let silent_after = node_settings().bot_defaults.limits.silent_after;
    for (is_there, ends) in [(false, false), (true, false), (true, true)] {
        let mut settings = node_settings();
        settings.ownership.ttl = Millis::from_ms(silent_after.as_ms() * 8);
        settings.ownership.renew_every = Millis::from_ms(silent_after.as_ms() * 4);
        settings.session.silence_max = Millis::from_ms(silent_after.as_ms() * 8);
        settings.bot_defaults.callbacks.ack_timeout = Millis::from_ms(silent_after.as_ms() * 8);
        let mut node = Node::running_alone(settings);
        if is_there {
            node.step(attach(1));
        }
        archived(&mut node, 1, "alice");
        if ends {
            node.step(acknowledge(1, [key("alice", 1)]));
            node.answer("mark_called_back", Ok(marked(1)));
        }
        node.wait(silent_after);
        node.wait(silent_after);
        node.step(say(SESSION, 2, text("alice", "p2", "again")));
        assert_eq!(node.asks("next_id"), ends, "a consumer: {is_there}, owed nothing: {ends}");
    }
}

/// Goal: a page that the store did not answer is asked for again.
#[test]
fn a_page_that_fails_is_read_again() {
    let mut node = Node::reading(node_settings());
    node.step(attach(1));
    node.answer("owed_callbacks", Err(unavailable()));
    node.wait(node_settings().store_retry.after(9));
    let page = StoreReply::OwedCallbacks { callbacks: vec![owed("alice", 1, 1)], more: false };
    let effects = node.answer("owed_callbacks", Ok(page));
    assert_eq!(callbacks(&effects).len(), 1);
}
