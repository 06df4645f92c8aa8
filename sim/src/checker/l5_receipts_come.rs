//! L5: everything that a provider keeps gets its final receipt.

use super::Ends;
use super::seen::{Final, Seen};

#[derive(Default)]
pub(super) struct ReceiptsCome;

impl Ends for ReceiptsCome {
    fn see(&mut self, _seen: &Seen<'_>) {}

    fn judge(&self, world: &Final<'_>) -> Result<(), String> {
        match world.kept.first() {
            None => Ok(()),
            Some(name) => Err(format!(
                "{} messages have no final receipt, the first is {name:?}",
                world.kept.len()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    /// Goal: a message that its provider still keeps is found.
    #[test]
    fn a_kept_message_is_found() {
        let mut stage = Stage::new();
        assert_eq!(ReceiptsCome.judge(&stage.ends()), Ok(()));
        stage.kept.push(stage.draft("m1", "hello").0);
        assert!(ReceiptsCome.judge(&stage.ends()).is_err());
    }
}
