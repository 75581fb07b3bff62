//! Whom sources have found: remembered, and dialled, apart for each source, so that one that is
//! hostile or floods takes nothing from the others.

use std::collections::{BTreeMap, HashMap};

use iroh::EndpointAddr;

use crate::{id::PeerId, random::Random};

/// What a source is called.
pub(in crate::discovery) type SourceName = &'static str;

/// Addresses from one source that are remembered.
const MAX_CANDIDATES: usize = 512;
/// How many of those that one source finds are contacted at once.
const MAX_CONTACTS: usize = 2;
/// Who was not reached so often in a row is forgotten, until a source finds it again.
const MAX_FAILURES: u32 = 3;

/// Whom sources have named, and where; and who is being contacted.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    found: BTreeMap<SourceName, BTreeMap<PeerId, Candidate>>,
    /// The source on whose account it is; none if the peer was known before.
    contacting: HashMap<PeerId, Option<SourceName>>,
}

#[derive(Debug)]
struct Candidate {
    address: EndpointAddr,
    failures: u32,
}

impl Candidates {
    /// A source found a peer. If it has found too many, one of its own gives way.
    pub(super) fn add(&mut self, source: SourceName, address: EndpointAddr, random: &Random) {
        let found = self.found.entry(source).or_default();
        let peer = address.id;
        if found.get(&peer).is_some_and(|known| known.address == address) {
            return;
        }
        // Any: whoever chooses its id chooses its place among the others.
        if found.len() >= MAX_CANDIDATES
            && !found.contains_key(&peer)
            && let Some(any) = found.keys().nth(random.below(found.len())).copied()
        {
            found.remove(&any);
        }
        found.insert(peer, Candidate { address, failures: 0 });
    }

    /// The sources that have found anybody.
    pub(super) fn sources(&self) -> Vec<SourceName> {
        self.found.keys().copied().collect()
    }

    /// One of those that a source has found and that is wanted, of those that failed least often.
    pub(super) fn pick(
        &self,
        source: SourceName,
        is_wanted: impl Fn(&PeerId) -> bool,
        random: &Random,
    ) -> Option<EndpointAddr> {
        let found = self.found.get(source)?;
        let wanted = found
            .iter()
            .filter(|(peer, _)| !self.contacting.contains_key(*peer) && is_wanted(peer))
            .map(|(_, candidate)| candidate);
        let wanted: Vec<_> = wanted.collect();
        let least = wanted.iter().map(|candidate| candidate.failures).min()?;
        let best: Vec<_> = wanted.iter().filter(|one| one.failures == least).collect();
        best.get(random.below(best.len())).map(|candidate| candidate.address.clone())
    }

    /// How many of a source's peers are being contacted.
    pub(super) fn contacts(&self, source: SourceName) -> usize {
        self.contacting.values().filter(|by| **by == Some(source)).count()
    }

    /// Whether one more of a source's peers may be contacted.
    pub(super) fn has_room(&self, source: SourceName) -> bool {
        self.contacts(source) < MAX_CONTACTS
    }

    /// A peer is about to be contacted; false if it is being contacted already.
    pub(super) fn begin(&mut self, peer: PeerId, source: Option<SourceName>) -> bool {
        let is_new = !self.contacting.contains_key(&peer);
        if is_new {
            self.contacting.insert(peer, source);
        }
        is_new
    }

    /// A peer was contacted.
    pub(super) fn reached(&mut self, peer: &PeerId) {
        self.contacting.remove(peer);
        self.found.values_mut().filter_map(|found| found.get_mut(peer)).for_each(|candidate| {
            candidate.failures = 0;
        });
    }

    /// A peer could not be contacted.
    pub(super) fn failed(&mut self, peer: &PeerId) {
        self.contacting.remove(peer);
        for found in self.found.values_mut() {
            if let Some(candidate) = found.get_mut(peer) {
                candidate.failures += 1;
                if candidate.failures >= MAX_FAILURES {
                    found.remove(peer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    fn address(seed: u16) -> EndpointAddr {
        let mut key = [1; 32];
        key[..2].copy_from_slice(&seed.to_le_bytes());
        SecretKey::from_bytes(&key).public().into()
    }

    #[test]
    fn a_source_that_floods_pushes_out_only_its_own() {
        let (mut candidates, random) = (Candidates::default(), Random::from_seed(1));
        candidates.add("quiet", address(0), &random);
        for seed in 1..=2 * MAX_CANDIDATES as u16 {
            candidates.add("loud", address(seed), &random);
        }
        assert_eq!(candidates.found["loud"].len(), MAX_CANDIDATES);
        assert_eq!(candidates.found["quiet"].len(), 1);
        // The newest is no safer than the oldest, and the lowest id than the highest.
        let early = (1..=MAX_CANDIDATES as u16)
            .filter(|seed| candidates.found["loud"].contains_key(&address(*seed).id));
        assert!(early.count() > MAX_CANDIDATES / 5);
    }

    #[test]
    fn each_source_has_contacts_of_its_own() {
        let mut candidates = Candidates::default();
        for seed in 0..MAX_CONTACTS as u16 {
            assert!(candidates.has_room("loud"));
            assert!(candidates.begin(address(seed).id, Some("loud")));
        }
        assert!(!candidates.has_room("loud"));
        assert!(candidates.has_room("quiet"));
        assert!(!candidates.begin(address(0).id, Some("quiet")), "it is being contacted already");
        candidates.failed(&address(0).id);
        assert!(candidates.has_room("loud"));
    }

    #[test]
    fn who_fails_is_tried_last_and_at_last_forgotten() {
        let (mut candidates, random) = (Candidates::default(), Random::from_seed(1));
        candidates.add("a", address(1), &random);
        candidates.add("a", address(2), &random);
        let pick = |candidates: &Candidates| candidates.pick("a", |_| true, &random);
        candidates.failed(&address(1).id);
        assert_eq!(pick(&candidates), Some(address(2)));
        candidates.failed(&address(2).id);
        candidates.failed(&address(2).id);
        assert_eq!(pick(&candidates), Some(address(1)));
        candidates.reached(&address(2).id);
        assert_eq!(pick(&candidates), Some(address(2)));
        (0..MAX_FAILURES).for_each(|_| candidates.failed(&address(2).id));
        assert_eq!(candidates.found["a"].len(), 1);
        assert_eq!(candidates.pick("a", |peer| *peer != address(1).id, &random), None);
    }
}
