//! The canonical scenarios: what usually happens, told once and in order.

use anteroom_core::draft::Draft;
use anteroom_core::settings::{Overflow, Run};
use anteroom_core::time::Millis;

use crate::exhaustive::Scenario;
use crate::exhaustive::provider::{text, voice};
use crate::exhaustive::scenario::{Act, Prompt};

/// All canonical scenarios.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        texts(),
        voice_note(),
        stop_while_processing(),
        recovery(),
        resends(),
        gating(),
        failed_and_retried(),
        lease_expiry(),
        handover(),
        shutdown(),
        reconnect(),
        busy_correspondent(),
        three_bots(),
        slow_processors(),
        silent_consumer(),
        long_wait(),
        long_outage(),
        given_up(),
        returning(),
        old_placeholder(),
        crowded(),
        full_of_captions(),
        lost_workers(),
        borrowed_medium(),
    ]
}

fn say(bot: usize, draft: Draft) -> Act {
    Act::Say { bot, draft }
}

fn scenario(name: &'static str, purpose: &'static str, acts: Vec<Act>) -> Scenario {
    Scenario { prompt: Prompt::Nothing, actors: vec![acts], ..Scenario::new(name, purpose) }
}

fn texts() -> Scenario {
    let acts = vec![say(0, text("alice", 1)), say(0, text("bert", 2)), say(0, text("alice", 3))];
    scenario("texts", "three texts of two correspondents", acts)
}

fn voice_note() -> Scenario {
    let acts = vec![say(0, voice("alice", 1)), say(0, text("alice", 2)), Act::Process];
    scenario("voice_note", "a voice note, and a text behind it", acts)
}

fn stop_while_processing() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        say(0, voice("alice", 2)),
        Act::Stop { bot: 0, node: 0 },
        Act::Process,
        Act::Start { bot: 0, node: 0 },
        Act::Process,
    ];
    scenario("stop_while_processing", "a bot stops and starts while a processor runs", acts)
}

fn recovery() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        say(0, voice("bert", 2)),
        say(0, text("alice", 3)),
        Act::Crash { node: 0 },
        Act::Boot { node: 0 },
        Act::Attach { bot: 0, node: 0 },
        Act::Connect { bot: 0, node: 0 },
        say(0, text("alice", 4)),
        Act::Pass(Millis::from_secs(121)),
        Act::Process,
        Act::Process,
    ];
    scenario("recovery", "a process dies with work under way; the next one takes it up", acts)
}

fn resends() -> Scenario {
    let acts = vec![
        say(0, text("alice", 1)),
        say(0, voice("alice", 2)),
        Act::Disconnect { bot: 0 },
        say(0, text("alice", 1)),
        say(0, voice("alice", 2)),
        Act::Connect { bot: 0, node: 0 },
        Act::Process,
        say(0, voice("alice", 2)),
    ];
    scenario("resends", "everything is sent again", acts)
}

fn gating() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        say(0, text("alice", 2)),
        say(0, text("bert", 3)),
        Act::Process,
        say(0, voice("alice", 4)),
        say(0, text("alice", 5)),
        Act::Pass(Millis::from_secs(601)),
        Act::Process,
    ];
    let mut scenario = scenario("gating", "gated texts: the medium comes, and does not", acts);
    scenario.settings.bot_defaults.gating.enabled = true;
    scenario
}

fn failed_and_retried() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        Act::Process,
        Act::Retry { draft: voice("alice", 1) },
        Act::Process,
    ];
    let scenario =
        scenario("failed_and_retried", "a voice note fails; an operator retries it", acts);
    Scenario { media_fail_first: true, ..scenario }
}

fn lease_expiry() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        Act::Pass(Millis::from_secs(121)),
        Act::Process,
        Act::Pass(Millis::from_secs(121)),
        Act::Process,
    ];
    scenario("lease_expiry", "a worker sleeps through its lease", acts)
}

fn handover() -> Scenario {
    let acts = vec![
        say(0, text("alice", 1)),
        say(0, voice("alice", 2)),
        Act::Boot { node: 1 },
        Act::Attach { bot: 0, node: 1 },
        Act::Shutdown { node: 0 },
        Act::Connect { bot: 0, node: 1 },
        Act::Pass(Millis::from_secs(10)),
        say(0, text("alice", 3)),
        Act::Process,
        Act::Pass(Millis::from_secs(121)),
        Act::Process,
    ];
    let mut scenario = scenario("handover", "a node shuts down, another takes its bot", acts);
    scenario.settings.ownership.ttl = Millis::from_secs(15);
    scenario.settings.ownership.renew_every = Millis::from_secs(5);
    Scenario { nodes: 2, ..scenario }
}

