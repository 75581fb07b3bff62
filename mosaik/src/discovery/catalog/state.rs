//! The catalog as a value: inputs and a date go in, the newest is kept, effects come out. It has
//! neither clock nor I/O nor randomness of its own.

use std::{
    cmp::{Reverse, max},
    collections::{BTreeSet, BinaryHeap, HashMap, hash_map},
    time::Duration,
};

use imbl::OrdMap;

use super::{
    Catalog,
    known::{Joined, Known},
};
use crate::{
    discovery::{
        beat::{Beat, Departure},
        derived::NetworkTag,
        entry::{PeerEntry, SignedPeerEntry},
        event::Event,
        refusal::Refusal,
        version::{PeerEntryVersion, span_micros},
    },
    id::{NetworkId, PeerId},
    ticket::Ticket,
};

/// The most peers that a catalog holds.
const MAX_PEERS: usize = 50_000;
/// The most that their entries take together, encoded; in memory it is about twice as much.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// What the merge is judged by. Spans are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) network_id: NetworkId,
    pub(crate) tag: NetworkTag,
    purge_after: u64,
    max_time_drift: u64,
    max_bytes: usize,
}

impl Rules {
    pub(crate) fn new(
        network_id: NetworkId,
        purge_after: Duration,
        max_time_drift: Duration,
    ) -> Self {
        Self {
            tag: NetworkTag::of(&network_id),
            network_id,
            purge_after: span_micros(purge_after),
            max_time_drift: span_micros(max_time_drift),
            max_bytes: MAX_BYTES,
        }
    }

    /// Less room than nodes have.
    #[cfg(test)]
    pub(super) fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }
}

/// Something about a peer, its signature verified.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// An entry, with the beat that came with it.
    Entry(SignedPeerEntry),
    Beat(Beat),
    Departure(Departure),
}

/// What a merge brought, when the input was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Something new.
    New,
    /// Nothing new.
    Known,
    /// A beat that names a version of the entry that is not here.
    Missing(PeerId),
}

/// What follows from a change of the catalog.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) events: Vec<Event>,
    pub(crate) changes: Vec<Change>,
    /// Peers that are to be put to the gate, see [`State::judged`].
    pub(crate) judge: Vec<PeerId>,
}

/// A peer's entry before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) peer: PeerId,
    pub(crate) old: Option<PeerEntry>,
    pub(crate) new: Option<PeerEntry>,
}

/// Everything known, of which [`State::catalog`] is the part to be shown.
#[derive(Debug)]
pub(crate) struct State {
    rules: Rules,
    local: SignedPeerEntry,
    known: HashMap<PeerId, Known>,
    signed: OrdMap<PeerId, SignedPeerEntry>,
    unsigned: OrdMap<PeerId, PeerEntry>,
    /// The size of all known entries, encoded.
    bytes: usize,
    /// One item for each known peer, at its next expiry or earlier.
    expiries: BinaryHeap<Reverse<(u64, PeerId)>>,
    /// Peers are shown only once [`State::judged`] has let them in.
    pub(super) gated: bool,
    /// When the pass of a peer expires, of those that do.
    pub(super) passes: BTreeSet<(u64, PeerId)>,
}

impl State {
    pub(crate) fn new(rules: Rules, local: SignedPeerEntry) -> Self {
        Self {
            rules,
            local,
            known: HashMap::new(),
            signed: OrdMap::new(),
            unsigned: OrdMap::new(),
            bytes: 0,
            expiries: BinaryHeap::new(),
            gated: false,
            passes: BTreeSet::new(),
        }
    }

    pub(crate) fn local(&self) -> &SignedPeerEntry {
        &self.local
    }

