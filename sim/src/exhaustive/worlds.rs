//! The tiny worlds of tier 0: each a race that has cost somebody a message.

use anteroom_core::settings::Run;
use anteroom_core::time::Millis;

use super::provider::{text, voice};
use super::scenario::{Act, Scenario};

/// All tiny worlds, the smallest first.
pub fn worlds() -> Vec<Scenario> {
    vec![ambiguous_archive(), stop_and_completion()]
}

fn say(bot: usize, draft: anteroom_core::draft::Draft) -> Act {
    Act::Say { bot, draft }
}

/// A text is archived while the store loses answers and the node dies.
fn ambiguous_archive() -> Scenario {
    Scenario {
        actors: vec![
            vec![say(0, text("alice", 1))],
            vec![Act::Crash { node: 0 }, Act::Boot { node: 0 }, Act::Connect { bot: 0, node: 0 }],
        ],
        losses: 1,
        ..Scenario::new(
            "ambiguous_archive",
            "an archive whose answer is lost, and a crash at any moment",
        )
    }
}

/// A bot stops and starts while its voice note is processed and its lease ends.
fn stop_and_completion() -> Scenario {
    Scenario {
        run: Run::Always,
        actors: vec![
            vec![say(0, voice("alice", 1))],
            vec![Act::Stop { bot: 0, node: 0 }, Act::Start { bot: 0, node: 0 }],
            vec![Act::Pass(Millis::from_secs(121))],
        ],
        ..Scenario::new(
            "stop_and_completion",
            "bot stop × worker completion × lease expiry × restore",
        )
    }
}
