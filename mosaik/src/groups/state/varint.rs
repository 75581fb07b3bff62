//! Numbers of seven bits a byte, lowest first.

use bytes::{BufMut, BytesMut};

const MAX_BYTES: usize = 5;

#[inline]
pub(crate) fn put(out: &mut BytesMut, mut number: u32) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

/// The number, and what follows it; `None` if it is cut off or not in its shortest form.
#[inline]
pub(crate) fn take(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u32;
    for (place, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            let too_long = place > 0 && byte == 0;
            let too_large = place == MAX_BYTES - 1 && byte > 0x0f;
            return (!too_long && !too_large).then_some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for number in [0, 1, 0x7f, 0x80, 300, 0x3fff, 0x4000, u32::MAX - 1, u32::MAX] {
            let mut out = BytesMut::new();
            put(&mut out, number);
            out.put_u8(9);
            assert_eq!(take(&out), Some((number, &[9][..])));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bytes in [&[][..], &[0x80], &[0x80, 0], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0xff; 6]] {
            assert_eq!(take(bytes), None, "{bytes:x?}");
        }
    }
}
