//! What is said of a broken promise: one paragraph, and the history of what it is about.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use uuid::Uuid;

use crate::torture::account::Account;
use crate::torture::ledger::{Fact, LineId, MessageNumber};
use crate::torture::rules::{About, Violation};

/// Lines of a history; a longer one loses its middle.
const LINES_MAX: usize = 120;

/// A broken promise in words: the rule, what broke it, and what happened to it.
pub fn told(account: &Account, rule: &str, violation: &Violation) -> String {
    let Violation { what, about } = violation;
    let mut told = format!("The promise \"{rule}\" was broken: ");
    // Writing to a string cannot fail.
    let _ = match about {
        About::Nothing => writeln!(told, "{what}."),
        About::Message(number) => {
            let message = account.message(*number);
            writeln!(
                told,
                "the message {} of {:?} with {:?} {what}.",
                message.provider_message_id, message.bot_id, message.correspondent_id
            )
        }
        About::File(_) | About::Line(_) => writeln!(told, "{what}."),
    };
    let history = history(account, *about);
    if !history.is_empty() {
        let _ = writeln!(told, "Its history:");
    }
    for line in &history {
        let _ = writeln!(told, "  {line}");
    }
    told
}

/// What happened to something, with the deaths around it and its rows at the end.
fn history(account: &Account, about: About) -> Vec<String> {
    let own = own_entries(account, about);
    let (Some(first), Some(last)) = (own.first(), own.last()) else { return Vec::new() };
    let around = first.saturating_sub(50)..=*last + 50;
    let of_all = |index: &usize| {
        let entry = account.entries.get(*index);
        entry.is_some_and(|entry| {
            matches!(entry.fact, Fact::Ready | Fact::Ending(..) | Fact::Ended(..) | Fact::StoreBack)
        })
    };
    let deaths = around.filter(of_all);
    let entries: BTreeSet<usize> = own.iter().copied().chain(deaths).collect();
    let mut lines: Vec<String> =
        entries.iter().map(|index| account.entries[*index].to_string()).collect();
    if lines.len() > LINES_MAX {
        let middle = LINES_MAX / 2..lines.len() - LINES_MAX / 2;
        let left_out = format!("… {} more …", middle.len());
        lines.splice(middle, [left_out]);
    }
    let rows = match about {
        About::Message(number) => account.rows_of(number).collect(),
        About::File(media_id) => {
            let rows = account.remains.archive.iter();
            rows.filter(|row| row.media_id == Some(media_id)).collect()
        }
        About::Line(_) | About::Nothing => Vec::new(),
    };
    lines.extend(rows.into_iter().map(|row| {
        let at = account.moment(row.archived_at_ms).as_secs_f64();
        format!("{at:>9.3} s  archived: {row:?}")
    }));
    lines
}

fn own_entries(account: &Account, about: About) -> Vec<usize> {
    let is_own = |fact: &Fact| match about {
        About::Nothing => false,
        About::Message(number) => is_of_message(account, fact, number),
        About::File(media_id) => is_of_file(account, fact, media_id),
        About::Line(line) => is_of_line(fact, line),
    };
    account.all(|fact| is_own(fact).then_some(())).map(|at| at.index).collect()
}

fn is_of_message(account: &Account, fact: &Fact, of: MessageNumber) -> bool {
    let message = account.message(of);
    match fact {
        Fact::Staging { number, .. }
        | Fact::Staged { number, .. }
        | Fact::Written { number, .. }
        | Fact::Receipt { number, .. } => *number == of,
        Fact::Received(callback) => callback.provider_message_id == message.provider_message_id,
        Fact::Confirmed { callback_id, .. } | Fact::Unknown { callback_id, .. } => {
            account.is_callback_of(callback_id, of)
        }
        Fact::Ready
        | Fact::Ending(..)
        | Fact::Ended(..)
        | Fact::StoreBack
        | Fact::LineOpened { .. }
        | Fact::LineEnded { .. }
        | Fact::Unexpected(_) => false,
    }
}

fn is_of_file(account: &Account, fact: &Fact, of: Uuid) -> bool {
    match fact {
        Fact::Staging { media_id, .. } | Fact::Staged { media_id, .. } => *media_id == of,
        Fact::Written { media_id, .. } | Fact::Receipt { media_id, .. } => *media_id == Some(of),
        Fact::Received(callback) => {
            let rows = account.number(&callback.provider_message_id);
            rows.is_some_and(|number| account.rows_of(number).any(|row| row.media_id == Some(of)))
        }
        Fact::Confirmed { .. }
        | Fact::Unknown { .. }
        | Fact::Ready
        | Fact::Ending(..)
        | Fact::Ended(..)
        | Fact::StoreBack
        | Fact::LineOpened { .. }
        | Fact::LineEnded { .. }
        | Fact::Unexpected(_) => false,
    }
}

fn is_of_line(fact: &Fact, of: LineId) -> bool {
    match fact {
        Fact::LineOpened { line, .. }
        | Fact::LineEnded { line, .. }
        | Fact::Written { line, .. }
        | Fact::Receipt { line, .. }
        | Fact::Confirmed { line, .. }
        | Fact::Unknown { line, .. } => *line == of,
        Fact::Received(callback) => callback.line == of,
        Fact::Staging { .. }
        | Fact::Staged { .. }
        | Fact::Ready
        | Fact::Ending(..)
        | Fact::Ended(..)
        | Fact::StoreBack
        | Fact::Unexpected(_) => false,
    }
}
