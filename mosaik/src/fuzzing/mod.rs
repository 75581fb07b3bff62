//! Every decoder of bytes that come from peers, files or command lines, with what it may be given
//! rightly: for the property test here, the `mutate` command and the fuzz targets.

mod mutator;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::decoder::Decoder;
pub use mutator::Mutator;

/// The processor's time that this thread has had: however busy the machine is, a decoder takes as
/// much of it.
pub fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// All of them.
pub fn decoders() -> Vec<Decoder> {
    let parts = [
        crate::transport::fuzzing::decoders(),
        crate::discovery::fuzzing::decoders(),
        crate::streams::fuzzing::decoders(),
        crate::groups::fuzzing::decoders(),
        crate::schema::fuzzing::decoders(),
        crate::network::fuzzing::decoders(),
    ];
    parts.into_iter().flatten().collect()
}
