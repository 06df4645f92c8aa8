//! A hash of anything that can be serialized, by its structure and without its text.
//!
//! Two runs are the same when the hashes of all their events, effects and states are. Writing each out
//! as text to hash that would cost more than the run itself.

use serde::Serialize;
use serde::ser::{self, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};

/// A hash over everything that was fed to it, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    state: u64,
}

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    /// The hash so far.
    pub fn value(self) -> u64 {
        self.state
    }

    /// Feeds a value.
    pub fn feed(&mut self, value: &impl Serialize) {
        // What cannot be serialized leaves its beginning in the hash, in each run the same.
        let _told = value.serialize(&mut *self);
    }

    /// Feeds a number.
    pub fn word(&mut self, word: u64) {
        let mixed = (self.state.rotate_left(5) ^ word).wrapping_mul(FACTOR);
        self.state = mixed ^ (mixed >> 29);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        let mut rest = [0; 8];
        rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.word(u64::from_le_bytes(rest));
    }
}

/// Nothing that is hashed here fails.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unhashable(String);

impl ser::Error for Unhashable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Told = Result<(), Unhashable>;

macro_rules! words {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Told {
            self.word(value as u64);
            Ok(())
        })*
    };
}

impl ser::Serializer for &mut Digest {
    type Ok = ();
    type Error = Unhashable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    words!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_char: char
    );

    fn serialize_f32(self, value: f32) -> Told {
        self.word(u64::from(value.to_bits()));
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Told {
        self.word(value.to_bits());
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Told {
        self.bytes(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Told {
        self.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Told {
        self.word(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Told {
        self.word(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Told {
        self.word(0);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Told {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, index: u32, _: &'static str) -> Told {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Told {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Told {
        self.word(u64::from(index));
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unhashable> {
        self.word(length.unwrap_or(0) as u64);
        Ok(self)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        length: usize,
    ) -> Result<Self, Unhashable> {
        self.word(u64::from(index));
        self.serialize_seq(Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Unhashable> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Self, Unhashable> {
        self.serialize_seq(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        length: usize,
    ) -> Result<Self, Unhashable> {
        self.word(u64::from(index));
        self.serialize_seq(Some(length))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! elements {
    ($($part:ident: $method:ident),*) => {
        $(impl $part for &mut Digest {
            type Ok = ();
            type Error = Unhashable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Told {
                value.serialize(&mut **self)
            }

            fn end(self) -> Told {
                Ok(())
            }
        })*
    };
}

use ser::SerializeTupleStruct;
use ser::SerializeTupleVariant;

elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

macro_rules! fields {
    ($($part:ident),*) => {
        $(impl $part for &mut Digest {
            type Ok = ();
            type Error = Unhashable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _name: &'static str,
                value: &T,
            ) -> Told {
                value.serialize(&mut **self)
            }

            fn skip_field(&mut self, _name: &'static str) -> Told {
                self.word(2);
                Ok(())
            }

            fn end(self) -> Told {
                Ok(())
            }
        })*
    };
}

use ser::SerializeStructVariant;

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for &mut Digest {
    type Ok = ();
    type Error = Unhashable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Told {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Told {
        value.serialize(&mut **self)
    }

    fn end(self) -> Told {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &impl Serialize) -> u64 {
        let mut digest = Digest::default();
        digest.feed(value);
        digest.value()
    }

    /// Goal: what differs anywhere has another hash, and what is the same has the same.
    #[test]
    fn tells_values_apart() {
        assert_eq!(of(&("a", [1, 2])), of(&("a", [1, 2])));
        for other in [of(&("a", [2, 1])), of(&("b", [1, 2])), of(&("a", [1])), of(&"a12")] {
            assert_ne!(of(&("a", [1, 2])), other);
        }
        assert_ne!(of(&Some(0)), of(&None::<i32>));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
