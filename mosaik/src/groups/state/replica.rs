//! The state that a log leads to: a function of the log alone.

use std::{collections::BTreeSet, fmt};

use super::{
    Control, Frozen, Item, RestoreError, Run, Runs, SessionId,
    item::Content,
    outcome::{Answer, Outcome, OutcomeKind, Step},
    session::{Opening, Session},
    snapshot::{self, MAX_SKIPPED, Status},
};
use crate::{
    groups::{
        index::{Cursor, Index, Term},
        machine::{ApplyContext, ErasedMachine, Panicked},
        member::IncarnationId,
    },
    id::{GroupId, NetworkId, PeerId},
};

/// A machine with everything that the log says beside it.
///
/// Items are applied in the order of the log. Every command in it consumes an index, whatever
/// becomes of it: indices are a function of the log alone, and so is all the rest.
///
/// If the machine panics, the replica is *poisoned*: it counts on, and applies nothing any more,
/// until an item says that the command is to be passed over and it is rebuilt.
pub(crate) struct Replica {
    machine: Box<dyn ErasedMachine>,
    status: Status,
    ctx: ApplyContext,
    poisoned: Option<Panicked>,
    listening: Option<SessionId>,
    checkpoint: Option<Frozen>,
    /// The command because of which it is rebuilt, or was.
    passed: Option<Index>,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionStatus {
    pub(crate) peer: PeerId,
    /// The lowest number whose answer is kept.
    pub(crate) lowest: u64,
    /// The number whose turn it is.
    pub(crate) next: u64,
}

impl Replica {
    pub(crate) fn new(machine: Box<dyn ErasedMachine>, group: GroupId, network: NetworkId) -> Self {
        Self {
            machine,
            status: Status::default(),
            ctx: ApplyContext::new(group, network),
            poisoned: None,
            listening: None,
            checkpoint: None,
            passed: None,
        }
    }

    /// From here on only the outcomes of this session are told: the others' are waited for
    /// elsewhere. At first all are told.
    pub(crate) fn listen_to(&mut self, session: SessionId) {
        self.listening = Some(session);
    }

    /// Applies the next item of the log, and adds what became of its calls.
    pub(crate) fn apply(&mut self, term: Term, item: &Item, out: &mut Vec<Outcome>) -> Step {
        let commands = item.commands();
        let before = self.status.applied;
        self.status.time_us = self.status.time_us.max(item.time_us());
        self.ctx.begin(before, term, commands, self.status.time_us);
        let step = match item.content() {
            Some(Content::Commands(runs)) => {
                self.apply_runs(runs, out);
                Step::Done
            }
            Some(Content::Control(control)) => self.control(control, out),
            None => Step::Done,
        };
        if commands > 0 {
            self.status.applied = Cursor(term, before.index() + commands);
            if self.poisoned.is_none() {
                self.machine.publish(self.status.applied.index());
            }
        }
        step
    }

    fn apply_runs(&mut self, runs: Runs<'_>, out: &mut Vec<Outcome>) {
        let closed = self.status.dissolved || self.status.yielded_to.is_some();
        for run in runs {
            if self.poisoned.is_some() {
                return;
            }
            let applied = if closed {
                self.close(run, out);
                Ok(())
            } else {
                self.apply_run(run, out)
            };
            self.poisoned = applied.err();
        }
    }

    /// The calls of a run have numbers that follow one another: some may have had their turn, and
    /// then it is the turn of all others.
    fn apply_run(&mut self, run: Run<'_>, out: &mut Vec<Outcome>) -> Result<(), Panicked> {
        let heard = self.is_heard(run.session);
        let Self { machine, status: Status { sessions, skipped, .. }, ctx, .. } = self;
        let Run { session: id, first, lowest_unanswered, mut calls } = run;
        let Some(session) = sessions.open.get_mut(&id) else {
            if heard {
                out.push(Outcome::new(id, first, Index::zero(), OutcomeKind::UnknownSession));
            }
            ctx.skip(calls.count_commands());
            return Ok(());
        };
        session.used = ctx.log_position().index();
        session.release(lowest_unanswered);
        let due = session.next();
        if first > due {
            if heard {
                let gap = OutcomeKind::Gap { expected: due };
                out.push(Outcome::new(id, first, Index::zero(), gap));
            }
            ctx.skip(calls.count_commands());
            return Ok(());
        }
        for sequence in first..due {
            let Some(call) = calls.next() else { break };
            if heard {
                let (index, kind) = session.repeat(sequence);
                out.push(Outcome::new(id, sequence, index, kind));
            }
            ctx.skip(call.count_left());
        }

        ctx.set_caller(session.peer);
        let mut keep = |index, answer: Answer| {
            if heard {
                let kind = OutcomeKind::Answered(answer.clone());
                out.push(Outcome::new(id, session.next(), index, kind));
            }
            session.keep(index, answer);
        };
        // Not counted where nothing has ever been skipped.
        let left = if skipped.is_empty() { 0 } else { calls.count_commands() };
        if !any_skipped(skipped, ctx, left) {
            return machine.apply(calls, ctx, &mut keep);
        }
        while let Some(call) = calls.split_first() {
            let commands = call.count_commands();
            if any_skipped(skipped, ctx, commands) {
                keep(ctx.index(), Answer::Skipped);
                ctx.skip(commands);
            } else {
                machine.apply(call, ctx, &mut keep)?;
            }
        }
        Ok(())
    }

