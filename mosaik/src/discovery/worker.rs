//! The task that owns a node's place in the gossip: it drives the protocol value, announces,
//! syncs, heals and purges.

mod candidates;
mod fetches;
mod notices;
mod syncs;
mod tickets;
mod turns;
mod upkeep;

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use iroh::EndpointAddr;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    beat::Raw,
    catalog::{Merged, State, SyncItem},
    config::Config,
    derived::gossip_topic,
    entry::{MAX_ADDRESSES, SignedPeerEntry},
    gossip::{Announcement, Due, Effect, Overlay, Schedule},
    incarnation::Incarnation,
    neighbors::{Heard, Inbound, Neighbors},
    purged::Purged,
    reach::Reach,
    shared::{Notice, Shared},
    sync::Learned,
};
use crate::{
    id::PeerId,
    random::Random,
    tasks::Tasks,
    transport::{CloseReason, Link, LinkEvent},
};

/// How long a sync with a new contact waits: if it becomes a neighbour, one sync does for both.
const SYNC_DELAY: Duration = Duration::from_secs(1);
/// How much longer the side with the greater id leaves it to the other to begin.
const SYNC_TURN: Duration = Duration::from_millis(500);
/// The largest entry that is gossiped, encoded, in bytes. Of a larger one its beat tells, and
/// whoever lacks it fetches it.
const GOSSIPED_ENTRY_BYTES: usize = 3 * 1024;

/// Frames that are heard in one turn, beside the first.
const INBOUND_AT_ONCE: usize = 31;

pub(super) use candidates::SourceName;
pub(super) use syncs::answer_sync;
pub(super) use turns::Turns;

use candidates::Candidates;
use fetches::Fetches;
use syncs::Syncs;
use tickets::{OwnTickets, TicketFetches};
use upkeep::Recurring;

/// What the worker is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Ask a connected peer to become a neighbour.
    Join(PeerId),
    /// A source found an address.
    Found(SourceName, EndpointAddr),
    /// A peer that was contacted was not reached.
    Unreachable(PeerId),
    /// A sync that this node began is over; it brought news of these peers, or it failed.
    Synced(PeerId, Option<Learned>),
    /// A peer began a sync, and it is over; it brought news of these peers.
    SyncedBy(PeerId, Learned),
    /// An attempt to get a peer's entry from a neighbour is over.
    Fetched { peer: PeerId, from: PeerId, fetched: bool },
    /// An attempt to get a peer's tickets from itself is over.
    TicketsFetched(PeerId),
    /// Say goodbye; answered when it was heard.
    Depart(oneshot::Sender<()>),
}

/// What the worker listens to.
pub(super) struct Inputs {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) inbound: mpsc::Receiver<Inbound>,
    pub(super) links: broadcast::Receiver<LinkEvent>,
    pub(super) addresses: watch::Receiver<EndpointAddr>,
    pub(super) notices: mpsc::Receiver<Notice>,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    reach: Reach,
    random: Random,
    tasks: Tasks,
    announce_jitter: f64,
    incarnation: Incarnation,
    overlay: Overlay,
    neighbors: Neighbors,
    schedule: Schedule,
    healing: Recurring,
    random_syncs: Recurring,
    syncs: Syncs,
    fetches: Fetches,
    tickets: TicketFetches,
    own_tickets: OwnTickets,
    purged: Purged,
    candidates: Candidates,
}

impl Worker {
    pub(super) fn new(
        reach: Reach,
        config: &Config,
        random: Random,
        tasks: Tasks,
        inbound: mpsc::Sender<Inbound>,
    ) -> Self {
        let now = Instant::now();
        let shared = reach.shared().clone();
        let topic = gossip_topic(shared.network_id());
        let jitter = f64::from(config.announce_jitter);
        Self {
            overlay: Overlay::new(shared.me(), topic, random.fork(), now),
            neighbors: Neighbors::new(reach.clone(), tasks.clone(), inbound),
            schedule: Schedule::new(now + random.jittered(config.announce_interval, jitter)),
            healing: Recurring::new(now, upkeep::HEAL_INTERVAL),
            random_syncs: Recurring::new(now, syncs::INTERVAL),
            announce_jitter: jitter,
            incarnation: Incarnation::new(now),
            syncs: Syncs::default(),
            fetches: Fetches::default(),
            tickets: TicketFetches::default(),
            own_tickets: OwnTickets::default(),
            purged: Purged::default(),
            candidates: Candidates::default(),
            shared,
            reach,
            random,
            tasks,
        }
    }

