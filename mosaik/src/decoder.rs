//! A decoder as it is put to the test: each layer lists its own.

use std::fmt;

/// One decoder, and valid inputs to begin with.
pub struct Decoder {
    /// Which one, as `subsystem/what`.
    pub name: &'static str,
    /// Inputs that it accepts.
    pub samples: Vec<Vec<u8>>,
    /// Inputs that are right but for their size or depth, too large to be mutated.
    pub refused: Vec<Vec<u8>>,
    decode: fn(&[u8]) -> bool,
}

impl Decoder {
    pub(crate) fn new(name: &'static str, decode: fn(&[u8]) -> bool) -> Self {
        Self { name, samples: Vec::new(), refused: Vec::new(), decode }
    }

    pub(crate) fn sample(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.samples.push(bytes.into());
        self
    }

    /// Runs the decoder; says whether it took the bytes.
    pub fn run(&self, bytes: &[u8]) -> bool {
        (self.decode)(bytes)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A text decoder's part of the work: bytes that are no text are refused by whoever reads them.
pub(crate) fn parses<T: std::str::FromStr>(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<T>().is_ok())
}
