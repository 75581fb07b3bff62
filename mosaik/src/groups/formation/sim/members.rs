//! The hosts as members: their Raft is shown to their formations, written to, and led.

use std::{collections::BTreeSet, time::Duration};

use rand::RngExt;

use super::{
    raft::{Kind, Raft},
    world::{Event, World},
};
use crate::groups::{
    autopilot::{self, Action, Preference, View},
    member::MemberId,
};

impl World {
    /// A leader that takes commands is given one now and then.
    pub(super) fn write(&mut self, host: usize) {
        let Some(raft) = &mut self.rafts[host] else { return };
        let applied = raft.applied();
        let gone = applied.yielded.is_some_and(|winner| winner != raft.incarnation);
        if raft.is_settled() && applied.open && !gone && self.rng.random_bool(0.03) {
            self.next_command += 1;
            raft.propose(Kind::Command(self.next_command));
        }
    }

    pub(super) fn show(&mut self, host: usize) {
        let Some(view) = self.rafts[host].as_ref().map(Raft::view) else { return };
        if self.hosts[host].shown.as_ref() != Some(&view) {
            self.hosts[host].shown = Some(view.clone());
            let at = self.in_order(host, host, Duration::from_millis(30));
            self.push(at, Event::View { host, member: view.member, view });
        }
    }

    pub(super) fn pilot(&mut self, host: usize) {
        let Some(raft) = &self.rafts[host] else { return };
        let leads = raft.is_settled();
        if leads && !self.hosts[host].led {
            self.hosts[host].autopilot.begin();
        }
        self.hosts[host].led = leads;
        if !leads || self.rng.random_bool(0.7) {
            return;
        }
        let view = self.view(host, raft);
        let actions = self.hosts[host].autopilot.plan(&view, self.now);
        for action in actions {
            self.note(|| format!("{host}: {action:?}"));
            self.act(host, action);
        }
    }

    pub(super) fn view(&self, host: usize, raft: &Raft) -> View {
        let (at, configs, learners) = raft.config();
        let applied = raft.applied();
        let voters: BTreeSet<MemberId> = configs.iter().flatten().copied().collect();
        let mut view = View {
            me: raft.member,
            open: applied.open,
            yielded: applied.yielded.is_some_and(|winner| winner != raft.incarnation),
            joint: configs.len() > 1,
            changing: raft.commit <= at,
            log_end: raft.log.len() as u64,
            joining: self.hosts[host].joining.clone(),
            ..View::default()
        };
        for member in voters.iter().chain(&learners).chain(&view.joining) {
            let heard = raft.matched.get(member);
            let observer = self.hosts.iter().any(|it| member.is_of(&it.peer) && it.observer);
            let state = autopilot::Member {
                matched: heard.map(|(len, _)| *len as u64),
                acknowledged: heard.map(|(_, at)| self.now.duration_since(*at)),
                preference: if observer { Preference::Observer } else { Preference::Normal },
                ..autopilot::Member::default()
            };
            view.members.insert(*member, state);
        }
        for (other, it) in self.hosts.iter().enumerate() {
            let pair = (host.min(other), host.max(other));
            if let Some(formation) = &it.formation
                && self.bonds.contains_key(&pair)
                && self.is_reachable(host, other)
            {
                view.alive.insert(it.peer, formation.me());
            }
        }
        view.voters = voters;
        view.learners = learners;
        view
    }

    pub(super) fn act(&mut self, host: usize, action: Action) {
        let Some(raft) = &mut self.rafts[host] else { return };
        let (_, configs, mut learners) = raft.config();
        let old = configs.last().cloned().unwrap_or_default();
        let configs = match action {
            Action::FinishJoint { .. } => vec![old],
            Action::AddLearner { member, .. } => {
                learners.insert(member);
                vec![old]
            }
            Action::RemoveLearners { members, .. } => {
                learners.retain(|it| !members.contains(it));
                vec![old]
            }
            Action::SetVoters { voters, retain, .. } => {
                if retain {
                    learners.extend(old.difference(&voters));
                }
                learners.retain(|it| !voters.contains(it));
                vec![old, voters]
            }
            Action::Transfer { .. } => return,
        };
        raft.propose(Kind::Config { configs, learners });
        let (_, configs, learners) = raft.config();
        let member =
            |it: &MemberId| learners.contains(it) || configs.iter().any(|of| of.contains(it));
        self.hosts[host].joining.retain(|it| !member(it));
    }
}
