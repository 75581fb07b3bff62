//! What a node tells about itself.

mod signed;
#[cfg(test)]
mod tests;
mod tickets;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use iroh::{EndpointAddr, SecretKey};
use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use signed::RawEntry;
pub use signed::SignedPeerEntry;

use super::{derived::NetworkTag, error::Error, version::PeerEntryVersion};
use crate::{
    clock,
    id::{GroupId, NetworkId, PeerId, StreamId, Tag, UniqueId},
    many::IntoIterOrSingle,
    ticket::{Ticket, TicketDigest},
};

/// The largest encoded entry, in bytes.
pub(crate) const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// The most addresses of one peer: whoever wants the peer sends packets to each.
pub(crate) const MAX_ADDRESSES: usize = 64;

/// The version of the discovery protocol that this build speaks.
const PROTOCOL_VERSION: Version = Version::new(1, 0, 0);

/// What a peer tells about itself: where it is, what it offers, how it is tagged.
///
/// Cloning is cheap: clones share their content until one is edited. Two entries are equal when
/// everything that is signed is.
///
/// ```
/// use mosaik::discovery::PeerEntry;
/// use mosaik::iroh::SecretKey;
///
/// let key = SecretKey::from_bytes(&[7; 32]);
/// let entry = PeerEntry::new("my-network", key.public()).add_tags(["sensor", "roof"]);
/// assert_eq!(entry.tags().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct PeerEntry(Arc<Content>);

#[derive(Clone, Debug)]
struct Content {
    /// What [`PeerEntry::network_id`] answers; not part of the signed content.
    network_id: NetworkId,
    body: Body,
    /// The bodies of tickets that `body` names, as far as they are here.
    tickets: BTreeMap<UniqueId, Ticket>,
}

/// What is encoded, signed and compared. Later versions append fields; an older decoder skips
/// what it does not know, because the signature covers the bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Body {
    network: Tag,
    version: PeerEntryVersion,
    protocol: Version,
    address: EndpointAddr,
    tags: BTreeSet<Tag>,
    streams: BTreeSet<StreamId>,
    tickets: BTreeSet<TicketDigest>,
    groups: BTreeSet<GroupId>,
}

/// The first fields of a [`Body`], which say whose it is.
#[derive(Deserialize)]
struct Head {
    _network: Tag,
    _version: PeerEntryVersion,
    _protocol: Version,
    address: EndpointAddr,
}

impl PeerEntry {
    /// The entry of a peer at this address (or at an address yet unknown, if only its id is
    /// given), with no tags, streams and groups, at the lowest version.
    ///
    /// Nodes make and sign their own entries themselves; this is for entries to be
    /// [inserted](crate::discovery::Discovery::insert) by hand.
    pub fn new(network: impl Into<NetworkId>, address: impl Into<EndpointAddr>) -> Self {
        Self::starting(network.into(), address.into(), PeerEntryVersion::default())
    }

    pub(crate) fn starting(
        network_id: NetworkId,
        address: EndpointAddr,
        version: PeerEntryVersion,
    ) -> Self {
        let body = Body {
            network: *NetworkTag::of(&network_id).digest(),
            version,
            protocol: PROTOCOL_VERSION,
            address,
            tags: BTreeSet::new(),
            streams: BTreeSet::new(),
            tickets: BTreeSet::new(),
            groups: BTreeSet::new(),
        };
        Self(Arc::new(Content { network_id, body, tickets: BTreeMap::new() }))
    }

    fn from_body(body: Body) -> Self {
        Self(Arc::new(Content { network_id: body.network, body, tickets: BTreeMap::new() }))
    }

    /// The peer that the entry is about.
    pub fn id(&self) -> &PeerId {
        &self.0.body.address.id
    }

    /// The network that the peer belongs to.
    ///
    /// Entries do not carry the id of their network but a tag derived from it. An entry in a
    /// [`Catalog`](crate::discovery::Catalog) answers the id; one that was only decoded answers
    /// the tag, which is the id of no network.
    pub fn network_id(&self) -> &NetworkId {
        &self.0.network_id
    }

    /// The version of the discovery protocol that the peer speaks.
    pub fn protocol_version(&self) -> &Version {
        &self.0.body.protocol
    }

    /// Where the peer can be reached.
    pub fn address(&self) -> &EndpointAddr {
        &self.0.body.address
    }

    /// The tags that the peer gave itself.
    pub fn tags(&self) -> &BTreeSet<Tag> {
        &self.0.body.tags
    }

    /// The streams that the peer produces.
    pub fn streams(&self) -> &BTreeSet<StreamId> {
        &self.0.body.streams
    }

    /// The groups that the peer is a member of, or wants to be.
    pub fn groups(&self) -> &BTreeSet<GroupId> {
        &self.0.body.groups
    }

    /// The version of this entry.
    pub fn update_version(&self) -> PeerEntryVersion {
        self.0.body.version
    }

    /// When the peer last changed its entry, by its own clock.
    pub fn updated_at(&self) -> DateTime<Utc> {
        self.update_version().updated_at()
    }

    /// When the peer started, by its own clock.
    pub fn started_at(&self) -> DateTime<Utc> {
        self.update_version().started_at()
    }

