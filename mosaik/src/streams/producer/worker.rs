//! The task that owns a producer's consumers: who is admitted, who must leave, who waits.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    OnLag, after,
    core::Core,
    member::Member,
    outlet::Outlet,
    place::{Attach, Attached, Denied, Held, Join, Kept, Key, Place, Request},
    ring::Start,
    slow::Slow,
};
use crate::{
    discovery::{Discovery, PeerInfo},
    id::{PeerId, UniqueId},
    streams::{
        eligible,
        protocol::{From, Subscribe},
        status::{Channel, ChannelInfo, State, Stats},
    },
    transport::{CloseReason, SendStream},
};

/// Consumers that were refused and are told when to ask again; any more must ask by themselves.
const MAX_WAITING: usize = 1024;
/// Places that the consumers of one peer have at a producer, with those that are kept for them.
const MAX_PLACES: usize = 64;

#[cfg(test)]
mod tests;

#[derive(Debug)]
struct Waiting {
    peer: PeerInfo,
    ask_again: oneshot::Sender<()>,
}

#[derive(Debug)]
pub(in crate::streams) struct Worker {
    pub(super) core: Arc<Core>,
    pub(super) requests: UnboundedReceiver<Request>,
    discovery: Discovery,
    local: PeerId,
    /// Boxed, since most producers have few and a map's node has room for many.
    members: BTreeMap<u64, Box<Member>>,
    held: Vec<Held>,
    waiting: Vec<Waiting>,
    slow: Slow,
    next_place: u64,
}

impl Worker {
    pub(super) fn new(
        core: Arc<Core>,
        requests: UnboundedReceiver<Request>,
        discovery: Discovery,
        local: PeerId,
    ) -> Self {
        let mut worker = Self {
            core,
            requests,
            discovery,
            local,
            members: BTreeMap::new(),
            held: Vec::new(),
            waiting: Vec::new(),
            slow: Slow::default(),
            next_place: 0,
        };
        worker.publish();
        worker
    }

