//! A replica's state as bytes.
//!
//! Encoded as: the version of the format (1 byte), the length of the head (8 bytes, little-endian),
//! the head, the machine's own encoding. Damage is looked for by whoever carries the bytes.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::session::{Kept, MAX_ANSWERS, MAX_ENDED, MAX_SESSIONS, Session, SessionId, Sessions};
use crate::{
    groups::{
        index::{Cursor, Index},
        machine::FrozenMachine,
        member::IncarnationId,
    },
    id::{Digest, PeerId},
    schema::{self, DecodeError, EncodeError},
};

const VERSION: u8 = 1;
/// The most commands that are to be passed over.
pub(super) const MAX_SKIPPED: usize = 1024;

/// Why there is no snapshot. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The machine panicked at this command: its state is worth nothing.
    #[error("the state machine panicked at command {0}")]
    Poisoned(Index),
    #[error("the state could not be encoded: {0}")]
    Encode(#[from] EncodeError),
}

/// Why a replica was not restored. Unless it says otherwise nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error("the snapshot is of format {0}, which this version does not know")]
    Version(u8),
    #[error("the snapshot's head is damaged")]
    Malformed,
    #[error("the state machine refused the snapshot: {0}")]
    Machine(#[from] DecodeError),
    /// The snapshot has seen a command that is to be passed over: another one must be fetched.
    #[error("the snapshot has applied command {0}, which is to be skipped")]
    TooLate(Index),
}

/// All of a replica but the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// The last command: of the log, whether it was applied or refused.
    pub(super) applied: Cursor,
    /// The latest time that a leader gave, in microseconds since 1970.
    pub(super) time_us: u64,
    pub(super) open: bool,
    pub(super) dissolved: bool,
    pub(super) yielded_to: Option<IncarnationId>,
    /// Commands that make the machine panic.
    pub(super) skipped: BTreeSet<Index>,
    pub(super) sessions: Sessions,
}

#[derive(Serialize, Deserialize)]
struct Head {
    applied: Cursor,
    time_us: u64,
    open: bool,
    dissolved: bool,
    yielded_to: Option<IncarnationId>,
    skipped: Vec<Index>,
    sessions: Vec<SessionRecord>,
    ended: Vec<SessionId>,
}

#[derive(Serialize, Deserialize)]
struct SessionRecord {
    id: SessionId,
    peer: PeerId,
    lowest: u64,
    used: Index,
    kept: Vec<Kept>,
}

impl Status {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        let session = |(id, session): (&SessionId, &Session)| SessionRecord {
            id: *id,
            peer: session.peer,
            lowest: session.lowest,
            used: session.used,
            kept: session.kept.iter().cloned().collect(),
        };
        schema::encode(&Head {
            applied: self.applied,
            time_us: self.time_us,
            open: self.open,
            dissolved: self.dissolved,
            yielded_to: self.yielded_to,
            skipped: self.skipped.iter().copied().collect(),
            sessions: self.sessions.open.iter().map(session).collect(),
            ended: self.sessions.ended.iter().copied().collect(),
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let head: Head = schema::decode(bytes).ok()?;
        let fits = head.skipped.len() <= MAX_SKIPPED
            && head.sessions.len() <= MAX_SESSIONS
            && head.ended.len() <= MAX_ENDED;
        if !fits {
            return None;
        }
        let mut sessions = Sessions { ended: VecDeque::from(head.ended), ..Sessions::default() };
        for record in head.sessions {
            let in_order = record.lowest > 0 && record.lowest < u64::MAX - MAX_ANSWERS as u64;
            if record.kept.len() > MAX_ANSWERS || !in_order {
                return None;
            }
            let mut session = Session::new(record.peer, record.lowest, record.used);
            record.kept.into_iter().for_each(|kept| session.keep(kept.index, kept.answer));
            sessions.open.insert(record.id, session);
        }
        Some(Self {
            applied: head.applied,
            time_us: head.time_us,
            open: head.open,
            dissolved: head.dissolved,
            yielded_to: head.yielded_to,
            skipped: head.skipped.into_iter().collect(),
            sessions,
        })
    }
}

/// A replica's state at one moment. It is made cheaply; encoding it may take long, and is done on
/// another thread.
pub(crate) struct Frozen {
    pub(super) status: Status,
    pub(super) machine: Box<dyn FrozenMachine>,
    pub(super) poisoned: Option<Index>,
}

impl Frozen {
    /// The last command that it has seen.
    pub(crate) fn applied(&self) -> Cursor {
        self.status.applied
    }

    /// The snapshot.
    pub(crate) fn encode(self) -> Result<Bytes, SnapshotError> {
        self.sound()?;
        let head = self.status.encode()?;
        let machine = self.machine.encode()?;
        let mut out = BytesMut::with_capacity(1 + 8 + head.len() + machine.len());
        out.put_u8(VERSION);
        out.put_u64_le(head.len() as u64);
        out.extend_from_slice(&head);
        out.extend_from_slice(&machine);
        Ok(out.freeze())
    }

    /// A deliberate fault.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn without_sessions(mut self) -> Self {
        self.status.sessions = Sessions::default();
        self
    }

    /// By what members compare their states: the same for replicas that have applied the same log,
    /// if the machine is deterministic.
    pub(crate) fn digest(&self) -> Result<Digest, SnapshotError> {
        self.sound()?;
        let head = Digest::hash(&self.status.encode()?);
        Ok(head.derive(self.machine.digest()?))
    }

    fn sound(&self) -> Result<(), SnapshotError> {
        self.poisoned.map_or(Ok(()), |index| Err(SnapshotError::Poisoned(index)))
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen").field("applied", &self.applied()).finish_non_exhaustive()
    }
}

/// What a snapshot consists of: all but the machine, and the machine's own bytes.
pub(super) fn split(bytes: &[u8]) -> Result<(Status, &[u8]), RestoreError> {
    let (version, rest) = bytes.split_first().ok_or(RestoreError::Malformed)?;
    if *version != VERSION {
        return Err(RestoreError::Version(*version));
    }
    let (len, rest) = rest.split_first_chunk().ok_or(RestoreError::Malformed)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| RestoreError::Malformed)?;
    let (head, machine) = rest.split_at_checked(len).ok_or(RestoreError::Malformed)?;
    let status = Status::decode(head).ok_or(RestoreError::Malformed)?;
    Ok((status, machine))
}
