//! What must not happen by itself: lines that break, complaints, and what no rule foresees.

use super::{About, Violation};
use crate::torture::account::{Account, At};
use crate::torture::ledger::{Fact, Side};

/// No actor met anything that it has no name for.
///
/// # Errors
/// The first thing.
pub fn nothing_unexpected_happens(account: &Account) -> Result<(), Violation> {
    let mut unexpected = account.all(|fact| match fact {
        Fact::Unexpected(what) => Some((About::Nothing, what.clone())),
        Fact::Unknown { callback_id, line } => {
            let what = format!("{callback_id} was called back and is said to be unknown");
            Some((About::Line(*line), what))
        }
        _ => None,
    });
    match unexpected.next() {
        Some(At { what: (about, what), .. }) => Err(Violation::new(about, what)),
        None => Ok(()),
    }
}

/// The node logged no error, and ended in order whenever it was told to.
///
/// # Errors
/// Its first complaint.
pub fn the_node_has_nothing_to_complain_of(account: &Account) -> Result<(), Violation> {
    match account.remains.complaints.first() {
        Some(complaint) => Err(Violation::new(About::Nothing, complaint.clone())),
        None => Ok(()),
    }
}

/// A line ends because its actor drops it, or because something died.
///
/// # Errors
/// The first that ended by itself.
pub fn lines_end_for_a_reason(account: &Account) -> Result<(), Violation> {
    for (id, line) in account.lines() {
        if let Some((ended, Side::Theirs)) = line.ended
            && account.deaths_between(line.opened, ended) == 0
        {
            let what = format!("line {} of {} broke, and nothing had died", id.0, line.who);
            return Err(Violation::new(About::Line(*id), what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::rules::story::{Story, broken_by};

    /// Goal: a line that breaks by itself is found, also after a death in an earlier line's time.
    #[test]
    fn a_line_that_breaks_by_itself_is_found() {
        let mut story = Story::new();
        story.line_ends(Side::Ours);
        story.another_stream();
        story.death();
        story.line_ends(Side::Theirs);
        story.keeps(lines_end_for_a_reason);
        story.another_stream();
        story.line_ends(Side::Theirs);
        let what = broken_by(&story, lines_end_for_a_reason);
        assert!(what.ends_with("broke, and nothing had died"), "{what}");
    }

    /// Goal: what actors and the node complain of is found.
    #[test]
    fn complaints_are_found() {
        let mut story = Story::new();
        story.keeps(nothing_unexpected_happens);
        story.keeps(the_node_has_nothing_to_complain_of);
        let mut unknown = story.clone();
        let [a] = unknown.texts(["a"]);
        unknown.unknown(a, 1);
        let what = "bot/alice/1 was called back and is said to be unknown";
        assert_eq!(broken_by(&unknown, nothing_unexpected_happens), what);
        story.unexpected("a frame from nowhere");
        assert_eq!(broken_by(&story, nothing_unexpected_happens), "a frame from nowhere");
        story.remains.complaints.push("ERROR everything".to_owned());
        let what = broken_by(&story, the_node_has_nothing_to_complain_of);
        assert_eq!(what, "ERROR everything");
    }
}
