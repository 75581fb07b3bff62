//! Which connection stands for which peer: duplicates and new incarnations, decided as a value.
//!
//! Two peers that dial each other at once, or redial after one of them lost a connection that the
//! other still believes in, must end up with the same single connection. The peer with the
//! smaller id decides; the other obeys. A connection is replaced when the peer has a newer start
//! (it was restarted), or when it was established before the new one began and the peer does not
//! name it as the one that it holds (it died on that side only).

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{
    close::CloseReason,
    connection::Connection,
    hello::{Claim, Tag, Verdict},
    link::Link,
};
use crate::id::PeerId;

/// The control connections of one node.
#[derive(Debug, Default)]
pub(super) struct Peers {
    places: BTreeMap<PeerId, Place>,
}

#[derive(Debug)]
struct Place {
    tag: Tag,
    start: u64,
    /// When the connection was admitted, and what stands on it; none while its hello goes on.
    admitted: Option<(Instant, Link)>,
    connection: Connection,
}

impl Place {
    fn close(&self, reason: CloseReason) {
        match &self.admitted {
            Some((_, link)) => link.close(reason),
            None => self.connection.close(reason),
        }
    }
}

impl Peers {
    pub(super) fn link(&self, peer: &PeerId) -> Option<Link> {
        self.places.get(peer)?.admitted.as_ref().map(|(_, link)| link.clone())
    }

    /// How many there are, those in their hello included.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let admitted = self.places.values().filter_map(|place| place.admitted.as_ref());
        admitted.map(|(_, link)| link.clone()).collect()
    }

    pub(super) fn holds(&self, peer: &PeerId) -> Option<Tag> {
        self.places.get(peer).filter(|place| place.admitted.is_some()).map(|place| place.tag)
    }

    /// The decision of the smaller id, about a connection whose handshake began at `begun`.
    pub(super) fn decide(
        &mut self,
        claim: &Claim,
        connection: &Connection,
        begun: Instant,
    ) -> Verdict {
        let verdict = self.judge(claim, begun);
        if verdict == Verdict::Keep {
            self.place(claim, connection);
        }
        verdict
    }

    /// The larger id keeps what the smaller one chose, unless it comes from an older run.
    pub(super) fn obey(&mut self, claim: &Claim, connection: &Connection) -> Verdict {
        match self.places.get(&claim.peer) {
            Some(place) if place.start > claim.start && !place.connection.is_closed() => {
                Verdict::Superseded
            }
            _ => {
                self.place(claim, connection);
                Verdict::Keep
            }
        }
    }

    fn judge(&self, claim: &Claim, begun: Instant) -> Verdict {
        let Some(place) = self.places.get(&claim.peer) else { return Verdict::Keep };
        if place.connection.is_closed() || place.start < claim.start {
            return Verdict::Keep;
        }
        if place.start > claim.start {
            return Verdict::Superseded;
        }
        match &place.admitted {
            // The peer could not yet name a connection that was admitted after this one began.
            Some((since, _)) if *since < begun && claim.holds != Some(place.tag) => Verdict::Keep,
            _ => Verdict::Duplicate,
        }
    }

    fn place(&mut self, claim: &Claim, connection: &Connection) {
        let place = Place {
            tag: claim.tag,
            start: claim.start,
            admitted: None,
            connection: connection.clone(),
        };
        if let Some(old) = self.places.insert(claim.peer, place) {
            let newer = old.start < claim.start;
            let reason = if newer { CloseReason::Superseded } else { CloseReason::Duplicate };
            old.close(reason);
        }
    }

    /// The hello went well; false if the place was given to another connection meanwhile.
    pub(super) fn admit(&mut self, claim: &Claim, link: Link) -> bool {
        match self.places.get_mut(&claim.peer) {
            Some(place) if place.tag == claim.tag => {
                place.admitted = Some((Instant::now(), link));
                true
            }
            _ => false,
        }
    }

    /// The connection has ended, or its hello has failed.
    pub(super) fn vacate(&mut self, peer: &PeerId, tag: Tag) {
        if self.places.get(peer).is_some_and(|place| place.tag == tag) {
            self.places.remove(peer);
        }
    }

    /// Closes all connections, those included whose hello goes on.
    pub(super) fn close_all(&self, reason: CloseReason) {
        self.places.values().for_each(|place| place.close(reason));
    }

    /// Connections to a run of the peer that began before `start` are of no use any more.
    pub(super) fn supersede(&mut self, peer: &PeerId, start: u64) {
        if self.places.get(peer).is_some_and(|place| place.start < start)
            && let Some(place) = self.places.remove(peer)
        {
            place.close(CloseReason::Superseded);
        }
    }
}
