//! Valid messages, for tests.

use bytes::Bytes;

use super::{
    handshake::{Agreement, Hello},
    protocol::{Frame, Head, Kind, Outcome},
};
use crate::id::UniqueId;

pub(super) fn hello() -> Hello {
    Hello {
        session: u64::MAX,
        observer: true,
        agreement: agreement(),
        number: 3,
        log_slot: u64::MAX,
        status: vec![1, 2, 3],
    }
}

pub(super) fn agreement() -> Agreement {
    Agreement {
        quorum: "strict 3".into(),
        validators: vec!["prod".into(), "paid".into()],
        machine_version: 2,
        schema: UniqueId::from("a schema"),
        storage: "memory".into(),
    }
}

/// One of each kind.
pub(super) fn heads() -> Vec<Head> {
    let (id, slot, length) = (u64::MAX, u64::MAX, u64::MAX);
    vec![
        Head::Welcome,
        Head::Identity { session: 7, observer: true },
        Head::Status,
        Head::Message,
        Head::Question { id },
        Head::Request { id },
        Head::Answer { id, outcome: Outcome::Answered },
        Head::Answer { id: 0, outcome: Outcome::Gone },
        Head::Answer { id: 1, outcome: Outcome::Failed },
        Head::Offer { id, length, kind: Kind::Snapshot },
        Head::Offer { id, length: 0, kind: Kind::Message },
        Head::Offer { id: 1, length, kind: Kind::Question },
        Head::Take { id, slot },
    ]
}

/// The same, without the length that goes before them.
pub(super) fn frames() -> Vec<Vec<u8>> {
    let frame = |head: &Head| {
        let [front, body] = Frame::new(head, Bytes::from_static(&[9; 5]))?.into_chunks();
        Some([&front[4..], &body[..]].concat())
    };
    heads().iter().filter_map(frame).collect()
}