    /// Nothing is applied after the incarnation has ended.
    fn close(&mut self, run: Run<'_>, out: &mut Vec<Outcome>) {
        if self.is_heard(run.session) {
            for (sequence, _) in (run.first..).zip(run.calls) {
                out.push(Outcome::new(run.session, sequence, Index::zero(), OutcomeKind::Closed));
            }
        }
    }

    fn is_heard(&self, session: SessionId) -> bool {
        self.listening.is_none_or(|listening| listening == session)
    }

    fn control(&mut self, control: Control, out: &mut Vec<Outcome>) -> Step {
        let now = self.status.applied.index();
        match control {
            Control::OpenSession { session, peer } => {
                let kind = match self.status.sessions.open(session, peer, now) {
                    Opening::Open { ended } => {
                        self.tell_ended(ended, now, out);
                        OutcomeKind::Opened
                    }
                    Opening::Ended => OutcomeKind::UnknownSession,
                    // Its owner has nothing to do with that.
                    Opening::Foreign => return Step::Done,
                };
                if self.is_heard(session) {
                    out.push(Outcome::new(session, 0, now, kind));
                }
            }
            Control::EndSessions { peer } => {
                let ended = self.status.sessions.end_all(peer);
                self.tell_ended(ended, now, out);
            }
            Control::Open => self.status.open |= !self.status.dissolved,
            // Of the two, the one that is logged first counts.
            Control::Dissolve => self.status.dissolved |= !self.status.open,
            Control::Yield { winner } => self.status.yielded_to = Some(winner),
            Control::Resume => self.status.yielded_to = None,
            Control::Checkpoint => {
                if self.poisoned.is_none() {
                    self.checkpoint = Some(self.freeze());
                }
            }
            Control::Skip { index } => return self.skip(index),
        }
        Step::Done
    }

    fn tell_ended(&self, ended: Vec<SessionId>, now: Index, out: &mut Vec<Outcome>) {
        for session in ended.into_iter().filter(|session| self.is_heard(*session)) {
            out.push(Outcome::new(session, 0, now, OutcomeKind::UnknownSession));
        }
    }

    fn skip(&mut self, index: Index) -> Step {
        // What nobody has tried cannot have made anybody panic.
        if index > self.status.applied.index() {
            return Step::Done;
        }
        let new = self.status.skipped.insert(index);
        if self.status.skipped.len() > MAX_SKIPPED {
            self.status.skipped.pop_first();
        }
        if !new {
            return Step::Done;
        }
        self.passed = Some(index);
        Step::Rebuild
    }

    /// Begins again with a snapshot, or the start value, and applies the items since. What is to be
    /// passed over is known beforehand this time. Outcomes are told once more.
    ///
    /// If the snapshot itself has applied such a command, or is refused, nothing has changed. That
    /// is an error only for a replica that has panicked: any other has a state that is sound, if
    /// not that of the others, which the next checkpoint tells.
    pub(crate) fn rebuild(
        &mut self,
        snapshot: Option<&[u8]>,
        items: impl IntoIterator<Item = (Term, Item)>,
        out: &mut Vec<Outcome>,
    ) -> Result<(), RestoreError> {
        let items: Vec<(Term, Item)> = items.into_iter().collect();
        let snapshot = snapshot.map(snapshot::split).transpose()?;
        let begin = snapshot.as_ref().map_or(Index::zero(), |(status, _)| status.applied.index());
        let mut skipped = self.status.skipped.clone();
        skipped.extend(skips(begin, &items));
        if let Some((status, machine)) = snapshot {
            let seen = |index: &&Index| {
                **index <= status.applied.index() && !status.skipped.contains(index)
            };
            if let Some(index) = skipped.iter().find(seen).copied() {
                self.passed = None;
                if self.poisoned.is_some() {
                    return Err(RestoreError::TooLate(index));
                }
                tracing::error!(%index, "a command that is skipped by others stays applied here");
                return Ok(());
            }
            self.machine.restore(machine, status.applied.index())?;
            self.begin_with(status);
        } else {
            self.reset();
        }
        while skipped.len() > MAX_SKIPPED {
            skipped.pop_first();
        }
        self.status.skipped = skipped;
        for (term, item) in &items {
            // All that is to be passed over is known: nothing is to be rebuilt again.
            let _done = self.apply(*term, item, out);
        }
        // That one was compared when it was reached for the first time.
        self.checkpoint = None;
        Ok(())
    }

