//! The task that owns a consumer's subscriptions: one for each producer that is eligible, as far as
//! they can be reached.

mod waiting;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use self::waiting::Waiting;
use super::{
    Core,
    budget::end_overdue,
    subscription::{Means, Subscription},
};
use crate::{
    discovery::{PeerDelta, PeerDeltas, PeerEntry, PeerInfo},
    id::PeerId,
    streams::{eligible, error::SubscribeError, status::ChannelInfo},
    tasks::Tasks,
    ticket::Expiration,
};

/// How many producers that were not reached yet are sought at once: whoever is in the catalog may
/// name as many as he likes that do not exist.
const MAX_SOUGHT: usize = 256;
/// How often one that was sought in vain gives way to another one that was, too.
const EXCHANGE_INTERVAL: Duration = Duration::from_millis(100);

/// What the subscriptions tell.
#[derive(Debug)]
pub(super) enum Report {
    /// The producer could not be reached.
    Unreached { number: u64, peer: PeerId },
    /// Why the producer is not subscribed to, or that it is.
    Refused { number: u64, peer: PeerId, error: Option<SubscribeError> },
    /// The channel of a subscription, or that it has none any more.
    Channel { number: u64, channel: Option<ChannelInfo> },
    /// The subscription's producer announces the stream no more, and its data have ended.
    Ended { number: u64 },
    /// The distance to a producer was measured, as far as it can be.
    Measured(PeerId),
}

#[derive(Debug)]
struct Subscribed {
    number: u64,
    /// As it was judged last.
    entry: PeerEntry,
    /// The same, as long as it announces the stream.
    peer: watch::Sender<Option<PeerEntry>>,
    /// When the producer's tickets are to be judged again.
    until: Expiration,
    claim: Claim,
    /// How often it was sought in vain, before it was reached.
    tried: u32,
    task: Tasks,
}

impl Subscribed {
    /// Whether the producer announces the stream no more, and is only read to the end.
    fn is_draining(&self) -> bool {
        self.peer.borrow().is_none()
    }
}

/// What becomes of a search: a subscription that has reached its producer is not given up for
/// another, and one that was given up subscribes to nothing. Who says so first is right: the two
/// may be under way at once, and data that have come must not be dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(Arc<OnceLock<Outcome>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Reached,
    GivenUp,
}

impl Claim {
    /// The producer was reached; false if the search was given up.
    pub(super) fn reach(&self) -> bool {
        *self.0.get_or_init(|| Outcome::Reached) == Outcome::Reached
    }

    /// The search is given up; false if the producer was reached.
    fn give_up(&self) -> bool {
        *self.0.get_or_init(|| Outcome::GivenUp) == Outcome::GivenUp
    }

    fn is_open(&self) -> bool {
        self.0.get().is_none()
    }
}

#[derive(Debug)]
pub(super) struct Worker {
    core: Arc<Core>,
    means: Means,
    tasks: Tasks,
    reports: UnboundedReceiver<Report>,
    subscriptions: BTreeMap<PeerId, Subscribed>,
    /// Producers to which the distance is measured before they are judged, with how often they
    /// were tried in vain.
    measured: BTreeMap<PeerId, (PeerEntry, u32)>,
    /// Producers that are sought later.
    waiting: Waiting,
    next_exchange: Instant,
    channels: BTreeMap<u64, ChannelInfo>,
    next_number: u64,
}

impl Worker {
    pub(super) fn new(
        core: Arc<Core>,
        means: Means,
        tasks: Tasks,
        reports: UnboundedReceiver<Report>,
    ) -> Self {
        Self {
            core,
            means,
            tasks,
            reports,
            subscriptions: BTreeMap::new(),
            measured: BTreeMap::new(),
            waiting: Waiting::default(),
            next_exchange: Instant::now(),
            channels: BTreeMap::new(),
            next_number: 0,
        }
    }

    /// Runs until the consumer's last handle is gone, or the network is.
    pub(super) async fn run(self) {
        let core = self.core.clone();
        tokio::select! {
            () = self.follow_producers() => {}
            () = end_overdue(&core) => {}
        }
    }

    async fn follow_producers(mut self) {
        let mut peers: PeerDeltas = self.means.discovery.stream_peers(self.core.config.stream_id);
        let mut catalog = self.means.discovery.catalog_watch();
        loop {
            let expiry = self.next_expiry();
            let draining = self.subscriptions.values().any(Subscribed::is_draining);
            tokio::select! {
                deltas = peers.next() => match deltas {
                    Some(deltas) => deltas.into_iter().for_each(|delta| self.apply(delta)),
                    None => return,
                },
                Some(report) = self.reports.next() => self.hear(report),
                // Nobody else tells of those that do not announce the stream.
                changed = catalog.changed(), if draining => match changed {
                    Ok(()) => self.review_draining(),
                    Err(_) => return,
                },
                () = eligible::until(expiry) => self.expire(),
                () = sleep_until(self.next_exchange), if !self.waiting.is_empty() => {}
            }
            self.seek(Instant::now());
        }
    }

