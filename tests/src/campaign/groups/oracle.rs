//! Judges what clients were told: observations go in, findings come out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::journal::Extent;

/// One run of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub node: usize,
    /// How often the node had been restarted.
    pub run: u32,
}

/// What a client was told of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Applied: how far the journal was then.
    Applied(Extent),
    /// It will be applied.
    Fed,
    /// It was committed; the answer is not known.
    Committed,
    /// It was certainly not applied.
    Refused,
    /// Nothing for sure.
    Unknown,
}

/// All that is known of a command.
#[derive(Clone, Copy, Debug)]
struct Call {
    place: Place,
    told: Told,
}

/// How far the journals must be for whoever asks now, by their origins.
#[derive(Clone, Debug)]
pub struct Floor(BTreeMap<u64, u64>);

/// Every command is applied at most once, and those that were answered are, where it was said; what
/// was refused is not. In a strict group an answer reflects all that was answered before it was
/// asked for, anywhere: since the journal only grows, that makes the history linearizable. In an
/// elastic group that holds within each incarnation, and what was answered in others than the last
/// may be missing if as much was told to be dropped.
#[derive(Debug, Default)]
pub struct Oracle {
    strict: bool,
    calls: HashMap<u64, Call>,
    reads: Vec<Extent>,
    /// The longest journal that anybody was told of, of each origin.
    longest: BTreeMap<u64, u64>,
    /// What each run of a node was told to be dropped.
    dropped: BTreeMap<Place, u64>,
    crashed: BTreeSet<Place>,
    /// Who was told that its group can never agree on anything again.
    unrecoverable: BTreeSet<Place>,
    /// What is wrong.
    pub findings: Vec<String>,
    pub answered: u64,
    pub refused: u64,
    pub unknown: u64,
    pub read: u64,
    /// Commands that were answered and are gone, with a report.
    pub lost: u64,
}

impl Oracle {
    #[must_use]
    pub fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// Somebody asks for something.
    #[must_use]
    pub fn asks(&self) -> Floor {
        Floor(self.longest.clone())
    }

    /// A command was given.
    pub fn calls(&mut self, entry: u64, place: Place) {
        let call = Call { place, told: Told::Unknown };
        if self.calls.insert(entry, call).is_some() {
            self.found(format!("the harness gave {entry:x} twice"));
        }
    }

    /// Its client was told something.
    pub fn told(&mut self, entry: u64, floor: Floor, told: Told) {
        match told {
            Told::Applied(extent) => {
                self.answered += 1;
                self.check(&format!("command {entry:x}"), &floor, 1, extent);
            }
            Told::Fed | Told::Committed => self.answered += 1,
            Told::Refused => self.refused += 1,
            Told::Unknown => self.unknown += 1,
        }
        if let Some(call) = self.calls.get_mut(&entry) {
            call.told = told;
        }
    }

    /// A strong query was answered.
    pub fn reads(&mut self, floor: Floor, extent: Extent) {
        self.read += 1;
        self.reads.push(extent);
        self.check("a read", &floor, 0, extent);
    }

    fn check(&mut self, what: &str, floor: &Floor, more: u64, extent: Extent) {
        let due = match self.strict {
            true => floor.0.values().copied().max(),
            // Before the first entry nobody knows which incarnation it was.
            false => floor.0.get(&extent.origin).copied(),
        };
        let least = due.unwrap_or_default() + more;
        if extent.length < least {
            let text = format!("{what} saw {} entries, and {least} were due", extent.length);
            self.found(format!("not linearizable: {text}"));
        }
        let longest = self.longest.entry(extent.origin).or_default();
        *longest = extent.length.max(*longest);
    }

    /// A member was told that so many commands of its incarnation are lost.
    pub fn merged(&mut self, place: Place, dropped: u64) {
        *self.dropped.entry(place).or_default() += dropped;
    }

    /// A node was crashed: it reports nothing more.
    pub fn crashed(&mut self, place: Place) {
        self.crashed.insert(place);
    }

