//! serde's derives: added where they are missing, left alone where they are not.

use std::{borrow::Cow, fmt::Debug, marker::PhantomData};

use mosaik::{Datum, data, stream};
use serde::{Deserialize, Serialize};

fn round_trip<D: Datum + PartialEq + Debug>(value: D) {
    let bytes = value.encode().unwrap();
    assert_eq!(D::decode(&bytes).unwrap(), value);
}

#[stream("serde.both")]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Both {
    a: u8,
}

#[stream("serde.half")]
#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Half {
    long_name: u8,
}

#[stream("serde.none")]
#[derive(Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct None {
    #[serde(rename = "z")]
    a: Nested,
    b: Cow<'static, str>,
    #[serde(skip)]
    c: u8,
    #[serde(skip)]
    d: PhantomData<&'static str>,
}

#[data]
#[derive(Debug, PartialEq)]
enum Nested {
    Leaf,
    Node(Vec<Nested>),
}

#[cfg_attr(all(), stream("serde.cfg"))]
#[cfg_attr(all(), derive(Serialize))]
#[derive(Debug, PartialEq)]
struct Configured {
    #[cfg(any())]
    a: Missing,
    b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[stream("serde.above", serde = false)]
struct Above(u8);

#[stream("serde.by_hand", serde = false)]
#[derive(Debug, PartialEq)]
struct ByHand(&'static str);

impl Serialize for ByHand {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.0 == "yes")
    }
}

impl<'de> Deserialize<'de> for ByHand {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(if bool::deserialize(deserializer)? { "yes" } else { "no" }))
    }
}

#[stream("serde.generic")]
#[derive(Debug, PartialEq)]
struct Generic<T> {
    value: T,
    #[serde(skip)]
    mark: PhantomData<T>,
}

#[test]
fn every_placement_of_the_derives_works() {
    round_trip(Both { a: 1 });
    round_trip(Half { long_name: 2 });
    let a = Nested::Node(vec![Nested::Leaf, Nested::Node(vec![])]);
    round_trip(None { a, b: "text".into(), c: 0, d: PhantomData });
    round_trip(Configured { b: 3 });
    round_trip(Above(4));
    round_trip(ByHand("no"));
    round_trip(Generic { value: Both { a: 5 }, mark: PhantomData });
}

#[test]
fn a_schema_is_known() {
    assert!(Both::schema().is_some());
    assert_ne!(Both::schema().unwrap().fingerprint(), Half::schema().unwrap().fingerprint(),);
}
