//! A state machine without a state.

use bytes::Bytes;

use super::{ApplyContext, StateMachine};
use crate::{
    id::UniqueId,
    schema::{DecodeError, EncodeError},
};

/// A state machine that does nothing: for groups that only elect a leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoOp;

impl StateMachine for NoOp {
    type Command = ();
    type Response = ();
    type Query = ();
    type QueryResult = ();

    fn signature(&self) -> UniqueId {
        UniqueId::hash_str("mosaik no-op")
    }

    fn apply(&mut self, (): (), _: &ApplyContext) {}

    fn query(&self, (): ()) {}

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        Ok(Bytes::new())
    }

    fn restore(_: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}
