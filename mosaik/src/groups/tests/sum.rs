//! The state machine of unit tests.

use std::cell::Cell;

use bytes::Bytes;

use crate::{
    groups::{ApplyContext, StateMachine, decode_state, encode_state},
    id::UniqueId,
    primitives::encoding::{DecodeError, EncodeError},
};

/// A command that makes it panic.
pub(in crate::groups) const PANIC: u64 = 13;

thread_local! {
    static COPIES: Cell<usize> = const { Cell::new(0) };
}

/// Adds up; counts how often it is copied.
#[derive(Debug, Default, PartialEq)]
pub(in crate::groups) struct Sum(pub(in crate::groups) u64);

impl Sum {
    /// How many copies were made in this thread.
    pub(in crate::groups) fn copies() -> usize {
        COPIES.get()
    }
}

impl Clone for Sum {
    fn clone(&self) -> Self {
        COPIES.set(COPIES.get() + 1);
        Self(self.0)
    }
}

impl StateMachine for Sum {
    type Command = u64;
    type Response = u64;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        "sum".into()
    }

    fn apply(&mut self, by: u64, _: &ApplyContext) -> u64 {
        if by == PANIC {
            std::panic::resume_unwind(Box::new("on purpose".to_owned()));
        }
        self.0 += by;
        self.0
    }

    fn query(&self, (): ()) -> u64 {
        self.0
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&self.0)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(Self)
    }
}