    /// Runs until the owner is cancelled, or the node has departed, or it has given way to a newer
    /// run of itself.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                Some(command) = inputs.commands.recv() => {
                    if let Command::Depart(heard) = command {
                        self.depart(&mut inputs.inbound).await;
                        let _ = heard.send(());
                        return;
                    }
                    self.command(command);
                }
                Some(inbound) = inputs.inbound.recv() => {
                    self.inbound(inbound);
                    // What is there already costs no turn each.
                    for _ in 0..INBOUND_AT_ONCE {
                        let Ok(inbound) = inputs.inbound.try_recv() else { break };
                        self.carry_out();
                        self.inbound(inbound);
                    }
                }
                Ok(event) = inputs.links.recv() => self.link(event),
                Some(notice) = inputs.notices.recv() => {
                    if !self.notice(notice) {
                        return;
                    }
                }
                () = self.shared.wanted.notified() => self.take_wanted(Instant::now()),
                () = self.shared.edited.notified() => {
                    self.schedule.prompt(Instant::now());
                    self.tell_tickets(Instant::now());
                }
                Ok(()) = inputs.addresses.changed() => {
                    let address = inputs.addresses.borrow_and_update().clone();
                    self.address(address);
                }
                () = sleep_until(deadline) => {}
            }
            self.tick();
            self.carry_out();
            self.shared.counts.neighbors(self.overlay.neighbors().len());
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Join(peer) => {
                self.candidates.reached(&peer);
                self.overlay.join([peer], now);
            }
            Command::Found(source, address) => self.found(source, address),
            Command::Unreachable(peer) => {
                self.candidates.failed(&peer);
                if self.overlay.neighbors().is_empty() {
                    self.contact_candidates();
                }
            }
            Command::Synced(peer, learned) => {
                self.syncs.ended(peer, now);
                if let Some(learned) = learned {
                    self.syncs.compared(peer, self.start_of(&peer), now);
                    self.pass_on(&learned, now);
                }
            }
            Command::SyncedBy(peer, learned) => {
                self.syncs.ended_by(peer, now);
                self.syncs.compared(peer, self.start_of(&peer), now);
                self.pass_on(&learned, now);
            }
            Command::Fetched { peer, from, fetched } => self.fetched(peer, from, fetched),
            Command::TicketsFetched(peer) => self.tickets_fetched(peer, now),
            Command::Depart(_) => {}
        }
    }

    fn inbound(&mut self, inbound: Inbound) {
        let from = inbound.peer;
        let now = Instant::now();
        match self.neighbors.hear(inbound) {
            None => {}
            Some(Heard::Disconnected) => self.overlay.disconnected(from, now),
            Some(Heard::Frame(frame)) => {
                let (mut missing, mut is_counted) = (None, false);
                let shared = &self.shared;
                let judge = |announcement| {
                    let item = match announcement {
                        Announcement::Entry(raw) => SyncItem::Entry(raw),
                        Announcement::Beat(raw) => SyncItem::Beat(raw),
                        Announcement::Departure(raw) => SyncItem::Departure(raw),
                    };
                    let merged = shared.take_announced(item);
                    if let Ok(Merged::Missing(peer)) = merged {
                        missing = Some(peer);
                    }
                    is_counted = merged.is_err();
                    merged.map(|_| ())
                };
                let outcome = self.overlay.frame(from, &frame, now, judge);
                if !is_counted {
                    let _ = self.shared.counted(outcome);
                }
                if let Some(peer) = missing {
                    self.fetch(peer, from);
                }
            }
        }
    }

    fn link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up(link) => {
                let (peer, now) = (link.peer(), Instant::now());
                self.shared.change(|state, _| state.set_met(&peer, true));
                let at = now + SYNC_DELAY + self.turn(&peer);
                self.syncs.meet(peer, self.start_of(&peer), at, now);
                self.compare_clocks(&link);
                self.tell_tickets_to(link, Instant::now());
            }
            LinkEvent::Down { peer, reason } => {
                tracing::debug!(peer = %peer.fmt_short(), %reason, "a link went down");
                if self.reach.transport.link(&peer).is_none() {
                    self.shared.change(|state, _| state.set_met(&peer, false));
                }
                if reason == CloseReason::Superseded {
                    self.doubted_by(peer);
                }
            }
        }
    }

    /// When the newest known run of a peer began.
    fn start_of(&self, peer: &PeerId) -> Option<u64> {
        let entry = self.shared.read(|state| state.record(peer))?;
        Some(entry.update_version().start())
    }

    /// How much later this side begins what one of the two has to begin.
    fn turn(&self, peer: &PeerId) -> Duration {
        if self.shared.me() < *peer { Duration::ZERO } else { SYNC_TURN }
    }

    fn address(&mut self, mut address: EndpointAddr) {
        // More would be refused by the others.
        while address.addrs.len() > MAX_ADDRESSES {
            address.addrs.pop_last();
        }
        if *self.shared.catalog().local().address() == address {
            return;
        }
        let edited = self.shared.edit(|entry| {
            let unchanged = entry.clone();
            entry.update_address(address).unwrap_or(unchanged)
        });
        if let Err(error) = edited {
            tracing::warn!(%error, "the new address of this node is not announced");
        }
    }

    /// Announces what a sync brought: the peer at the other end may have led to a part of the
    /// network that our neighbours know nothing of.
    fn pass_on(&mut self, learned: &[PeerId], now: Instant) {
        for peer in learned {
            if let Some(entry) = self.shared.read(|state| state.record(peer)) {
                self.announce_entry(&entry, now);
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let fixed = [self.schedule.next(), self.healing.at, self.random_syncs.at];
        let expiry = self.shared.read(|state| state.next_expiry()).map(|at| {
            let left = at.saturating_add(1).saturating_sub(self.shared.now());
            // Not at once if the clock stands still: the date and the timer are different clocks.
            Instant::now() + Duration::from_micros(left.clamp(1000, 3_600_000_000))
        });
        let soonest = [
            self.overlay.next_timer(),
            self.syncs.next(),
            self.tickets.next(),
            self.purged.next(),
            expiry,
        ];
        let soonest = soonest.into_iter().flatten();
        soonest.chain(fixed).min().unwrap_or(self.healing.at)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.overlay.tick(now);
        self.purge(now);
        self.retry_purged(now);
        if self.healing.is_due(now, &self.random) {
            self.heal(now);
        }
        if self.random_syncs.is_due(now, &self.random) {
            // Hellos that came to nothing, and events that this task has missed.
            let links = self.reach.transport.links();
            let met = links.iter().map(Link::peer).collect();
            self.shared.change(|state, _| state.set_all_met(&met));
            // A node that has just come is not to dial about for it: those at hand know as much.
            let is_steady = self.random_syncs.is_steady();
            let is_at_hand = |peer: &PeerId| self.reach.transport.link(peer).is_some();
            let catalog = self.shared.catalog();
            let peers = self.random_peers(&catalog, 1, |peer| is_steady || is_at_hand(peer));
            peers.into_iter().for_each(|peer| self.syncs.want(peer, now));
            // Nobody here may know of the part of the network that it belongs to.
            if is_steady {
                self.contact_candidates();
            }
        }
        self.start_syncs(now);
        self.start_ticket_fetches(now);
        self.announce(now);
    }

    /// Does what the protocol asks for, and what follows from that.
    fn carry_out(&mut self) {
        let now = Instant::now();
        loop {
            let effects = self.overlay.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Send { to, frame } => {
                        if !self.neighbors.send(to, frame) {
                            self.overlay.disconnected(to, now);
                        }
                    }
                    Effect::Release(peer) => self.neighbors.release(peer),
                    Effect::NeighborUp(peer) => {
                        tracing::debug!(%peer, "a new neighbour");
                        self.schedule.prompt(now);
                        // What passed before the neighbour was one is in its catalog by now.
                        self.syncs.want(peer, now + self.turn(&peer));
                    }
                    Effect::NeighborDown(peer) => {
                        tracing::debug!(%peer, "lost a neighbour");
                        if self.overlay.neighbors().is_empty() {
                            self.shared.set_established(false);
                            self.healing.restart(now);
                        }
                    }
                }
            }
        }
    }

    fn announce(&mut self, now: Instant) {
        let version = self.shared.read(|state| state.local().update_version());
        let has_neighbors = !self.overlay.neighbors().is_empty();
        let interval = || {
            let interval = self.shared.read(State::announce_interval);
            self.random.jittered(interval, self.announce_jitter)
        };
        let Some(due) = self.schedule.due(now, version, has_neighbors, interval) else { return };
        let local = self.shared.local();
        match due {
            Due::Entry => self.announce_entry(&local, now),
            Due::Beat => self.announce_beat(&local, now),
        }
    }

    /// An entry too large for gossip is told of by its beat, and fetched.
    fn announce_entry(&mut self, entry: &SignedPeerEntry, now: Instant) {
        // It goes out without the bodies of its tickets.
        let is_small = entry.signed_len() <= GOSSIPED_ENTRY_BYTES;
        if !is_small || !self.overlay.announce(&Announcement::Entry(entry.to_raw()), now) {
            self.announce_beat(entry, now);
        }
    }

    fn announce_beat(&mut self, entry: &SignedPeerEntry, now: Instant) {
        if let Some(beat) = entry.beat() {
            self.overlay.announce(&Announcement::Beat(Raw::from(beat.clone())), now);
        }
    }

    /// Tells all peers that this node leaves, and waits until they have heard it.
    async fn depart(&mut self, inbound: &mut mpsc::Receiver<Inbound>) {
        let departure = Announcement::Departure(Raw::from(self.shared.departure()));
        let transport = self.reach.transport.clone();
        let mut settled = pin!(transport.settle());
        let mut is_settled = false;
        // Not only the neighbours: a node that has just come has none yet, and is known already
        // to those that it is connected with.
        let mut told: BTreeSet<_> = transport.links().iter().map(Link::peer).collect();
        self.overlay.tell(&departure, told.iter().copied());
        self.overlay.quit(Instant::now());
        self.carry_out();
        while self.neighbors.finish(&told) || !is_settled {
            tokio::select! {
                () = &mut settled, if !is_settled => {
                    is_settled = true;
                    // Peers that admitted this node a moment ago know it as well.
                    let links = transport.links();
                    let late: Vec<_> =
                        links.iter().map(Link::peer).filter(|peer| told.insert(*peer)).collect();
                    self.overlay.tell(&departure, late);
                    self.carry_out();
                }
                inbound = inbound.recv() => match inbound {
                    Some(inbound) => drop(self.neighbors.hear(inbound)),
                    None => return,
                },
            }
        }
    }
}
