//! Identities and stream names of standard types.
//!
//! The names that are hashed here are part of the protocol: changing one cuts nodes of different
//! versions off from each other.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use super::{Datum, DecodeError, EncodeError, Identity, Schema, codec, schema_of};
use crate::id::{PeerId, StreamId, UniqueId};

/// What every implementation for a serde type with an identity has inside.
macro_rules! datum_body {
    () => {
        type EncodeError = EncodeError;
        type DecodeError = DecodeError;

        fn derived_stream_id() -> StreamId {
            <Self as Identity>::TYPE_ID
        }

        fn encode(&self) -> Result<Bytes, EncodeError> {
            codec::encode(self)
        }

        fn encode_into(&self, buf: &mut BytesMut) -> Result<(), EncodeError> {
            codec::encode_into(self, buf)
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            codec::decode(bytes)
        }

        fn schema() -> Option<Arc<Schema>> {
            Some(schema_of::<Self>())
        }
    };
}

macro_rules! plain {
    ($($ty:ty = $name:literal),* $(,)?) => {$(
        impl Identity for $ty {
            const TYPE_ID: UniqueId = UniqueId::hash_str($name);
        }

        impl Datum for $ty {
            datum_body!();
        }
    )*};
}

plain! {
    u8 = "u8", u16 = "u16", u32 = "u32", u64 = "u64", u128 = "u128", usize = "usize",
    i8 = "i8", i16 = "i16", i32 = "i32", i64 = "i64", i128 = "i128", isize = "isize",
    f32 = "f32", f64 = "f64", bool = "bool", char = "char", () = "()",
    String = "std::String", Duration = "std::Duration",
    IpAddr = "std::IpAddr", Ipv4Addr = "std::Ipv4Addr", Ipv6Addr = "std::Ipv6Addr",
    SocketAddr = "std::SocketAddr", SocketAddrV4 = "std::SocketAddrV4",
    SocketAddrV6 = "std::SocketAddrV6",
    Bytes = "bytes::Bytes", DateTime<Utc> = "chrono::DateTime<Utc>",
    UniqueId = "mosaik::UniqueId", PeerId = "mosaik::PeerId",
}

macro_rules! generic {
    ($($ty:ident<$($param:ident $(: [$($bound:ident)+])?),+> = $name:literal),* $(,)?) => {$(
        impl<$($param: Identity),+> Identity for $ty<$($param),+> {
            const TYPE_ID: UniqueId = UniqueId::hash_str($name).fold(&[$($param::TYPE_ID),+]);
        }

        impl<$($param),+> Datum for $ty<$($param),+>
        where
            $($param: Identity + Serialize + DeserializeOwned + Send + 'static $($(+ $bound)+)?),+
        {
            datum_body!();
        }
    )*};
}

generic! {
    Option<T> = "std::Option",
    Vec<T> = "std::Vec",
    Box<T> = "std::Box",
    BTreeSet<T: [Ord]> = "std::BTreeSet",
    HashSet<T: [Eq Hash]> = "std::HashSet",
    BTreeMap<K: [Ord], V> = "std::BTreeMap",
    HashMap<K: [Eq Hash], V> = "std::HashMap",
}

impl<T: Identity, const N: usize> Identity for [T; N] {
    const TYPE_ID: UniqueId =
        UniqueId::hash_str("array").fold(&[UniqueId::from_usize(N), T::TYPE_ID]);
}

// serde's own limit is 32 elements.
impl<T: Identity + Send + 'static, const N: usize> Datum for [T; N]
where
    Self: Serialize + DeserializeOwned,
{
    datum_body!();
}

macro_rules! tuples {
    ($($($param:ident)+;)*) => {$(
        impl<$($param: Identity),+> Identity for ($($param,)+) {
            const TYPE_ID: UniqueId = UniqueId::hash_str("tuple").fold(&[$($param::TYPE_ID),+]);
        }

        impl<$($param),+> Datum for ($($param,)+)
        where
            $($param: Identity + Serialize + DeserializeOwned + Send + 'static),+
        {
            datum_body!();
        }
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}
