//! Where datums go that nobody gets.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use crate::streams::codec::Codec;

/// Decodes what nobody got, and hands it back to the application.
#[derive(Clone)]
pub(in crate::streams) struct Undelivered(Arc<Give>);

type Give = dyn Fn(&[u8]) + Send + Sync;

impl Undelivered {
    pub(super) fn new<D: Send + 'static>(sink: UnboundedSender<D>, codec: Codec<D>) -> Self {
        Self(Arc::new(move |body| match (codec.decode)(body) {
            // Whoever dropped the receiver does not want them.
            Ok(datum) => drop(sink.send(datum)),
            Err(error) => tracing::warn!(%error, "an undelivered datum cannot be decoded"),
        }))
    }

    /// To be called without locks: decoding is the user's code.
    pub(super) fn give(&self, bodies: Vec<Bytes>) {
        bodies.iter().for_each(|body| self.0(body));
    }
}

impl fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undelivered")
    }
}
