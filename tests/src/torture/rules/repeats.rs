//! What consumers were told again: only for a reason, and never after a confirmation.

use std::time::Duration;

use super::{About, Violation};
use crate::torture::account::{Account, At};
use crate::torture::ledger::Callback;

/// How long an acknowledgement may be missing before the callback comes again, less what a callback
/// may wait in a socket before it is read.
const ACKNOWLEDGEMENT_MISSING_AFTER: Duration = Duration::from_secs(25);

/// A callback whose acknowledgement was confirmed never comes again.
///
/// # Errors
/// The first that does.
pub fn nothing_is_told_after_its_confirmation(account: &Account) -> Result<(), Violation> {
    let confirmed = account.confirmations();
    for At { index, what: callback, .. } in account.callbacks() {
        let id = callback.callback_id.as_str();
        if confirmed.get(id).is_some_and(|confirmed| confirmed.index < index) {
            let what = format!("came again as {id} after its confirmation");
            return Err(about(account, callback, what));
        }
    }
    Ok(())
}

/// A callback comes again only after a death, on another stream than before, or when it was not
/// acknowledged in time.
///
/// # Errors
/// The first that comes again for none of these reasons.
pub fn a_repeat_has_a_reason(account: &Account) -> Result<(), Violation> {
    for callbacks in account.callbacks_by_id().into_values() {
        for pair in callbacks.windows(2) {
            let [first, again] = pair else { continue };
            let another_stream = first.what.line != again.what.line;
            let death = account.deaths_between(first.index, again.index) > 0;
            let too_late = again.at - first.at >= ACKNOWLEDGEMENT_MISSING_AFTER;
            if !another_stream && !death && !too_late {
                let what = format!(
                    "came again as {} after {:?} on the same stream, and nothing had died",
                    again.what.callback_id,
                    again.at - first.at
                );
                return Err(about(account, again.what, what));
            }
        }
    }
    Ok(())
}

/// A callback that comes again has a higher attempt than before.
///
/// # Errors
/// The first that has not.
pub fn a_repeat_has_a_higher_attempt(account: &Account) -> Result<(), Violation> {
    for callbacks in account.callbacks_by_id().into_values() {
        for pair in callbacks.windows(2) {
            let [first, again] = pair else { continue };
            let (before, after) = (first.what.attempt, again.what.attempt);
            if after <= before {
                let what = format!("came with attempt {after} after attempt {before}");
                return Err(about(account, again.what, what));
            }
        }
    }
    Ok(())
}

/// The archive knows of every attempt that was told.
///
/// # Errors
/// The first that it does not know of.
pub fn no_attempt_is_told_before_it_is_durable(account: &Account) -> Result<(), Violation> {
    for At { what: callback, .. } in account.callbacks() {
        let Some(number) = account.number(&callback.provider_message_id) else { continue };
        if let Some(row) = account.rows_of(number).find(|row| row.attempts < callback.attempt) {
            let (told, known) = (callback.attempt, row.attempts);
            let what = format!("came with attempt {told}, but its row knows of {known}");
            return Err(Violation::of(number, what));
        }
    }
    Ok(())
}

fn about(account: &Account, callback: &Callback, what: String) -> Violation {
    let number = account.number(&callback.provider_message_id);
    Violation::new(number.map_or(About::Nothing, About::Message), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::rules::story::{Story, broken_by};

    /// Goal: what comes after its confirmation is found, also on another stream and after a death.
    #[test]
    fn what_comes_after_its_confirmation_is_found() {
        let mut story = Story::new();
        let [a, b] = story.texts(["a", "b"]);
        story.received(a, 1, 1);
        story.confirmed(b, 2);
        story.received(a, 1, 2);
        story.confirmed(a, 1);
        story.keeps(nothing_is_told_after_its_confirmation);
        story.death();
        story.another_stream();
        story.received(a, 1, 3);
        let what = "a came again as bot/alice/1 after its confirmation";
        assert_eq!(broken_by(&story, nothing_is_told_after_its_confirmation), what);
    }

    /// Goal: a repeat without a reason is found; a death, another stream and a long silence are
    /// reasons.
    #[test]
    fn a_repeat_without_a_reason_is_found() {
        let mut story = Story::new();
        let [a] = story.texts(["a"]);
        story.received(a, 1, 1);
        for reason in [Story::death, Story::another_stream, |story: &mut Story| story.pass(26)] {
            let mut story = story.clone();
            reason(&mut story);
            story.received(a, 1, 2);
            story.keeps(a_repeat_has_a_reason);
        }
        story.pass(3);
        story.received(a, 1, 2);
        let what = "a came again as bot/alice/1 after 3s on the same stream, and nothing had died";
        assert_eq!(broken_by(&story, a_repeat_has_a_reason), what);
    }

    /// Goal: an attempt that does not rise, or that the archive does not know of, is found.
    #[test]
    fn attempts_that_do_not_rise_are_found() {
        let mut story = Story::new();
        let [a] = story.texts(["a"]);
        story.row(a, 1);
        story.rows()[0].attempts = 4;
        story.received(a, 1, 2);
        story.received(a, 1, 4);
        story.keeps(a_repeat_has_a_higher_attempt);
        story.keeps(no_attempt_is_told_before_it_is_durable);
        let mut same = story.clone();
        same.received(a, 1, 4);
        let what = "a came with attempt 4 after attempt 4";
        assert_eq!(broken_by(&same, a_repeat_has_a_higher_attempt), what);
        story.rows()[0].attempts = 3;
        let what = "a came with attempt 4, but its row knows of 3";
        assert_eq!(broken_by(&story, no_attempt_is_told_before_it_is_durable), what);
    }
}
