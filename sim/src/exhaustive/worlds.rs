//! The tiny worlds of tier 0: each a race that has cost somebody a message.

use anteroom_core::draft::Draft;
use anteroom_core::settings::Run;
use anteroom_core::time::Millis;

use super::provider::{text, voice};
use super::scenario::{Act, Prompt, Scenario};

/// All tiny worlds.
pub fn worlds() -> Vec<Scenario> {
    vec![
        ambiguous_archive(),
        ambiguous_insert(),
        resend(),
        replaced_connection(),
        stop_and_completion(),
        stop_with_two_jobs(),
        stop_and_loss(),
        shutdown(),
        crash_and_restore(),
        zombie_owner(),
        owner_asks_again(),
        slow_renewal(),
        zombie_worker(),
        two_janitors(),
        two_sweeps(),
        gated(),
        operator(),
    ]
}

fn say(draft: Draft) -> Act {
    Act::Say { bot: 0, draft }
}

/// A node dies, comes back, and is found again by provider and consumer.
fn death(node: usize) -> Vec<Act> {
    vec![
        Act::Crash { node },
        Act::Boot { node },
        Act::Attach { bot: 0, node },
        Act::Connect { bot: 0, node },
    ]
}

fn ambiguous_archive() -> Scenario {
    Scenario {
        actors: vec![vec![say(text("alice", 1)), say(text("alice", 2))], death(0)],
        losses: 1,
        ..Scenario::new("ambiguous_archive", "two texts × a lost store operation × a crash")
    }
}

fn ambiguous_insert() -> Scenario {
    Scenario {
        actors: vec![vec![say(voice("alice", 1))], death(0)],
        losses: 1,
        ..Scenario::new("ambiguous_insert", "a voice note × a lost store operation × a crash")
    }
}

fn resend() -> Scenario {
    Scenario {
        actors: vec![
            vec![say(voice("alice", 1)), say(text("alice", 2))],
            vec![Act::Disconnect { bot: 0 }, Act::Connect { bot: 0, node: 0 }],
        ],
        ..Scenario::new("resend", "a voice note and a text × a reconnect, which sends them again")
    }
}

fn replaced_connection() -> Scenario {
    Scenario {
        run: Run::WhileConnected,
        actors: vec![
            vec![Act::Connect { bot: 0, node: 0 }, say(text("alice", 1))],
            vec![Act::LateClose { bot: 0 }, Act::Pass(Millis::from_secs(61))],
            vec![say(text("alice", 2))],
        ],
        ..Scenario::new("replaced_connection", "a new connection × the late end of the old one")
    }
}

fn stop_and_completion() -> Scenario {
    Scenario {
        actors: vec![
            vec![say(voice("alice", 1))],
            vec![Act::Stop { bot: 0, node: 0 }, Act::Start { bot: 0, node: 0 }],
            vec![Act::Pass(Millis::from_secs(121))],
        ],
        prompt: Prompt::AllReads,
        ..Scenario::new(
            "stop_and_completion",
            "bot stop × worker completion × lease expiry × restore",
        )
    }
}

fn stop_with_two_jobs() -> Scenario {
    let base = Scenario::new("stop_with_two_jobs", "two jobs, two workers × a stop × a start");
    let mut settings = base.settings.clone();
    settings.pools[0].slots = std::num::NonZeroU32::MIN.saturating_add(1);
    Scenario {
        settings,
        actors: vec![
            vec![say(voice("alice", 1))],
            vec![say(voice("bert", 2))],
            vec![Act::Stop { bot: 0, node: 0 }, Act::Start { bot: 0, node: 0 }],
        ],
        prompt: Prompt::AllReads,
        ..base
    }
}

fn shutdown() -> Scenario {
    Scenario {
        actors: vec![
            vec![say(voice("alice", 1)), say(text("bert", 2))],
            vec![Act::Shutdown { node: 0 }, Act::Boot { node: 0 }],
            vec![Act::Pass(Millis::from_secs(6))],
        ],
        prompt: Prompt::AllReads,
        ..Scenario::new("shutdown", "a node that stops in order × work under way × impatience")
    }
}

fn crash_and_restore() -> Scenario {
    let base = Scenario::new("crash_and_restore", "jobs of a dead process × a text that is early");
    let mut prelude = base.prelude.clone();
    prelude.extend([say(voice("alice", 1)), Act::Crash { node: 0 }]);
    Scenario {
        prelude,
        actors: vec![
            vec![
                Act::Boot { node: 0 },
                Act::Attach { bot: 0, node: 0 },
                Act::Connect { bot: 0, node: 0 },
            ],
            vec![say(text("alice", 2))],
            vec![Act::Pass(Millis::from_secs(121))],
        ],
        ..base
    }
}

fn two_nodes(base: Scenario) -> Scenario {
    let mut prelude = base.prelude.clone();
    prelude.extend([Act::Boot { node: 1 }, Act::Attach { bot: 0, node: 1 }]);
    Scenario { nodes: 2, prelude, ..base }
}

