//! Which bots a node owns, moment by moment: asking, renewing, losing, giving up.
//!
//! One or two bots that run always, on a node without workers and connections. Effects are compared as
//! a trace shows them, without the janitor's and without the numbers of store operations.

use anteroom_core::bot::event::{BotEffect, BotEvent};
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{ArchiveSeq, OpId, RequestId};
use anteroom_core::ownership::OwnershipEvent;
use anteroom_core::settings::Run;
use anteroom_core::store::{
    Acquired, ArchiveAnswer, BotRecord, StoreError, StoreReply, StoreRequest, StoreResult,
};
use anteroom_core::time::{Millis, Timestamp};

use crate::script::node::{acquired, no_jobs, nothing_owed, start, unavailable};
use crate::script::*;

const ACQUIRE: &str = "ownership: acquire_bot wa-7";
const RELEASE: &str = "ownership: release_bot epoch 1";
const RENEW: &str = "ownership: renew_bots";
const BOT_LOST: &str =
    "session 1: error bot_lost: this node does not own the bot: connect for it anew";
const FENCED: &str = "notice: bot_id wa-7 bot_fenced";

/// A node that has asked for its bot. An ownership is good for 10 s and renewed after 5 s.
fn asking() -> Node {
    let mut node = Node::new(node_settings());
    let bots = [BotRecord { run: Run::Always, ..record(BOT) }];
    assert_eq!(told(&node.step(start(bots, true, false))), [ACQUIRE]);
    node
}

/// A node that owns its bot, which runs.
fn owning() -> Node {
    let mut node = asking();
    node.own(1);
    restored(&mut node);
    node
}

fn restored(node: &mut Node) {
    node.answer("restore_bot", Ok(no_jobs()));
    node.answer("owed_callbacks", Ok(nothing_owed()));
    node.answer("owed_sends", Ok(StoreReply::OwedSends(Vec::new())));
}

/// What a node does in a while, but for its janitor.
fn passing(node: &mut Node, ms: u64) -> Vec<String> {
    told(&node.wait(Millis::from_ms(ms)))
}

fn told(effects: &[Effect]) -> Vec<String> {
    let all = trace::told(effects).into_iter();
    all.filter(|line| !line.starts_with("janitor")).collect()
}

fn held_elsewhere(remaining: Millis) -> StoreResult {
    Ok(StoreReply::AcquireBot(Acquired::HeldBy { node_id: node_id(2), remaining }))
}

fn renewed(lost: &[&str]) -> StoreResult {
    Ok(StoreReply::RenewBots(lost.iter().map(|bot| (*bot).into()).collect()))
}

fn released() -> StoreResult {
    Ok(StoreReply::ReleaseBot)
}

/// Answers that are none, and those that say that the store was not reached.
fn refusals() -> [StoreResult; 3] {
    let invalid = StoreError::Invalid { detail: "no".to_owned() };
    [Err(StoreError::Fenced), Err(invalid), Ok(StoreReply::MarkSent)]
}

/// Until when what the bot says is valid. Method: a text is archived, and its receipt tells.
fn valid_until(node: &mut Node) -> Timestamp {
    let draft = Box::new(text("alice", "p1", "hello"));
    node.step(bot(BotEvent::Post { request_id: RequestId(1), draft }));
    node.answer("next_id", Ok(StoreReply::NextId(message_id(1))));
    let stored = StoreReply::Archive(vec![ArchiveAnswer::Stored { seq: ArchiveSeq(1) }]);
    let effects = node.answer("archive", Ok(stored));
    let said = effects.iter().find_map(|effect| match effect {
        Effect::Bot(_, BotEffect::PostReceipt { valid_until, .. }) => Some(*valid_until),
        _ => None,
    });
    said.expect("the message is accepted")
}

/// Goal: an ownership counts from the moment it was asked for, less the margin.
#[test]
fn an_ownership_counts_from_when_it_was_asked_for() {
    let mut node = asking();
    let asked_at = node.now;
    assert_eq!(passing(&mut node, 3_000), [""; 0]);
    assert_eq!(told(&node.own(1)), ["wa-7: restore_bot epoch 1 after None"]);
    restored(&mut node);
    assert_eq!(valid_until(&mut node), asked_at + Millis::from_secs(10));
}

/// Goal: an answer that comes when the ownership would have ended gives it back, and asks anew; one
/// that comes a moment earlier counts.
#[test]
fn an_answer_that_comes_too_late_is_given_back() {
    let mut node = asking();
    node.sleep(Millis::from_ms(9_999));
    assert_eq!(told(&node.own(1)), ["wa-7: restore_bot epoch 1 after None"]);

    let mut node = asking();
    node.sleep(Millis::from_secs(10));
    assert_eq!(told(&node.own(1)), [RELEASE]);
    assert_eq!(told(&node.answer("release_bot", released())), [ACQUIRE]);
}

