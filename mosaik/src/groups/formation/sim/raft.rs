//! A Raft in miniature: terms, logs, elections, joint configurations; its messages take no time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use tokio::time::Instant;

use crate::groups::{
    formation::{Membership, Proposal, RaftView},
    member::{IncarnationId, MemberId},
};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Blank,
    Config { configs: Vec<BTreeSet<MemberId>>, learners: BTreeSet<MemberId> },
    Log(Proposal),
    Command(u64),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) term: u64,
    pub(super) kind: Kind,
}

/// One member's Raft.
#[derive(Clone, Debug)]
pub(super) struct Raft {
    pub(super) member: MemberId,
    pub(super) incarnation: IncarnationId,
    pub(super) term: u64,
    pub(super) log: Vec<Entry>,
    pub(super) commit: usize,
    pub(super) leading: bool,
    pub(super) leader: Option<MemberId>,
    heard: Instant,
    patience: Duration,
    /// On a leader: how much of each log is equal to its own, and when that was heard.
    pub(super) matched: BTreeMap<MemberId, (usize, Instant)>,
}

/// What of the log has been applied.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) open: bool,
    pub(super) dissolved: bool,
    pub(super) yielded: Option<IncarnationId>,
    pub(super) index: u64,
    pub(super) commands: Vec<u64>,
}

impl Raft {
    pub(super) fn new(member: MemberId, incarnation: IncarnationId, now: Instant) -> Self {
        Self {
            member,
            incarnation,
            term: 0,
            log: Vec::new(),
            commit: 0,
            leading: false,
            leader: None,
            heard: now,
            patience: Duration::from_secs(1),
            matched: BTreeMap::new(),
        }
    }

    pub(super) fn initialize(&mut self, voters: BTreeSet<MemberId>) {
        if self.log.is_empty() {
            let kind = Kind::Config { configs: vec![voters], learners: BTreeSet::new() };
            self.log.push(Entry { term: 0, kind });
            self.patience = Duration::ZERO;
        }
    }

    /// The effective configuration, and where it is.
    pub(super) fn config(&self) -> (usize, Vec<BTreeSet<MemberId>>, BTreeSet<MemberId>) {
        let found = self.log.iter().enumerate().rev().find_map(|(at, entry)| match &entry.kind {
            Kind::Config { configs, learners } => Some((at, configs.clone(), learners.clone())),
            _ => None,
        });
        found.unwrap_or_default()
    }

    pub(super) fn propose(&mut self, kind: Kind) {
        self.log.push(Entry { term: self.term, kind });
    }

    /// It leads, and an entry of its own term is committed.
    pub(super) fn is_settled(&self) -> bool {
        self.leading && self.log[..self.commit].iter().any(|entry| entry.term == self.term)
    }

    pub(super) fn applied(&self) -> Applied {
        let mut applied = Applied::default();
        for entry in &self.log[..self.commit] {
            match &entry.kind {
                Kind::Log(Proposal::Open) => applied.open |= !applied.dissolved,
                Kind::Log(Proposal::Dissolve) => applied.dissolved |= !applied.open,
                Kind::Log(Proposal::Yield { winner }) => applied.yielded = Some(*winner),
                Kind::Command(id) => {
                    applied.index += 1;
                    let gone = applied.yielded.is_some_and(|winner| winner != self.incarnation);
                    if applied.open && !gone {
                        applied.commands.push(*id);
                    }
                }
                Kind::Blank | Kind::Config { .. } => {}
            }
        }
        applied
    }

    pub(super) fn view(&self) -> RaftView {
        let applied = self.applied();
        let (at, configs, learners) = self.config();
        let commands = |log: &[Entry]| {
            log.iter().filter(|entry| matches!(entry.kind, Kind::Command(_))).count() as u64
        };
        let stored = self.matched.iter().filter(|(_, (len, _))| *len > 0).map(|(it, _)| *it);
        let stored_by = if self.leading && !applied.open {
            stored.chain([self.member]).collect()
        } else {
            BTreeSet::new()
        };
        RaftView {
            member: self.member,
            incarnation: self.incarnation,
            term: self.term,
            leader: self.leader,
            leading: self.is_settled(),
            log_end: self.log.len().checked_sub(1).map(|end| end as u64),
            logged: commands(&self.log),
            applied: applied.index,
            open: applied.open,
            dissolved: applied.dissolved,
            yielded_to: applied.yielded,
            poisoned: false,
            membership: Membership {
                at: at as u64,
                term: self.log.get(at).map_or(0, |entry| entry.term),
                committed: !configs.is_empty() && self.commit > at,
                configs,
                learners,
            },
            stored_by,
        }
    }

