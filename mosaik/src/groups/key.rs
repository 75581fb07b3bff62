//! What the members of a group share, and the group's id.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{Digest, GroupId, UniqueId},
    random::Random,
    tickets::TicketValidator,
};

const GROUP_CONTEXT: &str = "mosaik 2026 group id";

/// The secret that the members of a group share: who does not know it cannot join.
///
/// It never travels; members prove to each other that they know it. Anybody in the network sees
/// the group's id, from which a key that can be guessed can be found: use [`GroupKey::random`], or
/// derive it from something secret.
///
/// ```
/// use mosaik::{Digest, groups::GroupKey};
///
/// let key = GroupKey::from_secret("correct horse battery staple");
/// assert_eq!(key, GroupKey::new(Digest::from("correct horse battery staple")));
/// assert!(key.to_string().contains("****"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupKey(Digest);

impl GroupKey {
    /// The key that consists of these 32 bytes.
    #[must_use]
    pub const fn new(secret: Digest) -> Self {
        Self(secret)
    }

    /// The key that a secret text, or digest, stands for.
    pub fn from_secret(secret: impl Into<Digest>) -> Self {
        Self(secret.into())
    }

    /// A key that nobody can guess, from the system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(UniqueId::from_bytes(Random::from_system().bytes()))
    }

    /// The secret itself.
    #[must_use]
    pub const fn secret(&self) -> &Digest {
        &self.0
    }

    /// The id of the group with this key whose state machine has this name.
    pub(crate) fn group_id(&self, machine: &UniqueId) -> GroupId {
        let mut hasher = blake3::Hasher::new_derive_key(GROUP_CONTEXT);
        hasher.update(self.0.as_bytes());
        hasher.update(machine.as_bytes());
        UniqueId::from_hasher(&hasher)
    }
}

/// The first and the last byte; the rest is nobody's business.
impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_bytes();
        write!(f, "{:02x}****{:02x}", bytes[0], bytes[31])
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupKey({self})")
    }
}

impl From<Digest> for GroupKey {
    fn from(secret: Digest) -> Self {
        Self(secret)
    }
}

impl From<&Digest> for GroupKey {
    fn from(secret: &Digest) -> Self {
        Self(*secret)
    }
}

/// Whoever requires the same tickets has the same key.
impl<T: TicketValidator + ?Sized> From<&T> for GroupKey {
    fn from(validator: &T) -> Self {
        Self(validator.signature())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_its_key_and_its_machine() {
        let (a, b) = (GroupKey::from_secret("a"), GroupKey::from_secret("b"));
        let (counter, ledger) = (UniqueId::from("counter"), UniqueId::from("ledger"));
        assert_eq!(a.group_id(&counter), GroupKey::from_secret("a").group_id(&counter));
        assert_ne!(a.group_id(&counter), b.group_id(&counter));
        assert_ne!(a.group_id(&counter), a.group_id(&ledger));
    }

    #[test]
    fn a_key_does_not_show() {
        let key = GroupKey::new(UniqueId::from_bytes([0xab; 32]));
        assert_eq!(key.to_string(), "ab****ab");
        assert_eq!(format!("{key:?}"), "GroupKey(ab****ab)");
    }
}
