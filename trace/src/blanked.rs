//! Values as they are written where contents are not to be shown: a serializer around another that
//! replaces each character of every text that the core marks as contents.
//!
//! It looks at nothing but the mark ([`MARK`]); names of fields decide nothing, and text that is not
//! marked (ids, types, the store's own words) passes unchanged.

use anteroom_core::contents::{MARK, blank};
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A value whose contents are blanked as it is serialized.
#[derive(Debug, Clone, Copy)]
pub struct Blanked<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> Serialize for Blanked<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Blanking { inner: serializer, contents: false })
    }
}

/// A serializer that blanks contents.
struct Blanking<S> {
    inner: S,
    /// Whether what comes is contents.
    contents: bool,
}

/// The rest of a value that has parts, which are blanked as well.
struct Parts<S>(S);

/// Hands a simple value on as it is.
macro_rules! pass {
    ($($method:ident($value:ty)),* $(,)?) => {
        $(fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        })*
    };
}

impl<S: Serializer> Serializer for Blanking<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Parts<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    pass! {
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if !self.contents {
            return self.inner.serialize_str(text);
        }
        let blanked: String = text.chars().map(blank).collect();
        self.inner.serialize_str(&blanked)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Blanked(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        if name == MARK {
            return value.serialize(Blanking { inner: self.inner, contents: true });
        }
        self.inner.serialize_newtype_struct(name, &Blanked(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Blanked(value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.inner.serialize_seq(len).map(Parts)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.inner.serialize_tuple(len).map(Parts)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.inner.serialize_tuple_struct(name, len).map(Parts)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.inner.serialize_tuple_variant(name, index, variant, len).map(Parts)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.inner.serialize_map(len).map(Parts)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.inner.serialize_struct(name, len).map(Parts)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.inner.serialize_struct_variant(name, index, variant, len).map(Parts)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        match self.contents {
            true => self.serialize_str(&value.to_string()),
            false => self.inner.collect_str(value),
        }
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Blanks each part of a value whose parts have no names.
macro_rules! parts {
    ($($of:ident: $method:ident),* $(,)?) => {
        $(impl<S: $of> $of for Parts<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), S::Error> {
                self.0.$method(&Blanked(part))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

/// Blanks each part of a value whose parts have names.
macro_rules! named_parts {
    ($($of:ident),* $(,)?) => {
        $(impl<S: $of> $of for Parts<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                part: &T,
            ) -> Result<(), S::Error> {
                self.0.serialize_field(name, &Blanked(part))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                self.0.skip_field(name)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

parts! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

named_parts! { SerializeStruct, SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for Parts<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Blanked(value))
    }

    fn serialize_entry<K, V>(&mut self, key: &K, value: &V) -> Result<(), S::Error>
    where
        K: Serialize + ?Sized,
        V: Serialize + ?Sized,
    {
        self.0.serialize_entry(key, &Blanked(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::draft::{Direction, Draft};
    use anteroom_core::message::{Extracted, Outcome, Participant};
    use anteroom_core::time::Timestamp;

    use super::*;

    /// Goal: contents are blanked wherever they stand, character for character; everything else is
    /// written as it is. Method: a draft, and an outcome, whose kind is told by a tag.
    #[test]
    fn contents_are_blanked_and_nothing_else() {
        let draft = Draft {
            correspondent_id: "4917@s.whatsapp.net".into(),
            provider_message_id: "3EB0".into(),
            content: "Grüße\n🦀".to_owned(),
            sender: Participant {
                identifier: "4917".to_owned(),
                display_name: Some("Ada".to_owned()),
                alternate_identifiers: vec!["lid-1".to_owned()],
            },
            direction: Direction::Incoming,
            send_id: None,
            originating_time: Timestamp::from_ms(7),
            group: None,
            replayed: false,
            media: None,
        };
        let plain = serde_json::to_string(&draft).expect("it is JSON");
        let blanked = serde_json::to_string(&Blanked(&draft)).expect("it is JSON");
        let expected = plain.replace("Grüße\\n🦀", "xxééx\\n🦀").replace("Ada", "xxx");
        assert_eq!(blanked, expected);
        let outcome = Outcome::Text(Extracted { text: "hi".to_owned(), ..Extracted::default() });
        let blanked = serde_json::to_string(&Blanked(&outcome)).expect("it is JSON");
        assert_eq!(blanked, r#"{"kind":"text","text":"xx"}"#);
    }
}