/// Goal: a bot that another node has is asked for again when that ownership may have ended; not later
/// than a renewal, for it may be released; and not in a rush.
#[test]
fn a_bot_of_another_node_is_asked_for_again() {
    for (remaining, wait_ms) in [(3_000, 3_000), (60_000, 5_000), (0, 100)] {
        let mut node = asking();
        let effects = node.answer("acquire_bot", held_elsewhere(Millis::from_ms(remaining)));
        assert_eq!(told(&effects), ["notice: bot_id wa-7 bot_held_elsewhere"]);
        assert_eq!(passing(&mut node, wait_ms - 1), [""; 0]);
        assert_eq!(passing(&mut node, 1), [ACQUIRE]);
    }
}

/// Goal: providers that came to this node are sent away once the owner of their bot has shown that it
/// lives, and not before: the dead let go by themselves. A slow answer is not taken for a renewal.
#[test]
fn providers_are_sent_to_the_owner_that_lives() {
    let mut node = asking();
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    let seconds = |seconds| held_elsewhere(Millis::from_secs(seconds));
    let held = ["notice: bot_id wa-7 bot_held_elsewhere"];
    // It ends in 20 s; after 5 s, and 2 s for the answer, it ended in 15 s from when it was asked for.
    assert_eq!(told(&node.answer("acquire_bot", seconds(20))), held);
    let welcome = "session 1: welcome wa-7 window 256 resume after None";
    assert_eq!(passing(&mut node, 5_000), [ACQUIRE, welcome]);
    node.sleep(Millis::from_secs(2));
    assert_eq!(told(&node.answer("acquire_bot", seconds(15))), held);
    // The end is known to a fraction of the answer's time, and this one is beyond it.
    assert_eq!(passing(&mut node, 5_000), [ACQUIRE]);
    let sent_away = ["notice: bot_id wa-7 bot_held_elsewhere", BOT_LOST, "session 1: close"];
    assert_eq!(told(&node.answer("acquire_bot", seconds(20))), sent_away);
    // It is asked for all the same.
    assert_eq!(passing(&mut node, 5_000), [ACQUIRE]);
}

/// Goal: a store that does not answer is asked again, each time after a longer wait, which is
/// shortened at random by a quarter at most.
#[test]
fn an_unanswered_question_is_asked_again() {
    let mut node = asking();
    for wait_ms in [100, 200, 400] {
        let effects = node.fail("acquire_bot");
        assert_eq!(told(&effects), ["notice: detail down store_retried operation acquire_bot"]);
        assert_eq!(passing(&mut node, wait_ms / 4 * 3 - 1), [""; 0]);
        assert_eq!(passing(&mut node, wait_ms / 4 + 1), [ACQUIRE]);
    }
}

/// Goal: an answer that is none is told, and asked for again after the longest wait.
#[test]
fn a_senseless_answer_is_asked_for_again_later() {
    for answer in refusals() {
        let mut node = asking();
        let effects = node.answer("acquire_bot", answer);
        let unexpected = "notice: unexpected_event what ownership: no answer to acquiring wa-7";
        assert_eq!(told(&effects), [unexpected]);
        let most = node_settings().store_retry.most.as_ms();
        assert_eq!(passing(&mut node, most - 1), [""; 0]);
        assert_eq!(passing(&mut node, 1), [ACQUIRE]);
    }
}

/// Goal: a bot that is not wanted any more when the answer comes is given back; when the answer is
/// that it cannot be had, nothing more is done.
#[test]
fn what_is_not_wanted_any_more_is_given_back() {
    let mut node = asking();
    assert_eq!(told(&node.step(bot(BotEvent::Stop))), ["notice: bot_id wa-7 bot_stopped"]);
    assert_eq!(told(&node.own(1)), [RELEASE]);
    assert_eq!(told(&node.answer("release_bot", released())), [""; 0]);

    let [fenced, invalid, other] = refusals();
    for answer in [held_elsewhere(Millis::ZERO), Err(unavailable()), fenced, invalid, other] {
        let mut node = asking();
        node.step(bot(BotEvent::Stop));
        assert_eq!(told(&node.answer("acquire_bot", answer)), [""; 0]);
        assert_eq!(passing(&mut node, 60_000), [""; 0]);
    }
}

