//! With whom catalogs are to be compared, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use iroh::EndpointAddr;
use tokio::{sync::mpsc, time::Instant};

use super::{Command, Turns, Worker};
use crate::{
    discovery::{refusal::Refusal, shared::Shared, sync},
    id::PeerId,
    transport::{CloseReason, Link, RecvStream, SendStream},
};

/// How often, on average, catalogs are compared with a random peer.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);
/// Two syncs with the same peer are at least this far apart.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// The syncs that are due and under way; one at a time with each peer.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    due: BTreeMap<PeerId, Instant>,
    /// Begun by this node.
    under_way: BTreeSet<PeerId>,
    /// When the last sync with a peer ended, if that was a moment ago.
    ended: BTreeMap<PeerId, Instant>,
    /// When catalogs were last compared with a peer, if that was lately, and with which run of it,
    /// by its start.
    compared: BTreeMap<PeerId, (Instant, u64)>,
}

impl Syncs {
    /// A sync with this peer is wanted by then.
    pub(super) fn want(&mut self, peer: PeerId, at: Instant) {
        let at = self.ended.get(&peer).map_or(at, |last| at.max(*last + PAUSE));
        let due = self.due.entry(peer).or_insert(at);
        *due = at.min(*due);
    }

    /// A link to a peer is up: a sync is wanted by then, unless there was one lately with the same
    /// run of the peer.
    pub(super) fn meet(&mut self, peer: PeerId, start: Option<u64>, at: Instant, now: Instant) {
        let is_as_before =
            |&(last, run): &(Instant, u64)| last + INTERVAL > now && start == Some(run);
        if !self.compared.get(&peer).is_some_and(is_as_before) {
            self.want(peer, at);
        }
    }

    /// A sync with this run of a peer was completed, whoever began it.
    pub(super) fn compared(&mut self, peer: PeerId, start: Option<u64>, now: Instant) {
        if let Some(start) = start {
            self.compared.insert(peer, (now, start));
        }
    }

    /// A sync that this node began is over.
    pub(super) fn ended(&mut self, peer: PeerId, now: Instant) {
        self.under_way.remove(&peer);
        self.ended.insert(peer, now);
    }

    /// A sync that the peer began is over: it does for ours.
    pub(super) fn ended_by(&mut self, peer: PeerId, now: Instant) {
        self.due.remove(&peer);
        self.ended.insert(peer, now);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.due.iter().filter(|(peer, _)| !self.under_way.contains(*peer));
        waiting.map(|(_, at)| *at).min()
    }

    /// Takes out those that are due.
    fn begin(&mut self, now: Instant) -> Vec<PeerId> {
        self.ended.retain(|_, last| *last + PAUSE > now);
        self.compared.retain(|_, (last, _)| *last + INTERVAL > now);
        let is_due = |peer: &PeerId, at: &mut Instant| *at <= now && !self.under_way.contains(peer);
        let due: Vec<_> = self.due.extract_if(.., is_due).map(|(peer, _)| peer).collect();
        self.under_way.extend(&due);
        due
    }
}

impl Worker {
    /// Begins the syncs that are due, each in a task of its own.
    pub(super) fn start_syncs(&mut self, now: Instant) {
        for peer in self.syncs.begin(now) {
            let reach = self.reach.clone();
            self.tasks.spawn("discovery.sync", async move {
                if let Err(error) = reach.sync_with(EndpointAddr::new(peer)).await {
                    tracing::debug!(%peer, %error, "a sync failed");
                }
            });
        }
    }
}

/// Answers a sync that a peer began, when it is its turn, and tells the worker.
pub(in crate::discovery) async fn answer_sync(
    shared: &Shared,
    turns: &Turns,
    commands: &mpsc::Sender<Command>,
    link: Link,
    mut send: SendStream,
    recv: RecvStream,
) {
    let peer = link.peer();
    let turn = tokio::select! {
        turn = turns.turn(peer) => turn,
        _ = link.closed() => return,
    };
    let Some(_turn) = turn else {
        shared.refusals().count(Refusal::Flooded);
        send.reset(CloseReason::NoCapacity);
        return;
    };
    match sync::accept(shared, turns, &link, send, recv).await {
        Ok(learned) => {
            let _ = commands.send(Command::SyncedBy(peer, learned)).await;
        }
        Err(error) => tracing::debug!(%peer, %error, "a sync that a peer began failed"),
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn those_that_are_due_at_once_begin_in_the_same_order_every_time() {
        let now = Instant::now();
        let mut syncs = Syncs::default();
        let mut peers: Vec<_> =
            (0..20).map(|seed| SecretKey::from_bytes(&[seed; 32]).public()).collect();
        peers.iter().for_each(|peer| syncs.want(*peer, now));
        peers.sort();
        assert_eq!(syncs.begin(now), peers);
    }

    #[test]
    fn who_is_met_again_soon_is_not_compared_with_again_unless_it_has_restarted() {
        let peer = SecretKey::from_bytes(&[1; 32]).public();
        let now = Instant::now();
        let mut syncs = Syncs::default();
        syncs.compared(peer, Some(1), now);
        let soon = now + INTERVAL / 2;
        assert_eq!(syncs.begin(soon), []);
        syncs.meet(peer, Some(1), soon, soon);
        assert_eq!(syncs.next(), None);
        syncs.meet(peer, Some(2), soon, soon);
        assert_eq!(syncs.begin(soon), [peer]);
        syncs.ended(peer, soon);
        syncs.meet(peer, Some(1), now + INTERVAL, now + INTERVAL);
        assert_eq!(syncs.next(), Some(now + INTERVAL));
    }

    #[test]
    fn one_sync_at_a_time_with_each_peer_and_not_too_often() {
        let peer = SecretKey::from_bytes(&[1; 32]).public();
        let now = Instant::now();
        let mut syncs = Syncs::default();
        syncs.want(peer, now + PAUSE);
        syncs.want(peer, now);
        assert_eq!(syncs.next(), Some(now));
        assert_eq!(syncs.begin(now), [peer]);
        syncs.want(peer, now);
        assert_eq!((syncs.next(), syncs.begin(now)), (None, vec![]));
        syncs.ended(peer, now);
        assert_eq!(syncs.next(), Some(now));
        syncs.ended_by(peer, now);
        assert_eq!(syncs.next(), None);
        syncs.want(peer, now);
        assert_eq!(syncs.next(), Some(now + PAUSE));
    }
}
