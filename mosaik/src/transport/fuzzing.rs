//! The transport's decoders: message frames, the hello, lane signals.

use bytes::{Bytes, BytesMut};

use super::{connection::Side, hello, message, slots};
use crate::{
    decoder::Decoder,
    schema::{self, fuzzing::encoded},
};

/// A limit that mutated lengths are on both sides of.
const LIMIT: usize = 4096;

pub(crate) fn decoders() -> Vec<Decoder> {
    let mut hello = Decoder::new("transport/hello", |bytes| {
        schema::decode_prefix::<hello::Hello>(bytes).is_ok()
    });
    hello.samples = hello::samples().iter().map(encoded).collect();
    let signals = Decoder::new("transport/signal", |bytes| {
        schema::decode_prefix::<hello::Signal>(bytes).is_ok()
    })
    .sample(encoded(&hello::Signal::ask(Side::Bulk)))
    .sample(encoded(&hello::Signal::token(Side::Bulk, [7; 16])))
    .sample(encoded(&hello::Signal::ask(Side::Log)))
    .sample(encoded(&hello::Signal::token(Side::Log, [7; 16])));
    let whole: Vec<u8> = hello.samples.iter().flat_map(|body| framed(body)).collect();
    let messages = Decoder::new("transport/message", |bytes| messages(bytes).is_some())
        .sample(whole)
        .sample(framed(&[]))
        .sample(framed(&[1; LIMIT]));
    let headers = Decoder::new("transport/slot-header", |bytes| {
        bytes.first_chunk().is_some_and(|header| slots::slot_of(*header).is_some())
    })
    .sample([1, 7, 0, 0, 0, 0, 0, 0, 0])
    .sample([1, 255, 255, 255, 255, 255, 255, 255, 255]);
    vec![messages, hello, signals, headers]
}

/// A message as it stands on a stream.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    message::put_length(&mut buffer, u32::try_from(body.len()).expect("samples are small"));
    buffer.extend_from_slice(body);
    buffer.to_vec()
}

/// All messages on a stream, arriving in two pieces; `None` if it is not a stream of messages.
pub(crate) fn messages(bytes: &[u8]) -> Option<Vec<Bytes>> {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for part in [first, second] {
        buffer.extend_from_slice(part);
        while let Some(message) = message::take_message(&mut buffer, LIMIT).ok()? {
            messages.push(message);
        }
    }
    buffer.is_empty().then_some(messages)
}
