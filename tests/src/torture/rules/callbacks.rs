//! What consumers were told: every archived message, as it is archived, in its order.

use std::collections::{BTreeMap, BTreeSet};

use super::{About, Violation};
use crate::torture::account::{Account, At};
use crate::torture::ledger::{Callback, MessageNumber};

/// How many workers in a row must be lost for a job to end so.
const LOST_WORKERS: usize = 3;

/// Every archived message was called back at least once.
///
/// # Errors
/// The first that was not.
pub fn what_is_archived_is_called_back(account: &Account) -> Result<(), Violation> {
    let called_back: BTreeSet<&str> =
        account.callbacks().map(|callback| callback.what.provider_message_id.as_str()).collect();
    let missing =
        |row: &&crate::torture::remains::Archived| !called_back.contains(&*row.provider_message_id);
    let Some(row) = account.remains.archive.iter().find(missing) else { return Ok(()) };
    let number = account.number(&row.provider_message_id);
    let what = format!("is archived as {} and was never called back", row.id);
    Err(Violation::new(number.map_or(About::Nothing, About::Message), what))
}

/// Every callback is of a message that was made, and says what its row says, always under the same
/// callback id, which no other message has.
///
/// # Errors
/// The first callback that does not.
pub fn a_callback_tells_its_message(account: &Account) -> Result<(), Violation> {
    let mut by_callback_id = BTreeMap::new();
    let mut by_message = BTreeMap::new();
    for At { what: callback, .. } in account.callbacks() {
        let Some(number) = account.number(&callback.provider_message_id) else {
            return Err(Violation::new(About::Nothing, format!("nobody sent this: {callback:?}")));
        };
        let id = &callback.callback_id;
        let other = *by_callback_id.entry(id).or_insert(number);
        if other != number {
            let other = &account.message(other).provider_message_id;
            return Err(Violation::of(
                number,
                format!("and {other} were both called back as {id}"),
            ));
        }
        let other = *by_message.entry(number).or_insert(id);
        if other != id {
            return Err(Violation::of(number, format!("was called back as {other} and as {id}")));
        }
        if !account.rows_of(number).any(|row| is_told(callback, row)) {
            let what = format!("was called back as no row of it says: {callback:?}");
            return Err(Violation::of(number, what));
        }
    }
    Ok(())
}

fn is_told(callback: &Callback, row: &crate::torture::remains::Archived) -> bool {
    callback.message_id == row.id
        && callback.bot_id == row.bot_id
        && callback.correspondent_id == row.correspondent_id
        && callback.content == row.content
}

/// Every message reads what was in it; a worker is called lost only where enough of them died.
///
/// # Errors
/// The first callback that reads anything else.
pub fn media_become_what_is_in_them(account: &Account) -> Result<(), Violation> {
    let mut begun = BTreeMap::new();
    for receipt in account.receipts() {
        begun.entry(receipt.what.0).or_insert(receipt.index);
    }
    for At { index, what: callback, .. } in account.callbacks() {
        let Some(number) = account.number(&callback.provider_message_id) else { continue };
        let message = account.message(number);
        if message.expected.is_met_by(&callback.content, callback.outcome.as_deref()) {
            continue;
        }
        let sent = account.first_written(number).unwrap_or(index);
        let deaths = account.deaths_between(sent, index);
        let lost = message.is_media() && callback.error.as_deref() == Some("worker_lost");
        if lost && deaths >= LOST_WORKERS {
            continue;
        }
        let Callback { content, outcome, error, .. } = callback;
        let what = format!(
            "was expected as {:?} and reads {content:?} (outcome {outcome:?}, error {error:?}, after \
             {deaths} deaths)",
            message.expected
        );
        return Err(Violation::of(number, what));
    }
    Ok(())
}

