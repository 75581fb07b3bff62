//! The pump: takes this node's calls, and at the leader those of the others, into the log.
//!
//! One task, without a timer: what was queued while earlier calls were under way goes together as
//! one entry of the log, or one message to the leader.

mod flights;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep_until},
};

use self::flights::{Flights, Landed, Parts};
use super::messages::{Answer, Question, decode, encode};
use crate::{
    clock::Clock,
    groups::{
        bonds::{Bond, Reply},
        group::Core,
        index::{Index, Term},
        raft::{Node, Role},
        state::{Control, EncodedRun, Item, SessionId},
    },
    id::PeerId,
};

/// Entries, or messages to the leader, that are under way at once.
const MAX_FLIGHTS: usize = 4;
/// Calls in one entry or message, and their bytes.
const MAX_CALLS: u64 = 4096;
const MAX_ITEM_BYTES: usize = 1024 * 1024;
/// What a message needs beside the calls.
const OVERHEAD: usize = 1024;
/// Calls of others that wait for the pump.
pub(super) const FORWARDED: usize = 1024;
/// Their bytes.
pub(super) const FORWARDED_BYTES: usize = 64 * 1024 * 1024;
/// The pause after a refusal.
const AGAIN: Duration = Duration::from_millis(5);
/// After so long without an answer a session is asked for again.
const OPEN_AGAIN: Duration = Duration::from_millis(500);
/// The longest time between two looks at what has expired.
const REST: Duration = Duration::from_secs(60);

/// Another member's request, on its way into the log.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) what: What,
    pub(super) reply: Reply,
    /// Where its bytes are counted until the pump has it.
    pub(super) room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) enum What {
    Calls(EncodedRun),
    Session(SessionId, PeerId),
}

impl What {
    pub(super) fn bytes(&self) -> u32 {
        match self {
            Self::Calls(run) => u32::try_from(run.bytes().len()).unwrap_or(u32::MAX),
            Self::Session(..) => 0,
        }
    }
}

/// Whom the calls go to.
#[derive(Clone, Debug)]
enum Target {
    Nobody,
    /// This node leads.
    Here(Node, Term),
    There(Bond, Term),
}

impl Target {
    /// Whether calls that went to the other one must go again.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nobody, Self::Nobody) => true,
            (Self::Here(a, term), Self::Here(b, other)) => {
                term == other && a.incarnation() == b.incarnation() && a.me() == b.me()
            }
            (Self::There(a, term), Self::There(b, other)) => term == other && a.id() == b.id(),
            _ => false,
        }
    }
}

pub(super) struct Pump {
    pub(super) core: Arc<Core>,
    pub(super) clock: Clock,
    pub(super) forwarded: mpsc::Receiver<Forwarded>,
    target: Target,
    flights: Flights,
    /// Calls of others that go with the next entry.
    others: Vec<(EncodedRun, Reply)>,
    /// Nothing is sent before.
    pause: Option<Instant>,
    /// Which session was asked for, and when.
    asked: Option<Instant>,
}

impl Pump {
    pub(super) fn new(core: Arc<Core>, clock: Clock, forwarded: mpsc::Receiver<Forwarded>) -> Self {
        let (target, flights) = (Target::Nobody, Flights::default());
        let others = Vec::new();
        Self { core, clock, forwarded, target, flights, others, pause: None, asked: None }
    }

    /// Runs until it is cancelled.
    pub(super) async fn run(mut self) {
        let mut seen = self.core.seen().subscribe();
        let mut bonds = self.core.bonds().subscribe();
        loop {
            seen.mark_unchanged();
            bonds.mark_unchanged();
            self.look_for_the_leader();
            self.turn_others_away();
            self.expire();
            if self.pause.is_none_or(|until| until <= Instant::now()) {
                self.pause = None;
                self.send().await;
            }
            let (core, next_look) = (self.core.clone(), self.next_look());
            // Enough for the next entry.
            let is_full = self.bytes_of_others() >= MAX_ITEM_BYTES;
            tokio::select! {
                () = core.queue().woken() => {}
                Some(landed) = self.flights.next() => self.land(landed),
                Some(forwarded) = self.forwarded.recv(), if !is_full => self.take(forwarded),
                _ = seen.changed() => {}
                _ = bonds.changed() => {}
                () = sleep_until(next_look) => {}
            }
        }
    }

