//! The decoders of what is in the log and in snapshots.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Control, EncodedRun, Item, Outcome, Replica, RunBuilder, SessionId, Step};
use crate::{
    decoder::Decoder,
    groups::{
        index::{Index, Term},
        machine::{ApplyContext, Hosted, StateMachine, decode_state, digest_state, encode_state},
        member::IncarnationId,
    },
    id::{Digest, GroupId, NetworkId, PeerId, UniqueId},
    schema::{self, DecodeError, EncodeError},
};

/// A machine that writes down what it is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) lines: Vec<(u64, u32)>,
    /// In an order that differs between replicas.
    pub(super) counts: HashMap<u32, u64>,
    pub(super) batches: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Line {
    Write(u32),
    Panic,
}

impl StateMachine for Journal {
    type Command = Line;
    /// How many lines there are.
    type Response = u64;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        UniqueId::hash_str("journal")
    }

    fn apply(&mut self, command: Line, ctx: &ApplyContext) -> u64 {
        match command {
            Line::Write(number) => {
                self.lines.push((ctx.index().0, number));
                *self.counts.entry(number).or_default() += 1;
                self.lines.len() as u64
            }
            // Without its hook: there are many of them.
            Line::Panic => std::panic::resume_unwind(Box::new("as it was told to")),
        }
    }

    fn apply_batch(
        &mut self,
        commands: impl IntoIterator<Item = Line>,
        ctx: &ApplyContext,
    ) -> Vec<u64> {
        self.batches += 1;
        let mut ctx = ctx.clone();
        let mut responses = Vec::new();
        for command in commands {
            responses.push(self.apply(command, &ctx));
            ctx.advance();
        }
        responses
    }

    fn query(&self, (): ()) -> u64 {
        self.lines.len() as u64
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes)
    }

    fn digest(&self) -> Result<Digest, EncodeError> {
        digest_state(self)
    }
}

pub(super) const SESSION: SessionId = SessionId(7);

pub(super) fn peer() -> PeerId {
    iroh::SecretKey::from_bytes(&[9; 32]).public()
}

pub(super) fn line(line: Line) -> Bytes {
    schema::encode(&line).unwrap_or_default()
}

/// Calls of [`SESSION`], each of so many lines.
pub(super) fn run(first: u64, calls: &[&[Line]]) -> EncodedRun {
    let mut builder = RunBuilder::new(SESSION, first, 1);
    for call in calls {
        let lines: Vec<Bytes> = call.iter().map(|command| line(*command)).collect();
        builder.push_many(&lines);
    }
    builder.finish()
}

pub(super) fn replica() -> Replica {
    let machine = Box::new(Hosted::new(Journal::default()));
    Replica::new(machine, GroupId::zero(), NetworkId::zero())
}

pub(super) fn items() -> Vec<Item> {
    let write = Line::Write;
    vec![
        Item::control(1, &Control::OpenSession { session: SESSION, peer: peer() }),
        Item::control(2, &Control::Open),
        Item::of_runs(
            3,
            &[run(1, &[&[write(1)], &[write(2), write(300)]]), run(3, &[&[write(4)]])],
        ),
        Item::control(4, &Control::Checkpoint),
        Item::control(5, &Control::Skip { index: Index(9) }),
        Item::control(u64::MAX, &Control::EndSessions { peer: peer() }),
        Item::control(6, &Control::Dissolve),
        Item::control(7, &Control::Yield { winner: IncarnationId::new(5, [3; 16]) }),
    ]
}

pub(crate) fn decoders() -> Vec<Decoder> {
    let mut items_decoder = Decoder::new("groups/item", |bytes| {
        let item = Item(Bytes::copy_from_slice(bytes));
        let (mut replica, mut out) = (replica(), Vec::new());
        let open = Control::OpenSession { session: SESSION, peer: peer() };
        let _ = replica.apply(Term(1), &Item::control(0, &open), &mut out);
        if replica.apply(Term(1), &item, &mut out) == Step::Rebuild {
            let _ = replica.rebuild(None, [(Term(1), item.clone())], &mut out);
        }
        item.content().is_some()
    });
    items_decoder.samples = items().iter().map(|item| item.0.to_vec()).collect();
    let runs = Decoder::new("groups/run", |bytes| {
        EncodedRun::parse(Bytes::copy_from_slice(bytes)).is_some()
    })
    .sample(run(1, &[&[Line::Write(1)], &[Line::Write(2), Line::Panic]]).bytes().to_vec())
    .sample(run(u64::MAX - 9, &[&[Line::Write(u32::MAX)]]).bytes().to_vec());
    let mut snapshots = Decoder::new("groups/snapshot", |bytes| {
        let (mut replica, mut out) = (replica(), Vec::<Outcome>::new());
        let restored = replica.restore(bytes, &mut out).is_ok();
        for item in items() {
            let _ = replica.apply(Term(2), &item, &mut out);
        }
        restored
    });
    let mut replica = replica();
    for item in items() {
        let _ = replica.apply(Term(1), &item, &mut Vec::new());
        snapshots.samples.extend(replica.freeze().encode().map(|bytes| bytes.to_vec()));
    }
    vec![items_decoder, runs, snapshots]
}