fn zombie_owner() -> Scenario {
    let base = Scenario::new("zombie_owner", "an owner sleeps through the end of its ownership");
    let mut base = two_nodes(base);
    base.settings.ownership.ttl = Millis::from_secs(15);
    base.settings.ownership.renew_every = Millis::from_secs(5);
    Scenario {
        actors: vec![vec![say(text("alice", 1))], vec![Act::Pass(Millis::from_secs(16))]],
        ..base
    }
}

/// The owner may come back before anybody else asks.
fn owner_asks_again() -> Scenario {
    let name = "owner_asks_again";
    let mut base = Scenario::new(name, "an owner sleeps, loses its bot and takes it again");
    base.settings.ownership.ttl = Millis::from_secs(15);
    base.settings.ownership.renew_every = Millis::from_secs(5);
    Scenario {
        actors: vec![
            vec![say(text("alice", 1)), say(text("alice", 2))],
            vec![Act::Pass(Millis::from_secs(16))],
        ],
        ..base
    }
}

fn slow_renewal() -> Scenario {
    let base = Scenario::new("slow_renewal", "two nodes: an ownership whose renewal is slow");
    let mut base = two_nodes(base);
    base.settings.ownership.ttl = Millis::from_secs(15);
    base.settings.ownership.renew_every = Millis::from_secs(5);
    Scenario {
        actors: vec![
            vec![Act::Pass(Millis::from_secs(5)), Act::Pass(Millis::from_secs(11))],
            vec![say(text("alice", 1))],
        ],
        ..base
    }
}

fn zombie_worker() -> Scenario {
    let base = Scenario::new("zombie_worker", "two nodes: a worker sleeps through its lease");
    let mut base = two_nodes(base);
    base.settings.janitor.reclaim_every = Millis::from_secs(30);
    base.settings.lease.poll_every = Millis::from_secs(60);
    base.prelude.push(say(voice("alice", 1)));
    Scenario {
        actors: vec![vec![Act::Pass(Millis::from_secs(61))]],
        prompt: Prompt::AllReads,
        ..base
    }
}

fn two_janitors() -> Scenario {
    let base = Scenario::new("two_janitors", "two nodes look through the files × a new job");
    let mut base = two_nodes(base);
    base.settings.janitor.files_every = Millis::from_secs(60);
    base.settings.janitor.orphan_after = Millis::from_secs(60);
    base.settings.janitor.reclaim_every = Millis::from_hours(2);
    base.prelude.extend([
        Act::Litter { draft: voice("nobody", 9) },
        Act::Pass(Millis::from_secs(60)),
        Act::Pass(Millis::from_secs(60)),
    ]);
    Scenario {
        actors: vec![vec![say(voice("alice", 2))]],
        // The files sweep is due at both nodes as the world begins.
        late: Millis::from_secs(60),
        prompt: Prompt::AllReads,
        ..base
    }
}

fn two_sweeps() -> Scenario {
    let base = Scenario::new("two_sweeps", "two nodes sweep jobs × a worker and a bot's stop");
    let mut base = two_nodes(base);
    base.settings.janitor.reclaim_every = Millis::from_secs(60);
    base.settings.janitor.expire_every = Millis::from_secs(60);
    base.settings.janitor.active_ttl = Millis::from_secs(59);
    base.settings.lease.poll_every = Millis::from_hours(2);
    // Both workers are busy; the third job waits.
    base.prelude.extend((1..=3).map(|number| say(voice("alice", number))));
    Scenario {
        actors: vec![vec![Act::Stop { bot: 0, node: 0 }]],
        late: Millis::from_secs(60),
        prompt: Prompt::AllReads,
        ..base
    }
}

fn stop_and_loss() -> Scenario {
    Scenario {
        actors: vec![
            vec![say(text("alice", 1))],
            vec![Act::Stop { bot: 0, node: 0 }, Act::Start { bot: 0, node: 0 }],
            vec![Act::Pass(Millis::from_secs(36))],
        ],
        losses: 1,
        ..Scenario::new("stop_and_loss", "a stop and a start × a lost store operation × impatience")
    }
}

fn gated() -> Scenario {
    let mut base = Scenario::new("gated", "a gated text behind a voice note × a crash");
    base.settings.bot_defaults.gating.enabled = true;
    Scenario { actors: vec![vec![say(voice("alice", 1)), say(text("alice", 2))], death(0)], ..base }
}

fn operator() -> Scenario {
    Scenario {
        actors: vec![
            vec![say(voice("alice", 1))],
            vec![Act::Retry { draft: voice("alice", 1) }],
            vec![Act::Discard { draft: voice("alice", 1) }],
        ],
        media_fail_first: true,
        ..Scenario::new("operator", "a failed voice note × retry × discard")
    }
}
