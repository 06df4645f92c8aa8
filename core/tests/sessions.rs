//! Provider connections, moment by moment: hellos, pings, silence, several bots, what may be resent.
//!
//! Effects are compared as a trace shows them, without the numbers of store operations.

use std::num::NonZeroU32;

use anteroom_core::bot::event::BotEvent;
use anteroom_core::deadline::Deadline;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{BotId, RequestId};
use anteroom_core::notice::Notice;
use anteroom_core::protocol::{
    ErrorCode, FrameError, MessageFrame, ProviderFrame, ProviderStatus, Sent, StatusFrame, v0,
};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{EnqueueAnswer, Send, StoreReply};
use anteroom_core::time::Millis;

use crate::script::node::{acquired, no_jobs, nothing_owed, start, stored};
use crate::script::trace::told;
use crate::script::*;

const OTHER: &str = "wa-8";

/// The defaults, with ownerships that outlast every test and a janitor that rests.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.janitor.reclaim_every = Millis::from_hours(24);
    settings.janitor.expire_every = Millis::from_hours(24);
    settings.janitor.files_every = Millis::from_hours(24);
    settings.ownership.ttl = Millis::from_hours(48);
    settings.ownership.renew_every = Millis::from_hours(24);
    settings
}

/// A node with two bots and no workers, on which a connection was opened.
fn opened(settings: NodeSettings) -> Node {
    let mut node = Node::new(settings);
    node.step(start([record(BOT), record(OTHER)], true, false));
    node.open(SESSION);
    node
}

/// The same with one bot that runs.
fn welcomed(settings: NodeSettings) -> Node {
    let mut node = opened(settings);
    node.step(hello(SESSION, BOT, PROVIDER));
    run_bot(&mut node);
    node
}

/// The same with both.
fn welcomed_twice(settings: NodeSettings) -> Node {
    let mut node = welcomed(settings);
    node.step(hello(SESSION, OTHER, PROVIDER));
    run_bot(&mut node);
    node
}

/// Lets a bot run that is being asked for.
fn run_bot(node: &mut Node) -> Vec<Effect> {
    node.answer("acquire_bot", Ok(acquired(1)));
    let effects = node.answer("restore_bot", Ok(no_jobs()));
    node.answer("owed_callbacks", Ok(nothing_owed()));
    node.answer("owed_sends", Ok(StoreReply::OwedSends(Vec::new())));
    effects
}

fn passing(node: &mut Node, ms: u64) -> Vec<String> {
    told(&node.wait(Millis::from_ms(ms)))
}

/// A frame that is none, as far as it could be read.
fn malformed(seq: Option<u64>, bot_id: Option<&str>, fatal: bool) -> Event {
    let error = FrameError {
        code: ErrorCode::MissingField,
        field: Some("from".to_owned()),
        detail: "it is missing".to_owned(),
        seq,
        bot_id: bot_id.map(BotId::from),
        supported: None,
        fatal,
    };
    Event::Session(session(SESSION), SessionEvent::Malformed { error })
}

/// A message for a bot that is named.
fn say_to(bot: Option<&str>, seq: u64) -> Event {
    let draft = Box::new(text("alice", &format!("p{seq}"), "hello"));
    let message = MessageFrame { seq, bot_id: bot.map(BotId::from), draft };
    frame(SESSION, ProviderFrame::Message(message), false)
}

/// The bots that receipts name.
fn named(effects: &[Effect]) -> Vec<Option<&str>> {
    let named = |effect| match effect {
        &Effect::Session(_, SessionEffect::Receipt { ref bot_id, .. }) => {
            Some(bot_id.as_ref().map(BotId::as_str))
        }
        _ => None,
    };
    effects.iter().filter_map(named).collect()
}

/// Goal: a peer is pinged every 20 s and given up after 60 s of silence, counted from its last word,
/// whatever that was.
#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut node = welcomed(settings());
    node.sleep(Millis::from_secs(1));
    node.step(Event::Session(session(SESSION), SessionEvent::Heard));
    assert_eq!(node.machine.next_deadline().map(|(_, why)| why), Some(Deadline::SessionPing));
    assert_eq!(passing(&mut node, 18_999), [""; 0]);
    assert_eq!(passing(&mut node, 1), ["session 1: ping"]);
    assert_eq!(passing(&mut node, 19_999), [""; 0]);
    assert_eq!(passing(&mut node, 1), ["session 1: ping"]);
    let looks = ["wa-7: completed_jobs after None", "wa-7: owed_sends"];
    assert_eq!(passing(&mut node, 20_000), ["session 1: ping", looks[0], looks[1]]);
    assert_eq!(passing(&mut node, 999), [""; 0]);
    assert_eq!(passing(&mut node, 1), ["session 1: close"]);
}

