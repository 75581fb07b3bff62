//! Every metric and span of mosaik by name, in one place, and how the values get from the parts
//! that have them to the `metrics` facade.
//!
//! Nothing on a hot path calls the facade: parts count in plain atomics and are [`Metered`]; one
//! [`Sampler`] a node publishes what they hold, every second.

#[cfg(feature = "prometheus")]
mod prometheus;
mod sample;
mod sampler;
#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};

use metrics::{Recorder, Unit};

#[cfg(feature = "prometheus")]
pub(crate) use self::prometheus::Exporter;
pub(crate) use self::{
    sample::{Metered, Reasons, Sample},
    sampler::{Meters, Sampler},
};

/// The names of tracing spans.
pub(crate) mod spans {
    /// Around every task of a node; its field `name` says which task it is.
    pub(crate) const TASK: &str = "task";
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only upwards, from the start of the node.
    Counter,
    /// Up and down.
    Gauge,
}

/// What a metric is labelled with beside `network`, which all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Labels {
    Network,
    Reason,
    Stream,
    StreamAndReason,
    Group,
    GroupAndReason,
}

impl Labels {
    /// The labels, in the order in which they are written.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Network => &["network"],
            Self::Reason => &["network", "reason"],
            Self::Stream => &["network", "stream"],
            Self::StreamAndReason => &["network", "stream", "reason"],
            Self::Group => &["network", "group"],
            Self::GroupAndReason => &["network", "group", "reason"],
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    pub(crate) labels: Labels,
    pub(crate) description: &'static str,
}

