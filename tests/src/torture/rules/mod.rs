//! The promises, each as a function of the account: what it says is broken, and about what.
//!
//! [`receipts`]: what providers were told. [`archive`]: what is durable. [`callbacks`]: what consumers
//! were told. [`repeats`]: what they were told again. [`leftovers`]: what must be gone. [`lines`]: what
//! must not break by itself.
//!
//! **Invariants**: a rule reads the account and nothing else; each has a test in which it fails.

pub mod archive;
pub mod callbacks;
pub mod leftovers;
pub mod lines;
pub mod receipts;
pub mod repeats;
#[cfg(test)]
mod story;

use uuid::Uuid;

use crate::torture::account::Account;
use crate::torture::ledger::{LineId, MessageNumber};

/// A promise: its name, and what says whether it was kept.
pub type Rule = (&'static str, fn(&Account) -> Result<(), Violation>);

/// All of them.
pub const RULES: &[Rule] = &[
    ("nothing unexpected happens", lines::nothing_unexpected_happens),
    ("the node has nothing to complain of", lines::the_node_has_nothing_to_complain_of),
    ("lines end for a reason", lines::lines_end_for_a_reason),
    ("receipts of a message agree", receipts::receipts_agree),
    ("an id is given once", receipts::an_id_is_given_once),
    ("ids follow the order of texts", receipts::ids_follow_the_order_of_texts),
    ("what was acknowledged is archived once", archive::what_was_acknowledged_is_archived_once),
    ("what is archived was sent", archive::what_is_archived_was_sent),
    ("a confirmed acknowledgement is durable", archive::a_confirmed_acknowledgement_is_durable),
    ("no callback is owed", archive::no_callback_is_owed),
    ("what is archived is called back", callbacks::what_is_archived_is_called_back),
    ("a callback tells its message", callbacks::a_callback_tells_its_message),
    ("media become what is in them", callbacks::media_become_what_is_in_them),
    ("callbacks follow the archive's order", callbacks::callbacks_follow_the_archives_order),
    ("nothing is told after its confirmation", repeats::nothing_is_told_after_its_confirmation),
    ("a repeat has a reason", repeats::a_repeat_has_a_reason),
    ("a repeat has a higher attempt", repeats::a_repeat_has_a_higher_attempt),
    ("no attempt is told before it is durable", repeats::no_attempt_is_told_before_it_is_durable),
    ("no job is left", leftovers::no_job_is_left),
    ("no file is left", leftovers::no_file_is_left),
    ("the sweep leaves no file", leftovers::the_sweep_leaves_no_file),
    ("every record can be read", leftovers::every_record_can_be_read),
];

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong, in words.
    pub what: String,
    /// Whose history explains it.
    pub about: About,
}

/// Whose history explains a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The run's.
    Nothing,
    /// A message's.
    Message(MessageNumber),
    /// A staged file's.
    File(Uuid),
    /// A line's.
    Line(LineId),
}

impl Violation {
    fn new(about: About, what: String) -> Self {
        Self { what, about }
    }

    fn of(number: MessageNumber, what: String) -> Self {
        Self::new(About::Message(number), what)
    }
}

/// The promises that were broken, each with the first thing that breaks it.
pub fn judge(account: &Account) -> Vec<(&'static str, Violation)> {
    let broken = |(name, rule): &Rule| rule(account).err().map(|violation| (*name, violation));
    RULES.iter().filter_map(broken).collect()
}
