//! What travels: round trips, and bytes that nobody sent.

use openraft::EntryPayload;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::cluster::member;
use crate::groups::{
    member::MemberId,
    raft::{
        append::{decode_append, encode_append},
        fuzzing::{decoders, sample_append, sample_head},
        messages::{SnapshotHead, WireMembership, decode, encode},
        type_config::{AppendRequest, Membership, entry_id},
    },
};

fn essence(request: &AppendRequest) -> String {
    let contents = request.entries.iter().map(|entry| match &entry.payload {
        EntryPayload::Normal(logged) => format!("{} {:?}", entry.log_id, logged.item.0),
        other => format!("{} {other:?}", entry.log_id),
    });
    let AppendRequest { vote, prev_log_id, leader_commit, .. } = request;
    format!("{vote} {prev_log_id:?} {leader_commit:?} {:?}", contents.collect::<Vec<_>>())
}

#[test]
fn an_append_comes_back_as_it_was() {
    let request = sample_append();
    let encoded = encode_append(&request);
    let decoded = decode_append(encoded.clone()).unwrap();
    assert_eq!(essence(&decoded), essence(&request));

    // From the beginning of a log, too; and nothing may be missing or follow.
    let first = AppendRequest { prev_log_id: None, entries: Vec::new(), ..sample_append() };
    assert_eq!(essence(&decode_append(encode_append(&first)).unwrap()), essence(&first));
    for len in 0..encoded.len() {
        assert!(decode_append(encoded.slice(..len)).is_err(), "{len}");
    }
    assert!(decode_append([&encoded[..], &[0]].concat().into()).is_err());
}

#[test]
fn a_snapshots_head_comes_back_as_it_was() {
    let decoded: SnapshotHead = decode(&encode(&sample_head())).unwrap();
    assert_eq!(decoded, sample_head());
    let meta = decoded.meta().unwrap();
    assert_eq!(meta.last_log_id, Some(entry_id(6, 6)));
    assert_eq!(meta.last_membership.voter_ids().collect::<Vec<_>>(), [MemberId::default()]);
}

#[test]
fn members_that_cannot_be_are_refused() {
    let of = |voters: Vec<Vec<_>>, members| decode::<WireMembership>(&encode(&(voters, members)));
    let membership = of(vec![vec![member(1)]], vec![member(2)]).unwrap();
    assert!(Membership::try_from(membership).is_err(), "a voter that is no member");
    let membership = of(vec![vec![member(1)]; 17], vec![member(1)]).unwrap();
    assert!(Membership::try_from(membership).is_err(), "too many sets");
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    let mut random = StdRng::seed_from_u64(5);
    for decoder in decoders() {
        for round in 0..10_000 {
            let sample = &decoder.samples[round % decoder.samples.len()];
            assert!(decoder.run(sample), "{decoder:?}");
            let mut bytes = sample.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[at] = random.random(),
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, random.random()),
                }
            }
            decoder.run(&bytes);
        }
    }
}
