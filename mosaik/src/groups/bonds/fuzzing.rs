//! The decoders of bonds: the handshake, frames and their heads, heartbeats.

use bytes::Bytes;

use super::{
    frames::{Assembler, prefix},
    handshake::{Claim, Greeting, Hello, read, read_claim},
    heartbeats,
    protocol::{self, VERSION},
    samples,
};
use crate::{decoder::Decoder, id::GroupId, schema::fuzzing::encoded};

pub(crate) fn decoders() -> Vec<Decoder> {
    let claim = Claim { version: VERSION, group: GroupId::from("a group"), proof: [7; 32] };
    let mut claims =
        Decoder::new("groups/claim", |bytes| read_claim(bytes).is_ok()).sample(encoded(&claim));
    // Another version is answered as such.
    claims.refused = vec![encoded(&(VERSION + 1, "whatever"))];
    let hello = samples::hello();
    let hellos =
        Decoder::new("groups/hello", |bytes| read::<Hello>(bytes).is_ok()).sample(encoded(&hello));
    let greetings = Decoder::new("groups/greeting", |bytes| read::<Greeting>(bytes).is_ok())
        .sample(encoded(&Greeting { proof: [7; 32], hello }));
    let mut bonds = Decoder::new("groups/bond", |bytes| {
        protocol::read_frame(&Bytes::copy_from_slice(bytes)).is_ok()
    });
    bonds.samples = samples::frames();
    let frames = Decoder::new("groups/frames", assemble)
        .sample(framed(&[0, 1, 300, 0]))
        .sample(framed(&[LIMIT]));
    let [beats, echoes] = heartbeats::samples();
    let beats = Decoder::new("groups/heartbeats", heartbeats::are_beats).sample(beats);
    let echoes = Decoder::new("groups/heartbeat-answers", heartbeats::are_echoes).sample(echoes);
    vec![claims, hellos, greetings, bonds, frames, beats, echoes]
}

/// A limit that mutated lengths are on both sides of.
const LIMIT: usize = 4096;

fn framed(sizes: &[usize]) -> Vec<u8> {
    let frame = |size: &usize| {
        let mut frame = prefix(*size).map_or_else(Vec::new, |prefix| prefix.to_vec());
        frame.extend(std::iter::repeat_n(7, *size));
        frame
    };
    sizes.iter().flat_map(frame).collect()
}

/// Takes frames from a stream that arrives in chunks, whose size the first byte gives.
fn assemble(bytes: &[u8]) -> bool {
    let size = bytes.first().map_or(1, |byte| usize::from(*byte) * 7 + 1);
    let mut assembler = Assembler::new(LIMIT);
    for chunk in bytes.chunks(size) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while !chunk.is_empty() {
            if assembler.take(&mut chunk).is_err() {
                return false;
            }
        }
    }
    assembler.is_between()
}
