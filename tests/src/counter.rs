//! The state machine of the tests of groups.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mosaik::{
    Bytes, UniqueId,
    groups::{ApplyContext, LeadershipPreference, StateMachine, decode_state, encode_state},
    primitives::encoding::{DecodeError, EncodeError},
};

/// A command that makes the machine panic.
pub const PANIC: u64 = u64::MAX;

/// Adds numbers up, and remembers them in the order in which they came. It can be told to be
/// another machine than that of other members.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The sum so far.
    pub total: u64,
    /// What was added, in order.
    pub numbers: Vec<u64>,
    /// The machine's name.
    pub name: &'static str,
    /// The version of its behaviour.
    pub version: u32,
    /// How much too much it adds each time: a machine that does not do what the others do.
    pub error: u64,
    /// Set from outside, each command makes it panic on this member.
    pub fragile: Arc<AtomicBool>,
    /// How much it wants to lead.
    pub preference: LeadershipPreference,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            total: 0,
            numbers: Vec::new(),
            name: "tests.counter",
            version: 0,
            error: 0,
            fragile: Arc::default(),
            preference: LeadershipPreference::Normal,
        }
    }
}

impl Counter {
    /// One that never leads and does not vote.
    #[must_use]
    pub fn observer() -> Self {
        Self { preference: LeadershipPreference::Observer, ..Self::default() }
    }
}

impl StateMachine for Counter {
    type Command = u64;
    type Response = u64;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        self.name.into()
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn apply(&mut self, by: u64, _: &ApplyContext) -> u64 {
        assert_ne!(by, PANIC, "on purpose");
        assert!(!self.fragile.load(Ordering::Relaxed), "on purpose");
        self.total += by + self.error;
        self.numbers.push(by);
        self.total
    }

    fn query(&self, (): ()) -> u64 {
        self.total
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&(self.total, &self.numbers))
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (total, numbers) = decode_state(bytes)?;
        Ok(Self { total, numbers, ..Self::default() })
    }

    fn leadership_preference(&self) -> LeadershipPreference {
        self.preference
    }
}
