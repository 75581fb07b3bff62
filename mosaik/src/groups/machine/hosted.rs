//! A machine at work: applied to by one task, read by everybody.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::{Bytes, BytesMut};

use super::{ApplyContext, Reply, StateMachine};
use crate::{
    groups::{
        index::Index,
        state::{Answer, Call, Calls, varint},
    },
    id::Digest,
    schema::{self, DecodeError, EncodeError},
    tasks::panic_text,
};

/// So many commands are applied before readers have their turn.
const COMMANDS_A_TURN: u32 = 64;

/// The machine panicked: its state is no longer any that the log leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked {
    /// The command at which it did.
    pub(crate) index: Index,
    /// What it said.
    pub(crate) message: String,
}

/// A machine of whatever type.
pub(crate) trait ErasedMachine: Send + Sync {
    /// Applies calls in order, and says for each the index of its first command and the answer.
    /// `ctx` is that of the first command, and is moved behind the last one.
    ///
    /// After a panic the calls before it have been answered, and the state is worth nothing until
    /// it is restored or reset.
    fn apply(
        &mut self,
        calls: Calls<'_>,
        ctx: &mut ApplyContext,
        answered: &mut dyn FnMut(Index, Answer),
    ) -> Result<(), Panicked>;

    /// Says that the state is that after this command, also if it was not applied to.
    fn publish(&mut self, index: Index);

    /// The state as it is now, cheaply; the next change is made to a copy.
    fn freeze(&self) -> Box<dyn FrozenMachine>;

    /// Puts this state in place of the present one, as that after the command at `index`. On an
    /// error nothing has changed.
    fn restore(&mut self, bytes: &[u8], index: Index) -> Result<(), DecodeError>;

    /// Begins again with the state that it was started with.
    fn reset(&mut self);
}

/// A state that does not change any more. Its methods are slow for large states, and run the
/// user's code: they are called on a thread where that does no harm.
pub(crate) trait FrozenMachine: Send + Sync {
    fn encode(&self) -> Result<Bytes, EncodeError>;

    fn digest(&self) -> Result<Digest, EncodeError>;
}

impl<M: StateMachine> FrozenMachine for Arc<M> {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        guarded(|| self.snapshot()).unwrap_or(Err(EncodeError::Refused))
    }

    fn digest(&self) -> Result<Digest, EncodeError> {
        guarded(|| M::digest(self)).unwrap_or(Err(EncodeError::Refused))
    }
}

/// The state that everybody may read. Clones share it.
pub(crate) struct Published<M>(Arc<RwLock<View<M>>>);

struct View<M> {
    state: Arc<M>,
    /// The last command that it has seen.
    index: Index,
}

impl<M> Published<M> {
    /// Reads the state. The next commands are applied when `read` has returned: it should be quick.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&M, Index) -> R) -> R {
        let view = self.view();
        read(&view.state, view.index)
    }

    /// The last command that the state has seen.
    pub(crate) fn index(&self) -> Index {
        self.view().index
    }

    fn view(&self) -> RwLockReadGuard<'_, View<M>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, View<M>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Clone for Published<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> fmt::Debug for Published<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").field("index", &self.index()).finish_non_exhaustive()
    }
}

/// A machine, and what it was started with.
pub(crate) struct Hosted<M> {
    start: Arc<M>,
    published: Published<M>,
    /// Responses are encoded here.
    scratch: BytesMut,
}

impl<M: StateMachine> Hosted<M> {
    pub(crate) fn new(start: M) -> Self {
        Self::begin(Arc::new(start))
    }

    pub(crate) fn begin(start: Arc<M>) -> Self {
        let view = View { state: start.clone(), index: Index::zero() };
        let published = Published(Arc::new(RwLock::new(view)));
        Self { start, published, scratch: BytesMut::new() }
    }

    /// Begins again in another incarnation, where the same handles read.
    pub(crate) fn again(start: Arc<M>, published: Published<M>) -> Self {
        let mut hosted = Self { start, published, scratch: BytesMut::new() };
        hosted.reset();
        hosted
    }

    /// For handles to read from.
    pub(crate) fn published(&self) -> Published<M> {
        self.published.clone()
    }