    fn last(&self) -> (u64, usize) {
        (self.log.last().map_or(0, |entry| entry.term), self.log.len())
    }

    /// One round of a leader with one member, whose answer may not get back.
    fn append(&mut self, to: &mut Self, answers: bool, now: Instant, rng: &mut StdRng) {
        if to.term > self.term && !answers {
            return;
        }
        if to.term > self.term {
            self.term = to.term;
            self.leading = false;
            self.leader = None;
            return;
        }
        to.term = self.term;
        to.leading = false;
        to.leader = Some(self.member);
        to.heard = now;
        let same = self.log.iter().zip(&to.log).take_while(|(a, b)| a == b).count();
        if same < to.log.len() && same < self.log.len() {
            assert!(to.commit <= same, "what was committed is never taken back");
            to.log.truncate(same);
        }
        let end = (same + rng.random_range(0..8)).min(self.log.len());
        if end > to.log.len() {
            to.log.extend_from_slice(&self.log[to.log.len()..end]);
        }
        let known = to.log.len().min(self.log.len());
        to.commit = to.commit.max(self.commit.min(known));
        if answers {
            self.matched.insert(to.member, (known, now));
        }
    }

    fn advance(&mut self) {
        let (_, configs, _) = self.config();
        for end in (self.commit + 1..=self.log.len()).rev() {
            let has = |member: &MemberId| {
                *member == self.member || self.matched.get(member).is_some_and(|it| it.0 >= end)
            };
            let stored = is_quorum(&configs, has);
            if stored && self.log[end - 1].term == self.term {
                self.commit = end;
                break;
            }
        }
        let (at, configs, learners) = self.config();
        if configs.len() > 1 && self.commit > at && self.log[at].term == self.term {
            let new = configs.last().cloned().unwrap_or_default();
            self.propose(Kind::Config { configs: vec![new], learners });
        }
    }
}

pub(super) fn is_quorum(configs: &[BTreeSet<MemberId>], has: impl Fn(&MemberId) -> bool) -> bool {
    !configs.is_empty()
        && configs
            .iter()
            .all(|voters| voters.iter().filter(|it| has(it)).count() > voters.len() / 2)
}

/// Lets every Raft do one step. `passes(a, b)`: something gets from the host of the one to that of
/// the other.
pub(super) fn step(
    rafts: &mut [Option<Raft>],
    passes: &dyn Fn(usize, usize) -> bool,
    now: Instant,
    rng: &mut StdRng,
) {
    for host in 0..rafts.len() {
        let Some(mut raft) = rafts[host].take() else { continue };
        if raft.leading {
            for (other, to) in rafts.iter_mut().enumerate() {
                let Some(to) = to else { continue };
                let (_, configs, learners) = raft.config();
                let named = learners.contains(&to.member)
                    || configs.iter().any(|it| it.contains(&to.member));
                let meets = to.incarnation == raft.incarnation && passes(host, other);
                if raft.leading && named && meets && rng.random_bool(0.7) {
                    raft.append(to, passes(other, host), now, rng);
                }
            }
            if raft.leading {
                raft.advance();
            }
        } else if now.duration_since(raft.heard) >= raft.patience {
            campaign(&mut raft, host, rafts, passes, now, rng);
        }
        rafts[host] = Some(raft);
    }
}

fn campaign(
    raft: &mut Raft,
    host: usize,
    rafts: &mut [Option<Raft>],
    passes: &dyn Fn(usize, usize) -> bool,
    now: Instant,
    rng: &mut StdRng,
) {
    raft.heard = now;
    raft.patience = Duration::from_millis(rng.random_range(900..1_800));
    let (_, configs, _) = raft.config();
    if !configs.iter().any(|voters| voters.contains(&raft.member)) {
        return;
    }
    let mut granted = BTreeSet::from([raft.member]);
    let mut term = raft.term;
    for (other, to) in rafts.iter().enumerate() {
        let Some(to) = to else { continue };
        let idle = now.duration_since(to.heard) >= Duration::from_millis(600) || to.log.is_empty();
        let reaches = passes(host, other) && passes(other, host);
        let meets = to.incarnation == raft.incarnation && reaches;
        if meets && idle && !to.leading && to.last() <= raft.last() {
            granted.insert(to.member);
            term = term.max(to.term);
        }
    }
    if !is_quorum(&configs, |member| granted.contains(member)) {
        return;
    }
    raft.term = term + 1;
    for to in rafts.iter_mut().flatten() {
        if granted.contains(&to.member) {
            to.term = raft.term;
            to.leading = false;
        }
    }
    raft.leading = true;
    raft.leader = Some(raft.member);
    raft.matched.clear();
    raft.propose(Kind::Blank);
}
