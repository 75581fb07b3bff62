//! The state machine of the campaign: who knows its answers knows in which order all was applied.

use mosaik::{
    Bytes, UniqueId,
    groups::{ApplyContext, StateMachine, decode_state, encode_state},
    primitives::encoding::{DecodeError, EncodeError},
};
use serde::{Deserialize, Serialize};

/// How far a journal is: how many entries it has, a digest of them all, and the first, by which
/// the journals of two incarnations differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub length: u64,
    pub digest: u64,
    pub origin: u64,
}

impl Extent {
    /// With one more entry.
    #[must_use]
    pub fn with(self, entry: u64) -> Self {
        let mixed = (self.digest.rotate_left(7) ^ entry).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let origin = if self.length == 0 { entry } else { self.origin };
        Self { length: self.length + 1, digest: mixed ^ (mixed >> 29), origin }
    }
}

/// A list of numbers to which numbers are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    pub entries: Vec<u64>,
    pub extent: Extent,
    /// When the last was logged, in microseconds since 1970.
    logged_us: i64,
    /// How often one was logged before the one before it.
    pub backwards: u64,
}

impl StateMachine for Journal {
    type Command = u64;
    type Response = Extent;
    type Query = ();
    type QueryResult = Extent;

    fn signature(&self) -> UniqueId {
        "tests.journal".into()
    }

    fn apply(&mut self, entry: u64, ctx: &ApplyContext) -> Extent {
        let logged_us = ctx.timestamp().timestamp_micros();
        self.backwards += u64::from(logged_us < self.logged_us);
        self.logged_us = logged_us;
        self.entries.push(entry);
        self.extent = self.extent.with(entry);
        self.extent
    }

    fn query(&self, (): ()) -> Extent {
        self.extent
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&(&self.entries, self.extent, self.logged_us, self.backwards))
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (entries, extent, logged_us, backwards) = decode_state(bytes)?;
        Ok(Self { entries, extent, logged_us, backwards })
    }
}
