//! A group of nodes in one process.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::watch, time::timeout};

use super::{
    router::{Router, set},
    state::{Counter, Sums, adding},
};
use crate::{
    groups::{
        index::Cursor,
        member::{IncarnationId, MemberId},
        raft::{Limits, Node, NodeParts, RaftView, Refusal, Timing},
        state::Item,
    },
    tasks::Tasks,
};

pub(super) fn fast() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(150),
        election_max: Duration::from_millis(300),
    }
}

pub(super) fn member(number: u64) -> MemberId {
    MemberId::from(number)
}

pub(super) struct Cluster {
    pub(super) router: Router,
    pub(super) nodes: BTreeMap<u64, Node>,
    pub(super) states: BTreeMap<u64, Sums>,
    pub(super) limits: Limits,
    pub(super) seed: u64,
    tasks: Tasks,
}

impl Cluster {
    /// Nobody in it.
    pub(super) fn empty(limits: Limits) -> Self {
        Self {
            router: Router::default(),
            nodes: BTreeMap::new(),
            states: BTreeMap::new(),
            limits,
            seed: 1,
            tasks: Tasks::new(),
        }
    }

    /// So many voters, of whom one leads.
    pub(super) async fn founded(voters: u64, limits: Limits) -> Self {
        let mut cluster = Self::empty(limits);
        cluster.found(voters).await;
        cluster
    }

    pub(super) async fn found(&mut self, voters: u64) {
        for number in 1..=voters {
            self.start(number).await;
        }
        let voters: Vec<_> = (1..=voters).map(member).collect();
        self.nodes[&1].initialize(set(&voters)).await.unwrap();
        self.nodes[&1].elect().await.unwrap();
        self.leader().await;
    }

    pub(super) async fn start(&mut self, number: u64) -> Node {
        let state = Sums::default();
        let parts = NodeParts {
            me: member(number),
            incarnation: IncarnationId::new(1, [7; 16]),
            timing: fast(),
            patience: 1,
            limits: self.limits,
            replicated: Box::new(state.clone()),
            wire: self.router.wire(member(number)),
            seed: self.seed * 100 + number,
            logged: watch::Sender::default(),
            tasks: self.tasks.clone(),
        };
        let node = Node::start(parts).await.unwrap();
        self.router.add(node.clone());
        self.nodes.insert(number, node.clone());
        self.states.insert(number, state);
        node
    }

    /// As if its process had been killed.
    pub(super) async fn kill(&mut self, number: u64) {
        self.router.remove(member(number));
        self.states.remove(&number);
        if let Some(node) = self.nodes.remove(&number) {
            node.shutdown().await;
        }
    }

    pub(super) fn view(&self, number: u64) -> RaftView {
        self.nodes[&number].view().borrow().clone()
    }

    /// The number of whoever takes proposals.
    pub(super) async fn leader(&self) -> u64 {
        let found = async {
            loop {
                for (number, node) in &self.nodes {
                    let leads = node.view().borrow().leader == Some(node.me());
                    if leads && node.read_index().await.is_ok() {
                        return *number;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), found).await.expect("nobody leads")
    }

    /// Proposes until it is committed; what is not known to be refused is not tried again.
    pub(super) async fn commit(&self, item: &Item) -> Cursor {
        let tried = async {
            loop {
                let leader = self.leader().await;
                let proposal = self.nodes[&leader].propose(item.clone()).await.unwrap();
                match proposal.committed().await {
                    Ok(place) => return place,
                    Err(Refusal::NotLeader { .. } | Refusal::NotReady) => {}
                    Err(refusal) => panic!("the outcome is not known: {refusal}"),
                }
            }
        };
        timeout(Duration::from_secs(10), tried).await.expect("not committed in time")
    }

    pub(super) async fn add(&self, value: u64) -> Cursor {
        self.commit(&adding(&[value])).await
    }

    /// Waits for a condition.
    pub(super) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let holds = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), holds).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Waits until all members have applied so many commands, and checks that they agree.
    pub(super) async fn agree(&self, index: u64) -> Counter {
        let all = |cluster: &Self| cluster.states.values().all(|sums| sums.get().index == index);
        self.until("all have applied the same", all).await;
        let essence = |sums: &Sums| {
            let Counter { index, sum, hash, ballast, .. } = sums.get();
            Counter { index, sum, hash, ballast, ..Counter::default() }
        };
        let mut all = self.states.values().map(essence);
        let first = all.next().unwrap();
        assert!(all.all(|other| other == first), "members differ: {:?}", self.states);
        first
    }
}
