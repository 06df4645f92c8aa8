//! What one message must not do to others: a send that nobody confirms, a text that the consumer refuses, retries that
//! fail or are many, and a batch whose bot is lost while it is archived.

use anteroom_core::bot::event::{BotEffect, BotEvent, ConsumerAnswer};
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{ArchiveSeq, RequestId};
use anteroom_core::job::{Job, Status};
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::protocol::{ProviderFrame, Sent};
use anteroom_core::receipt::{Receipt, RejectReason};
use anteroom_core::session::event::SessionEffect;
use anteroom_core::store::{
    CallbackPlan, EnqueueAnswer, JobPage, OwedCallback, ReviseAnswer, Send, StoreError, StoreReply,
    StoreRequest,
};
use anteroom_core::time::Millis;

use crate::script::node::{marked, next_id, nothing_owed, owed};
use crate::script::*;

/// A node whose bot stays its own and connected while time passes.
fn running() -> Node {
    let mut settings = node_settings();
    settings.ownership.ttl = Millis::from_hours(24);
    settings.ownership.renew_every = Millis::from_hours(24);
    settings.session.silence_max = Millis::from_hours(24);
    Node::running_alone(settings)
}

fn send(number: usize) -> Send {
    let (send_id, message) = (format!("s{number}").as_str().into(), "good morning".to_owned());
    Send { send_id, correspondent_id: "alice".into(), message }
}

/// Somebody wants something sent, and it is durable.
fn enqueue(node: &mut Node) {
    node.step(bot(BotEvent::Enqueue { request_id: RequestId(7), send: send(0) }));
    node.answer("enqueue_send", Ok(StoreReply::EnqueueSend(EnqueueAnswer::Enqueued)));
}

/// The store owes these; returns what the provider is handed.
fn owes(node: &mut Node, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let sends = numbers.into_iter().map(send).collect();
    handed_over(&node.answer("owed_sends", Ok(StoreReply::OwedSends(sends))))
}

fn handed_over(effects: &[Effect]) -> Vec<String> {
    let send = |effect: &Effect| match effect {
        Effect::Session(_, SessionEffect::Send { send, .. }) => Some(send.send_id.to_string()),
        _ => None,
    };
    effects.iter().filter_map(send).collect()
}

fn confirm(node: &mut Node, number: usize) {
    let send_id = send(number).send_id;
    let sent =
        Sent { bot_id: None, send_id, provider_message_id: format!("p{number}").as_str().into() };
    node.step(frame(SESSION, ProviderFrame::Sent(sent), false));
}

/// How many sends the page under way is asked for.
fn limit(node: &Node) -> u32 {
    match node.asked("owed_sends") {
        StoreRequest::OwedSends { limit, .. } => *limit,
        other => panic!("sends are looked for, not {other:?}"),
    }
}

/// Goal: a message that the provider never confirms holds up none that is sent later, is itself repeated, and
/// is not handed over again for the sake of others.
#[test]
fn a_send_that_is_never_confirmed_holds_up_no_other() {
    let mut node = running();
    enqueue(&mut node);
    assert_eq!(owes(&mut node, [1]), ["s1"]);
    node.sleep(Millis::from_secs(20));
    enqueue(&mut node);
    assert_eq!(limit(&node), 101);
    assert_eq!(owes(&mut node, [1, 2]), ["s2"]);
    node.sleep(Millis::from_secs(10));
    assert_eq!(handed_over(&node.step(Event::Tick)), ["s1"]);
    node.sleep(Millis::from_secs(20));
    assert_eq!(handed_over(&node.step(Event::Tick)), ["s2"]);
}

/// Goal: a broadcast goes out page by page, each when most of the one before is confirmed; and where a page is never
/// confirmed, the next one comes once it was repeated. What is in memory is bounded.
#[test]
fn a_broadcast_goes_out_page_by_page() {
    let mut node = running();
    enqueue(&mut node);
    assert_eq!(owes(&mut node, 1..=100).len(), 100);
    assert!(!node.asks("owed_sends"));
    for number in 1..50 {
        confirm(&mut node, number);
    }
    assert!(!node.asks("owed_sends"));
    confirm(&mut node, 50);
    // Those whose confirmation is not durable come as well.
    assert_eq!(limit(&node), 200);
    assert_eq!(owes(&mut node, 1..=200).len(), 100);
    for owed in (300..=1_000).step_by(100) {
        node.sleep(Millis::from_secs(30));
        node.step(Event::Tick);
        assert_eq!(owes(&mut node, 1..=owed).len(), 100);
    }
    node.sleep(Millis::from_secs(30));
    node.step(Event::Tick);
    assert!(!node.asks("owed_sends"), "it holds as many as it may");
}

/// Goal: while confirmations cannot be made durable, sends are not read again and again.
#[test]
fn confirmed_sends_are_not_read_again_and_again() {
    let mut node = running();
    enqueue(&mut node);
    owes(&mut node, 1..=100);
    for number in 1..=100 {
        confirm(&mut node, number);
    }
    node.fail("mark_sent");
    assert_eq!(owes(&mut node, 1..=100), Vec::<String>::new());
    assert!(!node.asks("owed_sends"), "{:?}", node.names());
}

