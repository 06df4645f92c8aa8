//! What operators ask of a machine: a callback made again, a bot made known, a look at what is in memory.

use anteroom_core::bot::event::{BotEffect, BotEvent, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::id::{ArchiveSeq, Attempt, RequestId};
use anteroom_core::store::{
    ArchiveAnswer, BotRecord, MarkAnswer, OwedCallback, RedeliverAnswer, StoreReply, StoreRequest,
};
use anteroom_core::view::{CallbackStateView, ConsumerView, PhaseView};

use crate::script::*;

const REFUSED: ConsumerAnswer = ConsumerAnswer::Refused;

/// A running bot whose consumer has refused the first text once too often.
fn given_up() -> Node {
    let mut node = refused();
    let marked = Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]));
    node.answer("mark_called_back", marked);
    node
}

/// The same, before the store has answered that the callback has ended.
fn refused() -> Node {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.refusals_max = 1;
    let mut node = Node::running(settings);
    node.step(attach(1));
    archive(&mut node, 1);
    node.step(answered(key("alice", 1), 1, REFUSED));
    node
}

fn archive(node: &mut Node, number: u64) -> Vec<Effect> {
    node.step(say(SESSION, number, text("alice", &format!("p{number}"), "hello")));
    if node.asks("next_id") {
        node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
    }
    let stored = vec![ArchiveAnswer::Stored { seq: ArchiveSeq(number) }];
    node.answer("archive", Ok(StoreReply::Archive(stored)))
}

fn redeliver(node: &mut Node, request: u64) -> Vec<Effect> {
    let request_id = RequestId(request);
    node.step(bot(BotEvent::Redeliver { request_id, key: key("alice", 1), attempts: Attempt(1) }))
}

/// The answers to requests for a redelivery, none for those that were refused.
fn answers(effects: &[Effect]) -> Vec<(u64, Option<RedeliverAnswer>)> {
    let answers = effects.iter().filter_map(|effect| match effect {
        Effect::Bot(_, BotEffect::RedeliverAnswer { request_id, answer }) => {
            Some((request_id.0, answer.as_ref().map(|answer| *answer.get())))
        }
        _ => None,
    });
    answers.collect()
}

fn attempts(effects: &[Effect]) -> Vec<u32> {
    let called = effects.iter().filter_map(|effect| match effect {
        Effect::Bot(_, BotEffect::Callback { callback, .. }) => Some(callback.get().attempt.0),
        _ => None,
    });
    called.collect()
}

/// Goal: a callback that was given up is owed anew in the store, then read from there and made under its next
/// attempt; the operator is answered once it is durable, not before.
#[test]
fn a_given_up_callback_is_made_again() {
    let mut node = given_up();
    let asked = redeliver(&mut node, 9);
    assert_eq!(answers(&asked), []);
    let StoreRequest::Redeliver { key: wanted, .. } = node.asked("redeliver") else {
        panic!("the store is asked")
    };
    assert_eq!(*wanted, key("alice", 1));
    let owed = RedeliverAnswer::Owed { seq: ArchiveSeq(2) };
    let told = node.answer("redeliver", Ok(StoreReply::Redeliver(owed)));
    assert_eq!(answers(&told), [(9, Some(owed))]);
    assert_eq!(attempts(&told), [0; 0]);
    let mut message = job("alice", 1, 1, anteroom_core::job::Status::Pending).placeholder_message;
    message.media = None;
    let owed = OwedCallback {
        seq: ArchiveSeq(2),
        correspondent_id: "alice".into(),
        message: message.into(),
        revision: 0,
        attempt: Attempt(2),
        failures: 0,
    };
    let page = StoreReply::OwedCallbacks { callbacks: vec![owed], more: false };
    assert_eq!(attempts(&node.answer("owed_callbacks", Ok(page))), [2]);
}

/// Goal: a redelivery and an archive batch never overlap, so that no page misses either.
#[test]
fn a_redelivery_waits_for_the_batch_in_flight() {
    let mut node = given_up();
    node.step(say(SESSION, 2, text("alice", "p2", "hello")));
    redeliver(&mut node, 9);
    assert!(!node.names().contains(&"redeliver".to_owned()), "{:?}", node.names());
    let stored = vec![ArchiveAnswer::Stored { seq: ArchiveSeq(2) }];
    node.answer("archive", Ok(StoreReply::Archive(stored)));
    assert!(node.names().contains(&"redeliver".to_owned()), "{:?}", node.names());
    node.step(say(SESSION, 3, text("alice", "p3", "hello")));
    assert!(!node.names().contains(&"archive".to_owned()), "{:?}", node.names());
}

