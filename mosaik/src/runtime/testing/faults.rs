//! Faults of the simulated transport, as methods of the nodes in a test.

use crate::{Network, transport::sim::SimNet};

/// `nodes.partition(..)`, `nodes.heal()`.
pub trait Faults {
    /// Cuts every link between nodes of different groups, which are given by their place in this
    /// list of nodes; a node in no group keeps all of its links.
    ///
    /// # Panics
    /// Without `sim`, and when there is no node of such a place.
    fn partition(&self, groups: &[&[usize]]);

    /// Restores every link.
    ///
    /// # Panics
    /// Without `sim`.
    fn heal(&self);
}

impl Faults for [Network] {
    fn partition(&self, groups: &[&[usize]]) {
        let ids = |group: &&[usize]| group.iter().map(|&i| self[i].local().id()).collect();
        sim(self).partition(&groups.iter().map(ids).collect::<Vec<_>>());
    }

    fn heal(&self) {
        sim(self).heal();
    }
}

fn sim(nodes: &[Network]) -> &SimNet {
    nodes
        .first()
        .and_then(Network::sim)
        .expect("faults need simulated nodes: `#[mosaik::network_test(sim)]`")
}
