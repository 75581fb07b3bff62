//! Conversions between ids and bytes, integers, keys.

use iroh::SecretKey;

use super::UniqueId;

/// Integers stand, little-endian, in the last bytes of an otherwise zero id.
macro_rules! from_integer {
    ($($name:ident: $integer:ty),* $(,)?) => {$(
        #[doc = concat!(
            "The id of zeros whose last bytes are this `", stringify!($integer),
            "`, little-endian; nothing is hashed."
        )]
        pub const fn $name(value: $integer) -> Self {
            let mut bytes = [0; 32];
            let value = value.to_le_bytes();
            let (_, tail) = bytes.split_at_mut(32 - value.len());
            tail.copy_from_slice(&value);
            Self::from_bytes(bytes)
        }
    )*};
}

impl UniqueId {
    from_integer! {
        from_u8: u8, from_u16: u16, from_u32: u32, from_u64: u64, from_u128: u128,
        from_i8: i8, from_i16: i16, from_i32: i32, from_i64: i64, from_i128: i128,
    }

    /// As [`UniqueId::from_u64`], so that nodes of every word size agree.
    pub const fn from_usize(value: usize) -> Self {
        Self::from_u64(value as u64)
    }

    /// As [`UniqueId::from_i64`], so that nodes of every word size agree.
    pub const fn from_isize(value: isize) -> Self {
        Self::from_i64(value as i64)
    }
}

impl From<&[u8]> for UniqueId {
    /// The digest of the bytes, also when there are 32 of them
    /// ([`UniqueId::from_bytes`] takes those as they are).
    fn from(bytes: &[u8]) -> Self {
        Self::hash(bytes)
    }
}

impl From<blake3::Hash> for UniqueId {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash)
    }
}

impl From<&blake3::Hash> for UniqueId {
    fn from(hash: &blake3::Hash) -> Self {
        Self(*hash)
    }
}

impl From<UniqueId> for [u8; 32] {
    fn from(id: UniqueId) -> Self {
        *id.as_bytes()
    }
}

impl From<&UniqueId> for [u8; 32] {
    fn from(id: &UniqueId) -> Self {
        *id.as_bytes()
    }
}

impl From<UniqueId> for SecretKey {
    /// The key whose secret bytes are the id. Whoever knows the id knows the key: for tests and
    /// for ids that are kept secret.
    fn from(id: UniqueId) -> Self {
        Self::from_bytes(id.as_bytes())
    }
}
