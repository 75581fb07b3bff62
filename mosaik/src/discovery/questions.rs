//! What a node can ask its peers, or has measured of them.

use std::{collections::BTreeSet, time::Duration};

use iroh::EndpointAddr;
use tokio::sync::watch;

use super::{
    Discovery, PeerInfo,
    ask::{Answer, AskError, Question, ask},
    description::Description,
    error::Error,
    skew::ClockSkew,
};
use crate::{
    id::{PeerId, StreamId, UniqueId},
    transport::DialError,
};

impl Discovery {
    /// Asks a peer what an id stands for: a stream, or anything else that it has
    /// [described](Discovery::set_description). `None` if the peer does not know. Names are not
    /// gossiped, so the peer is dialled if need be. For this node itself it answers at once.
    ///
    /// Bounded to about 10 s. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Interrupted`] or [`Error::Timeout`] by how far it came, and
    /// [`Error::Cancelled`] if the network was shut down.
    pub async fn describe(
        &self,
        peer: impl Into<EndpointAddr>,
        id: impl Into<UniqueId>,
    ) -> Result<Option<Description>, Error> {
        let (peer, id) = (peer.into(), id.into());
        let to = peer.id;
        if to == self.shared().me() {
            return Ok(self.shared().description(&id));
        }
        let link = self.reach.connect(peer).await.map_err(|error| match error {
            DialError::ShuttingDown => Error::Cancelled,
            source => Error::Unreachable { peer: to, source: source.into() },
        })?;
        match ask(self.shared(), &link, &Question::Describe(id)).await {
            Ok((Answer::Description(description), _)) => Ok(description),
            // It is older than this question.
            Ok(_) | Err(AskError::Unknown) => Ok(None),
            Err(AskError::TimedOut) => Err(Error::Timeout(to)),
            Err(source) => Err(Error::Interrupted { peer: to, source: source.into() }),
        }
    }

    /// Says what an id stands for, to peers that ask: a tag, for example. Streams do so themselves.
    pub fn set_description(&self, id: impl Into<UniqueId>, description: Description) {
        self.shared().describe(id.into(), description);
    }

    /// Forgets what was said of an id.
    pub fn remove_description(&self, id: impl Into<UniqueId>) {
        self.shared().forget_description(&id.into());
    }

    /// The round-trip time to a peer: that of the connection to it, or else as it was last
    /// measured. `None` if it never was, or the peer has departed since.
    pub fn rtt(&self, peer: &PeerId) -> Option<Duration> {
        let in_use = self.reach.transport.link(peer).and_then(|link| link.rtt());
        in_use.or_else(|| self.shared().rtt(peer))
    }

    /// A peer of the catalog, or this node itself, with the round-trip time to it as far as it is
    /// known.
    pub fn peer_info(&self, peer: &PeerId) -> Option<PeerInfo> {
        Some(PeerInfo::new(self.catalog().get(peer)?.clone(), self.rtt(peer)))
    }

    /// The last difference of clocks that kept this node and a peer from believing each other;
    /// also logged, once for each peer in an hour.
    pub fn clock_skew(&self) -> watch::Receiver<Option<ClockSkew>> {
        self.shared().clock_skew()
    }

    /// The streams that something on this node consumes.
    pub(crate) fn followed_streams(&self) -> BTreeSet<StreamId> {
        self.shared().followed_streams()
    }

    /// The round-trip time to a peer by which those judge who are told when it changes noticeably:
    /// whoever judged by that of the moment would not judge again.
    pub(crate) fn told_rtt(&self, peer: &PeerId) -> Option<Duration> {
        self.shared().told_rtt(peer)
    }

    /// Whether a peer is known to be too far away to be used.
    pub(crate) fn is_too_far(&self, peer: &PeerId) -> bool {
        self.catalog().is_too_far(peer)
    }

    /// Whether distances decide about peers.
    pub(crate) fn has_max_rtt(&self) -> bool {
        self.config.max_rtt.is_some()
    }

    /// Measures the round-trip time to a peer that something on this node could use; it is dialled
    /// if need be. Bounded to about 10 s. Cancel safe.
    pub(crate) async fn probe(&self, peer: EndpointAddr) {
        self.probes.probe(&self.reach, peer).await;
    }

    /// Resolves when a twin with a newer start has made this node stop.
    pub(crate) fn superseded(&self) -> &tokio_util::sync::CancellationToken {
        self.shared().superseded()
    }
}
