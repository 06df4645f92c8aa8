//! Messages of payload version 0 on one connection: the numbers that they have inside, and whose they are.
//!
//! Owns the way back from a number to the provider's id. Bounded: a message has its number until its receipt is
//! written, and what never gets one is forgotten for the newest.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use anteroom_core::id::ProviderMessageId;
use anteroom_core::protocol::ProviderFrame;
use anteroom_core::protocol::v0::{self, Entry, FIRST_SEQ};
use anteroom_core::session::event::SessionEvent;

/// Messages whose receipts may be on their way.
const NUMBERED_MAX: usize = 8_192;

/// The numbers of one connection's messages.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    given: u64,
    names: BTreeMap<u64, ProviderMessageId>,
}

impl Earlier {
    /// What a text of version 0 is to the session; none when it is of another version.
    pub fn read(&self, text: &str) -> Option<Vec<SessionEvent>> {
        let entries = v0::parse(text)?;
        Some(entries.into_iter().map(|entry| self.event(entry)).collect())
    }

    /// Whose receipt has this number; asked once.
    pub fn name(&self, seq: u64) -> Option<ProviderMessageId> {
        if seq < FIRST_SEQ { None } else { self.numbers().names.remove(&seq) }
    }

    fn event(&self, entry: Entry) -> SessionEvent {
        let seq = self.number(entry.provider_message_id.clone());
        match entry.numbered(seq) {
            Ok(message) => {
                SessionEvent::Frame { frame: ProviderFrame::Message(message), authorized: true }
            }
            Err(error) => SessionEvent::Malformed { error },
        }
    }

    fn number(&self, name: Option<ProviderMessageId>) -> u64 {
        let mut numbers = self.numbers();
        let seq = FIRST_SEQ + numbers.given;
        numbers.given = (numbers.given + 1) % FIRST_SEQ;
        if let Some(name) = name {
            numbers.names.insert(seq, name);
        }
        if numbers.names.len() > NUMBERED_MAX {
            numbers.names.pop_first();
        }
        seq
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().expect("nothing panics while it holds the numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a number leads back to its message, once, and what never gets a receipt is bounded.
    #[test]
    fn a_number_leads_back_to_its_message() {
        let earlier = Earlier::default();
        let numbers: Vec<_> = (0..=NUMBERED_MAX)
            .map(|count| earlier.number(Some(format!("m{count}").into())))
            .collect();
        assert_eq!(earlier.name(numbers[0]), None);
        assert_eq!(earlier.name(numbers[1]), Some("m1".into()));
        assert_eq!(earlier.name(numbers[1]), None);
        assert_eq!(earlier.name(7), None);
    }
}
