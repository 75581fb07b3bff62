//! What is done to the hosts and the network between them.

use std::collections::BTreeSet;

use rand::{RngExt, seq::SliceRandom};

use super::{
    plan::FAULTS,
    raft::{self, Raft},
    world::{Event, World},
};
use crate::groups::member::MemberId;

impl World {
    /// Whether a restart of this host leaves every open incarnation a quorum.
    pub(super) fn may_die(&self, host: usize) -> bool {
        let Some(raft) = &self.rafts[host] else { return true };
        if !self.opened.contains_key(&raft.incarnation) {
            return true;
        }
        let dies = raft.member;
        let alive: BTreeSet<MemberId> =
            self.rafts.iter().flatten().map(|raft| raft.member).filter(|it| *it != dies).collect();
        let inside = |it: &&Raft| it.incarnation == raft.incarnation;
        self.rafts.iter().flatten().filter(inside).all(|raft| {
            let (_, configs, _) = raft.config();
            configs.is_empty() || raft::is_quorum(&configs, |member| alive.contains(member))
        })
    }

    pub(super) fn fault(&mut self) {
        let end = self.base + FAULTS;
        if self.now >= end {
            self.note(|| "all faults end".to_owned());
            self.cut.clear();
            return;
        }
        let hosts = self.hosts.len();
        match self.rng.random_range(0..6) {
            0 | 1 => self.split(),
            2 => {
                let (a, b) = (self.rng.random_range(0..hosts), self.rng.random_range(0..hosts));
                if a != b {
                    self.note(|| format!("nothing gets from {a} to {b}"));
                    self.cut.insert((a, b));
                }
            }
            3 if self.plan.restarts => {
                let host = self.rng.random_range(0..hosts);
                // A founder in memory must not restart during a partition.
                let allowed = self.plan.strict.is_none() || self.cut.is_empty();
                if allowed && self.hosts[host].formation.is_some() && self.may_die(host) {
                    self.stop(host);
                    let at = self.soon(3_000);
                    self.push(at, Event::Back { host });
                }
            }
            _ => self.heal(),
        }
        let at = self.soon(self.plan.calm_ms).min(end);
        self.push(at, Event::Fault);
    }

    pub(super) fn heal(&mut self) {
        self.note(|| "the network is whole".to_owned());
        self.cut.clear();
    }

    pub(super) fn split(&mut self) {
        if self.now >= self.base + FAULTS {
            return;
        }
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.shuffle(&mut self.rng);
        let at = self.rng.random_range(0..=order.len());
        self.note(|| format!("split {order:?} at {at}"));
        for a in &order[..at] {
            for b in &order[at..] {
                self.cut.extend([(*a, *b), (*b, *a)]);
            }
        }
    }
}
