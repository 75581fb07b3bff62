//! Names that an expansion might trip over if it wrote anything without its full path.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    non_camel_case_types,
    non_snake_case,
    clippy::pedantic
)]

pub struct String;
pub struct Vec;
pub struct Option;
pub struct Result;
pub struct Some;
pub struct Network;
pub struct Producer;
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

/// Names of what the expansion defines, or uses, are taken.
#[::m0saik::group_state("hostile.state", crate = ::m0saik, quorum = 1)]
#[derive(::std::clone::Clone)]
pub enum State {
    join,
    join_with { initial: u8, network: u8, key: u8 },
}

#[::m0saik::group_state(crate = ::m0saik)]
impl State {
    pub fn open(&mut self, value: u8, asked: u8, context: u8, group: u8, f: u8) -> u8 {
        value + asked + context + group + f
    }

    pub fn apply(&mut self) {}

    pub fn signature(&self) {}

    pub fn snapshot(&self) {}

    pub fn digest(&self) {}

    pub fn version(&self) {}

    pub fn schema(&self) {}

    pub fn deref(&self) {}

    pub fn fmt(&self) {}
}

::m0saik::declare::stream!(pub producer = u8, "hostile.declared", online_when: |network| network);

/// Primitive types can be shadowed, too. serde's derives do not survive that, ours must.
pub mod primitives {
    pub struct bool;
    pub struct str;
    pub struct u8;
    pub struct u128;
    pub struct usize;

    #[::m0saik::stream("hostile.primitives", crate = ::m0saik, datum = i64, buffer = 16)]
    pub struct Numbers;

    #[::m0saik::stream("hostile.by_hand", crate = ::m0saik, serde = false)]
    pub struct ByHand<T: ::std::default::Default, const N: i32>(pub T);

    impl<T: ::std::default::Default, const N: i32> ::m0saik::private::serde::Serialize
        for ByHand<T, N>
    {
        fn serialize<S: ::m0saik::private::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }

    impl<'de, T: ::std::default::Default, const N: i32> ::m0saik::private::serde::Deserialize<'de>
        for ByHand<T, N>
    {
        fn deserialize<D: ::m0saik::private::serde::Deserializer<'de>>(
            _: D,
        ) -> ::std::result::Result<Self, D::Error> {
            ::std::result::Result::Ok(Self(::std::default::Default::default()))
        }
    }
}
