//! One seed from its start to its verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mosaik::{
    Network,
    testing::{Faults, Simulation},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    fault::Fault,
    oracle::Place,
    plan::Plan,
    workload::{Phase, Sent, Shared, Streams},
};

/// How long all may take to know each other again after the last fault.
const CATALOGS_LIMIT: Duration = Duration::from_secs(120);
/// How long consumers may take after that to be subscribed to all producers.
const SUBSCRIBED_LIMIT: Duration = Duration::from_secs(60);
/// How long the last datums may take.
const LAST_LIMIT: Duration = Duration::from_secs(60);
/// How often conditions are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What came of one seed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is wrong; empty is good.
    pub findings: Vec<String>,
    /// How many nodes there were.
    pub nodes: usize,
    /// How many faults they had, and ends of faults.
    pub faults: usize,
    /// Datums that consumers received.
    pub received: u64,
    /// Datums that went missing, with a report.
    pub missed: u64,
    /// Virtual time.
    pub elapsed: Duration,
    /// From the last fault until all catalogs were equal.
    pub healed: Duration,
    /// What was done, and when.
    pub done: Vec<(Duration, Fault)>,
    /// Tells whether two runs of the seed went the same way.
    pub digest: u64,
}

/// The nodes of a run and what they do.
struct Run {
    nodes: Vec<Network>,
    runs: Vec<u32>,
    streams: BTreeMap<usize, Streams>,
    plan: Plan,
    shared: Shared,
    done: Vec<(Duration, Fault)>,
}

pub async fn run(simulation: Simulation, seed: u64, plan: Plan) -> Outcome {
    let nodes = simulation.nodes(plan.nodes).await;
    let kinds = plan.streams.iter().map(|stream| stream.kind).collect();
    let shared = Shared::new(seed, nodes.iter().map(|node| node.local().id()).collect(), kinds);
    let mut run = Run {
        runs: vec![0; plan.nodes],
        nodes,
        streams: BTreeMap::new(),
        plan,
        shared,
        done: Vec::new(),
    };
    (0..run.nodes.len()).for_each(|node| run.open(node));
    let begun = run.shared.begun();
    for (at, fault) in run.plan.faults.clone() {
        tokio::time::sleep_until(begun + at).await;
        tracing::info!(?fault, "fault");
        run.apply(fault).await;
    }
    let healed = run.judge().await;
    let oracle = std::mem::take(&mut *run.shared.oracle());
    Outcome {
        findings: oracle.findings,
        nodes: run.plan.nodes,
        faults: run.plan.faults.len(),
        received: oracle.received,
        missed: oracle.missed,
        elapsed: simulation.elapsed(),
        healed,
        done: run.done,
        digest: simulation.digest(),
    }
}

impl Run {
    fn open(&mut self, node: usize) {
        let run = self.runs[node];
        let streams = Streams::open(&self.nodes[node], node, run, &self.plan.streams, &self.shared);
        self.streams.insert(node, streams);
    }

    async fn apply(&mut self, fault: Fault) {
        let at = self.shared.begun().elapsed();
        self.shared.oracle().outages.note(self.nodes.len(), at, &fault);
        self.done.push((at, fault.clone()));
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
        self.nodes.crash(node);
        self.streams.remove(&node);
    }

    /// Ends all faults, and looks whether all is well again. Says how long that took.
    async fn judge(&mut self) -> Duration {
        self.apply(Fault::Heal).await;
        self.apply(Fault::good_links()).await;
        for node in 0..self.nodes.len() {
            if !self.streams.contains_key(&node) {
                self.apply(Fault::Restart(node)).await;
            }
        }
        self.shared.set_phase(Phase::Hold);
        let begun = Instant::now();
        let catalogs = self.until(CATALOGS_LIMIT, Self::catalogs_differ).await;
        let healed = begun.elapsed();
        if catalogs {
            let subscribed = self.until(SUBSCRIBED_LIMIT, Self::unsubscribed).await;
            if subscribed {
                self.shared.set_phase(Phase::Last);
                self.until(LAST_LIMIT, Self::unreceived).await;
                self.compare_missed();
            }
        }
        healed
    }

    /// Waits until there is nothing to complain of; what there still is then is found.
    async fn until(&self, limit: Duration, complaint: fn(&Self) -> Option<String>) -> bool {
        let deadline = Instant::now() + limit;
        let settled = async {
            while complaint(self).is_some() {
                sleep(LOOK).await;
            }
        };
        let in_time = timeout_at(deadline, settled).await.is_ok();
        if !in_time && let Some(complaint) = complaint(self) {
            self.shared.oracle().found(format!("after {limit:?}: {complaint}"));
        }
        in_time
    }

    fn catalogs_differ(&self) -> Option<String> {
        let of = |node: &Network| -> BTreeSet<_> {
            let catalog = node.discovery().catalog();
            catalog.iter_signed().map(|entry| (*entry.id(), entry.update_version())).collect()
        };
        let first = of(&self.nodes[0]);
        if first.len() != self.nodes.len() {
            return Some(format!("node 0 knows {} of {} nodes", first.len(), self.nodes.len()));
        }
        let other = (1..self.nodes.len()).find(|node| of(&self.nodes[*node]) != first)?;
        Some(format!("the catalogs of nodes 0 and {other} differ"))
    }

    /// A consumer with the producers that it should be subscribed to.
    fn pairs(&self) -> impl Iterator<Item = (Place, Place)> {
        let consumers = self.streams.values().flat_map(|streams| &streams.consumers);
        consumers.flat_map(|(consumer, _)| {
            let producers = self.streams.values().flat_map(|streams| &streams.producers);
            let of_it = move |producer: &Place| {
                producer.stream == consumer.stream && producer.node != consumer.node
            };
            producers.map(|(place, _)| *place).filter(of_it).map(|producer| (*consumer, producer))
        })
    }

    fn unsubscribed(&self) -> Option<String> {
        let id = |place: Place| self.nodes[place.node].local().id();
        let (mut served, mut subscribed) = (BTreeSet::new(), BTreeSet::new());
        for streams in self.streams.values() {
            for (place, producer) in &streams.producers {
                served.extend(producer.consumers().map(|to| (*to.consumer_id(), *place)));
            }
            for (place, consumer) in &streams.consumers {
                let connected = consumer.producers().filter(|from| from.is_connected());
                subscribed.extend(connected.map(|from| (*place, *from.producer_id())));
            }
        }
        let lacks = |(consumer, producer): &(Place, Place)| {
            !served.contains(&(id(*consumer), *producer))
                || !subscribed.contains(&(*consumer, id(*producer)))
        };
        let (consumer, producer) = self.pairs().find(lacks)?;
        Some(format!("{consumer:?} is not subscribed to {producer:?}"))
    }

    fn unreceived(&self) -> Option<String> {
        let oracle = self.shared.oracle();
        self.pairs().find_map(|(consumer, producer)| {
            let Sent { count, all } = self.shared.sent(producer);
            if !all {
                return Some(format!("{producer:?} has sent {count}, and not all"));
            }
            oracle.lacks(consumer, producer, count)
        })
    }

    /// What consumers count as missed is what they were told.
    fn compare_missed(&self) {
        for (place, consumer) in self.streams.values().flat_map(|streams| &streams.consumers) {
            let (counted, told) = (consumer.missed(), self.shared.oracle().told(*place));
            if counted != told {
                let text = format!("{place:?} has missed {counted}, and was told of {told}");
                self.shared.oracle().found(text);
            }
        }
    }
}
