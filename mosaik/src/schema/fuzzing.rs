//! The decoder of datums, for types in which everything occurs, and that of schemas.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    Datum, DecodeError, EncodeError, Encoded, Schema, decode, encode, schema_of,
    shape::{Content, Leaf, NamedType, Parts, Shape},
};
use crate::{
    decoder::{Decoder, parses},
    id::UniqueId,
};

/// Nested as deep as the bytes say.
#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Boxed(Box<Tree>),
    Some(Option<Box<Tree>>),
    Many(Vec<Tree>),
    Named(BTreeMap<String, Tree>),
    Pair(Box<(Tree, Tree)>),
}

/// As the chains of types are.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only its shape matters")]
struct Linked(Option<Box<Linked>>);

/// One of each kind of value.
#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    numbers: (u8, i8, u16, i16, u32, i32, u64, i64, u128, i128),
    floats: (f32, f64),
    flag: bool,
    letter: char,
    text: String,
    bytes: Bytes,
    array: [u16; 5],
    nothing: Vec<()>,
    set: BTreeSet<String>,
    map: BTreeMap<u32, Vec<Option<bool>>>,
    outcome: Result<u8, String>,
    date: DateTime<Utc>,
    time: SystemTime,
    span: Duration,
    address: SocketAddr,
    version: Version,
    id: UniqueId,
    own: Encoded<String>,
}

fn everything() -> Everything {
    Everything {
        numbers: (1, -1, 300, -300, 70_000, -70_000, u64::MAX, i64::MIN, u128::MAX, i128::MIN),
        floats: (1.5, f64::NAN),
        flag: true,
        letter: 'ß',
        text: "some text".repeat(5),
        bytes: Bytes::from_static(&[9; 40]),
        array: [1, 2, 3, 4, 500],
        nothing: vec![(); 7],
        set: ["a", "b", "c"].map(String::from).into(),
        map: [(1, vec![None, Some(true)]), (900, vec![])].into(),
        outcome: Err("no".into()),
        date: DateTime::<Utc>::MIN_UTC,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(5),
        span: Duration::MAX,
        address: SocketAddr::from(([127, 0, 0, 1], 4433)),
        version: Version::new(1, 2, 3),
        id: UniqueId::from("an id"),
        own: Encoded("own".into()),
    }
}

fn tree(levels: usize) -> Tree {
    (0..levels).fold(Tree::Leaf, |inner, level| match level % 4 {
        0 => Tree::Boxed(Box::new(inner)),
        1 => Tree::Some(Some(Box::new(inner))),
        2 => Tree::Many(vec![Tree::Leaf, inner, Tree::Leaf]),
        _ => Tree::Named([("inner".to_owned(), inner)].into()),
    })
}

/// Holds itself in an encoding of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Nested(Vec<Encoded<Nested>>);

impl Datum for Nested {
    type EncodeError = EncodeError;
    type DecodeError = DecodeError;

    fn encode(&self) -> Result<Bytes, EncodeError> {
        encode(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

fn nested(levels: usize) -> Nested {
    (0..levels).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner.into()]))
}

/// The bytes of [`nested`], also for more levels than can be decoded.
fn nested_bytes(levels: usize) -> Vec<u8> {
    (0..levels).fold(vec![0], |inner, _| [vec![1], encoded(&Bytes::from(inner))].concat())
}

/// The encoding of a schema that is a chain of so many types: each consists of the next one, as
/// one of these shapes.
pub(super) fn chain(types: u32, shape: impl Fn(Shape) -> Shape) -> Vec<u8> {
    let next = (1..=types).map(|next| NamedType {
        name: String::new(),
        content: match next {
            _ if next == types => Content::Newtype(Shape::Leaf(Leaf::U8)),
            _ => Content::Newtype(shape(Shape::Named(next))),
        },
    });
    encoded(&Parts { root: Shape::Named(0), types: next.collect() })
}

/// Says where schemas from elsewhere differ from one's own.
fn schema_decoders() -> [Decoder; 2] {
    let option = |shape| Shape::Option(Box::new(shape));
    let samples = [
        encoded(&schema_of::<Tree>()),
        encoded(&schema_of::<Everything>()),
        chain(7, |shape| shape),
        chain(100, |shape| shape),
        chain(50, option),
    ];
    let mut schemas = Decoder::new("schema/schema", again::<Schema>);
    schemas.samples = samples.to_vec();
    schemas.refused = vec![chain(54_000, |shape| shape)];
    let mut differences = Decoder::new("schema/difference", |bytes| {
        let linked = schema_of::<Linked>();
        schema_of::<Tree>().difference_of(bytes);
        linked.difference_of(bytes).is_some()
    });
    differences.samples = samples.to_vec();
    differences.refused = vec![chain(1000, option), chain(54_000, option)];
    [schemas, differences]
}

pub(crate) fn decoders() -> Vec<Decoder> {
    let datum = Decoder::new("schema/datum", again::<Everything>).sample(encoded(&everything()));
    let nested_datum = Decoder::new("schema/nested-datum", again::<Tree>)
        .sample(encoded(&tree(3)))
        .sample(encoded(&tree(20)))
        .sample(encoded(&Tree::Pair(Box::new((tree(2), tree(5))))));
    let empty = Decoder::new("schema/empty-elements", again::<Vec<Vec<()>>>)
        .sample(encoded(&vec![vec![(); 9]; 9]))
        .sample(encoded(&vec![vec![(); 4000]]));
    let mut own = Decoder::new("schema/nested-encoding", again::<Nested>)
        .sample(encoded(&nested(3)))
        .sample(encoded(&nested(30)))
        .sample(encoded(&Nested((0..9).map(|levels| nested(levels).into()).collect())));
    own.refused = vec![nested_bytes(5000)];
    let [schemas, differences] = schema_decoders();
    let ids = Decoder::new("schema/id-text", parses::<UniqueId>)
        .sample("a name")
        .sample(UniqueId::from("a name").to_string());
    vec![datum, nested_datum, own, empty, schemas, differences, ids]
}

/// Decodes, and encodes what came out: that must be possible, and be the same bytes, since every
/// value has one encoding only. (Sets and maps may have been out of order.)
fn again<T: Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(value) = decode::<T>(bytes) else { return false };
    let encoded = encode(&value).expect("what was decoded can be encoded");
    assert!(decode::<T>(&encoded).is_ok(), "what was decoded comes out again");
    true
}

/// A sample, as it travels.
pub(crate) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    encode(value).expect("samples can be encoded").to_vec()
}
