use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    id::UniqueId,
    schema::{
        DecodeError, Fingerprint, Schema, decode, encode,
        fuzzing::chain,
        schema_of,
        shape::{Content, Leaf, NamedType, Parts, Shape},
    },
};

fn fingerprint<T: serde::de::DeserializeOwned + 'static>() -> Fingerprint {
    let schema = schema_of::<T>();
    assert!(schema.is_complete());
    schema.fingerprint()
}

/// Declares the types of a test in a module of their own.
macro_rules! types {
    ($($module:ident $(with $($used:ident)+)? { $($item:item)* })*) => {$(
        mod $module {
            use serde::{Deserialize, Serialize};
            $(use super::original::{$($used),+};)?
            $(
                #[derive(Serialize, Deserialize)]
                $item
            )*
        }
    )*};
}

types! {
    original {
        pub struct Reading { pub sensor: u64, pub place: Place, pub kind: Kind }
        pub struct Place { pub x: i32, pub y: i32 }
        pub enum Kind { Idle, Warm(f64), Named { name: String }, Two(u8, u8) }
    }
    moved_and_renamed {
        pub struct Measurement { pub sensor: u64, pub place: Position, pub kind: Sort }
        pub struct Position { pub x: i32, pub y: i32 }
        pub enum Sort { Idle, Warm(f64), Named { name: String }, Two(u8, u8) }
    }
    renamed_field with Kind Place {
        pub struct Reading { pub probe: u64, pub place: Place, pub kind: Kind }
    }
    renamed_nested_field with Kind {
        pub struct Reading { pub sensor: u64, pub place: Place, pub kind: Kind }
        pub struct Place { pub x: i32, pub z: i32 }
    }
    reordered_fields with Kind Place {
        pub struct Reading { pub place: Place, pub sensor: u64, pub kind: Kind }
    }
    other_integer with Kind Place {
        pub struct Reading { pub sensor: u32, pub place: Place, pub kind: Kind }
    }
    one_field_more with Kind Place {
        pub struct Reading { pub sensor: u64, pub place: Place, pub kind: Kind, pub more: () }
    }
    renamed_variant with Place {
        pub struct Reading { pub sensor: u64, pub place: Place, pub kind: Kind }
        pub enum Kind { Idle, Hot(f64), Named { name: String }, Two(u8, u8) }
    }
    reordered_variants with Place {
        pub struct Reading { pub sensor: u64, pub place: Place, pub kind: Kind }
        pub enum Kind { Warm(f64), Idle, Named { name: String }, Two(u8, u8) }
    }
}

#[test]
fn a_type_that_was_moved_and_renamed_is_the_same() {
    assert_eq!(fingerprint::<original::Reading>(), fingerprint::<moved_and_renamed::Measurement>());
}

#[test]
fn every_change_that_matters_shows() {
    let all = [
        fingerprint::<original::Reading>(),
        fingerprint::<renamed_field::Reading>(),
        fingerprint::<renamed_nested_field::Reading>(),
        fingerprint::<reordered_fields::Reading>(),
        fingerprint::<other_integer::Reading>(),
        fingerprint::<one_field_more::Reading>(),
        fingerprint::<renamed_variant::Reading>(),
        fingerprint::<reordered_variants::Reading>(),
        fingerprint::<Option<original::Reading>>(),
    ];
    assert_eq!(HashSet::from(all).len(), all.len());
}

types! {
    lists {
        pub struct List { pub next: Option<Box<List>> }
        /// The same, written down as two types.
        pub struct Odd { pub next: Option<Box<Even>> }
        pub struct Even { pub next: Option<Box<Odd>> }
        /// The same for one step only.
        pub struct Short { pub next: Option<Box<Bent>> }
        pub struct Bent { pub next: Vec<Short> }
    }
    twins {
        pub struct Shared { pub a: Point, pub b: Point }
        pub struct Apart { pub a: Point, pub b: Dot }
        pub struct Point { pub x: u8 }
        pub struct Dot { pub x: u8 }
    }
}