    fn apply(&mut self, delta: PeerDelta) {
        match delta {
            PeerDelta::Added(entry) | PeerDelta::Updated(entry) => {
                let peer = entry.id();
                if self.subscriptions.contains_key(peer) || self.measured.contains_key(peer) {
                    self.measure_and_judge(entry, 0);
                } else if !self.waiting.update(&entry) {
                    self.waiting.insert(entry, 0);
                }
            }
            PeerDelta::Removed(peer) => {
                self.waiting.remove(&peer);
                self.measured.remove(&peer);
                if self.means.discovery.is_too_far(&peer) {
                    return self.cut(&peer);
                }
                self.core.set_refusal(peer, None);
                // What it sends can still be read, as long as it is eligible otherwise; it is not
                // asked again.
                if let Some(subscribed) = self.subscriptions.get(&peer) {
                    subscribed.peer.send_replace(None);
                }
            }
        }
    }

    /// Begins with producers that wait, as far as there is room for them.
    fn seek(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        // Those that are connected take no time to be reached.
        for link in self.means.transport.links() {
            if let Some((entry, tried)) = self.waiting.remove(&link.peer()) {
                self.measure_and_judge(entry, tried);
            }
        }
        while self.has_room(now)
            && let Some((entry, tried)) = self.waiting.next()
        {
            self.measure_and_judge(entry, tried);
        }
        if self.next_exchange <= now {
            self.next_exchange = now + EXCHANGE_INTERVAL;
        }
    }

    /// Whether one more producer can be sought; if need be, one that was sought in vain waits. Those
    /// that never were do not wait for that.
    fn has_room(&mut self, now: Instant) -> bool {
        let Some(least) = self.waiting.least_tried() else { return false };
        let sought = self.subscriptions.iter().filter(|(_, it)| it.claim.is_open());
        if sought.clone().count() + self.measured.len() < MAX_SOUGHT {
            return true;
        }
        let Some((tried, peer)) = sought.map(|(peer, it)| (it.tried, *peer)).max() else {
            return false;
        };
        if least >= tried || least > 0 && now < self.next_exchange {
            return false;
        }
        if least > 0 {
            self.next_exchange = now + EXCHANGE_INTERVAL;
        }
        let given_up = self.subscriptions.extract_if(peer..=peer, |_, it| it.claim.give_up());
        if let Some((_, subscribed)) = given_up.into_iter().next() {
            subscribed.task.cancel();
            let entry = subscribed.peer.borrow().clone();
            entry.into_iter().for_each(|entry| self.waiting.insert(entry, tried));
        }
        // If it was reached just now, that has made room as well.
        true
    }

    /// A producer that was tried so often in vain is there or has changed. Conditions may ask how
    /// far away it is, so that is learnt first.
    fn measure_and_judge(&mut self, entry: PeerEntry, tried: u32) {
        let discovery = &self.means.discovery;
        let matters = discovery.has_max_rtt() || !self.core.config.require.is_empty();
        let peer = *entry.id();
        if !matters || discovery.told_rtt(&peer).is_some() {
            self.measured.remove(&peer);
            return self.judge(entry, tried);
        }
        let address = entry.address().clone();
        if self.measured.insert(peer, (entry, tried)).is_none() {
            let (discovery, reports) = (discovery.clone(), self.means.reports.clone());
            self.tasks.spawn("streams.consumer.measure", async move {
                discovery.probe(address).await;
                let _ = reports.unbounded_send(Report::Measured(peer));
            });
        }
    }

    /// Is this producer, which was tried so often in vain, one for us?
    fn judge(&mut self, entry: PeerEntry, tried: u32) {
        let peer = *entry.id();
        let Some(until) = self.accepts(&entry) else { return self.cut(&peer) };
        let Some(subscribed) = self.subscriptions.get_mut(&peer) else {
            return self.subscribe(entry, until, tried);
        };
        subscribed.until = until;
        subscribed.entry = entry.clone();
        subscribed.peer.send_replace(Some(entry.clone()));
        if let Some(channel) = self.channels.get_mut(&subscribed.number) {
            channel.set_peer(entry);
            self.publish();
        }
    }

    /// Until when a producer with this entry is one for us, if it is. It is judged by the distance
    /// that was told last: when that changes, it is judged again.
    fn accepts(&self, entry: &PeerEntry) -> Option<Expiration> {
        let (config, discovery) = (&self.core.config, &self.means.discovery);
        let peer = entry.id();
        if discovery.is_too_far(peer) {
            return None;
        }
        config.want_tickets(entry, discovery);
        let held = self.subscriptions.get(peer).map(|subscribed| subscribed.until);
        let info = PeerInfo::new(entry.clone(), discovery.told_rtt(peer));
        config.accepts(&info, held, discovery.date()).ok()
    }

