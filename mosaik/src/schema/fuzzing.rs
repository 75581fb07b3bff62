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

use super::{Encoded, Schema, decode, encode, schema_of};
use crate::{
    fuzzing::{Decoder, parses},
    id::UniqueId,
    transport::fuzzing::encoded,
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

pub(crate) fn decoders() -> Vec<Decoder> {
    let datum = Decoder::new("schema/datum", again::<Everything>).sample(encoded(&everything()));
    let nested = Decoder::new("schema/nested-datum", again::<Tree>)
        .sample(encoded(&tree(3)))
        .sample(encoded(&tree(20)))
        .sample(encoded(&Tree::Pair(Box::new((tree(2), tree(5))))));
    let empty = Decoder::new("schema/empty-elements", again::<Vec<Vec<()>>>)
        .sample(encoded(&vec![vec![(); 9]; 9]))
        .sample(encoded(&vec![vec![(); 4000]]));
    let schemas = Decoder::new("schema/schema", again::<Schema>)
        .sample(encoded(&schema_of::<Tree>()))
        .sample(encoded(&schema_of::<Everything>()));
    let ids = Decoder::new("schema/id-text", parses::<UniqueId>)
        .sample("a name")
        .sample(UniqueId::from("a name").to_string());
    vec![datum, nested, empty, schemas, ids]
}

/// Decodes, and encodes what came out: that must be possible, and be the same bytes, since every
/// value has one encoding only. (Sets and maps may have been out of order.)
fn again<T: Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(value) = decode::<T>(bytes) else { return false };
    let encoded = encode(&value).expect("what was decoded can be encoded");
    assert!(decode::<T>(&encoded).is_ok(), "what was decoded comes out again");
    true
}
