use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddrV4},
    time::Duration,
};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::*;
use crate::{
    id::UniqueId,
    schema::{decode, encode},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Sample {
    Unit,
    Newtype(i64),
    Tuple(u8, String),
    Struct { wide: i128, list: Vec<Option<u16>> },
    Nested(Box<Sample>, Pair),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair {
    marker: (),
    half: i16,
    letter: char,
    flag: bool,
    signed: (i8, i32),
    numbers: [u32; 4],
    float: f64,
    bytes: Bytes,
}

fn samples() -> impl Strategy<Value = Sample> {
    let leaf = prop_oneof![
        Just(Sample::Unit),
        any::<i64>().prop_map(Sample::Newtype),
        any::<(u8, String)>().prop_map(|(a, b)| Sample::Tuple(a, b)),
        any::<(i128, Vec<Option<u16>>)>().prop_map(|(wide, list)| Sample::Struct { wide, list }),
    ];
    let pair = any::<(i16, char, bool, (i8, i32), [u32; 4], f64, Vec<u8>)>().prop_map(
        |(half, letter, flag, signed, numbers, float, bytes)| {
            let bytes = bytes.into();
            Pair { marker: (), half, letter, flag, signed, numbers, float, bytes }
        },
    );
    leaf.prop_recursive(4, 8, 1, move |inner| {
        (inner, pair.clone()).prop_map(|(inner, pair)| Sample::Nested(inner.into(), pair))
    })
}

/// Both decoders read what postcard writes, and ours nothing more and nothing less.
fn agrees<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = postcard::to_allocvec(value).unwrap();
    assert_eq!(encode(value).unwrap(), bytes);
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    assert_eq!(&postcard::from_bytes::<T>(&bytes).unwrap(), value);
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(decode::<T>(&longer), Err(DecodeError::TrailingBytes { count: 1 }));
    if !bytes.is_empty() {
        assert!(decode::<T>(&bytes[..bytes.len() - 1]).is_err());
    }
}

type Mixed = (u16, u32, u64, u128, usize, i8, f32, Option<Duration>, (char, bool));
type Collections = (Vec<(u64, String)>, BTreeMap<String, Vec<u8>>, HashMap<i32, Option<bool>>);
type Foreign = (IpAddr, SocketAddrV4, std::result::Result<u8, String>, [u8; 32]);

proptest! {
    // Debug builds make large strings slowly.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn our_own_types_decode_as_with_postcard(value in samples()) {
        agrees(&value);
    }

    #[test]
    fn standard_types_decode_as_with_postcard(
        mixed: Mixed,
        collections: Collections,
        foreign: Foreign,
    ) {
        agrees(&mixed);
        agrees(&collections);
        agrees(&foreign);
        agrees(&UniqueId::from_bytes(foreign.3));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode::<Sample>(&bytes);
        let _ = decode::<Mixed>(&bytes);
        let _ = decode::<Collections>(&bytes);
        let _ = decode::<Foreign>(&bytes);
        let _ = decode::<Vec<Vec<()>>>(&bytes);
        let _ = decode::<Node>(&bytes);
    }

    #[test]
    fn a_value_has_one_encoding_only(
        value in samples(),
        at: proptest::sample::Index,
        byte: u8,
        how in 0..3,
    ) {
        let mut bytes = postcard::to_allocvec(&value).unwrap();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        if let Ok(other) = decode::<Sample>(&bytes) {
            prop_assert_eq!(encode(&other).unwrap(), bytes);
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Bare(Option<Box<Bare>>);

#[derive(Debug, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

#[derive(Debug, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

#[test]
fn endless_nesting_is_an_error_and_no_stack_overflow() {
    let bytes = vec![1; 1_000_000];
    assert_eq!(decode::<Node>(&bytes).unwrap_err(), DecodeError::TooDeep);
    assert_eq!(decode::<Bare>(&bytes).unwrap_err(), DecodeError::TooDeep);
    assert_eq!(decode::<Tree>(&bytes).unwrap_err(), DecodeError::TooDeep);
    assert_eq!(decode::<Chain>(&bytes).unwrap_err(), DecodeError::TooDeep);
}

#[test]
fn nesting_is_fine_up_to_128_levels() {
    let links = |count: usize| [vec![1; count], vec![0]].concat();
    assert!(decode::<Chain>(&links(127)).is_ok());
    assert_eq!(decode::<Chain>(&links(128)).unwrap_err(), DecodeError::TooDeep);
}

#[test]
fn levels_that_have_ended_do_not_count() {
    let pairs: Vec<Vec<Option<(u8, Chain)>>> =
        (0..300).map(|_| vec![Some((1, Chain::End)), None]).collect();
    let bytes = encode(&pairs).unwrap();
    assert_eq!(decode::<Vec<Vec<Option<(u8, Chain)>>>>(&bytes).unwrap().len(), 300);
}

fn varint(value: u64) -> Bytes {
    encode(&value).unwrap()
}

#[test]
fn lengths_beyond_the_bytes_are_refused() {
    for len in [5, 5000, u64::from(u32::MAX), u64::MAX] {
        let bytes = [&varint(len)[..], &[0; 4]].concat();
        let expected = if len == 5 {
            // Five elements might still take no bytes, as far as the length tells.
            DecodeError::UnexpectedEnd
        } else {
            DecodeError::TooLong
        };
        assert_eq!(decode::<Vec<u8>>(&bytes), Err(expected));
        assert_eq!(decode::<String>(&bytes), Err(DecodeError::TooLong));
        assert_eq!(decode::<Bytes>(&bytes), Err(DecodeError::TooLong));
        assert!(decode::<BTreeMap<u8, u8>>(&bytes).is_err());
    }
}

#[test]
fn elements_without_bytes_are_limited_in_number() {
    assert_eq!(decode::<Vec<()>>(&varint(4096)).unwrap().len(), 4096);
    assert_eq!(decode::<Vec<()>>(&varint(5000)), Err(DecodeError::TooLong));
    assert_eq!(decode::<Vec<()>>(&varint(u64::MAX)), Err(DecodeError::TooLong));
    // The limit is for all sequences together.
    let many = [&varint(3)[..], &varint(3000), &varint(1000), &varint(1000)].concat();
    assert_eq!(decode::<Vec<Vec<()>>>(&many), Err(DecodeError::TooLong));
    let fewer = [&varint(3)[..], &varint(3000), &varint(500), &varint(500)].concat();
    assert_eq!(decode::<Vec<Vec<()>>>(&fewer).unwrap().len(), 3);
}

thread_local! {
    static ROOM: Cell<usize> = const { Cell::new(0) };
}

/// Nested lists that add up how much room they were told to make.
struct Greedy;

impl<'de> Deserialize<'de> for Greedy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct GreedyVisitor;
        impl<'de> Visitor<'de> for GreedyVisitor {
            type Value = Greedy;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("nested lists")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut elements: A,
            ) -> std::result::Result<Greedy, A::Error> {
                ROOM.set(ROOM.get() + elements.size_hint().unwrap());
                while elements.next_element::<Greedy>()?.is_some() {}
                Ok(Greedy)
            }
        }
        deserializer.deserialize_seq(GreedyVisitor)
    }
}

