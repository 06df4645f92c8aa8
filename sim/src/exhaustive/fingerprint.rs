//! When two worlds are the same: a hash over everything in them, whatever order things came in.
//!
//! Owns the reading of `Debug` text. Maps and sets count as unordered, so that a map whose hash is
//! seeded differs in nothing from its twin. Names that a machine draws (operation ids, lease tokens)
//! depend on the order of its steps; they are replaced by what they were drawn for ([`Names`]), so two
//! orders that lead to the same state are the same.
//!
//! Two different states with one fingerprint would hide a path; 64 bits make that unlikely for the few
//! million states of a run. What the text leaves out (the position of the seeded generator) decides
//! jitter only.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// What drawn names stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Lease tokens, by their text.
    tokens: BTreeMap<String, u64>,
    /// How often the same thing was asked for.
    asked: BTreeMap<u64, u64>,
}

/// What the operation ids of one process stand for.
pub(crate) type OpNames = BTreeMap<u64, u64>;

impl Names {
    /// Names a token by what it was drawn for; a token that has a name keeps it.
    pub fn token(&mut self, token: String, purpose: &impl Debug) {
        if !self.tokens.contains_key(&token) {
            let name = self.count(self.of(purpose, &OpNames::new()));
            self.tokens.insert(token, name);
        }
    }

    /// A name for the next operation with this purpose.
    pub fn operation(&mut self, purpose: &impl Debug) -> u64 {
        self.count(self.of(purpose, &OpNames::new()))
    }

    fn count(&mut self, name: u64) -> u64 {
        let times = self.asked.entry(name).or_default();
        *times += 1;
        mix(name, *times)
    }

    /// The fingerprint of something, whose operation ids stand for `ops`.
    pub fn of(&self, value: &impl Debug, ops: &OpNames) -> u64 {
        let text = format!("{value:?}");
        Reader { text: text.as_bytes(), at: 0, names: self, ops }.all()
    }

    /// The fingerprint of many things in no order.
    pub fn of_all<'v, V: Debug + 'v>(
        &self,
        values: impl IntoIterator<Item = &'v V>,
        ops: &OpNames,
    ) -> u64 {
        let prints = values.into_iter().map(|value| mix(1, self.of(value, ops)));
        prints.fold(0, u64::wrapping_add)
    }
}

/// One hash out of two, in order.
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    let mut hash = (left ^ right.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    hash = hash.wrapping_add(right).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 32)
}

fn hash_of(bytes: &[u8]) -> u64 {
    let chunks = bytes.chunks(8).map(|chunk| {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(eight)
    });
    chunks.fold(bytes.len() as u64, mix)
}

/// A reader of `Debug` text.
struct Reader<'r> {
    text: &'r [u8],
    at: usize,
    names: &'r Names,
    ops: &'r OpNames,
}

impl<'r> Reader<'r> {
    fn all(&mut self) -> u64 {
        let mut hash = 0;
        while self.at < self.text.len() {
            hash = mix(hash, self.items(false));
            self.at += 1;
        }
        hash
    }

    /// The items up to the closing bracket, which is left where it is.
    fn items(&mut self, unordered: bool) -> u64 {
        let mut group = 0;
        let mut item = 0;
        let mut word: &[u8] = b"";
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'}' | b']' | b')' => break,
                b' ' => self.at += 1,
                b',' if unordered => {
                    group = u64::wrapping_add(group, mix(1, item));
                    item = 0;
                    self.at += 1;
                }
                b'{' | b'[' | b'(' => {
                    item = mix(item, self.bracket(byte, word));
                    word = b"";
                }
                b'"' => {
                    item = mix(item, self.string());
                    word = b"";
                }
                _ if is_word(byte) => {
                    word = self.word();
                    item = mix(item, self.meaning(word));
                }
                _ => {
                    item = mix(item, u64::from(byte));
                    word = b"";
                    self.at += 1;
                }
            }
        }
        if unordered { group.wrapping_add(mix(1, item)) } else { item }
    }

    /// A bracket with all it holds. A brace behind a word is a struct; any other is a map or a set.
    fn bracket(&mut self, open: u8, word: &[u8]) -> u64 {
        self.at += 1;
        let inner = if word == b"OpId" {
            let number = self.word();
            let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
            number.and_then(|number| self.ops.get(&number).copied()).unwrap_or_default()
        } else {
            self.items(open == b'{' && word.is_empty())
        };
        self.at += 1;
        mix(u64::from(open), inner)
    }

    fn word(&mut self) -> &'r [u8] {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn string(&mut self) -> u64 {
        let begin = self.at;
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        hash_of(&self.text[begin..self.at.min(self.text.len())])
    }

    /// What a word stands for: a token for its purpose, anything else for itself.
    fn meaning(&self, word: &[u8]) -> u64 {
        let token = std::str::from_utf8(word).ok().filter(|text| text.len() == UUID_LEN);
        let name = token.and_then(|text| self.names.tokens.get(text).copied());
        name.unwrap_or_else(|| hash_of(word))
    }
}

/// The length of a UUID's text.
const UUID_LEN: usize = 36;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.'
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    /// Goal: equal maps have one fingerprint whatever their order, and different ones do not.
    #[test]
    fn maps_are_unordered_and_lists_are_not() {
        let names = Names::default();
        let print = |value: &dyn Debug| names.of(&value, &OpNames::new());
        let forward: HashMap<_, _> = (0..20).map(|n| (n, format!("a, {n} {{\""))).collect();
        let backward: HashMap<_, _> = (0..20).rev().map(|n| (n, format!("a, {n} {{\""))).collect();
        assert_eq!(print(&forward), print(&backward));
        let sorted: BTreeMap<_, _> = forward.clone().into_iter().collect();
        assert_eq!(print(&forward), print(&sorted));
        let mut other = forward.clone();
        other.insert(3, "a".to_owned());
        assert_ne!(print(&forward), print(&other));
        assert_ne!(print(&[1, 2]), print(&[2, 1]));
        assert_ne!(print(&(1, [2])), print(&([1], 2)));
    }

    /// Goal: an operation id counts for what it was drawn for.
    #[test]
    fn operations_stand_for_their_purpose() {
        use anteroom_core::id::OpId;
        let names = Names::default();
        let ops = OpNames::from([(7, 1), (9, 1), (8, 2)]);
        assert_eq!(names.of(&OpId(7), &ops), names.of(&OpId(9), &ops));
        assert_ne!(names.of(&OpId(7), &ops), names.of(&OpId(8), &ops));
    }
}
