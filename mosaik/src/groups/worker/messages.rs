//! What the workers of a group say to each other over bonds.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    groups::{
        formation,
        index::{Index, Term},
        member::{IncarnationId, MemberId},
        raft::ReadPoint,
        state::SessionId,
    },
    id::Digest,
    schema,
    transport::decode_message,
};

/// Something that needs no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// From one formation to the other.
    Formation(formation::Message),
    /// This member goes for good: its log is in memory, and its node stops, or it leaves the group.
    Leaving { incarnation: IncarnationId },
    /// The state at this checkpoint has this digest.
    Digest { incarnation: IncarnationId, mark: Mark, digest: Digest },
    /// From the leader: whom the operator wants out, and whose bonds are to be closed since they keep
    /// their votes only because there would be too few voters without them.
    Unwanted { incarnation: IncarnationId, evict: Vec<MemberId>, barred: Vec<MemberId> },
}

/// Which checkpoint is meant. After one command there may be several of them, by leaders that
/// followed one another, and the state is not the same at each: it knows the time, for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The last command before it.
    pub(super) index: Index,
    /// The term of the leader that has logged it.
    pub(super) term: Term,
    /// That leader's time, in microseconds since 1970.
    pub(super) time_us: u64,
}

/// Something that is asked of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Append these calls of mine.
    Append { incarnation: IncarnationId, run: Bytes },
    /// Open this session for me.
    Open { incarnation: IncarnationId, session: SessionId },
    /// How far must a state be that is read now?
    Read { incarnation: IncarnationId },
    /// Has what was said before been heard? Any answer says so.
    Heard,
}

/// The leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Appended; of calls, the index of the first command.
    Appended { first: Index },
    /// As far as this.
    Read(ReadPoint),
    /// The member that was asked does not lead, or not yet: ask again, or another.
    NotNow,
}

/// Encodes a message; none of these refuses to be encoded.
pub(super) fn encode<T: Serialize>(message: &T) -> Bytes {
    schema::encode(message).unwrap_or_default()
}

/// Decodes a message; `None` if it is garbage, or of a later version.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    decode_message(bytes).ok()
}