    fn next_look(&self) -> Instant {
        let now = Instant::now();
        let expiry = self.core.queue().next_expiry().unwrap_or(now + REST);
        let next = self.pause.map_or(expiry, |pause| pause.min(expiry));
        let next = self.asked.map_or(next, |asked| next.min(asked + OPEN_AGAIN));
        // What has expired just now is told by the next look, not by one without end.
        next.max(now + Duration::from_millis(1))
    }

    fn expire(&self) {
        let now = Instant::now();
        if self.core.queue().next_expiry().is_some_and(|next| next <= now) {
            // Without a leader, or where the machine has panicked, nothing is promised.
            let node = self.core.node().filter(|_| self.core.seen().borrow().online);
            let committed = node.map_or(Index::zero(), |node| node.committed().index());
            self.core.queue().settle(|calls, told| calls.expire(now, committed, told));
        }
    }

    /// When another leads, or is reached in another way, all calls go again, and nothing is waited
    /// for that is under way to the one before.
    fn look_for_the_leader(&mut self) {
        let target = self.find_target();
        if !target.is_same(&self.target) {
            self.target = target;
            self.asked = None;
            self.flights = Flights::default();
            self.core.queue().rewind();
        }
    }

    fn find_target(&self) -> Target {
        if !self.core.seen().borrow().online {
            return Target::Nobody;
        }
        let Some(node) = self.core.node() else { return Target::Nobody };
        let view = node.view();
        let (leader, role, term) = {
            let view = view.borrow();
            (view.leader, view.role, view.term)
        };
        if role == Role::Leader {
            return Target::Here(Node::clone(&node), term);
        }
        let bond = leader.and_then(|leader| self.core.bond_with(&leader));
        bond.map_or(Target::Nobody, |bond| Target::There(bond, term))
    }

    async fn send(&mut self) {
        match self.target.clone() {
            Target::Nobody => {}
            Target::Here(node, _) => {
                if self.is_time_to_open() {
                    open(&node, self.now_us(), self.core.session(), self.core.local()).await;
                }
                while self.flights.len() < MAX_FLIGHTS && self.propose(&node).await {}
            }
            Target::There(bond, _) => {
                if self.is_time_to_open() {
                    self.ask_to_open(&bond);
                }
                while self.flights.len() < MAX_FLIGHTS && self.forward(&bond) {}
            }
        }
    }

    /// Whether a session is to be asked for now, for the first time or again.
    fn is_time_to_open(&mut self) -> bool {
        let now = Instant::now();
        if self.core.queue().session().is_some() {
            self.asked = None;
            return false;
        }
        let is_time = self.asked.is_none_or(|asked| asked + OPEN_AGAIN <= now);
        if is_time {
            self.asked = Some(now);
        }
        is_time
    }

    fn ask_to_open(&self, bond: &Bond) {
        let Some(node) = self.core.node() else { return };
        let (incarnation, session) = (node.incarnation(), self.core.session());
        let asked = bond.ask(encode(&Question::Open { incarnation, session }), OPEN_AGAIN);
        // The answer is the session's opening in the log.
        self.core.tasks().spawn("groups.open", async move { drop(asked.await) });
    }

    /// Puts what there is into the log; false if there was nothing, or it was refused.
    async fn propose(&mut self, node: &Node) -> bool {
        let own = self.core.queue().take(MAX_CALLS, MAX_ITEM_BYTES);
        let parts = Parts { own, others: std::mem::take(&mut self.others) };
        if parts.own.is_none() && parts.others.is_empty() {
            return false;
        }
        match node.propose(Item::of_runs(self.now_us(), &parts.runs())).await {
            Ok(proposal) => self.flights.proposed(parts, proposal),
            Err(_) => self.refused(parts),
        }
        self.pause.is_none()
    }

