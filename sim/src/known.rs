//! What the core is known to get wrong, and how the simulation goes around it. Each has to be mended
//! there, and set to false here.

use anteroom_core::time::Millis;

use crate::checker::Broken;
use crate::checker::rule::Rule;

/// A send that becomes durable while its bot runs is not always handed to the provider before the
/// bot's next start: one that was enqueued at a node that does not own the bot, and a consumer's reply,
/// which is enqueued with the mark of its callback. Around it: bots are started again once nothing else
/// is left.
const SENDS_WAIT_FOR_A_START: bool = true;

/// The result of a retried job is not looked for by a bot that has no placeholder, when another node's
/// worker made it. Around it: as above.
const REVISIONS_WAIT_FOR_A_START: bool = true;

/// A revision and a page of owed callbacks cross: the page, asked before and answered after, says that
/// there is no more, and the revision's callback stays in the store. Around it: as above.
const REVISIONS_CROSS_PAGES: bool = true;

/// A provider that has nothing to say stays at a node that does not own its bot, and never hears of the
/// bot's sends. Around it: providers try other nodes once nothing else is left.
const IDLE_PROVIDERS_STAY: bool = true;

/// A connection that carries several bots is not told that one of them was lost by its node: its next
/// message gets an error that names neither the bot nor the message, those that were under way get no
/// receipt, and once one bot is left, sends do not say which. Around it: the provider connects again.
pub(crate) const BOTS_LEAVE_SILENTLY: bool = true;

/// Bots of one connection that different nodes own are never served together. Around it: a plan with
/// such a connection has one node that runs bots.
pub(crate) const ONE_CONNECTION_ONE_NODE: bool = true;

/// A resend of a medium that is still worked on is called invalid once the window has forgotten it.
/// Around it: `invalid` is let through for what is durable.
pub(crate) const RESENT_MEDIA_ARE_INVALID: bool = true;

/// A processor is started under a lease that has ended, when the answer that brought the lease came
/// late; it is cancelled at once. Around it: such a start is let through.
pub(crate) const STARTS_UNDER_ENDED_LEASES: bool = true;

/// The next callback of a correspondent does not wait for the end of the one before to be durable, when
/// that was acknowledged before a page was read. Around it: an acknowledgement counts as the end.
pub(crate) const MARKS_ARE_NOT_WAITED_FOR: bool = false;

/// A bot that is stopped while it is being made known forgets that, and a start does not make it known
/// again: its provider is told that it does not run until it connects anew. Around it: providers that
/// hear nothing good connect anew, also to the same node.
pub(crate) const STOPS_FORGET_REGISTRATIONS: bool = true;

/// A draining bot that restored more correspondents than it may hold breaks its invariant. Around it:
/// that invariant is let through.
const RESTORED_CORRESPONDENTS_EXCEED: bool = true;

/// Whether a broken invariant is known.
pub(crate) fn is_excused(invariant: &str) -> bool {
    RESTORED_CORRESPONDENTS_EXCEED && invariant.ends_with("correspondents in memory are bounded")
}

/// How long a provider of several bots waits for a receipt before it connects again.
pub(crate) const RECEIPT_PATIENCE: Millis = Millis::from_secs(60);

/// How long what is left may wait before the world goes around it, and how often at the most.
pub(crate) const AROUND_AFTER: Millis = Millis::from_secs(90);
pub(crate) const AROUNDS_MAX: u32 = 12;

/// What may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Around {
    /// All bots are stopped and started.
    RestartBots,
    /// All providers try another node.
    MoveProviders,
}

/// The way around what is left, the `tried`-th time; none when it is not known.
pub(crate) fn around(left: &Broken, tried: u32) -> Option<Around> {
    if tried >= AROUNDS_MAX {
        return None;
    }
    let what = &left.what;
    let send = left.rule == Rule::L1 && what.starts_with("the send");
    let revision = left.rule == Rule::L2 && !what.ends_with("revision 0");
    let crossed = left.rule == Rule::L1 && what.contains("of revision");
    if (send && SENDS_WAIT_FOR_A_START && tried.is_multiple_of(2))
        || (revision && REVISIONS_WAIT_FOR_A_START)
        || (crossed && REVISIONS_CROSS_PAGES)
    {
        return Some(Around::RestartBots);
    }
    (send && IDLE_PROVIDERS_STAY).then_some(Around::MoveProviders)
}