    /// The catalog has changed: are those that announce the stream no more still eligible?
    fn review_draining(&mut self) {
        let discovery = &self.means.discovery;
        let catalog = discovery.catalog();
        let draining = self.subscriptions.values().filter(|it| it.is_draining());
        let changed = draining.filter_map(|it| {
            // Who is not in the catalog any more is judged by what it was.
            let known = catalog.get(it.entry.id())?;
            let is_same = known.shows_the_same_as(&it.entry) && !discovery.is_too_far(known.id());
            (!is_same).then(|| known.clone())
        });
        changed.collect::<Vec<_>>().into_iter().for_each(|entry| self.judge_draining(entry));
    }

    /// A producer that announces the stream no more is only judged: it is not asked again.
    fn judge_draining(&mut self, entry: PeerEntry) {
        let Some(until) = self.accepts(&entry) else { return self.cut(entry.id()) };
        if let Some(subscribed) = self.subscriptions.get_mut(entry.id()) {
            (subscribed.until, subscribed.entry) = (until, entry);
        }
    }

    /// When the tickets of a producer expire next.
    fn next_expiry(&self) -> Option<Instant> {
        let untils = self.subscriptions.values().map(|subscribed| subscribed.until);
        eligible::next_expiry(untils, self.means.discovery.date())
    }

    /// Tickets may have expired: who is not for us any more?
    fn expire(&mut self) {
        let now = self.means.discovery.date();
        let expired = self.subscriptions.values().filter(|it| it.until.is_expired_at(now));
        let expired: Vec<_> = expired.map(|it| (it.entry.clone(), it.is_draining())).collect();
        // Those that were renewed may be in the catalog already.
        let (catalog, stream) = (self.means.discovery.catalog(), self.core.config.stream_id);
        for (entry, is_draining) in expired {
            let known = catalog.get(entry.id());
            let known = known.filter(|known| is_draining || known.streams().contains(&stream));
            let newest = known.cloned().unwrap_or(entry);
            match is_draining {
                true => self.judge_draining(newest),
                false => self.judge(newest, 0),
            }
        }
    }

    fn subscribe(&mut self, entry: PeerEntry, until: Expiration, tried: u32) {
        let number = self.next_number;
        self.next_number += 1;
        let peer = *entry.id();
        let (sender, receiver) = watch::channel(Some(entry.clone()));
        let (task, claim) = (self.tasks.child(), Claim::default());
        let (core, means) = (self.core.clone(), self.means.clone());
        let subscription = Subscription::new(number, core, means, receiver, claim.clone());
        task.spawn("streams.subscription", subscription.run());
        let subscribed = Subscribed { number, entry, peer: sender, until, claim, tried, task };
        self.subscriptions.insert(peer, subscribed);
    }

    /// The producer is not eligible any more: nothing of it is wanted.
    fn cut(&mut self, peer: &PeerId) {
        // It may have been sought in vain before it had to wait.
        self.core.set_refusal(*peer, None);
        let Some(subscribed) = self.subscriptions.remove(peer) else { return };
        subscribed.task.cancel();
        self.core.cut(subscribed.number);
        if self.channels.remove(&subscribed.number).is_some() {
            self.publish();
        }
    }

    fn hear(&mut self, report: Report) {
        let current = |number: u64, subscriptions: &BTreeMap<PeerId, Subscribed>| {
            subscriptions.values().any(|subscribed| subscribed.number == number)
        };
        match report {
            Report::Unreached { number, peer } => {
                let subscribed = self.subscriptions.get_mut(&peer);
                if let Some(subscribed) = subscribed.filter(|it| it.number == number) {
                    subscribed.tried = subscribed.tried.saturating_add(1);
                }
                return;
            }
            Report::Refused { number, peer, error } => {
                let subscribed = self.subscriptions.get(&peer);
                if subscribed.is_some_and(|it| it.number == number && !it.is_draining()) {
                    self.core.set_refusal(peer, error);
                }
                return;
            }
            Report::Measured(peer) => {
                if let Some((entry, tried)) = self.measured.remove(&peer) {
                    self.judge(entry, tried);
                }
                return;
            }
            // What a subscription said before it was cut does not count any more.
            Report::Channel { number, .. } if !current(number, &self.subscriptions) => return,
            Report::Channel { number, channel: Some(channel) } => {
                self.channels.insert(number, channel);
            }
            Report::Channel { number, channel: None } => {
                self.channels.remove(&number);
            }
            Report::Ended { number } => {
                // It may be announced again by now: then it begins anew.
                let ended = self.subscriptions.extract_if(.., |_, it| it.number == number);
                let Some((peer, subscribed)) = ended.into_iter().next() else { return };
                let again = subscribed.peer.borrow().clone();
                self.core.set_refusal(peer, None);
                self.core.reader().retire(number);
                if let Some(entry) = again {
                    self.judge(entry, 0);
                }
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let connected = self.channels.values().filter(|channel| channel.is_connected());
        let peers: Vec<_> = connected.map(|channel| channel.peer().clone()).collect();
        self.core.meter.producers(peers.len());
        self.core.channels.set(self.channels.values().cloned().collect());
        self.core.roster.publish(peers);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.core.close();
    }
}

#[cfg(test)]
mod tests;
