//! Names that an expansion might trip over if it wrote anything without its full path.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    non_camel_case_types,
    clippy::pedantic
)]

pub struct String;
pub struct Vec;
pub struct Option;
pub struct Result;
pub struct Some;
pub struct Network;
pub struct Producer;
pub struct bool;
pub struct str;
pub struct u128;
pub mod core {}
pub mod std {}
pub mod serde {}
pub mod mosaik {}
pub mod m0saik {}
pub trait Default {}
pub trait Send {}
pub trait Sync {}
pub trait Future {}
pub trait Datum {}
pub trait Identity {}

/// The names of items that the expansion defines are taken in other namespaces.
#[::m0saik::stream("hostile", crate = ::m0saik)]
pub enum Hostile {
    producer,
    consumer { INTENT: u8 },
}

#[::m0saik::stream("hostile.generic", crate = ::m0saik)]
pub struct Generic<network, D, const N: usize> {
    pub a: network,
    pub b: D,
}

::m0saik::declare::stream!(pub producer = u8, "hostile.declared", online_when: |network| network);
