//! What two catalogs have to tell each other: a summary of each, then only what differs.

use std::{
    cmp::{Reverse, max},
    collections::{HashMap, HashSet},
};

use serde::{Deserialize, Serialize};

use super::State;
use crate::{
    discovery::{
        beat::{Beat, Departure, Raw},
        entry::RawEntry,
        version::PeerEntryVersion,
    },
    id::PeerId,
};

/// Tickets of a peer that take more than this are not passed on with its entry: whoever reads
/// them fetches them from the peer.
const MAX_PASSED_ON_BYTES: usize = 4 * 1024;

/// A peer's public key as it travels. Whether it is one is not looked at: that takes longer than all
/// else that is done with a summary, and a key that is none belongs to nobody.
pub(crate) type RawPeerId = [u8; 32];

/// What one side knows about one peer, in about 60 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) peer: RawPeerId,
    version: PeerEntryVersion,
    /// The date of the last beat, 0 without one.
    beat: u64,
    /// The peer has departed at this version.
    departed: bool,
}

/// A wish for what the other side knows better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Want {
    pub(crate) peer: RawPeerId,
    /// The version that the asking side has.
    pub(crate) version: Option<PeerEntryVersion>,
}

/// One thing that the other side lacks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum SyncItem {
    Entry(RawEntry),
    Beat(Raw<Beat>),
    Departure(Raw<Departure>),
}

impl SyncItem {
    /// The peer that this says it is about.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Entry(entry) => entry.peer(),
            Self::Beat(beat) => Some(*beat.record().peer()),
            Self::Departure(departure) => Some(*departure.record().peer()),
        }
    }
}

impl Want {
    /// The wishes to be answered: the first for each peer. `None` if there are more than
    /// summaries were `offered`.
    pub(crate) fn once_each(mut wants: Vec<Self>, offered: usize) -> Option<Vec<Self>> {
        if wants.len() > offered {
            return None;
        }
        let mut seen = HashSet::new();
        wants.retain(|want| seen.insert(want.peer));
        Some(wants)
    }
}

impl State {
    /// What this side knows, for the other one to compare.
    pub(crate) fn summary(&self) -> Vec<Summary> {
        let local = Summary {
            peer: *self.local().id().as_bytes(),
            version: self.local().update_version(),
            beat: self.local().beat().map_or(0, Beat::time),
            departed: false,
        };
        let known = self.known().keys().filter_map(|peer| self.summary_of(peer));
        std::iter::once(local).chain(known).collect()
    }

    fn summary_of(&self, peer: &PeerId) -> Option<Summary> {
        let known = self.known().get(peer)?;
        let (version, departed) = match (known.entry(), known.departed_version()) {
            (Some(entry), _) => (entry.update_version(), false),
            (None, Some(version)) => (version, true),
            (None, None) => return None,
        };
        let beat = known.beat().map_or(0, Beat::time);
        Some(Summary { peer: *peer.as_bytes(), version, beat, departed })
    }

    /// What the other side lacks, as wishes that it would have, and what it knows better, by its
    /// summary; both in the order in which they are to be told. `other` is told about itself only
    /// what it may not have said: somebody else may have its key.
    pub(crate) fn compare(&self, other: &PeerId, theirs: &[Summary]) -> (Vec<Want>, Vec<Want>) {
        let (me, other) = (self.local().id().as_bytes(), other.as_bytes());
        let by_peer: HashMap<&RawPeerId, &Summary> =
            theirs.iter().map(|summary| (&summary.peer, summary)).collect();
        let mine = self.summary();
        let lacking = mine
            .iter()
            .filter(|mine| match by_peer.get(&mine.peer) {
                Some(theirs) if mine.peer == *other => mine.version > theirs.version,
                Some(theirs) => mine.tells_more_than(theirs),
                None => mine.peer != *other,
            })
            .collect();
        let lacking = newest_first(lacking, &by_peer);
        let mine: HashMap<&RawPeerId, &Summary> =
            mine.iter().map(|summary| (&summary.peer, summary)).collect();
        let wanted = theirs
            .iter()
            .filter(|theirs| match mine.get(&theirs.peer) {
                Some(mine) if mine.peer == *me => theirs.version > mine.version,
                Some(mine) => theirs.tells_more_than(mine),
                None => true,
            })
            .collect();
        let wants = newest_first(wanted, &mine);
        (lacking, wants)
    }

