//! The members that a node is connected with, as the application sees them.

use std::{fmt, marker::PhantomData, sync::Arc};

use tokio::sync::watch;

use super::bonds;
use crate::{
    discovery::{Discovery, SignedPeerEntry},
    fmt::ShortFmtExt,
    id::{Digest, PeerId},
    transport::CloseReason,
};

/// A bond, and what the other member's node says of itself.
#[derive(Clone)]
pub(crate) struct Bonded {
    pub(crate) bond: bonds::Bond,
    /// `None` if the node has not been heard of yet: bonds are made by an address and the key.
    pub(crate) entry: Option<SignedPeerEntry>,
}

type List = Arc<Vec<Bonded>>;

/// The members of a group that this node is connected with, now and as that changes. See
/// [`Group::bonds`](super::Group::bonds). A member whose node's entry has not arrived yet is not
/// among them.
pub struct Bonds<M> {
    list: watch::Receiver<List>,
    discovery: Option<Discovery>,
    of: PhantomData<fn() -> M>,
}

impl<M> Bonds<M> {
    pub(crate) fn new(list: watch::Receiver<List>, discovery: Discovery) -> Self {
        Self { list, discovery: Some(discovery), of: PhantomData }
    }

    fn now(&self) -> List {
        self.list.borrow().clone()
    }

    /// Those whose entries are known.
    fn known(&self) -> impl Iterator<Item = Bond<M>> {
        let list = self.now();
        (0..list.len()).filter_map(move |place| self.bond(&list[place]))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.now().iter().filter(|bonded| bonded.entry.is_some()).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this peer is among them.
    #[must_use]
    pub fn contains_peer(&self, peer: &PeerId) -> bool {
        self.get(peer).is_some()
    }

    /// The bond with a peer.
    #[must_use]
    pub fn get(&self, peer: &PeerId) -> Option<Bond<M>> {
        let list = self.now();
        let place = list.binary_search_by_key(peer, |bonded| bonded.bond.peer()).ok()?;
        self.bond(&list[place])
    }

    /// All of them, in the order of the peers' ids.
    pub fn iter(&self) -> impl Iterator<Item = Bond<M>> {
        self.known().collect::<Vec<_>>().into_iter()
    }

    /// Resolves when one is added or ends after this call. Waits for ever once the group has ended
    /// on this node. Cancel safe.
    pub async fn changed(&self) {
        let mut list = self.list.clone();
        list.mark_unchanged();
        if list.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn bond(&self, bonded: &Bonded) -> Option<Bond<M>> {
        let (bond, entry) = (bonded.bond.clone(), bonded.entry.clone()?);
        Some(Bond { bond, entry, discovery: self.discovery.clone(), of: PhantomData })
    }
}

/// None, for ever.
impl<M> Default for Bonds<M> {
    fn default() -> Self {
        Self { list: watch::channel(List::default()).1, discovery: None, of: PhantomData }
    }
}

impl<M> Clone for Bonds<M> {
    fn clone(&self) -> Self {
        let (list, discovery) = (self.list.clone(), self.discovery.clone());
        Self { list, discovery, of: PhantomData }
    }
}

impl<M> fmt::Debug for Bonds<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The connection of two members, each of whom has proved that it knows the group's key.
pub struct Bond<M> {
    bond: bonds::Bond,
    entry: SignedPeerEntry,
    discovery: Option<Discovery>,
    of: PhantomData<fn() -> M>,
}

impl<M> Bond<M> {
    /// The same on both ends, and that of no other bond.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.bond.id()
    }

    /// The other member's node.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.bond.peer()
    }

    /// What the other member's node says of itself; if it is not in the catalog any more, what it
    /// said when this bond was looked up.
    #[must_use]
    pub fn peer(&self) -> SignedPeerEntry {
        let catalog = self.discovery.as_ref().map(Discovery::catalog);
        let latest = catalog.and_then(|catalog| catalog.get_signed(&self.peer_id()).cloned());
        latest.unwrap_or_else(|| self.entry.clone())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.bond.is_over()
    }

    /// Resolves when it has ended, with the reason. Cancel safe.
    pub fn terminated(&self) -> impl Future<Output = CloseReason> + Send + Sync + 'static + use<M> {
        let bond = self.bond.clone();
        async move { bond.ended().await }
    }

    /// Ends it, for a reason that the other side sees: one of ours, or what it is on the wire, an
    /// [`ApplicationClose`](crate::iroh::endpoint::ApplicationClose). As long as both nodes are
    /// members, another one is made soon.
    ///
    /// Dropping the future does not keep the bond.
    pub async fn close(self, reason: impl Into<CloseReason>) {
        self.bond.close(reason.into());
        self.bond.ended().await;
    }
}

impl<M> Clone for Bond<M> {
    fn clone(&self) -> Self {
        let (bond, entry) = (self.bond.clone(), self.entry.clone());
        Self { bond, entry, discovery: self.discovery.clone(), of: PhantomData }
    }
}

impl<M> fmt::Display for Bond<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bond({})", self.id().short())
    }
}

impl<M> fmt::Debug for Bond<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bond").field("peer", &self.peer_id()).finish_non_exhaustive()
    }
}
