//! `docs/flows.md`: some of the scenarios as sequence diagrams, and whether the page is still true.

use std::fs;
use std::path::Path;

use anteroom_trace::flow;

use super::scripts;
use crate::script::Node;

/// Names the wish to write the page anew; `cargo xtask flows` does.
const UPDATE: &str = "ANTEROOM_UPDATE_FLOWS";

/// The part of the page that stands above all diagrams.
const BEGINNING: &str = "\
# How things flow

Each diagram is drawn from the trace of a scenario in `core/tests/scenarios.rs`, so it shows what the core does, effect by
effect; the same traces as text are in `snapshots/`. `cargo xtask flows` writes this page, and a test fails when it is not
what the scenarios do.

A solid arrow asks or tells, a dashed one answers. A note at the node is something that it decides by itself or tells its
operators. The store is asked for one thing at a time of each kind; what is told outside for good (a receipt, a callback)
follows the store's answer, never the other way round.
";

/// A diagram: its title, what to see in it, and its script.
type Flow = (&'static str, &'static str, fn() -> Node);

const FLOWS: &[Flow] = &[
    (
        "Normal media flow",
        "\
A voice note becomes a placeholder with a media job, which is inserted already leased because a
worker here is free. The provider has its receipt as soon as the job is durable. The text is
archived together with the end of the job; then the file goes, and the bot is called back. The
acknowledgement is confirmed when it is durable.",
        scripts::media_message,
    ),
    (
        "Bot stop during processing",
        "\
The bot stops while a processor runs: its jobs are held, the ownership is given up, and what comes
now is sent back. The lease lives on, and the result goes into the held job, where the next start
finds it.",
        scripts::stop_while_processing,
    ),
    (
        "Recovery and reaping at reconnect",
        "\
A provider connects and the bot starts, with all its jobs, page by page. Pending and processing
ones become placeholders that wait on; the one that was completed elsewhere meanwhile is reaped:
archived at once and called back. Nothing is welcomed, taken in or called back before.",
        scripts::recovery,
    ),
    (
        "Lease expiry",
        "\
A node slept for a minute and could renew nothing: its ownership of the bot is over, and so is the
lease of its worker, which is cancelled before the store gives the job away. The result that comes
all the same is stale and dropped. The job is claimed again under a new token, and that result
counts: it is stored in the job, for whoever owns the bot.",
        scripts::lease_expiry,
    ),
    (
        "Fenced zombie",
        "\
An owner slept past its time, and another node took the bot. The store refuses its write by the
older epoch, and it does nothing more but close its connections: neither receipt nor callback.",
        scripts::zombie_owner,
    ),
    (
        "Overflow with only placeholders",
        "\
The queue is at its limit and nothing can be evicted, for placeholders never are. One more is
accepted into the overflow, with a notice; then everything is refused, an empty text as well, and
stays with its provider.",
        scripts::overflow_of_placeholders,
    ),
    (
        "Gating",
        "\
With gating a text waits for the media in front of it, but only its callback does: it is archived
and its provider has its receipt. It goes out behind the media, or alone when it has waited long
enough; late media follow.",
        scripts::gating,
    ),
];

/// The page, as the scenarios make it.
fn page() -> String {
    let mut page = BEGINNING.to_owned();
    for (title, text, script) in FLOWS {
        let diagram = flow::mermaid(&script().trace.story);
        page.push_str(&format!("\n## {title}\n\n{text}\n\n```mermaid\n{diagram}```\n"));
    }
    page
}

/// Goal: the diagrams show what the core does. Method: they are drawn again and compared with the page.
#[test]
fn the_diagrams_are_what_the_scenarios_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/flows.md");
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let difference = page.lines().zip(written.lines()).position(|(new, old)| new != old);
    assert!(
        page == written,
        "docs/flows.md differs from line {}: run `cargo xtask flows`, and read what changed",
        difference.unwrap_or(page.lines().count().min(written.lines().count())) + 1
    );
}