    /// How long ago the peer started; zero if its clock is ahead of this one. In simulated tests it
    /// goes by the date of the simulation.
    pub fn uptime(&self) -> Duration {
        (clock::now() - self.started_at()).to_std().unwrap_or_default()
    }

    /// The blake3 digest of the encoded entry.
    pub fn digest(&self) -> blake3::Hash {
        blake3::hash(&self.encode())
    }

    /// Whether this entry's version is later than the other's.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.update_version() > other.update_version()
    }

    /// The entry with another address; always a new version.
    ///
    /// # Errors
    /// [`Error::PeerIdChanged`] if the address is that of another peer.
    pub fn update_address(self, address: EndpointAddr) -> Result<Self, Error> {
        if address.id != *self.id() {
            return Err(Error::PeerIdChanged(*self.id(), address.id));
        }
        Ok(self.edit(|body| {
            body.address = address;
            true
        }))
    }

    /// The entry with these tags as well; a new version if any was missing.
    #[must_use]
    pub fn add_tags<V>(self, tags: impl IntoIterOrSingle<Tag, V>) -> Self {
        self.edit(|body| insert_all(&mut body.tags, tags.into_many()))
    }

    /// The entry without these tags; a new version if any was there.
    #[must_use]
    pub fn remove_tags<V>(self, tags: impl IntoIterOrSingle<Tag, V>) -> Self {
        self.edit(|body| remove_all(&mut body.tags, tags.into_many()))
    }

    /// The entry with these streams as well; a new version if any was missing.
    #[must_use]
    pub fn add_streams<V>(self, streams: impl IntoIterOrSingle<StreamId, V>) -> Self {
        self.edit(|body| insert_all(&mut body.streams, streams.into_many()))
    }

    /// The entry without these streams; a new version if any was there.
    #[must_use]
    pub fn remove_streams<V>(self, streams: impl IntoIterOrSingle<StreamId, V>) -> Self {
        self.edit(|body| remove_all(&mut body.streams, streams.into_many()))
    }

    /// The entry with these groups as well; a new version if any was missing.
    #[must_use]
    pub fn add_groups<V>(self, groups: impl IntoIterOrSingle<GroupId, V>) -> Self {
        self.edit(|body| insert_all(&mut body.groups, groups.into_many()))
    }

    /// The entry without these groups; a new version if any was there.
    #[must_use]
    pub fn remove_groups<V>(self, groups: impl IntoIterOrSingle<GroupId, V>) -> Self {
        self.edit(|body| remove_all(&mut body.groups, groups.into_many()))
    }

    /// Signs the entry.
    ///
    /// # Errors
    /// [`Error::InvalidSecretKey`] if the key is not that of the entry's peer, and
    /// [`Error::TooLarge`] if the entry is larger than 256 KiB, or [`Error::TicketsTooLarge`] if
    /// its tickets are larger than 64 KiB together.
    pub fn sign(self, key: &SecretKey) -> Result<SignedPeerEntry, Error> {
        SignedPeerEntry::sign(self, key)
    }

    /// The same content at another version.
    pub(crate) fn at_version(mut self, version: PeerEntryVersion) -> Self {
        Arc::make_mut(&mut self.0).body.version = version;
        self
    }

    /// What stands for the network in the entry.
    pub(crate) fn network_tag(&self) -> &Tag {
        &self.0.body.network
    }

    /// Whether the entry belongs to the network with this tag.
    pub(crate) fn is_of(&self, tag: &NetworkTag) -> bool {
        self.network_tag() == tag.digest()
    }

    /// Lets [`PeerEntry::network_id`] answer the id, once the tag has been compared.
    pub(crate) fn with_network_id(mut self, network_id: NetworkId) -> Self {
        if self.0.network_id != network_id {
            Arc::make_mut(&mut self.0).network_id = network_id;
        }
        self
    }

    /// Applies an edit that says whether it changed anything, and if so, counts the version up.
    fn edit(mut self, edit: impl FnOnce(&mut Body) -> bool) -> Self {
        let content = Arc::make_mut(&mut self.0);
        if edit(&mut content.body) {
            content.body.version = content.body.version.next(0);
        }
        self
    }

    fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.0.body).expect("writing plain data to memory cannot fail")
    }
}

fn insert_all<T: Ord>(set: &mut BTreeSet<T>, items: impl Iterator<Item = T>) -> bool {
    let before = set.len();
    set.extend(items);
    set.len() > before
}

fn remove_all<T: Ord>(set: &mut BTreeSet<T>, items: impl Iterator<Item = T>) -> bool {
    let before = set.len();
    items.for_each(|item| {
        set.remove(&item);
    });
    set.len() < before
}

impl PartialEq for PeerEntry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.body == other.0.body
    }
}

impl Eq for PeerEntry {}

impl Hash for PeerEntry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.body.hash(state);
    }
}

impl AsRef<Self> for PeerEntry {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl From<&PeerEntry> for PeerId {
    fn from(entry: &PeerEntry) -> Self {
        *entry.id()
    }
}

impl Serialize for PeerEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.body.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PeerEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Body::deserialize(deserializer).map(Self::from_body)
    }
}
