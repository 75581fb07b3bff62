//! The decoders of streams: what is said about a subscription, and frames of datums.

use bytes::Bytes;

use super::{
    consumer::position::Position,
    criteria::Criteria,
    frames::{self, Item, Mark, Splitter},
    protocol::{self, Answer, From, Mismatch, Place, Refusal, Subscribe, VERSION, Word},
};
use crate::{
    decoder::Decoder,
    id::StreamId,
    schema::{self, fuzzing::encoded},
};

pub(crate) fn decoders() -> Vec<Decoder> {
    let id = StreamId::from("a stream");
    let subscribe = |fingerprint, slot, from, group| Subscribe {
        version: VERSION,
        stream: id,
        fingerprint,
        criteria: Criteria::default(),
        slot,
        consumer: 7,
        from,
        group,
    };
    let subscriptions = Decoder::new("streams/subscribe", |bytes| {
        schema::decode_prefix::<Subscribe>(bytes).is_ok()
    })
    .sample(encoded(&subscribe(Some(id), 1, From::Live, None)))
    .sample(encoded(&subscribe(None, u64::MAX, From::Retained, Some(id))))
    .sample(encoded(&subscribe(None, 2, From::At(Place { epoch: u64::MAX, next: 9 }), None)));
    let words = Decoder::new("streams/word", |bytes| schema::decode_prefix::<Word>(bytes).is_ok())
        .sample(encoded(&Word::Taken(u64::MAX)));
    let mismatch = Mismatch { producer: id, consumer: id, schema: Some(vec![1; 30]) };
    let answers =
        Decoder::new("streams/answer", |bytes| schema::decode_prefix::<Answer>(bytes).is_ok())
            .sample(encoded(&Answer::Accepted(Place { epoch: u64::MAX, next: 7 })))
            .sample(encoded(&Answer::Refused(Refusal { code: 10_509, mismatch: None })))
            .sample(encoded(&Answer::Refused(Refusal { code: 10_409, mismatch: Some(mismatch) })))
            .sample(encoded(&Answer::AskAgain))
            .sample(encoded(&Answer::Ended { code: 10_413 }));
    let mut requests =
        Decoder::new("streams/request", |bytes| protocol::read_request(bytes).is_ok());
    requests.samples = subscriptions.samples.clone();
    // Another version is answered as such; here nothing is taken but this one.
    requests.refused = vec![encoded(&(VERSION + 1, "whatever"))];
    let marked = marked(&[Mark::Skipped(3), Mark::Redelivered(1), Mark::Unknown]);
    let datums = Decoder::new("streams/frames", split)
        .sample(framed(&[1, 20, 300, 0, 0, 7]))
        .sample(framed(&[5000, 1, 1]))
        .sample(marked.clone());
    let at = |next: u64| next.to_le_bytes().to_vec();
    let positions = Decoder::new("streams/position", stand)
        .sample([at(9), framed(&[1, 2, 3])].concat())
        .sample([at(2), marked.clone()].concat())
        .sample([at(0), marked].concat())
        .sample([at(u64::MAX), framed(&[1]), self::marked(&[Mark::Skipped(u64::MAX)])].concat())
        .sample([at(1), self::marked(&[Mark::Redelivered(u64::MAX)])].concat());
    vec![subscriptions, requests, words, answers, datums, positions]
}

/// Marks, and a datum after each.
fn marked(marks: &[Mark]) -> Vec<u8> {
    marks.iter().flat_map(|mark| [&mark.encode()[..], &framed(&[2])].concat()).collect()
}

/// Follows what a producer says about where it begins and what it has left out.
fn stand(bytes: &[u8]) -> bool {
    let Some((next, rest)) = bytes.split_first_chunk() else { return false };
    // The number 0 stands for a share group.
    let next = Some(u64::from_le_bytes(*next)).filter(|next| *next > 0);
    let mut position = Position::new(next.map(|next| Place { epoch: 1, next }));
    position.follow(Place { epoch: 1, next: 5 });
    split_with(rest, |item| match item {
        Item::Datum(_) if position.has_next() => position.pass_over(),
        Item::Datum(_) => drop(position.take()),
        Item::Mark(mark) => drop(position.heed(mark)),
    })
}

fn framed(sizes: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    for (size, byte) in sizes.iter().zip(1..) {
        let (prefix, length) = frames::prefix(*size);
        out.extend_from_slice(&prefix[..length]);
        out.extend(std::iter::repeat_n(byte, *size));
    }
    out
}

/// Splits a stream of frames that arrives in chunks, whose size the first byte gives.
fn split(bytes: &[u8]) -> bool {
    split_with(bytes, |_| {})
}

fn split_with(bytes: &[u8], mut take: impl FnMut(Item<'_>)) -> bool {
    let size = bytes.first().map_or(1, |byte| usize::from(*byte) * 7 + 1);
    let mut splitter = Splitter::new();
    let mut chunks = bytes.chunks(size).map(Bytes::copy_from_slice).peekable();
    while chunks.peek().is_some() {
        let room = splitter.room();
        let filled = room.iter_mut().zip(&mut chunks).map(|(slot, chunk)| *slot = chunk).count();
        splitter.filled(filled, 100);
        loop {
            match splitter.next() {
                Ok(Some(item)) => take(item),
                Ok(None) => break,
                Err(_) => return false,
            }
        }
    }
    splitter.end().is_ok()
}