#[test]
fn nested_lists_make_room_in_proportion_to_the_bytes() {
    // Each of a hundred nested lists claims all the bytes that follow it.
    let mut bytes = vec![0; 10_000];
    for _ in 0..100 {
        let len = varint(bytes.len() as u64);
        bytes.splice(0..0, len);
    }
    ROOM.set(0);
    assert!(decode::<Greedy>(&bytes).is_err());
    assert!(ROOM.get() <= bytes.len(), "{} for {} bytes", ROOM.get(), bytes.len());
}

#[test]
fn only_the_shortest_integers_are_taken() {
    assert_eq!(decode::<u16>(&[0x80, 0]), Err(DecodeError::BadInteger));
    assert_eq!(decode::<u64>(&[0xff, 0]), Err(DecodeError::BadInteger));
    assert_eq!(decode::<u16>(&[0xff, 0xff, 0x03]), Ok(u16::MAX));
    assert_eq!(decode::<u16>(&[0xff, 0xff, 0x04]), Err(DecodeError::BadInteger));
    assert_eq!(decode::<u64>(&[0xff; 10]), Err(DecodeError::BadInteger));
    assert_eq!(decode::<u64>(&[0xff; 9]), Err(DecodeError::UnexpectedEnd));
    assert_eq!(decode::<u32>(&[]), Err(DecodeError::UnexpectedEnd));
}

#[test]
fn invalid_values_are_refused() {
    assert_eq!(decode::<bool>(&[2]), Err(DecodeError::BadBool));
    assert_eq!(decode::<Option<u8>>(&[2, 0]), Err(DecodeError::BadOption));
    assert_eq!(decode::<String>(&[1, 0xff]), Err(DecodeError::BadText));
    assert_eq!(decode::<char>(&[2, b'a', b'b']), Err(DecodeError::BadText));
    assert_eq!(decode::<char>(&[0]), Err(DecodeError::BadText));
    assert_eq!(decode::<f64>(&[0; 7]), Err(DecodeError::UnexpectedEnd));
    assert_eq!(decode::<serde_json::Value>(&[0]), Err(DecodeError::SelfDescribing));
    assert_eq!(decode::<Sample>(&[9]), Err(DecodeError::UnknownVariant { index: 9 }));
}

#[test]
fn complaints_that_quote_the_bytes_are_cut() {
    let long = encode(&"ä".repeat(10_000)).unwrap();
    let Err(DecodeError::Refused(text)) = decode::<iroh::RelayUrl>(&long) else {
        return;
    };
    assert!(text.len() <= 256);
    let custom: DecodeError = de::Error::custom("ä".repeat(10_000));
    assert!(matches!(custom, DecodeError::Refused(text) if text.len() == 256));
}
