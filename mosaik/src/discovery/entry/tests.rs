use iroh::TransportAddr;
use proptest::prelude::*;

use super::*;
use crate::{
    clock::Clock,
    discovery::{beat::Beat, refusal::Refusal, version::micros},
    ticket::MAX_TICKETS_BYTES,
};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn entry(seed: u8) -> PeerEntry {
    let address =
        EndpointAddr::new(key(seed).public()).with_ip_addr("127.0.0.1:4433".parse().unwrap());
    PeerEntry::starting("net".into(), address, PeerEntryVersion::new(5, 5))
}

fn tag() -> NetworkTag {
    NetworkTag::of(&"net".into())
}

#[test]
fn edits_count_the_version_up_only_when_they_change_something() {
    let first = entry(1);
    let tagged = first.clone().add_tags("a");
    assert!(tagged.is_newer_than(&first));
    assert!(!tagged.clone().add_tags("a").is_newer_than(&tagged));
    assert!(!tagged.clone().remove_tags(["b", "c"]).is_newer_than(&tagged));
    assert!(tagged.clone().remove_tags("a").is_newer_than(&tagged));
    assert!(tagged.clone().add_streams("s").is_newer_than(&tagged));
    let member = tagged.clone().add_groups("g");
    assert!(member.is_newer_than(&tagged) && member.groups().contains(&"g".into()));
    assert!(!member.clone().add_groups("g").is_newer_than(&member));
    let left = member.clone().remove_groups("g");
    assert!(left.is_newer_than(&member) && left.groups().is_empty());
    let address = first.address().clone();
    assert!(first.clone().update_address(address).unwrap().is_newer_than(&first));
}

fn ticket(class: &str, data: Vec<u8>) -> Ticket {
    Ticket::new(class.into(), data.into())
}

#[test]
fn tickets_come_and_go_and_count_the_version_up_only_when_they_do() {
    let first = entry(1);
    let (a, b, other) = (ticket("a", vec![1]), ticket("a", vec![2]), ticket("b", vec![1]));
    let all =
        [&a, &b, &other].into_iter().fold(first.clone(), |entry, it| entry.add_ticket(it.clone()));
    assert!(all.is_newer_than(&first));
    assert!(!all.clone().add_ticket(a.clone()).is_newer_than(&all));
    assert_eq!((all.tickets().len(), all.tickets_of(a.class).count()), (3, 2));
    assert!(all.has_valid_ticket(a.class, |data| data == [2]));
    assert!(!all.has_valid_ticket(other.class, |data| data == [2]));
    let one_less = all.clone().remove_ticket(b.id());
    assert!(one_less.is_newer_than(&all));
    assert!(!one_less.clone().remove_ticket(b.id()).is_newer_than(&one_less));
    let none = one_less.clone().remove_tickets_of(a.class);
    assert!(none.is_newer_than(&one_less));
    assert_eq!(none.tickets().values().collect::<Vec<_>>(), [&other]);
    assert!(!none.clone().remove_tickets_of(a.class).is_newer_than(&none));
}

#[test]
fn bodies_of_tickets_are_outside_of_signature_equality_and_digest() {
    let signed = entry(1).add_ticket(ticket("a", vec![1])).sign(&key(1)).unwrap();
    let bare = signed.to_raw().verify(&tag(), |_| None).unwrap();
    assert_eq!((bare.tickets().len(), signed.tickets().len()), (0, 1));
    assert_eq!(bare, signed);
    assert_eq!(bare.entry(), signed.entry());
    assert_eq!(bare.digest(), signed.digest());
    assert!(!bare.shows_the_same_as(&signed));
}

#[test]
fn tickets_beyond_their_limit_are_neither_signed_nor_accepted() {
    let fits = entry(1).add_ticket(ticket("a", vec![0; MAX_TICKETS_BYTES - 64]));
    assert!(fits.clone().sign(&key(1)).is_ok());
    let large = fits.add_ticket(ticket("b", Vec::new()));
    let error = large.clone().sign(&key(1)).unwrap_err();
    assert!(matches!(error, Error::TicketsTooLarge { size: 65_600, limit: 65_536 }), "{error:?}");
    let raw = entry(1).sign(&key(1)).unwrap().to_raw();
    let raw = RawEntry { bytes: large.encode().into(), ..raw };
    assert_eq!(raw.verify(&tag(), |_| None), Err(Refusal::Oversized));
    // So is one that lies about a size.
    let lie = entry(1).edit(|body| {
        let digest = ticket("a", vec![]).digest();
        body.tickets.insert(TicketDigest { size: u64::MAX, ..digest })
    });
    assert!(matches!(lie.sign(&key(1)), Err(Error::TicketsTooLarge { .. })));
}

#[test]
fn the_address_of_another_peer_is_refused() {
    let error = entry(1).update_address(key(2).public().into()).unwrap_err();
    assert!(matches!(error, Error::PeerIdChanged(_, _)));
}

#[test]
fn a_signed_entry_survives_every_encoding() {
    let full = entry(1).add_tags(["a", "b"]).add_streams("s").add_groups("g");
    let signed = full.sign(&key(1)).unwrap();
    let beat = Beat::sign(&key(1), &tag(), signed.update_version(), 9, Duration::from_secs(45));
    let signed = signed.with_beat(Some(beat.clone()));
    let bytes = postcard::to_stdvec(&signed).unwrap();
    let decoded: SignedPeerEntry = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(decoded, signed);
    assert_eq!(decoded.entry(), signed.entry());
    assert_eq!(decoded.beat(), Some(&beat));
    assert_eq!(decoded.digest(), decoded.entry().digest());
    let json = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<SignedPeerEntry>(&json).unwrap(), signed);
    let json = serde_json::to_string(signed.entry()).unwrap();
    assert_eq!(&serde_json::from_str::<PeerEntry>(&json).unwrap(), signed.entry());
}

