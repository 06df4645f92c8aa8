//! What providers were told: one id for each message, and each id once.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::torture::account::{Account, At};
use crate::torture::ledger::Verdict;

/// Every message is said to be durable, always under the same id, and none is refused for good.
///
/// # Errors
/// The first message that was told two ids, or none.
pub fn receipts_agree(account: &Account) -> Result<(), Violation> {
    let mut told = BTreeMap::new();
    for At { what: (number, _, verdict), .. } in account.receipts() {
        let message_id = match verdict {
            Verdict::Durable { message_id, .. } => *message_id,
            Verdict::Later(_) => continue,
            Verdict::Invalid(receipt) => {
                return Err(Violation::of(number, format!("was refused: {receipt}")));
            }
        };
        let before = *told.entry(number).or_insert(message_id);
        if before != message_id {
            let what = format!("was acknowledged as {before}, then as {message_id}");
            return Err(Violation::of(number, what));
        }
    }
    let mut numbers = account.numbers();
    match numbers.find(|number| !told.contains_key(number)) {
        Some(number) => Err(Violation::of(number, "was never acknowledged".to_owned())),
        None => Ok(()),
    }
}

/// No two messages of a correspondent have the same id, whatever died between them.
///
/// # Errors
/// The first id that two messages were told.
pub fn an_id_is_given_once(account: &Account) -> Result<(), Violation> {
    let mut given = BTreeMap::new();
    for (number, id) in account.durable_ids() {
        let message = account.message(number);
        let key = (&message.bot_id, &message.correspondent_id, id);
        if let Some(other) = given.insert(key, number) {
            let other = &account.message(other).provider_message_id;
            return Err(Violation::of(number, format!("was acknowledged as {id}, as was {other}")));
        }
    }
    Ok(())
}

/// The ids of a correspondent's texts grow in the order in which they were sent, but for those that
/// were refused for a while.
///
/// # Errors
/// The first text with an id that is too low.
pub fn ids_follow_the_order_of_texts(account: &Account) -> Result<(), Violation> {
    let postponed: BTreeSet<_> = account
        .receipts()
        .filter(|receipt| matches!(receipt.what.2, Verdict::Later(_)))
        .map(|receipt| receipt.what.0)
        .collect();
    let mut last = BTreeMap::new();
    for (number, id) in account.durable_ids() {
        let message = account.message(number);
        // A document whose job was not durable yet takes its id anew, behind texts that were.
        if message.is_media() || postponed.contains(&number) {
            continue;
        }
        let key = (&message.bot_id, &message.correspondent_id);
        if let Some((before, other)) = last.insert(key, (id, number))
            && before >= id
        {
            let other = &account.message(other).provider_message_id;
            let what = format!("has the id {id}, but {other}, sent before it, has {before}");
            return Err(Violation::of(number, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::rules::story::{Story, broken_by};

    /// Goal: two ids for one message, a refusal and silence are told from a duplicate.
    #[test]
    fn receipts_that_contradict_each_other_are_found() {
        let mut story = Story::new();
        let [a, b] = story.texts(["a", "b"]);
        story.accepted(a, 1);
        story.later(b, "overflow");
        story.accepted(b, 2);
        story.duplicate(a, 1);
        story.keeps(receipts_agree);
        let mut two_ids = story.clone();
        two_ids.duplicate(a, 3);
        assert_eq!(broken_by(&two_ids, receipts_agree), "a was acknowledged as 1, then as 3");
        let mut refused = story.clone();
        refused.invalid(a, "bad sender");
        assert_eq!(broken_by(&refused, receipts_agree), "a was refused: bad sender");
        story.texts(["c"]);
        assert_eq!(broken_by(&story, receipts_agree), "c was never acknowledged");
    }

    /// Goal: an id that is used again within a correspondent is found; another correspondent may have
    /// the same one.
    #[test]
    fn an_id_that_is_used_again_is_found() {
        let mut story = Story::new();
        let [a, b] = story.texts(["a", "b"]);
        let c = story.text_of("elsewhere", "c");
        story.accepted(a, 1);
        story.accepted(c, 1);
        story.keeps(an_id_is_given_once);
        story.accepted(b, 1);
        assert_eq!(broken_by(&story, an_id_is_given_once), "b was acknowledged as 1, as was a");
    }

    /// Goal: ids out of order are found, but for a message that was refused for a while.
    #[test]
    fn ids_out_of_order_are_found() {
        let mut story = Story::new();
        let [a, b, c] = story.texts(["a", "b", "c"]);
        story.later(a, "retry_later");
        story.accepted(b, 2);
        story.accepted(a, 9);
        story.accepted(c, 3);
        story.keeps(ids_follow_the_order_of_texts);
        let [d] = story.texts(["d"]);
        story.accepted(d, 1);
        let what = "d has the id 1, but c, sent before it, has 3";
        assert_eq!(broken_by(&story, ids_follow_the_order_of_texts), what);
    }
}
