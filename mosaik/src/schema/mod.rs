//! temp
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
pub(crate) fn encode<T: Serialize + ?Sized>(v: &T) -> Result<Bytes, postcard::Error> { postcard::to_stdvec(v).map(Bytes::from) }
pub(crate) fn decode<T: DeserializeOwned>(b: &[u8]) -> Result<T, postcard::Error> { postcard::from_bytes(b) }
