//! The canonical scenarios: what usually happens, told once and in order.

use anteroom_core::settings::Run;
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
    ]
}

fn say(bot: usize, draft: anteroom_core::draft::Draft) -> Act {
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