/// Goal: a bot that is wanted again before the answer comes keeps what it is given; while it waits it
/// can be given up, and is then not asked for.
#[test]
fn a_bot_may_change_its_mind() {
    let mut node = asking();
    node.step(bot(BotEvent::Stop));
    assert_eq!(told(&node.step(bot(BotEvent::Start))), [""; 0]);
    assert_eq!(told(&node.own(1)), ["wa-7: restore_bot epoch 1 after None"]);

    let mut node = asking();
    node.answer("acquire_bot", held_elsewhere(Millis::from_secs(1)));
    node.step(bot(BotEvent::Stop));
    assert_eq!(passing(&mut node, 60_000), [""; 0]);
}

/// Goal: an answer is for the bot that it was asked for. Method: two bots are asked for; the second is
/// answered first, and then an operation that nobody asked for.
#[test]
fn each_answer_is_for_its_own_bot() {
    let mut node = Node::new(node_settings());
    let record = |bot| BotRecord { run: Run::Always, ..record(bot) };
    node.step(start([record("wa-7"), record("wa-8")], true, false));
    let _ = node.take("acquire_bot");
    let second = node.take("acquire_bot");
    let effects = node.step(second.asker.event(second.op, Ok(acquired(1))));
    assert_eq!(told(&effects), ["wa-8: restore_bot epoch 1 after None"]);

    let mut node = asking();
    let result = Ok(acquired(1));
    let stray = Event::Ownership(OwnershipEvent::Store { op: OpId(99), result });
    let unknown = "notice: unexpected_event what ownership: reply to unknown operation 99";
    assert_eq!(told(&node.step(stray)), [unknown]);
}

/// Goal: an ownership is renewed every 5 s and then counts from the moment of the renewal's asking.
#[test]
fn a_renewal_prolongs_from_when_it_was_asked_for() {
    let mut node = owning();
    let begin = node.now;
    assert_eq!(passing(&mut node, 4_999), [""; 0]);
    assert_eq!(passing(&mut node, 1), [RENEW]);
    let StoreRequest::RenewBots { bots, .. } = node.asked("renew_bots") else {
        panic!("renew_bots prolongs ownerships")
    };
    assert_eq!(*bots, [(BOT.into(), epoch(1))]);
    node.sleep(Millis::from_secs(2));
    assert_eq!(told(&node.answer("renew_bots", renewed(&[]))), [""; 0]);
    assert_eq!(valid_until(&mut node), begin + Millis::from_secs(15));
    assert_eq!(passing(&mut node, 2_999), [""; 0]);
    assert_eq!(passing(&mut node, 1), [RENEW]);
    assert_eq!(passing(&mut node, 4_999), [""; 0]);
    assert_eq!(passing(&mut node, 1), [RELEASE, FENCED]);
}

/// Goal: an ownership that was long in coming is renewed as early as any other: by when it was asked for, at once
/// when that is over. (A store that was three of four seconds late cost a bot that had just started.)
#[test]
fn a_first_renewal_counts_from_when_the_ownership_was_asked_for() {
    for (late_ms, due_in_ms) in [(3_000, 2_000), (9_000, 0)] {
        let mut node = asking();
        node.sleep(Millis::from_ms(late_ms));
        node.own(1);
        restored(&mut node);
        if due_in_ms > 0 {
            assert_eq!(passing(&mut node, due_in_ms - 1), [""; 0]);
            node.sleep(Millis::from_ms(1));
        }
        assert_eq!(told(&node.step(Event::Tick)), [RENEW], "late by {late_ms} ms");
        assert_eq!(told(&node.answer("renew_bots", renewed(&[]))), [""; 0]);
    }
}

/// Goal: a bot that the store says is lost is given up at once; the next ownership is another one.
#[test]
fn a_lost_bot_is_given_up() {
    let mut node = owning();
    passing(&mut node, 5_000);
    assert_eq!(told(&node.answer("renew_bots", renewed(&[BOT]))), [RELEASE, FENCED]);
    assert_eq!(told(&node.answer("release_bot", released())), [ACQUIRE]);
}

/// Goal: what a renewal says of a bot that is owned under another epoch by then counts for nothing.
/// Method: the bot is lost and owned anew while its renewal is in flight.
#[test]
fn a_renewal_of_an_earlier_ownership_counts_for_nothing() {
    for lost in [&[][..], &[BOT]] {
        let mut node = owning();
        passing(&mut node, 5_000);
        passing(&mut node, 5_000);
        node.answer("release_bot", released());
        let asked_at = node.now;
        node.own(2);
        restored(&mut node);
        node.sleep(Millis::from_secs(1));
        assert_eq!(told(&node.answer("renew_bots", renewed(lost))), [""; 0]);
        assert_eq!(valid_until(&mut node), asked_at + Millis::from_secs(10));
    }
}

