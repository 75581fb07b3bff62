//! Values to bytes and back: postcard's format.

use bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

use super::decode::{DecodeError, Decoder};

/// A value that could not be encoded. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A sequence or map that does not tell its length beforehand. Collect it first.
    #[error("a sequence or map of unknown length cannot be encoded")]
    LengthUnknown,

    /// The type's own `Serialize` refused the value, or something in it could not be printed.
    #[error("the type refused to be encoded")]
    Refused,
}

impl From<postcard::Error> for EncodeError {
    fn from(error: postcard::Error) -> Self {
        match error {
            postcard::Error::SerializeSeqLengthUnknown => Self::LengthUnknown,
            _ => Self::Refused,
        }
    }
}

/// Encodes a serde value in postcard's format.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    Ok(postcard::to_allocvec(value)?.into())
}

/// Appends an encoded value to `buf`; on an error `buf` is as it was.
pub fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    buf: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = buf.len();
    postcard::serialize_with_flavor(value, Append(buf)).map_err(|error| {
        buf.truncate(start);
        error.into()
    })
}

/// Decodes a value from postcard's format, whoever sent the bytes.
///
/// All of `bytes` must be used. The work and the memory stay in proportion to the number of bytes:
/// nesting is limited to 128 levels (each option, sequence, map, tuple, struct and enum is one), a
/// length must be covered by the bytes that follow, and elements that take no bytes may be at most
/// 4,096 more than there are bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let value = T::deserialize(&mut decoder)?;
    decoder.finish()?;
    Ok(value)
}

/// Decodes a value that the bytes begin with, within the limits of [`decode`]: what follows are
/// fields of a later version.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::deserialize(&mut Decoder::new(bytes))
}

/// Lets postcard write behind what a buffer holds already.
struct Append<'a>(&'a mut BytesMut);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.extend_from_slice(&[byte]);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
