//! What a state machine may know while it applies a command.

use chrono::{DateTime, Utc};
use iroh::SecretKey;

use crate::{
    groups::index::{Cursor, Index, Term},
    id::{GroupId, NetworkId, PeerId},
};

/// What a state machine is told beside the command: the same on every member, whenever and
/// wherever the command is applied.
///
/// Unit tests of a machine make one by [`ApplyContext::for_tests`]:
///
/// ```
/// use mosaik::groups::{ApplyContext, Index};
///
/// let ctx = ApplyContext::for_tests().with_index(Index(7));
/// assert_eq!(ctx.index(), 7);
/// assert_eq!(ctx.committed().index(), 6);
/// ```
#[derive(Clone, Debug)]
pub struct ApplyContext {
    pub(super) index: Index,
    /// The position before this command.
    pub(super) before: Cursor,
    /// The position of the last command that came with this one.
    pub(super) log: Cursor,
    pub(super) time: DateTime<Utc>,
    pub(super) caller: PeerId,
    group: GroupId,
    network: NetworkId,
}

impl ApplyContext {
    pub(crate) fn new(group: GroupId, network: NetworkId) -> Self {
        Self {
            index: Index::one(),
            before: Cursor::zero(),
            log: Cursor::zero(),
            time: DateTime::UNIX_EPOCH,
            caller: nobody(),
            group,
            network,
        }
    }

    /// The commands that follow `before` in this item: so many, by the leader's time.
    pub(crate) fn begin(&mut self, before: Cursor, term: Term, commands: u32, time_us: u64) {
        self.before = before;
        self.index = before.index().next();
        self.log = Cursor(term, before.index() + commands);
        self.time = date(time_us);
    }

    /// The next commands are this peer's.
    pub(crate) fn set_caller(&mut self, caller: PeerId) {
        self.caller = caller;
    }

    /// Passes over commands that are not applied.
    pub(crate) fn skip(&mut self, commands: u32) {
        if commands > 0 {
            let before = self.index + (commands - 1);
            self.before = Cursor(self.log.term(), before);
            self.index = before.next();
        }
    }

    /// The context of the command after this one, of the same caller.
    ///
    /// For machines with an [`apply_batch`](super::StateMachine::apply_batch) of their own.
    pub fn advance(&mut self) {
        self.skip(1);
    }

    /// This command's index: 1 for the first that the group has applied.
    pub const fn index(&self) -> Index {
        self.index
    }

    /// The position of the command *before* this one, which is committed as well: the next one's is
    /// this command's, also within an [`execute_many`](crate::groups::Group::execute_many).
    pub const fn committed(&self) -> Cursor {
        self.before
    }

    /// The position of the last of the commands that were logged together with this one.
    pub const fn log_position(&self) -> Cursor {
        self.log
    }

    /// The term in which the command was logged.
    pub const fn current_term(&self) -> Term {
        self.log.term()
    }

    /// The leader's time when it logged the command, in whole microseconds. It never goes back,
    /// whatever the leaders' clocks do; it may stand still.
    pub const fn timestamp(&self) -> DateTime<Utc> {
        self.time
    }

    /// The peer whose command it is.
    pub const fn caller(&self) -> PeerId {
        self.caller
    }

    /// The group.
    pub const fn group_id(&self) -> &GroupId {
        &self.group
    }

    /// The network that the group is on.
    pub const fn network_id(&self) -> &NetworkId {
        &self.network
    }

    /// A context for unit tests of a machine: of the first command in the first term, called by
    /// some peer at the beginning of 1970, in a group and a network whose ids are zero.
    #[must_use]
    pub fn for_tests() -> Self {
        let mut context = Self::new(GroupId::zero(), NetworkId::zero());
        context.begin(Cursor::zero(), Term::one(), 1, 0);
        context
    }

    /// The context of the command at this index, alone in its log entry.
    #[must_use]
    pub fn with_index(mut self, index: Index) -> Self {
        let term = self.log.term();
        let before = index.prev();
        self.before = if before.is_zero() { Cursor::zero() } else { Cursor(term, before) };
        self.index = index;
        self.log = Cursor(term, index);
        self
    }

    /// The context of a command that was logged in this term.
    #[must_use]
    pub fn with_term(mut self, term: Term) -> Self {
        self.log = Cursor(term, self.log.index());
        self
    }

    /// The context of a command that was logged at this time.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: DateTime<Utc>) -> Self {
        self.time = timestamp;
        self
    }

    /// The context of this peer's command.
    #[must_use]
    pub fn with_caller(mut self, caller: PeerId) -> Self {
        self.caller = caller;
        self
    }
}

/// A peer that there is not, before the first command has come.
fn nobody() -> PeerId {
    SecretKey::from_bytes(&[1; 32]).public()
}

/// The date of a number from the log; one beyond chrono's range is its last date.
fn date(micros: u64) -> DateTime<Utc> {
    i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_the_position_before_it() {
        let mut ctx = ApplyContext::for_tests();
        ctx.begin(Cursor(Term(1), Index(4)), Term(3), 3, 1_000_000);
        assert_eq!((ctx.index(), ctx.committed()), (Index(5), Cursor(Term(1), Index(4))));
        assert_eq!((ctx.log_position(), ctx.current_term()), (Cursor(Term(3), Index(7)), Term(3)));
        ctx.advance();
        assert_eq!((ctx.index(), ctx.committed()), (Index(6), Cursor(Term(3), Index(5))));
        ctx.skip(0);
        ctx.skip(1);
        assert_eq!((ctx.index(), ctx.committed()), (Index(7), Cursor(Term(3), Index(6))));
        assert_eq!(ctx.timestamp(), DateTime::from_timestamp(1, 0).unwrap());
    }

    #[test]
    fn dates_beyond_the_calendar_do_not_panic() {
        let mut ctx = ApplyContext::for_tests();
        ctx.begin(Cursor(Term(1), Index(u64::MAX)), Term(3), u32::MAX, u64::MAX);
        assert_eq!(ctx.timestamp(), DateTime::<Utc>::MAX_UTC);
        ctx.skip(u32::MAX);
    }
}