    /// Puts another member's state in place of this one, and tells what it says of the session that
    /// is listened to. On an error nothing has changed.
    pub(crate) fn restore(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<Outcome>,
    ) -> Result<(), RestoreError> {
        let (status, machine) = snapshot::split(bytes)?;
        self.machine.restore(machine, status.applied.index())?;
        self.begin_with(status);
        if let Some(session) = self.listening {
            self.recall(session, out);
        }
        Ok(())
    }

    /// Begins again with the start value, for another incarnation.
    pub(crate) fn reset(&mut self) {
        self.machine.reset();
        self.begin_with(Status::default());
    }

    fn begin_with(&mut self, status: Status) {
        self.status = status;
        self.poisoned = None;
        self.checkpoint = None;
    }

    /// Tells once more what became of a session's calls, as far as it is kept.
    pub(crate) fn recall(&self, id: SessionId, out: &mut Vec<Outcome>) {
        let Some(session) = self.status.sessions.open.get(&id) else { return };
        if session.lowest > 1 {
            // Those before had their turn, and their answers are not kept.
            let last = session.lowest - 1;
            out.push(Outcome::new(id, last, Index::zero(), OutcomeKind::Forgotten));
        }
        for (sequence, kept) in (session.lowest..).zip(&session.kept) {
            let kind = OutcomeKind::Repeated(kept.answer.clone());
            out.push(Outcome::new(id, sequence, kept.index, kind));
        }
    }

    /// The state as it is now, cheaply. That of a poisoned replica cannot be encoded.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen {
            status: self.status.clone(),
            machine: self.machine.freeze(),
            poisoned: self.poisoned.as_ref().map(|panicked| panicked.index),
        }
    }

    /// The state at the last checkpoint, if it has not been taken yet.
    pub(crate) fn take_checkpoint(&mut self) -> Option<Frozen> {
        self.checkpoint.take()
    }

    /// The command that was passed by in the last rebuilding, if that has not been asked yet.
    pub(crate) fn take_passed(&mut self) -> Option<Index> {
        self.passed.take()
    }

    /// The position of the last command in the log.
    pub(crate) fn applied(&self) -> Cursor {
        self.status.applied
    }

    /// The index of the last command in the log.
    pub(crate) fn index(&self) -> Index {
        self.status.applied.index()
    }

    /// The latest time that a leader gave, in microseconds since 1970.
    #[cfg(test)]
    pub(crate) fn time_us(&self) -> u64 {
        self.status.time_us
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status.open
    }

    pub(crate) fn is_dissolved(&self) -> bool {
        self.status.dissolved
    }

    /// The incarnation to which this one has yielded.
    pub(crate) fn yielded_to(&self) -> Option<IncarnationId> {
        self.status.yielded_to
    }

    /// At which command the machine panicked; nothing has been applied since.
    pub(crate) fn poisoned(&self) -> Option<&Panicked> {
        self.poisoned.as_ref()
    }

    /// How far a session is, if it is open.
    #[cfg(test)]
    pub(crate) fn session(&self, id: SessionId) -> Option<SessionStatus> {
        self.status.sessions.open.get(&id).map(SessionStatus::of)
    }

    /// All open sessions.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (SessionId, SessionStatus)> + '_ {
        self.status.sessions.open.iter().map(|(id, session)| (*id, SessionStatus::of(session)))
    }
}

/// What these items say is to be passed over, of what had been tried by then: `applied` is the last
/// command before them.
fn skips(mut applied: Index, items: &[(Term, Item)]) -> Vec<Index> {
    let mut skips = Vec::new();
    for (_, item) in items {
        if item.is_control()
            && let Some(Content::Control(Control::Skip { index })) = item.content()
            && index <= applied
        {
            skips.push(index);
        }
        applied = applied + item.commands();
    }
    skips
}

/// Whether one of the next commands, so many, is to be passed over.
fn any_skipped(skipped: &BTreeSet<Index>, ctx: &ApplyContext, commands: u32) -> bool {
    let first = ctx.index();
    commands > 0
        && !skipped.is_empty()
        && skipped.range(first..=first + (commands - 1)).next().is_some()
}

impl SessionStatus {
    fn of(session: &Session) -> Self {
        Self { peer: session.peer, lowest: session.lowest, next: session.next() }
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("applied", &self.status.applied)
            .field("sessions", &self.status.sessions.open.len())
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