impl Metric {
    /// Says what the metric is to a recorder, which may show it to people.
    pub(crate) fn describe(&self, recorder: &dyn Recorder) {
        let (name, unit) = (self.name.into(), Some(self.unit));
        match self.kind {
            Kind::Counter => recorder.describe_counter(name, unit, self.description.into()),
            Kind::Gauge => recorder.describe_gauge(name, unit, self.description.into()),
        }
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Metric {}

impl Hash for Metric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal $unit:ident $labels:ident $description:literal;)*) => {
        $(
            pub(crate) static $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: Labels::$labels,
                description: $description,
            };
        )*

        /// All metrics, in the order of the table.
        pub(crate) static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    CONNECTIONS_OPENED: Counter "mosaik.network.connections.opened" Count Network
        "Connections to other nodes that were made, of both directions and all lanes";
    CONNECTIONS_REFUSED: Counter "mosaik.network.connections.refused" Count Reason
        "Connections from others that were not admitted, or closed for what they sent; `duplicate` is normal";
    STREAMS_REFUSED: Counter "mosaik.network.streams.refused" Count Reason
        "QUIC streams of admitted peers that were refused";
    EGRESS_BYTES: Counter "mosaik.network.egress.bytes" Bytes Network
        "Bytes that the node's socket sent, with everything that QUIC adds";
    INGRESS_BYTES: Counter "mosaik.network.ingress.bytes" Bytes Network
        "Bytes that the node's socket received, with everything that QUIC adds";

    CATALOG_SIZE: Gauge "mosaik.discovery.catalog.size" Count Network
        "Other nodes in the catalog";
    GOSSIP_NEIGHBORS: Gauge "mosaik.discovery.gossip.neighbors" Count Network
        "Neighbours in the gossip overlay";
    CATALOG_SYNCS: Counter "mosaik.discovery.catalog.syncs" Count Network
        "Exchanges of catalogs that were completed, whoever began them";
    PEERS_DISCOVERED: Counter "mosaik.discovery.peers.discovered" Count Network
        "Nodes that came into the catalog";
    PEERS_UPDATED: Counter "mosaik.discovery.peers.updated" Count Network
        "Entries in the catalog that were replaced by newer ones";
    PEERS_DEPARTED: Counter "mosaik.discovery.peers.departed" Count Network
        "Nodes that left the catalog: they said goodbye or fell silent";
    DISCOVERY_REFUSALS: Counter "mosaik.discovery.refusals" Count Reason
        "Records, frames, exchanges and files from elsewhere that were not believed or broke the rules; `stale` is normal";

    SUBSCRIPTIONS_ACCEPTED: Counter "mosaik.streams.connections.accepted" Count Network
        "Subscriptions that this node's producers accepted";
    SUBSCRIPTIONS_REJECTED: Counter "mosaik.streams.connections.rejected" Count Reason
        "Subscriptions that this node refused";
    PRODUCERS_ACTIVE: Gauge "mosaik.streams.producers.active" Count Network
        "Streams that this node produces";
    PRODUCER_CONSUMERS: Gauge "mosaik.streams.producer.consumers" Count Stream
        "Consumers that are subscribed to this node's producer";
    PRODUCER_ACCEPTED: Counter "mosaik.streams.producer.consumers.accepted" Count Stream
        "Subscriptions that the producer accepted";
    PRODUCER_REJECTED: Counter "mosaik.streams.producer.consumers.rejected" Count StreamAndReason
        "Subscriptions that the producer refused";
    PRODUCER_ITEMS_SENT: Counter "mosaik.streams.producer.items.sent" Count Stream
        "Datums that were sent, once for each consumer";
    PRODUCER_ITEMS_DROPPED: Counter "mosaik.streams.producer.items.dropped" Count Stream
        "Datums that were skipped for consumers that lagged, or not sent to those that were cut for it";
    PRODUCER_BYTES_SENT: Counter "mosaik.streams.producer.bytes.sent" Bytes Stream
        "Bytes of those datums, without framing and encryption";
    CONSUMERS_ACTIVE: Gauge "mosaik.streams.consumers.active" Count Stream
        "Consumers that this node has of the stream";
    CONSUMER_PRODUCERS: Gauge "mosaik.streams.consumer.producers" Count Stream
        "Producers that they are subscribed to";
    CONSUMER_FAULTS: Counter "mosaik.streams.consumer.faults" Count StreamAndReason
        "Subscriptions that ended for what the producer sent: `too_long`, `truncated`, `overdue` or `undecodable`";
    CONSUMER_ITEMS_RECEIVED: Counter "mosaik.streams.consumer.items.received" Count Stream
        "Datums that were handed to the application";
    CONSUMER_BYTES_RECEIVED: Counter "mosaik.streams.consumer.bytes.received" Bytes Stream
        "Bytes of those datums, without framing and encryption";
    MESSAGES_UNKNOWN: Counter "mosaik.streams.messages.unknown" Count Stream
        "Messages about subscriptions that were not understood: of a later version, or noise";
    DATUMS_TOTAL: Counter "mosaik.streams.datums.total" Count Stream
        "Datums that this node sent and received";
    BYTES_TOTAL: Counter "mosaik.streams.bytes.total" Bytes Stream
        "Bytes of those datums, without framing and encryption";

    GROUPS_ACTIVE: Gauge "mosaik.groups.active" Count Network
        "Groups that this node takes part in";
    GROUP_BONDS: Gauge "mosaik.groups.bonds.active" Count Group
        "Other members that this one is connected with";
    GROUP_BYTES_SENT: Counter "mosaik.groups.bonds.bytes.sent" Bytes Group
        "Bytes of messages to other members, snapshots among them, without framing, encryption and heartbeats";
    GROUP_BYTES_RECEIVED: Counter "mosaik.groups.bonds.bytes.received" Bytes Group
        "Bytes of messages from other members, in the same way";
    GROUP_MESSAGES_SENT: Counter "mosaik.groups.bonds.messages.sent" Count Group
        "Those messages to other members";
    GROUP_MESSAGES_RECEIVED: Counter "mosaik.groups.bonds.messages.received" Count Group
        "Those messages from other members";
    GROUP_ELECTIONS: Counter "mosaik.groups.raft.elections" Count Group
        "Terms that this member has seen begin; each begins with an election";
    GROUP_LEADER_CHANGES: Counter "mosaik.groups.raft.leader.changes" Count Group
        "Leaders that this member has seen come, other than the one before";
    GROUP_COMMITTED: Gauge "mosaik.groups.raft.committed" Count Group
        "The index of the last command that is committed and applied here";
    GROUP_VOTERS: Gauge "mosaik.groups.raft.committee.voters" Count Group
        "Members that vote, as far as this one knows";
    GROUP_NON_VOTERS: Gauge "mosaik.groups.raft.committee.non_voters" Count Group
        "Members that receive the log and do not vote, as far as this one knows";
    GROUP_SIZE: Gauge "mosaik.groups.raft.committee.size" Count Group
        "All members, as far as this one knows";
    GROUP_MEMBERSHIP_CHANGES: Counter "mosaik.groups.raft.committee.changes" Count GroupAndReason
        "Members that this one, while it led, has taken in, made voters or learners, or taken out; by `MembershipReason`";
}
