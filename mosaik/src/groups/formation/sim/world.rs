//! What there is, and what happens next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use iroh::SecretKey;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{
    hosts::Host,
    links::Bond,
    plan::{FAULTS, HEALING, Plan},
    raft::{self, Kind, Raft},
};
use crate::groups::{
    autopilot::{Autopilot, Settings},
    formation::{Input, RaftView, Stage},
    member::{IncarnationId, MemberId},
};

const STEP: Duration = Duration::from_millis(50);

pub(super) enum Event {
    Deliver {
        host: usize,
        life: u64,
        bond: Option<(usize, u64)>,
        input: Input,
    },
    View {
        host: usize,
        member: MemberId,
        view: RaftView,
    },
    Start {
        host: usize,
        member: MemberId,
        incarnation: IncarnationId,
        founding: Option<BTreeSet<MemberId>>,
    },
    Drop {
        host: usize,
        life: u64,
        incarnation: IncarnationId,
        only_at: Option<Option<u64>>,
    },
    Propose {
        host: usize,
        member: MemberId,
        kind: Kind,
    },
    Tick {
        host: usize,
    },
    Step,
    Fault,
    Split,
    Back {
        host: usize,
    },
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) rng: StdRng,
    pub(super) base: Instant,
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    pub(super) rafts: Vec<Option<Raft>>,
    pub(super) queue: BTreeMap<(Instant, u64), Event>,
    pub(super) sequence: u64,
    /// From whom nothing gets to whom.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) bonds: BTreeMap<(usize, usize), Bond>,
    pub(super) in_order: BTreeMap<(usize, usize), Instant>,
    pub(super) next_command: u64,
    /// Of each incarnation: commands in the order in which they were committed.
    pub(super) committed: BTreeMap<IncarnationId, Vec<u64>>,
    /// Incarnations that ever opened, and when.
    pub(super) opened: BTreeMap<IncarnationId, Instant>,
    pub(super) merged: BTreeMap<IncarnationId, u64>,
    pub(super) lost: BTreeSet<IncarnationId>,
    pub(super) broken: Option<String>,
    pub(super) healed_at: Option<Instant>,
    pub(super) trace: Vec<String>,
}

impl World {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        let base = Instant::now();
        let rng = StdRng::seed_from_u64(seed);
        let mut world = Self {
            rng,
            base,
            now: base,
            hosts: Vec::new(),
            rafts: vec![None; plan.hosts],
            queue: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            bonds: BTreeMap::new(),
            in_order: BTreeMap::new(),
            next_command: 0,
            committed: BTreeMap::new(),
            opened: BTreeMap::new(),
            merged: BTreeMap::new(),
            lost: BTreeSet::new(),
            broken: None,
            healed_at: None,
            trace: Vec::new(),
            plan,
        };
        for number in 0..world.plan.hosts {
            let key = SecretKey::from_bytes(&[u8::try_from(number).unwrap() + 1; 32]);
            let observer = number >= world.plan.hosts - world.plan.observers;
            world.hosts.push(Host {
                peer: key.public(),
                observer,
                life: 0,
                formation: None,
                autopilot: Autopilot::new(Settings::new(world.plan.strict, 5, false)),
                led: false,
                joining: BTreeSet::new(),
                shown: None,
                tick: None,
                sessions: 0,
            });
            let at = world.soon(2_000);
            world.push(at, Event::Back { host: number });
        }
        world.push(base, Event::Step);
        let at = world.soon(4_000);
        world.push(at, Event::Fault);
        world
    }

    pub(super) fn soon(&mut self, most_ms: u64) -> Instant {
        self.now + Duration::from_millis(self.rng.random_range(0..=most_ms))
    }

    pub(super) fn push(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        let at = self.now.duration_since(self.base).as_millis();
        self.trace.push(format!("{at:>6} {}", what()));
    }

    pub(super) fn run(&mut self) {
        let end = self.base + FAULTS + HEALING;
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > end || self.broken.is_some() {
                break;
            }
            self.now = at;
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver { host, life, bond, input } => self.deliver(host, life, bond, input),
            Event::View { host, member, view } => {
                if self.rafts[host].as_ref().is_some_and(|raft| raft.member == member) {
                    self.input(host, Input::Raft(view));
                }
            }
            Event::Start { host, member, incarnation, founding } => {
                let mut raft = Raft::new(member, incarnation, self.now);
                if let Some(voters) = founding {
                    raft.initialize(voters);
                }
                let present =
                    self.hosts[host].formation.as_ref().map(|it| (it.me(), it.incarnation()));
                if present == Some((member, Some(incarnation))) {
                    self.rafts[host] = Some(raft);
                }
            }
            Event::Drop { host, life, incarnation, only_at } => {
                self.drop_log(host, life, incarnation, only_at);
            }
            Event::Propose { host, member, kind } => {
                if let Some(raft) = &mut self.rafts[host]
                    && raft.member == member
                    && raft.leading
                {
                    raft.propose(kind);
                }
            }
            Event::Tick { host } => {
                if self.hosts[host].tick == Some(self.now) {
                    self.hosts[host].tick = None;
                    self.input(host, Input::Tick);
                }
            }
            Event::Step => self.step(),
            Event::Fault => self.fault(),
            Event::Split => self.split(),
            Event::Back { host } => self.back(host),
        }
    }

    fn step(&mut self) {
        let at = self.now + STEP;
        self.push(at, Event::Step);
        self.bonds();
        let cut = self.cut.clone();
        let passes = |from: usize, to: usize| !cut.contains(&(from, to));
        raft::step(&mut self.rafts, &passes, self.now, &mut self.rng);
        for host in 0..self.hosts.len() {
            self.write(host);
            self.show(host);
            self.pilot(host);
        }
        self.record();
    }

    fn record(&mut self) {
        for raft in self.rafts.iter().flatten() {
            let applied = raft.applied();
            let known = self.committed.entry(raft.incarnation).or_default();
            let same = applied.commands.iter().zip(known.iter()).all(|(a, b)| a == b);
            if !same {
                self.broken = Some(format!("{}: two histories", raft.incarnation));
            }
            if applied.commands.len() > known.len() {
                *known = applied.commands;
            }
            if applied.open {
                self.opened.entry(raft.incarnation).or_insert(self.now);
            }
        }
        if self.now > self.base + FAULTS {
            match super::check::is_whole(self).map(drop) {
                Ok(()) => _ = self.healed_at.get_or_insert(self.now),
                Err(_) => self.healed_at = None,
            }
        }
    }

    pub(super) fn faults_ended(&self) -> Instant {
        self.base + FAULTS
    }

    pub(super) fn is_inside(&self, host: usize, incarnation: IncarnationId) -> bool {
        self.hosts[host].formation.as_ref().is_some_and(|formation| {
            let status = formation.status();
            status.stage == Stage::Member && status.incarnation == Some(incarnation)
        })
    }
}
