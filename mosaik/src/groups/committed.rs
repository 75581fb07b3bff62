//! What commands and queries resolve to: a result, and where in the log it stands.

use std::{
    cmp::Ordering,
    fmt::{self, Debug, Display, Formatter},
    ops::Deref,
};

use serde::{Deserialize, Serialize};

use super::{
    index::{Index, IndexRange},
    machine::StateMachine,
};

/// A command that is committed and has been applied here, with its response.
///
/// It dereferences to the response, and compares and prints as its index.
///
/// ```
/// # use mosaik::groups::{Committed, Index};
/// fn seen(deposited: Committed<u64>) {
///     let balance: u64 = *deposited;
///     let index: Index = deposited.index();
///     assert_eq!(deposited, index);
///     println!("number {deposited}: the balance is {balance}");
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Committed<R> {
    index: Index,
    /// What the state machine answered.
    pub response: R,
}

impl<R> Committed<R> {
    pub(crate) fn new(index: Index, response: R) -> Self {
        Self { index, response }
    }

    /// The command's place in the log.
    pub const fn index(&self) -> Index {
        self.index
    }

    /// The response by value.
    pub fn into_response(self) -> R {
        self.response
    }
}

impl<R> Deref for Committed<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.response
    }
}

impl<R> Display for Committed<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.index, f)
    }
}

/// The response is left out: it need not be printable.
impl<R> Debug for Committed<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed").field("index", &self.index).finish_non_exhaustive()
    }
}

/// By index, as everything that compares.
impl<R, S> PartialEq<Committed<S>> for Committed<R> {
    fn eq(&self, other: &Committed<S>) -> bool {
        self.index == other.index
    }
}

impl<R> Eq for Committed<R> {}

impl<R, S> PartialOrd<Committed<S>> for Committed<R> {
    fn partial_cmp(&self, other: &Committed<S>) -> Option<Ordering> {
        self.index.partial_cmp(&other.index)
    }
}

impl<R> Ord for Committed<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.index.cmp(&other.index)
    }
}

impl<R> PartialEq<Committed<R>> for Index {
    fn eq(&self, other: &Committed<R>) -> bool {
        *self == other.index
    }
}

impl<R> PartialOrd<Committed<R>> for Index {
    fn partial_cmp(&self, other: &Committed<R>) -> Option<Ordering> {
        self.partial_cmp(&other.index)
    }
}

macro_rules! compares_as_index {
    ($($other:ty)*) => {$(
        impl<R> PartialEq<$other> for Committed<R> {
            fn eq(&self, other: &$other) -> bool {
                self.index == *other
            }
        }

        impl<R> PartialOrd<$other> for Committed<R> {
            fn partial_cmp(&self, other: &$other) -> Option<Ordering> {
                self.index.partial_cmp(other)
            }
        }
    )*};
}

compares_as_index!(Index u8 u16 u32 u64 i8 i16 i32 i64);

impl<R> From<Committed<R>> for Index {
    fn from(committed: Committed<R>) -> Self {
        committed.index
    }
}

impl<R> From<&Committed<R>> for Index {
    fn from(committed: &Committed<R>) -> Self {
        committed.index
    }
}

/// Commands that were given together, are committed together and have been applied here, with
/// their responses in order.
///
/// It dereferences to the responses, and otherwise is as the range of its indices:
/// [`contains`](CommittedMany::contains), unlike that of a slice, asks for an index.
#[derive(Clone)]
pub struct CommittedMany<R> {
    range: IndexRange,
    /// What the state machine answered, one for each command.
    pub responses: Vec<R>,
}

impl<R> CommittedMany<R> {
    pub(crate) fn new(first: Index, responses: Vec<R>) -> Self {
        let last = first + (responses.len() as u64).saturating_sub(1);
        Self { range: first..=last, responses }
    }

    /// The places of the commands in the log.
    pub fn range(&self) -> IndexRange {
        self.range.clone()
    }

    /// The place of the first command.
    pub const fn first(&self) -> Index {
        *self.range.start()
    }

    /// The place of the last command.
    pub const fn last(&self) -> Index {
        *self.range.end()
    }

    /// The place of the first command, as a range has it.
    pub const fn start(&self) -> &Index {
        self.range.start()
    }

    /// The place of the last command, as a range has it.
    pub const fn end(&self) -> &Index {
        self.range.end()
    }