/// Goal: a renewal whose answer comes when the ownership has ended prolongs nothing: what was said
/// meanwhile may have been withheld. One that comes a moment earlier counts.
#[test]
fn a_renewal_that_is_answered_too_late_prolongs_nothing() {
    for (late_ms, said) in [(4_999, &[][..]), (5_000, &[RELEASE, FENCED])] {
        let mut node = owning();
        assert_eq!(passing(&mut node, 5_000), [RENEW]);
        node.sleep(Millis::from_ms(late_ms));
        assert_eq!(told(&node.answer("renew_bots", renewed(&[]))), said);
    }
}

/// Goal: a renewal without an answer is asked for again soon, each time after a longer wait, so that a
/// store that is away for a moment costs no bot; one that was answered begins the waits anew.
#[test]
fn a_renewal_without_an_answer_is_asked_for_again() {
    let mut node = owning();
    passing(&mut node, 5_000);
    for wait_ms in [100, 200, 400] {
        let effects = node.fail("renew_bots");
        assert_eq!(told(&effects), ["notice: detail down store_retried operation renew_bots"]);
        assert_eq!(passing(&mut node, wait_ms / 4 * 3 - 1), [""; 0]);
        assert_eq!(passing(&mut node, wait_ms / 4 + 1), [RENEW]);
    }
    node.answer("renew_bots", renewed(&[]));
    assert_eq!(passing(&mut node, 5_000), [RENEW]);
    node.fail("renew_bots");
    assert_eq!(passing(&mut node, 100), [RENEW]);
}

/// Goal: a renewal with a senseless answer is asked for again at the next turn.
#[test]
fn a_renewal_with_a_senseless_answer_waits_for_its_turn() {
    for answer in refusals() {
        let mut settings = node_settings();
        settings.ownership.ttl = Millis::from_secs(30);
        let mut node = Node::new(settings);
        node.step(start([BotRecord { run: Run::Always, ..record(BOT) }], true, false));
        node.own(1);
        restored(&mut node);
        passing(&mut node, 5_000);
        let effects = node.answer("renew_bots", answer);
        let unexpected = "notice: unexpected_event what ownership: no answer to a renewal";
        assert_eq!(told(&effects), [unexpected]);
        assert_eq!(passing(&mut node, 4_999), [""; 0]);
        assert_eq!(passing(&mut node, 1), [RENEW]);
    }
}

/// Goal: one renewal is in flight at a time, and a node that owns nothing renews nothing.
#[test]
fn renewals_do_not_overlap() {
    let mut settings = node_settings();
    settings.ownership.ttl = Millis::from_secs(60);
    let mut node = Node::new(settings);
    let record = |bot| BotRecord { run: Run::Always, ..record(bot) };
    node.step(start([record("wa-7"), record("wa-8")], true, false));
    node.own(1);
    node.sleep(Millis::from_secs(2));
    node.own(1);
    assert_eq!(passing(&mut node, 3_000), [RENEW]);
    assert_eq!(passing(&mut node, 10_000), [""; 0]);

    let mut node = owning();
    node.step(bot(BotEvent::Stop));
    node.answer("hold_bot", Ok(StoreReply::HoldBot(0)));
    node.answer("release_bot", released());
    assert_eq!(passing(&mut node, 60_000), [""; 0]);
}

/// Goal: a release that somebody waits for is made again until it is certain, with back-off.
#[test]
fn a_release_is_made_again_while_the_bot_is_wanted() {
    let mut node = owning();
    passing(&mut node, 10_000);
    for wait_ms in [100, 200] {
        let effects = node.fail("release_bot");
        assert_eq!(told(&effects), ["notice: detail down store_retried operation release_bot"]);
        assert_eq!(passing(&mut node, wait_ms / 4 * 3 - 1), [""; 0]);
        assert_eq!(passing(&mut node, wait_ms / 4 + 1), [RELEASE]);
    }
    assert_eq!(told(&node.answer("release_bot", released())), [ACQUIRE]);
}

/// Goal: a release that nobody waits for is left to the lease's end, and does not hold a shutdown up;
/// one that is under way does.
#[test]
fn a_shutdown_waits_for_releases_under_way() {
    for result in [released(), Err(unavailable())] {
        let mut node = owning();
        node.step(Event::Node(anteroom_core::event::NodeEvent::Shutdown));
        let effects = node.answer("hold_bot", Ok(StoreReply::HoldBot(0)));
        assert_eq!(told(&effects), ["notice: bot_id wa-7 bot_stopped", RELEASE]);
        assert_eq!(told(&node.answer("release_bot", result)), ["node: stopped"]);
    }
}
