//! Frames of the gossip protocol, looked at before the protocol sees them.
//!
//! The fields of the protocol's own message type are private, and by the time it tells us what it
//! received it has cached it and will pass it on. So each frame is decoded a second time, into
//! this mirror of the wire form (iroh-gossip is pinned; a test compares the two).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{discovery::refusal::Refusal, schema};

/// The largest frame, in bytes; equal on all nodes and never changed.
pub(super) const MAX_FRAME_BYTES: usize = 4096;
/// The largest content of one announcement, which leaves room for the frame's other fields.
pub(crate) const MAX_CONTENT_BYTES: usize = MAX_FRAME_BYTES - 128;
/// More hops than any message takes. The protocol counts them in 16 bits and would overflow.
const MAX_HOPS: u16 = 1000;
/// More peers than an honest node names in one message.
const MAX_NODES: usize = 64;

/// What a frame turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inspected {
    /// An announcement with this content, whose hash is the id.
    Data { id: [u8; 32], content: Bytes },
    /// So many ids of announcements that the neighbour has.
    Offers(usize),
    /// Anything else.
    Control,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frame {
    topic: [u8; 32],
    layer: Layer,
}

#[derive(Debug, Serialize, Deserialize)]
enum Layer {
    Swarm(Swarm),
    Gossip(Plum),
}

#[derive(Debug, Serialize, Deserialize)]
enum Swarm {
    Join(Option<Bytes>),
    ForwardJoin { peer: Peer, ttl: u16 },
    Shuffle { origin: [u8; 32], nodes: Vec<Peer>, ttl: u16 },
    ShuffleReply { nodes: Vec<Peer> },
    Neighbor { priority: Priority, data: Option<Bytes> },
    Disconnect { alive: bool, respond: bool },
}

#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    id: [u8; 32],
    data: Option<Bytes>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Priority {
    High,
    Low,
}

#[derive(Debug, Serialize, Deserialize)]
enum Plum {
    Data { id: [u8; 32], content: Bytes, scope: Scope },
    Prune,
    Graft { id: Option<[u8; 32]>, round: u16 },
    IHave(Vec<IHave>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Scope {
    Swarm(u16),
    Neighbors,
}

#[derive(Debug, Serialize, Deserialize)]
struct IHave {
    id: [u8; 32],
    round: u16,
}

/// The frame in which the first node of all sends an announcement.
pub(super) fn first_hop(topic: &[u8; 32], content: Bytes) -> Vec<u8> {
    let id = *blake3::hash(&content).as_bytes();
    let gossip = Plum::Data { id, content, scope: Scope::Swarm(0) };
    let frame = Frame { topic: *topic, layer: Layer::Gossip(gossip) };
    postcard::to_stdvec(&frame).expect("writing plain data to memory cannot fail")
}

/// The frame in which a neighbour offers announcements.
#[cfg(test)]
pub(super) fn offer(topic: &[u8; 32], ids: impl IntoIterator<Item = [u8; 32]>) -> Vec<u8> {
    let offers = ids.into_iter().map(|id| IHave { id, round: 1 }).collect();
    let frame = Frame { topic: *topic, layer: Layer::Gossip(Plum::IHave(offers)) };
    postcard::to_stdvec(&frame).expect("plain data")
}

/// Checks all that can be checked without knowing what is announced.
pub(super) fn inspect(bytes: &[u8], topic: &[u8; 32]) -> Result<Inspected, Refusal> {
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(Refusal::Oversized);
    }
    let frame: Frame = schema::decode(bytes).map_err(|_| Refusal::Malformed)?;
    if frame.topic != *topic {
        return Err(Refusal::Foreign);
    }
    match frame.layer {
        Layer::Swarm(swarm) => swarm.check().map(|()| Inspected::Control),
        Layer::Gossip(plum) => plum.check(),
    }
}

impl Swarm {
    fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Join(data) | Self::Neighbor { data, .. } => check_data(data),
            Self::ForwardJoin { peer, ttl } => {
                check_hops(*ttl)?;
                check_data(&peer.data)
            }
            Self::Shuffle { nodes, ttl, .. } => {
                check_hops(*ttl)?;
                check_nodes(nodes)
            }
            Self::ShuffleReply { nodes } => check_nodes(nodes),
            Self::Disconnect { .. } => Ok(()),
        }
    }
}

