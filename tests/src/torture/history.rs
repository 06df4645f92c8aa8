//! What is said of a broken promise: one paragraph, and the history of what it is about.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use crate::torture::account::Account;
use crate::torture::ledger::{Death, Entry, Fact, LineId, MessageNumber, Side, Verdict, Victim};
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
    let history = history(account, explained_by(account, *about));
    if !history.is_empty() {
        let _ = writeln!(told, "Its history:");
    }
    for line in &history {
        let _ = writeln!(told, "  {line}");
    }
    told
}

/// Whose history explains it: a file's message, everything else itself.
fn explained_by(account: &Account, about: About) -> About {
    let About::File(of) = about else { return about };
    let mut messages = account.all(|fact| match fact {
        Fact::Staging { number, media_id, .. } if *media_id == of => Some(*number),
        _ => None,
    });
    messages.next().map_or(about, |message| About::Message(message.what))
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
        About::File(_) | About::Line(_) | About::Nothing => Vec::new(),
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
        About::File(media_id) => matches!(
            fact,
            Fact::Staging { media_id: id, .. } | Fact::Staged { media_id: id, .. } if *id == media_id
        ),
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

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  {}", self.at.as_secs_f64(), self.fact)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => write!(f, "the node is ready"),
            Self::Ending(victim, death) => write!(f, "{victim} is to be {death}"),
            Self::Ended(victim, death) => write!(f, "{victim} is {death}"),
            Self::StoreBack => write!(f, "the store's server answers again"),
            Self::Staging { media_id, way, .. } => write!(f, "staging {media_id} ({way:?})"),
            Self::Staged { media_id, .. } => write!(f, "staged {media_id}"),
            Self::LineOpened { line, who } => write!(f, "line {} opened: {who}", line.0),
            Self::LineEnded { line, by: Side::Ours } => write!(f, "line {} dropped by us", line.0),
            Self::LineEnded { line, by: Side::Theirs } => write!(f, "line {} broke", line.0),
            Self::Written { line, media_id, .. } => {
                write!(f, "written to line {}", line.0)?;
                media_id.map_or(Ok(()), |media_id| write!(f, " with medium {media_id}"))
            }
            Self::Receipt { line, verdict, .. } => match verdict {
                Verdict::Durable { message_id, duplicate: false } => {
                    write!(f, "line {}: accepted as {message_id}", line.0)
                }
                Verdict::Durable { message_id, duplicate: true } => {
                    write!(f, "line {}: duplicate of {message_id}", line.0)
                }
                Verdict::Later(reason) => write!(f, "line {}: refused for now: {reason}", line.0),
                Verdict::Invalid(receipt) => write!(f, "line {}: refused: {receipt}", line.0),
            },
            Self::Received(callback) => write!(
                f,
                "line {}: called back as {}, attempt {}: {:?}",
                callback.line.0,
                callback.callback_id,
                callback.attempt,
                shortened(&callback.content)
            ),
            Self::Confirmed { line, callback_id } => {
                write!(f, "line {}: acknowledgement of {callback_id} confirmed", line.0)
            }
            Self::Unknown { line, callback_id } => {
                write!(f, "line {}: {callback_id} is said to be unknown", line.0)
            }
            Self::Unexpected(what) => write!(f, "{what}"),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "the node",
            Self::Store => "the store's server",
        })
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed (SIGKILL)",
            Self::Stopped => "stopped (SIGTERM)",
        })
    }
}

/// The first words of a text, for a line of a history.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
