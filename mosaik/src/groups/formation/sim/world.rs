//! The hosts, their bonds, the faults, and what becomes of effects.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use iroh::SecretKey;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::time::Instant;

use super::raft::{self, Kind, Raft};
use crate::{
    groups::{
        autopilot::{self, Action, Autopilot, Preference, Settings, View},
        formation::{
            Config, Effect, Formation, FormationEvent, Input, Message, RaftView, Stage, Status,
        },
        member::{IncarnationId, MemberId},
    },
    id::PeerId,
};

const STEP: Duration = Duration::from_millis(50);
/// How long faults last, and how long there is to heal after them.
const FAULTS: Duration = Duration::from_secs(100);
const HEALING: Duration = Duration::from_secs(90);

/// What a run is about.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) strict: Option<usize>,
    pub(super) hosts: usize,
    observers: usize,
    pub(super) restarts: bool,
    /// The longest time from one fault to the next, in milliseconds.
    calm_ms: u64,
    /// Messages (not statuses) are lost and overtake each other.
    wild: bool,
}

impl Plan {
    pub(super) fn strict(seed: u64) -> Self {
        let n = if seed.is_multiple_of(3) { 5 } else { 3 };
        let hosts = n + (seed / 3) as usize % n;
        Self {
            strict: Some(n),
            hosts,
            observers: 0,
            restarts: false,
            calm_ms: calm_ms(seed),
            wild: seed.is_multiple_of(2),
        }
    }

    pub(super) fn strict_with_restarts(seed: u64) -> Self {
        Self { restarts: true, ..Self::strict(seed) }
    }

    pub(super) fn elastic(seed: u64) -> Self {
        let hosts = 1 + (seed % 7) as usize;
        let observers = usize::from(seed.is_multiple_of(5) && hosts > 2);
        let restarts = !seed.is_multiple_of(3);
        Self {
            strict: None,
            hosts,
            observers,
            restarts,
            calm_ms: calm_ms(seed),
            wild: seed.is_multiple_of(2),
        }
    }
}

/// From many short faults to a few that outlast every patience.
fn calm_ms(seed: u64) -> u64 {
    [1_500, 6_000, 30_000][(seed / 2 % 3) as usize]
}

pub(super) struct Host {
    pub(super) peer: PeerId,
    pub(super) observer: bool,
    /// Counts restarts and renewals: what was meant for the one before is not delivered.
    life: u64,
    pub(super) formation: Option<Formation>,
    autopilot: Autopilot,
    led: bool,
    joining: BTreeSet<MemberId>,
    shown: Option<RaftView>,
    tick: Option<Instant>,
    sessions: u64,
}

enum Event {
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
    queue: BTreeMap<(Instant, u64), Event>,
    sequence: u64,
    cut: BTreeSet<(usize, usize)>,
    bonds: BTreeMap<(usize, usize), Bond>,
    in_order: BTreeMap<(usize, usize), Instant>,
    next_command: u64,
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

struct Bond {
    number: u64,
    broken_at: Option<Instant>,
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

    fn soon(&mut self, most_ms: u64) -> Instant {
        self.now + Duration::from_millis(self.rng.random_range(0..=most_ms))
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
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

    fn is_reachable(&self, a: usize, b: usize) -> bool {
        !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a))
    }

    fn deliver(&mut self, host: usize, life: u64, bond: Option<(usize, u64)>, input: Input) {
        if let Some((from, number)) = bond {
            let pair = (host.min(from), host.max(from));
            if self.bonds.get(&pair).is_none_or(|bond| bond.number != number) {
                return;
            }
            if !self.is_reachable(host, from) {
                // It waits in the connection until that is given up.
                let at = self.in_order(from, host, Duration::from_millis(100));
                self.push(at, Event::Deliver { host, life, bond, input });
                return;
            }
        }
        if self.hosts[host].life == life {
            self.input(host, input);
        }
    }

    fn in_order(&mut self, from: usize, to: usize, after: Duration) -> Instant {
        let last = self.in_order.get(&(from, to)).copied().unwrap_or(self.now);
        let at = (self.now + after).max(last);
        self.in_order.insert((from, to), at);
        at
    }

