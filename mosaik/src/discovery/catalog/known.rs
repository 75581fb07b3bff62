//! All that is known about one peer: three values that each only grow.

use std::cmp::max;

use super::rules::{Rules, TOLD_AT_ONCE};
use crate::{
    discovery::{
        beat::{Beat, Departure},
        entry::SignedPeerEntry,
        version::PeerEntryVersion,
    },
    ticket::{Denial, Expiration, Ticket},
};

/// The newest entry, beat and departure of one peer, where a departure swallows the entries and
/// beats that it ends. Joining in any order gives the same value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    entry: Option<SignedPeerEntry>,
    beat: Option<Beat>,
    departed: Option<Departure>,
    /// What was known when the neighbours were last told something of this peer.
    told: Option<Told>,
    /// Until when the share of this peer in what is passed on is used up by what was.
    spent_until: u64,
    /// The time of this peer's item in the queue of expiries.
    pub(super) queued: Option<u64>,
    /// What the gate said of the peer, where there is one.
    pub(super) pass: Pass,
    /// Whether the peer is connected, or has shown its entry itself a moment ago.
    pub(super) is_met: bool,
}

/// Whether a peer has passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// Until when it is let in, or why it is not.
    pub(super) granted: Result<Expiration, Denial>,
    /// What was judged: an entry, by its digest, and how many tickets were attached to it. `None`
    /// when it is to be judged again.
    pub(super) judged: Option<(blake3::Hash, usize)>,
}

impl Default for Pass {
    fn default() -> Self {
        Self { granted: Err(Denial::Pending), judged: None }
    }
}

impl Pass {
    /// What is judged of an entry.
    pub(super) fn matter(entry: &SignedPeerEntry) -> (blake3::Hash, usize) {
        (entry.digest(), entry.tickets().len())
    }
}

/// Which entry, by its digest, which beat and which departure.
type Told = (Option<blake3::Hash>, Option<Beat>, Option<Departure>);

/// What joining something brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It is the newest now.
    New,
    /// It was the newest already.
    Known,
    /// Something newer is known.
    Older,
}

impl Known {
    pub(super) fn entry(&self) -> Option<&SignedPeerEntry> {
        self.entry.as_ref()
    }

    pub(super) fn beat(&self) -> Option<&Beat> {
        self.beat.as_ref()
    }

    pub(super) fn departure(&self) -> Option<&Departure> {
        self.departed.as_ref()
    }

    pub(super) fn departed_version(&self) -> Option<PeerEntryVersion> {
        self.departure().map(Departure::version)
    }

    pub(super) fn join_entry(&mut self, entry: SignedPeerEntry) -> Joined {
        if Some(entry.update_version()) <= self.departed_version() {
            return Joined::Older;
        }
        match &self.entry {
            Some(known) if *known == entry => {
                self.attach_tickets(entry.tickets().values().cloned());
                Joined::Known
            }
            Some(known) if !entry.supersedes(known) => Joined::Older,
            known => {
                let mut entry = entry.with_beat(None);
                // Those that it still names are as good as they were.
                entry.attach_tickets(
                    known.iter().flat_map(|known| known.tickets().values().cloned()),
                );
                self.entry = Some(entry);
                Joined::New
            }
        }
    }

    /// Attaches bodies of tickets to the entry; false if one of them is none of its own.
    pub(super) fn attach_tickets(&mut self, tickets: impl IntoIterator<Item = Ticket>) -> bool {
        self.entry.as_mut().is_some_and(|entry| entry.attach_tickets(tickets))
    }

    pub(super) fn join_beat(&mut self, beat: Beat) -> Joined {
        if Some(beat.version()) <= self.departed_version() {
            return Joined::Older;
        }
        match &self.beat {
            Some(known) if *known == beat => Joined::Known,
            Some(known) if !beat.supersedes(known) => Joined::Older,
            _ => {
                self.beat = Some(beat);
                Joined::New
            }
        }
    }

    pub(super) fn join_departure(&mut self, departure: Departure) -> Joined {
        match &self.departed {
            Some(known) if *known == departure => return Joined::Known,
            Some(known) if !departure.supersedes(known) => return Joined::Older,
            _ => {}
        }
        let ended = departure.version();
        self.departed = Some(departure);
        self.entry.take_if(|entry| entry.update_version() <= ended);
        self.beat.take_if(|beat| beat.version() <= ended);
        Joined::New
    }

    /// Whether a beat tells of an entry that is not here.
    pub(super) fn is_missing(&self) -> bool {
        match (&self.beat, &self.entry) {
            (Some(beat), Some(entry)) => beat.version() > entry.update_version(),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Notes that the neighbours are told what is known now; false if they were before.
    pub(super) fn tell(&mut self, now: u64, rules: &Rules) -> bool {
        let digest = self.entry.as_ref().map(SignedPeerEntry::digest);
        let known = Some((digest, self.beat.clone(), self.departed.clone()));
        let is_news = self.told != known;
        self.told = known;
        if is_news {
            self.spent_until = self.spent_until(now, rules).saturating_add(rules.told_pause());
        }
        is_news
    }

    /// Whether the neighbours may be told something of this peer.
    pub(super) fn may_tell(&self, now: u64, rules: &Rules) -> bool {
        let ahead = self.spent_until(now, rules) - now;
        ahead <= rules.told_pause() * (TOLD_AT_ONCE - 1)
    }

    fn spent_until(&self, now: u64, rules: &Rules) -> u64 {
        let latest = now.saturating_add(rules.told_pause() * TOLD_AT_ONCE);
        // Later than it can be: the clock was set back.
        if self.spent_until > latest { now } else { self.spent_until.max(now) }
    }

    /// The size of the entry, encoded, with the tickets that are attached to it.
    pub(super) fn entry_bytes(&self) -> usize {
        self.entry.as_ref().map_or(0, SignedPeerEntry::encoded_len)
    }

    /// When this peer last gave a sign of life, by its own clock.
    pub(super) fn alive_at(&self) -> u64 {
        let updated = self.entry.as_ref().map_or(0, |entry| entry.update_version().update());
        let beat = self.beat.as_ref().map_or(0, Beat::time);
        max(updated, beat)
    }

    /// Drops what has expired; says when to look again, or `None` if nothing is left.
    pub(super) fn expire(&mut self, now: u64, rules: &Rules, size: usize) -> Option<u64> {
        if self.silent_at(rules, size) < now {
            self.entry = None;
            self.beat = None;
        }
        let memory = rules.memory(size);
        self.departed.take_if(|departed| departed.time().saturating_add(memory) < now);
        self.deadline(rules, size)
    }

    /// When this peer has been silent for too long.
    fn silent_at(&self, rules: &Rules, size: usize) -> u64 {
        let interval = self.beat.as_ref().map_or(0, Beat::interval);
        self.alive_at().saturating_add(rules.patience(interval, size))
    }

    /// When something of this expires next.
    pub(super) fn deadline(&self, rules: &Rules, size: usize) -> Option<u64> {
        let silent =
            (self.entry.is_some() || self.beat.is_some()).then(|| self.silent_at(rules, size));
        let memory = rules.memory(size);
        let forget = self.departed.as_ref().map(|departed| departed.time().saturating_add(memory));
        [silent, forget].into_iter().flatten().min()
    }
}
