//! The hosts: what becomes of the effects of their formations, and how they start and end.

use std::collections::BTreeSet;

use rand::RngExt;
use tokio::time::Instant;

use super::{
    plan::FAULTS,
    raft::Kind,
    world::{Event, World},
};
use crate::{
    groups::{
        autopilot::{Autopilot, Settings},
        formation::{Config, Effect, Formation, FormationEvent, Input, RaftView},
        member::{IncarnationId, MemberId},
    },
    id::PeerId,
};

pub(super) struct Host {
    pub(super) peer: PeerId,
    pub(super) observer: bool,
    /// Counts restarts and renewals: what was meant for the one before is not delivered.
    pub(super) life: u64,
    pub(super) formation: Option<Formation>,
    pub(super) autopilot: Autopilot,
    pub(super) led: bool,
    pub(super) joining: BTreeSet<MemberId>,
    pub(super) shown: Option<RaftView>,
    pub(super) tick: Option<Instant>,
    pub(super) sessions: u64,
}

impl World {
    pub(super) fn input(&mut self, host: usize, input: Input) {
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

    pub(super) fn me(&self, host: usize) -> MemberId {
        self.hosts[host].formation.as_ref().map(Formation::me).unwrap_or_default()
    }

    pub(super) fn carry_out(&mut self, host: usize, effect: Effect) {
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

    pub(super) fn drop_log(
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

    pub(super) fn new_member(&mut self, host: usize) -> MemberId {
        let session = self.rng.random();
        self.hosts[host].sessions += 1;
        self.hosts[host].joining.clear();
        MemberId::new(&self.hosts[host].peer, session)
    }

    /// A host starts, or starts again.
    pub(super) fn back(&mut self, host: usize) {
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

    pub(super) fn stop(&mut self, host: usize) {
        self.note(|| format!("{host}: dies"));
        self.hosts[host].life += 1;
        self.hosts[host].formation = None;
        self.hosts[host].shown = None;
        self.rafts[host] = None;
        for other in 0..self.hosts.len() {
            self.unbond(host, other);
        }
    }
}
