//! What a leader does about its group's membership.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    action::{Action, Reason},
    health::{self, Health},
    settings::Settings,
    view::{Preference, View},
};
use crate::groups::{formation::wanted_voters, member::MemberId};

/// What a leader does about its group's membership, one change at a time.
#[derive(Debug)]
pub(crate) struct Autopilot {
    settings: Settings,
    health: Health,
    barred: BTreeMap<MemberId, Reason>,
    needed: BTreeSet<MemberId>,
    transferred: Option<Instant>,
}

impl Autopilot {
    pub(crate) fn new(settings: Settings) -> Self {
        let (health, barred, needed) = (Health::default(), BTreeMap::new(), BTreeSet::new());
        Self { settings, health, barred, needed, transferred: None }
    }

    /// See [`Settings::fresh`].
    pub(crate) fn set_fresh(&mut self, fresh: Duration) {
        self.settings.fresh = fresh;
    }

    /// This node has become leader.
    pub(crate) fn begin(&mut self) {
        self.health.begin();
        self.barred.clear();
        self.needed.clear();
        self.transferred = None;
    }

    /// Voters that should go, and keep their votes only because `Strict(n)` would have too few
    /// without them; the others are a quorum. Their bonds may be closed; who can catch up first
    /// replaces them.
    pub(crate) fn barred(&self) -> &BTreeMap<MemberId, Reason> {
        &self.barred
    }

    /// Whether a voter should go, and its vote is needed: without it nothing could be agreed on.
    pub(crate) fn is_needed(&self, member: &MemberId) -> bool {
        self.needed.contains(member)
    }

    /// Whether [`Autopilot::plan`] has to be asked from time to time (a few times a second), and not
    /// only when the view has changed.
    pub(crate) fn wants_ticks(view: &View) -> bool {
        let others = view.voters.union(&view.learners).any(|member| *member != view.me);
        others || view.joint || !view.joining.is_empty()
    }

    /// What to do now: at most one change. To be asked again when it is done, or has failed; not
    /// before.
    pub(crate) fn plan(&mut self, view: &View, now: Instant) -> Vec<Action> {
        self.health.observe(&self.settings, view, now);
        if !view.open || view.yielded {
            self.barred.clear();
            self.needed.clear();
            return Vec::new();
        }
        // What was found out before holds until the change is made.
        if view.changing {
            return Vec::new();
        }
        if view.joint {
            return vec![Action::FinishJoint { reason: Reason::Unfinished }];
        }
        self.bar(view, now);
        let action = self
            .step_down(view, now)
            .or_else(|| self.remove_voter(view, now))
            .or_else(|| self.remove_learners(view, now))
            .or_else(|| self.promote(view, now))
            .or_else(|| self.add_learner(view))
            .or_else(|| self.even_out(view, now))
            .or_else(|| self.prefer(view, now));
        action.into_iter().collect()
    }

    fn cause(&self, view: &View, member: &MemberId, now: Instant) -> Option<Reason> {
        self.health.cause(&self.settings, view, member, now)
    }

    /// Well, caught up, and nothing speaks against it.
    fn is_good(&self, view: &View, member: &MemberId, now: Instant) -> bool {
        health::is_fresh(&self.settings, view, member)
            && health::is_caught_up(&self.settings, view, member)
            && self.cause(view, member, now).is_none()
    }

    /// The learners that could vote at once, the most willing first.
    fn spares(&self, view: &View, now: Instant) -> Vec<MemberId> {
        let mut spares: Vec<MemberId> = view
            .learners
            .iter()
            .filter(|it| self.is_good(view, it, now) && !health::is_observer(view, it))
            .copied()
            .collect();
        spares.sort_by_key(|it| (health::state(view, it).preference != Preference::Normal, *it));
        spares
    }

