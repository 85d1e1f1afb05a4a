//! Packed int4 weights: two codes a byte, the first in the low half, as TensorFlow Lite has them.
//!
//! Codes follow each other without gaps, so a row of weights may begin in the high half of a byte. Kernels read eight
//! codes at a time, wherever they begin, as a word of 32 bits.

use crate::lines::{copy, tail};

/// Packed int4 weights from some code on, of a tensor that is read in place.
#[derive(Clone, Copy, Debug)]
pub struct Int4<'a> {
    bytes: &'a [u8],
    /// Whether the first code is in the high half of the first byte.
    odd: bool,
}

impl<'a> Int4<'a> {
    /// The codes in `bytes`, two in each.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, odd: false }
    }

    /// The number of codes that are left, with the one that may fill the last byte.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.bytes.len().saturating_mul(2).saturating_sub(self.odd.into())
    }

    /// The codes from number `from` on.
    #[inline]
    pub(crate) fn tail(self, from: usize) -> Self {
        let from = from.saturating_add(self.odd.into());
        Self { bytes: tail(self.bytes, from / 2), odd: from % 2 == 1 }
    }

    /// The eight codes from number `from` on, the first in the lowest bits; 0 behind the last.
    #[inline]
    pub(crate) fn eight(self, from: usize) -> Eight {
        let Self { bytes, odd } = self.tail(from);
        let bytes = match bytes.first_chunk::<8>() {
            Some(bytes) => *bytes,
            None => {
                let mut some = [0; 8];
                copy(&mut some, bytes);
                some
            }
        };
        let bits = u64::from_le_bytes(bytes) >> if odd { 4 } else { 0 };
        Eight(bits as u32)
    }
}

/// Eight codes.
#[derive(Clone, Copy)]
pub(crate) struct Eight(u32);

impl Eight {
    /// The codes, from -8 to 7.
    #[inline]
    pub(crate) fn codes(self) -> [i32; 8] {
        [28, 24, 20, 16, 12, 8, 4, 0].map(|shift| (self.0 << shift).cast_signed() >> 28)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn codes_are_those_of_each_half_byte_the_low_one_first() {
        let bytes: Vec<u8> = (0..=255).collect();
        let code = |bits: u8| if bits < 8 { i32::from(bits) } else { i32::from(bits) - 16 };
        let codes: Vec<i32> = bytes.iter().flat_map(|&byte| [code(byte & 15), code(byte >> 4)]).collect();
        let all = Int4::new(&bytes);
        assert_eq!(all.len(), 512);
        for from in 0..520 {
            let mut expected = [0; 8];
            copy(&mut expected, tail(&codes, from));
            assert_eq!(all.eight(from).codes(), expected, "{from}");
            assert_eq!(all.tail(from / 3).eight(from - from / 3).codes(), expected, "{from}");
            assert_eq!(all.tail(from).len(), 512usize.saturating_sub(from));
        }
        assert_eq!(all.tail(usize::MAX).tail(usize::MAX).eight(usize::MAX).codes(), [0; 8]);
    }
}