    /// A member was told that its group can never agree on anything again.
    pub fn unrecoverable(&mut self, place: Place) {
        self.unrecoverable.insert(place);
    }

    /// Whether this member was told so.
    #[must_use]
    pub fn is_unrecoverable(&self, place: Place) -> bool {
        self.unrecoverable.contains(&place)
    }

    /// Every log with these commands is gone.
    pub fn gone(&mut self, entries: &[u64]) {
        for entry in entries {
            if let Some(call) = self.calls.get_mut(entry) {
                call.told = Told::Unknown;
            }
        }
    }

    /// This is what the group has in the end.
    pub fn judge(&mut self, entries: &[u64]) {
        let origin = entries.first();
        let mut extents = vec![Extent::default()];
        let mut places = HashMap::new();
        for entry in entries {
            let extent = extents[extents.len() - 1].with(*entry);
            extents.push(extent);
            if let Some(first) = places.insert(*entry, extent.length) {
                self.found(format!("{entry:x} was applied twice: {first}, {}", extent.length));
            }
            if !self.calls.contains_key(entry) {
                self.found(format!("{entry:x} was applied, and nobody gave it"));
            }
        }
        let mut missing: BTreeMap<Place, u64> = BTreeMap::new();
        let mut calls: Vec<_> = self.calls.iter().map(|(entry, call)| (*entry, *call)).collect();
        calls.sort_unstable_by_key(|(entry, _)| *entry);
        for (entry, Call { place, told }) in calls {
            match (told, places.get(&entry)) {
                (Told::Refused, Some(at)) => {
                    self.found(format!("{entry:x} was refused, and is applied at {at}"));
                }
                (Told::Applied(extent), Some(at)) if extents[*at as usize] != extent => {
                    self.found(format!("{entry:x} is at {at}, and was answered with {extent:?}"));
                }
                // Who feeds and dies has nobody to send it again.
                (Told::Fed, None) if self.crashed.contains(&place) => {}
                (Told::Applied(_) | Told::Fed | Told::Committed, None) => {
                    *missing.entry(place).or_default() += 1;
                    let of_the_last =
                        matches!(told, Told::Applied(extent) if Some(&extent.origin) == origin);
                    if self.strict || of_the_last {
                        self.found(format!("{entry:x} was answered, {told:?}, and is lost"));
                    }
                }
                _ => {}
            }
        }
        for read in std::mem::take(&mut self.reads) {
            let of_the_last = self.strict || Some(&read.origin) == origin;
            if of_the_last && extents.get(read.length as usize) != Some(&read) {
                self.found(format!("a read saw {read:?}, which never was"));
            }
        }
        if !self.strict {
            self.unreported(&missing);
        }
    }

    /// What is missing, and nobody was told of.
    fn unreported(&mut self, missing: &BTreeMap<Place, u64>) {
        for (place, missing) in missing {
            self.lost += missing;
            let told = match self.crashed.contains(place) {
                false => self.dropped.get(place).copied().unwrap_or_default(),
                // The others of its incarnation were told.
                true => self.dropped.values().copied().max().unwrap_or_default(),
            };
            if told < *missing {
                self.found(format!("{missing} answers to {place:?} are lost, {told} were told"));
            }
        }
    }