/// Goal: a connection that does not introduce itself within 20 s is told so and closed.
#[test]
fn a_connection_without_a_hello_is_closed() {
    let mut node = opened(settings());
    assert_eq!(node.machine.next_deadline().map(|(_, why)| why), Some(Deadline::SessionHello));
    assert_eq!(passing(&mut node, 19_999), [""; 0]);
    assert_eq!(
        passing(&mut node, 1),
        ["session 1: error hello_timeout: no hello came in time", "session 1: close"]
    );
}

/// Goal: a provider is welcomed after 5 s although its bot does not start, and only once.
#[test]
fn a_welcome_does_not_wait_for_ever() {
    let mut node = opened(settings());
    node.sleep(Millis::from_secs(2));
    node.step(hello(SESSION, BOT, PROVIDER));
    assert_eq!(node.machine.next_deadline().map(|(_, why)| why), Some(Deadline::SessionHello));
    assert_eq!(passing(&mut node, 4_999), [""; 0]);
    let welcome = "session 1: welcome wa-7 window 256 resume after None";
    assert_eq!(passing(&mut node, 1), [welcome]);
    assert_eq!(node.machine.next_deadline().map(|(_, why)| why), Some(Deadline::SessionPing));
    let effects = told(&run_bot(&mut node));
    assert!(!effects.contains(&welcome.to_owned()), "{effects:?}");
}

/// Goal: the same `hello` again is answered again, once the bot has been welcomed.
#[test]
fn a_second_hello_is_answered_like_the_first() {
    let mut node = opened(settings());
    node.step(hello(SESSION, BOT, PROVIDER));
    assert_eq!(told(&node.step(hello(SESSION, BOT, PROVIDER))), [""; 0]);
    run_bot(&mut node);
    let welcome = "session 1: welcome wa-7 window 256 resume after None";
    assert_eq!(told(&node.step(hello(SESSION, BOT, PROVIDER))), [welcome]);
}

/// Goal: who may not speak for a bot is refused, known or not; who may create one does.
#[test]
fn only_the_authorized_are_let_in() {
    let unauthorized = |bot| {
        let Event::Session(_, SessionEvent::Frame { frame, .. }) = hello(SESSION, bot, PROVIDER)
        else {
            panic!("a hello is a frame")
        };
        crate::script::frame(SESSION, frame, false)
    };
    let refused = [
        "session 1: error unauthorized in bot_id: the bot is not known here, or its token is wrong",
        "session 1: close",
    ];
    for creates in [false, true] {
        for bot in [BOT, "nobody"] {
            let mut settings = settings();
            settings.session.auto_create_bots = creates;
            let mut node = opened(settings);
            assert_eq!(told(&node.step(unauthorized(bot))), refused);
        }
    }
    let mut settings = settings();
    settings.session.auto_create_bots = true;
    let mut node = opened(settings);
    assert_eq!(told(&node.step(hello(SESSION, "nobody", PROVIDER))), ["nobody: register_bot"]);
}

/// Goal: a connection carries as many bots as it may, and no more.
#[test]
fn a_connection_carries_no_more_bots_than_it_may() {
    let mut settings = settings();
    settings.session.bots_max = 1;
    let mut node = welcomed(settings);
    assert_eq!(
        told(&node.step(hello(SESSION, OTHER, PROVIDER))),
        [
            "session 1: error too_many_bots in bot_id: the connection carries as many bots as it \
             may",
            "session 1: close",
        ]
    );
}

/// Goal: where a connection carries several bots, each message says which it is for, and each receipt
/// too; where it carries one, neither has to.
#[test]
fn several_bots_on_one_connection_are_told_apart() {
    let mut node = welcomed(settings());
    assert_eq!(told(&node.step(say_to(None, 1))), ["wa-7: next_id alice"]);
    node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
    assert_eq!(named(&node.answer("archive", Ok(stored([1])))), [None]);
    let expected = "session 1: error hello_expected in bot_id: the connection has not said hello for \
                    this bot";
    assert_eq!(told(&node.step(say_to(Some(OTHER), 2))), [expected]);

    let mut node = welcomed_twice(settings());
    let expected = "session 1: error hello_expected in bot_id: the connection carries several bots: \
                    say which one is meant";
    assert_eq!(told(&node.step(say_to(None, 1))), [expected]);
    assert_eq!(told(&node.step(say_to(Some(OTHER), 1))), ["wa-8: next_id alice"]);
    node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
    assert_eq!(named(&node.answer("archive", Ok(stored([1])))), [Some(OTHER)]);
}

