//! Who sends what to whom and who belongs together, as far as one node can tell.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Network;
use crate::{
    discovery::Catalog,
    id::{GroupId, PeerId, StreamId},
};

/// The data-flow graph of a network as one node infers it: from the catalog, which says who
/// produces what and takes part in which groups, from its own subscriptions in both directions, and
/// from its own groups. What two others send each other, and whom they follow, it cannot know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Topology {
    /// All nodes that are known, the local one included, and what they do.
    pub nodes: BTreeMap<PeerId, NodeRoles>,
    /// Which node's datums reach which other node.
    pub flows: BTreeSet<Flow>,
    /// Who leads the groups that the local node takes part in.
    pub leaders: BTreeMap<GroupId, PeerId>,
}

/// What a node does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeRoles {
    /// The streams that it produces.
    pub produces: BTreeSet<StreamId>,
    /// The streams that it consumes: of the local node all, of others those from the local node.
    pub consumes: BTreeSet<StreamId>,
    /// The groups that it takes part in.
    pub groups: BTreeSet<GroupId>,
}

/// A stream from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The stream.
    pub stream: StreamId,
    /// The node that sends.
    pub producer: PeerId,
    /// The node that receives.
    pub consumer: PeerId,
}

impl Topology {
    /// `followed` are the streams that the local node consumes, whether anybody sends them to it;
    /// `received` what it gets from whom, and `sent` what it sends to whom.
    fn infer(
        catalog: &Catalog,
        followed: &BTreeSet<StreamId>,
        received: Vec<(StreamId, PeerId)>,
        sent: Vec<(StreamId, PeerId)>,
    ) -> Self {
        let mut topology = Self::default();
        let local = catalog.local_id();
        for entry in catalog.iter() {
            let roles = topology.nodes.entry(*entry.id()).or_default();
            roles.produces = entry.streams().clone();
            roles.groups = entry.groups().clone();
        }
        topology.nodes.entry(local).or_default().consumes.clone_from(followed);
        for (stream, producer) in received {
            topology.flows.insert(Flow { stream, producer, consumer: local });
            topology.nodes.entry(producer).or_default().produces.insert(stream);
        }
        for (stream, consumer) in sent {
            topology.flows.insert(Flow { stream, producer: local, consumer });
            topology.nodes.entry(consumer).or_default().consumes.insert(stream);
        }
        topology
    }
}

impl Network {
    /// Who sends what to whom, and who leads whom, as far as this node can tell at this moment.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let (received, sent) = (self.streams.producers_of_all(), self.streams.consumers_of_all());
        let followed = self.discovery.followed_streams();
        let topology = Topology::infer(&self.discovery.catalog(), &followed, received, sent);
        Topology { leaders: self.groups.leaders(), ..topology }
    }
}
