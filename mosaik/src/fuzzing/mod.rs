//! Every decoder of bytes that come from peers, files or command lines, with what it may be given
//! rightly: for the property test here, the `mutate` command and the fuzz targets.

mod mutator;
#[cfg(test)]
mod tests;

use crate::decoder::Decoder;
pub use mutator::Mutator;

/// All of them.
pub fn decoders() -> Vec<Decoder> {
    let parts = [
        crate::transport::fuzzing::decoders(),
        crate::discovery::fuzzing::decoders(),
        crate::streams::fuzzing::decoders(),
        crate::schema::fuzzing::decoders(),
        crate::network::fuzzing::decoders(),
    ];
    parts.into_iter().flatten().collect()
}
