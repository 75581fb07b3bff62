//! The value that is told and asks: what is common to all phases.

use std::{fmt, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{
    config::Config,
    effect::{Discarded, Effect, FormationEvent},
    input::{Input, RaftView},
    message::{Ending, Message},
    peers::{Ended, Peers},
    stages::{Idle, Parting, Phase, Tenure},
    status::{Stage, Status},
};
use crate::{
    groups::{
        member::{IncarnationId, MemberId},
        raft::Timing,
    },
    id::PeerId,
};

/// How one node founds, joins and leaves incarnations of one group. See the module's protocol.
pub(crate) struct Formation {
    pub(super) config: Config,
    pub(super) peer: PeerId,
    pub(super) me: MemberId,
    pub(super) peers: Peers,
    pub(super) ended: Ended,
    /// Who has given way to whom, by what their members said: a chain is followed when those in it
    /// have moved on.
    pub(super) yields: Ended,
    /// `None` only while a rule holds it in its hands.
    pub(super) phase: Option<Phase>,
    pub(super) raft: Option<RaftView>,
    /// The times of the incarnation.
    pub(super) timing: Timing,
    pub(super) rng: StdRng,
    pub(super) started: Instant,
    /// Since when it has been looked around for long enough.
    pub(super) ready_since: Option<Instant>,
    pub(super) too_many_told: bool,
    pub(super) now: Instant,
    wake: Option<Instant>,
    told: Option<(Status, Instant)>,
    out: Vec<Effect>,
}

impl Formation {
    /// `seed`: for nonces, incarnation ids and pauses.
    pub(crate) fn new(
        config: Config,
        peer: PeerId,
        me: MemberId,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut formation = Self {
            timing: config.timing,
            config,
            peer,
            me,
            peers: Peers::default(),
            ended: Ended::default(),
            yields: Ended::default(),
            phase: Some(Phase::Idle(Idle::new(now))),
            raft: None,
            rng: StdRng::from_seed(seed),
            started: now,
            ready_since: None,
            too_many_told: false,
            now,
            wake: None,
            told: None,
            out: Vec::new(),
        };
        formation.settle();
        formation
    }

    /// Takes in what has happened, and says what is to be done.
    pub(crate) fn on(&mut self, input: Input, now: Instant) -> Vec<Effect> {
        self.now = self.now.max(now);
        self.take_in(input);
        self.settle();
        self.tell();
        std::mem::take(&mut self.out)
    }

    /// When it wants [`Input::Tick`]; `None` if there is nothing to wait for.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        self.wake
    }

    /// Who this node is at present.
    pub(crate) fn me(&self) -> MemberId {
        self.me
    }

    /// The incarnation that it has a Raft node of.
    pub(crate) fn incarnation(&self) -> Option<IncarnationId> {
        match self.phase.as_ref()? {
            Phase::Idle(_) => None,
            Phase::Entering(entering) => Some(entering.incarnation),
            Phase::Member(tenure) => Some(tenure.incarnation),
            Phase::Parting(parting) => Some(parting.incarnation),
        }
    }

    /// What this node says of itself to a bond that comes up.
    pub(crate) fn status(&self) -> Status {
        let stage = match &self.phase {
            None | Some(Phase::Idle(_)) => Stage::Idle,
            Some(Phase::Entering(entering)) if entering.founds => Stage::Founding,
            Some(Phase::Entering(_)) => Stage::Joining,
            Some(Phase::Member(_) | Phase::Parting(_)) => Stage::Member,
        };
        let view = self.raft.clone().unwrap_or_default();
        let incarnation = self.incarnation();
        Status {
            member: self.me,
            observer: self.config.observer,
            reluctant: self.config.reluctant,
            stage,
            incarnation,
            leader: view.leader,
            leading: view.leading,
            open: view.open,
            yielded_to: view.yielded_to.filter(|winner| Some(*winner) != incarnation),
            index: view.logged,
            voters: u16::try_from(view.membership.voters().len()).unwrap_or(u16::MAX),
            timing: self.timing,
            poisoned: view.poisoned,
        }
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Candidates(candidates) => self.peers.candidates = candidates,
            Input::Bonded { peer, status } | Input::Status { from: peer, status } => {
                let (of, winner) = (status.incarnation, status.yielded_to);
                let leads = status.leads_open();
                if peer != self.peer && self.peers.tell(peer, status) {
                    match (of, winner) {
                        (Some(of), Some(winner)) => self.yields.insert(of, Ending::Yielded(winner)),
                        (Some(of), None) if leads => self.yields.remove(of),
                        _ => {}
                    }
                    self.correct(peer);
                }
            }
            Input::Unbonded(peer) => self.peers.unbonded(&peer),
            Input::Heard { from, message } => {
                if message.is_sane() && self.peers.get(&from).is_some() {
                    self.heard(from, message);
                }
            }
            Input::Raft(view) => {
                if view.member == self.me && self.incarnation() == Some(view.incarnation) {
                    self.raft = Some(view);
                }
            }
            Input::Kept(incarnation) => self.kept(incarnation),
            Input::Renewed(member) => {
                self.me = member;
                self.raft = None;
                self.timing = self.config.timing;
                self.phase = Some(Phase::Idle(Idle::new(self.now)));
            }
            Input::Tick => {}
        }
    }

    /// The log has grown before it could be dropped: it stays.
    fn kept(&mut self, incarnation: IncarnationId) {
        if matches!(&self.phase, Some(Phase::Parting(parting)) if parting.incarnation == incarnation)
        {
            self.phase = Some(Phase::Member(Tenure::new(incarnation)));
        }
    }

    /// Tells a peer whose incarnation has ended that it has.
    fn correct(&mut self, peer: PeerId) {
        let incarnation = self.peers.get(&peer).and_then(|status| status.incarnation);
        let Some(incarnation) = incarnation else { return };
        if let Some(ending) = self.ended.get(incarnation) {
            self.send(peer, Message::Gone { incarnation, ending });
        }
    }

    fn heard(&mut self, from: PeerId, message: Message) {
        if let Message::Gone { incarnation, ending } = message {
            self.gone(incarnation, ending);
            return;
        }
        let Some(phase) = self.phase.take() else { return };
        let phase = match phase {
            Phase::Idle(idle) => self.heard_idle(idle, from, message),
            Phase::Entering(entering) => {
                self.heard_entering(&entering, from, message);
                Phase::Entering(entering)
            }
            Phase::Member(mut tenure) => {
                let parted = self.heard_member(&mut tenure, from, message);
                parted.map_or(Phase::Member(tenure), Phase::Parting)
            }
            Phase::Parting(parting) => {
                self.refuse(from, &message);
                Phase::Parting(parting)
            }
        };
        self.phase = Some(phase);
    }

    fn gone(&mut self, incarnation: IncarnationId, ending: Ending) {
        if self.incarnation() != Some(incarnation) {
            self.ended.insert(incarnation, ending);
            return;
        }
        let Some(phase) = self.phase.take() else { return };
        let phase = match (phase, ending) {
            (Phase::Entering(entering), Ending::Aborted) => {
                Phase::Parting(self.abandon(entering.incarnation, None, Discarded::Aborted))
            }
            (Phase::Entering(entering), Ending::Dissolved | Ending::Yielded(_)) => {
                Phase::Parting(self.abandon(entering.incarnation, None, Discarded::NotJoined))
            }
            // One that has opened never dissolves, whoever says so.
            (Phase::Member(tenure), Ending::Dissolved) if !self.is_open() => {
                self.ended.insert(incarnation, ending);
                Phase::Parting(self.discard(tenure.incarnation, Discarded::Dissolved))
            }
            (Phase::Member(mut tenure), Ending::Yielded(winner)) => {
                tenure.yielded_told = Some(winner);
                Phase::Member(tenure)
            }
            // Nothing was ever started on what its founder has called off.
            (phase, _) => phase,
        };
        self.phase = Some(phase);
    }

    fn is_open(&self) -> bool {
        self.raft.as_ref().is_some_and(|view| view.open)
    }

    /// Applies the rules of the phase until nothing changes any more.
    fn settle(&mut self) {
        // Idle, entering, member, parting: no more than that happen at once.
        for _ in 0..4 {
            self.wake = None;
            let Some(phase) = self.phase.take() else { return };
            let before = std::mem::discriminant(&phase);
            let phase = match phase {
                Phase::Idle(idle) => self.settle_idle(idle),
                Phase::Entering(entering) => self.settle_entering(entering),
                Phase::Member(tenure) => self.settle_member(tenure),
                Phase::Parting(parting) => Phase::Parting(parting),
            };
            let settled = before == std::mem::discriminant(&phase);
            self.phase = Some(phase);
            if settled {
                return;
            }
        }
    }

    /// Tells everybody what has changed; a leader's index alone at most every `retry`.
    fn tell(&mut self) {
        if matches!(self.phase, Some(Phase::Parting(_))) {
            return;
        }
        let status = self.status();
        if let Some((told, at)) = &self.told {
            let only_index = *told == Status { index: told.index, ..status.clone() };
            let again_at = *at + self.config.retry;
            if only_index && (!status.leading || told.index == status.index) {
                return;
            }
            if only_index && self.now < again_at {
                self.wake_at(again_at);
                return;
            }
        }
        self.told = Some((status.clone(), self.now));
        self.out.push(Effect::Tell(status));
    }

    /// Whatever is asked of it, this node cannot do it now.
    pub(super) fn refuse(&mut self, from: PeerId, message: &Message) {
        match message {
            Message::Propose { nonce } => self.send(from, Message::Refused { nonce: *nonce }),
            Message::Found { incarnation, voters, .. } if voters.contains(&self.me) => {
                self.send(from, Message::Declined { incarnation: *incarnation });
            }
            _ => {}
        }
    }

    pub(super) fn send(&mut self, to: PeerId, message: Message) {
        self.out.push(Effect::Send { to, message });
    }

    pub(super) fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    pub(super) fn event(&mut self, event: FormationEvent) {
        self.out.push(Effect::Event(event));
    }

    /// Some rule waits for this moment.
    pub(super) fn wake_at(&mut self, at: Instant) {
        // Never again at once, whatever the rules say.
        let at = at.max(self.now + Duration::from_millis(1));
        self.wake = Some(self.wake.map_or(at, |before| before.min(at)));
    }

    pub(super) fn nonce(&mut self) -> u64 {
        self.rng.random()
    }

    /// A pause below `most`.
    pub(super) fn pause(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.random_range(0.0..1.0))
    }

    /// Leaves an incarnation, whatever is in the log.
    pub(super) fn discard(&mut self, incarnation: IncarnationId, reason: Discarded) -> Parting {
        self.out.push(Effect::Discard { incarnation, reason });
        self.event(FormationEvent::Left { incarnation, reason });
        Parting { incarnation }
    }

    /// Leaves an incarnation if the log still ends there.
    pub(super) fn abandon(
        &mut self,
        incarnation: IncarnationId,
        log_end: Option<u64>,
        reason: Discarded,
    ) -> Parting {
        self.out.push(Effect::Abandon { incarnation, log_end, reason });
        Parting { incarnation }
    }
}

impl fmt::Debug for Formation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Formation")
            .field("me", &self.me)
            .field("phase", &self.phase)
            .field("raft", &self.raft)
            .finish_non_exhaustive()
    }
}
