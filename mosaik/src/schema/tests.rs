use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize, ser};

use super::*;
use crate::id::UniqueId;

/// Neither serde nor `Clone`, `Debug`, `Sync`.
struct Raw(std::cell::Cell<u8>);

#[derive(Debug, thiserror::Error)]
#[error("odd length")]
struct OddLength;

impl Datum for Raw {
    type EncodeError = OddLength;
    type DecodeError = OddLength;

    fn encode(&self) -> Result<Bytes, OddLength> {
        if self.0.get() == 0 { Err(OddLength) } else { Ok(vec![self.0.get(); 2].into()) }
    }

    fn decode(bytes: &[u8]) -> Result<Self, OddLength> {
        match bytes {
            [a, _] => Ok(Self(std::cell::Cell::new(*a))),
            _ => Err(OddLength),
        }
    }
}

#[test]
fn a_datum_may_be_written_by_hand() {
    assert_eq!(Raw::derived_stream_id(), UniqueId::from(std::any::type_name::<Raw>()));
    assert_eq!(Raw::intent(), std::any::type_name::<Raw>());
    assert!(Raw::schema().is_none());
    let mut buf = BytesMut::from(&b"head"[..]);
    Raw(7.into()).encode_into(&mut buf).unwrap();
    assert_eq!(&buf[..], b"head\x07\x07");
    assert!(Raw(0.into()).encode_into(&mut buf).is_err());
    assert_eq!(&buf[..], b"head\x07\x07");
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    to: String,
    content: Encoded<Raw>,
}

#[test]
fn an_encoded_datum_is_a_field_of_a_serde_type() {
    let envelope = Envelope { to: "a".into(), content: Raw(3.into()).into() };
    let bytes = encode(&envelope).unwrap();
    assert_eq!(&bytes[..], [1, b'a', 2, 3, 3]);
    assert_eq!(decode::<Envelope>(&bytes).unwrap().content.0.0.get(), 3);
    assert!(matches!(decode::<Envelope>(&[0, 1, 3]), Err(DecodeError::Refused(_))));
    let json = serde_json::to_string(&envelope).unwrap();
    assert_eq!(serde_json::from_str::<Envelope>(&json).unwrap().content.0.0.get(), 3);
    assert!(schema_of::<Envelope>().is_complete());
}

struct Moody;

impl Serialize for Moody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(2))?;
        ser::SerializeSeq::serialize_element(&mut list, &1u8)?;
        Err(ser::Error::custom("not today"))
    }
}

#[test]
fn a_failed_encoding_leaves_the_buffer_as_it_was() {
    let mut buf = BytesMut::from(&b"head"[..]);
    assert_eq!(encode_into(&Moody, &mut buf), Err(EncodeError::Refused));
    assert_eq!(&buf[..], b"head");
    encode_into(&(1u8, "x"), &mut buf).unwrap();
    assert_eq!(&buf[..], b"head\x01\x01x");
    assert_eq!(encode(&Moody), Err(EncodeError::Refused));
}

#[test]
fn a_sequence_of_unknown_length_is_not_encoded() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0u8..9).filter(|n| n % 2 == 0))
        }
    }
    assert_eq!(encode(&Endless), Err(EncodeError::LengthUnknown));
}

/// All must differ, and stay as they are: they are stream names of existing programs.
#[test]
fn standard_types_have_ids_of_their_own() {
    let ids = [
        <()>::TYPE_ID,
        u8::TYPE_ID,
        String::TYPE_ID,
        Vec::<u8>::TYPE_ID,
        Option::<u8>::TYPE_ID,
        Vec::<Option<u8>>::TYPE_ID,
        Option::<Vec<u8>>::TYPE_ID,
        Box::<u8>::TYPE_ID,
        <(u8,)>::TYPE_ID,
        <(u8, u16)>::TYPE_ID,
        <(u16, u8)>::TYPE_ID,
        <[u8; 2]>::TYPE_ID,
        <[u8; 3]>::TYPE_ID,
        HashMap::<u8, u16>::TYPE_ID,
        HashMap::<u16, u8>::TYPE_ID,
        BTreeMap::<u8, u16>::TYPE_ID,
        Bytes::TYPE_ID,
        UniqueId::TYPE_ID,
    ];
    assert_eq!(HashSet::from(ids).len(), ids.len());
    assert_eq!(Vec::<u8>::TYPE_ID, UniqueId::from("std::Vec").fold(&["u8".into()]));
    assert_eq!(String::TYPE_ID, UniqueId::from("std::String"));
}

