//! Made-up peers for benches and tests.

use chrono::{DateTime, Utc};
use iroh::{EndpointAddr, SecretKey};

use super::{
    beat::Beat,
    config::Config,
    derived::NetworkTag,
    entry::{PeerEntry, SignedPeerEntry},
    version::{PeerEntryVersion, micros},
};
use crate::id::{NetworkId, StreamId, Tag};

/// Signed entries of so many peers that do not exist, dated `now`: each with an address, two tags
/// and two streams, and a sign of life.
#[doc(hidden)]
pub fn made_up_entries(
    network: NetworkId,
    count: u64,
    now: DateTime<Utc>,
) -> impl Iterator<Item = SignedPeerEntry> {
    let tag = NetworkTag::of(&network);
    (0..count).map(move |number| {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let key = SecretKey::from_bytes(&seed);
        let address = EndpointAddr::new(key.public()).with_ip_addr(([192, 0, 2, 1], 4433).into());
        let version = PeerEntryVersion::new(micros(now), micros(now));
        let entry = PeerEntry::starting(network, address, version)
            .add_tags([Tag::from_u64(number % 7), Tag::from_u64(number % 11)])
            .add_streams([StreamId::from_u64(number % 5), StreamId::from_u64(number % 3)])
            .at_version(version);
        let interval = Config::default().announce_interval;
        let beat = Beat::sign(&key, &tag, version, micros(now), interval);
        let signed = entry.sign(&key).expect("it is signed with its own key, and is small");
        signed.with_beat(Some(beat))
    })
}
