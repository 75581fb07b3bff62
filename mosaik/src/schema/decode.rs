//! Reads postcard's format from bytes that may come from anybody.
//!
//! postcard's own deserializer trusts its input: it recurses as deep as the bytes say and takes
//! lengths as they come. This one reads the same format within limits, and takes only one encoding
//! of each value.

mod access;
mod error;

#[cfg(test)]
mod tests;

pub use error::DecodeError;

use std::cell::Cell;

use serde::de::{self, Visitor};

use access::{Content, Elements};

/// How deep values may be nested.
const MAX_DEPTH: u8 = 128;

/// How many elements without bytes (such as `()`) may occur beyond the number of bytes consumed.
const SPARE_EMPTY_ELEMENTS: usize = 4096;

type Result<T> = std::result::Result<T, DecodeError>;

/// What is left for a value inside a byte string of the value that is being decoded.
#[derive(Clone, Copy, Debug)]
struct Inner {
    levels_left: u8,
    /// How many elements were announced outside that the bytes there cannot hold: they had room
    /// made for them already.
    owed: usize,
}

impl Inner {
    const OUTERMOST: Self = Self { levels_left: MAX_DEPTH, owed: 0 };
}

thread_local! {
    // A datum's `decode` has no place for it in its arguments.
    static INNER: Cell<Inner> = const { Cell::new(Inner::OUTERMOST) };
}

/// Sets what is left, and back when dropped.
struct Within(Inner);

impl Within {
    #[inline]
    fn new(inner: Inner) -> Self {
        Self(INNER.replace(inner))
    }
}

impl Drop for Within {
    #[inline]
    fn drop(&mut self) {
        INNER.set(self.0);
    }
}

/// Runs `decode` one level deeper than the value that is being decoded, for a value of its own
/// within that one's byte string.
pub(super) fn one_level_deeper<T>(decode: impl FnOnce() -> T) -> Result<T> {
    let inner = INNER.get();
    let levels_left = inner.levels_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    let _within = Within::new(Inner { levels_left, ..inner });
    Ok(decode())
}

/// A serde deserializer over postcard's format.
pub(super) struct Decoder<'de> {
    /// What has not been read yet.
    input: &'de [u8],
    /// The length of the whole input.
    total: usize,
    /// How many more levels of nesting are allowed.
    levels_left: u8,
    /// How many elements of sequences and maps took no bytes.
    empty_elements: usize,
    /// How many elements the sequences around the present position still have to come.
    elements_to_come: usize,
}

macro_rules! varint {
    ($($name:ident: $integer:ty),* $(,)?) => {$(
        /// Reads an integer of seven bits a byte, lowest first; only its shortest form is taken.
        #[inline]
        fn $name(&mut self) -> Result<$integer> {
            const MAX_BYTES: usize = <$integer>::BITS.div_ceil(7) as usize;
            const LAST_BYTE_MAX: u8 = (1 << (<$integer>::BITS % 7)) - 1;

            let mut value = 0;
            for (i, &byte) in self.input.iter().take(MAX_BYTES).enumerate() {
                value |= <$integer>::from(byte & 0x7f) << (7 * i);
                if byte < 0x80 {
                    let too_long = i > 0 && byte == 0;
                    let too_large = i == MAX_BYTES - 1 && byte > LAST_BYTE_MAX;
                    if too_long || too_large {
                        return Err(DecodeError::BadInteger);
                    }
                    self.input = &self.input[i + 1..];
                    return Ok(value);
                }
            }
            Err(if self.input.len() < MAX_BYTES {
                DecodeError::UnexpectedEnd
            } else {
                DecodeError::BadInteger
            })
        }
    )*};
}

impl<'de> Decoder<'de> {
    pub(super) fn new(input: &'de [u8]) -> Self {
        let Inner { levels_left, owed } = INNER.get();
        Self { input, total: input.len(), levels_left, empty_elements: 0, elements_to_come: owed }
    }

    /// Fails if there are bytes left.
    pub(super) fn finish(self) -> Result<()> {
        match self.input.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }

    varint! { varint_u16: u16, varint_u32: u32, varint_u64: u64, varint_u128: u128 }

    #[inline]
    fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.input.split_first().ok_or(DecodeError::UnexpectedEnd)?;
        self.input = rest;
        Ok(byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.input.split_first_chunk().ok_or(DecodeError::UnexpectedEnd)?;
        self.input = rest;
        Ok(*head)
    }

