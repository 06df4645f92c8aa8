//! What the core is known to get wrong, and how the simulation goes around it. Each has to be mended
//! there, and taken out here.

use anteroom_core::time::Millis;

use crate::checker::Broken;
use crate::checker::rule::Rule;

/// A provider that has nothing to say stays at a node that does not own its bot, and never hears of the
/// bot's sends. Around it: providers try other nodes once nothing else is left.
const IDLE_PROVIDERS_STAY: bool = true;

/// Bots of one connection that different nodes own are never served together. Around it: a plan with
/// such a connection has one node that runs bots.
pub(crate) const ONE_CONNECTION_ONE_NODE: bool = true;

/// A lane of the outbox that spilled for messages that turn out to be duplicates stays for ever, and its
/// correspondent with it; where few correspondents may be in memory, others find no room. Around it:
/// no plan has such a limit.
pub(crate) const SPILLED_LANES_STAY: bool = true;

/// A reply that comes after the end of an ownership, and before the tick that would end it, brings a
/// receipt that is too late to be written; then a renewal comes, and the bot lives on. The message has
/// no receipt, and its place in the window is lost. Around it: the provider connects again.
pub(crate) const LATE_RECEIPTS_ARE_LOST: bool = true;

/// How long a provider waits for a receipt before it connects again.
pub(crate) const RECEIPT_PATIENCE: Millis = Millis::from_secs(60);

/// How long what is left may wait before the world goes around it, and how often at the most.
pub(crate) const AROUND_AFTER: Millis = Millis::from_secs(90);
const AROUNDS_MAX: u32 = 12;

/// Whether it may help that all providers try another node, for the `tried`-th time.
pub(crate) fn helps_to_move(left: &Broken, tried: u32) -> bool {
    let send = left.rule == Rule::L1 && left.what.starts_with("the send");
    IDLE_PROVIDERS_STAY && send && tried < AROUNDS_MAX
}
