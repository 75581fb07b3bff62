//! What one entry of the log carries.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{
    control::Control,
    run::{EncodedRun, Runs},
};
use crate::schema;

const COMMANDS: u8 = 0;
const CONTROL: u8 = 1;
/// The kind, the number of commands, the time.
const HEAD_BYTES: usize = 1 + 4 + 8;

/// The content of one entry of the log, encoded once by the leader: many callers' commands, or
/// something that the group has to agree upon for itself.
///
/// Encoded as: the kind (1 byte), the number of commands (4 bytes, little-endian; 0 for all kinds
/// but commands), the leader's time in microseconds since 1970 (8 bytes, little-endian), the rest:
/// runs one after the other, or a [`Control`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item(pub(crate) Bytes);

/// What an item says. Commands are slices of the item: nothing is copied.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    Commands(Runs<'a>),
    Control(Control),
}

impl Item {
    /// Commands of as many callers as there are runs. Runs without a call are left out.
    pub(crate) fn of_runs(time_us: u64, runs: &[EncodedRun]) -> Self {
        let commands: u32 = runs.iter().fold(0, |sum, run| sum.saturating_add(run.commands()));
        let bytes: usize = runs.iter().map(|run| run.bytes().len()).sum();
        let mut out = BytesMut::with_capacity(HEAD_BYTES + bytes);
        head(&mut out, COMMANDS, commands, time_us);
        for run in runs.iter().filter(|run| run.commands() > 0) {
            out.extend_from_slice(run.bytes());
        }
        Self(out.freeze())
    }

    /// Something that the group agrees upon for itself.
    pub(crate) fn control(time_us: u64, control: &Control) -> Self {
        let mut out = BytesMut::new();
        head(&mut out, CONTROL, 0, time_us);
        // Plain numbers and keys: there is nothing in it that could refuse.
        let encoded = schema::encode_into(control, &mut out);
        debug_assert_eq!(encoded, Ok(()));
        Self(out.freeze())
    }

    /// How many commands there are: by so much the entry moves the application's index.
    pub(crate) fn commands(&self) -> u32 {
        match self.0.get(1..5) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        }
    }

    /// The leader's time when it proposed the item, in microseconds since 1970.
    pub(crate) fn time_us(&self) -> u64 {
        match self.0.get(5..).and_then(<[u8]>::first_chunk) {
            Some(time) => u64::from_le_bytes(*time),
            None => 0,
        }
    }

    /// Whether it is none of callers' commands.
    pub(crate) fn is_control(&self) -> bool {
        self.0.first() == Some(&CONTROL)
    }

    /// What the item says; `None` if that is nothing, or not what its head promises. All of it is
    /// looked at first: a part of an item is never taken.
    pub(crate) fn content(&self) -> Option<Content<'_>> {
        let body = self.0.get(HEAD_BYTES..)?;
        match *self.0.first()? {
            COMMANDS => {
                let runs = Runs::new(body);
                (runs.count_commands()? == self.commands()).then_some(Content::Commands(runs))
            }
            CONTROL if self.commands() == 0 => schema::decode(body).ok().map(Content::Control),
            _ => None,
        }
    }
}

fn head(out: &mut BytesMut, kind: u8, commands: u32, time_us: u64) {
    out.put_u8(kind);
    out.put_u32_le(commands);
    out.put_u64_le(time_us);
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item of {} bytes", self.0.len())
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