    /// The change can be committed, and the group goes on after it.
    fn is_safe(&self, view: &View, voters: &BTreeSet<MemberId>, now: Instant) -> bool {
        let answers = |it: &&MemberId| {
            health::is_fresh(&self.settings, view, it) && !health::has_restarted(view, it)
        };
        let before = view.voters.iter().filter(answers).count();
        // The leader counts until it has handed on, whatever speaks against it.
        let stays = |it: &&MemberId| {
            answers(it) && (**it == view.me || self.cause(view, it, now).is_none())
        };
        let after = voters.iter().filter(stays).count();
        before > view.voters.len() / 2 && after > voters.len() / 2
    }

    fn is_enough(&self, voters: usize) -> bool {
        voters >= self.settings.strict.unwrap_or(1)
    }

    /// A leader that has to go hands on; if there is nobody else who votes, somebody has to first.
    fn step_down(&mut self, view: &View, now: Instant) -> Option<Action> {
        let reason = self.cause(view, &view.me, now)?;
        if let Some(to) = self.successor(view, now, |_| true) {
            return self.transfer(to, reason, now, self.settings.fresh);
        }
        if view.voters.len() > 1 {
            return None;
        }
        let spare = self.spares(view, now).first().copied()?;
        let mut voters = view.voters.clone();
        voters.insert(spare);
        Some(Action::SetVoters { voters, retain: true, subjects: BTreeSet::from([spare]), reason })
    }

    fn successor(
        &self,
        view: &View,
        now: Instant,
        fits: impl Fn(Preference) -> bool,
    ) -> Option<MemberId> {
        view.voters
            .iter()
            .filter(|it| **it != view.me && self.is_good(view, it, now))
            .filter(|it| fits(health::state(view, it).preference))
            .max_by_key(|it| {
                let state = health::state(view, it);
                (state.preference == Preference::Normal, state.matched)
            })
            .copied()
    }

    fn transfer(
        &mut self,
        to: MemberId,
        reason: Reason,
        now: Instant,
        pause: std::time::Duration,
    ) -> Option<Action> {
        if self.transferred.is_some_and(|at| now.duration_since(at) < pause) {
            return None;
        }
        self.transferred = Some(now);
        Some(Action::Transfer { to, reason })
    }

    /// The other voters that should go, the surest reason first, and who would vote without each. A
    /// learner that has caught up takes its place.
    fn due(&self, view: &View, now: Instant) -> Vec<(Reason, MemberId, BTreeSet<MemberId>)> {
        let spare = self.spares(view, now).first().copied();
        let others = view.voters.iter().filter(|it| **it != view.me);
        let mut due: Vec<_> = others
            .filter_map(|it| {
                let reason = self.cause(view, it, now)?;
                let rest = view.voters.iter().filter(|voter| *voter != it).copied();
                Some((reason, *it, rest.chain(spare).collect()))
            })
            .collect();
        due.sort_unstable();
        due
    }

    /// Of those that should go, finds out who cannot be taken out as things are.
    fn bar(&mut self, view: &View, now: Instant) {
        let mut barred = BTreeMap::new();
        let mut needed = BTreeSet::new();
        // A leader that has to go itself is not what others can rely on: the next one sees to it.
        let due = match self.cause(view, &view.me, now) {
            None => self.due(view, now),
            Some(_) => Vec::new(),
        };
        for (reason, member, voters) in due {
            let enough = self.is_enough(voters.len());
            let rest = if enough { &voters } else { &view.voters };
            match self.is_safe(view, rest, now) {
                true if enough => {}
                true => {
                    barred.insert(member, reason);
                }
                false => {
                    needed.insert(member);
                }
            }
        }
        (self.barred, self.needed) = (barred, needed);
    }

