//! S8: a message frame gets one receipt, a message keeps its id, and `duplicate` is said only of what
//! came before.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::id::MessageId;
use anteroom_core::receipt::{Origin, RejectReason};

use super::Judge;
use super::seen::{Scene, Seen, Told};
use crate::plan::MessageName;

#[derive(Default)]
pub(super) struct Receipts {
    answered: BTreeSet<Origin>,
    ids: BTreeMap<MessageName, MessageId>,
    /// How often each message was offered.
    offered: BTreeMap<MessageName, u32>,
}

impl Receipts {
    fn told(&mut self, origin: Origin, name: &MessageName, told: Told) -> Result<(), String> {
        if !self.answered.insert(origin) {
            return Err(format!("{origin:?} gets a second receipt: {told:?}"));
        }
        if told == Told::Rejected(RejectReason::Invalid) {
            return Err(format!("{name:?} is well formed, and called invalid"));
        }
        let Some(id) = told.durable_id() else { return Ok(()) };
        let known = *self.ids.entry(name.clone()).or_insert(id);
        if known != id {
            return Err(format!("{name:?} was {known} and is {id}"));
        }
        if let Told::Duplicate(_) = told
            && self.offered.get(name).is_none_or(|times| *times < 2)
        {
            return Err(format!("{name:?} came once and is called a duplicate"));
        }
        Ok(())
    }
}

impl Judge for Receipts {
    fn see(&mut self, seen: &Seen<'_>, _scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Offered { name, .. } => {
                *self.offered.entry(MessageName::clone(name)).or_default() += 1;
                Ok(())
            }
            Seen::Receipted { origin, name, told, .. } => self.told(*origin, name, *told),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::id::RequestId;

    use super::super::stage::Stage;
    use super::*;

    fn origin(number: u64) -> Origin {
        Origin::Request { request_id: RequestId(number) }
    }

    fn id(number: u64) -> MessageId {
        MessageId::new(number).expect("not zero")
    }

    /// Goal: a second receipt of one frame is found.
    #[test]
    fn a_frame_has_one_receipt() {
        let mut rule = Receipts::default();
        let (name, _) = Stage::new().draft("m1", "hello");
        assert_eq!(rule.told(origin(1), &name, Told::Accepted(id(1))), Ok(()));
        assert!(rule.told(origin(1), &name, Told::Accepted(id(1))).is_err());
    }

    /// Goal: a message with two ids is found, and one that is called invalid although it is not.
    #[test]
    fn a_message_has_one_id() {
        let mut rule = Receipts::default();
        let (name, _) = Stage::new().draft("m1", "hello");
        assert_eq!(rule.told(origin(1), &name, Told::Accepted(id(1))), Ok(()));
        assert!(rule.told(origin(2), &name, Told::Accepted(id(2))).is_err());
        assert!(rule.told(origin(3), &name, Told::Rejected(RejectReason::Invalid)).is_err());
    }

    /// Goal: `duplicate` of what came only once is found.
    #[test]
    fn a_duplicate_came_before() {
        let mut rule = Receipts::default();
        let (name, _) = Stage::new().draft("m1", "hello");
        rule.offered.insert(name.clone(), 1);
        assert!(rule.told(origin(1), &name, Told::Duplicate(id(1))).is_err());
        rule.offered.insert(name.clone(), 2);
        assert_eq!(rule.told(origin(2), &name, Told::Duplicate(id(1))), Ok(()));
    }
}