/// By their first appearance, a correspondent's callbacks come in the order of the archive.
///
/// # Errors
/// The first callback that comes behind a later one.
pub fn callbacks_follow_the_archives_order(account: &Account) -> Result<(), Violation> {
    let mut seen: BTreeSet<MessageNumber> = BTreeSet::new();
    let mut last: BTreeMap<(&str, &str), (u64, MessageNumber)> = BTreeMap::new();
    for At { what: callback, .. } in account.callbacks() {
        let Some(number) = account.number(&callback.provider_message_id) else { continue };
        let Some(row) = account.rows_of(number).next() else { continue };
        if !seen.insert(number) {
            continue;
        }
        let key = (callback.bot_id.as_str(), callback.correspondent_id.as_str());
        if let Some((before, other)) = last.insert(key, (row.seq, number))
            && before >= row.seq
        {
            let other = &account.message(other).provider_message_id;
            let seq = row.seq;
            let what =
                format!("is archived at {seq}, but came behind {other}, archived at {before}");
            return Err(Violation::of(number, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::rules::story::{Story, broken_by};

    /// Goal: an archived message that nobody was told of is found.
    #[test]
    fn a_message_that_is_not_called_back_is_found() {
        let mut story = Story::new();
        let [a] = story.texts(["a"]);
        story.row(a, 1);
        let what = "a is archived as 1 and was never called back";
        assert_eq!(broken_by(&story, what_is_archived_is_called_back), what);
        story.received(a, 1, 1);
        story.keeps(what_is_archived_is_called_back);
    }

    /// Goal: a callback of a stranger, under two ids, under another's id, or with other words than its
    /// row is found.
    #[test]
    fn a_callback_that_tells_something_else_is_found() {
        let rule = a_callback_tells_its_message;
        let mut story = Story::new();
        let [a, b] = story.texts(["a", "b"]);
        story.row(a, 1);
        story.row(b, 2);
        story.received(a, 1, 1);
        story.received(a, 1, 2);
        story.keeps(rule);

        let mut two_ids = story.clone();
        two_ids.row(a, 3);
        two_ids.received(a, 3, 1);
        assert_eq!(
            broken_by(&two_ids, rule),
            "a was called back as bot/alice/1 and as bot/alice/3"
        );

        let mut same_id = story.clone();
        same_id.received(b, 1, 1);
        assert_eq!(broken_by(&same_id, rule), "b and a were both called back as bot/alice/1");

        let mut other_words = story.clone();
        other_words.rows()[0].content = "something else".to_owned();
        assert!(
            broken_by(&other_words, rule).starts_with("a was called back as no row of it says")
        );

        story.received_of_a_stranger();
        assert!(broken_by(&story, rule).starts_with("nobody sent this"));
    }

    /// Goal: a medium with another outcome is found, and a lost worker is believed only after three
    /// deaths since its message was sent.
    #[test]
    fn a_medium_with_another_outcome_is_found() {
        let rule = media_become_what_is_in_them;
        let mut story = Story::new();
        let medium = story.medium("m");
        story.written(medium);
        story.received_as(medium, "words of m", "text", None);
        story.keeps(rule);
        let mut failed = story.clone();
        failed.received_as(medium, "[failed]", "failed", Some("file_missing"));
        assert!(broken_by(&failed, rule).starts_with("m was expected as"));
        for deaths in 0..4 {
            let mut story = story.clone();
            (0..deaths).for_each(|_| story.death());
            story.received_as(medium, "[failed]", "failed", Some("worker_lost"));
            match deaths {
                0..3 => assert!(broken_by(&story, rule).contains("worker_lost")),
                _ => story.keeps(rule),
            }
        }
    }

    /// Goal: a callback behind a later one of its correspondent is found; a repetition is none.
    #[test]
    fn callbacks_out_of_order_are_found() {
        let rule = callbacks_follow_the_archives_order;
        let mut story = Story::new();
        let [a, b, c] = story.texts(["a", "b", "c"]);
        for (number, id) in [(a, 1), (b, 2), (c, 3)] {
            story.row(number, id);
        }
        story.received(a, 1, 1);
        story.received(b, 2, 1);
        story.received(a, 1, 2);
        story.keeps(rule);
        let mut good = story.clone();
        good.received(c, 3, 1);
        good.keeps(rule);
        story.rows()[2].seq = 1;
        story.rows()[1].seq = 2;
        story.rows()[0].seq = 0;
        story.received(c, 3, 1);
        assert_eq!(broken_by(&story, rule), "c is archived at 1, but came behind b, archived at 2");
    }
}
