//! Signs of life and of departure: small signed records beside the entry.

use std::time::Duration;

use iroh::{SecretKey, Signature};
use serde::{Deserialize, Serialize};

use super::{derived::NetworkTag, refusal::Refusal, version::PeerEntryVersion};
use crate::id::PeerId;

const BEAT: &[u8] = b"mosaik discovery beat 1";
const DEPARTURE: &[u8] = b"mosaik discovery departure 1";

/// "I am alive": signed by the peer, with the date and the version of its entry.
///
/// Freshness is judged by the signed date, never by when it was received, so nobody's replay
/// keeps a dead peer alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beat {
    peer: PeerId,
    version: PeerEntryVersion,
    time: u64,
    interval_ms: u32,
    signature: Signature,
}

impl Beat {
    /// Signs a beat dated `time` (microseconds since 1970); the sender means to send the next one
    /// after about `interval`.
    pub(crate) fn sign(
        key: &SecretKey,
        tag: &NetworkTag,
        version: PeerEntryVersion,
        time: u64,
        interval: Duration,
    ) -> Self {
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let message = beat_message(tag, &version, time, interval_ms);
        Self { peer: key.public(), version, time, interval_ms, signature: key.sign(&message) }
    }

    pub(crate) fn peer(&self) -> &PeerId {
        &self.peer
    }

    pub(crate) fn version(&self) -> PeerEntryVersion {
        self.version
    }

    /// Microseconds since 1970.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// When the sender means to send the next one, in microseconds from this one.
    pub(crate) fn interval(&self) -> u64 {
        u64::from(self.interval_ms) * 1000
    }

    /// Which of two of one peer is kept.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        let rank =
            |beat: &Self| (beat.version, beat.time, beat.interval_ms, beat.signature.to_bytes());
        rank(self) > rank(other)
    }
}

/// "I am leaving": ends the named version of the peer's entry, and all older ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Departure {
    peer: PeerId,
    version: PeerEntryVersion,
    time: u64,
    signature: Signature,
}

impl Departure {
    /// Signs a departure dated `time` (microseconds since 1970).
    pub(crate) fn sign(
        key: &SecretKey,
        tag: &NetworkTag,
        version: PeerEntryVersion,
        time: u64,
    ) -> Self {
        let signature = key.sign(&departure_message(tag, &version, time));
        Self { peer: key.public(), version, time, signature }
    }

    pub(crate) fn peer(&self) -> &PeerId {
        &self.peer
    }

    pub(crate) fn version(&self) -> PeerEntryVersion {
        self.version
    }

    /// Microseconds since 1970. From then on the departure is remembered for `purge_after`; what
    /// it ended is too old to be believed by then.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// Which of two of one peer is kept.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        let rank =
            |departure: &Self| (departure.version, departure.time, departure.signature.to_bytes());
        rank(self) > rank(other)
    }
}

/// A signed record as it came from elsewhere: nothing in it is verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Raw<T>(T);

impl<T> Raw<T> {
    /// What it says, nothing of which is verified.
    pub(crate) fn record(&self) -> &T {
        &self.0
    }
}

impl<T: SignedRecord> Raw<T> {
    /// The record, if the peer that it speaks for signed it for this network.
    pub(crate) fn verify(self, tag: &NetworkTag) -> Result<T, Refusal> {
        let (peer, message, signature) = self.0.signed(tag);
        peer.verify(&message, &signature).map_err(|_| Refusal::Forged)?;
        Ok(self.0)
    }
}

impl<T> From<T> for Raw<T> {
    fn from(record: T) -> Self {
        Self(record)
    }
}

/// What [`Raw`] verifies. The network's tag is part of what is signed, not of the record: a
/// record of another network is one with a wrong signature.
pub(crate) trait SignedRecord {
    fn signed(&self, tag: &NetworkTag) -> (PeerId, Vec<u8>, Signature);
}

impl SignedRecord for Beat {
    fn signed(&self, tag: &NetworkTag) -> (PeerId, Vec<u8>, Signature) {
        let message = beat_message(tag, &self.version, self.time, self.interval_ms);
        (self.peer, message, self.signature)
    }
}

impl SignedRecord for Departure {
    fn signed(&self, tag: &NetworkTag) -> (PeerId, Vec<u8>, Signature) {
        (self.peer, departure_message(tag, &self.version, self.time), self.signature)
    }
}

fn beat_message(
    tag: &NetworkTag,
    version: &PeerEntryVersion,
    time: u64,
    interval_ms: u32,
) -> Vec<u8> {
    let mut message = BEAT.to_vec();
    message.extend(tag.as_bytes());
    message.extend(version.start().to_le_bytes());
    message.extend(version.update().to_le_bytes());
    message.extend(time.to_le_bytes());
    message.extend(interval_ms.to_le_bytes());
    message
}

fn departure_message(tag: &NetworkTag, version: &PeerEntryVersion, time: u64) -> Vec<u8> {
    let mut message = DEPARTURE.to_vec();
    message.extend(tag.as_bytes());
    message.extend(version.start().to_le_bytes());
    message.extend(version.update().to_le_bytes());
    message.extend(time.to_le_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NetworkId;

    fn tag(name: &str) -> NetworkTag {
        NetworkTag::of(&NetworkId::from(name))
    }

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(&[seed; 32])
    }

    const VERSION: PeerEntryVersion = PeerEntryVersion::new(1, 2);

    #[test]
    fn a_beat_is_small_and_verifies_in_its_own_network_only() {
        let beat = Beat::sign(&key(1), &tag("a"), VERSION, 3, Duration::from_secs(45));
        let raw = Raw::from(beat.clone());
        assert!(postcard::to_stdvec(&raw).unwrap().len() <= 130);
        assert_eq!(raw.clone().verify(&tag("a")), Ok(beat));
        assert_eq!(raw.verify(&tag("b")), Err(Refusal::Forged));
    }

    #[test]
    fn an_altered_beat_or_departure_is_forged() {
        let beat = Beat::sign(&key(1), &tag("a"), VERSION, 3, Duration::from_secs(45));
        let altered = Beat { time: 4, ..beat.clone() };
        assert_eq!(Raw::from(altered).verify(&tag("a")), Err(Refusal::Forged));
        let altered = Beat { peer: key(2).public(), ..beat };
        assert_eq!(Raw::from(altered).verify(&tag("a")), Err(Refusal::Forged));
        let departure = Departure::sign(&key(1), &tag("a"), VERSION, 7);
        assert!(Raw::from(departure.clone()).verify(&tag("a")).is_ok());
        let altered = Departure { version: PeerEntryVersion::new(1, 3), ..departure };
        assert_eq!(Raw::from(altered).verify(&tag("a")), Err(Refusal::Forged));
    }

    #[test]
    fn the_later_beat_supersedes() {
        let at = |time| Beat::sign(&key(1), &tag("a"), VERSION, time, Duration::ZERO);
        assert!(at(4).supersedes(&at(3)));
        assert!(!at(3).supersedes(&at(4)));
        assert!(!at(3).supersedes(&at(3)));
    }
}