#[test]
fn the_id_of_the_network_is_not_in_the_bytes() {
    let signed = entry(1).sign(&key(1)).unwrap();
    let id = *signed.network_id();
    let bytes = postcard::to_stdvec(&signed).unwrap();
    assert!(!bytes.windows(32).any(|window| window == id.as_bytes()));
    let decoded: SignedPeerEntry = postcard::from_bytes(&bytes).unwrap();
    assert_ne!(*decoded.network_id(), id);
    assert_eq!(*decoded.with_network_id(id).network_id(), id);
}

#[test]
fn a_foreign_key_cannot_sign() {
    assert!(matches!(entry(1).sign(&key(2)), Err(Error::InvalidSecretKey(_, _))));
}

#[test]
fn an_oversized_entry_is_neither_signed_nor_accepted() {
    let tags: Vec<Tag> = (0..9000_u64).map(Tag::from_u64).collect();
    let large = entry(1).add_tags(tags);
    assert!(matches!(large.clone().sign(&key(1)), Err(Error::TooLarge { .. })));
    let raw = entry(1).sign(&key(1)).unwrap().to_raw();
    let raw = RawEntry { bytes: large.encode().into(), ..raw };
    assert_eq!(raw.verify(&tag(), |_| None), Err(Refusal::Oversized));
}

#[test]
fn a_forged_or_foreign_entry_is_refused() {
    let signed = entry(1).sign(&key(1)).unwrap();
    let forged = RawEntry { bytes: entry(1).add_tags("x").encode().into(), ..signed.to_raw() };
    assert_eq!(forged.verify(&tag(), |_| None), Err(Refusal::Forged));
    let other = NetworkTag::of(&"other".into());
    assert_eq!(signed.to_raw().verify(&other, |_| None), Err(Refusal::Foreign));
    let beat = Beat::sign(&key(2), &tag(), signed.update_version(), 9, Duration::ZERO);
    let mixed = signed.with_beat(Some(beat)).to_raw();
    assert_eq!(mixed.verify(&tag(), |_| None), Err(Refusal::Forged));
}

#[test]
fn fields_of_a_later_version_are_kept_and_passed_on() {
    let mut bytes = entry(1).encode();
    bytes.extend(b"more fields");
    let digest = blake3::hash(&bytes);
    let message = [b"mosaik discovery entry 1".as_slice(), digest.as_bytes()].concat();
    let raw = RawEntry {
        bytes: bytes.clone().into(),
        signature: key(1).sign(&message),
        beat: None,
        tickets: Vec::new(),
    };
    let signed = raw.verify(&tag(), |_| None).unwrap();
    assert_eq!(signed.to_raw().bytes, bytes);
    assert_eq!(signed.entry(), &entry(1));
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = postcard::from_bytes::<SignedPeerEntry>(&bytes);
        let raw = RawEntry { bytes: bytes.into(), ..entry(1).sign(&key(1)).unwrap().to_raw() };
        prop_assert!(raw.verify(&tag(), |_| None).is_err());
    }

    #[test]
    fn mutated_entries_are_refused_or_the_same(at in 0_usize..400, flip in 1_u8..) {
        let signed = entry(1).add_tags(["a", "b"]).add_streams("s").sign(&key(1)).unwrap();
        let mut bytes = postcard::to_stdvec(&signed).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(decoded) = postcard::from_bytes::<SignedPeerEntry>(&bytes) {
            prop_assert_eq!(decoded, signed);
        }
    }

    #[test]
    fn any_entry_survives_encoding(
        tags in proptest::collection::btree_set(any::<[u8; 32]>(), 0..20),
        port in any::<u16>(),
        start in any::<u64>(),
        update in any::<u64>(),
    ) {
        let address = EndpointAddr::from_parts(
            key(1).public(),
            [TransportAddr::Ip(([127, 0, 0, 1], port).into())],
        );
        let entry = PeerEntry::starting("net".into(), address, PeerEntryVersion::new(start, update))
            .add_tags(tags.into_iter().map(Tag::from_bytes));
        let signed = entry.clone().sign(&key(1)).unwrap();
        let decoded: SignedPeerEntry =
            postcard::from_bytes(&postcard::to_stdvec(&signed).unwrap()).unwrap();
        prop_assert_eq!(decoded.entry(), &entry);
        // Entries that were only decoded can be dated and shown without a panic.
        let _ = (decoded.updated_at(), decoded.started_at(), decoded.uptime());
    }
}

#[test]
fn an_entry_that_sends_others_to_too_many_addresses_is_refused() {
    let at = |count: u16| {
        let address = EndpointAddr::new(key(1).public());
        let address = (0..count)
            .fold(address, |address, port| address.with_ip_addr(([192, 0, 2, 1], port).into()));
        let entry = PeerEntry::starting("net".into(), address, PeerEntryVersion::new(5, 5));
        entry.sign(&key(1)).unwrap().to_raw().verify(&tag(), |_| None)
    };
    assert!(at(64).is_ok());
    assert_eq!(at(65), Err(Refusal::Oversized));
}

#[test]
fn the_uptime_goes_by_the_date_of_the_node_and_not_of_the_machine() {
    let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let version = PeerEntryVersion::new(micros(start), micros(start));
    let entry = PeerEntry::starting("net".into(), key(1).public().into(), version);
    let at = |seconds| Clock::fixed(start + chrono::TimeDelta::seconds(seconds)).set_for_thread();
    let _later = at(7);
    assert_eq!(entry.uptime(), Duration::from_secs(7));
    let _earlier = at(-7);
    assert_eq!(entry.uptime(), Duration::ZERO);
}
