//! Conditions that one can await: how many peers are there that pass.
//!
//! One implementation for everything that counts peers. The owner publishes to a [`Roster`] who
//! counts at present. Each state knows the one after it, and a [`Conditions`] holds on to the last
//! one that it has looked at: it misses no edge, however late it is polled, and states that nobody
//! holds on to are gone.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
};

use super::waiters::Waiters;
use crate::{discovery::PeerEntry, id::Tag, many::IntoIterOrSingle};

/// Who counts at one moment.
#[derive(Debug)]
struct Snapshot {
    /// One for each channel: a peer that has two counts twice.
    peers: Vec<PeerEntry>,
    /// The owner is at work; nothing is online after it has ended.
    open: bool,
    /// What came after it.
    next: OnceLock<Arc<Self>>,
}

impl Snapshot {
    fn new(peers: Vec<PeerEntry>, open: bool) -> Arc<Self> {
        Arc::new(Self { peers, open, next: OnceLock::new() })
    }
}

/// One after the other, not each within the one before: a chain may be long.
impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = last.next.take();
        }
    }
}

/// Publishes who counts; owned by the worker that knows. Clones share it.
#[derive(Clone)]
pub(crate) struct Roster(Arc<Mutex<History>>);

struct History {
    current: Arc<Snapshot>,
    waiting: Waiters,
    next_key: u64,
}

impl Roster {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(History {
            current: Snapshot::new(Vec::new(), true),
            waiting: Waiters::default(),
            next_key: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Arc<Snapshot> {
        self.lock().current.clone()
    }

    pub(crate) fn publish(&self, peers: Vec<PeerEntry>) {
        self.push(peers, true);
    }

    /// Nobody counts any more, and nothing is online.
    pub(crate) fn close(&self) {
        self.push(Vec::new(), false);
    }

    fn push(&self, peers: Vec<PeerEntry>, open: bool) {
        let mut history = self.lock();
        // What has ended stays so.
        let next = Snapshot::new(peers, open && history.current.open);
        let last = std::mem::replace(&mut history.current, next.clone());
        // It is set here only, once.
        let _ = last.next.set(next);
        let woken = history.waiting.take();
        drop(history);
        woken.wake();
    }

    /// How many peers there are; at least one of them, and so on: see [`Conditions`].
    pub(crate) fn conditions(&self) -> Conditions {
        Conditions::new(self.clone())
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("peers", &self.current().peers.len()).finish_non_exhaustive()
    }
}

/// A condition on the number of connected peers: a future that resolves when it is met.
///
/// The first `await` resolves at once if the condition is met, or was met at any time since the
/// condition was made. After that it can be awaited again, and resolves at the next change from
/// unmet to met, also if that was undone before it was looked at. A clone starts afresh. Dropping
/// it, or the future that awaits it, loses nothing.
///
/// ```no_run
/// # async fn example(producer: mosaik::streams::Producer<String>) {
/// let mut crowded = producer.when().subscribed().minimum_of(3).with_tags("reader");
/// (&mut crowded).await; // there are three
/// (&mut crowded).await; // there were fewer, and there are three again
/// assert!(crowded == true);
/// # }
/// ```
pub struct Conditions {
    roster: Roster,
    rule: Rule,
    /// The last state that was looked at; at first the one at which the condition was made.
    last: Arc<Snapshot>,
    /// Whether the condition was met then; unknown until the first poll.
    met: Option<bool>,
    /// Where the waker is registered while somebody waits.
    key: Option<u64>,
}

type Filter = Arc<dyn Fn(&PeerEntry) -> bool + Send + Sync>;

#[derive(Clone)]
struct Rule {
    minimum: usize,
    filters: Vec<Filter>,
    unmet: bool,
    /// Not met after the owner has ended.
    while_open: bool,
    /// The whole of it is turned round.
    negated: bool,
}

impl Rule {
    fn holds(&self, peers: &[PeerEntry], open: bool) -> bool {
        let passing = peers.iter().filter(|peer| self.passes(peer)).take(self.minimum).count();
        let met = (passing >= self.minimum) != self.unmet;
        (met && (open || !self.while_open)) != self.negated
    }

    fn passes(&self, peer: &PeerEntry) -> bool {
        self.filters.iter().all(|filter| guarded(|| filter(peer)))
    }
}

/// Runs a user's predicate; one that panics says no.
pub(crate) fn guarded(predicate: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(predicate)).unwrap_or_else(|_| {
        tracing::error!("a predicate panicked; taken as false");
        false
    })
}

impl Conditions {
    fn new(roster: Roster) -> Self {
        let rule = Rule {
            minimum: 1,
            filters: Vec::new(),
            unmet: false,
            while_open: false,
            negated: false,
        };
        Self::of_rule(roster, rule)
    }