fn shutdown() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        say(0, voice("bert", 2)),
        say(0, text("alice", 3)),
        Act::Shutdown { node: 0 },
        Act::Process,
    ];
    scenario("shutdown", "a node shuts down with a processor at work", acts)
}

fn reconnect() -> Scenario {
    let acts = vec![
        say(0, text("alice", 1)),
        Act::Connect { bot: 0, node: 0 },
        Act::LateClose { bot: 0 },
        Act::Pass(Millis::from_secs(61)),
        say(0, text("alice", 2)),
        Act::Disconnect { bot: 0 },
        Act::Pass(Millis::from_secs(61)),
        say(0, text("alice", 3)),
    ];
    let scenario = scenario("reconnect", "a line is replaced, and then ends for a while", acts);
    Scenario { run: Run::WhileConnected, ..scenario }
}

fn busy_correspondent() -> Scenario {
    let mut drafts: Vec<_> = (1..=12).map(|number| text("alice", number)).collect();
    drafts.push(text("bert", 13));
    let acts = vec![Act::Burst { bot: 0, drafts }];
    let mut scenario = scenario("busy_correspondent", "one chat is busy, another is not", acts);
    scenario.settings.bot_defaults.limits.archive_batch_messages = 2;
    scenario
}

fn three_bots() -> Scenario {
    let attach = |bot| [Act::Attach { bot, node: 0 }, Act::Connect { bot, node: 0 }];
    let mut acts: Vec<_> = [1, 2].into_iter().flat_map(attach).collect();
    let note = |number: u64| Act::Say { bot: (number % 3) as usize, draft: voice("alice", number) };
    acts.extend((0..9).map(note));
    acts.extend((0..9).map(|_| Act::Process));
    let scenario =
        scenario("three_bots", "three bots have voice notes, one worker serves them", acts);
    Scenario { bots: 3, ..scenario }
}

fn slow_processors() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        say(0, voice("alice", 2)),
        Act::Pass(Millis::from_secs(31)),
        Act::Process,
        Act::Process,
    ];
    let mut scenario = scenario("slow_processors", "a processor uses up its time", acts);
    scenario.settings.pools[0].timeout = Millis::from_secs(30);
    scenario
}

fn silent_consumer() -> Scenario {
    let mut acts = vec![Act::Mute];
    acts.extend((1..=4).map(|number| say(0, text("alice", number))));
    acts.extend((5..=8).map(|number| say(0, text("bert", number))));
    acts.extend([
        Act::Pass(Millis::from_secs(31)),
        Act::Listen,
        Act::Pass(Millis::from_secs(31)),
        say(0, text("alice", 9)),
    ]);
    let mut scenario =
        scenario("silent_consumer", "the consumer is silent, callbacks pile up", acts);
    scenario.settings.bot_defaults.callbacks.outbox_window = 3;
    scenario.settings.bot_defaults.callbacks.correspondent_window = 2;
    scenario
}

/// A job's time is over while its bot runs.
fn long_wait() -> Scenario {
    let mut acts = vec![say(0, voice("alice", 1)), say(0, voice("alice", 2))];
    // The first is being worked on for ever; the second waits.
    acts.extend((0..8).map(|_| Act::Pass(Millis::from_minutes(5))));
    acts.extend([Act::Process, Act::Process]);
    let mut scenario = scenario("long_wait", "a voice note waits until its time is over", acts);
    scenario.settings.janitor.active_ttl = Millis::from_minutes(25);
    scenario.settings.janitor.expire_every = Millis::from_minutes(10);
    scenario.settings.ownership.renew_every = Millis::from_minutes(5);
    scenario.settings.lease.ttl = Millis::from_minutes(20);
    scenario.settings.lease.renew_every = Millis::from_minutes(5);
    scenario
}

/// What waits in the store outlives an outage that is longer than its time.
fn long_outage() -> Scenario {
    let mut acts = vec![
        say(0, voice("alice", 1)),
        say(0, voice("alice", 2)),
        Act::Crash { node: 0 },
        Act::Pass(Millis::from_hours(4)),
        Act::Boot { node: 0 },
        Act::Attach { bot: 0, node: 0 },
        Act::Connect { bot: 0, node: 0 },
        Act::Pass(Millis::from_secs(121)),
    ];
    // The sweep comes while the bot is owned still: its node renews in time.
    acts.extend((0..7).map(|_| Act::Pass(Millis::from_minutes(5))));
    acts.extend([Act::Process, Act::Process]);
    scenario("long_outage", "a node is away for longer than a job may wait", acts)
}

