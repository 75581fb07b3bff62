//! The commands of one caller, as they travel to the leader and stand in the log.

use bytes::{BufMut, Bytes, BytesMut};

use super::{session::SessionId, varint};

/// The session, the first sequence number, the lowest unanswered one, the number of calls.
const HEAD_BYTES: usize = 8 + 8 + 8 + 4;

/// Puts together the calls of one session, whose sequence numbers follow one another.
///
/// Encoded as: the session, the sequence number of the first call, the lowest number that has not
/// been answered (8 bytes each, little-endian), the number of calls (4 bytes, little-endian), and
/// for each call the number of its commands, then length and content of each (varints).
#[derive(Debug)]
pub(crate) struct RunBuilder {
    out: BytesMut,
    calls: u32,
    commands: u32,
}

impl RunBuilder {
    /// `first`: the sequence number of the first call; numbers begin at 1. Replies to numbers
    /// below `lowest_unanswered` are not needed any more.
    pub(crate) fn new(session: SessionId, first: u64, lowest_unanswered: u64) -> Self {
        let mut out = BytesMut::with_capacity(HEAD_BYTES + 128);
        out.put_u64_le(session.0);
        out.put_u64_le(first);
        out.put_u64_le(lowest_unanswered);
        out.put_u32_le(0);
        Self { out, calls: 0, commands: 0 }
    }

    /// Adds a call of one command.
    #[inline]
    pub(crate) fn push(&mut self, command: &[u8]) {
        self.call(1);
        self.command(command);
    }

    /// Adds a call of several commands, which are applied together. Without commands it is no call.
    pub(crate) fn push_many<C: AsRef<[u8]>>(&mut self, commands: &[C]) {
        if !commands.is_empty() {
            self.call(commands.len() as u32);
            commands.iter().for_each(|command| self.command(command.as_ref()));
        }
    }

    fn call(&mut self, commands: u32) {
        self.calls += 1;
        self.commands += commands;
        varint::put(&mut self.out, commands);
    }

    fn command(&mut self, command: &[u8]) {
        // A command is limited to some megabytes where it is taken.
        varint::put(&mut self.out, command.len() as u32);
        self.out.extend_from_slice(command);
    }

    pub(crate) fn finish(mut self) -> EncodedRun {
        let calls = self.calls.to_le_bytes();
        self.out[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&calls);
        EncodedRun { commands: self.commands, bytes: self.out.freeze() }
    }
}

/// The calls of one session, encoded: forwarded as they are, and put into items as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedRun {
    commands: u32,
    bytes: Bytes,
}

impl EncodedRun {
    /// Takes a run from a peer; `None` if the bytes are not exactly one. Whether the session is
    /// that peer's own is for the caller to look up.
    pub(crate) fn parse(bytes: Bytes) -> Option<Self> {
        let mut runs = Runs::new(&bytes);
        let commands = runs.count_commands()?;
        runs.next()?;
        let one = runs.rest.is_empty();
        one.then_some(Self { commands, bytes })
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn commands(&self) -> u32 {
        self.commands
    }

    /// Whose calls these are, and which.
    pub(crate) fn view(&self) -> Option<Run<'_>> {
        Runs::new(&self.bytes).next()
    }
}

/// The runs of an item, read from its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs<'a> {
    rest: &'a [u8],
}

/// Calls of one session, whose sequence numbers follow one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) session: SessionId,
    pub(crate) first: u64,
    pub(crate) lowest_unanswered: u64,
    pub(crate) calls: Calls<'a>,
}

/// Calls, read one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls<'a> {
    rest: &'a [u8],
    left: u32,
}

/// The commands of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Runs<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many commands there are; `None` if the bytes are not runs to the last one, or a run or
    /// a call is empty. After that no iterator stops early.
    pub(super) fn count_commands(mut self) -> Option<u32> {
        let mut commands = 0_u32;
        while !self.rest.is_empty() {
            let run = self.head()?;
            let mut calls = run.calls;
            if calls.left == 0 {
                return None;
            }
            // No sequence number may lie beyond the last one there is.
            run.first.checked_add(u64::from(calls.left)).filter(|_| run.first > 0)?;
            while calls.left > 0 {
                let call = calls.next().filter(|call| call.left > 0)?;
                commands = commands.checked_add(call.left)?;
            }
            self.rest = calls.rest;
        }
        Some(commands)
    }

    fn head(&self) -> Option<Run<'a>> {
        let (session, rest) = self.rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (lowest, rest) = rest.split_first_chunk()?;
        let (calls, rest) = rest.split_first_chunk()?;
        Some(Run {
            session: SessionId(u64::from_le_bytes(*session)),
            first: u64::from_le_bytes(*first),
            lowest_unanswered: u64::from_le_bytes(*lowest),
            calls: Calls { rest, left: u32::from_le_bytes(*calls) },
        })
    }
}

impl<'a> Iterator for Runs<'a> {
    type Item = Run<'a>;

    fn next(&mut self) -> Option<Run<'a>> {
        let run = self.head()?;
        let mut calls = run.calls;
        calls.by_ref().for_each(drop);
        self.rest = calls.rest;
        Some(run)
    }
}

impl Calls<'_> {
    /// How many commands are left in all of them.
    pub(crate) fn count_commands(&self) -> u32 {
        self.fold(0, |sum: u32, call| sum.saturating_add(call.left))
    }

    /// The next call alone.
    pub(crate) fn split_first(&mut self) -> Option<Self> {
        let alone = Self { rest: self.rest, left: 1 };
        self.next().map(|_| alone)
    }
}

impl<'a> Iterator for Calls<'a> {
    type Item = Call<'a>;

    #[inline]
    fn next(&mut self) -> Option<Call<'a>> {
        if self.left == 0 {
            return None;
        }
        let (commands, rest) = varint::take(self.rest)?;
        let call = Call { rest, left: commands };
        let mut end = call;
        for _ in 0..commands {
            end.next()?;
        }
        self.rest = end.rest;
        self.left -= 1;
        Some(call)
    }
}

impl Call<'_> {
    /// How many commands are left.
    pub(crate) fn count_left(&self) -> u32 {
        self.left
    }
}

impl<'a> Iterator for Call<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        let (len, rest) = varint::take(self.rest)?;
        let (command, rest) = rest.split_at_checked(len as usize)?;
        self.rest = rest;
        self.left -= 1;
        Some(command)
    }
}
