//! Faults of the simulated transport, as methods of the nodes in a test.

use std::{future::Future, sync::atomic::Ordering::Relaxed, time::Duration};

use crate::{
    Network,
    id::PeerId,
    network::Simulated,
    transport::sim::{LinkQuality, SimNet},
};

/// How many of the others a node that was restarted is given to begin with.
const ACQUAINTANCES: usize = 8;

/// What can be done to simulated nodes while they run: `nodes.partition(..)`, `nodes.crash(1)`.
///
/// Nodes are named by their place in the list. In a function with `#[mosaik::network_test(sim)]`
/// the trait is in scope; elsewhere import it.
///
/// ```no_run
/// use mosaik::{Network, testing::Faults};
///
/// /// Nobody hears the first node any more.
/// fn mute_first(nodes: &[Network]) {
///     for other in 1..nodes.len() {
///         nodes.cut(0, other);
///     }
/// }
/// ```
///
/// # Panics
/// All of them: without `sim`, and when there is no node of such a place.
pub trait Faults {
    /// Cuts every link between nodes of different groups, both ways; a node in no group keeps all
    /// of its links. What was cut before stays cut.
    fn partition(&self, groups: &[&[usize]]);

    /// Lets nothing pass from one node to the other; the way back stays as it is.
    fn cut(&self, from: usize, to: usize);

    /// Undoes [`Faults::cut`], and a partition for this direction.
    fn mend(&self, from: usize, to: usize);

    /// Undoes every cut. Links stay as good or bad as they were set.
    fn heal(&self);

    /// Sets how good the link is from one node to the other; the way back stays as it is.
    fn set_link(&self, from: usize, to: usize, quality: LinkQuality);

    /// Sets how good all links are, those of nodes to come as well.
    fn set_links(&self, quality: LinkQuality);

    /// How good the link is from one node to the other.
    fn link(&self, from: usize, to: usize) -> LinkQuality;

    /// Ends a node at once and without a goodbye, as when its machine loses power. What was
    /// created from it ends; the others notice when their connections to it time out.
    fn crash(&self, node: usize);

    /// Ends a node as [`Faults::crash`] does if it still runs, and starts it again: with the same
    /// key, directory and configuration, and knowing others of the list to begin with. Streams
    /// have to be opened anew. Not cancel safe: call it again.
    fn restart(&mut self, node: usize) -> impl Future<Output = ()> + Send;

    /// Puts a node's clock ahead of the right date by so much from now on. Default 0.
    fn set_clock_ahead(&self, node: usize, by: Duration);

    /// Puts a node's clock behind the right date by so much from now on. Default 0.
    fn set_clock_behind(&self, node: usize, by: Duration);
}

impl Faults for [Network] {
    fn partition(&self, groups: &[&[usize]]) {
        let ids = |group: &&[usize]| group.iter().map(|&i| id(self, i)).collect();
        net(self).partition(&groups.iter().map(ids).collect::<Vec<_>>());
    }

    fn cut(&self, from: usize, to: usize) {
        net(self).cut(id(self, from), id(self, to));
    }

    fn mend(&self, from: usize, to: usize) {
        net(self).mend(id(self, from), id(self, to));
    }

    fn heal(&self) {
        net(self).heal();
    }

    fn set_link(&self, from: usize, to: usize, quality: LinkQuality) {
        net(self).set_link(id(self, from), id(self, to), &quality);
    }

    fn set_links(&self, quality: LinkQuality) {
        net(self).set_links(&quality);
    }

    fn link(&self, from: usize, to: usize) -> LinkQuality {
        net(self).link(id(self, from), id(self, to))
    }

    fn crash(&self, node: usize) {
        net(self).crash(id(self, node));
        self[node].die();
    }

    async fn restart(&mut self, node: usize) {
        self.crash(node);
        self[node].ended().await;
        let ids: Vec<_> = self.iter().map(|node| node.local().id()).collect();
        let others = ids.iter().copied().filter(|other| *other != ids[node]).take(ACQUAINTANCES);
        let builder = simulated(&self[node]).builder(others);
        self[node] = builder
            .build()
            .await
            .unwrap_or_else(|error| panic!("a node could not be started again: {error}"));
    }

    fn set_clock_ahead(&self, node: usize, by: Duration) {
        set_skew(self, node, micros(by));
    }

    fn set_clock_behind(&self, node: usize, by: Duration) {
        set_skew(self, node, -micros(by));
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn set_skew(nodes: &[Network], node: usize, micros: i64) {
    simulated(&nodes[node]).skew().store(micros, Relaxed);
}

fn id(nodes: &[Network], node: usize) -> PeerId {
    nodes[node].local().id()
}

fn net(nodes: &[Network]) -> &SimNet {
    simulated(nodes.first().expect("faults need nodes")).net()
}

fn simulated(node: &Network) -> &Simulated {
    node.simulated().expect("faults need simulated nodes: `#[mosaik::network_test(sim)]`")
}
