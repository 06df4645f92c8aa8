//! What the outbox has to do with the life of its bot: what is waited for, and what stays.
//!
//! What the bot asks of its store is compared by the names of its operations.

use anteroom_core::bot::event::{AckAnswer, BotEffect, BotEvent, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, RequestId};
use anteroom_core::job::Status;
use anteroom_core::protocol::{ProviderFrame, Sent};
use anteroom_core::store::{
    CallbackPlan, EnqueueAnswer, InsertAnswer, JobPage, Send, StoreError, StoreReply, StoreRequest,
};
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

/// Goal: one acknowledgement that the store calls invalid takes no other with it, and whoever sent them is
/// answered. Method: of three that are made durable together one is bad; each goes alone then.
#[test]
fn a_mark_that_is_refused_takes_no_other_with_it() {
    let mut node = Node::running_alone(node_settings());
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    archived(&mut node, 2, "bob");
    node.step(acknowledge(1, [key("alice", 1), key("alice", 99), key("bob", 1)]));
    let refused = || Err(StoreError::Invalid { detail: "no such number".to_owned() });
    let marks = |node: &Node| match node.asked("mark_called_back") {
        StoreRequest::MarkCalledBack { marks, .. } => marks.len(),
        other => panic!("marks are asked for: {other:?}"),
    };
    assert_eq!(marks(&node), 3);
    node.answer("mark_called_back", refused());
    for (number, answer) in [Ok(marked(1)), refused(), Ok(marked(1))].into_iter().enumerate() {
        assert_eq!(marks(&node), 1);
        let effects = node.answer("mark_called_back", answer);
        let answers: Vec<_> = effects.iter().filter_map(ack_answer).collect();
        let expected = AckAnswer { acknowledged: 2, unknown: vec![key("alice", 99)] };
        assert_eq!(answers, if number == 2 { vec![expected] } else { Vec::new() });
    }
    assert!(!node.asks("mark_called_back"));
    let effects = archived(&mut node, 3, "alice");
    assert_eq!(callbacks(&effects), ["wa-7: callback alice/2/r0 attempt 1 stream 1 \"hello\""]);
}

fn ack_answer(effect: &Effect) -> Option<AckAnswer> {
    match effect {
        Effect::Bot(_, BotEffect::AckAnswer { answer: Some(answer), .. }) => {
            Some(answer.get().clone())
        }
        _ => None,
    }
}

/// Goal: under gating nothing passes what was said before it, also where the window is just full. Method: a text
/// that finds no room and the voice note behind it are archived together.
#[test]
fn a_gated_medium_does_not_pass_a_text_that_finds_no_room() {
    let mut settings = node_settings();
    settings.bot_defaults.gating.enabled = true;
    settings.bot_defaults.callbacks.outbox_window = 1;
    let mut node = Node::running_alone(settings);
    node.step(attach(1));
    node.step(say(SESSION, 1, text("bob", "p1", "hello")));
    node.answer("next_id", Ok(next_id(1)));
    // While that is being archived, others wait, and go together.
    node.step(say(SESSION, 2, text("alice", "p2", "listen")));
    node.answer("next_id", Ok(next_id(1)));
    node.step(say(SESSION, 3, voice("alice", "p3", 0xa1)));
    let inserted = InsertAnswer::Inserted { leased: false };
    node.answer("insert_jobs", Ok(StoreReply::InsertJobs(vec![inserted])));
    node.step(bot(BotEvent::ResultsWaiting));
    let done = Status::Completed { outcome: words("news"), token: None, worked: None };
    let page = JobPage { jobs: vec![job("alice", 2, 0xa1, done)], more: false };
    node.answer("completed_jobs", Ok(StoreReply::CompletedJobs(page)));
    node.answer("archive", Ok(stored([1])));
    let StoreRequest::Archive { items, .. } = node.asked("archive") else { panic!("it archives") };
    let plans: Vec<_> = items.iter().map(|item| item.callback).collect();
    assert_eq!(plans, [CallbackPlan::Owed, CallbackPlan::Owed]);
}

/// Goal: a stop makes durable what the provider says it has sent, while it waits for something else. Method: a
/// callback is open, and a message is with the provider, which confirms it during the stop.
#[test]
fn what_was_sent_is_marked_while_the_bot_stops() {
    let mut node = Node::running_alone(node_settings());
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    let (send_id, message) = ("s1".into(), "good morning".to_owned());
    let send = Send { send_id, correspondent_id: "alice".into(), message };
    node.step(bot(BotEvent::Enqueue { request_id: RequestId(7), send: send.clone() }));
    node.answer("enqueue_send", Ok(StoreReply::EnqueueSend(EnqueueAnswer::Enqueued)));
    node.answer("owed_sends", Ok(StoreReply::OwedSends(vec![send])));
    node.step(bot(BotEvent::Stop));
    let sent = Sent { bot_id: None, send_id: "s1".into(), provider_message_id: "p9".into() };
    node.step(frame(SESSION, ProviderFrame::Sent(sent), false));
    node.answer("mark_sent", Ok(StoreReply::MarkSent));
    node.step(acknowledge(1, [key("alice", 1)]));
    node.answer("mark_called_back", Ok(marked(1)));
    assert!(node.asks("hold_bot"), "{:?}", node.names());
}
