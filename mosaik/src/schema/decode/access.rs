//! The insides of sequences, maps, structs and enums.

use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{DecodeError, Decoder, Result};

/// Elements whose number the type fixes: tuples, structs.
pub(super) struct Fixed<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    pub(super) left: usize,
}

impl<'de> SeqAccess<'de> for Fixed<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Elements whose number the bytes told: sequences, maps.
pub(super) struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
    /// How many elements are worth making room for, by the bytes that can belong to them.
    room: usize,
}

impl<'a, 'de> Elements<'a, 'de> {
    #[inline]
    pub(super) fn new(decoder: &'a mut Decoder<'de>, count: usize) -> Self {
        // The elements that enclosing sequences still have to come need bytes as well. Without
        // this, each of 128 nested sequences could claim room for the whole rest of the input.
        let room = count.min(decoder.input.len().saturating_sub(decoder.elements_to_come));
        decoder.elements_to_come = decoder.elements_to_come.saturating_add(count);
        Self { decoder, left: count, room }
    }

    /// Reads one element by `read`, unless all have been read.
    #[inline]
    fn next<T>(&mut self, read: impl FnOnce(&mut Decoder<'de>) -> Result<T>) -> Result<Option<T>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.decoder.elements_to_come = self.decoder.elements_to_come.saturating_sub(1);
        read(self.decoder).map(Some)
    }

    /// Counts an element that began when `before` bytes were left.
    #[inline]
    fn count_if_empty(&mut self, before: usize) -> Result<()> {
        if self.decoder.input.len() == before {
            if self.decoder.spare_empty_elements() == 0 {
                return Err(DecodeError::TooLong);
            }
            self.decoder.empty_elements += 1;
        }
        Ok(())
    }

    #[inline]
    fn hint(&self) -> Option<usize> {
        Some(self.left.min(self.room))
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let before = self.decoder.input.len();
        let element = self.next(|decoder| seed.deserialize(decoder))?;
        if element.is_some() {
            self.count_if_empty(before)?;
        }
        Ok(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let before = self.decoder.input.len();
        let key = self.next(|decoder| seed.deserialize(decoder))?;
        if key.is_some() {
            // A key without bytes is rare enough to be counted whatever its value takes.
            self.count_if_empty(before)?;
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.decoder)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// The variant of an enum and what it holds.
pub(super) struct Content<'a, 'de> {
    pub(super) decoder: &'a mut Decoder<'de>,
    /// How many variants the enum has.
    pub(super) variants: usize,
}

impl<'de> EnumAccess<'de> for Content<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let index = self.decoder.varint_u32()?;
        if index as usize >= self.variants {
            return Err(DecodeError::UnknownVariant { index });
        }
        let variant =
            seed.deserialize(IntoDeserializer::<DecodeError>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.decoder)
    }

    // The enum itself has been counted as a level of nesting.
    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(Fixed { decoder: self.decoder, left: len })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_seq(Fixed { decoder: self.decoder, left: fields.len() })
    }
}