/// Goal: a message to be sent names its bot where the connection carries several, and only there.
#[test]
fn a_send_names_its_bot_among_several() {
    for (several, expected) in [(false, None), (true, Some(BOT))] {
        let mut node = if several { welcomed_twice(settings()) } else { welcomed(settings()) };
        let send = Send {
            send_id: "s1".into(),
            correspondent_id: "alice".into(),
            message: "good morning".to_owned(),
        };
        let request_id = RequestId(1);
        node.step(bot(BotEvent::Enqueue { request_id, send: send.clone() }));
        let enqueued = StoreReply::EnqueueSend(EnqueueAnswer::Enqueued);
        node.answer("enqueue_send", Ok(enqueued));
        let effects = node.answer("owed_sends", Ok(StoreReply::OwedSends(vec![send.clone()])));
        let [Effect::Session(_, SessionEffect::Send { bot_id, send: sent, .. })] = &effects[..]
        else {
            panic!("the message is sent: {effects:?}")
        };
        assert_eq!((bot_id.as_ref().map(BotId::as_str), sent), (expected, &send));
    }
}

/// Goal: what a provider says of itself, and of what it has sent, is said of the bot that it names, or
/// of the only one of its connection; of a bot that the connection has no hello for nothing is said.
#[test]
fn a_status_and_what_was_sent_reach_their_bot() {
    let status = |bot: Option<&str>| {
        let (bot_id, status) = (bot.map(BotId::from), ProviderStatus::Connected);
        let status = StatusFrame { bot_id, status, detail: None };
        frame(SESSION, ProviderFrame::Status(status), false)
    };
    let sent = |bot: Option<&str>| {
        let bot_id = bot.map(BotId::from);
        let sent = Sent { bot_id, send_id: "s1".into(), provider_message_id: "p9".into() };
        frame(SESSION, ProviderFrame::Sent(sent), false)
    };
    let of = |bot_id: &str| {
        let (bot_id, status) = (bot_id.into(), ProviderStatus::Connected);
        [Effect::Notice(Notice::ProviderStatus { bot_id, status })]
    };
    let mut node = welcomed(settings());
    assert_eq!(node.step(status(None)), of(BOT));
    let unknown = |bot| format!("notice: unexpected_event what bot {bot}: `sent` of unknown s1");
    assert_eq!(told(&node.step(sent(None))), [unknown(BOT)]);
    let refused = "session 1: error hello_expected in bot_id: the connection has not said hello for \
                   this bot";
    assert_eq!(told(&node.step(status(Some(OTHER)))), [refused]);
    assert_eq!(told(&node.step(sent(Some(OTHER)))), [refused]);

    let mut node = welcomed_twice(settings());
    assert_eq!(node.step(status(Some(OTHER))), of(OTHER));
    assert_eq!(told(&node.step(sent(Some(OTHER)))), [unknown(OTHER)]);
}

/// Goal: a message before any `hello` is refused.
#[test]
fn a_message_before_the_hello_is_refused() {
    let mut node = opened(settings());
    let expected = "session 1: error hello_expected in bot_id: say hello first";
    assert_eq!(told(&node.step(say_to(None, 1))), [expected]);
}

/// Goal: beyond its window a message is refused with the name of its bot, where there are several.
#[test]
fn a_refusal_beyond_the_window_names_its_bot() {
    for (several, expected) in [(false, None), (true, Some(BOT))] {
        let mut settings = settings();
        settings.session.window = NonZeroU32::MIN;
        let mut node = if several { welcomed_twice(settings) } else { welcomed(settings) };
        node.step(say_to(Some(BOT), 1));
        assert_eq!(named(&node.step(say_to(Some(BOT), 2))), [expected]);
    }
}

/// Goal: a number that waits for its receipt cannot be used again.
#[test]
fn a_number_is_used_once_at_a_time() {
    let mut node = welcomed(settings());
    node.step(say_to(None, 1));
    let expected = "session 1: error invalid_field in seq: message 1 has been sent and waits for its \
                    receipt";
    assert_eq!(told(&node.step(say_to(None, 1))), [expected]);
}

