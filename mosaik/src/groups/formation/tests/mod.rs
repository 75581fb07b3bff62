//! Single rules of formations, one node at a time: what it does about what it is told. What comes of
//! all of them together is the simulation's.

mod founding;
mod grants;
mod rivals;
mod tenure;

use std::{collections::BTreeSet, time::Duration};

use iroh::SecretKey;
use tokio::time::Instant;

use super::{
    message::{Ending, Standing},
    stages::{Phase, Tenure},
    *,
};
use crate::{
    groups::{
        member::{IncarnationId, MemberId},
        raft::Timing,
    },
    id::PeerId,
};

/// Nodes are named by their places in the order of their ids.
fn peer(place: usize) -> PeerId {
    let peers: BTreeSet<PeerId> =
        (1..=8).map(|seed| SecretKey::from_bytes(&[seed; 32]).public()).collect();
    *peers.iter().nth(place).unwrap()
}

fn member(place: usize) -> MemberId {
    MemberId::new(&peer(place), 1)
}

/// Those with smaller numbers are older.
fn incarnation(number: u64) -> IncarnationId {
    IncarnationId::new(number, [0; 16])
}

fn elastic() -> Config {
    Config::new(None, 5)
}

fn strict(founders: usize) -> Config {
    Config::new(Some(founders), 5)
}

/// Of a node that is in nothing.
fn idle(place: usize) -> Status {
    Status {
        member: member(place),
        observer: false,
        reluctant: false,
        stage: Stage::Idle,
        incarnation: None,
        leader: None,
        leading: false,
        open: false,
        yielded_to: None,
        index: 0,
        voters: 0,
        poisoned: false,
        timing: Timing::default(),
    }
}

/// Of one that leads an incarnation which takes commands.
fn leading(place: usize, of: IncarnationId) -> Status {
    Status {
        stage: Stage::Member,
        incarnation: Some(of),
        leader: Some(member(place)),
        leading: true,
        open: true,
        voters: 3,
        ..idle(place)
    }
}

/// What Raft says at a node that follows another in an incarnation of the first three, which takes
/// commands.
fn following(place: usize, leader: usize, of: IncarnationId) -> RaftView {
    RaftView {
        member: member(place),
        incarnation: of,
        leader: Some(member(leader)),
        log_end: Some(5),
        open: true,
        membership: Membership {
            at: 1,
            term: 0,
            configs: vec![(0..3).map(member).collect()],
            learners: BTreeSet::new(),
            committed: true,
        },
        ..RaftView::default()
    }
}

fn led_by(place: usize, of: IncarnationId) -> RaftView {
    RaftView { leading: true, ..following(place, place, of) }
}

/// One node.
struct Node {
    formation: Formation,
    now: Instant,
}

impl Node {
    fn new(place: usize, config: Config) -> Self {
        let now = Instant::now();
        Self { formation: Formation::new(config, peer(place), member(place), [7; 32], now), now }
    }

    /// One that is in an incarnation, as Raft says.
    fn inside(place: usize, config: Config, view: RaftView) -> Self {
        let mut node = Self::new(place, config);
        node.formation.phase = Some(Phase::Member(Tenure::new(view.incarnation)));
        node.view(view);
        node
    }

    fn on(&mut self, input: Input) -> Vec<Effect> {
        self.formation.on(input, self.now)
    }

    fn bonded(&mut self, status: Status) -> Vec<Effect> {
        self.on(Input::Bonded { peer: status.member.peer().unwrap(), status })
    }

    fn view(&mut self, view: RaftView) -> Vec<Effect> {
        self.on(Input::Raft(view))
    }

    fn hears(&mut self, from: usize, message: Message) -> Vec<Effect> {
        self.on(Input::Heard { from: peer(from), message })
    }

    /// What it does within this time, whenever it wants to.
    fn waits(&mut self, span: Duration) -> Vec<Effect> {
        let end = self.now + span;
        let mut effects = Vec::new();
        while let Some(wakeup) = self.formation.next_wakeup().filter(|wakeup| *wakeup <= end) {
            self.now = self.now.max(wakeup);
            effects.extend(self.on(Input::Tick));
        }
        self.now = end;
        effects
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What is said to whom.
fn said(effects: &[Effect]) -> Vec<(usize, Message)> {
    let place = |to: &PeerId| (0..8).find(|place| peer(*place) == *to).unwrap();
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message } => Some((place(to), message.clone())),
        _ => None,
    });
    said.collect()
}

fn proposed(effects: &[Effect]) -> Vec<Proposal> {
    let proposed = effects.iter().filter_map(|effect| match effect {
        Effect::Propose(proposal) => Some(*proposal),
        _ => None,
    });
    proposed.collect()
}

/// What is started: with whom, if this node founds.
fn started(effects: &[Effect]) -> Option<Option<BTreeSet<MemberId>>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Start { founding, .. } => Some(founding.clone()),
        _ => None,
    })
}

/// Why its log is dropped, whatever is in it.
fn discarded(effects: &[Effect]) -> Option<Discarded> {
    effects.iter().find_map(|effect| match effect {
        Effect::Discard { reason, .. } => Some(*reason),
        _ => None,
    })
}
