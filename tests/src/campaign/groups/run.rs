//! One seed from its start to its verdict.

use std::{collections::BTreeMap, time::Duration};

use mosaik::{
    Network,
    groups::{ConsensusConfig, GroupKey, Quorum},
    testing::{Faults, Simulation},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    super::fault::Fault,
    clients::{Client, Clients, Shared},
    journal::Journal,
    oracle::Place,
    plan::Plan,
    register::Register,
};

/// How long a group may take to be well again after the last fault.
const HEAL_LIMIT: Duration = Duration::from_secs(15);
/// How long members have between two spells of faults, to become voters again.
const CALM: Duration = Duration::from_secs(10);
/// How often conditions are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The number of the client that looks whether a member serves.
const PROBE: u32 = 200;

/// What came of one seed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is wrong; empty is good.
    pub findings: Vec<String>,
    /// What was done, and when.
    pub done: Vec<(Duration, Fault)>,
    /// Commands that were answered.
    pub answered: u64,
    /// Commands that were certainly not applied.
    pub refused: u64,
    /// Commands that may be applied or not.
    pub unknown: u64,
    /// Strong queries that were answered.
    pub read: u64,
    /// Commands that were answered by an elastic group and are gone, with a report.
    pub lost: u64,
    /// An elastic group lost the logs of most voters, and stopped.
    pub stopped: bool,
    /// How often somebody began to work as the leader.
    pub holders: u64,
    /// Virtual time.
    pub elapsed: Duration,
    /// The longest that the group took to be well after faults.
    pub healed: Duration,
    /// Tells whether two runs of the seed went the same way.
    pub digest: u64,
}

struct Run {
    nodes: Vec<Network>,
    runs: Vec<u32>,
    members: BTreeMap<usize, Clients>,
    plan: Plan,
    shared: Shared,
    begun: Instant,
    done: Vec<(Duration, Fault)>,
    /// How often it was looked whether the members serve.
    probes: u32,
    stopped: bool,
}

pub async fn run(simulation: Simulation, seed: u64, plan: Plan) -> Outcome {
    let nodes = simulation.nodes(plan.nodes).await;
    let shared = Shared::new(seed, plan.strict.is_some());
    let runs = vec![0; plan.nodes];
    let members = BTreeMap::new();
    let mut run = Run {
        nodes,
        runs,
        members,
        plan,
        shared,
        begun: Instant::now(),
        done: Vec::new(),
        probes: 0,
        stopped: false,
    };
    let healed = run.play().await;
    let mut oracle = std::mem::take(&mut *run.shared.oracle());
    // Members of a group that has stopped need not be equal.
    let length = |member: &&Clients| member.group.read(|journal| journal.extent.length);
    if let Some(member) = run.members.values().max_by_key(length) {
        let (entries, backwards) =
            member.group.read(|journal| (journal.entries.clone(), journal.backwards));
        oracle.judge(&entries);
        if backwards > 0 {
            oracle.found(format!("time went back {backwards} times in the log"));
        }
    }
    let register = std::mem::replace(&mut *run.shared.register(), Register::new(true));
    oracle.findings.extend(register.findings);
    Outcome {
        findings: oracle.findings,
        holders: register.holders,
        done: run.done,
        answered: oracle.answered,
        refused: oracle.refused,
        unknown: oracle.unknown,
        read: oracle.read,
        lost: oracle.lost,
        stopped: run.stopped,
        elapsed: simulation.elapsed(),
        healed,
        digest: simulation.digest(),
    }
}

impl Run {
    /// Returns the longest time that the group took to be well after faults.
    async fn play(&mut self) -> Duration {
        if let Some(split) = self.plan.split.clone() {
            self.apply(split).await;
        }
        (0..self.nodes.len()).for_each(|node| self.open(node));
        let mut longest = Duration::ZERO;
        for (number, episode) in self.plan.episodes.clone().into_iter().enumerate() {
            if number > 0 {
                self.shared.set_busy(true);
                sleep(CALM).await;
            }
            let begun = Instant::now();
            for (at, fault) in episode {
                tokio::time::sleep_until(begun + at).await;
                tracing::info!(?fault, "fault");
                self.apply(fault).await;
            }
            self.end_faults().await;
            let Some(healed) = self.heal().await else { break };
            longest = longest.max(healed);
        }
        longest
    }

    fn place(&self, node: usize) -> Place {
        Place { node, run: self.runs[node] }
    }

    fn open(&mut self, node: usize) {
        let place = self.place(node);
        let quorum = self.plan.strict.map_or(Quorum::Elastic, Quorum::Strict);
        let group = self.nodes[node]
            .groups()
            .with_key(GroupKey::from_secret("campaign"))
            .with_state_machine(Journal::default())
            .with_quorum(quorum)
            .with_consensus_config(ConsensusConfig::fast())
            .snapshot_every(self.plan.snapshot_every)
            .join();
        let clients = Clients::start(group, place, &self.plan, &self.shared);
        self.members.insert(node, clients);
    }

