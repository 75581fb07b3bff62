//! Who is bonded, what they last said of themselves, and which of their lives are over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    message::Ending,
    status::{Stage, Status},
};
use crate::{
    groups::member::{IncarnationId, MemberId},
    id::PeerId,
};

/// So many peers are remembered, bonded or not.
const MAX_PEERS: usize = 1024;
/// So many former lives of one peer are remembered.
const MAX_LIVES: usize = 16;
/// So many ended incarnations are remembered.
const MAX_ENDED: usize = 64;

/// What is known of peers that are, or once were, bonded.
#[derive(Debug, Default)]
pub(super) struct Peers {
    bonded: BTreeMap<PeerId, Status>,
    lives: BTreeMap<PeerId, Lives>,
    observers: BTreeSet<PeerId>,
    /// Who advertises the group.
    pub(super) candidates: BTreeSet<PeerId>,
}

#[derive(Debug)]
struct Lives {
    present: u64,
    over: VecDeque<u64>,
}

impl Peers {
    /// Takes in what a bonded peer says of itself. False if it is not worth anything: about
    /// somebody else, or from a life that is known to be over.
    pub(super) fn tell(&mut self, from: PeerId, status: Status) -> bool {
        if !status.member.is_of(&from) || !self.is_present(&from, status.member.session()) {
            return false;
        }
        if status.observer {
            self.observers.insert(from);
        } else {
            self.observers.remove(&from);
        }
        self.bonded.insert(from, status);
        true
    }

    fn is_present(&mut self, peer: &PeerId, session: u64) -> bool {
        if let Some(lives) = self.lives.get_mut(peer) {
            if lives.over.contains(&session) {
                return false;
            }
            if lives.present != session {
                lives.over.push_back(lives.present);
                if lives.over.len() > MAX_LIVES {
                    lives.over.pop_front();
                }
                lives.present = session;
            }
            return true;
        }
        if self.lives.len() >= MAX_PEERS {
            let stranger = self.lives.keys().find(|peer| !self.bonded.contains_key(*peer)).copied();
            if let Some(stranger) = stranger {
                self.lives.remove(&stranger);
                self.observers.remove(&stranger);
            }
        }
        self.lives.insert(*peer, Lives { present: session, over: VecDeque::new() });
        true
    }

    pub(super) fn unbonded(&mut self, peer: &PeerId) {
        self.bonded.remove(peer);
    }

    pub(super) fn get(&self, peer: &PeerId) -> Option<&Status> {
        self.bonded.get(peer)
    }

    pub(super) fn bonded(&self) -> impl Iterator<Item = (&PeerId, &Status)> {
        self.bonded.iter()
    }

    /// The peer has been seen in a later life: this log is gone.
    pub(super) fn is_dead(&self, member: &MemberId) -> bool {
        self.lives
            .iter()
            .any(|(peer, lives)| member.is_of(peer) && lives.present != member.session())
    }

    /// Every peer that could take part in founding, as far as this node can know, without itself.
    pub(super) fn eligible<'a>(&'a self, me: &'a PeerId) -> impl Iterator<Item = &'a PeerId> {
        let bonded = self.bonded.keys();
        let others = self.candidates.iter().filter(|peer| !self.bonded.contains_key(*peer));
        bonded.chain(others).filter(move |peer| *peer != me && !self.observers.contains(*peer))
    }

    /// Bonded peers that could found now.
    pub(super) fn founders(&self) -> impl Iterator<Item = &PeerId> {
        self.bonded.iter().filter(|(_, status)| status.may_found()).map(|(peer, _)| peer)
    }

    /// There is at least one candidate beside this node, and each of them is bonded.
    pub(super) fn all_answered(&self, me: &PeerId) -> bool {
        let mut others = self.candidates.iter().filter(|peer| *peer != me).peekable();
        others.peek().is_some() && others.all(|peer| self.bonded.contains_key(peer))
    }

    /// Somebody is in an incarnation, other than this one: there is something to join, or to wait
    /// for.
    pub(super) fn any_inside(&self, but: Option<IncarnationId>) -> bool {
        self.bonded.values().filter_map(Status::inside).any(|inside| Some(inside) != but)
    }

    /// Somebody who leads this incarnation at present.
    pub(super) fn leader_of(&self, incarnation: IncarnationId) -> Option<(&PeerId, &Status)> {
        self.bonded.iter().find(|(_, status)| {
            status.leading
                && status.stage == Stage::Member
                && status.incarnation == Some(incarnation)
        })
    }

    /// The leader whose incarnation is the best one to join, if any: what would win a contest.
    pub(super) fn best_to_join(&self) -> Option<(&PeerId, IncarnationId)> {
        self.bonded
            .iter()
            .filter(|(_, status)| status.leads_open())
            .filter_map(|(peer, status)| {
                let incarnation = status.incarnation?;
                Some(((status.index, status.voters, std::cmp::Reverse(incarnation)), peer))
            })
            .max()
            .map(|((_, _, incarnation), peer)| (peer, incarnation.0))
    }
}

/// Incarnations that are known to have ended, and how; the last few.
#[derive(Debug, Default)]
pub(super) struct Ended {
    order: VecDeque<IncarnationId>,
    endings: BTreeMap<IncarnationId, Ending>,
}

impl Ended {
    pub(super) fn insert(&mut self, incarnation: IncarnationId, ending: Ending) {
        if self.endings.insert(incarnation, ending).is_none() {
            self.order.push_back(incarnation);
        }
        while self.order.len() > MAX_ENDED {
            if let Some(oldest) = self.order.pop_front() {
                self.endings.remove(&oldest);
            }
        }
    }

    /// A yielding that was taken back.
    pub(super) fn remove(&mut self, incarnation: IncarnationId) {
        self.order.retain(|other| *other != incarnation);
        self.endings.remove(&incarnation);
    }

    pub(super) fn get(&self, incarnation: IncarnationId) -> Option<Ending> {
        self.endings.get(&incarnation).copied()
    }
}
