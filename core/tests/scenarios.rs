//! The canonical scenarios, as traces to be read: what comes in (`>`), what goes out (`<`), when.
//!
//! Each runs on one machine whose store is played by the script. A changed trace is a changed
//! behaviour: read it against the design before accepting it. Some are drawn as well, in `docs/flows.md`.

#[path = "scenarios/flows.rs"]
mod flows;
#[path = "scenarios/scripts.rs"]
mod scripts;

use crate::script::Node;

fn snapshot(name: &str, node: &Node) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, node.trace.to_text()));
}

/// Goal: a text is accepted when it is archived, called back, and done when the mark is durable.
#[test]
fn text_message() {
    snapshot("text_message", &scripts::text_message());
}

/// Goal: media flow: inserted already leased, processed, archived under the lease, called back; the
/// file goes when the archive has the text.
#[test]
fn media_message() {
    snapshot("media_message", &scripts::media_message());
}

/// Goal: a bot that stops while a processor runs holds its jobs; the result goes into the job.
#[test]
fn stop_while_processing() {
    snapshot("stop_while_processing", &scripts::stop_while_processing());
}

/// Goal: a bot starts with all its jobs, page by page: pending and processing ones wait, and nothing is
/// welcomed, taken in or called back before; completed ones are archived once it is known what is owed
/// from before.
#[test]
fn recovery() {
    snapshot("recovery", &scripts::recovery());
}

/// Goal: a worker whose lease could not be renewed lets go before the store gives the job away; the
/// result that comes all the same is dropped, and the next claim's counts.
#[test]
fn lease_expiry() {
    snapshot("lease_expiry", &scripts::lease_expiry());
}

/// Goal: what is over the limits when nothing can be evicted is accepted up to the overflow, and then
/// rejected, also when it is empty.
#[test]
fn overflow_of_placeholders() {
    snapshot("overflow_of_placeholders", &scripts::overflow_of_placeholders());
}

/// Goal: a gated text waits for the media in front of it, but is archived and accepted at once; it
/// goes out when the media does, or when it has waited long enough.
#[test]
fn gating() {
    snapshot("gating", &scripts::gating());
}

/// Goal: an owner that wakes up after its time does nothing more but close; the store's refusal ends
/// it as well.
#[test]
fn zombie_owner() {
    snapshot("zombie_owner", &scripts::zombie_owner());
}

/// Goal: a resend of what is under way joins it, a resend of what is durable is a duplicate; the file
/// that it brought is looked up before it goes.
#[test]
fn resends() {
    snapshot("resends", &scripts::resends());
}

/// Goal: an archive whose answer was lost is asked for again, unchanged, until it is certain.
#[test]
fn ambiguous_archive() {
    snapshot("ambiguous_archive", &scripts::ambiguous_archive());
}

/// Goal: a consumer that is unavailable opens the circuit; one probe at a time asks, under a new,
/// durable number; its answer lets the others out.
#[test]
fn circuit() {
    snapshot("circuit", &scripts::circuit());
}

/// Goal: a node stops in order: claims end, bots drain and hold, workers finish or give back,
/// ownership goes, connections close, and then nothing is left.
#[test]
fn shutdown() {
    snapshot("shutdown", &scripts::shutdown());
}