    /// Makes a copy of the state if a snapshot of it is held, while readers go on.
    fn own(&self) {
        let shared = self.published.view().state.clone();
        // This one and the published one.
        if Arc::strong_count(&shared) > 2 {
            let copy = Arc::new(M::clone(&shared));
            let replaced = std::mem::replace(&mut self.published.change().state, copy);
            drop(replaced);
        }
    }

    /// Applies some of the calls; `false` when there are none left.
    fn turn(
        &mut self,
        calls: &mut Calls<'_>,
        ctx: &mut ApplyContext,
        answered: &mut dyn FnMut(Index, Answer),
    ) -> bool {
        let mut view = self.published.change();
        let view = &mut *view;
        let machine = Arc::make_mut(&mut view.state);
        let mut applied = 0;
        let mut more = true;
        while applied < COMMANDS_A_TURN {
            let Some(call) = calls.next() else {
                more = false;
                break;
            };
            let commands = call.count_left();
            let index = ctx.index();
            let answer = answer(machine, call, ctx, &mut self.scratch);
            answered(index, answer);
            applied = applied.saturating_add(commands);
        }
        view.index = ctx.index().prev();
        more
    }

    fn replace(&self, state: Arc<M>, index: Index) {
        let replaced = std::mem::replace(&mut *self.published.change(), View { state, index });
        // It may be large: readers do not wait for that.
        drop(replaced);
    }
}

/// Applies one call, and passes over its indices.
fn answer<M: StateMachine>(
    machine: &mut M,
    mut call: Call<'_>,
    ctx: &mut ApplyContext,
    scratch: &mut BytesMut,
) -> Answer {
    scratch.clear();
    if call.count_left() != 1 {
        return answer_many(machine, call, ctx, scratch);
    }
    let command = call.next().and_then(|bytes| schema::decode(bytes).ok());
    let response = command.map(|command| machine.apply(command, ctx));
    ctx.advance();
    let Some(response) = response else { return Answer::Undecodable };
    match schema::encode_into(&response, scratch) {
        Ok(()) => Answer::Applied(Reply::new(scratch)),
        Err(_) => Answer::Unencodable,
    }
}

#[cold]
fn answer_many<M: StateMachine>(
    machine: &mut M,
    call: Call<'_>,
    ctx: &mut ApplyContext,
    scratch: &mut BytesMut,
) -> Answer {
    let count = call.count_left();
    // All or none.
    let commands: Option<Vec<M::Command>> = call.map(|bytes| schema::decode(bytes).ok()).collect();
    let responses = commands.map(|commands| machine.apply_batch(commands, ctx));
    ctx.skip(count);
    let Some(responses) = responses else { return Answer::Undecodable };
    if responses.len() != count as usize {
        return Answer::Unencodable;
    }
    let mut out = BytesMut::new();
    for response in &responses {
        scratch.clear();
        if schema::encode_into(response, scratch).is_err() {
            return Answer::Unencodable;
        }
        varint::put(&mut out, scratch.len() as u32);
        out.extend_from_slice(scratch);
    }
    Answer::Applied(Reply::new(&out))
}

impl<M: StateMachine> ErasedMachine for Hosted<M> {
    fn apply(
        &mut self,
        mut calls: Calls<'_>,
        ctx: &mut ApplyContext,
        answered: &mut dyn FnMut(Index, Answer),
    ) -> Result<(), Panicked> {
        loop {
            let turn = guarded(|| {
                self.own();
                self.turn(&mut calls, ctx, answered)
            });
            match turn {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(message) => return Err(Panicked { index: ctx.index(), message }),
            }
        }
    }

    fn publish(&mut self, index: Index) {
        if self.published.index() != index {
            self.published.change().index = index;
        }
    }

    fn freeze(&self) -> Box<dyn FrozenMachine> {
        Box::new(self.published.view().state.clone())
    }

    fn restore(&mut self, bytes: &[u8], index: Index) -> Result<(), DecodeError> {
        let refused = |message: String| -> DecodeError { serde::de::Error::custom(message) };
        let state = guarded(|| M::restore(bytes)).map_err(refused)??;
        self.replace(Arc::new(state), index);
        Ok(())
    }

    fn reset(&mut self) {
        self.replace(self.start.clone(), Index::zero());
    }
}

impl<M> fmt::Debug for Hosted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").field("published", &self.published).finish_non_exhaustive()
    }
}

/// Runs the user's code; if it panics, what it said.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_text(&*panic).to_owned())
}