    fn input(&mut self, host: usize, input: Input) {
        let now = self.now;
        let Some(formation) = &mut self.hosts[host].formation else { return };
        let effects = formation.on(input, now);
        let wake = formation.next_wakeup();
        if let Some(at) = wake {
            assert!(at > now, "a formation never spins");
            if self.hosts[host].tick != Some(at) {
                self.hosts[host].tick = Some(at);
                self.push(at, Event::Tick { host });
            }
        } else {
            self.hosts[host].tick = None;
        }
        for effect in effects {
            self.carry_out(host, effect);
        }
    }

    fn me(&self, host: usize) -> MemberId {
        self.hosts[host].formation.as_ref().map(Formation::me).unwrap_or_default()
    }

    fn carry_out(&mut self, host: usize, effect: Effect) {
        if !matches!(effect, Effect::Tell(_)) {
            self.note(|| format!("{host}: {effect:?}"));
        }
        match effect {
            Effect::Send { to, message } => self.send(host, to, message),
            Effect::Tell(status) => {
                for other in 0..self.hosts.len() {
                    self.send_status(host, other, status.clone());
                }
            }
            Effect::Start { incarnation, founding, .. } => {
                let member = self.me(host);
                let splits = founding.is_some() && self.rng.random_bool(0.4);
                if splits && self.now < self.base + FAULTS {
                    let at = self.soon(200);
                    self.push(at, Event::Split);
                }
                let at = self.soon(60);
                self.push(at, Event::Start { host, member, incarnation, founding });
            }
            Effect::Discard { incarnation, .. } => {
                let (at, life) = (self.soon(200), self.hosts[host].life);
                self.push(at, Event::Drop { host, life, incarnation, only_at: None });
            }
            Effect::Abandon { incarnation, log_end, .. } => {
                let (at, life) = (self.soon(200), self.hosts[host].life);
                self.push(at, Event::Drop { host, life, incarnation, only_at: Some(log_end) });
            }
            Effect::Propose(proposal) => {
                let (at, member) = (self.soon(60), self.me(host));
                self.push(at, Event::Propose { host, member, kind: Kind::Log(proposal) });
            }
            Effect::AddMember(member) => {
                self.hosts[host].joining.insert(member);
            }
            Effect::Event(FormationEvent::Merged { merged, dropped, .. }) => {
                let most = self.merged.entry(merged).or_default();
                *most = dropped.max(*most);
            }
            Effect::Event(FormationEvent::QuorumUnrecoverable { incarnation, .. }) => {
                self.lost.insert(incarnation);
            }
            Effect::Event(_) => {}
        }
    }

    fn send(&mut self, host: usize, to: PeerId, message: Message) {
        let Some(other) = self.hosts.iter().position(|it| it.peer == to) else { return };
        let pair = (host.min(other), host.max(other));
        let Some(number) = self.bonds.get(&pair).map(|bond| bond.number) else { return };
        let from = self.hosts[host].peer;
        let input = Input::Heard { from, message };
        let delay = Duration::from_millis(self.rng.random_range(1..60));
        let wild = self.plan.wild && self.now < self.base + FAULTS;
        if wild && self.rng.random_bool(0.05) {
            return;
        }
        let at = if wild { self.now + delay * 3 } else { self.in_order(host, other, delay) };
        let life = self.hosts[other].life;
        self.push(at, Event::Deliver { host: other, life, bond: Some((host, number)), input });
    }

    fn send_status(&mut self, host: usize, other: usize, status: Status) {
        let pair = (host.min(other), host.max(other));
        let Some(number) = self.bonds.get(&pair).map(|bond| bond.number) else { return };
        let from = self.hosts[host].peer;
        let delay = Duration::from_millis(self.rng.random_range(1..60));
        let at = self.in_order(host, other, delay);
        let (life, input) = (self.hosts[other].life, Input::Status { from, status });
        self.push(at, Event::Deliver { host: other, life, bond: Some((host, number)), input });
    }

    fn drop_log(
        &mut self,
        host: usize,
        life: u64,
        incarnation: IncarnationId,
        only_at: Option<Option<u64>>,
    ) {
        if self.hosts[host].life != life {
            return;
        }
        let raft = self.rafts[host].as_ref();
        let end = raft.and_then(|raft| raft.log.len().checked_sub(1)).map(|end| end as u64);
        if only_at.is_some_and(|at| at != end) {
            self.note(|| format!("{host}: kept"));
            self.input(host, Input::Kept(incarnation));
            return;
        }
        self.rafts[host] = None;
        self.hosts[host].shown = None;
        let member = self.new_member(host);
        self.note(|| format!("{host}: renewed as {member}"));
        self.input(host, Input::Renewed(member));
    }

