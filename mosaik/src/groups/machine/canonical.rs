//! An encoding in which equal states are equal bytes, though hash maps tell their entries in
//! another order each time. It is made to be hashed, and never read.

use std::{any::type_name, fmt::Display, ops::Range};

use serde::{Serialize, Serializer, ser};

use crate::schema::EncodeError;

/// The canonical encoding of a value.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    put(&mut out, value).map_err(|Refused| EncodeError::Refused)?;
    Ok(out)
}

fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Refused> {
    let unordered = is_hash_set(type_name::<T>());
    value.serialize(Canonical { out, unordered })
}

/// Whether the type that is called so is a hash set, or points to one. serde does not tell sets
/// from lists, whose order counts.
fn is_hash_set(name: &str) -> bool {
    const POINTERS: [&str; 5] =
        ["&mut ", "&", "alloc::boxed::Box<", "alloc::sync::Arc<", "alloc::rc::Rc<"];
    let mut name = name;
    while let Some(inner) = POINTERS.iter().find_map(|pointer| name.strip_prefix(pointer)) {
        name = inner;
    }
    name.split('<').next().is_some_and(|path| path.ends_with("HashSet"))
}

/// The type's own `Serialize` refused.
#[derive(Debug, thiserror::Error)]
#[error("the type refused to be encoded")]
pub(super) struct Refused;

impl ser::Error for Refused {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

/// Writes one value.
struct Canonical<'a> {
    out: &'a mut Vec<u8>,
    /// If it is a sequence, its order does not count.
    unordered: bool,
}

impl<'a> Canonical<'a> {
    fn bytes(self, bytes: &[u8]) {
        self.out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.out.extend_from_slice(bytes);
    }

    fn several(self, sorted: bool) -> Several<'a> {
        // The number of parts is written in front at the end: not all know it before.
        self.out.extend_from_slice(&[0; 8]);
        let start = self.out.len();
        Several { out: self.out, start, count: 0, begun: sorted.then(Vec::new) }
    }
}

/// Writes what consists of parts.
struct Several<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    count: u64,
    /// Where each part begins, if they are to be sorted.
    begun: Option<Vec<usize>>,
}

impl Several<'_> {
    fn begin(&mut self) {
        self.count += 1;
        if let Some(begun) = &mut self.begun {
            begun.push(self.out.len());
        }
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.begin();
        put(self.out, value)
    }

    fn finish(self) {
        let Self { out, start, count, begun } = self;
        out[start - 8..start].copy_from_slice(&count.to_le_bytes());
        let Some(begun) = begun else { return };
        let ends = begun.iter().skip(1).copied().chain([out.len()]);
        let mut parts: Vec<Range<usize>> = begun.iter().zip(ends).map(|(b, e)| *b..e).collect();
        parts.sort_unstable_by(|a, b| out[a.clone()].cmp(&out[b.clone()]));
        let mut sorted = Vec::with_capacity(out.len() - start);
        for part in parts {
            sorted.extend_from_slice(&out[part]);
        }
        out.truncate(start);
        out.extend_from_slice(&sorted);
    }
}

macro_rules! fixed {
    ($($name:ident: $number:ty),* $(,)?) => {$(
        fn $name(self, number: $number) -> Result<(), Refused> {
            self.out.extend_from_slice(&number.to_le_bytes());
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Canonical<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Several<'a>;
    type SerializeTuple = Several<'a>;
    type SerializeTupleStruct = Several<'a>;
    type SerializeTupleVariant = Several<'a>;
    type SerializeMap = Several<'a>;
    type SerializeStruct = Several<'a>;
    type SerializeStructVariant = Several<'a>;

    fixed! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_bool(self, value: bool) -> Result<(), Refused> {
        self.serialize_u8(value.into())
    }

    // By bits: members must not differ even in the sign of a zero.
    fn serialize_f32(self, value: f32) -> Result<(), Refused> {
        self.serialize_u32(value.to_bits())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refused> {
        self.serialize_u64(value.to_bits())
    }

    fn serialize_char(self, value: char) -> Result<(), Refused> {
        self.serialize_u32(value.into())
    }

    fn serialize_str(self, value: &str) -> Result<(), Refused> {
        self.bytes(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refused> {
        self.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.serialize_u8(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        self.out.push(1);
        put(self.out, value)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Refused> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        put(self.out, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.out.extend_from_slice(&index.to_le_bytes());
        put(self.out, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Several<'a>, Refused> {
        let sorted = self.unordered;
        Ok(self.several(sorted))
    }

    fn serialize_tuple(self, _: usize) -> Result<Several<'a>, Refused> {
        Ok(self.several(false))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Several<'a>, Refused> {
        Ok(self.several(false))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Several<'a>, Refused> {
        self.out.extend_from_slice(&index.to_le_bytes());
        Ok(self.several(false))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Several<'a>, Refused> {
        Ok(self.several(true))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Several<'a>, Refused> {
        Ok(self.several(false))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Several<'a>, Refused> {
        self.out.extend_from_slice(&index.to_le_bytes());
        Ok(self.several(false))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! of_parts {
    ($($kind:ident: $name:ident),* $(,)?) => {$(
        impl ser::$kind for Several<'_> {
            type Ok = ();
            type Error = Refused;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.part(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

of_parts! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! of_fields {
    ($($kind:ident),*) => {$(
        impl ser::$kind for Several<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.part(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

of_fields!(SerializeStruct, SerializeStructVariant);

/// A part is a key with its value.
impl ser::SerializeMap for Several<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        put(self.out, value)
    }

    fn end(self) -> Result<(), Refused> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[derive(Serialize)]
    struct State {
        maps: HashMap<String, HashMap<u64, Vec<u8>>>,
        set: HashSet<u64>,
        shared: Option<HashSet<u64>>,
        list: Vec<u64>,
    }

    fn state(numbers: impl Iterator<Item = u64> + Clone, list: [u64; 2]) -> Vec<u8> {
        let inner: HashMap<_, _> = numbers.clone().map(|n| (n, vec![n as u8; 3])).collect();
        let state = State {
            maps: numbers.clone().map(|n| (n.to_string(), inner.clone())).collect(),
            set: numbers.clone().collect(),
            shared: Some(numbers.collect()),
            list: list.into(),
        };
        encode(&state).unwrap()
    }

    #[test]
    fn the_order_counts_where_there_is_one() {
        let encoded = state(0..50, [1, 2]);
        assert_eq!(encoded, state((0..50).rev(), [1, 2]));
        assert_ne!(encoded, state(0..50, [2, 1]));
        assert_ne!(encoded, state(0..51, [1, 2]));
    }

    #[test]
    fn where_a_part_ends_counts() {
        assert_ne!(encode(&("ab", "c")).unwrap(), encode(&("a", "bc")).unwrap());
        assert_ne!(encode(&[vec![1_u8], vec![]]).unwrap(), encode(&[vec![], vec![1_u8]]).unwrap());
        assert_ne!(encode(&Some(0_u8)).unwrap(), encode(&None::<u8>).unwrap());
    }

    #[test]
    fn hash_sets_are_known_by_their_names() {
        assert!(is_hash_set(type_name::<HashSet<Vec<u8>>>()));
        assert!(is_hash_set(type_name::<&Box<HashSet<u8>>>()));
        assert!(is_hash_set(type_name::<imbl::HashSet<u8>>()));
        assert!(!is_hash_set(type_name::<Vec<HashSet<u8>>>()));
        assert!(!is_hash_set(type_name::<std::collections::BTreeSet<u8>>()));
    }
}
