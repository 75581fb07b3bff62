//! The gossip protocol as one value: frames, commands and the time go in, frames and news of
//! neighbours come out. HyParView keeps the neighbours, PlumTree spreads announcements.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use iroh_gossip::proto::{
    Command, Config, Event, InEvent, Message, OutEvent, PeerData, Scope, State, Timer, TopicId,
};
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::{
    announcement::Announcement,
    frame::{self, Inspected, MAX_CONTENT_BYTES, MAX_FRAME_BYTES},
    limits::{Shares, Verified},
};
use crate::{
    discovery::refusal::Refusal,
    id::PeerId,
    schema::{self, DecodeError},
};

/// How long an announcement that was offered may take by the tree before it is asked for. The
/// protocol's 80 ms is less than many a round trip, and asking in vain doubles the traffic.
const GRAFT_FIRST: Duration = Duration::from_millis(200);
/// How long until it is asked for elsewhere.
const GRAFT_NEXT: Duration = Duration::from_millis(100);

/// How long a peer may take to answer a request to become a neighbour. It may have to be dialled
/// first; if that fails, we are told.
const NEIGHBOR_ANSWER: Duration = Duration::from_secs(3);

/// How often what the protocol waits for in vain is forgotten.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// What the driver of an [`Overlay`] has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Bring this frame to this peer; if that fails, tell [`Overlay::disconnected`].
    Send {
        to: PeerId,
        frame: Bytes,
    },
    /// Nothing more is to be said to this peer for now; it is to be told so.
    Release(PeerId),
    NeighborUp(PeerId),
    NeighborDown(PeerId),
}

/// A node's place in the gossip of its network.
#[derive(Debug)]
pub(crate) struct Overlay {
    me: PeerId,
    topic: TopicId,
    state: State<PeerId, StdRng>,
    timers: BTreeMap<(Instant, u64), Timer<PeerId>>,
    timers_set: u64,
    neighbors: BTreeSet<PeerId>,
    shares: Shares,
    verified: Verified,
    swept: Instant,
    effects: Vec<Effect>,
}

impl Overlay {
    pub(crate) fn new(me: PeerId, topic: [u8; 32], rng: StdRng, now: Instant) -> Self {
        let mut config = Config { max_message_size: MAX_FRAME_BYTES, ..Config::default() };
        config.membership.neighbor_request_timeout = NEIGHBOR_ANSWER;
        config.broadcast.graft_timeout_1 = GRAFT_FIRST;
        config.broadcast.graft_timeout_2 = GRAFT_NEXT;
        let mut overlay = Self {
            me,
            topic: TopicId::from_bytes(topic),
            state: State::new(me, PeerData::default(), config, rng),
            timers: BTreeMap::new(),
            timers_set: 0,
            neighbors: BTreeSet::new(),
            shares: Shares::default(),
            verified: Verified::new(now),
            swept: now,
            effects: Vec::new(),
        };
        // Without a first join, even of nobody, the protocol answers no messages.
        overlay.command(Command::Join(Vec::new()), now);
        overlay
    }

    pub(crate) fn neighbors(&self) -> &BTreeSet<PeerId> {
        &self.neighbors
    }

    /// What is to be done since the last call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Asks these peers to become neighbours.
    pub(crate) fn join(&mut self, peers: impl IntoIterator<Item = PeerId>, now: Instant) {
        let strangers = |peer: &PeerId| *peer != self.me && !self.neighbors.contains(peer);
        let peers: Vec<_> = peers.into_iter().filter(strangers).collect();
        if !peers.is_empty() {
            self.command(Command::Join(peers), now);
        }
    }

    /// Announces something to everyone; false if it is too large for that.
    pub(crate) fn announce(&mut self, announcement: &Announcement, now: Instant) -> bool {
        let Ok(content) = postcard::to_stdvec(announcement) else { return false };
        if content.len() > MAX_CONTENT_BYTES {
            return false;
        }
        self.verified.insert(*blake3::hash(&content).as_bytes(), now);
        self.command(Command::Broadcast(content.into(), Scope::Swarm), now);
        true
    }

