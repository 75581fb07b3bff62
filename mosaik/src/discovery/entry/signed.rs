//! An entry with its owner's signature, as it travels and as it is kept.

use std::ops::Deref;

use bytes::Bytes;
use iroh::{SecretKey, Signature};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Body, Head, MAX_ADDRESSES, MAX_ENTRY_BYTES, PeerEntry};
use crate::{
    discovery::{
        beat::{Beat, Raw},
        derived::NetworkTag,
        error::Error,
        refusal::Refusal,
    },
    id::{NetworkId, PeerId},
    schema,
    ticket::{MAX_TICKETS_BYTES, Ticket},
};

/// Keeps a signature of an entry from passing for one of anything else.
const CONTEXT: &[u8] = b"mosaik discovery entry 1";

/// A [`PeerEntry`] signed by the peer that it is about.
///
/// The signature has been verified: by signing, or when the entry was decoded. Beside the signed
/// part travel the peer's last sign of life and the bodies of its tickets, as far as they are
/// known; they do not count for equality.
#[derive(Clone, Debug)]
pub struct SignedPeerEntry {
    entry: PeerEntry,
    /// The signed bytes as they came: they are passed on as they are, with all fields that a
    /// later version may have added.
    bytes: Bytes,
    digest: blake3::Hash,
    signature: Signature,
    beat: Option<Beat>,
}

impl SignedPeerEntry {
    pub(super) fn sign(entry: PeerEntry, key: &SecretKey) -> Result<Self, Error> {
        if key.public() != *entry.id() {
            return Err(Error::InvalidSecretKey(*entry.id(), key.public()));
        }
        if entry.has_too_large_tickets() {
            let size = entry.tickets_weight();
            return Err(Error::TicketsTooLarge { size, limit: MAX_TICKETS_BYTES });
        }
        let bytes = Bytes::from(entry.encode());
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(Error::TooLarge { size: bytes.len(), limit: MAX_ENTRY_BYTES });
        }
        let digest = blake3::hash(&bytes);
        let signature = key.sign(&signed_message(&digest));
        Ok(Self { entry, bytes, digest, signature, beat: None })
    }

    /// The entry without its signature.
    pub fn into_unsigned(self) -> PeerEntry {
        self.entry
    }

    /// The blake3 digest of the signed bytes.
    pub fn digest(&self) -> blake3::Hash {
        self.digest
    }

    /// The size of the signed bytes.
    pub(crate) fn signed_len(&self) -> usize {
        self.bytes.len()
    }

    /// The size of the signed bytes and of the tickets that are here.
    pub(crate) fn encoded_len(&self) -> usize {
        self.bytes.len() + self.held_tickets_bytes()
    }

    pub(crate) fn entry(&self) -> &PeerEntry {
        &self.entry
    }

    pub(crate) fn beat(&self) -> Option<&Beat> {
        self.beat.as_ref()
    }

    pub(crate) fn with_beat(mut self, beat: Option<Beat>) -> Self {
        self.beat = beat;
        self
    }

    pub(crate) fn with_network_id(mut self, network_id: NetworkId) -> Self {
        self.entry = self.entry.with_network_id(network_id);
        self
    }

    /// As it travels, without the bodies of its tickets.
    pub(crate) fn to_raw(&self) -> RawEntry {
        RawEntry {
            bytes: self.bytes.clone(),
            signature: self.signature,
            beat: self.beat.clone().map(Raw::from),
            tickets: Vec::new(),
        }
    }

    /// As it travels, with the bodies of its tickets that are here.
    pub(crate) fn to_raw_with_tickets(&self) -> RawEntry {
        RawEntry { tickets: self.tickets().values().cloned().collect(), ..self.to_raw() }
    }

    /// See [`PeerEntry::attach_tickets`].
    pub(crate) fn attach_tickets(&mut self, tickets: impl IntoIterator<Item = Ticket>) -> bool {
        self.entry.attach_tickets(tickets)
    }

    /// Whether both are the same, with the same bodies of tickets attached.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self == other && self.entry.shows_the_same_as(&other.entry)
    }

    /// Which of two is kept: the newer, and of two at one version (its owner signed twice) the
    /// one with the greater digest, so that all nodes choose alike.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        let rank = |entry: &Self| (entry.update_version(), *entry.digest.as_bytes());
        rank(self) > rank(other)
    }
}

