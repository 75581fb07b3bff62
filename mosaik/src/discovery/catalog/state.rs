//! The catalog as a value: inputs and a date go in, the newest is kept, effects come out. It has
//! neither clock nor I/O nor randomness of its own.

use std::{
    cmp::{Reverse, max},
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap},
    time::Duration,
};

use imbl::{OrdMap, OrdSet};
use iroh::EndpointAddr;

use super::{
    Catalog, PeerIndex,
    known::{Joined, Known},
    room::{Limits, Room, Standing},
    rules::Rules,
};
use crate::{
    discovery::{
        beat::{Beat, Departure},
        entry::{PeerEntry, SignedPeerEntry},
        event::Event,
        refusal::Refusal,
        rtt::Estimate,
        version::PeerEntryVersion,
    },
    id::PeerId,
};

/// The most peers that a catalog holds.
const MAX_PEERS: usize = 50_000;

/// Something about a peer, its signature verified.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// An entry, with the beat that came with it.
    Entry(SignedPeerEntry),
    Beat(Beat),
    Departure(Departure),
}

/// What speaks for keeping what a peer has told, where there is not room for all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claim {
    /// The peer has shown it itself.
    pub(crate) is_met: bool,
    /// The gate would let the peer in.
    pub(crate) is_let_in: bool,
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
    /// Somebody has signed with this node's key what is newer than all that this node has, and
    /// began at this time.
    pub(crate) newer_self: Option<u64>,
}

/// A peer's entry before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) peer: PeerId,
    pub(crate) old: Option<PeerEntry>,
    pub(crate) new: Option<PeerEntry>,
    /// Whether the peer is known but not to be used: it is too far away.
    pub(crate) hidden: bool,
    /// Whether what was measured of the peer is what has changed.
    pub(crate) measured: bool,
}