impl Plum {
    fn check(self) -> Result<Inspected, Refusal> {
        match self {
            Self::Data { id, content, scope: Scope::Swarm(round) } => {
                check_hops(round)?;
                if blake3::hash(&content) != id {
                    return Err(Refusal::Forged);
                }
                Ok(Inspected::Data { id, content })
            }
            // Nobody of us sends to neighbours alone: it would escape the count of duplicates.
            Self::Data { scope: Scope::Neighbors, .. } => Err(Refusal::Malformed),
            Self::Prune => Ok(Inspected::Control),
            Self::Graft { round, .. } => check_hops(round).map(|()| Inspected::Control),
            Self::IHave(offers) => {
                offers.iter().try_for_each(|offer| check_hops(offer.round))?;
                Ok(Inspected::Offers(offers.len()))
            }
        }
    }
}

/// The protocol would keep and pass on any bytes beside an id; we have no use for them.
fn check_data(data: &Option<Bytes>) -> Result<(), Refusal> {
    if data.as_ref().is_none_or(Bytes::is_empty) { Ok(()) } else { Err(Refusal::Malformed) }
}

fn check_nodes(nodes: &[Peer]) -> Result<(), Refusal> {
    if nodes.len() > MAX_NODES {
        return Err(Refusal::Oversized);
    }
    nodes.iter().try_for_each(|node| check_data(&node.data))
}

fn check_hops(hops: u16) -> Result<(), Refusal> {
    if hops > MAX_HOPS { Err(Refusal::Malformed) } else { Ok(()) }
}