/// Goal: an operator who has seen in the store that a callback was given up, before its bot has heard that this
/// is durable, waits for that: or the page that brings it anew would be taken to be from before. Archiving goes on.
#[test]
fn a_redelivery_waits_for_the_end_before_it() {
    let mut node = refused();
    redeliver(&mut node, 9);
    assert!(!node.names().contains(&"redeliver".to_owned()), "{:?}", node.names());
    archive(&mut node, 2);
    archive(&mut node, 3);
    assert!(!node.names().contains(&"redeliver".to_owned()), "{:?}", node.names());
    let marked = Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]));
    node.answer("mark_called_back", marked);
    assert!(node.names().contains(&"redeliver".to_owned()), "{:?}", node.names());
}

/// Goal: whoever asks a bot that does not run, or that stops meanwhile, is answered at once: nothing waits for
/// ever, and a store that did not answer is asked again.
#[test]
fn nobody_waits_in_vain() {
    let mut node = given_up();
    redeliver(&mut node, 9);
    node.fail("redeliver");
    assert_eq!(answers(&redeliver(&mut node, 10)), []);
    let stopped = node.step(bot(BotEvent::Stop));
    assert_eq!(answers(&stopped), [(10, None)]);
    let mut unknown = Node::plain();
    let event = BotEvent::Redeliver {
        request_id: RequestId(1),
        key: key("alice", 1),
        attempts: Attempt(1),
    };
    let refused = unknown.step(anteroom_core::event::Event::Bot("nobody".into(), event));
    assert_eq!(answers(&refused), [(1, None)]);
    assert_eq!(unknown.machine.bot_view(&"nobody".into()), None, "it is forgotten again");
}

/// Goal: a bot that is made known is registered once, under the id that it is asked for by, and starts if it is
/// always to run.
#[test]
fn a_bot_is_made_known() {
    use anteroom_core::settings::Run;
    let mut node = Node::plain();
    let record = BotRecord { run: Run::Always, ..record("elsewhere") };
    let event = BotEvent::Register { record: record.clone() };
    node.step(anteroom_core::event::Event::Bot("wa-8".into(), event.clone()));
    let wanted = BotRecord { bot_id: "wa-8".into(), ..record };
    assert_eq!(*node.asked("register_bot"), StoreRequest::RegisterBot(wanted.clone()));
    node.answer("register_bot", Ok(StoreReply::RegisterBot(wanted)));
    assert!(node.names().contains(&"acquire_bot".to_owned()), "{:?}", node.names());
    node.step(anteroom_core::event::Event::Bot("wa-8".into(), event));
    assert!(!node.names().contains(&"register_bot".to_owned()), "{:?}", node.names());
}

/// Goal: what is in memory is shown as it is: the bot, its consumer, a placeholder, an open callback.
#[test]
fn memory_is_shown_as_it_is() {
    let mut node = Node::plain();
    archive(&mut node, 1);
    let view = node.machine.bot_view(&BOT.into()).expect("it is in memory");
    assert_eq!((view.phase, view.consumer), (PhaseView::Running, ConsumerView::Absent));
    assert_eq!((view.connections, view.owed_in_memory, view.open_callbacks), (1, 1, 0));
    node.step(attach(1));
    node.step(say(SESSION, 2, voice("alice", "p2", 7)));
    let view = node.machine.correspondent_view(&BOT.into(), &"alice".into(), 10);
    let view = view.expect("she is in memory");
    let [open] = &view.callbacks[..] else { panic!("one callback is owed: {view:?}") };
    assert_eq!((&open.key, open.state), (&key("alice", 1), CallbackStateView::Open));
    let [waits] = &view.queue[..] else { panic!("one message waits: {view:?}") };
    assert_eq!((waits.placeholder, waits.media_id), (true, Some(media(7))));
    assert_eq!(node.machine.correspondent_view(&BOT.into(), &"bob".into(), 10), None);
    assert_eq!(node.machine.bot_views(None, 10).len(), 1);
    assert_eq!(node.machine.bot_views(Some(&BOT.into()), 10).len(), 0);
}