    async fn apply(&mut self, fault: Fault) {
        self.done.push((self.begun.elapsed(), fault.clone()));
        match fault {
            Fault::Crash(node) => self.crash(node),
            Fault::Restart(node) => {
                self.crash(node);
                self.nodes.restart(node).await;
                self.runs[node] += 1;
                self.open(node);
            }
            other => other.disturb(&self.nodes),
        }
    }

    fn crash(&mut self, node: usize) {
        self.bury(node);
        self.nodes.crash(node);
        self.shared.oracle().crashed(self.place(node));
        self.members.remove(&node);
    }

    /// An incarnation whose only log is in the memory of a node that crashes is gone, and nobody is
    /// left to tell it.
    fn bury(&self, node: usize) {
        let origin = |member: &Clients| member.group.read(|journal| journal.extent.origin);
        let Some(dying) = self.members.get(&node) else { return };
        let is_left =
            |(other, member): (&usize, &Clients)| *other != node && origin(member) == origin(dying);
        if self.plan.strict.is_none() && !self.members.iter().any(is_left) {
            self.shared.oracle().gone(&dying.group.read(|journal| journal.entries.clone()));
        }
    }

    async fn end_faults(&mut self) {
        self.apply(Fault::Heal).await;
        self.apply(Fault::good_links()).await;
        for node in 0..self.nodes.len() {
            if !self.members.contains_key(&node) {
                self.apply(Fault::Restart(node)).await;
            }
        }
    }

    /// Waits until the group is well: online, serving and equal everywhere. Says how long that took,
    /// nothing if it took too long.
    async fn heal(&mut self) -> Option<Duration> {
        self.shared.set_busy(false);
        self.probes += 1;
        let begun = Instant::now();
        let is_well = async {
            self.until(Self::apart).await;
            // What is answered from here on is due in the end.
            self.until(Self::asking).await;
            let mut probes: Vec<_> = self.members.keys().map(|node| self.probe(*node)).collect();
            for probe in &mut probes {
                while !probe.execute().await {
                    sleep(LOOK).await;
                }
            }
            self.until(Self::apart).await;
            self.until(Self::unequal).await;
        };
        if timeout(HEAL_LIMIT, is_well).await.is_ok() {
            return Some(begun.elapsed());
        }
        if self.is_unrecoverable() {
            self.stopped = true;
            return None;
        }
        let complaint = self.apart().or_else(|| self.asking()).or_else(|| self.unequal());
        let complaint = complaint.unwrap_or_else(|| "some member does not serve".into());
        let state = self.state();
        self.shared.oracle().found(format!("after {HEAL_LIMIT:?}: {complaint}; {state}"));
        None
    }

    /// An elastic group that grows from one or two voters loses its majority when one of them
    /// crashes, and stops for good, as it says.
    fn is_unrecoverable(&self) -> bool {
        let says = |node: &usize| self.shared.oracle().is_unrecoverable(self.place(*node));
        self.plan.strict.is_none()
            && self.members.values().all(|member| !member.online())
            && self.members.keys().any(says)
    }

    fn probe(&self, node: usize) -> Client {
        let group = self.members[&node].group.clone();
        let number = PROBE + self.probes;
        Client::new(group, self.place(node), number, self.shared.clone())
    }

    async fn until(&self, complaint: fn(&Self) -> Option<String>) {
        while complaint(self).is_some() {
            sleep(LOOK).await;
        }
    }

    /// Who is not a part of one group with the others.
    fn apart(&self) -> Option<String> {
        let leader = self.members.values().next()?.group.leader();
        let of = |(node, member): (&usize, &Clients)| {
            let (now, online) = (member.group.leader(), member.online());
            (now.is_none() || now != leader || !online)
                .then(|| format!("node {node} follows {now:?}, online: {online}"))
        };
        self.members.iter().find_map(of)
    }

    /// Somebody is not answered yet.
    fn asking(&self) -> Option<String> {
        self.shared.is_asking().then(|| "some client waits for an answer".into())
    }

    fn unequal(&self) -> Option<String> {
        let first = self.members.values().next()?;
        let extent = |member: &Clients| member.group.read(|journal| journal.extent);
        let of = |(node, member): (&usize, &Clients)| {
            (extent(member) != extent(first)).then(|| format!("the state of node {node} differs"))
        };
        self.members.iter().find_map(of)
    }

    fn state(&self) -> String {
        let of = |(node, member): (&usize, &Clients)| {
            let group = &member.group;
            let place = |id| self.nodes.iter().position(|node| node.local().id() == id);
            let leader = group.leader().and_then(place);
            let bonds = group.bonds().len();
            let length = group.read(|journal| journal.extent.length);
            format!("{node}: leader {leader:?}, {bonds} bonds, {length} entries")
        };
        self.members.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}
