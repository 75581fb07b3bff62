//! Members in processes of their own, which are killed and stopped.

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use mosaik::{
    Network, PeerId,
    discovery::NodeTicket,
    groups::{CommandError, ConsensusConfig, Consistency, Group, GroupKey, Quorum},
};
use mosaik_tests::{Counter, NodeProcess, eventually, lone, secs, unique_name, within};
use tokio::{task::JoinSet, time::Instant};

/// A member in a process of its own.
struct Member {
    process: NodeProcess,
    id: PeerId,
    said: RefCell<Vec<String>>,
}

impl Member {
    /// Starts one that knows the others.
    fn start(network: &str, profile: &str, known: &[NodeTicket]) -> Self {
        let arguments = [network, "group", profile];
        let mut process = NodeProcess::start(env!("CARGO_BIN_EXE_test-node"), &arguments);
        for ticket in known {
            process.say(&format!("know {ticket}"));
        }
        let id = process.ticket().address().id;
        Self { process, id, said: RefCell::default() }
    }

    /// Whether it has said this, now or before.
    fn has_said(&self, line: &str) -> bool {
        let new = std::iter::from_fn(|| self.process.line_within(Duration::ZERO));
        let mut said = self.said.borrow_mut();
        said.extend(new);
        said.iter().any(|said| said == line)
    }
}

/// An observer in this process, and three members in theirs, which vote.
struct Cluster {
    name: String,
    profile: &'static str,
    node: Network,
    group: Group<Counter>,
    members: VecDeque<Member>,
}

impl Cluster {
    async fn start(profile: &'static str) -> Self {
        let name = unique_name();
        let node = lone(&name).build().await.unwrap();
        let consensus = match profile {
            "fast" => ConsensusConfig::fast(),
            _ => ConsensusConfig::default(),
        };
        let group = node
            .groups()
            .with_key(GroupKey::from_secret("tests"))
            .with_state_machine(Counter::observer())
            .with_quorum(Quorum::Strict(3))
            .with_consensus_config(consensus)
            .join();
        let mut cluster = Self { name, profile, node, group, members: VecDeque::new() };
        for _ in 0..3 {
            cluster.add();
        }
        within(secs(20), "the group's start", cluster.group.when().online()).await;
        cluster
    }

    fn add(&mut self) {
        let mut known = vec![self.node.local().ticket()];
        known.extend(self.members.iter().map(|member| member.process.ticket().clone()));
        self.members.push_back(Member::start(&self.name, self.profile, &known));
    }

    /// The member that leads, as far as is known here.
    fn leader(&self) -> Option<usize> {
        let leader = self.group.leader()?;
        self.members.iter().position(|member| member.id == leader)
    }

    /// Waits until this member votes.
    async fn votes(&self, id: PeerId) {
        let line = format!("voter {id}");
        let said = || self.members.iter().any(|member| member.has_said(&line));
        eventually(secs(40), "the next member's vote", said).await;
    }

    async fn a_leader(&self) -> usize {
        eventually(secs(20), "a leader", || self.leader().is_some()).await;
        self.leader().unwrap()
    }
}

/// Executes one command to its end, whatever comes in between.
async fn surely(group: &Group<Counter>, number: u64) -> u64 {
    loop {
        let mut answer = match group.execute(number).await {
            Ok(committed) => return *committed,
            // It was not applied, and goes again.
            Err(CommandError::Offline(_)) => continue,
            Err(error) => Err(error),
        };
        loop {
            answer = match answer {
                Ok(total) => return total,
                Err(CommandError::Timeout(pending)) => {
                    pending.retry().await.map(|committed| committed[0])
                }
                Err(other) => panic!("{other:?}"),
            };
        }
    }
}

/// How long it takes from the end of a leader until the next command is answered.
async fn failover(profile: &'static str) -> Vec<Duration> {
    let mut cluster = Cluster::start(profile).await;
    let mut times = Vec::new();
    for round in 1..=3 {
        within(secs(10), "a command", surely(&cluster.group, 1)).await;
        let leader = cluster.a_leader().await;
        let mut dead = cluster.members.remove(leader).unwrap();
        let begun = Instant::now();
        dead.process.kill();
        let total = within(secs(20), "a command", surely(&cluster.group, 1)).await;
        times.push(begun.elapsed());
        assert_eq!(total, 2 * round);
        // Another in its place: it is a voter when the old one is out.
        cluster.add();
        cluster.votes(cluster.members.back().unwrap().id).await;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_is_killed_the_next_command_is_answered_within_two_seconds() {
    let times = failover("default").await;
    println!("after kill -9 of the leader, at the default timing: {times:?} (goal 2 s)");
    // The goal is checked where the machine has nothing else to do.
    assert!(times.iter().all(|time| *time < mosaik_tests::scaled(secs(4))), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_is_replaced_and_follows_when_it_goes_on() {
    let cluster = Cluster::start("fast").await;
    within(secs(10), "a command", surely(&cluster.group, 1)).await;
    for round in 1..=2 {
        let leader = cluster.a_leader().await;
        let stopped = &cluster.members[leader];
        stopped.process.pause();
        let another = || cluster.leader().is_some_and(|now| now != leader);
        let took = eventually(secs(10), "another leader", another).await;
        println!("another leads {took:?} after the leader was stopped");
        let total = within(secs(10), "a command", surely(&cluster.group, 1)).await;
        assert_eq!(total, 2 * round);
        stopped.process.resume();
        // It hears that it does not lead, and gets what it has missed.
        within(secs(10), "a command", surely(&cluster.group, 1)).await;
        let line = format!("total {}", 2 * round + 1);
        eventually(secs(20), "what it has missed", || stopped.has_said(&line)).await;
        let read = cluster.group.query((), Consistency::Strong);
        assert_eq!(*within(secs(5), "a query", read).await.unwrap(), 2 * round + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_increments_are_counted_exactly_while_leaders_are_killed() {
    const COUNT: u64 = 10_000;
    const CALLERS: u64 = 20;
    let mut cluster = Cluster::start("fast").await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let group = cluster.group.clone();
        callers.spawn(async move {
            for _ in 0..COUNT / CALLERS {
                surely(&group, 1).await;
                // Spread over the deaths of several leaders.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let mut killed = 0;
    let all = async {
        while killed < 4 {
            let leader = cluster.a_leader().await;
            let mut dead = cluster.members.remove(leader).unwrap();
            dead.process.kill();
            killed += 1;
            cluster.add();
            cluster.votes(cluster.members.back().unwrap().id).await;
        }
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
    };
    within(secs(120), "all increments", all).await;
    let read = within(secs(5), "a query", cluster.group.query((), Consistency::Strong)).await;
    let read = read.unwrap();
    assert_eq!(*read, COUNT);
    let line = format!("total {COUNT}");
    for member in &cluster.members {
        eventually(secs(10), "the same at every member", || member.has_said(&line)).await;
    }
}
