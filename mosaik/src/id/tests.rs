use std::collections::HashSet;

use iroh::SecretKey;
use proptest::prelude::*;

use super::{const_hash, *};

const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

#[test]
fn const_blake3_agrees_with_the_crate() {
    for len in [0, 1, 3, 63, 64, 65, 127, 128, 129, 1000, 1023, 1024] {
        let input: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
        assert_eq!(const_hash::blake3(&input), *blake3::hash(&input).as_bytes(), "{len} bytes");
    }
}

#[test]
#[should_panic(expected = "an intent is limited to 1024 bytes")]
fn const_blake3_refuses_more_than_a_chunk() {
    UniqueId::hash_str(&"x".repeat(const_hash::MAX_INPUT + 1));
}

#[test]
fn sixty_four_hex_digits_are_the_id_itself() {
    const ID: UniqueId = UniqueId::from_hex_or_hash(HEX);
    assert_eq!(ID.to_string(), HEX.to_lowercase());
    assert_eq!(UniqueId::from(HEX), ID);
    assert_eq!(HEX.parse::<UniqueId>(), Ok(ID));
}

#[test]
fn other_text_is_hashed() {
    const ID: UniqueId = UniqueId::from_hex_or_hash("prices");
    assert_eq!(ID, UniqueId::from(blake3::hash(b"prices")));
    assert_eq!(UniqueId::from("prices"), ID);
    let almost_hex = HEX.replace('f', "g");
    assert_eq!(UniqueId::from(almost_hex.as_str()), UniqueId::hash(almost_hex.as_bytes()));
    assert_eq!(UniqueId::from("x".repeat(5000).as_str()), UniqueId::hash(&[b'x'; 5000]));
}

#[test]
fn a_slice_is_hashed_even_when_it_has_32_bytes() {
    assert_eq!(UniqueId::from([7; 32].as_slice()), UniqueId::hash(&[7; 32]));
    assert_ne!(UniqueId::from([7; 32].as_slice()), UniqueId::from_bytes([7; 32]));
}

#[test]
fn integers_stand_in_the_last_bytes_little_endian() {
    assert_eq!(UniqueId::from_u16(0x0102).as_bytes()[29..], [0, 2, 1]);
    assert_eq!(UniqueId::from_i128(-1).as_bytes()[15..], [&[0][..], &[255; 16]].concat());
    assert_eq!(UniqueId::from_usize(9), UniqueId::from_u64(9));
    assert_eq!(UniqueId::from_isize(-9), UniqueId::from_i64(-9));
    assert_eq!(UniqueId::from_u8(0), UniqueId::zero());
}

#[test]
fn derivation_is_the_hash_of_id_and_info() {
    const FOLDED: UniqueId = UniqueId::hash_str("a").fold(&[UniqueId::hash_str("b")]);
    let (a, b) = (UniqueId::hash(b"a"), UniqueId::hash(b"b"));
    assert_eq!(FOLDED, a.derive(b));
    assert_eq!(a.fold(&[b, a]), a.derive(b).derive(a));
    assert_eq!(a.fold(&[]), a);
    assert_eq!(a.hashed(), UniqueId::hash(a.as_bytes()));
    assert_eq!(UniqueId::from_parts(&["ab", "c"]), UniqueId::hash(b"abc"));
    assert_eq!(UniqueId::from_hasher(blake3::Hasher::new().update(b"abc")), UniqueId::hash(b"abc"));
}

#[test]
fn comparisons_and_conversions_of_the_published_api_compile() {
    let id = UniqueId::random();
    let by_ref = &id;
    assert_eq!(by_ref, id);
    assert_eq!(id, by_ref);
    assert_eq!(id.len(), 32);
    assert_eq!(<[u8; 32]>::from(id), <[u8; 32]>::from(&id));
    assert_eq!(UniqueId::from(&*id), id);
    assert_eq!(SecretKey::from(id).to_bytes(), *id.as_bytes());
    assert_eq!(HashSet::from([id, id]).len(), 1);
    assert_ne!(id, UniqueId::random());
}

#[test]
fn serde_is_strict_hex_in_text_and_raw_bytes_in_binary() {
    let id = UniqueId::from("x");
    assert_eq!(postcard::to_allocvec(&id).unwrap(), id.as_bytes());
    assert_eq!(postcard::from_bytes::<UniqueId>(id.as_bytes()).unwrap(), id);
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(json, format!("\"{id}\""));
    assert_eq!(serde_json::from_str::<UniqueId>(&json).unwrap(), id);
    let error = serde_json::from_str::<UniqueId>("\"prices\"").unwrap_err().to_string();
    assert!(error.contains("64 hexadecimal digits"), "{error}");
}

proptest! {
    #[test]
    fn printed_ids_read_back(bytes: [u8; 32]) {
        let id = UniqueId::from_bytes(bytes);
        prop_assert_eq!(UniqueId::from(id.to_string().as_str()), id);
        prop_assert_eq!(format!("{id:?}"), id.to_string());
    }

    #[test]
    fn order_is_that_of_the_bytes(a: [u8; 32], b: [u8; 32]) {
        prop_assert_eq!(UniqueId::from_bytes(a).cmp(&UniqueId::from_bytes(b)), a.cmp(&b));
    }

    #[test]
    fn const_hashing_follows_the_rule_of_from_str(text in ".{0,80}") {
        prop_assert_eq!(UniqueId::from_hex_or_hash(&text), UniqueId::from(text.as_str()));
    }
}