    fn of_rule(roster: Roster, rule: Rule) -> Self {
        let last = roster.current();
        Self { roster, rule, last, met: None, key: None }
    }

    /// Met when at least so many peers pass all filters. Default 1.
    #[must_use]
    pub const fn minimum_of(mut self, peers: usize) -> Self {
        self.rule.minimum = peers;
        self
    }

    /// Counts only peers that have all of these tags.
    #[must_use]
    pub fn with_tags<V>(self, tags: impl IntoIterOrSingle<Tag, V>) -> Self {
        let tags: Vec<Tag> = tags.into_many().collect();
        self.with_predicate(move |peer| tags.iter().all(|tag| peer.tags().contains(tag)))
    }

    /// Counts only peers for which the predicate holds.
    #[must_use]
    pub fn with_predicate<F>(mut self, predicate: F) -> Self
    where
        F: Fn(&PeerEntry) -> bool + Send + Sync + 'static,
    {
        self.rule.filters.push(Arc::new(predicate));
        self
    }

    /// Met when the condition as described is *not* met. Saying it twice changes nothing.
    #[must_use]
    pub const fn unmet(mut self) -> Self {
        self.rule.unmet = true;
        self
    }

    /// Whether the condition is met right now.
    #[must_use]
    pub fn is_condition_met(&self) -> bool {
        let now = self.roster.current();
        self.rule.holds(&now.peers, now.open)
    }

    /// Takes in what has happened; true if the condition was met on the way.
    fn catch_up(&mut self) -> bool {
        let first = self.met.is_none();
        let mut met = self.met.unwrap_or_else(|| self.rule.holds(&self.last.peers, self.last.open));
        let mut fired = false;
        while let Some(next) = self.last.next.get().cloned() {
            let now = self.rule.holds(&next.peers, next.open);
            fired |= now && !met;
            met = now;
            self.last = next;
        }
        self.met = Some(met);
        fired || (first && met)
    }
}

impl Future for Conditions {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Filters are the user's code: they run without the lock.
            if self.catch_up() {
                return Poll::Ready(());
            }
            let mut history = self.roster.lock();
            if Arc::ptr_eq(&history.current, &self.last) {
                let key = self.key.unwrap_or(history.next_key);
                if self.key.is_none() {
                    history.next_key += 1;
                }
                history.waiting.register(key, cx.waker());
                drop(history);
                self.key = Some(key);
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Conditions {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.roster.lock().waiting.forget(key);
        }
    }
}

impl Clone for Conditions {
    fn clone(&self) -> Self {
        Self::of_rule(self.roster.clone(), self.rule.clone())
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditions")
            .field("minimum_of", &self.rule.minimum)
            .field("filters", &self.rule.filters.len())
            .field("unmet", &self.rule.unmet)
            .field("is_condition_met", &self.is_condition_met())
            .finish_non_exhaustive()
    }
}

impl PartialEq<bool> for Conditions {
    fn eq(&self, other: &bool) -> bool {
        self.is_condition_met() == *other
    }
}

impl PartialEq<Conditions> for bool {
    fn eq(&self, other: &Conditions) -> bool {
        other == self
    }
}

/// What can be waited for at one end of a stream. Cheap to clone.
#[derive(Clone)]
pub struct When {
    roster: Roster,
    /// Not a condition: that would hold on to everything that comes after it.
    online: Rule,
}

impl When {
    pub(crate) fn new(roster: Roster, online: Conditions) -> Self {
        let online = Rule { while_open: true, ..online.rule.clone() };
        Self { roster, online }
    }

    /// Resolves when this end is online: when the condition given to `online_when` is met. At once
    /// if it is so already. Cancel safe.
    pub fn online(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        Conditions::of_rule(self.roster.clone(), self.online.clone())
    }

    /// Resolves when this end is not online; at once if it is so already. Cancel safe.
    pub fn offline(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        let rule = Rule { negated: !self.online.negated, ..self.online.clone() };
        Conditions::of_rule(self.roster.clone(), rule)
    }

    /// Whether this end is online right now.
    #[must_use]
    pub fn is_online(&self) -> bool {
        let now = self.roster.current();
        self.online.holds(&now.peers, now.open)
    }

    /// Whether it would be online with these peers, before they are published.
    pub(crate) fn would_be_online(&self, peers: &[PeerEntry]) -> bool {
        self.online.holds(peers, self.roster.current().open)
    }

    /// A condition on the connected peers: at least one unless
    /// [`minimum_of`](Conditions::minimum_of) says otherwise.
    #[must_use]
    pub fn subscribed(&self) -> Conditions {
        self.roster.conditions()
    }