    /// Runs until the last handle and the last subscriber are gone.
    pub(in crate::streams) async fn run(mut self) {
        let mut catalog = self.discovery.catalog_watch();
        let closing = self.core.closing.clone();
        loop {
            if closing.is_cancelled() && self.members.is_empty() {
                return;
            }
            let first_release = self.held.iter().map(|held| held.until).min();
            let watched = !(self.members.is_empty() && self.waiting.is_empty());
            let expiry = self.next_expiry();
            tokio::select! {
                () = closing.cancelled(), if !closing.is_cancelled() => {}
                Some(request) = self.requests.next() => self.handle(request),
                changed = catalog.changed(), if watched => match changed {
                    Ok(()) => self.review(),
                    Err(_) => return,
                },
                () = eligible::until(expiry) => self.expire(),
                () = sleep_until(first_release.unwrap_or_else(Instant::now)),
                    if first_release.is_some() => self.release(Instant::now()),
            }
            if closing.is_cancelled() {
                self.core.close();
                self.waiting.clear();
                // The stream is not announced any more: nobody finds the way back.
                std::mem::take(&mut self.held).iter().for_each(|held| held.what.end(&self.core));
            }
        }
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Join(join) => {
                let Join { peer, request, reply } = *join;
                // A task that does not want the answer any more gives its place back by itself.
                let _ = reply.send(self.join(peer, request));
            }
            Request::Attach(attach) => {
                let Attach { place, stream, reply } = *attach;
                if let Some(attached) = self.attach(place, stream) {
                    let _ = reply.send(attached);
                }
            }
            Request::Leave { place, broken, too_slow } => self.leave(place, broken, too_slow),
        }
    }

    fn join(&mut self, peer: PeerInfo, request: Subscribe) -> Result<Place, Denied> {
        let config = &self.core.config;
        let key = (*peer.id(), request.consumer);
        if self.core.closing.is_cancelled() {
            return Err(Denied { reason: CloseReason::StreamNotFound, ask_again: None });
        }
        config.want_tickets(&peer, &self.discovery);
        let until = match config.admits(&peer, None, self.discovery.date()) {
            Ok(until) => until,
            Err(denial) => return Err(self.deny(eligible::reason(denial), peer)),
        };
        // One that comes back before its old connection was found broken takes its own place.
        let others = self.members.values().filter(|member| member.key != key).count();
        if others >= config.max_consumers {
            return Err(self.deny(CloseReason::NoCapacity, peer));
        }
        if !self.has_place_for(key, request.group) {
            let reason = CloseReason::NoCapacity;
            self.core.meter.rejected(reason);
            return Err(Denied { reason, ask_again: None });
        }
        let config = &self.core.config;
        let channel = Arc::new(Channel {
            stream: config.stream_id,
            criteria: request.criteria,
            producer: self.local,
            consumer: *peer.id(),
            stats: Stats::new(),
        });
        let (info, state) = ChannelInfo::new(channel.clone(), peer.as_ref().clone());
        let (end, ended) = oneshot::channel();
        let number = self.next_place;
        self.next_place += 1;
        let start = match request.from {
            From::At(place) if place.epoch == self.core.epoch => Start::At(place.next),
            From::At(_) | From::Retained => Start::Retained,
            From::Live => Start::Live,
        };
        let group = request.group;
        let member = Member {
            key,
            start,
            group,
            channel,
            info,
            peer,
            until,
            state,
            end: Some(end),
            outlet: None,
            suspect: false,
        };
        self.members.insert(number, Box::new(member));
        self.publish();
        let requests = self.core.requests.clone();
        Ok(Place { number, ended, broken: false, too_slow: false, requests })
    }

    /// Whether the peer may have one more place. The oldest one that is kept for it gives way.
    fn has_place_for(&mut self, (peer, consumer): Key, group: Option<UniqueId>) -> bool {
        // Who has been told to go does so; and one that comes back takes its own place.
        let served = self.members.values().filter(|it| it.key.0 == peer && it.end.is_some());
        let (own, served): (Vec<_>, Vec<_>) = served.partition(|it| it.key.1 == consumer);
        let served = served.len() + own.len().saturating_sub(1);
        let kept = |held: &Held| match held.what {
            Kept::Place(key, _) => key.0 == peer && key.1 != consumer,
            Kept::Group { group: of, by } => by == peer && group != Some(of),
        };
        let places = served + self.held.iter().filter(|held| kept(held)).count();
        if places < MAX_PLACES {
            return true;
        }
        let Some(oldest) = self.held.iter().position(kept) else { return false };
        self.held.remove(oldest).what.end(&self.core);
        true
    }

    /// Whether the producer has waited for this peer in vain, and it has taken nothing since.
    fn is_suspect(&mut self, peer: &PeerId) -> bool {
        if !self.slow.contains(peer) {
            return false;
        }
        let mut members = self.members.values().filter(|member| member.key.0 == *peer);
        let caught_up = members.any(|member| member.has_caught_up(&self.core));
        if caught_up {
            self.slow.forget(peer);
        }
        !caught_up
    }

    fn deny(&mut self, reason: CloseReason, peer: PeerInfo) -> Denied {
        self.core.meter.rejected(reason);
        self.waiting.retain(|waiting| !waiting.ask_again.is_closed());
        let room = self.waiting.len() < MAX_WAITING;
        let ask_again = room.then(|| {
            let (ask_again, receiver) = oneshot::channel();
            self.waiting.push(Waiting { peer, ask_again });
            receiver
        });
        Denied { reason, ask_again }
    }

    fn attach(&mut self, place: u64, stream: SendStream) -> Option<Attached> {
        let key = self.members.get(&place)?.key;
        let suspect = self.is_suspect(&key.0);
        let member = self.members.get_mut(&place)?;
        member.suspect = suspect;
        let mut attached = None;
        let channel = member.channel.clone();
        let from = self.core.join(member.start, member.group, suspect, |cursor| {
            let outlet = Arc::new(Outlet::new(cursor, channel, stream));
            attached = Some(outlet.clone());
            outlet
        });
        member.outlet.clone_from(&attached);
        member.channel.stats.start();
        member.state.send_replace(State::Connected);
        self.core.meter.accepted();
        tracing::debug!(stream = %self.core.config.stream_id, peer = %member.peer.id(), "subscribed");
        let group = member.group;
        self.supersede(key, place);
        if let Some(group) = group {
            self.held.retain(|held| !held.is_of(&group));
        }
        self.publish();
        attached.map(|outlet| Attached { outlet, from })
    }

    /// A consumer has come back: what was kept for it, or is still believed to be sent to it, is
    /// not needed any more.
    fn supersede(&mut self, key: Key, place: u64) {
        let core = &self.core;
        self.held.retain(|held| {
            let other = !matches!(held.what, Kept::Place(of, _) if of == key);
            if !other {
                held.what.end(core);
            }
            other
        });
        for (number, member) in &mut self.members {
            if member.key == key
                && *number != place
                && let Some(end) = member.end.take()
            {
                // Its task may take a while to notice; nobody shall wait for that.
                member.outlet.iter().for_each(|outlet| core.leave(outlet.cursor()));
                member.state.send_replace(State::Terminated);
                let _ = end.send(CloseReason::Duplicate);
            }
        }
    }

    fn leave(&mut self, place: u64, broken: bool, too_slow: bool) {
        let Some(member) = self.members.remove(&place) else { return };
        // Nobody waited for it, and rightly so.
        let in_vain = too_slow && member.suspect && !member.has_caught_up(&self.core);
        if too_slow && self.core.config.on_lag == OnLag::Block {
            self.slow.remember(member.key.0);
        } else if member.has_caught_up(&self.core) {
            self.slow.forget(&member.key.0);
        }
        if let Some(outlet) = &member.outlet {
            let back = self
                .members
                .values()
                .any(|other| other.key == member.key && *other.state.borrow() == State::Connected);
            let window = self.core.config.resume_window;
            let broken = broken && !in_vain;
            let hold = broken && !back && !window.is_zero() && !self.core.closing.is_cancelled();
            let cursor = outlet.cursor();
            if hold && self.core.hold(cursor) {
                let what = match member.group {
                    Some(group) => {
                        self.held.retain(|held| !held.is_of(&group));
                        Kept::Group { group, by: member.key.0 }
                    }
                    None => Kept::Place(member.key, cursor),
                };
                self.held.push(Held { what, until: after(window) });
            } else {
                self.core.leave(cursor);
            }
        }
        member.state.send_replace(State::Terminated);
        tracing::debug!(stream = %self.core.config.stream_id, peer = %member.peer.id(), "left");
        self.publish();
        self.invite();
    }

    /// Those whose time is over are not waited for any longer.
    fn release(&mut self, now: Instant) {
        let core = &self.core;
        self.held.retain(|held| {
            let kept = held.until > now;
            if !kept {
                held.what.end(core);
            }
            kept
        });
    }

    /// The catalog has changed: who must leave, and who may ask again?
    fn review(&mut self) {
        let catalog = self.discovery.catalog();
        let rtt = |peer: &PeerInfo| self.discovery.rtt(peer.id()).or(peer.rtt());
        let mut changed = false;
        for member in self.members.values_mut() {
            // Who is not in the catalog any more is judged by its connection alone.
            let Some(entry) = catalog.get(member.peer.id()) else { continue };
            if entry.shows_the_same_as(&member.peer) {
                continue;
            }
            changed = true;
            member.peer = PeerInfo::new(entry.clone(), rtt(&member.peer));
            member.info.set_peer(entry.clone());
            member.judge(&self.core.config, &self.discovery);
        }
        for waiting in &mut self.waiting {
            if let Some(entry) = catalog.get(waiting.peer.id()) {
                waiting.peer = PeerInfo::new(entry.clone(), rtt(&waiting.peer));
            }
        }
        if changed {
            self.publish();
        }
        self.invite();
    }

    /// When the tickets of a consumer expire next.
    fn next_expiry(&self) -> Option<Instant> {
        let served = self.members.values().filter(|member| member.end.is_some());
        eligible::next_expiry(served.map(|member| member.until), self.discovery.date())
    }

    /// Tickets may have expired: who must leave?
    fn expire(&mut self) {
        // Those that were renewed may be in the catalog already.
        self.review();
        let now = self.discovery.date();
        let expired = self.members.values_mut().filter(|member| member.until.is_expired_at(now));
        expired.for_each(|member| member.judge(&self.core.config, &self.discovery));
    }

    /// Tells those who wait that they would be admitted now.
    fn invite(&mut self) {
        let mut free = self.core.config.max_consumers.saturating_sub(self.members.len());
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.ask_again.is_closed() {
                continue;
            }
            let now = self.discovery.date();
            let config = &self.core.config;
            config.want_tickets(&waiting.peer, &self.discovery);
            if free > 0 && config.admits(&waiting.peer, None, now).is_ok() {
                free -= 1;
                let _ = waiting.ask_again.send(());
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    /// Makes known who is here. Senders come first: who has waited until it is online can send.
    fn publish(&mut self) {
        let connected = |member: &&Member| *member.state.borrow() == State::Connected;
        let peers: Vec<_> = self
            .members
            .values()
            .map(Box::as_ref)
            .filter(connected)
            .map(|member| member.info.peer().clone())
            .collect();
        let core = &self.core;
        core.meter.consumers(peers.len());
        core.channels.set(self.members.values().map(|member| member.info.clone()).collect());
        core.set_online(core.when.would_be_online(&peers));
        core.roster.publish(peers);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.core.close();
        self.core.clear();
        self.core.channels.set(Vec::new());
        self.core.roster.close();
    }
}
