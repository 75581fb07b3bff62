//! What a node on a simulated network keeps, so that it can crash, come back, and be off in time.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicI64},
};

use super::NetworkBuilder;
use crate::{clock::Clock, id::PeerId, transport::sim::SimNet};

/// A node's place in a simulation.
#[derive(Clone)]
pub(crate) struct Simulated {
    net: SimNet,
    /// The right date.
    date: Clock,
    /// How far the node's own clock is ahead of it, in microseconds.
    skew: Arc<AtomicI64>,
    /// How the node is built, without its place, once that is known.
    builder: Option<Box<NetworkBuilder>>,
}

impl Simulated {
    pub(crate) fn new(net: &SimNet, date: Clock) -> Self {
        Self { net: net.clone(), date, skew: Arc::default(), builder: None }
    }

    pub(crate) fn net(&self) -> &SimNet {
        &self.net
    }

    pub(crate) fn skew(&self) -> &AtomicI64 {
        &self.skew
    }

    /// The place of a node that is about to start. One that starts for the first time shares its
    /// clock with no other, whatever its builder was cloned from.
    pub(super) fn taken(mut self) -> Self {
        if self.builder.is_none() {
            self.skew = Arc::default();
        }
        self
    }

    pub(super) fn clock(&self) -> Clock {
        self.date.skewed(self.skew.clone())
    }

    /// Remembers how the node was built the first time.
    pub(super) fn built_by(mut self, builder: NetworkBuilder) -> Self {
        self.builder.get_or_insert_with(|| Box::new(builder));
        self
    }

    /// The node once more, with these others to begin with.
    pub(crate) fn builder(&self, others: impl Iterator<Item = PeerId>) -> NetworkBuilder {
        let builder = self.builder.as_deref().cloned().unwrap_or_default();
        builder.with_acquaintances(others.collect()).at(self.clone())
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("net", &self.net).finish_non_exhaustive()
    }
}
