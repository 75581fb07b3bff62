//! How the datums of one stream become bytes and back, settled when the stream gets its name.

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use bytes::BytesMut;

use crate::{
    discovery::Description,
    schema::{self, Datum, Payload, Schema, schema_of},
};

/// A datum that could not be encoded, or bytes that are no datum. Shared and comparable by text.
#[derive(Clone)]
pub struct CodecError(Arc<dyn Error + Send + Sync>);

impl CodecError {
    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// The type's own error.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for CodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for CodecError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for CodecError {}

/// The functions of one type: a [`Datum`]'s own, or serde's for a type that has no stream name.
pub(super) struct Codec<D> {
    /// Appends to the buffer; on an error the buffer is as it was.
    pub(super) encode: fn(&D, &mut BytesMut) -> Result<(), CodecError>,
    pub(super) decode: fn(&[u8]) -> Result<D, CodecError>,
    schema: fn() -> Option<Arc<Schema>>,
    intent: fn() -> Cow<'static, str>,
}

impl<D: Datum> Codec<D> {
    pub(super) fn of_datum() -> Self {
        Self {
            encode: |datum, buf| datum.encode_into(buf).map_err(CodecError::new),
            decode: |bytes| D::decode(bytes).map_err(CodecError::new),
            schema: D::schema,
            intent: D::intent,
        }
    }
}

impl<D: Payload> Codec<D> {
    pub(super) fn of_payload() -> Self {
        Self {
            encode: |datum, buf| schema::encode_into(datum, buf).map_err(CodecError::new),
            decode: |bytes| schema::decode(bytes).map_err(CodecError::new),
            schema: || Some(schema_of::<D>()),
            intent: || Cow::Borrowed(std::any::type_name::<D>()),
        }
    }
}

impl<D> Codec<D> {
    /// The codec of a stream that could not be opened: nothing is sent or received with it.
    pub(super) fn none() -> Self {
        Self {
            encode: |_, _| Err(CodecError::new(fmt::Error)),
            decode: |_| Err(CodecError::new(fmt::Error)),
            schema: || None,
            intent: || Cow::Borrowed(std::any::type_name::<D>()),
        }
    }

    /// What the type looks like on the wire; `None` for an opaque encoding.
    pub(super) fn schema(&self) -> Option<Arc<Schema>> {
        (self.schema)()
    }

    /// What is told to peers that ask for the stream.
    pub(super) fn description(&self) -> Description {
        Description::new(self.intent()).with_schema(self.schema())
    }

    /// The name of the type, for people to read.
    pub(super) fn intent(&self) -> Cow<'static, str> {
        (self.intent)()
    }
}

impl<D> Clone for Codec<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Codec<D> {}

impl<D> fmt::Debug for Codec<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("intent", &self.intent()).finish_non_exhaustive()
    }
}
