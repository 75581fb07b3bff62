//! An encoded response, kept until its caller has it.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned};

use crate::{
    groups::state::varint,
    schema::{self, DecodeError},
};

/// Most responses are a number or two: these are kept without an allocation.
const SMALL: usize = 22;

/// What the machine answered one call, encoded: a response alone, or for a call of several
/// commands the response to each with its length in front (a varint).
#[derive(Clone)]
pub(crate) struct Reply(Inner);

#[derive(Clone)]
enum Inner {
    Small { len: u8, bytes: [u8; SMALL] },
    Shared(Bytes),
}

impl Reply {
    pub(crate) fn new(encoded: &[u8]) -> Self {
        if encoded.len() > SMALL {
            return Self(Inner::Shared(Bytes::copy_from_slice(encoded)));
        }
        let mut bytes = [0; SMALL];
        bytes[..encoded.len()].copy_from_slice(encoded);
        Self(Inner::Small { len: encoded.len() as u8, bytes })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Inner::Small { len, bytes } => &bytes[..usize::from(*len)],
            Inner::Shared(bytes) => bytes,
        }
    }

    /// The response to a call of one command.
    pub(crate) fn decode<R: DeserializeOwned>(&self) -> Result<R, DecodeError> {
        schema::decode(self.as_bytes())
    }

    /// The responses to a call of so many commands.
    pub(crate) fn decode_many<R: DeserializeOwned>(
        &self,
        commands: usize,
    ) -> Result<Vec<R>, DecodeError> {
        if commands == 1 {
            return Ok(vec![self.decode()?]);
        }
        let mut rest = self.as_bytes();
        let mut responses = Vec::with_capacity(commands.min(rest.len()));
        while !rest.is_empty() {
            let (len, after) = varint::take(rest).ok_or(DecodeError::BadInteger)?;
            let (response, after) =
                after.split_at_checked(len as usize).ok_or(DecodeError::UnexpectedEnd)?;
            responses.push(schema::decode(response)?);
            rest = after;
        }
        if responses.len() == commands { Ok(responses) } else { Err(DecodeError::UnexpectedEnd) }
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Reply {}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reply of {} bytes", self.as_bytes().len())
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Reply;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an encoded response")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Reply, E> {
                Ok(Reply::new(bytes))
            }
        }

        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_every_length_stay_what_they_are() {
        for len in [0, 1, SMALL - 1, SMALL, SMALL + 1, 1000] {
            let bytes = vec![7; len];
            let reply = Reply::new(&bytes);
            assert_eq!(reply.as_bytes(), bytes);
            let encoded = schema::encode(&reply).unwrap();
            assert_eq!(schema::decode::<Reply>(&encoded).unwrap(), reply);
        }
    }

    #[test]
    fn a_wrong_number_of_responses_is_refused() {
        // 300 and 5, each with its length in front.
        let reply = Reply::new(&[2, 0xac, 2, 1, 5]);
        assert_eq!(reply.decode_many::<u16>(2).unwrap(), [300, 5]);
        assert!(reply.decode_many::<u16>(3).is_err());
        assert!(Reply::new(&[9, 1]).decode_many::<u16>(2).is_err());
        // Responses without content.
        assert_eq!(Reply::new(&[0, 0]).decode_many::<()>(2).unwrap(), [(), ()]);
        assert_eq!(Reply::new(&[5]).decode_many::<u16>(1).unwrap(), [5]);
    }
}
