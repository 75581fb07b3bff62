//! What the clusters replicate: a sum, and the hash of everything that it was made of.

use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::groups::{
    index::{Index, Term},
    raft::{Frozen, Replicated, StateError},
    state::{Item, Step},
};

/// What a member's state is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counter {
    pub(super) index: u64,
    pub(super) sum: u64,
    /// Depends on the order of everything.
    pub(super) hash: u64,
    /// What makes a snapshot large.
    pub(super) ballast: Vec<u8>,
    pub(super) skipped: Option<u64>,
    #[serde(skip)]
    pub(super) poisoned: Option<u64>,
    #[serde(skip)]
    pub(super) restored: u32,
    #[serde(skip)]
    pub(super) rebuilt: u32,
}

/// Read by the test, written by the node.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums(pub(super) Arc<Mutex<Counter>>);

/// A command with this value cannot be applied, unless it is skipped.
const POISON: u64 = u64::MAX;
/// The kind of an item that skips.
const SKIP: u8 = 9;

/// An item of commands that add up.
pub(super) fn adding(values: &[u64]) -> Item {
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32_le(values.len() as u32);
    out.put_u64_le(0);
    values.iter().for_each(|value| out.put_u64_le(*value));
    Item(out.freeze())
}

pub(super) fn poison() -> Item {
    adding(&[POISON])
}

pub(super) fn skipping(index: u64) -> Item {
    let mut out = BytesMut::new();
    out.put_u8(SKIP);
    out.put_u32_le(0);
    out.put_u64_le(index);
    Item(out.freeze())
}

impl Sums {
    pub(super) fn get(&self) -> Counter {
        self.0.lock().unwrap().clone()
    }
}

impl Counter {
    fn apply(&mut self, item: &Item) -> Step {
        if item.0[0] == SKIP {
            let index = u64::from_le_bytes(item.0[5..13].try_into().unwrap());
            self.skipped = Some(index);
            return if self.poisoned == Some(index) { Step::Rebuild } else { Step::Done };
        }
        // What follows the values is there for its size.
        for value in item.0[13..].chunks(8).take(item.commands() as usize) {
            self.index += 1;
            let value = u64::from_le_bytes(value.try_into().unwrap());
            if value == POISON && self.skipped != Some(self.index) {
                self.poisoned = self.poisoned.or(Some(self.index));
            }
            if self.poisoned.is_none() && value != POISON {
                self.sum = self.sum.wrapping_add(value);
                self.hash = self.hash.rotate_left(7) ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
        }
        Step::Done
    }
}

impl Replicated for Sums {
    fn apply(&mut self, _: Term, item: &Item) -> Step {
        self.0.lock().unwrap().apply(item)
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        Box::new(self.get())
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let mut state = self.0.lock().unwrap();
        let restored = state.restored + 1;
        *state = postcard::from_bytes(bytes).map_err(|error| StateError(error.to_string()))?;
        state.restored = restored;
        Ok(())
    }

    fn rebuild(
        &mut self,
        snapshot: Option<&[u8]>,
        items: &mut dyn Iterator<Item = (Term, Item)>,
    ) -> Result<(), StateError> {
        let mut state = self.0.lock().unwrap();
        let (skipped, rebuilt) = (state.skipped, state.rebuilt + 1);
        *state = match snapshot {
            Some(bytes) => postcard::from_bytes(bytes).map_err(|e| StateError(e.to_string()))?,
            None => Counter::default(),
        };
        (state.skipped, state.rebuilt) = (skipped, rebuilt);
        items.for_each(|(_, item)| {
            let _ = state.apply(&item);
        });
        Ok(())
    }

    fn index(&self) -> Index {
        Index(self.0.lock().unwrap().index)
    }

    fn poisoned(&self) -> bool {
        self.0.lock().unwrap().poisoned.is_some()
    }
}

impl Frozen for Counter {
    fn encode(self: Box<Self>) -> Result<Bytes, StateError> {
        let encoded = postcard::to_allocvec(&*self);
        encoded.map(Bytes::from).map_err(|error| StateError(error.to_string()))
    }
}
