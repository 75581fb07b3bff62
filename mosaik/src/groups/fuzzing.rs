//! The decoders of groups.

use super::{bonds, raft, state, worker};
use crate::decoder::Decoder;

pub(crate) fn decoders() -> Vec<Decoder> {
    let parts = [
        bonds::fuzzing::decoders(),
        raft::fuzzing::decoders(),
        state::fuzzing::decoders(),
        worker::fuzzing::decoders(),
    ];
    parts.into_iter().flatten().collect()
}