    pub(crate) fn set_local(&mut self, local: SignedPeerEntry) {
        self.local = local;
    }

    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::new(self.local.clone(), self.signed.clone(), self.unsigned.clone())
    }

    /// The signed entry of a peer with its last beat, as others are to be given it; also that of
    /// the local node.
    pub(crate) fn record(&self, peer: &PeerId) -> Option<SignedPeerEntry> {
        if peer == self.local.id() {
            return Some(self.local.clone());
        }
        let known = self.known.get(peer)?;
        Some(known.entry()?.clone().with_beat(known.beat().cloned()))
    }

    pub(crate) fn unsigned(&self, peer: &PeerId) -> Option<&PeerEntry> {
        self.unsigned.get(peer)
    }

    /// When a peer last gave a sign of life, in microseconds since 1970 by its own clock.
    pub(crate) fn alive_at(&self, peer: &PeerId) -> Option<u64> {
        let known = self.known.get(peer)?;
        known.entry().map(|_| known.alive_at())
    }

    pub(super) fn known(&self) -> &HashMap<PeerId, Known> {
        &self.known
    }

    pub(super) fn known_mut(&mut self, peer: &PeerId) -> Option<&mut Known> {
        self.known.get_mut(peer)
    }

    /// Takes in what a peer told. The judgement on each input rests on the input and the date
    /// alone; what is kept is the newest of each kind, whatever the order of arrival.
    pub(crate) fn merge(
        &mut self,
        input: Input,
        now: u64,
        effects: &mut Effects,
    ) -> Result<Merged, Refusal> {
        let peer = *input.peer();
        if peer == *self.local.id() {
            return Err(Refusal::OwnId);
        }
        input.check_dates(now, &self.rules)?;
        if !self.known.contains_key(&peer) && self.known.len() >= MAX_PEERS {
            return Err(Refusal::Full);
        }
        let before = self.known.get(&peer).map_or(0, Known::entry_bytes);
        if self.bytes - before + input.entry_bytes() > self.rules.max_bytes {
            return Err(Refusal::Full);
        }
        let known = self.known.entry(peer).or_default();
        let joined = match input {
            Input::Entry(entry) => {
                if let Some(beat) = entry.beat() {
                    known.join_beat(beat.clone());
                }
                known.join_entry(entry.with_network_id(self.rules.network_id))
            }
            Input::Beat(beat) => known.join_beat(beat),
            Input::Departure(departure) => known.join_departure(departure),
        };
        self.bytes = self.bytes - before + known.entry_bytes();
        let missing = match (known.beat(), known.entry()) {
            (Some(beat), Some(entry)) => beat.version() > entry.update_version(),
            (Some(_), None) => true,
            (None, _) => false,
        };
        self.queue_expiry(peer);
        self.show(peer, effects);
        match joined {
            Joined::Older => Err(Refusal::Stale),
            _ if missing => Ok(Merged::Missing(peer)),
            Joined::New => Ok(Merged::New),
            Joined::Known => Ok(Merged::Known),
        }
    }

    /// Attaches bodies of tickets to the entry of a peer. Refused as forged if the entry does not
    /// name one of them; the others are attached all the same.
    pub(crate) fn attach_tickets(
        &mut self,
        peer: &PeerId,
        tickets: Vec<Ticket>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(known) = self.known.get_mut(peer) else { return Err(Refusal::Stale) };
        let before = known.entry_bytes();
        let weight: usize = tickets.iter().map(|ticket| ticket.digest().weight()).sum();
        if self.bytes + weight > self.rules.max_bytes {
            return Err(Refusal::Full);
        }
        let all_named = known.attach_tickets(tickets);
        self.bytes = self.bytes - before + known.entry_bytes();
        self.show(*peer, effects);
        if all_named { Ok(()) } else { Err(Refusal::Forged) }
    }

    /// Notes that the neighbours are told what is known of a peer; false if they were before: the
    /// same records can be put together to many messages, and each is passed on but once.
    pub(crate) fn tell(&mut self, peer: &PeerId) -> bool {
        self.known.get_mut(peer).is_some_and(Known::tell)
    }

    /// Adds an entry that only this node knows; says whether that changed anything.
    pub(crate) fn insert_unsigned(&mut self, entry: PeerEntry, effects: &mut Effects) -> bool {
        let peer = *entry.id();
        if peer == *self.local.id()
            || !entry.is_of(&self.rules.tag)
            || self.signed.contains_key(&peer)
            || self.unsigned.get(&peer) == Some(&entry)
        {
            return false;
        }
        let entry = entry.with_network_id(self.rules.network_id);
        let old = self.unsigned.insert(peer, entry.clone());
        effects.changes.push(Change { peer, old, new: Some(entry) });
        true
    }

    /// Removes an entry that only this node knows.
    pub(crate) fn remove_unsigned(&mut self, peer: &PeerId, effects: &mut Effects) -> bool {
        let old = self.unsigned.remove(peer);
        let removed = old.is_some();
        if removed {
            effects.changes.push(Change { peer: *peer, old, new: None });
        }
        removed
    }

    /// Removes all entries that only this node knows.
    pub(crate) fn clear_unsigned(&mut self, effects: &mut Effects) -> bool {
        let unsigned = std::mem::take(&mut self.unsigned);
        let removed = !unsigned.is_empty();
        effects.changes.extend(unsigned.into_iter().map(|(peer, old)| Change {
            peer,
            old: Some(old),
            new: None,
        }));
        removed
    }

    /// Drops peers that were silent for too long, and departures that have been remembered long
    /// enough.
    pub(crate) fn purge(&mut self, now: u64, effects: &mut Effects) {
        self.expire_passes(now, effects);
        while let Some(Reverse((time, peer))) = self.expiries.peek().copied()
            && time < now
        {
            self.expiries.pop();
            let hash_map::Entry::Occupied(mut entry) = self.known.entry(peer) else { continue };
            if entry.get().queued != Some(time) {
                continue;
            }
            entry.get_mut().queued = None;
            let before = entry.get().entry_bytes();
            let expiry = entry.get_mut().expire(now, self.rules.purge_after);
            self.bytes = self.bytes - before + entry.get().entry_bytes();
            if expiry.is_none() {
                entry.remove();
            } else {
                self.queue_expiry(peer);
            }
            self.show(peer, effects);
        }
    }

    /// When [`State::purge`] may have something to do: after this date.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let silence = self.expiries.peek().map(|Reverse((time, _))| *time);
        let pass = self.passes.first().map(|(time, _)| *time);
        [silence, pass].into_iter().flatten().min()
    }

    /// Makes sure that the queue has an item for the peer that is not too late.
    fn queue_expiry(&mut self, peer: PeerId) {
        let Some(known) = self.known.get_mut(&peer) else { return };
        let Some(deadline) = known.deadline(self.rules.purge_after) else {
            // Nothing was kept of what came.
            self.known.remove(&peer);
            return;
        };
        if known.queued.is_none_or(|queued| deadline < queued) {
            known.queued = Some(deadline);
            self.expiries.push(Reverse((deadline, peer)));
        }
    }

    /// Brings what is shown of a peer in line with what is known of it.
    pub(super) fn show(&mut self, peer: PeerId, effects: &mut Effects) {
        if self.is_to_be_judged(&peer) {
            // What is shown of it stays until then.
            effects.judge.push(peer);
            return;
        }
        let known = self.known.get(&peer).filter(|known| self.lets_in(known));
        let new = known.and_then(Known::entry);
        let old = self.signed.get(&peer);
        let is_same = match (old, new) {
            (Some(old), Some(new)) => old.shows_the_same_as(new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if is_same {
            return;
        }
        let is_news = old != new;
        let old = old.map(|entry| entry.entry().clone());
        let new = new.cloned();
        if is_news {
            effects.events.push(match (&old, &new) {
                (None, Some(entry)) => Event::PeerDiscovered(entry.entry().clone()),
                (Some(_), Some(entry)) => Event::PeerUpdated(entry.entry().clone()),
                (_, None) => Event::PeerDeparted(peer),
            });
        }
        let replaced = match new.is_some() {
            true => self.unsigned.remove(&peer),
            false => None,
        };
        effects.changes.push(Change {
            peer,
            old: old.or(replaced),
            new: new.as_ref().map(|entry| entry.entry().clone()),
        });
        match new {
            Some(entry) => self.signed.insert(peer, entry),
            None => self.signed.remove(&peer),
        };
    }
}

impl Input {
    pub(crate) fn peer(&self) -> &PeerId {
        match self {
            Self::Entry(entry) => entry.id(),
            Self::Beat(beat) => beat.peer(),
            Self::Departure(departure) => departure.peer(),
        }
    }

    /// The size of the entry that is to be taken in, if it is one.
    fn entry_bytes(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.encoded_len(),
            Self::Beat(_) | Self::Departure(_) => 0,
        }
    }

    /// Refuses what is dated in the future, or more than `purge_after` ago.
    fn check_dates(&self, now: u64, rules: &Rules) -> Result<(), Refusal> {
        let latest = |version: PeerEntryVersion| max(version.start(), version.update());
        let of_beat = |beat: &Beat| (max(latest(beat.version()), beat.time()), beat.time());
        let (latest, alive) = match self {
            Self::Entry(entry) => {
                let version = entry.update_version();
                let (dated, alive) = entry.beat().map_or((0, 0), of_beat);
                (max(latest(version), dated), max(version.update(), alive))
            }
            Self::Beat(beat) => of_beat(beat),
            Self::Departure(departure) => {
                (max(latest(departure.version()), departure.time()), departure.time())
            }
        };
        if latest > now.saturating_add(rules.max_time_drift) {
            Err(Refusal::Future)
        } else if alive.saturating_add(rules.purge_after) < now {
            Err(Refusal::Stale)
        } else {
            Ok(())
        }
    }
}
