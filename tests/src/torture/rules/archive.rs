//! What is durable: what was acknowledged, once each, and nothing else.

use super::{About, Violation};
use crate::frames;
use crate::torture::account::Account;

/// Every acknowledged message has one row in the archive, under the id of its receipt.
///
/// # Errors
/// The first message that has none, two, or one under another id.
pub fn what_was_acknowledged_is_archived_once(account: &Account) -> Result<(), Violation> {
    for (number, id) in account.durable_ids() {
        let rows: Vec<u64> = account.rows_of(number).map(|row| row.id).collect();
        if rows != [id] {
            let what = match rows.as_slice() {
                [] => format!("was acknowledged as {id} and is not archived"),
                [other] => format!("was acknowledged as {id} and is archived as {other}"),
                several => format!("was acknowledged as {id} and is archived as {several:?}"),
            };
            return Err(Violation::of(number, what));
        }
    }
    Ok(())
}

/// Every row of the archive is a message that was made, and its provider's.
///
/// # Errors
/// The first row that is none.
pub fn what_is_archived_was_sent(account: &Account) -> Result<(), Violation> {
    for row in &account.remains.archive {
        let number = account.number(&row.provider_message_id);
        let is_sent = number.is_some_and(|number| row.is_of(account.message(number)));
        if !is_sent || row.provider_name != frames::PROVIDER_NAME {
            let what = format!("the archive holds what nobody sent: {row:?}");
            return Err(Violation::new(number.map_or(About::Nothing, About::Message), what));
        }
    }
    Ok(())
}

/// What the server confirmed to be acknowledged is acknowledged in the archive.
///
/// # Errors
/// The first message whose row says otherwise.
pub fn a_confirmed_acknowledgement_is_durable(account: &Account) -> Result<(), Violation> {
    let confirmed = account.confirmations();
    for callback in account.callbacks() {
        let callback = callback.what;
        let Some(number) = account.number(&callback.provider_message_id) else { continue };
        if !confirmed.contains_key(callback.callback_id.as_str()) {
            continue;
        }
        if let Some(row) = account.rows_of(number).find(|row| row.callback != "acknowledged") {
            let what = format!("was confirmed, but its row says that it is {}", row.callback);
            return Err(Violation::of(number, what));
        }
    }
    Ok(())
}

/// No row owes its callback when everybody has had all the time they need.
///
/// # Errors
/// The first row that does, or was given up.
pub fn no_callback_is_owed(account: &Account) -> Result<(), Violation> {
    let ended = |row: &str| row == "acknowledged";
    let Some(row) = account.remains.archive.iter().find(|row| !ended(&row.callback)) else {
        return Ok(());
    };
    let number = account.number(&row.provider_message_id);
    let what = format!("is archived as {} and its callback is {}", row.id, row.callback);
    Err(Violation::new(number.map_or(About::Nothing, About::Message), what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::remains::Archived;
    use crate::torture::rules::story::{Story, broken_by};

    /// Goal: a message that is missing, twice there, or there under another id is found.
    #[test]
    fn an_acknowledged_message_that_is_not_archived_once_is_found() {
        let rule = what_was_acknowledged_is_archived_once;
        let mut story = Story::new();
        let [a] = story.texts(["a"]);
        story.accepted(a, 1);
        assert_eq!(broken_by(&story, rule), "a was acknowledged as 1 and is not archived");
        story.row(a, 1);
        story.keeps(rule);
        let mut twice = story.clone();
        twice.row(a, 2);
        assert_eq!(broken_by(&twice, rule), "a was acknowledged as 1 and is archived as [1, 2]");
        story.rows()[0].id = 2;
        assert_eq!(broken_by(&story, rule), "a was acknowledged as 1 and is archived as 2");
    }

    /// Goal: a row of another message, bot or provider is found.
    #[test]
    fn a_row_that_nobody_sent_is_found() {
        let mut story = Story::new();
        let [a] = story.texts(["a"]);
        story.row(a, 1);
        story.keeps(what_is_archived_was_sent);
        let fields: [fn(&mut Archived) -> &mut String; 4] = [
            |row| &mut row.provider_message_id,
            |row| &mut row.bot_id,
            |row| &mut row.correspondent_id,
            |row| &mut row.provider_name,
        ];
        for field in fields {
            let mut story = story.clone();
            *field(&mut story.rows()[0]) = "x".to_owned();
            assert!(broken_by(&story, what_is_archived_was_sent).contains("what nobody sent"));
        }
    }

    /// Goal: a confirmation that the archive does not know of is found, and a callback that is owed at
    /// the end, or was given up, too.
    #[test]
    fn an_acknowledgement_that_is_not_durable_is_found() {
        let mut story = Story::new();
        let [a] = story.texts(["a"]);
        story.row(a, 1);
        story.received(a, 1, 1);
        story.rows()[0].callback = "owed".to_owned();
        story.keeps(a_confirmed_acknowledgement_is_durable);
        let owed = "a is archived as 1 and its callback is owed";
        assert_eq!(broken_by(&story, no_callback_is_owed), owed);
        story.confirmed(a, 1);
        let what = "a was confirmed, but its row says that it is owed";
        assert_eq!(broken_by(&story, a_confirmed_acknowledgement_is_durable), what);
        story.rows()[0].callback = "acknowledged".to_owned();
        story.keeps(a_confirmed_acknowledgement_is_durable);
        story.keeps(no_callback_is_owed);
    }
}