    /// Tells something to each of these peers, neighbours or not, who pass it on. The protocol
    /// would only offer it to some, and who leaves cannot be asked for it any more.
    pub(crate) fn tell(
        &mut self,
        last_words: &Announcement,
        peers: impl IntoIterator<Item = PeerId>,
    ) {
        let Ok(content) = postcard::to_stdvec(last_words) else { return };
        let frame = Bytes::from(frame::first_hop(self.topic.as_bytes(), content.into()));
        let send = |to| Effect::Send { to, frame: frame.clone() };
        self.effects.extend(peers.into_iter().map(send));
    }

    /// Says goodbye to the neighbours. Nothing but [`Overlay::tell`] works after that.
    pub(crate) fn quit(&mut self, now: Instant) {
        self.command(Command::Quit, now);
    }

    /// A frame came from a peer. An announcement is given to `judge` first, unless it was
    /// accepted before; what `judge` or an earlier check refuses never reaches the protocol, so
    /// it is neither kept nor passed on.
    pub(crate) fn frame(
        &mut self,
        from: PeerId,
        bytes: &[u8],
        now: Instant,
        judge: impl FnOnce(Announcement) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let inspected = frame::inspect(bytes, self.topic.as_bytes());
        // Garbage is paid for as well.
        self.shares.take(from, inspected.as_ref().unwrap_or(&Inspected::Control), now)?;
        let inspected = inspected?;
        if let Inspected::Data { id, content } = inspected
            && !self.verified.contains(&id, now)
        {
            // Bytes to spare would be passed on to everyone, unsigned: what later versions have to
            // add is in the signed part. What is not understood cannot be judged.
            let announcement = schema::decode(&content).map_err(|error| match error {
                DecodeError::UnknownVariant { .. } => Refusal::Unknown,
                _ => Refusal::Malformed,
            })?;
            judge(announcement)?;
            self.verified.insert(id, now);
        }
        let message: Message<PeerId> = schema::decode(bytes).map_err(|_| Refusal::Malformed)?;
        self.handle(InEvent::RecvMessage(from, message), now);
        Ok(())
    }

    /// A peer cannot be reached, or has said that it has nothing more to say.
    pub(crate) fn disconnected(&mut self, peer: PeerId, now: Instant) {
        self.handle(InEvent::PeerDisconnected(peer), now);
    }

    /// When [`Overlay::tick`] has something to do.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets the protocol's timers run.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let timer = entry.remove();
            self.handle(InEvent::TimerExpired(timer), now);
        }
        self.shares.expire(now);
        self.sweep(now);
    }

    /// The protocol notes ids of announcements that it was offered and that never came, for as
    /// long as no neighbour leaves. It is told that one does that never was.
    fn sweep(&mut self, now: Instant) {
        if self.swept + SWEEP_PAUSE <= now {
            self.swept = now;
            self.handle(InEvent::PeerDisconnected(self.me), now);
        }
    }

    fn command(&mut self, command: Command<PeerId>, now: Instant) {
        self.handle(InEvent::Command(self.topic, command), now);
    }

    fn handle(&mut self, event: InEvent<PeerId>, now: Instant) {
        for out in self.state.handle(event, now, None) {
            match out {
                OutEvent::SendMessage(to, message) => {
                    // Ours are always small: contents are checked where they are announced.
                    if let Ok(frame) = postcard::to_stdvec(&message) {
                        self.effects.push(Effect::Send { to, frame: frame.into() });
                    }
                }
                OutEvent::ScheduleTimer(after, timer) => {
                    self.timers_set += 1;
                    self.timers.insert((now + after, self.timers_set), timer);
                }
                OutEvent::DisconnectPeer(peer) => self.effects.push(Effect::Release(peer)),
                OutEvent::EmitEvent(_, Event::NeighborUp(peer)) => {
                    self.neighbors.insert(peer);
                    self.effects.push(Effect::NeighborUp(peer));
                }
                OutEvent::EmitEvent(_, Event::NeighborDown(peer)) => {
                    self.neighbors.remove(&peer);
                    self.effects.push(Effect::NeighborDown(peer));
                }
                // Judged before it came here, and nobody sends data about peers.
                OutEvent::EmitEvent(_, Event::Received(_)) | OutEvent::PeerData(..) => {}
            }
        }
    }
}
