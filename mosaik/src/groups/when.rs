//! What of a group's life can be awaited.

use std::{fmt, future::Future, sync::Arc};

use tokio::sync::watch;

use super::{
    committed::CommittedMany,
    group::{Core, Seen},
    index::{Cursor, Index, IndexRange},
    watched::Watched,
};
use crate::id::PeerId;

/// What of a group's life can be awaited. All futures are cancel safe.
///
/// Once the group has ended on this node there is no leader, and it is offline: `offline` and
/// `is_follower` resolve then, the others wait for ever.
#[derive(Clone)]
pub struct When(Arc<Core>);

impl When {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// Resolves when there is a leader, with it; at once if there is one.
    pub fn leader_elected(&self) -> impl Future<Output = PeerId> + Send + Sync + 'static + use<> {
        self.find(|seen| seen.leader)
    }

    /// Resolves when somebody leads who does not at the time of this call, with the new leader.
    /// Times without a leader do not count.
    pub fn leader_changed(&self) -> impl Future<Output = PeerId> + Send + Sync + 'static + use<> {
        let before = self.0.seen().borrow().leader;
        self.find(move |seen| seen.leader.filter(|leader| Some(*leader) != before))
    }

    /// Resolves when this peer leads; at once if it does.
    pub fn leader_is(
        &self,
        peer: PeerId,
    ) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        self.find(move |seen| (seen.leader == Some(peer)).then_some(()))
    }

    /// Resolves when this node leads; at once if it does.
    pub fn is_leader(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        self.leader_is(self.0.local())
    }

    /// Resolves when this node does not lead, whoever else does or nobody; at once if it is so.
    pub fn is_follower(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        let local = self.0.local();
        self.find(move |seen| (seen.leader != Some(local)).then_some(()))
    }

    /// Resolves when the group takes commands from this member: it is a part of it, and knows its
    /// leader. At once if it is so.
    pub fn online(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        self.find(|seen| seen.online.then_some(()))
    }

    /// Resolves when the group takes no commands from this member; at once if it is so.
    pub fn offline(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        self.find(|seen| (!seen.online).then_some(()))
    }

    /// The end of this member's log.
    pub fn log(&self) -> CursorWatcher<Cursor> {
        CursorWatcher::new(self.0.logged_watch().subscribe(), |cursor| cursor)
    }

    /// The last command that is committed and applied here.
    pub fn committed(&self) -> CursorWatcher<Index> {
        CursorWatcher::new(self.0.applied_watch().subscribe(), |cursor| cursor.index())
    }

    fn find<T, F>(&self, find: F) -> impl Future<Output = T> + Send + Sync + 'static + use<T, F>
    where
        F: Fn(&Seen) -> Option<T> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let mut seen = self.0.seen().subscribe();
        async move {
            loop {
                if let Some(found) = find(&seen.borrow_and_update()) {
                    return found;
                }
                if seen.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("When").field(&*self.0.seen().borrow()).finish()
    }
}

/// How far a log is, as it changes. Its futures wait for ever once the group has ended on this node.
/// All are cancel safe.
#[derive(Clone)]
pub struct CursorWatcher<T> {
    watched: watch::Receiver<Watched>,
    show: fn(Cursor) -> T,
}

impl<T: Send + 'static> CursorWatcher<T> {
    fn new(watched: watch::Receiver<Watched>, show: fn(Cursor) -> T) -> Self {
        Self { watched, show }
    }

    /// Resolves at the next change after this call, with the new position.
    pub fn changed(&self) -> impl Future<Output = T> + Send + Sync + 'static + use<T> {
        self.next(|before, now| now.end() != before.end)
    }

    /// Resolves when there are more commands than at the time of this call, with the position then.
    pub fn advanced(&self) -> impl Future<Output = T> + Send + Sync + 'static + use<T> {
        self.next(|before, now| now.end().index() > before.end.index())
    }

    /// Resolves when commands are gone that were there at the time of this call, with the position
    /// then: another leader has replaced what was not committed, or the member has joined another
    /// incarnation. There may be more commands by then than before.
    pub fn reverted(&self) -> impl Future<Output = T> + Send + Sync + 'static + use<T> {
        self.next(|before, now| now.was_before(before.end.index(), before.cuts))
    }

    /// Resolves when the position is at this index (of a range its end) or beyond it, with the
    /// position then; at once if it is there.
    pub fn reaches<I: Into<Position>>(
        &self,
        index: I,
    ) -> impl Future<Output = T> + Send + Sync + 'static + use<T, I> {
        let Position(index) = index.into();
        let (watched, show) = (self.watched.clone(), self.show);
        async move { show(wait(watched, move |now| now.end().index() >= index).await) }
    }

    fn next(
        &self,
        is_it: fn(&Before, &Watched) -> bool,
    ) -> impl Future<Output = T> + Send + Sync + 'static + use<T> {
        let (watched, show) = (self.watched.clone(), self.show);
        let before = {
            let watched = watched.borrow();
            Before { end: watched.end(), cuts: watched.cuts() }
        };
        async move { show(wait(watched, move |now| is_it(&before, now)).await) }
    }
}

/// What there was at the time of a call.
struct Before {
    end: Cursor,
    cuts: u64,
}

async fn wait(mut watched: watch::Receiver<Watched>, is_it: impl Fn(&Watched) -> bool) -> Cursor {
    loop {
        {
            let now = watched.borrow_and_update();
            if is_it(&now) {
                return now.end();
            }
        }
        if watched.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<T> fmt::Debug for CursorWatcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CursorWatcher").field(&self.watched.borrow().end()).finish()
    }
}

/// A place in a log that can be waited for: an index, or the end of a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(Index);

impl<I: Into<Index>> From<I> for Position {
    fn from(index: I) -> Self {
        Self(index.into())
    }
}

impl From<IndexRange> for Position {
    fn from(range: IndexRange) -> Self {
        Self(*range.end())
    }
}

impl<R> From<CommittedMany<R>> for Position {
    fn from(committed: CommittedMany<R>) -> Self {
        Self(committed.last())
    }
}

impl<R> From<&CommittedMany<R>> for Position {
    fn from(committed: &CommittedMany<R>) -> Self {
        Self(committed.last())
    }
}
