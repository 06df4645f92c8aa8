//! What people wrote, and what was found in their media: told apart from all other text.
//!
//! Every field that holds such text is serialized as [`MARK`], which JSON does not show. Whoever writes
//! things down for others to read can so write something else in its place, character for character
//! (see [`blank`]): contents, captions, file names, names that people see, and the words of processors and
//! providers, which may quote any of those. **Architecture invariant:** the machine decides by the
//! sizes of such text, never by its letters.

use std::ops::Deref;

use serde::{Serialize, Serializer};

/// The name of the newtype that marks contents to a serializer.
pub const MARK: &str = "anteroom::Contents";

/// A marked text.
struct Contents<'a>(&'a str);

impl Serialize for Contents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(MARK, self.0)
    }
}

/// Serializes a text as contents.
pub(crate) fn text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Contents(text).serialize(serializer)
}

/// Serializes a text that may be missing as contents.
pub(crate) fn maybe<T, S>(text: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Deref<Target = str>,
    S: Serializer,
{
    text.as_deref().map(Contents).serialize(serializer)
}

/// What stands for a character where contents are not to be shown.
///
/// It has as many bytes in UTF-8, and a control character stays one, so a text that is blanked has the
/// same sizes and is cut at the same places. Blanking twice changes nothing more, and a text that is
/// put together from blanked ones is itself blanked the same as one that was put together before.
pub fn blank(character: char) -> char {
    match (character.len_utf8(), character.is_control()) {
        (1, true) => '\n',
        (1, false) => 'x',
        (2, true) => '\u{85}',
        (2, false) => 'é',
        (3, _) => '字',
        _ => '🦀',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: what is blanked has the same size in characters and in bytes, keeps its control
        /// characters, and is the same when it is blanked again.
        #[test]
        fn a_blank_has_the_size_of_what_it_stands_for(character: char) {
            let blanked = blank(character);
            prop_assert_eq!(blanked.len_utf8(), character.len_utf8());
            prop_assert_eq!(blanked.is_control(), character.is_control());
            prop_assert_eq!(blank(blanked), blanked);
        }
    }
}
