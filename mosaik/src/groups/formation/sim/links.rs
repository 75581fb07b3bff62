//! What gets from one host to another, and the bonds between them.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::{
    plan::FAULTS,
    world::{Event, World},
};
use crate::{
    groups::formation::{Formation, Input, Message, Status},
    id::PeerId,
};

pub(super) struct Bond {
    pub(super) number: u64,
    pub(super) broken_at: Option<Instant>,
}

impl World {
    /// Whether anything gets from one to the other.
    pub(super) fn passes(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// Whether it does in both directions: connections live by that.
    pub(super) fn is_reachable(&self, a: usize, b: usize) -> bool {
        self.passes(a, b) && self.passes(b, a)
    }

    pub(super) fn deliver(
        &mut self,
        host: usize,
        life: u64,
        bond: Option<(usize, u64)>,
        input: Input,
    ) {
        if let Some((from, number)) = bond {
            let pair = (host.min(from), host.max(from));
            if self.bonds.get(&pair).is_none_or(|bond| bond.number != number) {
                return;
            }
            if !self.passes(from, host) {
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

    pub(super) fn in_order(&mut self, from: usize, to: usize, after: Duration) -> Instant {
        let last = self.in_order.get(&(from, to)).copied().unwrap_or(self.now);
        let at = (self.now + after).max(last);
        self.in_order.insert((from, to), at);
        at
    }

    pub(super) fn send(&mut self, host: usize, to: PeerId, message: Message) {
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

    pub(super) fn send_status(&mut self, host: usize, other: usize, status: Status) {
        let pair = (host.min(other), host.max(other));
        let Some(number) = self.bonds.get(&pair).map(|bond| bond.number) else { return };
        let from = self.hosts[host].peer;
        let delay = Duration::from_millis(self.rng.random_range(1..60));
        let at = self.in_order(host, other, delay);
        let (life, input) = (self.hosts[other].life, Input::Status { from, status });
        self.push(at, Event::Deliver { host: other, life, bond: Some((host, number)), input });
    }

    pub(super) fn bonds(&mut self) {
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

    pub(super) fn bond(&mut self, a: usize, b: usize) {
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

    pub(super) fn unbond(&mut self, a: usize, b: usize) {
        if self.bonds.remove(&(a.min(b), a.max(b))).is_some() {
            for (host, other) in [(a, b), (b, a)] {
                let peer = self.hosts[other].peer;
                self.input(host, Input::Unbonded(peer));
            }
        }
    }
}