    /// The answer to a wish: the least that brings the other side up to date.
    pub(crate) fn item(&self, want: &Want) -> Option<SyncItem> {
        let me = self.local().id();
        let is_own = want.peer == *me.as_bytes();
        let peer = if is_own { me } else { self.known().get_key_value(&want.peer)?.0 };
        if let Some(record) = self.record(peer) {
            return Some(match record.beat() {
                Some(beat) if Some(record.update_version()) == want.version => {
                    SyncItem::Beat(Raw::from(beat.clone()))
                }
                _ if record.held_tickets_bytes() <= MAX_PASSED_ON_BYTES => {
                    SyncItem::Entry(record.to_raw_with_tickets())
                }
                _ => SyncItem::Entry(record.to_raw()),
            });
        }
        let departure = self.known().get(peer)?.departure()?;
        Some(SyncItem::Departure(Raw::from(departure.clone())))
    }
}

/// The wishes for what one side has, by what the other side has. Those who gave a sign of life last
/// come first: how old one may be depends on the size of the network, and a newcomer learns of that
/// as they come.
fn newest_first(mut better: Vec<&Summary>, known: &HashMap<&RawPeerId, &Summary>) -> Vec<Want> {
    better.sort_unstable_by_key(|summary| Reverse(summary.alive_at()));
    let want = |summary: &&Summary| Want {
        peer: summary.peer,
        version: known.get(&summary.peer).and_then(|known| known.entry_version()),
    };
    better.iter().map(want).collect()
}

impl Summary {
    /// When the peer last gave a sign of life; 0 if it has departed.
    fn alive_at(&self) -> u64 {
        if self.departed { 0 } else { max(self.version.update(), self.beat) }
    }

    /// Whether this side has something to tell about the peer that the other has not.
    fn tells_more_than(&self, other: &Self) -> bool {
        let rank = |summary: &Self| (summary.version, summary.departed, summary.beat);
        rank(self) > rank(other)
    }

    fn entry_version(&self) -> Option<PeerEntryVersion> {
        (!self.departed).then_some(self.version)
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Summary {
    pub(crate) fn sample(peer: PeerId, version: PeerEntryVersion) -> Self {
        Self { peer: *peer.as_bytes(), version, beat: 3, departed: true }
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Want {
    pub(crate) fn sample(peer: PeerId, version: PeerEntryVersion) -> Self {
        Self { peer: *peer.as_bytes(), version: Some(version) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use iroh::SecretKey;

    use super::*;
    use crate::{
        discovery::{
            catalog::{Effects, Input, Merged, Rules},
            made_up_entries,
            version::micros,
        },
        id::NetworkId,
        schema,
    };

    #[test]
    fn the_summary_of_ten_thousand_peers_is_under_a_megabyte() {
        let network = NetworkId::from("large");
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let spans = [Duration::from_secs(300), Duration::from_secs(50)];
        let rules = Rules::new(network, spans[0], spans[1]);
        let mut entries = made_up_entries(network, 10_001, now);
        let mut state = State::new(rules, entries.next().unwrap());
        let date = micros(now);
        for entry in entries {
            let merged = state.merge(Input::Entry(entry), date, &mut Effects::default());
            assert_eq!(merged, Ok(Merged::New));
        }
        let summary = state.summary();
        assert_eq!(summary.len(), 10_001);
        let bytes = schema::encode(&summary).unwrap().len();
        println!("the summary of 10,000 peers takes {bytes} bytes");
        assert!(bytes < 1_000_000, "{bytes}");
        let other = SecretKey::from_bytes(&[1; 32]).public();
        let (lacking, wants) = state.compare(&other, &summary);
        assert!(lacking.is_empty() && wants.is_empty(), "equal catalogs tell each other nothing");
    }

    #[test]
    fn a_peer_is_answered_once_however_often_it_is_asked_for() {
        let want = |seed| Want { peer: [seed; 32], version: None };
        let wants = vec![want(1), want(2), want(1), want(1)];
        assert_eq!(Want::once_each(wants.clone(), 4), Some(vec![want(1), want(2)]));
        assert_eq!(Want::once_each(wants, 3), None);
    }
}
