//! The wire format, written a second time: messages are a varint length and postcard.

use std::time::{SystemTime, UNIX_EPOCH};

use iroh::{EndpointAddr, SecretKey, Signature};
use mosaik::{Bytes, PeerId, UniqueId};
use serde::{Deserialize, Serialize};

pub(super) const CONTROL: &[u8] = b"/mosaik/1";
pub(super) const BULK: &[u8] = b"/mosaik/1/bulk";
pub(super) const LOG: &[u8] = b"/mosaik/1/log";
/// Who says an opening.
pub(super) const DIALLER: u8 = 0;
pub(super) const ACCEPTOR: u8 = 1;
/// The first byte of a stream.
pub(super) const GOSSIP: u8 = 1;
pub(super) const SYNC: u8 = 2;
pub(super) const SUBSCRIBE: u8 = 3;
pub(super) const BOND: u8 = 5;
pub(super) const HEARTBEAT: u8 = 6;

pub(super) type Version = (u64, u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) version: u32,
    pub(super) capabilities: u64,
    pub(super) start: u64,
    pub(super) clock_ms: i64,
    pub(super) holds: Option<[u8; 16]>,
    pub(super) mac: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Verdict {
    Keep,
    Duplicate,
    Superseded,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Hello {
    Opening(Opening, Option<Verdict>),
    Offer(Option<Verdict>, Bytes),
    Bodies(Bytes),
    Admitted,
    Refused(u32),
    NewerRun(Bytes),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Signal {
    AskBulk,
    BulkToken([u8; 16]),
    AskLog,
    LogToken([u8; 16]),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    pub(super) version: Version,
    pub(super) digest: [u8; 32],
    pub(super) known: Option<Version>,
    /// Tickets that are here already.
    pub(super) held: Vec<UniqueId>,
}

/// What comes after the offers: an entry, and tickets.
#[derive(Debug, Serialize)]
pub(super) struct Bodies {
    pub(super) entry: Option<RawEntry>,
    pub(super) tickets: Vec<(UniqueId, Bytes)>,
}

/// An entry before it is signed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Body {
    pub(super) network: UniqueId,
    pub(super) version: Version,
    pub(super) protocol: String,
    pub(super) address: EndpointAddr,
    pub(super) tags: Vec<UniqueId>,
    pub(super) streams: Vec<UniqueId>,
    /// Id, class, size.
    pub(super) tickets: Vec<(UniqueId, UniqueId, u64)>,
    pub(super) groups: Vec<UniqueId>,
}

impl Body {
    /// Of a peer without tags, streams, tickets and groups.
    pub(super) fn new(network: &UniqueId, version: Version, address: EndpointAddr) -> Self {
        Self {
            network: tag(network),
            version,
            protocol: "1.0.0".into(),
            address,
            tags: Vec::new(),
            streams: Vec::new(),
            tickets: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// With so many tags that nobody else has.
    pub(super) fn with_tags(mut self, tags: usize) -> Self {
        self.tags = (0..tags).map(|_| UniqueId::random()).collect();
        self.tags.sort_unstable();
        self
    }
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct RawEntry {
    pub(super) bytes: Bytes,
    pub(super) signature: Signature,
    pub(super) beat: Option<Beat>,
    /// Class, data.
    pub(super) tickets: Vec<(UniqueId, Bytes)>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Beat {
    pub(super) peer: PeerId,
    pub(super) version: Version,
    pub(super) time: u64,
    pub(super) interval_ms: u32,
    pub(super) signature: Signature,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Departure {
    pub(super) peer: PeerId,
    pub(super) version: Version,
    pub(super) time: u64,
    pub(super) signature: Signature,
}

/// What is announced by gossip, and what a sync brings.
#[derive(Debug, Clone, Serialize)]
pub(super) enum Item {
    Entry(RawEntry),
    Beat(Beat),
    Departure(Departure),
}

#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) peer: PeerId,
    pub(super) version: Version,
    pub(super) beat: u64,
    pub(super) departed: bool,
}

#[derive(Debug, Serialize)]
pub(super) enum Page {
    Summary(Vec<Summary>),
    /// Each encoded by itself.
    Items(Vec<Bytes>),
    Wants(Vec<(PeerId, Option<Version>)>),
    End,
}

#[derive(Debug, Serialize)]
pub(super) struct Subscribe {
    pub(super) version: u16,
    pub(super) stream: UniqueId,
    pub(super) fingerprint: Option<UniqueId>,
    pub(super) slot: u64,
    pub(super) consumer: u64,
    /// 0: what is retained, 2: what is sent next.
    pub(super) from: u8,
    pub(super) group: Option<UniqueId>,
}

/// What an attacked node may ask of a lying producer.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[expect(dead_code, reason = "holds its place")]
    version: u16,
    pub(super) stream: UniqueId,
    #[expect(dead_code, reason = "holds its place")]
    fingerprint: Option<UniqueId>,
    pub(super) slot: u64,
}

/// What a subscriber says later.
#[derive(Debug, Serialize)]
pub(super) enum Word {
    Taken(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Accepted { epoch: u64, next: u64 },
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data can be encoded")
}

/// A message with its length in front.
pub(super) fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = length(body.len() as u64);
    out.extend_from_slice(body);
    out
}

pub(super) fn length(mut length: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while length >= 0x80 {
        out.push((length as u8) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out
}

/// Things to tell in a sync.
pub(super) fn items<'a>(items: impl IntoIterator<Item = &'a Item>) -> Page {
    Page::Items(items.into_iter().map(|item| encode(item).into()).collect())
}

/// Microseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(since.as_micros()).expect("it is before the year 500,000")
}

/// What stands for the network in what is signed.
pub(super) fn tag(network: &UniqueId) -> UniqueId {
    let context = "mosaik 2026 discovery: tag of the network in signed records";
    UniqueId::from_bytes(blake3::derive_key(context, network.as_bytes()))
}

pub(super) fn topic(network: &UniqueId) -> [u8; 32] {
    blake3::derive_key("mosaik 2026 discovery: gossip topic", network.as_bytes())
}

pub(super) fn sign_entry(key: &SecretKey, body: &Body, beat: Option<Beat>) -> RawEntry {
    let bytes = encode(body);
    let digest = blake3::hash(&bytes);
    let signature = key.sign(&[b"mosaik discovery entry 1", &digest.as_bytes()[..]].concat());
    RawEntry { bytes: bytes.into(), signature, beat, tickets: Vec::new() }
}

/// The entry of a peer that was made up for it, rightly signed.
pub(super) fn phantom(network: &UniqueId, tags: usize) -> RawEntry {
    let (key, now) = (SecretKey::generate(), now());
    let address = EndpointAddr::new(key.public()).with_ip_addr(([127, 0, 0, 1], 9).into());
    let mut body = Body::new(network, (now, now), address).with_tags(tags);
    body.streams.push(UniqueId::from("open"));
    let beat = sign_beat(&key, network, body.version, now);
    sign_entry(&key, &body, Some(beat))
}

pub(super) fn sign_beat(key: &SecretKey, network: &UniqueId, version: Version, time: u64) -> Beat {
    let interval_ms = 45_000_u32;
    let message = [
        b"mosaik discovery beat 1",
        &tag(network).as_bytes()[..],
        &version.0.to_le_bytes(),
        &version.1.to_le_bytes(),
        &time.to_le_bytes(),
        &interval_ms.to_le_bytes(),
    ]
    .concat();
    Beat { peer: key.public(), version, time, interval_ms, signature: key.sign(&message) }
}

/// A gossip frame that carries an announcement: layer 1 (PlumTree), kind 0 (data), scope 0.
pub(super) fn announcement(topic: [u8; 32], content: &[u8]) -> Vec<u8> {
    let id = *blake3::hash(content).as_bytes();
    let content = Bytes::copy_from_slice(content);
    encode(&(topic, 1_u8, 0_u8, id, content, 0_u8, 0_u16))
}

/// A frame that offers announcements by their ids.
pub(super) fn offers(topic: [u8; 32], ids: &[[u8; 32]]) -> Vec<u8> {
    let ids: Vec<_> = ids.iter().map(|id| (*id, 1_u16)).collect();
    encode(&(topic, 1_u8, 3_u8, ids))
}
