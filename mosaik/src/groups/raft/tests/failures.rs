//! Nodes that end by themselves.

use std::time::Duration;

use bytes::Bytes;
use tokio::{sync::watch, time::timeout};

use super::{
    Router,
    cluster::{fast, member},
    router::set,
    state::adding,
};
use crate::{
    groups::{
        index::{Index, Term},
        member::IncarnationId,
        raft::{Frozen, Limits, Node, NodeParts, Refusal, Replicated, Role, StateError},
        state::{Item, Step},
    },
    tasks::Tasks,
};

/// Cannot even be rebuilt.
struct Broken;

impl Replicated for Broken {
    fn apply(&mut self, _: Term, _: &Item) -> Step {
        panic!("on purpose")
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        unreachable!("nothing is ever applied")
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), StateError> {
        Err(StateError("on purpose".into()))
    }

    fn rebuild(
        &mut self,
        _: Option<&[u8]>,
        _: &mut dyn Iterator<Item = (Term, Item)>,
    ) -> Result<(), StateError> {
        Err(StateError("on purpose".into()))
    }

    fn index(&self) -> Index {
        Index(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_panics_stops_its_node_which_says_so() {
    let tasks = Tasks::new();
    let parts = NodeParts {
        me: member(1),
        incarnation: IncarnationId::new(1, [7; 16]),
        timing: fast(),
        patience: 1,
        limits: Limits::default(),
        replicated: Box::new(Broken),
        wire: Router::default().wire(member(1)),
        seed: 1,
        logged: watch::Sender::default(),
        tasks: tasks.clone(),
    };
    let node = Node::start(parts).await.unwrap();
    node.initialize(set(&[member(1)])).await.unwrap();
    node.elect().await.unwrap();
    let leads = |view: &crate::groups::raft::RaftView| view.role == Role::Leader;
    node.view().wait_for(leads).await.unwrap();
    let proposal = node.propose(adding(&[1])).await.unwrap();
    let limit = Duration::from_secs(10);
    let outcome = timeout(limit, proposal.committed()).await.unwrap();
    assert_eq!(outcome, Err(Refusal::Stopped));
    let mut failed = node.failed();
    let why = timeout(limit, failed.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(why.as_deref(), Some("the replicated state panicked"));
    let stopped = |view: &crate::groups::raft::RaftView| view.role == Role::Stopped;
    timeout(limit, node.view().wait_for(stopped)).await.unwrap().unwrap();
    assert!(node.propose(adding(&[1])).await.is_err());
    assert!(node.answer(Bytes::new()).await.is_err());
    // Its tasks are gone, those of others are not touched.
    timeout(limit, async {
        while tasks.running() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!tasks.token().is_cancelled());
}