#[test]
fn how_a_shape_is_divided_into_types_does_not_matter() {
    assert_eq!(fingerprint::<lists::List>(), fingerprint::<lists::Odd>());
    assert_ne!(fingerprint::<lists::List>(), fingerprint::<lists::Short>());
    assert_eq!(fingerprint::<twins::Shared>(), fingerprint::<twins::Apart>());
}

#[derive(Serialize, Deserialize)]
enum Expr {
    Add(Box<Expr>, Box<Expr>, u8),
    Let { name: String, body: Box<Expr> },
    Block(Vec<Statement>),
    Nil,
}

#[derive(Serialize, Deserialize)]
struct Statement {
    expr: Expr,
    after: Option<Box<Statement>>,
}

/// A change here cuts new nodes off from old ones: none may happen by accident.
#[test]
fn golden_fingerprints() {
    let golden = [
        (fingerprint::<()>(), "72cd484fb7deca86187397148d9536ed3805667568b155765efd37b8739bc7f6"),
        (fingerprint::<u64>(), "85d0e035656341d83f6f2589b8c43f81005a003288baeb94f1c7e5a70a2089b0"),
        (
            fingerprint::<String>(),
            "1f4057d21b3241da685c7dbde3d59022b55a1c90a755b9c1e9adc94f9a7b4281",
        ),
        (
            fingerprint::<Vec<Option<(u8, i128)>>>(),
            "63266613ffe47fb032a7a8a7388403c6c5a498f39ea46db41f159bb242aa1b75",
        ),
        (
            fingerprint::<HashMap<String, [f32; 4]>>(),
            "b43ea7df3087c838f420a99a8ce6fb1b9aa59d36da86cf865667c721b4118edf",
        ),
        (
            fingerprint::<UniqueId>(),
            "8872f563f2cf8c7a73532067c2e076032e49cfe5b0b6158f5c52bbe3fdbfd467",
        ),
        (
            fingerprint::<Duration>(),
            "952581564b4005d20c22ddb695dd714f6339153ac43d4d98c5d2ababe244a628",
        ),
        (
            fingerprint::<SystemTime>(),
            "0b1c6f027a0fa38e02c36d59ea412f767ec198a187e208a5154ef3bc19398bad",
        ),
        (
            fingerprint::<Result<IpAddr, SocketAddr>>(),
            "5e7e9b0700f90623620c576a061e22b2e8cf3c0fa30d59b58a12cd7b5dafee7c",
        ),
        (
            fingerprint::<chrono::DateTime<chrono::Utc>>(),
            "1f4057d21b3241da685c7dbde3d59022b55a1c90a755b9c1e9adc94f9a7b4281",
        ),
        (
            fingerprint::<iroh::PublicKey>(),
            "8872f563f2cf8c7a73532067c2e076032e49cfe5b0b6158f5c52bbe3fdbfd467",
        ),
        (
            fingerprint::<semver::Version>(),
            "1f4057d21b3241da685c7dbde3d59022b55a1c90a755b9c1e9adc94f9a7b4281",
        ),
        (
            fingerprint::<original::Reading>(),
            "7c971e868af4e90dd7b51abab32fd5a076a3ead278695bf45c47ac949deed189",
        ),
        (fingerprint::<Expr>(), "cb0bdad062f75c9a4d8db7320037564abb834e2c563410713a4aa1796c9a6448"),
        (
            fingerprint::<Statement>(),
            "95330b70a4933c322fd98c9361f3c32ac8d6b56979708737a70b1d59a5e77ec2",
        ),
    ];
    for (index, (found, golden)) in golden.into_iter().enumerate() {
        assert_eq!(found.to_string(), golden, "type {index}");
    }
}