/// A failed job whose file the operator may still want.
fn given_up() -> Scenario {
    let acts = vec![
        say(0, voice("alice", 1)),
        Act::Process,
        Act::Pass(Millis::from_minutes(61)),
        Act::Pass(Millis::from_minutes(61)),
        Act::Pass(Millis::from_minutes(61)),
        Act::Retry { draft: voice("alice", 1) },
        Act::Process,
    ];
    let scenario = scenario("given_up", "a failed voice note is retried hours later", acts);
    Scenario { media_fail_first: true, ..scenario }
}

/// A correspondent whose earlier messages are archived comes back to a new process.
fn returning() -> Scenario {
    let acts = vec![
        say(0, text("alice", 1)),
        Act::Crash { node: 0 },
        Act::Boot { node: 0 },
        Act::Attach { bot: 0, node: 0 },
        Act::Connect { bot: 0, node: 0 },
        Act::Pass(Millis::from_minutes(31)),
        say(0, text("alice", 2)),
        Act::Pass(Millis::from_minutes(11)),
        say(0, text("alice", 3)),
    ];
    scenario("returning", "a correspondent comes back after a restart, and after a silence", acts)
}

/// A placeholder is older than a text may be, and texts wait behind it.
fn old_placeholder() -> Scenario {
    let burst = |numbers: std::ops::Range<u64>| {
        let drafts = numbers.map(|number| text("alice", number)).collect();
        Act::Burst { bot: 0, drafts }
    };
    let acts = vec![
        say(0, voice("alice", 1)),
        Act::Pass(Millis::from_secs(61)),
        burst(2..7),
        Act::Process,
    ];
    let mut scenario = scenario("old_placeholder", "texts wait behind an old placeholder", acts);
    scenario.settings.bot_defaults.limits.max_age = Millis::from_secs(60);
    scenario.settings.bot_defaults.limits.archive_batch_messages = 1;
    scenario
}

/// A medium becomes text while the store is slow and texts wait.
fn crowded() -> Scenario {
    let drafts = (2..9).map(|number| text("alice", number)).collect();
    let acts = vec![
        say(0, voice("alice", 1)),
        Act::AtOnce(vec![Act::Burst { bot: 0, drafts }, Act::Process]),
        say(0, text("alice", 9)),
    ];
    let mut scenario = scenario("crowded", "a medium becomes text where texts wait", acts);
    scenario.settings.bot_defaults.limits.archive_batch_messages = 1;
    scenario.settings.bot_defaults.limits.max_characters = 62;
    scenario.settings.bot_defaults.limits.overflow = Overflow::Reject;
    scenario
}

/// What nothing can make room for is refused, and comes again when there is room.
fn full_of_captions() -> Scenario {
    let mut acts: Vec<Act> = (1..=3).map(|number| say(0, voice("alice", number))).collect();
    acts.extend([Act::Process, Act::Process, Act::Pass(Millis::from_minutes(1)), Act::Process]);
    let mut scenario = scenario("full_of_captions", "captions alone fill a queue", acts);
    scenario.settings.bot_defaults.limits.max_characters = 20;
    scenario.settings.bot_defaults.limits.overflow = Overflow::Reject;
    scenario
}

fn lost_workers() -> Scenario {
    let mut acts = vec![say(0, voice("alice", 1))];
    acts.extend((0..5).map(|_| Act::Pass(Millis::from_secs(121))));
    acts.push(Act::Process);
    scenario("lost_workers", "worker after worker sleeps through its lease", acts)
}

/// A medium belongs to the message that brought it; another one that names it is refused, and may come again
/// with its own.
fn borrowed_medium() -> Scenario {
    let borrowing = Draft { media: voice("alice", 1).media, ..text("bert", 1) };
    let acts = vec![
        Act::Attach { bot: 1, node: 0 },
        Act::Connect { bot: 1, node: 0 },
        say(0, voice("alice", 1)),
        say(1, borrowing),
        say(1, Draft { media: voice("bert", 2).media, ..text("bert", 1) }),
        Act::Process,
        Act::Process,
    ];
    let scenario =
        scenario("borrowed_medium", "a message names another bot's medium, then its own", acts);
    Scenario { bots: 2, ..scenario }
}