    fn new_member(&mut self, host: usize) -> MemberId {
        let session = self.rng.random();
        self.hosts[host].sessions += 1;
        self.hosts[host].joining.clear();
        MemberId::new(&self.hosts[host].peer, session)
    }

    /// A host starts, or starts again.
    fn back(&mut self, host: usize) {
        let member = self.new_member(host);
        let seed = self.rng.random();
        let mut config = Config::new(self.plan.strict, 5);
        config.observer = self.hosts[host].observer;
        config.date_us = self.now.duration_since(self.base).as_micros() as u64;
        self.note(|| format!("{host}: starts as {member}"));
        let peer = self.hosts[host].peer;
        self.hosts[host].formation = Some(Formation::new(config, peer, member, seed, self.now));
        self.hosts[host].autopilot = Autopilot::new(Settings::new(self.plan.strict, 5, false));
        let life = self.hosts[host].life;
        let everybody = self.hosts.iter().map(|it| it.peer).collect();
        let at = self.soon(500);
        let input = Input::Candidates(everybody);
        self.push(at, Event::Deliver { host, life, bond: None, input });
        self.input(host, Input::Tick);
    }

    fn stop(&mut self, host: usize) {
        self.note(|| format!("{host}: dies"));
        self.hosts[host].life += 1;
        self.hosts[host].formation = None;
        self.hosts[host].shown = None;
        self.rafts[host] = None;
        for other in 0..self.hosts.len() {
            self.unbond(host, other);
        }
    }

    fn unbond(&mut self, a: usize, b: usize) {
        if self.bonds.remove(&(a.min(b), a.max(b))).is_some() {
            for (host, other) in [(a, b), (b, a)] {
                let peer = self.hosts[other].peer;
                self.input(host, Input::Unbonded(peer));
            }
        }
    }

