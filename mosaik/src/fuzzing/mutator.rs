//! Mutations of valid inputs: what a hostile peer would try, and what a faulty one sends.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Decoder;

/// The most mutations of one input.
const MAX_STEPS: usize = 4;
/// The most bytes that one mutation adds, except where a sample is spliced in.
const MAX_ADDED: usize = 300;

/// Makes wrong inputs of right ones; the same seed gives the same inputs.
#[derive(Debug)]
pub struct Mutator(StdRng);

impl Mutator {
    /// A mutator with a seed of its own.
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// The next input for a decoder: one in 16 is mere noise, the others are near a valid one.
    pub fn next(&mut self, decoder: &Decoder) -> Vec<u8> {
        if decoder.samples.is_empty() || self.below(16) == 0 {
            let length = self.below(MAX_ADDED);
            return self.noise(length);
        }
        let sample = self.below(decoder.samples.len());
        let mut bytes = decoder.samples[sample].clone();
        for _ in 0..=self.below(MAX_STEPS) {
            self.step(&mut bytes, decoder);
        }
        bytes
    }

    fn step(&mut self, bytes: &mut Vec<u8>, decoder: &Decoder) {
        let at = self.below(bytes.len());
        let end = at + self.below(bytes.len() - at + 1);
        match self.below(10) {
            0 => self.change(bytes, at, |byte, drawn| byte ^ (1 << (drawn % 8))),
            1 => self.change(bytes, at, |_, drawn| drawn),
            2 => self.change(bytes, at, |_, drawn| [0, 1, 0x7f, 0x80, 0xff][drawn as usize % 5]),
            3 => bytes.truncate(at),
            4 => {
                let added = self.below(MAX_ADDED);
                let noise = self.noise(added);
                bytes.extend(noise);
            }
            5 => drop(bytes.drain(at..end)),
            6 => {
                let repeated = bytes[at..end.min(at + MAX_ADDED)].to_vec();
                bytes.splice(at..at, repeated);
            }
            7 => {
                let other = &decoder.samples[self.below(decoder.samples.len())];
                let from = self.below(other.len());
                bytes.splice(at..end, other[from..].iter().copied());
            }
            // A run of one byte: levels of nesting, or elements without end.
            8 => {
                let byte = self.0.random::<u8>() % 4;
                let times = self.below(MAX_ADDED);
                bytes.splice(at..at, std::iter::repeat_n(byte, times));
            }
            // Where a length or a number stands, a far larger one.
            _ => {
                let length = self.varint();
                bytes.splice(at..(at + 1).min(bytes.len()), length);
            }
        }
    }

    fn change(&mut self, bytes: &mut [u8], at: usize, change: impl Fn(u8, u8) -> u8) {
        let drawn = self.0.random();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = change(*byte, drawn);
        }
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.0.random()).collect()
    }

    /// A number of up to ten groups of seven bits.
    fn varint(&mut self) -> Vec<u8> {
        let groups = self.below(10);
        let mut bytes: Vec<u8> = (0..groups).map(|_| 0x80 | self.0.random::<u8>()).collect();
        bytes.push(self.0.random::<u8>() & 0x7f);
        bytes
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }
}
