//! Who is well, who has caught up, and who has to go: what a leader remembers of its members.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    action::Reason,
    settings::Settings,
    view::{Member, Preference, View},
};
use crate::{groups::member::MemberId, id::PeerId};

/// So many peers are remembered as evicted.
const MAX_EVICTED: usize = 256;
/// An eviction so long ago is forgotten.
const FORGET: Duration = Duration::from_secs(3_600);

/// What a leader remembers of its members.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Since when each has been a member, as far as this leadership goes.
    known_since: BTreeMap<MemberId, Instant>,
    /// Since when each has been well and caught up without a break.
    well_since: BTreeMap<MemberId, Instant>,
    evicted: BTreeMap<PeerId, Evicted>,
}

#[derive(Debug)]
struct Evicted {
    times: u32,
    last: MemberId,
    at: Instant,
}

impl Health {
    /// Another leadership: what was seen in the one before is out of date.
    pub(super) fn begin(&mut self) {
        self.known_since.clear();
        self.well_since.clear();
    }

    pub(super) fn observe(&mut self, settings: &Settings, view: &View, now: Instant) {
        let members: BTreeSet<MemberId> = view.voters.union(&view.learners).copied().collect();
        self.known_since.retain(|member, _| members.contains(member));
        self.well_since.retain(|member, _| members.contains(member));
        for member in members {
            self.known_since.entry(member).or_insert(now);
            if is_fresh(settings, view, &member) && is_caught_up(settings, view, &member) {
                self.well_since.entry(member).or_insert(now);
            } else {
                self.well_since.remove(&member);
            }
        }
        self.evicted.retain(|_, evicted| now.duration_since(evicted.at) < FORGET);
    }

    /// Why this member should not be one, if anything speaks against it.
    pub(super) fn cause(
        &self,
        settings: &Settings,
        view: &View,
        member: &MemberId,
        now: Instant,
    ) -> Option<Reason> {
        if has_restarted(view, member) {
            return Some(Reason::Restarted);
        }
        let state = state(view, member);
        if state.evict {
            return Some(Reason::Evicted);
        }
        if state.leaving {
            return Some(Reason::Leaving);
        }
        if state.expired {
            return Some(Reason::TicketExpired);
        }
        if *member == view.me {
            return None;
        }
        let silent = match (state.acknowledged, self.known_since.get(member)) {
            (None, None) => Duration::ZERO,
            (None, Some(since)) => now.duration_since(*since),
            // What is older than this leadership says nothing.
            (Some(age), Some(since)) => age.min(now.duration_since(*since)),
            (Some(age), None) => age,
        };
        (silent >= settings.evict_after).then_some(Reason::Silent)
    }

    /// Has been well and caught up for long enough to vote.
    pub(super) fn is_stable(&self, settings: &Settings, member: &MemberId, now: Instant) -> bool {
        let evicted = self.evicted.iter().find(|(peer, _)| member.is_of(peer));
        let times = evicted.map_or(0, |(_, evicted)| evicted.times.min(20));
        let needed = (settings.stabilization * 2_u32.pow(times)).min(settings.stabilization_max);
        self.well_since.get(member).is_some_and(|since| now.duration_since(*since) >= needed)
    }

    /// Counted once for each life of its log.
    pub(super) fn evicted(&mut self, member: MemberId, now: Instant) {
        let Some(peer) = member.peer() else { return };
        if self.evicted.len() >= MAX_EVICTED && !self.evicted.contains_key(&peer) {
            let oldest = self.evicted.iter().min_by_key(|(_, evicted)| evicted.at);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.evicted.remove(&oldest);
            }
        }
        match self.evicted.get_mut(&peer) {
            Some(before) if before.last == member => {}
            Some(before) => {
                *before = Evicted { times: before.times.saturating_add(1), last: member, at: now };
            }
            None => {
                self.evicted.insert(peer, Evicted { times: 1, last: member, at: now });
            }
        }
    }
}

pub(super) fn state(view: &View, member: &MemberId) -> Member {
    view.members.get(member).copied().unwrap_or_default()
}

/// The leader is well; others are as long as they acknowledge.
pub(super) fn is_fresh(settings: &Settings, view: &View, member: &MemberId) -> bool {
    let acknowledged = state(view, member).acknowledged;
    *member == view.me || acknowledged.is_some_and(|age| age < settings.fresh)
}

pub(super) fn is_caught_up(settings: &Settings, view: &View, member: &MemberId) -> bool {
    let matched = state(view, member).matched;
    *member == view.me || matched.is_some_and(|at| at.saturating_add(settings.lag) >= view.log_end)
}

/// Its peer is here with another session.
pub(super) fn has_restarted(view: &View, member: &MemberId) -> bool {
    view.alive.iter().any(|(peer, present)| member.is_of(peer) && present != member)
}

pub(super) fn is_observer(view: &View, member: &MemberId) -> bool {
    state(view, member).preference == Preference::Observer
}