    /// One at a time.
    fn remove_voter(&mut self, view: &View, now: Instant) -> Option<Action> {
        let possible = |(reason, _, voters): &(Reason, MemberId, BTreeSet<MemberId>)| {
            let kept = self.settings.disk && *reason == Reason::Silent;
            let replaced = voters.len() == view.voters.len();
            self.is_enough(voters.len()) && (!kept || replaced) && self.is_safe(view, voters, now)
        };
        let (reason, member, voters) = self.due(view, now).into_iter().find(possible)?;
        if counts(reason) {
            self.health.evicted(member, now);
        }
        let subjects = BTreeSet::from([member]);
        Some(Action::SetVoters { voters, retain: false, subjects, reason })
    }

    fn remove_learners(&mut self, view: &View, now: Instant) -> Option<Action> {
        let due: Vec<(Reason, MemberId)> =
            view.learners.iter().filter_map(|it| Some((self.cause(view, it, now)?, *it))).collect();
        let reason = due.iter().map(|(reason, _)| *reason).min()?;
        let members: BTreeSet<MemberId> =
            due.iter().filter(|(other, _)| *other == reason).map(|(_, it)| *it).collect();
        if counts(reason) {
            members.iter().for_each(|member| self.health.evicted(*member, now));
        }
        Some(Action::RemoveLearners { members, reason })
    }

    fn add_learner(&self, view: &View) -> Option<Action> {
        if view.voters.len() + view.learners.len() >= self.settings.max_members {
            return None;
        }
        let fits = |it: &&MemberId| {
            let state = health::state(view, it);
            let barred = state.evict || state.expired || state.leaving;
            let member = view.voters.contains(it) || view.learners.contains(it);
            !barred && !member && !health::has_restarted(view, it)
        };
        let member = view.joining.iter().find(fits).copied()?;
        Some(Action::AddLearner { member, reason: Reason::Asked })
    }

    /// As many as shall vote, if there are stable learners; an odd number at once where it can be.
    fn promote(&self, view: &View, now: Instant) -> Option<Action> {
        let stable: Vec<MemberId> = self
            .spares(view, now)
            .into_iter()
            .filter(|it| self.health.is_stable(&self.settings, it, now))
            .collect();
        let wanted = wanted_voters(view.voters.len() + stable.len(), self.settings.max_voters);
        let missing = wanted.checked_sub(view.voters.len()).filter(|missing| *missing > 0)?;
        let subjects: BTreeSet<MemberId> = stable.into_iter().take(missing).collect();
        let voters: BTreeSet<MemberId> = view.voters.union(&subjects).copied().collect();
        self.is_safe(view, &voters, now).then_some(Action::SetVoters {
            voters,
            retain: true,
            subjects,
            reason: Reason::Stable,
        })
    }

    /// Of four voters the fourth adds nothing but another one that can fail.
    fn even_out(&self, view: &View, now: Instant) -> Option<Action> {
        let wanted = wanted_voters(view.voters.len(), self.settings.max_voters);
        let fewer = view.voters.len().saturating_sub(1);
        if wanted >= view.voters.len() || !self.is_enough(fewer) {
            return None;
        }
        let least = view.voters.iter().filter(|it| **it != view.me).min_by_key(|it| {
            let state = health::state(view, it);
            (state.preference == Preference::Normal, state.matched, **it)
        });
        let least = *least?;
        let mut voters = view.voters.clone();
        voters.remove(&least);
        self.is_safe(view, &voters, now).then_some(Action::SetVoters {
            voters,
            retain: true,
            subjects: BTreeSet::from([least]),
            reason: Reason::Even,
        })
    }

    fn prefer(&mut self, view: &View, now: Instant) -> Option<Action> {
        if health::state(view, &view.me).preference == Preference::Normal {
            return None;
        }
        let to = self.successor(view, now, |preference| preference == Preference::Normal)?;
        self.transfer(to, Reason::Reluctant, now, self.settings.transfer_every)
    }
}

/// Whether its peer has to be stable for longer before it votes again.
fn counts(reason: Reason) -> bool {
    matches!(reason, Reason::Silent | Reason::Restarted | Reason::Evicted)
}
