//! How the two halves of `#[group_state]` meet, and what its expansions call.

use std::future::Future;

use bytes::Bytes;

pub use super::{
    config::{Consistency, OnRivals, Quorum, Storage},
    error::{CommandError, QueryError},
    group::Group,
    key::GroupKey,
    machine::{ApplyContext, StateMachine, decode_state, digest_state, encode_state},
};
use crate::{
    id::{Digest, UniqueId},
    schema::{DecodeError, EncodeError},
};

/// What `#[group_state]` on a type says of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a group state: the `#[group_state]` of its type definition is missing",
    label = "this type has `#[group_state]` on an `impl` block only",
    note = "put `#[mosaik::group_state(\"some.name\", quorum = 3)]` above the definition of \
            `{Self}` as well"
)]
pub trait GroupStateStruct: Sized {
    /// The name of the state machine.
    const INTENT: &'static str;
    /// The id that the name is hashed to.
    const ID: UniqueId;
    /// The version of the machine's behaviour.
    const VERSION: u32;

    /// For [`StateMachine::snapshot`].
    fn snapshot(&self) -> Result<Bytes, EncodeError>;

    /// For [`StateMachine::restore`].
    fn restore(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// For [`StateMachine::digest`].
    fn digest(&self) -> Result<Digest, EncodeError>;
}

/// What `#[group_state]` on an `impl` block makes of its methods.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no commands: the `#[group_state]` of its `impl` block is missing",
    label = "this type has `#[group_state]` on its definition only",
    note = "put `#[mosaik::group_state]` above the `impl {Self}` block whose `pub fn`s are the \
            commands and queries"
)]
pub trait GroupStateImplBlock: StateMachine {
    /// The group with the methods of the block.
    type Handle;

    /// Makes it of a group that was joined.
    fn open(group: Group<Self>) -> Self::Handle;
}

/// Executes a command; `reply` takes its answer out of the enum of all answers.
pub fn command<M: StateMachine, R: 'static>(
    group: &Group<M>,
    command: M::Command,
    reply: fn(M::Response) -> Option<R>,
) -> impl Future<Output = Result<R, CommandError<M>>> + Send + Sync + 'static + use<M, R> {
    let committed = group.execute(command);
    async move {
        let committed = committed.await?;
        let index = committed.index();
        reply(committed.response).ok_or(CommandError::Undecodable { index })
    }
}

/// Asks a query, linearizably; `answer` takes the answer out of the enum of all answers.
pub fn query<M: StateMachine, R: 'static>(
    group: &Group<M>,
    query: M::Query,
    answer: fn(M::QueryResult) -> Option<R>,
) -> impl Future<Output = Result<R, QueryError<M>>> + Send + Sync + 'static + use<M, R> {
    let found = group.query(query, Consistency::Strong);
    async move {
        let result = found.await?.into();
        Ok(answer(result).expect("a generated machine answers each query by its own variant"))
    }
}