    /// The opposite of [`When::subscribed`].
    #[must_use]
    pub fn unsubscribed(&self) -> Conditions {
        self.subscribed().unmet()
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When").field("is_online", &self.is_online()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use iroh::SecretKey;

    use super::*;

    fn peer(seed: u8, tags: &[&str]) -> PeerEntry {
        let id = SecretKey::from_bytes(&[seed; 32]).public();
        PeerEntry::new("net", id).add_tags(tags.iter().copied().map(Tag::from))
    }

    fn resolves(condition: &mut Conditions) -> bool {
        condition.now_or_never().is_some()
    }

    #[test]
    fn the_first_await_looks_at_the_level_and_later_ones_at_edges() {
        let roster = Roster::new();
        let mut one = roster.conditions();
        assert!(!resolves(&mut one));
        roster.publish(vec![peer(1, &[])]);
        assert!(resolves(&mut one) && !resolves(&mut one));
        assert!(resolves(&mut one.clone()), "a clone starts afresh");
        roster.publish(vec![peer(1, &[]), peer(2, &[])]);
        assert!(!resolves(&mut one), "still met is no edge");
        roster.publish(vec![]);
        assert!(!resolves(&mut one) && one == false);
        roster.publish(vec![peer(1, &[])]);
        assert!(resolves(&mut one) && true == one);
    }

    #[test]
    fn no_change_is_missed_between_the_call_and_the_first_poll() {
        let roster = Roster::new();
        let mut came = roster.conditions();
        let mut left = roster.conditions().unmet();
        roster.publish(vec![peer(1, &[])]);
        roster.publish(vec![]);
        assert!(resolves(&mut came) && came == false);
        assert!(resolves(&mut left));
        roster.publish(vec![peer(1, &[])]);
        roster.publish(vec![]);
        assert!(resolves(&mut came) && resolves(&mut left));
    }

    #[test]
    fn no_change_is_missed_however_many_come_before_the_first_poll() {
        let roster = Roster::new();
        let mut came = roster.conditions();
        roster.publish(vec![peer(1, &[])]);
        (0..100_000).for_each(|_| roster.publish(vec![]));
        assert!(resolves(&mut came) && !resolves(&mut came));
        let late = roster.conditions();
        (0..100_000).for_each(|_| roster.publish(vec![]));
        drop(late);
    }

    #[test]
    fn states_that_nobody_has_to_look_at_are_gone() {
        let roster = Roster::new();
        let when = When::new(roster.clone(), roster.conditions());
        let waiting = roster.conditions();
        let first = Arc::downgrade(&waiting.last);
        roster.publish(vec![peer(1, &[])]);
        let second = Arc::downgrade(&roster.current());
        roster.publish(vec![]);
        assert!(first.upgrade().is_some() && second.upgrade().is_some());
        drop(waiting);
        assert!(first.upgrade().is_none() && second.upgrade().is_none());
        assert!(!when.is_online());
    }

    #[test]
    fn what_was_met_only_when_the_condition_was_made_is_no_change() {
        let roster = Roster::new();
        roster.publish(vec![peer(1, &[])]);
        let mut one = roster.conditions();
        roster.publish(vec![]);
        assert!(!resolves(&mut one));
    }

    #[test]
    fn only_peers_that_pass_every_filter_count() {
        let roster = Roster::new();
        let red = roster.conditions().with_tags("red").minimum_of(2);
        let named = roster.conditions().with_predicate(|peer| peer.tags().len() == 2);
        roster.publish(vec![peer(1, &["red"]), peer(2, &["red", "old"]), peer(3, &[])]);
        assert!(red == true && named == true);
        assert!(roster.conditions().with_tags(["red", "old"]) == true);
        assert!(roster.conditions().with_tags(["red", "old"]).minimum_of(2) == false);
        let panics = roster.conditions().with_predicate(|_| panic!("on purpose"));
        assert!(panics == false);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let roster = Roster::new();
        let two = tokio::spawn(roster.conditions().minimum_of(2));
        tokio::task::yield_now().await;
        roster.publish(vec![peer(1, &[])]);
        tokio::task::yield_now().await;
        assert!(!two.is_finished());
        roster.publish(vec![peer(1, &[]), peer(1, &[])]);
        two.await.unwrap();
        assert_eq!(roster.lock().waiting.len(), 0);
    }

    #[test]
    fn what_has_ended_is_offline_for_ever() {
        let roster = Roster::new();
        let when = When::new(roster.clone(), roster.conditions().minimum_of(0));
        assert!(when.is_online() && when.online().now_or_never().is_some());
        assert!(when.offline().now_or_never().is_none());
        roster.close();
        roster.publish(vec![]);
        assert!(!when.is_online() && when.online().now_or_never().is_none());
        assert!(when.offline().now_or_never().is_some());
    }

    #[test]
    fn a_dropped_condition_leaves_nothing_behind() {
        let roster = Roster::new();
        let mut one = roster.conditions();
        assert!(!resolves(&mut one));
        assert_eq!(roster.lock().waiting.len(), 1);
        drop(one);
        assert_eq!(roster.lock().waiting.len(), 0);
    }
}
