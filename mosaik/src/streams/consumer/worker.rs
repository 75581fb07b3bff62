//! The task that owns a consumer's subscriptions: one for each producer that is eligible.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Core,
    budget::end_overdue,
    subscription::{Means, Subscription},
};
use crate::{
    discovery::{PeerDelta, PeerEntry, PeerInfo, StreamPeers},
    id::PeerId,
    streams::{eligible, status::ChannelInfo},
    tasks::Tasks,
    ticket::Expiration,
};

/// What the subscriptions tell.
#[derive(Debug)]
pub(super) enum Report {
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
    peer: watch::Sender<Option<PeerEntry>>,
    /// When the producer's tickets are to be judged again.
    until: Expiration,
    task: Tasks,
}

#[derive(Debug)]
pub(super) struct Worker {
    core: Arc<Core>,
    means: Means,
    tasks: Tasks,
    reports: mpsc::UnboundedReceiver<Report>,
    subscriptions: BTreeMap<PeerId, Subscribed>,
    /// Producers to which the distance is measured before they are judged.
    measured: BTreeMap<PeerId, PeerEntry>,
    channels: BTreeMap<u64, ChannelInfo>,
    next_number: u64,
}

impl Worker {
    pub(super) fn new(
        core: Arc<Core>,
        means: Means,
        tasks: Tasks,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> Self {
        Self {
            core,
            means,
            tasks,
            reports,
            subscriptions: BTreeMap::new(),
            measured: BTreeMap::new(),
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
        let mut peers: StreamPeers = self.means.discovery.stream_peers(self.core.config.stream_id);
        loop {
            let expiry = self.next_expiry();
            tokio::select! {
                deltas = peers.next() => match deltas {
                    Some(deltas) => deltas.into_iter().for_each(|delta| self.apply(delta)),
                    None => return,
                },
                Some(report) = self.reports.recv() => self.hear(report),
                () = eligible::until(expiry) => self.expire(),
            }
        }
    }

    fn apply(&mut self, delta: PeerDelta) {
        match delta {
            PeerDelta::Added(entry) | PeerDelta::Updated(entry) => self.measure_and_judge(entry),
            PeerDelta::Removed(peer) => {
                self.measured.remove(&peer);
                self.core.set_refusal(peer, None);
                // What it has sent before can still be read; it is not asked again.
                if let Some(subscribed) = self.subscriptions.get_mut(&peer) {
                    subscribed.peer.send_replace(None);
                    subscribed.until = Expiration::Never;
                }
            }
        }
    }

    /// A producer is there or has changed. Conditions may ask how far away it is, so that is
    /// learnt first.
    fn measure_and_judge(&mut self, entry: PeerEntry) {
        let discovery = &self.means.discovery;
        let matters = discovery.has_max_rtt() || !self.core.config.require.is_empty();
        let peer = *entry.id();
        if !matters || discovery.rtt(&peer).is_some() {
            self.measured.remove(&peer);
            return self.judge(entry);
        }
        let address = entry.address().clone();
        if self.measured.insert(peer, entry).is_none() {
            let (discovery, reports) = (discovery.clone(), self.means.reports.clone());
            self.tasks.spawn("streams.consumer.measure", async move {
                discovery.probe(address).await;
                let _ = reports.send(Report::Measured(peer));
            });
        }
    }

    /// Is this producer one for us?
    fn judge(&mut self, entry: PeerEntry) {
        let peer = *entry.id();
        let (config, discovery) = (&self.core.config, &self.means.discovery);
        let rtt = discovery.rtt(&peer);
        if discovery.is_too_far(rtt) {
            return self.cut(&peer);
        }
        config.want_tickets(&entry, discovery);
        let held = self.subscriptions.get(&peer).map(|subscribed| subscribed.until);
        let info = PeerInfo::new(entry.clone(), rtt);
        let Ok(until) = config.accepts(&info, held, discovery.date()) else {
            return self.cut(&peer);
        };
        let Some(subscribed) = self.subscriptions.get_mut(&peer) else {
            return self.subscribe(entry, until);
        };
        subscribed.until = until;
        subscribed.peer.send_replace(Some(entry.clone()));
        if let Some(channel) = self.channels.get_mut(&subscribed.number) {
            channel.set_peer(entry);
            self.publish();
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
        let expired: Vec<_> = expired.filter_map(|it| it.peer.borrow().clone()).collect();
        // Those that were renewed may be in the catalog already.
        let (catalog, stream) = (self.means.discovery.catalog(), self.core.config.stream_id);
        let newest = |entry: PeerEntry| {
            let known = catalog.get(entry.id()).filter(|known| known.streams().contains(&stream));
            known.cloned().unwrap_or(entry)
        };
        let expired = expired.into_iter().map(newest).collect::<Vec<_>>();
        expired.into_iter().for_each(|entry| self.judge(entry));
    }

    fn subscribe(&mut self, entry: PeerEntry, until: Expiration) {
        let number = self.next_number;
        self.next_number += 1;
        let peer = *entry.id();
        let (sender, receiver) = watch::channel(Some(entry));
        let task = self.tasks.child();
        let subscription =
            Subscription::new(number, self.core.clone(), self.means.clone(), receiver);
        task.spawn("streams.subscription", subscription.run());
        self.subscriptions.insert(peer, Subscribed { number, peer: sender, until, task });
    }

    /// The producer is not eligible any more: nothing of it is wanted.
    fn cut(&mut self, peer: &PeerId) {
        let Some(subscribed) = self.subscriptions.remove(peer) else { return };
        subscribed.task.cancel();
        self.core.cut(subscribed.number);
        self.core.set_refusal(*peer, None);
        if self.channels.remove(&subscribed.number).is_some() {
            self.publish();
        }
    }

    fn hear(&mut self, report: Report) {
        let current = |number: u64, subscriptions: &BTreeMap<PeerId, Subscribed>| {
            subscriptions.values().any(|subscribed| subscribed.number == number)
        };
        match report {
            Report::Measured(peer) => {
                if let Some(entry) = self.measured.remove(&peer) {
                    self.judge(entry);
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
                let again =
                    self.subscriptions.values().find(|subscribed| subscribed.number == number);
                let again = again.and_then(|subscribed| subscribed.peer.borrow().clone());
                self.subscriptions.retain(|_, subscribed| subscribed.number != number);
                self.core.reader().retire(number);
                if let Some(entry) = again {
                    self.judge(entry);
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