/// Everything known, of which [`State::catalog`] is the part to be shown.
#[derive(Debug)]
pub(crate) struct State {
    rules: Rules,
    local: SignedPeerEntry,
    known: BTreeMap<PeerId, Known>,
    signed: OrdMap<PeerId, SignedPeerEntry>,
    unsigned: OrdMap<PeerId, PeerEntry>,
    rtts: HashMap<PeerId, Estimate>,
    /// Those that are known to be too far away.
    slow: OrdSet<PeerId>,
    /// What all known entries take, and who gives way when that is too much.
    room: Room,
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
            known: BTreeMap::new(),
            signed: OrdMap::new(),
            unsigned: OrdMap::new(),
            rtts: HashMap::new(),
            slow: OrdSet::new(),
            room: Room::default(),
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
        let (signed, unsigned) = (self.signed.clone(), self.unsigned.clone());
        Catalog::new(self.local.clone(), signed, unsigned, self.slow.clone())
    }

    /// The version of a peer's entry.
    pub(crate) fn version(&self, peer: &PeerId) -> Option<PeerEntryVersion> {
        self.known.get(peer)?.entry().map(|entry| entry.update_version())
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

    /// From when on a peer is missed that gives no further sign of life, in microseconds since 1970.
    pub(crate) fn missed_at(&self, peer: &PeerId) -> Option<u64> {
        let known = self.known.get(peer)?;
        let interval = known.beat().map_or(0, Beat::interval);
        let suspicion = self.rules.suspicion(interval, self.size());
        known.entry().map(|_| known.alive_at().saturating_add(suspicion))
    }

    fn change(&self, peer: PeerId, old: Option<PeerEntry>, new: Option<PeerEntry>) -> Change {
        Change { peer, old, new, hidden: self.slow.contains(&peer), measured: false }
    }

    /// The round-trip time to a peer, as it was measured last.
    pub(crate) fn rtt(&self, peer: &PeerId) -> Option<Duration> {
        self.rtts.get(peer).map(Estimate::smoothed)
    }

    /// The same as it was told last.
    pub(crate) fn told_rtt(&self, peer: &PeerId) -> Option<Duration> {
        self.rtts.get(peer).map(Estimate::told)
    }

    /// Takes in a round-trip time; what follows is told if it has changed noticeably, or if it
    /// decides whether the peer can be used.
    pub(crate) fn sample_rtt(&mut self, peer: &PeerId, sample: Duration, effects: &mut Effects) {
        let signed = self.signed.get(peer).map(SignedPeerEntry::entry);
        let Some(entry) = signed.or_else(|| self.unsigned.get(peer)).cloned() else { return };
        let mut is_news = true;
        let estimate = self.rtts.entry(*peer).and_modify(|known| is_news = known.take(sample));
        let rtt = estimate.or_insert_with(|| Estimate::of(sample)).smoothed();
        let is_slow = self.rules.max_rtt.is_some_and(|max| rtt > max);
        let was_slow = match is_slow {
            true => self.slow.insert(*peer).is_some(),
            false => self.slow.remove(peer).is_some(),
        };
        if is_news || is_slow != was_slow {
            let change = self.change(*peer, Some(entry.clone()), Some(entry));
            effects.changes.push(Change { measured: true, ..change });
        }
    }

    fn forget_rtt(&mut self, peer: &PeerId) {
        self.rtts.remove(peer);
        self.slow.remove(peer);
    }

    /// The peers that have something of this kind which somebody follows, those included that are
    /// too far away at present.
    pub(crate) fn used_peers(&self, index: &PeerIndex) -> Vec<EndpointAddr> {
        let signed = self.signed.values().map(SignedPeerEntry::entry);
        let used = signed.chain(self.unsigned.values()).filter(|entry| index.is_used(entry));
        used.map(|entry| entry.address().clone()).collect()
    }

    /// Whether a sign of life tells of an entry of the peer that is not here.
    pub(crate) fn is_missing(&self, peer: &PeerId) -> bool {
        self.known.get(peer).is_some_and(Known::is_missing)
    }

    /// How often this node is to announce: less often in a large network.
    pub(crate) fn announce_interval(&self) -> Duration {
        self.rules.interval(self.size())
    }

    /// How many nodes there are, this one included.
    fn size(&self) -> usize {
        self.signed.len() + 1
    }

    pub(super) fn known(&self) -> &BTreeMap<PeerId, Known> {
        &self.known
    }

    pub(super) fn known_mut(&mut self, peer: &PeerId) -> Option<&mut Known> {
        self.known.get_mut(peer)
    }

    /// Takes in what was heard of a peer, see [`State::merge_with`].
    pub(crate) fn merge(
        &mut self,
        input: Input,
        now: u64,
        effects: &mut Effects,
    ) -> Result<Merged, Refusal> {
        self.merge_with(Claim::default(), input, now, effects)
    }

    /// Takes in what a peer told. The judgement on each input rests on the input and the date
    /// alone; what is kept is the newest of each kind, whatever the order of arrival, as long as
    /// there is room: see [`Room::make`].
    pub(crate) fn merge_with(
        &mut self,
        claim: Claim,
        input: Input,
        now: u64,
        effects: &mut Effects,
    ) -> Result<Merged, Refusal> {
        let peer = *input.peer();
        if peer == *self.local.id() {
            if self.is_superseded_by(&input) {
                effects.newer_self = Some(input.version().start());
            }
            return Err(Refusal::OwnId);
        }
        input.check_dates(now, &self.rules, self.size())?;
        let mut known = self.known.get(&peer).cloned().unwrap_or_default();
        known.is_met |= claim.is_met;
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
        let missing = known.is_missing();
        self.make_room(&peer, &known, claim.is_let_in, effects)?;
        self.known.insert(peer, known);
        self.queue_expiry(peer);
        self.settle(peer);
        self.show(peer, effects);
        match joined {
            Joined::Older => Err(Refusal::Stale),
            _ if missing => Ok(Merged::Missing(peer)),
            Joined::New => Ok(Merged::New),
            Joined::Known => Ok(Merged::Known),
        }
    }

    /// A peer is connected now, or is not any more.
    pub(crate) fn set_met(&mut self, peer: &PeerId, is_met: bool) {
        if let Some(known) = self.known.get_mut(peer)
            && known.is_met != is_met
        {
            known.is_met = is_met;
            self.settle(*peer);
        }
    }

    /// These peers are connected, and no others.
    pub(crate) fn set_all_met(&mut self, met: &BTreeSet<PeerId>) {
        let differ = self.known.iter().filter(|(peer, known)| known.is_met != met.contains(*peer));
        for peer in differ.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.set_met(&peer, met.contains(&peer));
        }
    }

    fn standing(&self, known: &Known, is_let_in: bool) -> Standing {
        match known.entry() {
            None => Standing::Trace,
            Some(_) if !is_let_in && !self.lets_in(known) => Standing::Outside,
            Some(_) if known.is_met => Standing::Met,
            Some(_) => Standing::HeardOf,
        }
    }

    /// Makes room for what is to be known of a peer; refused if others do not give way to it.
    pub(super) fn make_room(
        &mut self,
        peer: &PeerId,
        known: &Known,
        is_let_in: bool,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let limits = Limits { bytes: self.rules.max_bytes, peers: MAX_PEERS };
        let standing = self.standing(known, is_let_in);
        let victims = self.room.make(peer, standing, known.entry_bytes(), limits);
        for victim in victims.ok_or(Refusal::Full)? {
            if let Some(known) = self.known.remove(&victim) {
                tracing::debug!(peer = %victim, "gives way in a catalog that is full");
                self.forget_pass(victim, &known);
            }
            self.settle(victim);
            self.show(victim, effects);
        }
        Ok(())
    }

    /// Notes what is taken by what is known of a peer.
    pub(super) fn settle(&mut self, peer: PeerId) {
        let known = self.known.get(&peer);
        let place = known.map(|known| (self.standing(known, false), known.entry_bytes()));
        self.room.set(peer, place);
    }

    /// Less room than nodes have.
    #[cfg(test)]
    pub(crate) fn set_max_bytes(&mut self, max_bytes: usize) {
        self.rules.max_bytes = max_bytes;
    }

    /// Whether a record of the own id is newer than what this node has signed.
    fn is_superseded_by(&self, own: &Input) -> bool {
        let is_other = matches!(own, Input::Entry(entry) if entry.supersedes(&self.local));
        is_other || own.version() > self.local.update_version()
    }

    /// Notes that the neighbours are told what is known of a peer; false if they were before: the
    /// same records can be put together to many messages, and each is passed on but once.
    pub(crate) fn tell(&mut self, peer: &PeerId, now: u64) -> bool {
        let rules = &self.rules;
        self.known.get_mut(peer).is_some_and(|known| known.tell(now, rules))
    }

    /// Whether the neighbours may be told something of a peer: not if they were too often.
    pub(crate) fn may_tell(&self, peer: &PeerId, now: u64) -> bool {
        self.known.get(peer).is_none_or(|known| known.may_tell(now, &self.rules))
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
        effects.changes.push(self.change(peer, old, Some(entry)));
        true
    }

    /// Removes an entry that only this node knows.
    pub(crate) fn remove_unsigned(&mut self, peer: &PeerId, effects: &mut Effects) -> bool {
        let old = self.unsigned.remove(peer);
        let removed = old.is_some();
        if removed {
            self.forget_rtt(peer);
            effects.changes.push(self.change(*peer, old, None));
        }
        removed
    }

    /// Removes all entries that only this node knows.
    pub(crate) fn clear_unsigned(&mut self, effects: &mut Effects) -> bool {
        let unsigned = std::mem::take(&mut self.unsigned);
        let removed = !unsigned.is_empty();
        unsigned.keys().for_each(|peer| self.forget_rtt(peer));
        let changes = unsigned.into_iter().map(|(peer, old)| self.change(peer, Some(old), None));
        effects.changes.extend(changes);
        removed
    }

    /// Drops peers that were silent for too long, and departures that have been remembered long
    /// enough.
    pub(crate) fn purge(&mut self, now: u64, effects: &mut Effects) {
        self.expire_passes(now, effects);
        let size = self.size();
        while let Some(Reverse((time, peer))) = self.expiries.peek().copied()
            && time < now
        {
            self.expiries.pop();
            let Some(known) = self.known.get_mut(&peer) else { continue };
            if known.queued != Some(time) {
                continue;
            }
            known.queued = None;
            if known.expire(now, &self.rules, size).is_none() {
                self.known.remove(&peer);
            } else {
                self.queue_expiry(peer);
            }
            self.settle(peer);
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
        let size = self.size();
        let Some(known) = self.known.get_mut(&peer) else { return };
        let Some(deadline) = known.deadline(&self.rules, size) else {
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
        let shown = new.as_ref().map(|entry| entry.entry().clone());
        effects.changes.push(self.change(peer, old.or(replaced), shown));
        if new.is_none() {
            self.forget_rtt(&peer);
        }
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

    fn version(&self) -> PeerEntryVersion {
        match self {
            Self::Entry(entry) => {
                let of_beat = entry.beat().map(Beat::version).unwrap_or_default();
                max(entry.update_version(), of_beat)
            }
            Self::Beat(beat) => beat.version(),
            Self::Departure(departure) => departure.version(),
        }
    }

    /// The latest date in it, in microseconds since 1970.
    pub(crate) fn latest_date(&self) -> u64 {
        let version = self.version();
        let dated = match self {
            Self::Entry(entry) => entry.beat().map_or(0, Beat::time),
            Self::Beat(beat) => beat.time(),
            Self::Departure(departure) => departure.time(),
        };
        max(dated, max(version.start(), version.update()))
    }

    /// Refuses what is dated in the future, or more than `purge_after` ago.
    fn check_dates(&self, now: u64, rules: &Rules, size: usize) -> Result<(), Refusal> {
        let interval = |beat: Option<&Beat>| beat.map_or(0, Beat::interval);
        let (alive, patience) = match self {
            Self::Entry(entry) => {
                let alive =
                    max(entry.update_version().update(), entry.beat().map_or(0, Beat::time));
                (alive, rules.patience(interval(entry.beat()), size))
            }
            Self::Beat(beat) => (beat.time(), rules.patience(interval(Some(beat)), size)),
            Self::Departure(departure) => (departure.time(), rules.memory(size)),
        };
        if self.latest_date() > now.saturating_add(rules.max_time_drift) {
            Err(Refusal::Future)
        } else if alive.saturating_add(patience) < now {
            Err(Refusal::Stale)
        } else {
            Ok(())
        }
    }
}