/// Goal: what is no message gets its receipt when its number could be read and is not in use, and
/// an error otherwise; one that ends the connection ends it.
#[test]
fn what_is_no_message_gets_its_receipt() {
    let error = "session 1: error missing_field in from: it is missing";
    let receipt = "session 1: receipt seq 7 rejected reason invalid retry_after 0";
    let mut node = welcomed(settings());
    let effects = node.step(malformed(Some(7), None, false));
    assert_eq!(told(&effects), [receipt]);
    assert_eq!(named(&effects), [None]);
    let Effect::Session(_, SessionEffect::Receipt { error: Some(why), .. }) = &effects[0] else {
        panic!("the receipt says what is wrong")
    };
    assert_eq!(why.seq, Some(7));
    assert_eq!(told(&node.step(malformed(None, None, false))), [error]);
    node.step(say_to(None, 8));
    let effects = node.step(malformed(Some(8), None, false));
    assert_eq!(told(&effects), [error]);
    assert_eq!(number_of_error(&effects), None);
    let effects = node.step(malformed(Some(9), None, true));
    assert_eq!(told(&effects)[..2], [error, "session 1: close"]);
    assert_eq!(number_of_error(&effects), None);

    let mut node = welcomed_twice(settings());
    let effects = node.step(malformed(Some(7), Some(OTHER), false));
    assert_eq!(named(&effects), [Some(OTHER)]);
    assert_eq!(told(&node.step(malformed(Some(7), None, false))), [error]);
}

fn number_of_error(effects: &[Effect]) -> Option<u64> {
    match &effects[0] {
        Effect::Session(_, SessionEffect::Error { error, .. }) => error.seq,
        other => panic!("an error was expected: {other:?}"),
    }
}

/// Goal: a provider that comes back is told up to where all its messages have their final receipt.
/// Method: after what it said, the connection ends and the same instance says `hello` again.
#[test]
fn a_provider_that_comes_back_resumes_behind_what_is_final() {
    let resumed = |mut node: Node| {
        node.step(closed(SESSION));
        node.open(2);
        told(&node.step(hello(2, BOT, PROVIDER)))
    };
    let welcome =
        |after: &str| [format!("session 2: welcome wa-7 window 256 resume after {after}")];

    assert_eq!(resumed(welcomed(settings())), welcome("None"), "it has said nothing");

    let said = |seqs: &[u64]| {
        let mut node = welcomed(settings());
        seqs.iter().for_each(|seq| drop(node.step(say_to(None, *seq))));
        node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
        node
    };
    let mut node = said(&[3]);
    node.answer("archive", Ok(stored([1])));
    assert_eq!(resumed(node), welcome("Some(3)"), "all is final");

    let mut node = said(&[3, 4]);
    node.answer("archive", Ok(stored([1, 2])));
    node.step(say_to(None, 5));
    node.step(say_to(None, 6));
    assert_eq!(resumed(node), welcome("Some(4)"), "the fifth has no receipt");

    let mut node = said(&[3]);
    node.answer("archive", Ok(stored([1])));
    node.step(malformed(Some(4), None, false));
    assert_eq!(resumed(node), welcome("Some(4)"), "what is invalid is final");

    let mut node = said(&[v0::FIRST_SEQ]);
    node.answer("archive", Ok(stored([1])));
    assert_eq!(resumed(node), welcome("None"), "its number was given here");

    let mut settings = settings();
    settings.session.window = NonZeroU32::MIN;
    let mut node = welcomed(settings);
    node.step(say_to(None, 3));
    node.step(say_to(None, 4));
    node.step(say_to(None, 5));
    node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
    node.answer("archive", Ok(stored([1])));
    node.step(closed(SESSION));
    node.open(2);
    let welcome = "session 2: welcome wa-7 window 1 resume after Some(3)";
    assert_eq!(told(&node.step(hello(2, BOT, PROVIDER))), [welcome], "the fourth is to come again");
}

/// Goal: what a connection says after its end changes nothing, and its late close is no surprise.
#[test]
fn a_connection_that_has_ended_is_forgotten() {
    let mut node = welcomed(settings());
    assert_eq!(told(&node.step(closed(SESSION))), [""; 0]);
    assert_eq!(told(&node.step(closed(SESSION))), [""; 0]);
    let not_open = format!("notice: unexpected_event what session {}: not open", session(SESSION));
    assert_eq!(told(&node.step(say_to(None, 1))), [not_open]);
}

/// Goal: a connection that is opened twice keeps what it has.
#[test]
fn a_connection_is_opened_once() {
    let mut node = welcomed(settings());
    let twice = format!("notice: unexpected_event what session {}: opened twice", session(SESSION));
    assert_eq!(told(&node.open(SESSION)), [twice]);
    assert_eq!(told(&node.step(say_to(None, 1))), ["wa-7: next_id alice"]);
}

/// Goal: a ping is answered.
#[test]
fn a_ping_is_answered() {
    let mut node = opened(settings());
    let ping = frame(SESSION, ProviderFrame::Ping(Default::default()), false);
    assert_eq!(told(&node.step(ping)), ["session 1: pong"]);
}
