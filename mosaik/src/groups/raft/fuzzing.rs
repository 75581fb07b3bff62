//! The decoders of the consensus core: what other members send.

use std::collections::BTreeSet;

use bytes::Bytes;
use openraft::EntryPayload;

use super::{
    append::{self, decode_append, encode_append},
    messages::{
        Address, Answer, AppendAnswer, Request, SnapshotHead, WireMembership, decode, encode,
    },
    type_config::{AppendRequest, Entry, Logged, Membership, Vote, entry_id},
};
use crate::{
    decoder::Decoder,
    groups::{
        index::Index,
        member::{IncarnationId, MemberId},
        state::Item,
    },
};

pub(crate) fn decoders() -> Vec<Decoder> {
    let appends = Decoder::new("groups/raft/append", |bytes| {
        decode_append(Bytes::copy_from_slice(bytes)).is_ok()
    })
    .sample(encode_append(&sample_append()))
    .sample(encode_append(&AppendRequest { entries: Vec::new(), ..sample_append() }));
    let heartbeat = Request::Heartbeat(append::head(&sample_append()));
    let requests =
        Decoder::new("groups/raft/request", |bytes| decode::<(Address, Request)>(bytes).is_ok())
            .sample(encode(&(sample_head().address, heartbeat)));
    let answers = Decoder::new("groups/raft/answer", |bytes| decode::<Answer>(bytes).is_ok())
        .sample(encode(&Answer::Heartbeat(AppendAnswer::Matching(None))))
        .sample(encode(&Answer::Heartbeat(AppendAnswer::Conflict(entry_id(1, 2).into()))));
    let heads = Decoder::new("groups/raft/snapshot", |bytes| {
        decode::<SnapshotHead>(bytes).and_then(|head| head.meta()).is_ok()
    })
    .sample(encode(&sample_head()));
    vec![appends, requests, answers, heads]
}

fn membership() -> Membership {
    let all = BTreeSet::from([MemberId::default()]);
    Membership::new(vec![all.clone()], all).unwrap_or_default()
}

/// With an entry of each kind.
pub(super) fn sample_append() -> AppendRequest {
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Normal(Logged::new(Item(Bytes::from_static(&[0; 40])))),
        EntryPayload::Membership(membership()),
        EntryPayload::Normal(Logged::new(Item(Bytes::from_static(&[1; 13])))),
    ];
    let entries = payloads.into_iter().zip(8..);
    AppendRequest {
        vote: Vote::new_committed(7, MemberId::default()),
        prev_log_id: Some(entry_id(6, 7)),
        entries: entries
            .map(|(payload, index)| Entry { log_id: entry_id(7, index), payload })
            .collect(),
        leader_commit: Some(entry_id(6, 6)),
    }
}

pub(super) fn sample_head() -> SnapshotHead {
    SnapshotHead {
        address: Address { incarnation: IncarnationId::new(1, [1; 16]), to: MemberId::default() },
        vote: (&Vote::new_committed(7, MemberId::default())).into(),
        last: Some(entry_id(6, 6).into()),
        membership_at: Some(entry_id(1, 0).into()),
        membership: WireMembership::from(&membership()),
        index: Index(17),
        hash: [3; 32],
        len: 99,
    }
}
