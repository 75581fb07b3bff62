//! What can travel on a stream.

use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::Schema;
use crate::id::StreamId;

/// A type that has a stream name and knows its encoding.
///
/// `#[mosaik::stream]` implements it, standard types have it, and it can be implemented by hand for
/// types that are not serde's:
///
/// ```
/// use mosaik::{Bytes, Datum};
///
/// struct Celsius(f32);
///
/// impl Datum for Celsius {
///     type EncodeError = std::convert::Infallible;
///     type DecodeError = std::array::TryFromSliceError;
///
///     fn encode(&self) -> Result<Bytes, Self::EncodeError> {
///         Ok(Bytes::copy_from_slice(&self.0.to_le_bytes()))
///     }
///
///     fn decode(bytes: &[u8]) -> Result<Self, Self::DecodeError> {
///         Ok(Self(f32::from_le_bytes(bytes.try_into()?)))
///     }
/// }
///
/// let warm = Celsius(21.5).encode().unwrap();
/// assert_eq!(Celsius::decode(&warm).unwrap().0, 21.5);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no stream name",
    label = "not a datum",
    note = "if the type is yours, put `#[mosaik::stream(\"some.name\")]` on it",
    note = "any other type with serde's `Serialize` and `Deserialize` can be streamed under an explicit name: `network.streams().producer::<{Self}>().with_stream_id(\"some.name\")`"
)]
pub trait Datum: Sized + Send + 'static {
    /// Why a value could not be encoded.
    type EncodeError: core::error::Error + Send + Sync + 'static;

    /// Why bytes are not a value of this type.
    type DecodeError: core::error::Error + Send + Sync + 'static;

    /// The stream that values of this type travel on unless another is named.
    ///
    /// Default: the id of [`std::any::type_name`], which changes when the type is moved or renamed.
    fn derived_stream_id() -> StreamId {
        std::any::type_name::<Self>().into()
    }

    /// The text behind [`derived_stream_id`](Datum::derived_stream_id), for people to read.
    ///
    /// Default: [`std::any::type_name`].
    fn intent() -> Cow<'static, str> {
        Cow::Borrowed(std::any::type_name::<Self>())
    }

    /// Encodes the value as the content of one message.
    fn encode(&self) -> Result<Bytes, Self::EncodeError>;

    /// Appends the encoded value to `buf`; on an error `buf` is as it was.
    ///
    /// Default: through [`encode`](Datum::encode), with a copy.
    fn encode_into(&self, buf: &mut BytesMut) -> Result<(), Self::EncodeError> {
        buf.extend_from_slice(&self.encode()?);
        Ok(())
    }

    /// Decodes the content of one message, which may come from anybody: any bytes whatsoever must
    /// give a value or an error.
    fn decode(bytes: &[u8]) -> Result<Self, Self::DecodeError>;

    /// What the type looks like on the wire; producer and consumer compare fingerprints of it.
    ///
    /// Default: `None`, an opaque encoding that is told apart by its stream id only.
    fn schema() -> Option<Arc<Schema>> {
        None
    }
}

/// A type that can be streamed under an explicit name: everything that is serde's, owned and `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be streamed, not even under a name",
    label = "not serializable",
    note = "derive serde's `Serialize` and `Deserialize` for it, or put `#[mosaik::stream(\"some.name\")]` on it"
)]
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}
