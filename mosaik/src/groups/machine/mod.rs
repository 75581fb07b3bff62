//! What users implement: state machines.

mod canonical;
mod context;
mod encoding;
mod hosted;
mod noop;
mod preference;
mod reply;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub use context::ApplyContext;
pub use encoding::{decode_state, digest_state, encode_state};
pub(crate) use hosted::{ErasedMachine, FrozenMachine, Hosted, Panicked, Published};
pub use noop::NoOp;
pub use preference::LeadershipPreference;
pub(crate) use reply::Reply;

use crate::{
    id::{Digest, UniqueId},
    schema::{DecodeError, EncodeError, schema_of},
};

/// What a group replicates: a value, the commands that change it, the queries that read it.
///
/// Every member applies the same commands in the same order, and must come to the same state and
/// the same responses by them. So [`apply`](StateMachine::apply) must depend on nothing but the
/// state, the command and the [`ApplyContext`]: no clock, no randomness, no environment, and not
/// the order in which a `HashMap` happens to be iterated.
///
/// `#[mosaik::group_state]` writes the implementation for a struct and its methods. By hand:
///
/// ```
/// use mosaik::{
///     Bytes, UniqueId,
///     groups::{ApplyContext, StateMachine, decode_state, encode_state},
///     primitives::encoding::{DecodeError, EncodeError},
/// };
///
/// #[derive(Clone, Default)]
/// struct Counter(u64);
///
/// impl StateMachine for Counter {
///     type Command = u64;
///     type Response = u64;
///     type Query = ();
///     type QueryResult = u64;
///
///     fn signature(&self) -> UniqueId {
///         "example.counter".into()
///     }
///
///     fn apply(&mut self, by: u64, _: &ApplyContext) -> u64 {
///         self.0 += by;
///         self.0
///     }
///
///     fn query(&self, (): ()) -> u64 {
///         self.0
///     }
///
///     fn snapshot(&self) -> Result<Bytes, EncodeError> {
///         encode_state(&self.0)
///     }
///
///     fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
///         decode_state(bytes).map(Self)
///     }
/// }
///
/// let mut counter = Counter::default();
/// assert_eq!(counter.apply(2, &ApplyContext::for_tests()), 2);
/// assert_eq!(counter.query(()), 2);
/// ```
///
/// `Clone` is how a snapshot begins: while one is being written, the next command is applied to a
/// copy. It is cheap with persistent collections such as `imbl`'s, and a deep copy with those of the
/// standard library.
pub trait StateMachine: Sized + Clone + Send + Sync + 'static {
    /// What changes the state.
    type Command: Command;

    /// What [`apply`](StateMachine::apply) answers to the caller of a command.
    type Response: Response;

    /// What is asked of the state.
    type Query: Query;

    /// What [`query`](StateMachine::query) answers.
    type QueryResult: QueryResult;

    /// Names the machine. It is part of the group's id: machines of other names under the same key
    /// are other groups.
    fn signature(&self) -> UniqueId;

    /// The version of the machine's behaviour. Members of different versions refuse each other,
    /// since the same command could have different effects on them.
    fn version(&self) -> u32 {
        0
    }

    /// What commands and responses look like on the wire: members that differ in it refuse each
    /// other.
    ///
    /// Default: learnt from the types' `Deserialize`.
    fn schema(&self) -> UniqueId {
        schema_of::<(Self::Command, Self::Response)>().fingerprint()
    }

    /// Applies a command that is committed, and answers its caller.
    ///
    /// If it panics, the group stops on this member with an error that names the command's index;
    /// the process goes on.
    fn apply(&mut self, command: Self::Command, ctx: &ApplyContext) -> Self::Response;

    /// Applies the commands that one caller gave together, and answers each of them in order. No
    /// reader sees the state in between.
    ///
    /// `ctx` is that of the first command; [`ApplyContext::advance`] makes it that of the next.
    /// Default: [`apply`](StateMachine::apply) for each. There must be as many responses as
    /// commands: otherwise the caller gets
    /// [`CommandError::Undecodable`](super::CommandError::Undecodable).
    fn apply_batch(
        &mut self,
        commands: impl IntoIterator<Item = Self::Command>,
        ctx: &ApplyContext,
    ) -> Vec<Self::Response> {
        let mut ctx = ctx.clone();
        let apply = |command| {
            let response = self.apply(command, &ctx);
            ctx.advance();
            response
        };
        commands.into_iter().map(apply).collect()
    }

    /// Answers a query. It runs while no command is applied, so it should be quick.
    fn query(&self, query: Self::Query) -> Self::QueryResult;

    /// Encodes the state, on a thread of its own. For serde types: [`encode_state`].
    ///
    /// If that fails, or panics, there is no snapshot, and another one is tried after as many commands
    /// again. Until one is made the log is not shortened.
    fn snapshot(&self) -> Result<Bytes, EncodeError>;

    /// Decodes a state. The bytes are those of another member's
    /// [`snapshot`](StateMachine::snapshot), checked for damage; they may be of another version.
    /// For serde types: [`decode_state`].
    ///
    /// If that fails, or panics, this member drops what it has and begins anew, as a new member that
    /// asks for a snapshot again.
    fn restore(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// A digest of the state, by which members now and then see that they have the same one. Equal
    /// states must have equal digests. If that fails, or panics, this member is not compared that
    /// time.
    ///
    /// Default: that of the [`snapshot`](StateMachine::snapshot), which does not do for states in
    /// which there is a `HashMap` or `HashSet`: their order differs. For serde types:
    /// [`digest_state`].
    fn digest(&self) -> Result<Digest, EncodeError> {
        self.snapshot().map(|bytes| Digest::hash(&bytes))
    }

    /// How much this member wants to lead. Asked once, when the group is joined.
    fn leadership_preference(&self) -> LeadershipPreference {
        LeadershipPreference::Normal
    }
}

macro_rules! message {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {$(
        $(#[$attribute])*
        pub trait $name: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}

        #[diagnostic::do_not_recommend]
        impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> $name for T {}
    )*};
}

message! {
    /// What can be a state machine's command: everything that is serde's and can be copied and
    /// shared.
    Command,
    /// What can be a state machine's response: everything that is serde's and can be copied and
    /// shared.
    Response,
    /// What can be a state machine's query: everything that is serde's and can be copied and shared.
    Query,
    /// What can be the result of a query: everything that is serde's and can be copied and shared.
    QueryResult,
}
