//! blake3 as a `const fn`, for ids that only the compiler can know: default stream names and
//! generic types.
//!
//! One chunk (1,024 bytes) is enough for names and keeps out the tree mode of blake3.

/// The longest input, in bytes: one chunk.
pub(super) const MAX_INPUT: usize = 1024;

const BLOCK: usize = 64;
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;

const IV: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/// Which words of the state each of the eight mixing steps of a round works on: first the columns,
/// then the diagonals.
const STEPS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The blake3 digest of at most [`MAX_INPUT`] bytes.
pub(super) const fn blake3(input: &[u8]) -> [u8; 32] {
    assert!(input.len() <= MAX_INPUT, "an intent is limited to 1024 bytes");
    let mut chaining = IV;
    let mut offset = 0;
    loop {
        let left = input.len() - offset;
        let len = if left > BLOCK { BLOCK } else { left };
        let mut flags = 0;
        if offset == 0 {
            flags |= CHUNK_START;
        }
        if left <= BLOCK {
            flags |= CHUNK_END | ROOT;
        }
        chaining = compress(&chaining, read_block(input, offset, len), len as u32, flags);
        if left <= BLOCK {
            return to_bytes(&chaining);
        }
        offset += BLOCK;
    }
}

const fn read_block(input: &[u8], offset: usize, len: usize) -> [u32; 16] {
    let mut words = [0u32; 16];
    let mut i = 0;
    while i < len {
        words[i / 4] |= (input[offset + i] as u32) << (8 * (i % 4));
        i += 1;
    }
    words
}

const fn compress(chaining: &[u32; 8], mut words: [u32; 16], len: u32, flags: u32) -> [u32; 8] {
    let mut state = [0u32; 16];
    let mut i = 0;
    while i < 8 {
        state[i] = chaining[i];
        i += 1;
    }
    while i < 12 {
        state[i] = IV[i - 8];
        i += 1;
    }
    // Words 12 and 13 count chunks, of which there is only the first.
    state[14] = len;
    state[15] = flags;

    let mut round = 0;
    while round < 7 {
        let mut step = 0;
        while step < 8 {
            mix(&mut state, STEPS[step], words[2 * step], words[2 * step + 1]);
            step += 1;
        }
        words = permute(&words);
        round += 1;
    }

    let mut out = [0u32; 8];
    let mut i = 0;
    while i < 8 {
        out[i] = state[i] ^ state[i + 8];
        i += 1;
    }
    out
}

const fn mix(state: &mut [u32; 16], [a, b, c, d]: [usize; 4], x: u32, y: u32) {
    state[a] = state[a].wrapping_add(state[b]).wrapping_add(x);
    state[d] = (state[d] ^ state[a]).rotate_right(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_right(12);
    state[a] = state[a].wrapping_add(state[b]).wrapping_add(y);
    state[d] = (state[d] ^ state[a]).rotate_right(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_right(7);
}

const fn permute(words: &[u32; 16]) -> [u32; 16] {
    let mut out = [0u32; 16];
    let mut i = 0;
    while i < 16 {
        out[i] = words[PERMUTATION[i]];
        i += 1;
    }
    out
}

const fn to_bytes(words: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        out[i] = words[i / 4].to_le_bytes()[i % 4];
        i += 1;
    }
    out
}