    /// Reads a length and as many bytes.
    #[inline]
    fn byte_string(&mut self) -> Result<&'de [u8]> {
        let len = usize::try_from(self.varint_u64()?).map_err(|_| DecodeError::TooLong)?;
        let (head, rest) = self.input.split_at_checked(len).ok_or(DecodeError::TooLong)?;
        self.input = rest;
        Ok(head)
    }

    /// Lets the visitor have a byte string, which may hold a value of its own.
    #[inline]
    fn visit_byte_string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let bytes = self.byte_string()?;
        let owed = self.elements_to_come.saturating_sub(self.input.len());
        let _within = Within::new(Inner { levels_left: self.levels_left, owed });
        visitor.visit_borrowed_bytes(bytes)
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str> {
        std::str::from_utf8(self.byte_string()?).map_err(|_| DecodeError::BadText)
    }

    /// Reads the number of elements of a sequence or map.
    ///
    /// A number that the rest of the input cannot hold is refused here already, before anything is
    /// allocated for it.
    #[inline]
    fn element_count(&mut self) -> Result<usize> {
        let count = usize::try_from(self.varint_u64()?).map_err(|_| DecodeError::TooLong)?;
        // The elements of one type either all take bytes or all take none.
        if count > self.input.len().max(self.spare_empty_elements()) {
            return Err(DecodeError::TooLong);
        }
        Ok(count)
    }

    /// How many elements without bytes may still come at this position.
    #[inline]
    fn spare_empty_elements(&self) -> usize {
        let consumed = self.total - self.input.len();
        (SPARE_EMPTY_ELEMENTS + consumed).saturating_sub(self.empty_elements)
    }

    /// Runs `read` one level deeper.
    #[inline]
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.levels_left = self.levels_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let value = read(self)?;
        self.levels_left += 1;
        Ok(value)
    }

    #[inline]
    fn fixed<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value> {
        self.nested(|decoder| visitor.visit_seq(access::Fixed { decoder, left: count }))
    }
}

/// Undoes the zigzag mapping, by which small negative numbers are short.
macro_rules! signed {
    ($($method:ident $visit:ident $read:ident $signed:ty;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let value = self.$read()?;
            visitor.$visit((value >> 1) as $signed ^ -((value & 1) as $signed))
        }
    )*};
}

macro_rules! simple {
    ($($method:ident $visit:ident |$decoder:ident| $read:expr;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let $decoder = self;
            visitor.$visit($read)
        }
    )*};
}

macro_rules! self_describing {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value> {
            Err(DecodeError::SelfDescribing)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = DecodeError;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    self_describing! { deserialize_any deserialize_identifier deserialize_ignored_any }

    signed! {
        deserialize_i16 visit_i16 varint_u16 i16;
        deserialize_i32 visit_i32 varint_u32 i32;
        deserialize_i64 visit_i64 varint_u64 i64;
        deserialize_i128 visit_i128 varint_u128 i128;
    }

    simple! {
        deserialize_i8 visit_i8 |decoder| decoder.byte()? as i8;
        deserialize_u8 visit_u8 |decoder| decoder.byte()?;
        deserialize_u16 visit_u16 |decoder| decoder.varint_u16()?;
        deserialize_u32 visit_u32 |decoder| decoder.varint_u32()?;
        deserialize_u64 visit_u64 |decoder| decoder.varint_u64()?;
        deserialize_u128 visit_u128 |decoder| decoder.varint_u128()?;
        deserialize_f32 visit_f32 |decoder| f32::from_le_bytes(decoder.array()?);
        deserialize_f64 visit_f64 |decoder| f64::from_le_bytes(decoder.array()?);
        deserialize_str visit_borrowed_str |decoder| decoder.text()?;
        deserialize_string visit_borrowed_str |decoder| decoder.text()?;
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_byte_string(visitor)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_byte_string(visitor)
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(DecodeError::BadBool),
        }
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let mut characters = self.text()?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => visitor.visit_char(character),
            _ => Err(DecodeError::BadText),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => self.nested(|decoder| visitor.visit_some(decoder)),
            _ => Err(DecodeError::BadOption),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.nested(|decoder| visitor.visit_newtype_struct(decoder))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let count = self.element_count()?;
        self.nested(|decoder| visitor.visit_seq(Elements::new(decoder, count)))
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let count = self.element_count()?;
        self.nested(|decoder| visitor.visit_map(Elements::new(decoder, count)))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.fixed(len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.fixed(len, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.fixed(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let variants = variants.len();
        self.nested(|decoder| visitor.visit_enum(Content { decoder, variants }))
    }
}
