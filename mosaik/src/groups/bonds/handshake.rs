//! How two members find out that they are of the same group.
//!
//! 1. The opener names the group and proves that it holds the key.
//! 2. The other side proves the same, and says who it is and how the group is configured here.
//! 3. The opener says the same of itself.
//! 4. The other side says that the bond is made.
//!
//! Nothing but the group's id is told to anybody who has not proved the key. A proof is bound to
//! the connection, so that it is worth nothing anywhere else.

use std::fmt::Display;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::protocol::VERSION;
use crate::{
    id::{GroupId, PeerId, UniqueId},
    transport::{CloseReason, Link, decode_message},
};

/// What the connection's secret for proofs is named by.
const BINDING: &str = "mosaik group bond";
/// What the key for proofs is derived from the group's key with.
const PROOF: &str = "mosaik 2026-01 proof of a group's key";
/// As much is told of a value that differs.
const SHOWN_CHARS: usize = 200;

/// What must be the same at all members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreement {
    /// The quorum mode, as text.
    pub(crate) quorum: String,
    /// The names of the validators, in order.
    pub(crate) validators: Vec<String>,
    /// The version of the state machine.
    pub(crate) machine_version: u32,
    /// The fingerprint of its commands and replies.
    pub(crate) schema: UniqueId,
    /// The kind of storage, as text.
    pub(crate) storage: String,
}

/// Two members have configured the group differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) field: &'static str,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

impl Mismatch {
    fn of(field: &'static str, ours: impl Display, theirs: impl Display) -> Option<Self> {
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        (ours != theirs).then(|| Self { field, ours: shown(ours), theirs: shown(theirs) })
    }
}

/// The other side may say anything at any length.
fn shown(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

impl Agreement {
    /// The first thing in which two members differ.
    pub(crate) fn differs_from(&self, theirs: &Self) -> Option<Mismatch> {
        let list = |names: &[String]| format!("{names:?}");
        Mismatch::of("quorum", &self.quorum, &theirs.quorum)
            .or_else(|| Mismatch::of("storage", &self.storage, &theirs.storage))
            .or_else(|| {
                Mismatch::of("validators", list(&self.validators), list(&theirs.validators))
            })
            .or_else(|| {
                Mismatch::of("machine version", self.machine_version, theirs.machine_version)
            })
            .or_else(|| Mismatch::of("schema", self.schema, theirs.schema))
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Opener = 1,
    Accepter = 2,
}

/// Proofs of a group's key between two peers.
#[derive(Debug)]
pub(super) struct Proofs {
    key: [u8; 32],
    binding: [u8; 32],
    group: GroupId,
    opener: PeerId,
    accepter: PeerId,
}

impl Proofs {
    pub(super) fn new(
        secret: &UniqueId,
        group: GroupId,
        link: &Link,
        opener: PeerId,
        accepter: PeerId,
    ) -> Self {
        let key = blake3::derive_key(PROOF, secret.as_bytes());
        Self { key, binding: link.channel_binding(BINDING), group, opener, accepter }
    }

    fn hasher(&self, side: u8) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.binding).update(&[side]).update(self.group.as_bytes());
        hasher.update(self.opener.as_bytes()).update(self.accepter.as_bytes());
        hasher
    }

    /// The proof that one side gives.
    pub(super) fn of(&self, side: Side) -> [u8; 32] {
        *self.hasher(side as u8).finalize().as_bytes()
    }

    /// Whether the other side's proof is right; takes the same time in any case.
    pub(super) fn are_right(&self, side: Side, proof: [u8; 32]) -> bool {
        self.hasher(side as u8).finalize() == blake3::Hash::from_bytes(proof)
    }

    /// What both ends call the bond.
    pub(super) fn bond_id(&self, opener: u64, accepter: u64) -> UniqueId {
        let mut hasher = self.hasher(0);
        hasher.update(&opener.to_le_bytes()).update(&accepter.to_le_bytes());
        UniqueId::from_hasher(&hasher)
    }
}