    /// Sends calls to the leader; false if there were none, or they have to wait.
    fn forward(&mut self, bond: &Bond) -> bool {
        let Some(node) = self.core.node() else { return false };
        let small = Bond::SMALL - OVERHEAD;
        let Some(batch) = self.core.queue().take(MAX_CALLS, small) else { return false };
        let is_small = batch.run.bytes().len() <= small;
        let (incarnation, run) = (node.incarnation(), batch.run.bytes().clone());
        let question = encode(&Question::Append { incarnation, run });
        let limit = self.core.config().consensus().forward_timeout;
        let asked = bond.ask(question, limit);
        self.flights.forwarded(batch, async move { decode(&asked.await.ok()?) });
        // A large one may be overtaken by those that follow it: they would come too early.
        if !is_small {
            self.pause = Some(Instant::now() + AGAIN);
        }
        is_small
    }

    fn bytes_of_others(&self) -> usize {
        self.others.iter().map(|(run, _)| run.bytes().len()).sum()
    }

    /// Who does not lead any more has no use for what it was given before.
    fn turn_others_away(&mut self) {
        if !matches!(self.target, Target::Here(..)) {
            self.others.drain(..).for_each(|(_, reply)| answer(reply, Answer::NotNow));
        }
    }

    /// Another member's calls: for the log, if this node leads.
    fn take(&mut self, forwarded: Forwarded) {
        let mut next = Some(forwarded);
        let mut bytes = 0;
        while let Some(Forwarded { what, reply, room: _room }) = next {
            match (what, &self.target) {
                (What::Calls(run), Target::Here(..)) => {
                    bytes += run.bytes().len();
                    self.others.push((run, reply));
                }
                (What::Session(session, peer), Target::Here(node, _)) => {
                    let (node, now_us) = (node.clone(), self.now_us());
                    self.core.tasks().spawn("groups.open", async move {
                        open(&node, now_us, session, peer).await;
                        // What counts is its opening in the log.
                        answer(reply, Answer::NotNow);
                    });
                }
                (_, Target::Nobody | Target::There(..)) => answer(reply, Answer::NotNow),
            }
            next = if bytes < MAX_ITEM_BYTES { self.forwarded.try_recv().ok() } else { None };
        }
    }

    fn refused(&mut self, parts: Parts) {
        parts.others.into_iter().for_each(|(_, reply)| answer(reply, Answer::NotNow));
        if parts.own.is_some() {
            self.core.queue().rewind();
        }
        self.pause = Some(Instant::now() + AGAIN);
    }

    fn land(&mut self, landed: Landed) {
        match landed {
            Landed::Appended(parts, Ok((place, proposal))) => {
                let commands = parts.commands();
                let mut index = place.index() - commands.saturating_sub(1);
                if let Some(batch) = parts.own {
                    self.core.queue().appended(&batch, index);
                    index = index + u64::from(batch.run.commands());
                }
                for (run, reply) in parts.others {
                    answer(reply, Answer::Appended { first: index });
                    index = index + u64::from(run.commands());
                }
                self.flights.appended(proposal);
            }
            Landed::Appended(parts, Err(_)) => self.refused(parts),
            Landed::Answered(batch, Some(Answer::Appended { first })) => {
                self.core.queue().appended(&batch, first);
            }
            Landed::Committed(Ok(_)) => {}
            // It may be applied or not. If not, it goes again; if it was, it is not applied twice.
            Landed::Committed(Err(_)) | Landed::Answered(..) => {
                self.core.queue().rewind();
                self.pause = Some(Instant::now() + AGAIN);
            }
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.clock.now().timestamp_micros()).unwrap_or(0)
    }
}

/// Logs that a session is open.
async fn open(node: &Node, now_us: u64, session: SessionId, peer: PeerId) {
    let open = Control::OpenSession { session, peer };
    // It is asked for again if it does not come.
    drop(node.propose(Item::control(now_us, &open)).await);
}

fn answer(reply: Reply, answer: Answer) {
    // A peer that does not read learns of it by the time-out.
    let _ = reply.send(encode(&answer));
}