#[test]
fn collections_of_one_kind_look_the_same() {
    assert_eq!(fingerprint::<Vec<u8>>(), fingerprint::<HashSet<u8>>());
    assert_eq!(fingerprint::<BTreeMap<u8, u8>>(), fingerprint::<HashMap<u8, u8>>());
}

#[test]
fn a_schema_travels() {
    let schema = schema_of::<Statement>();
    let bytes = encode(&*schema).unwrap();
    let back: Schema = decode(&bytes).unwrap();
    assert_eq!(back, *schema);
    assert_eq!(back.fingerprint(), schema.fingerprint());
    let json = serde_json::to_string(&*schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), *schema);
}

#[test]
fn a_schema_that_refers_to_nothing_is_refused() {
    let error = serde_json::from_str::<Schema>(r#"{"root":{"Named":3},"types":[]}"#).unwrap_err();
    assert!(error.to_string().contains("refers to type 3 of 0"), "{error}");
}

#[test]
fn a_schema_with_too_many_types_or_bytes_is_refused() {
    let refusal = |bytes: &[u8]| match decode::<Schema>(bytes) {
        Err(DecodeError::Refused(complaint)) => complaint.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(decode::<Schema>(&chain(1024, |shape| shape)).is_ok());
    let complaint = refusal(&chain(54_000, |shape| shape));
    assert_eq!(complaint, "the schema has 54000 types, more than 1024");
    let wide = |shape| Shape::Tuple(vec![shape; 40]);
    assert!(refusal(&chain(1024, wide)).contains("bytes, more than 65536"));
}

#[test]
fn what_others_would_not_take_is_not_sent() {
    let schema = |types: u32| {
        let content = Content::Newtype(Shape::Leaf(Leaf::U8));
        let ty = NamedType { name: String::new(), content };
        Schema::new(Parts { root: Shape::Named(0), types: vec![ty; types as usize] })
    };
    assert!(schema(1024).to_send().is_some());
    assert_eq!(schema(1025).to_send(), None);
    // Types that look the same count as one, however many there are.
    assert_eq!(schema(100_000).fingerprint(), schema(1).fingerprint());
}

/// Types that mention each other at random, few of them in ways of their own.
fn parts() -> impl Strategy<Value = Parts> {
    let shape = (any::<prop::sample::Index>(), 0..12u8);
    let ty = prop::collection::vec(shape, 0..4);
    prop::collection::vec(ty, 1..40).prop_map(|types| {
        let count = types.len();
        let shape = |(index, kind): &(prop::sample::Index, u8)| match kind {
            0 => Shape::Leaf(Leaf::U8),
            1 => Shape::Option(Box::new(Shape::Named(index.index(count) as u32))),
            _ => Shape::Named(index.index(count) as u32),
        };
        let types = types.iter().map(|shapes| NamedType {
            name: String::new(),
            content: Content::Tuple(shapes.iter().map(shape).collect()),
        });
        Parts { root: Shape::Named(0), types: types.collect() }
    })
}

/// The classes as they are meant: refined round after round until nothing changes.
fn classes_by_rounds(parts: &Parts) -> Vec<u32> {
    let mut classes = vec![0; parts.types.len()];
    for _ in 0..=parts.types.len() {
        let mut seen = HashMap::new();
        let refined = parts.types.iter().map(|ty| {
            let mut out = Vec::new();
            let mut number = |ty: u32| classes[ty as usize];
            super::Text { out: &mut out, number: &mut number }.content(&ty.content);
            let next = seen.len() as u32;
            *seen.entry(out).or_insert(next)
        });
        classes = refined.collect();
    }
    classes
}

proptest! {
    #[test]
    fn types_are_in_one_class_if_they_look_the_same_at_every_depth(parts in parts()) {
        let (found, meant) = (super::classes(&parts), classes_by_rounds(&parts));
        for (a, b) in (0..found.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
            prop_assert_eq!(found[a] == found[b], meant[a] == meant[b]);
        }
    }
}