fn signed_message(digest: &blake3::Hash) -> Vec<u8> {
    [CONTEXT, digest.as_bytes()].concat()
}

/// A signed entry as it came from elsewhere: nothing in it is verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RawEntry {
    pub(super) bytes: Bytes,
    pub(super) signature: Signature,
    pub(super) beat: Option<Raw<Beat>>,
    /// Bodies of tickets, which nobody signed: the signed part names those that are genuine.
    pub(super) tickets: Vec<Ticket>,
}

impl RawEntry {
    pub(crate) fn set_tickets(&mut self, tickets: Vec<Ticket>) {
        self.tickets = tickets;
    }

    pub(crate) fn has_tickets(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Takes the bodies of tickets out; [`RawEntry::verify`] does not look at them.
    pub(crate) fn take_tickets(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.tickets)
    }

    /// Decodes and verifies an entry of the network with this tag.
    ///
    /// If it equals `known`, its signature is not verified again.
    pub(crate) fn verify(
        self,
        tag: &NetworkTag,
        known: impl FnOnce(&PeerId) -> Option<SignedPeerEntry>,
    ) -> Result<SignedPeerEntry, Refusal> {
        let entry = self.decode()?;
        if !entry.is_of(tag) {
            return Err(Refusal::Foreign);
        }
        if entry.address().addrs.len() > MAX_ADDRESSES {
            return Err(Refusal::Oversized);
        }
        let beat = match self.beat {
            Some(beat) => Some(beat.verify(tag)?),
            None => None,
        };
        if beat.as_ref().is_some_and(|beat| beat.peer() != entry.id()) {
            return Err(Refusal::Forged);
        }
        let digest = blake3::hash(&self.bytes);
        if let Some(known) = known(entry.id())
            && known.digest == digest
            && known.signature == self.signature
        {
            return Ok(known.with_beat(beat));
        }
        verify_signature(&entry, &digest, &self.signature)?;
        Ok(SignedPeerEntry { entry, bytes: self.bytes, digest, signature: self.signature, beat })
    }

    /// The peer that it says it is about.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        // The rest can be large, and is decoded when the entry is verified.
        schema::decode_prefix::<Head>(&self.bytes).ok().map(|head| head.address.id)
    }

    fn decode(&self) -> Result<PeerEntry, Refusal> {
        if self.bytes.len() > MAX_ENTRY_BYTES {
            return Err(Refusal::Oversized);
        }
        // Bytes beyond the known fields are those of a later version.
        let entry = schema::decode_prefix::<Body>(&self.bytes)
            .map(PeerEntry::from_body)
            .map_err(|_| Refusal::Malformed)?;
        if entry.has_too_large_tickets() { Err(Refusal::Oversized) } else { Ok(entry) }
    }
}

fn verify_signature(
    entry: &PeerEntry,
    digest: &blake3::Hash,
    signature: &Signature,
) -> Result<(), Refusal> {
    entry.id().verify(&signed_message(digest), signature).map_err(|_| Refusal::Forged)
}

impl PartialEq for SignedPeerEntry {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.signature == other.signature
    }
}

impl Eq for SignedPeerEntry {}

impl Deref for SignedPeerEntry {
    type Target = PeerEntry;

    fn deref(&self) -> &PeerEntry {
        &self.entry
    }
}

impl AsRef<PeerEntry> for SignedPeerEntry {
    fn as_ref(&self) -> &PeerEntry {
        &self.entry
    }
}

impl AsRef<Signature> for SignedPeerEntry {
    fn as_ref(&self) -> &Signature {
        &self.signature
    }
}

impl From<SignedPeerEntry> for PeerEntry {
    fn from(entry: SignedPeerEntry) -> Self {
        entry.entry
    }
}

impl From<&SignedPeerEntry> for PeerId {
    fn from(entry: &SignedPeerEntry) -> Self {
        *entry.id()
    }
}

impl Serialize for SignedPeerEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_raw_with_tickets().serialize(serializer)
    }
}

/// Decoding verifies the signatures.
impl<'de> Deserialize<'de> for SignedPeerEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = RawEntry::deserialize(deserializer)?;
        let tickets = raw.take_tickets();
        let tag = NetworkTag::claimed(&raw.decode().map_err(de::Error::custom)?);
        let mut entry = raw.verify(&tag, |_| None).map_err(de::Error::custom)?;
        entry.attach_tickets(tickets);
        Ok(entry)
    }
}
