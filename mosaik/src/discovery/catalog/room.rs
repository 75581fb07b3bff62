//! What a catalog has room for, and who gives way when it is full.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use crate::id::PeerId;

/// How much a peer counts where there is no room for all; the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// No entry of it is here: only a sign of life, or that it departed.
    Trace,
    /// The gate does not let it in, or has not judged it yet.
    Outside,
    /// Others have told of it.
    HeardOf,
    /// It is connected, or has just shown its entry itself.
    Met,
}

/// Peers are ordered by it: the first gives way first.
type Place = (Standing, Reverse<usize>);

/// The places of all peers that are known.
#[derive(Debug, Default)]
pub(super) struct Room {
    places: HashMap<PeerId, Place>,
    order: BTreeSet<(Place, PeerId)>,
    bytes: usize,
}

/// The most that there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) peers: usize,
}

impl Room {
    /// A peer has this standing now and takes so many bytes; or is not known any more.
    pub(super) fn set(&mut self, peer: PeerId, place: Option<(Standing, usize)>) {
        let place = place.map(|(standing, size)| (standing, Reverse(size)));
        if self.places.get(&peer).copied() == place {
            return;
        }
        let old = match place {
            Some(place) => self.places.insert(peer, place),
            None => self.places.remove(&peer),
        };
        if let Some(old) = old {
            self.order.remove(&(old, peer));
            self.bytes -= old.1.0;
        }
        if let Some(place) = place {
            self.order.insert((place, peer));
            self.bytes += place.1.0;
        }
    }

    /// Who has to give way so that a peer of this standing can take so many bytes; `None` if there
    /// is no room for it. Those of a lesser standing give way, and those of the same that take
    /// more: so nobody can push out whoever has pushed it out.
    pub(super) fn make(
        &self,
        peer: &PeerId,
        standing: Standing,
        size: usize,
        limits: Limits,
    ) -> Option<Vec<PeerId>> {
        let own = self.places.get(peer);
        let mut bytes = self.bytes - own.map_or(0, |place| place.1.0) + size;
        let mut peers = self.places.len() + usize::from(own.is_none());
        let claim = (standing, Reverse(size));
        let mut victims = Vec::new();
        // Traces take no bytes: they give way only where there are too many peers.
        let first = if peers > limits.peers { Standing::Trace } else { Standing::Outside };
        for (place, victim) in self.order.range(((first, Reverse(usize::MAX)), *peer)..) {
            if bytes <= limits.bytes && peers <= limits.peers || *place >= claim {
                break;
            }
            let is_of_use = peers > limits.peers || place.1.0 > 0;
            if victim != peer && is_of_use {
                bytes -= place.1.0;
                peers -= 1;
                victims.push(*victim);
            }
        }
        (bytes <= limits.bytes && peers <= limits.peers).then_some(victims)
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_bytes(&[seed; 32]).public()
    }

    fn room(places: &[(u8, Standing, usize)]) -> Room {
        let mut room = Room::default();
        for (seed, standing, size) in places {
            room.set(peer(*seed), Some((*standing, *size)));
        }
        room
    }

    const LIMITS: Limits = Limits { bytes: 100, peers: 4 };

    #[test]
    fn while_there_is_room_nobody_gives_way() {
        let room = room(&[(1, Standing::Trace, 0), (2, Standing::Outside, 50)]);
        assert_eq!(room.make(&peer(3), Standing::Outside, 50, LIMITS), Some(vec![]));
        assert_eq!(room.make(&peer(3), Standing::Outside, 51, LIMITS), None);
        // What it takes already is its own.
        assert_eq!(room.make(&peer(2), Standing::Outside, 100, LIMITS), Some(vec![]));
    }

    #[test]
    fn the_least_gives_way_and_of_these_who_takes_most() {
        let room = room(&[
            (1, Standing::Met, 40),
            (2, Standing::HeardOf, 10),
            (3, Standing::HeardOf, 30),
            (4, Standing::Outside, 20),
        ]);
        let make = |standing, size| room.make(&peer(4), standing, size, LIMITS);
        assert_eq!(make(Standing::Met, 20), Some(vec![]));
        assert_eq!(make(Standing::Met, 21), Some(vec![peer(3)]));
        assert_eq!(make(Standing::Met, 60), Some(vec![peer(3), peer(2)]));
        assert_eq!(make(Standing::Met, 61), None);
        // Of the same standing, only larger ones.
        assert_eq!(make(Standing::HeardOf, 29), Some(vec![peer(3)]));
        assert_eq!(make(Standing::HeardOf, 30), None);
        assert_eq!(make(Standing::Outside, 21), None);
    }

    #[test]
    fn traces_give_way_where_there_are_too_many_peers_and_for_nothing_else() {
        let mut room = room(&[
            (1, Standing::Trace, 0),
            (2, Standing::Trace, 0),
            (3, Standing::HeardOf, 90),
            (4, Standing::HeardOf, 10),
        ]);
        let make = |room: &Room, standing, size| room.make(&peer(5), standing, size, LIMITS);
        assert_eq!(make(&room, Standing::Trace, 0), None);
        let victims = make(&room, Standing::HeardOf, 0).unwrap();
        assert_eq!(victims.len(), 1);
        assert!([peer(1), peer(2)].contains(&victims[0]));
        room.set(peer(1), None);
        assert_eq!(make(&room, Standing::HeardOf, 10), Some(vec![peer(3)]));
        assert_eq!(make(&room, Standing::Trace, 0), Some(vec![]));
    }
}