/// A frame of each kind, the announcements with these contents.
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::discovery) fn samples(
    topic: [u8; 32],
    contents: &[Vec<u8>],
    peer: &crate::id::PeerId,
) -> Vec<Vec<u8>> {
    let peer = || Peer { id: *peer.as_bytes(), data: None };
    let swarm = [
        Swarm::Join(None),
        Swarm::ForwardJoin { peer: peer(), ttl: 3 },
        Swarm::Shuffle { origin: peer().id, nodes: vec![peer()], ttl: 3 },
        Swarm::ShuffleReply { nodes: vec![peer()] },
        Swarm::Neighbor { priority: Priority::High, data: None },
        Swarm::Disconnect { alive: true, respond: false },
    ];
    let offered = || IHave { id: [6; 32], round: 2 };
    let plum = [
        Plum::Prune,
        Plum::Graft { id: Some([6; 32]), round: 1 },
        Plum::IHave(vec![offered(), offered()]),
    ];
    let layers = swarm.map(Layer::Swarm).into_iter().chain(plum.map(Layer::Gossip));
    let frames = layers.map(|layer| Frame { topic, layer });
    let frames = frames.map(|frame| postcard::to_stdvec(&frame).expect("plain data"));
    let announced = contents.iter().map(|content| first_hop(&topic, content.clone().into()));
    frames.chain(announced).collect()
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;
    use iroh_gossip::proto::{
        Command, Config, InEvent, Message, OutEvent, PeerData, Scope as ProtoScope, State, TopicId,
    };
    use n0_future::time::Instant;
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::id::PeerId;

    const TOPIC: [u8; 32] = [7; 32];

    fn data(content: &[u8], round: u16) -> Frame {
        let content = Bytes::copy_from_slice(content);
        let id = *blake3::hash(&content).as_bytes();
        let gossip = Plum::Data { id, content, scope: Scope::Swarm(round) };
        Frame { topic: TOPIC, layer: Layer::Gossip(gossip) }
    }

    fn encode(frame: &Frame) -> Vec<u8> {
        postcard::to_stdvec(frame).unwrap()
    }

    /// Every frame of a network in which all kinds of messages occur.
    fn frames_of_the_crate() -> Vec<Vec<u8>> {
        let ids: Vec<PeerId> =
            (0..12).map(|seed| SecretKey::from_bytes(&[seed; 32]).public()).collect();
        let topic = TopicId::from_bytes(TOPIC);
        let now = Instant::now();
        let mut frames = Vec::new();
        let mut nodes: Vec<State<PeerId, StdRng>> = ids
            .iter()
            .zip(0..)
            .map(|(id, seed)| {
                let rng = StdRng::seed_from_u64(seed);
                State::new(*id, PeerData::default(), Config::default(), rng)
            })
            .collect();
        let mut queue: std::collections::VecDeque<(usize, InEvent<PeerId>)> = (0..12)
            .map(|node| {
                let peers = if node == 0 { vec![] } else { vec![ids[0]] };
                (node, InEvent::Command(topic, Command::Join(peers)))
            })
            .collect();
        let mut timers = std::collections::VecDeque::new();
        for step in 0..20_000_usize {
            if step % 1000 == 10 {
                let content = step.to_le_bytes().to_vec().into();
                let command = Command::Broadcast(content, ProtoScope::Swarm);
                queue.push_back((step / 1000 % 12, InEvent::Command(topic, command)));
            }
            let Some((node, event)) = queue.pop_front().or_else(|| timers.pop_front()) else {
                break;
            };
            for out in nodes[node].handle(event, now, None) {
                match out {
                    OutEvent::SendMessage(to, message) => {
                        frames.push(postcard::to_stdvec(&message).unwrap());
                        let to = ids.iter().position(|id| *id == to).unwrap();
                        queue.push_back((to, InEvent::RecvMessage(ids[node], message)));
                    }
                    OutEvent::ScheduleTimer(_, timer) => {
                        timers.push_back((node, InEvent::TimerExpired(timer)));
                    }
                    _ => {}
                }
            }
        }
        frames
    }

    #[test]
    fn the_mirror_agrees_with_the_protocol_on_every_frame() {
        let mut kinds = std::collections::BTreeSet::new();
        for bytes in frames_of_the_crate() {
            let frame: Frame = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(encode(&frame), bytes);
            kinds.insert(bytes[32..34].to_vec());
            inspect(&bytes, &TOPIC).unwrap();
        }
        // Layer and kind: of ten kinds only the graft needs a lost message to occur.
        assert!(kinds.len() >= 9, "{kinds:?}");
    }

    #[test]
    fn a_graft_is_mirrored_as_well() {
        let graft = Plum::Graft { id: Some([1; 32]), round: 3 };
        let bytes = encode(&Frame { topic: TOPIC, layer: Layer::Gossip(graft) });
        let message: Message<PeerId> = postcard::from_bytes(&bytes).unwrap();
        assert!(format!("{message:?}").contains("Graft"));
        assert_eq!(postcard::to_stdvec(&message).unwrap(), bytes);
    }

    #[test]
    fn what_would_harm_the_protocol_is_refused() {
        let inspect = |frame: &Frame| inspect(&encode(frame), &TOPIC);
        assert!(matches!(inspect(&data(b"hi", 1)), Ok(Inspected::Data { .. })));
        assert_eq!(inspect(&data(b"hi", u16::MAX)), Err(Refusal::Malformed));
        assert_eq!(inspect(&data(&[0; 5000], 1)), Err(Refusal::Oversized));
        let foreign = Frame { topic: [8; 32], ..data(b"hi", 1) };
        assert_eq!(inspect(&foreign), Err(Refusal::Foreign));
        let forged = Plum::Data { id: [0; 32], content: "hi".into(), scope: Scope::Swarm(0) };
        let forged = Frame { topic: TOPIC, layer: Layer::Gossip(forged) };
        assert_eq!(inspect(&forged), Err(Refusal::Forged));
        let stuffed = Swarm::Join(Some("anything".into()));
        let stuffed = Frame { topic: TOPIC, layer: Layer::Swarm(stuffed) };
        assert_eq!(inspect(&stuffed), Err(Refusal::Malformed));
    }

    #[test]
    fn a_frame_with_bytes_to_spare_is_refused() {
        let mut bytes = encode(&data(b"hi", 1));
        bytes.push(0);
        assert_eq!(inspect(&bytes, &TOPIC), Err(Refusal::Malformed));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = inspect(&bytes, &TOPIC);
            let mut framed = TOPIC.to_vec();
            framed.extend(&bytes);
            let _ = inspect(&framed, &TOPIC);
        }
    }
}