fn goes_there_and_back<T: Datum + PartialEq + std::fmt::Debug>(value: T) {
    assert_eq!(T::decode(&value.encode().unwrap()).unwrap(), value);
    assert!(T::schema().unwrap().is_complete(), "{:?}", T::schema());
}

#[test]
fn standard_types_are_datums() {
    goes_there_and_back((1u8, -1i128, 2usize, 'x', true, 0.5f32, (), String::from("text")));
    goes_there_and_back(Some(vec![Box::new([1u64; 32])]));
    goes_there_and_back(BTreeMap::from([(1u8, HashSet::from([Some(2i16)]))]));
    goes_there_and_back(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    goes_there_and_back(std::net::IpAddr::from([1, 2, 3, 4]));
    goes_there_and_back(std::time::Duration::from_millis(1500));
    goes_there_and_back(chrono::DateTime::<chrono::Utc>::UNIX_EPOCH);
    goes_there_and_back((Bytes::from_static(b"x"), UniqueId::zero()));
    goes_there_and_back(iroh::SecretKey::from_bytes(&[1; 32]).public());
}

#[test]
fn every_owned_serde_type_is_a_payload() {
    fn payload<T: Payload>() {}
    payload::<Envelope>();
    payload::<String>();
}

/// Holds itself in an encoding of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Matryoshka(Vec<Encoded<Matryoshka>>);

impl Datum for Matryoshka {
    type EncodeError = EncodeError;
    type DecodeError = DecodeError;

    fn encode(&self) -> Result<Bytes, EncodeError> {
        encode(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

/// So many of them in each other, without the recursion that encoding them takes.
fn matryoshka(levels: usize) -> Bytes {
    (1..levels).fold(Bytes::from_static(&[0]), |inner, _| {
        [&[1], &encode(&inner).unwrap()[..]].concat().into()
    })
}

#[test]
fn encodings_within_encodings_share_the_levels_of_nesting() {
    // Each is a newtype, a sequence and an encoding.
    assert!(decode::<Matryoshka>(&matryoshka(43)).is_ok());
    for levels in [44, 100, 30_000] {
        let error = decode::<Matryoshka>(&matryoshka(levels)).unwrap_err();
        assert_eq!(error, DecodeError::Refused("the value is nested too deeply".into()));
    }
    assert!(decode::<Matryoshka>(&matryoshka(43)).is_ok(), "the next one has all levels again");
}

#[test]
fn what_an_encoding_within_an_encoding_announces_is_not_made_room_for_again() {
    /// How much room was made for in all.
    static ROOM: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

    struct Greedy;

    impl<'de> serde::de::Visitor<'de> for Greedy {
        type Value = Self;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("greedy ones")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
            let room = seq.size_hint().unwrap_or(0);
            ROOM.fetch_add(room, std::sync::atomic::Ordering::Relaxed);
            while seq.next_element::<Encoded<Self>>()?.is_some() {}
            Ok(self)
        }
    }

    impl<'de> Deserialize<'de> for Greedy {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Self)
        }
    }

    impl Datum for Greedy {
        type EncodeError = EncodeError;
        type DecodeError = DecodeError;

        fn encode(&self) -> Result<Bytes, EncodeError> {
            Ok(Bytes::new())
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            decode(bytes)
        }
    }

    // Each level announces as many elements as it has bytes left.
    let bytes = (0..20).fold(vec![0; 10_000], |inner: Vec<u8>, _| {
        let inner = encode(&Bytes::from(inner)).unwrap();
        [encode(&(inner.len() as u64)).unwrap(), inner].concat()
    });
    assert!(decode::<Greedy>(&bytes).is_err());
    let room = ROOM.load(std::sync::atomic::Ordering::Relaxed);
    assert!(room <= bytes.len(), "{room} for {} bytes", bytes.len());
}