/// A node whose bot finds retried jobs with these outcomes, and nothing that is owed.
fn retried(outcomes: &[Outcome]) -> Node {
    let mut node = Node::restoring(node_settings());
    let jobs = outcomes.iter().zip(1_u64..).map(|(outcome, number)| {
        let status = Status::Completed { outcome: outcome.clone(), token: None, worked: None };
        Job { revision: 1, ..job("alice", number, number.into(), status) }
    });
    let page = JobPage { jobs: jobs.collect(), more: false };
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(page)));
    node.answer("owed_callbacks", Ok(nothing_owed()));
    node
}

/// Which job's message is being revised, and whether that is to be called back.
fn revised(node: &Node) -> (u128, CallbackPlan) {
    match node.asked("revise") {
        StoreRequest::Revise { media_id, callback, .. } => {
            (media_id.as_uuid().as_u128(), *callback)
        }
        other => panic!("a message is revised, not {other:?}"),
    }
}

/// Goal: a retry that fails again, or was discarded, is not called back: whoever answers each callback would answer
/// twice. One that read the medium is.
#[test]
fn a_retry_that_came_to_nothing_is_not_called_back() {
    let failed = Outcome::Failed { error: FailureKind::RetriesExhausted, detail: None };
    for (outcome, plan) in [
        (words("news"), CallbackPlan::Owed),
        (Outcome::Nothing, CallbackPlan::Owed),
        (failed, CallbackPlan::None),
        (Outcome::TimedOut, CallbackPlan::None),
        (Outcome::Expired, CallbackPlan::None),
        (Outcome::Discarded, CallbackPlan::None),
    ] {
        assert_eq!(revised(&retried(&[outcome])), (1, plan));
    }
}

/// Goal: many retried messages come back in the order of their jobs, and each is called back before the next one is
/// revised: what is owed does not wait for the last.
#[test]
fn revisions_and_pages_take_turns() {
    let mut node = retried(&[words("one"), words("two"), words("three")]);
    for number in [1, 2, 3] {
        assert_eq!(revised(&node), (number, CallbackPlan::Owed));
        let seq = ArchiveSeq(u64::try_from(number).expect("it is small"));
        node.answer("revise", Ok(StoreReply::Revise(ReviseAnswer::Revised { seq })));
        assert!(node.asks("owed_callbacks") && !node.asks("revise"), "{:?}", node.names());
        node.answer("owed_callbacks", Ok(nothing_owed()));
    }
}

/// Goal: chats whose messages the consumer refuses do not keep those of others in the store. Method: a window of four
/// is full of refused ones' messages but for one place, as a bot begins that is owed more.
#[test]
fn refused_chats_leave_room_for_others() {
    let mut settings = node_settings();
    settings.bot_defaults.callbacks.outbox_window = 4;
    let mut node = Node::reading(settings);
    node.step(attach(1));
    let refused = OwedCallback { failures: 1, ..owed("alice", 1, 1) };
    let callbacks = vec![refused, owed("alice", 2, 2), owed("bob", 1, 3), owed("carol", 1, 4)];
    let page = StoreReply::OwedCallbacks { callbacks, more: true };
    node.answer("owed_callbacks", Ok(page));
    for whose in ["alice", "bob", "carol"] {
        node.step(answered(key(whose, 1), 2, ConsumerAnswer::Refused));
    }
    let StoreRequest::OwedCallbacks { limit, .. } = node.asked("owed_callbacks") else {
        panic!("a page is read")
    };
    assert_eq!(*limit, 1, "what is behind a refused one stays in the store");
    let page = StoreReply::OwedCallbacks { callbacks: vec![owed("dave", 1, 5)], more: false };
    let called = node.answer("owed_callbacks", Ok(page));
    assert!(called.iter().any(|it| matches!(it, Effect::Bot(_, BotEffect::Callback { .. }))));
    // The refused one ends: what is behind it is read.
    node.step(acknowledge(1, [key("alice", 1)]));
    node.answer("mark_called_back", Ok(marked(1)));
    assert!(node.asks("owed_callbacks"), "{:?}", node.names());
}

/// Goal: whoever has posted a message whose bot is lost while it is archived is told so, and does not wait for ever.
#[test]
fn a_post_is_answered_when_its_bot_is_lost() {
    let mut node = Node::running_alone(node_settings());
    let draft = Box::new(text("alice", "p1", "hello"));
    node.step(bot(BotEvent::Post { request_id: RequestId(7), draft }));
    node.answer("next_id", Ok(next_id(1)));
    let effects = node.answer("archive", Err(StoreError::Fenced));
    let receipt = effects.iter().find_map(|effect| match effect {
        Effect::Bot(_, BotEffect::PostReceipt { request_id: RequestId(7), receipt, .. }) => {
            Some(receipt.clone())
        }
        _ => None,
    });
    assert_eq!(receipt, Some(Receipt::rejected(RejectReason::RetryLater)));
}