/// The opener's first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) version: u16,
    pub(super) group: GroupId,
    pub(super) proof: [u8; 32],
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) session: u64,
    pub(super) observer: bool,
    pub(super) agreement: Agreement,
    /// What the other side names the bond by in heartbeats.
    pub(super) number: u64,
    /// The slot on the log lane in which appends are expected.
    pub(super) log_slot: u64,
    /// What the worker says.
    pub(super) status: Vec<u8>,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    pub(super) proof: [u8; 32],
    pub(super) hello: Hello,
}

/// Reads a claim; says what to refuse it with if it is none that this version understands.
pub(super) fn read_claim(bytes: &[u8]) -> Result<Claim, CloseReason> {
    match read::<u16>(bytes)? {
        VERSION => read(bytes),
        _ => Err(CloseReason::UnsupportedVersion),
    }
}

/// Reads one of the other messages.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CloseReason> {
    decode_message(bytes).map_err(|_| CloseReason::ProtocolViolation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::samples::{agreement, hello},
        *,
    };
    use crate::schema;

    #[test]
    fn what_differs_is_named_and_cut() {
        let ours = agreement();
        assert_eq!(ours.differs_from(&ours), None);
        let quorum = "x".repeat(10_000);
        let theirs = Agreement { quorum: quorum.clone(), machine_version: 9, ..ours.clone() };
        let mismatch = ours.differs_from(&theirs).unwrap();
        assert_eq!((mismatch.field, &mismatch.ours[..]), ("quorum", "strict 3"));
        assert_eq!(mismatch.theirs, format!("{}...", &quorum[..SHOWN_CHARS]));
        let theirs = Agreement { validators: vec!["paid".into(), "prod".into()], ..ours.clone() };
        assert_eq!(ours.differs_from(&theirs).unwrap().field, "validators");
        for theirs in [
            Agreement { machine_version: 3, ..ours.clone() },
            Agreement { schema: UniqueId::zero(), ..ours.clone() },
            Agreement { storage: "disk".into(), ..ours.clone() },
        ] {
            assert!(ours.differs_from(&theirs).is_some());
        }
    }

    #[test]
    fn a_proof_is_good_for_one_side_of_one_connection_in_one_group() {
        let peer = |seed| iroh::SecretKey::from_bytes(&[seed; 32]).public();
        let proofs = |key, binding, group: &str, opener, accepter| Proofs {
            key: [key; 32],
            binding: [binding; 32],
            group: GroupId::from(group),
            opener: peer(opener),
            accepter: peer(accepter),
        };
        let right = proofs(1, 1, "group", 1, 2);
        assert!(right.are_right(Side::Opener, right.of(Side::Opener)));
        assert!(!right.are_right(Side::Opener, right.of(Side::Accepter)));
        for other in [
            proofs(2, 1, "group", 1, 2),
            proofs(1, 2, "group", 1, 2),
            proofs(1, 1, "other", 1, 2),
            proofs(1, 1, "group", 2, 1),
        ] {
            assert!(!right.are_right(Side::Opener, other.of(Side::Opener)));
        }
        assert_ne!(right.bond_id(1, 2), right.bond_id(2, 1));
    }

    #[test]
    fn another_version_is_told_so_and_garbage_too() {
        let claim = Claim { version: VERSION, group: GroupId::from("group"), proof: [7; 32] };
        let bytes = schema::encode(&claim).unwrap();
        assert_eq!(read_claim(&bytes), Ok(claim));
        let newer = schema::encode(&(VERSION + 1, "whatever")).unwrap();
        assert_eq!(read_claim(&newer), Err(CloseReason::UnsupportedVersion));
        assert_eq!(read_claim(&bytes[..40]), Err(CloseReason::ProtocolViolation));
        let answer = Greeting { proof: [7; 32], hello: hello() };
        assert_eq!(read(&schema::encode(&answer).unwrap()), Ok(answer));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_claim(&bytes);
            let _ = read::<Greeting>(&bytes);
            let _ = read::<Hello>(&bytes);
        }
    }
}