    /// Something else is wrong.
    pub fn found(&mut self, finding: String) {
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Place = Place { node: 0, run: 0 };
    const B: Place = Place { node: 1, run: 0 };

    fn extent(entries: &[u64]) -> Extent {
        entries.iter().fold(Extent::default(), |extent, entry| extent.with(*entry))
    }

    fn applied(oracle: &mut Oracle, place: Place, entries: &[u64]) {
        let entry = entries[entries.len() - 1];
        oracle.calls(entry, place);
        let floor = oracle.asks();
        oracle.told(entry, floor, Told::Applied(extent(entries)));
    }

    #[track_caller]
    fn one_finding(oracle: &Oracle, about: &str) {
        let findings = &oracle.findings;
        assert!(findings.len() == 1 && findings[0].contains(about), "{findings:?}");
    }

    fn strict(history: impl FnOnce(&mut Oracle), end: &[u64]) -> Oracle {
        let mut oracle = Oracle::new(true);
        history(&mut oracle);
        oracle.judge(end);
        oracle
    }

    #[test]
    fn a_history_in_order_is_fine() {
        let oracle = strict(
            |it| {
                applied(it, A, &[1]);
                applied(it, B, &[1, 2]);
                it.reads(it.asks(), extent(&[1, 2]));
            },
            &[1, 2],
        );
        assert!(oracle.findings.is_empty(), "{:?}", oracle.findings);
    }

    #[test]
    fn what_is_lost_doubled_or_elsewhere_is_found() {
        one_finding(&strict(|it| applied(it, A, &[1]), &[]), "is lost");
        one_finding(&strict(|it| it.calls(1, A), &[1, 1]), "applied twice");
        let elsewhere = strict(
            |it| {
                it.calls(2, B);
                applied(it, A, &[1]);
            },
            &[2, 1],
        );
        one_finding(&elsewhere, "was answered with");
        one_finding(&strict(|_| {}, &[1]), "nobody gave it");
    }

    #[test]
    fn stale_answers_are_found() {
        let stale = strict(
            |it| {
                applied(it, A, &[1]);
                it.reads(it.asks(), Extent::default());
            },
            &[1],
        );
        one_finding(&stale, "not linearizable");
        let of_another_history = strict(
            |it| {
                applied(it, A, &[1]);
                it.reads(it.asks(), extent(&[2]));
            },
            &[1],
        );
        one_finding(&of_another_history, "never was");
    }

    #[test]
    fn what_was_refused_must_not_be_there_and_what_is_unknown_may() {
        let history = |told| {
            move |it: &mut Oracle| {
                it.calls(1, A);
                it.told(1, it.asks(), told);
            }
        };
        one_finding(&strict(history(Told::Refused), &[1]), "was refused");
        for end in [&[1][..], &[]] {
            assert!(strict(history(Told::Unknown), end).findings.is_empty());
        }
    }

    #[test]
    fn each_incarnation_of_an_elastic_group_is_judged_by_itself() {
        let history = |reads: &[u64]| {
            let mut oracle = Oracle::new(false);
            applied(&mut oracle, A, &[1]);
            applied(&mut oracle, A, &[1, 2]);
            applied(&mut oracle, B, &[3]);
            oracle.reads(oracle.asks(), extent(reads));
            oracle.merged(B, 1);
            oracle.judge(&[1, 2]);
            oracle
        };
        for fine in [&[1, 2][..], &[3]] {
            assert!(history(fine).findings.is_empty(), "{:?}", history(fine).findings);
        }
        one_finding(&history(&[1]), "not linearizable");
        one_finding(&history(&[1, 2, 9]), "never was");
    }

    #[test]
    fn what_the_last_incarnation_has_answered_is_not_lost_with_a_report() {
        let mut oracle = Oracle::new(false);
        applied(&mut oracle, A, &[1]);
        applied(&mut oracle, A, &[1, 2]);
        oracle.merged(A, 2);
        oracle.judge(&[1]);
        one_finding(&oracle, "is lost");
    }

    #[test]
    fn an_elastic_group_may_lose_what_no_log_has_any_more() {
        for (buried, findings) in [(true, 0), (false, 1)] {
            let mut oracle = Oracle::new(false);
            applied(&mut oracle, A, &[1]);
            oracle.crashed(A);
            if buried {
                oracle.gone(&[1]);
            }
            oracle.judge(&[]);
            assert_eq!(oracle.findings.len(), findings, "{:?}", oracle.findings);
        }
    }

    #[test]
    fn an_elastic_group_may_lose_what_it_reports() {
        for (told, count) in [(0, 1), (1, 1), (2, 0)] {
            let mut oracle = Oracle::new(false);
            applied(&mut oracle, A, &[1]);
            applied(&mut oracle, A, &[1, 2]);
            oracle.merged(A, told);
            oracle.judge(&[]);
            assert_eq!(oracle.findings.len(), count, "{:?}", oracle.findings);
        }
    }
}