    /// Whether a restart of this host leaves every open incarnation a quorum.
    fn may_die(&self, host: usize) -> bool {
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

    fn fault(&mut self) {
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

    fn heal(&mut self) {
        self.note(|| "the network is whole".to_owned());
        self.cut.clear();
    }

    fn split(&mut self) {
        if self.now >= self.base + FAULTS {
            return;
        }
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.shuffle(&mut self.rng);
        let at = self.rng.random_range(0..=order.len());
        self.note(|| format!("split {order:?} at {at}"));
        for a in &order[..at] {
            for b in &order[at..] {
                self.cut.insert((*a, *b));
            }
        }
    }

    fn step(&mut self) {
        let at = self.now + STEP;
        self.push(at, Event::Step);
        self.bonds();
        let cut = self.cut.clone();
        let reaches = |a: usize, b: usize| !cut.contains(&(a, b)) && !cut.contains(&(b, a));
        raft::step(&mut self.rafts, &reaches, self.now, &mut self.rng);
        for host in 0..self.hosts.len() {
            self.write(host);
            self.show(host);
            self.pilot(host);
        }
        self.record();
    }

    fn bonds(&mut self) {
        for a in 0..self.hosts.len() {
            for b in a + 1..self.hosts.len() {
                let up = self.hosts[a].formation.is_some() && self.hosts[b].formation.is_some();
                let reachable = self.is_reachable(a, b);
                let readers = self.hosts[a].observer && self.hosts[b].observer;
                let patience = Duration::from_millis(self.rng.random_range(500..3_000));
                match self.bonds.get_mut(&(a, b)) {
                    Some(bond) if reachable => bond.broken_at = None,
                    Some(bond) => {
                        let since = *bond.broken_at.get_or_insert(self.now);
                        if self.now.duration_since(since) > patience {
                            self.unbond(a, b);
                        }
                    }
                    None if reachable && up && !readers && self.rng.random_bool(0.3) => {
                        self.bond(a, b);
                    }
                    None => {}
                }
            }
        }
    }

    fn bond(&mut self, a: usize, b: usize) {
        self.sequence += 1;
        let number = self.sequence;
        self.bonds.insert((a, b), Bond { number, broken_at: None });
        for (host, other) in [(a, b), (b, a)] {
            let Some(status) = self.hosts[other].formation.as_ref().map(Formation::status) else {
                continue;
            };
            let at = self.in_order(other, host, Duration::from_millis(5));
            let peer = self.hosts[other].peer;
            let (life, input) = (self.hosts[host].life, Input::Bonded { peer, status });
            self.push(at, Event::Deliver { host, life, bond: Some((other, number)), input });
        }
    }

    /// A leader that takes commands is given one now and then.
    fn write(&mut self, host: usize) {
        let Some(raft) = &mut self.rafts[host] else { return };
        let applied = raft.applied();
        let gone = applied.yielded.is_some_and(|winner| winner != raft.incarnation);
        if raft.is_settled() && applied.open && !gone && self.rng.random_bool(0.03) {
            self.next_command += 1;
            raft.propose(Kind::Command(self.next_command));
        }
    }

    fn show(&mut self, host: usize) {
        let Some(view) = self.rafts[host].as_ref().map(Raft::view) else { return };
        if self.hosts[host].shown.as_ref() != Some(&view) {
            self.hosts[host].shown = Some(view.clone());
            let at = self.in_order(host, host, Duration::from_millis(30));
            self.push(at, Event::View { host, member: view.member, view });
        }
    }

    fn pilot(&mut self, host: usize) {
        let Some(raft) = &self.rafts[host] else { return };
        let leads = raft.is_settled();
        if leads && !self.hosts[host].led {
            self.hosts[host].autopilot.begin();
        }
        self.hosts[host].led = leads;
        if !leads || self.rng.random_bool(0.7) {
            return;
        }
        let view = self.view(host, raft);
        let actions = self.hosts[host].autopilot.plan(&view, self.now);
        for action in actions {
            self.note(|| format!("{host}: {action:?}"));
            self.act(host, action);
        }
    }

    fn view(&self, host: usize, raft: &Raft) -> View {
        let (at, configs, learners) = raft.config();
        let applied = raft.applied();
        let voters: BTreeSet<MemberId> = configs.iter().flatten().copied().collect();
        let mut view = View {
            me: raft.member,
            open: applied.open,
            yielded: applied.yielded.is_some_and(|winner| winner != raft.incarnation),
            joint: configs.len() > 1,
            changing: raft.commit <= at,
            log_end: raft.log.len() as u64,
            joining: self.hosts[host].joining.clone(),
            ..View::default()
        };
        for member in voters.iter().chain(&learners).chain(&view.joining) {
            let heard = raft.matched.get(member);
            let observer = self.hosts.iter().any(|it| member.is_of(&it.peer) && it.observer);
            let state = autopilot::Member {
                matched: heard.map(|(len, _)| *len as u64),
                acknowledged: heard.map(|(_, at)| self.now.duration_since(*at)),
                preference: if observer { Preference::Observer } else { Preference::Normal },
                ..autopilot::Member::default()
            };
            view.members.insert(*member, state);
        }
        for (other, it) in self.hosts.iter().enumerate() {
            let pair = (host.min(other), host.max(other));
            if let Some(formation) = &it.formation
                && self.bonds.contains_key(&pair)
                && self.is_reachable(host, other)
            {
                view.alive.insert(it.peer, formation.me());
            }
        }
        view.voters = voters;
        view.learners = learners;
        view
    }

    fn act(&mut self, host: usize, action: Action) {
        let Some(raft) = &mut self.rafts[host] else { return };
        let (_, configs, mut learners) = raft.config();
        let old = configs.last().cloned().unwrap_or_default();
        let configs = match action {
            Action::FinishJoint { .. } => vec![old],
            Action::AddLearner { member, .. } => {
                learners.insert(member);
                vec![old]
            }
            Action::RemoveLearners { members, .. } => {
                learners.retain(|it| !members.contains(it));
                vec![old]
            }
            Action::SetVoters { voters, retain, .. } => {
                if retain {
                    learners.extend(old.difference(&voters));
                }
                learners.retain(|it| !voters.contains(it));
                vec![old, voters]
            }
            Action::Transfer { .. } => return,
        };
        raft.propose(Kind::Config { configs, learners });
        let (_, configs, learners) = raft.config();
        let member =
            |it: &MemberId| learners.contains(it) || configs.iter().any(|of| of.contains(it));
        self.hosts[host].joining.retain(|it| !member(it));
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