    /// Whether one of the commands has this place in the log.
    pub fn contains<I>(&self, index: &I) -> bool
    where
        I: ?Sized + PartialOrd<Index>,
        Index: PartialOrd<I>,
    {
        self.range.contains(index)
    }

    /// The responses by value.
    pub fn into_responses(self) -> Vec<R> {
        self.responses
    }
}

impl<R> Deref for CommittedMany<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.responses
    }
}

impl<R> PartialEq<IndexRange> for CommittedMany<R> {
    fn eq(&self, other: &IndexRange) -> bool {
        self.range == *other
    }
}

impl<R> PartialEq<CommittedMany<R>> for IndexRange {
    fn eq(&self, other: &CommittedMany<R>) -> bool {
        *self == other.range
    }
}

impl<R> From<CommittedMany<R>> for IndexRange {
    fn from(committed: CommittedMany<R>) -> Self {
        committed.range
    }
}

/// `[first..last]`
impl<R> Display for CommittedMany<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}..{}]", self.first(), self.last())
    }
}

/// The responses are left out: they need not be printable.
impl<R> Debug for CommittedMany<R> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommittedMany").field("range", &self.range).finish_non_exhaustive()
    }
}

/// The result of a query, and the position of the state that gave it.
///
/// It dereferences to the result, and compares and prints as the result does.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct QueryResultAt<M: StateMachine> {
    /// The result.
    pub result: M::QueryResult,
    /// The index of the last command that the state had applied.
    pub at_position: Index,
}

impl<M: StateMachine> QueryResultAt<M> {
    pub(crate) fn new(result: M::QueryResult, at_position: Index) -> Self {
        Self { result, at_position }
    }

    /// The result by value.
    pub fn into(self) -> M::QueryResult {
        self.result
    }

    /// The result.
    pub const fn result(&self) -> &M::QueryResult {
        &self.result
    }

    /// The index of the last command that the state had applied.
    pub const fn state_position(&self) -> Index {
        self.at_position
    }
}

impl<M: StateMachine> Clone for QueryResultAt<M> {
    fn clone(&self) -> Self {
        Self { result: self.result.clone(), at_position: self.at_position }
    }
}

impl<M: StateMachine> Deref for QueryResultAt<M> {
    type Target = M::QueryResult;

    fn deref(&self) -> &M::QueryResult {
        &self.result
    }
}

impl<M: StateMachine> PartialEq<M::QueryResult> for QueryResultAt<M>
where
    M::QueryResult: PartialEq,
{
    fn eq(&self, other: &M::QueryResult) -> bool {
        self.result == *other
    }
}

impl<M: StateMachine> Display for QueryResultAt<M>
where
    M::QueryResult: Display,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.result, f)
    }
}

impl<M: StateMachine> Debug for QueryResultAt<M>
where
    M::QueryResult: Debug,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryResultAt")
            .field("result", &self.result)
            .field("at_position", &self.at_position)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::machine::NoOp;

    #[test]
    fn a_committed_command_is_its_response_and_compares_as_its_index() {
        let committed = Committed::new(Index(4), "four".to_owned());
        assert_eq!(committed.len(), 4);
        assert_eq!(committed, 4);
        assert_eq!(committed, Index(4));
        assert_eq!(Index(4), committed);
        assert!(committed < Committed::new(Index(5), ()));
        assert_eq!(Index::from(&committed), 4);
        assert_eq!(committed.to_string(), "4");
        assert_eq!(committed.into_response(), "four");
    }

    #[test]
    fn commands_of_one_call_stand_in_a_row() {
        let committed = CommittedMany::new(Index(2), vec!["a", "b", "c"]);
        assert_eq!(committed, Index(2)..=Index(4));
        assert_eq!(Index(2)..=Index(4), committed);
        assert_eq!((committed.len(), committed[1]), (3, "b"));
        assert_eq!((*committed.start(), *committed.end()), (Index(2), Index(4)));
        assert_eq!((committed.first(), committed.last()), (Index(2), Index(4)));
        assert!(committed.contains(&Index(4)) && !committed.contains(&Index(5)));
        assert_eq!(committed.to_string(), "[2..4]");
    }

    #[test]
    fn a_query_s_result_keeps_its_position() {
        let at = QueryResultAt::<NoOp>::new((), Index(3));
        assert_eq!(at, ());
        assert_eq!(at.clone().state_position(), 3);
        at.into();
    }
}
