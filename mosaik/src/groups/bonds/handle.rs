//! A group's bonds as its worker holds them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::{
    bond::Bond,
    group::{Group, lock},
    seek::{self, Sought},
    served::Served,
    traffic::Traffic,
    wire::GroupWire,
};
use crate::{groups::member::MemberId, id::PeerId};

/// All bonds of one group. Dropped, the node takes leave of the other members and is none any more.
pub(crate) struct GroupBonds {
    group: Arc<Group>,
    sought: Mutex<BTreeMap<PeerId, Sought>>,
}

impl GroupBonds {
    pub(super) fn new(group: Arc<Group>) -> Self {
        Self { group, sought: Mutex::default() }
    }

    /// This node as a member.
    pub(crate) fn me(&self) -> MemberId {
        MemberId::new(&self.group.local, self.group.me().session)
    }

    /// Bonds are made with these peers from now on, and made again when they end, until they are
    /// left out here. Bonds with others, who have sought this node, stay. The node itself is passed
    /// over.
    pub(crate) fn seek(&self, peers: &BTreeSet<PeerId>) {
        let mut sought = lock(&self.sought);
        sought.retain(|peer, _| peers.contains(peer));
        for peer in peers.iter().filter(|peer| **peer != self.group.local) {
            if !sought.contains_key(peer) {
                sought.insert(*peer, seek::begin(self.group.clone(), *peer));
            }
        }
    }

    /// Something is new about a peer, such as a ticket: if it is sought, it is tried at once.
    pub(crate) fn nudge(&self, peer: &PeerId) {
        if let Some(sought) = lock(&self.sought).get(peer) {
            sought.nudge();
        }
    }

    /// What is counted of all that is said over the bonds.
    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        self.group.traffic.clone()
    }

    /// All bonds, in the order of the peers.
    pub(crate) fn bonds(&self) -> Vec<Bond> {
        self.group.bonds()
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<Bond> {
        self.group.bond(peer)
    }

    /// The bond with a peer, if it is this member now.
    pub(crate) fn member(&self, member: &MemberId) -> Option<Bond> {
        self.bonds().into_iter().find(|bond| bond.member() == *member && !bond.is_over())
    }

    /// Tells all members what this one says of itself, and those that will be bonded; at most
    /// 32 KiB.
    pub(crate) fn tell(&self, status: Bytes) {
        self.group.tell_status(status);
    }

    /// This node is another member from now on, because its log is another one. The others see the
    /// old member go down, and the new one come up with this status.
    pub(crate) fn renew(&self, session: u64, observer: bool, status: Bytes) -> MemberId {
        self.group.rename(session, observer, status);
        self.me()
    }

    /// Requests of other members' Raft nodes are given to this one from now on; without one they
    /// are answered as gone.
    pub(crate) fn serve(&self, served: Option<Arc<dyn Served>>) {
        self.group.serve(served);
    }

    #[cfg(test)]
    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The way to the other members' Raft nodes.
    pub(crate) fn wire(&self) -> GroupWire {
        GroupWire::new(&self.group)
    }
}

impl Drop for GroupBonds {
    fn drop(&mut self) {
        self.group.shared.forget(&self.group);
        self.group.tasks.cancel();
        self.group.serve(None);
    }
}

impl fmt::Debug for GroupBonds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBonds").field("bonds", &self.bonds()).finish_non_exhaustive()
    }
}
