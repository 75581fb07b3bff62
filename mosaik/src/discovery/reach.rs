//! Reaching peers: where they are, and how to get from an address to a neighbour.

use std::sync::Arc;

use iroh::EndpointAddr;
use tokio::sync::mpsc;

use super::{
    entry::SignedPeerEntry,
    error::Error,
    shared::Shared,
    skew::ClockSkew,
    sources::LocalDirectory,
    sync,
    worker::{Command, SourceName},
};
use crate::{
    id::PeerId,
    tasks::Tasks,
    transport::{CloseReason, DialError, Link, Transport},
};

/// Where peers are: the catalog, and the directory of this machine.
#[derive(Clone)]
pub(super) struct AddressBook {
    pub(super) shared: Arc<Shared>,
    pub(super) local: Option<Arc<LocalDirectory>>,
    pub(super) tasks: Tasks,
}

impl AddressBook {
    /// The last known address of a peer, of whichever source knows its newest entry.
    pub(super) async fn lookup(&self, peer: &PeerId) -> Option<EndpointAddr> {
        let known = self.shared.read(|state| {
            let signed = state.record(peer).map(SignedPeerEntry::into_unsigned);
            signed.or_else(|| state.unsigned(peer).cloned())
        });
        let local = self.local_entry_of(*peer).await.map(SignedPeerEntry::into_unsigned);
        let newest = match (known, local) {
            (Some(known), Some(local)) if local.is_newer_than(&known) => Some(local),
            (known, local) => known.or(local),
        };
        newest.map(|entry| entry.address().clone())
    }

    /// The entry of a node on this machine. The directory may be on a slow or hanging file system.
    pub(super) async fn local_entry_of(&self, peer: PeerId) -> Option<SignedPeerEntry> {
        let (directory, shared) = (self.local.clone()?, self.shared.clone());
        let read = move || directory.entry_of(&peer, &shared);
        self.tasks.blocking("discovery.local.read", read).await?
    }
}

/// What it takes to reach peers. Clones share it.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) book: AddressBook,
    pub(super) transport: Transport,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Reach {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.book.shared
    }

    /// Connects to a peer, by these addresses and those that are known besides.
    pub(super) async fn connect(&self, to: EndpointAddr) -> Result<Link, DialError> {
        let mut to = to;
        if let Some(known) = self.book.lookup(&to.id).await {
            to.addrs.extend(known.addrs);
        }
        self.transport.connect(to).await
    }

    /// Connects to a peer and asks it to become a neighbour in the gossip.
    pub(super) async fn contact(&self, to: EndpointAddr) -> Result<Link, DialError> {
        let link = self.connect(to).await?;
        // When the worker is gone, the node is shutting down.
        let _ = self.commands.send(Command::Join(link.peer())).await;
        Ok(link)
    }

    /// An address was found by a source; the worker decides whether it is needed.
    pub(super) async fn found(&self, source: SourceName, address: EndpointAddr) {
        let _ = self.commands.send(Command::Found(source, address)).await;
    }

    /// Connects to a peer and exchanges catalogs with it.
    pub(super) async fn sync_with(&self, to: EndpointAddr) -> Result<(), Error> {
        let peer = to.id;
        let outcome = self.exchange(to).await;
        let (learned, outcome) = match outcome {
            Ok(learned) => (Some(learned), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // When the worker is gone, the node is shutting down.
        let _ = self.commands.send(Command::Synced(peer, learned)).await;
        outcome
    }

    async fn exchange(&self, to: EndpointAddr) -> Result<sync::Learned, Error> {
        let peer = to.id;
        let mut retried = false;
        loop {
            let link = match self.connect(to.clone()).await {
                Ok(link) => link,
                // A peer of another network is none of ours: there is nothing to exchange.
                Err(DialError::Refused(CloseReason::DifferentNetwork)) => return Ok(Vec::new()),
                Err(DialError::ShuttingDown) => return Err(Error::Cancelled),
                Err(source) => return Err(Error::Unreachable { peer, source: source.into() }),
            };
            match sync::initiate(self.shared(), &link).await {
                Ok(learned) => {
                    let skew = ClockSkew::between(&link);
                    let is_skewed = self.shared().compare_clocks(skew);
                    return if is_skewed { Err(Error::ClockSkew(skew)) } else { Ok(learned) };
                }
                Err(sync::SyncError::TimedOut) => return Err(Error::Timeout(peer)),
                Err(_) if !retried && has_successor(&link).await => retried = true,
                Err(source) => return Err(Error::Interrupted { peer, source: source.into() }),
            }
        }
    }
}

/// Whether the link ended in a way after which another one to the same peer may be up or possible:
/// it gave way to one, belonged to an earlier run of the peer, or was closed as unused just then.
async fn has_successor(link: &Link) -> bool {
    use CloseReason::{Duplicate, GracefulShutdown, Idle, Superseded};
    link.is_closed()
        && matches!(link.closed().await, Duplicate | GracefulShutdown | Idle | Superseded)
}
