//! Packing of elements of 2, 4 and 5 bits into bytes, as in all K types and the types with 32 elements.
//!
//! A run of 32 (or 16) bytes contains several runs of as many elements: the lowest
//! bits of the bytes are the first run, the next bits the second.

use super::{BLOCK, BLOCK_K};

/// 32 elements of 4 bits: the low halves of 16 bytes, then the high halves.
#[inline]
pub(crate) fn nibbles(bytes: &[u8; 16]) -> [i8; BLOCK] {
    let mut out = [0; BLOCK];
    let [low, high] = halves_mut(&mut out);
    for ((low, high), &byte) in low.iter_mut().zip(high).zip(bytes) {
        *low = (byte & 0x0F) as i8;
        *high = (byte >> 4) as i8;
    }
    out
}

/// The two halves of a block of 32.
#[inline]
fn halves_mut<T>(block: &mut [T; BLOCK]) -> [&mut [T]; 2] {
    block.split_at_mut_checked(BLOCK / 2).map_or([&mut [], &mut []], |(a, b)| [a, b])
}

/// The low 4 bits of 32 elements, packed.
#[inline]
pub(crate) fn pack_nibbles(elements: &[u8; BLOCK]) -> [u8; 16] {
    let mut out = [0; 16];
    let (low, high) = elements.split_at_checked(BLOCK / 2).unwrap_or((&[], &[]));
    for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
        *out = (low & 0x0F) | ((high & 0x0F) << 4);
    }
    out
}

/// 32 elements of 5 bits: [`nibbles`], with bit `i` of `high` as the fifth bit of element `i`.
#[inline]
pub(crate) fn quintets(bytes: &[u8; 16], high: [u8; 4]) -> [i8; BLOCK] {
    let mut out = nibbles(bytes);
    for (run, byte) in out.as_chunks_mut::<8>().0.iter_mut().zip(high) {
        for (out, bit) in run.iter_mut().zip([1, 2, 4, 8, 16, 32, 64, 128]) {
            *out |= if byte & bit != 0 { 16 } else { 0 };
        }
    }
    out
}

/// Subtracts `value` from all elements.
#[inline]
pub(crate) fn shift_down(elements: &mut [i8], value: i8) {
    for element in elements {
        *element -= value;
    }
}

/// 32 elements of 5 bits, packed, and their fifth bits.
#[inline]
pub(crate) fn pack_quintets(elements: &[u8; BLOCK]) -> ([u8; 16], [u8; 4]) {
    let bits = elements.iter().rev().fold(0u32, |bits, &element| (bits << 1) | u32::from((element >> 4) & 1));
    (pack_nibbles(elements), bits.to_le_bytes())
}

/// 256 elements of `8 / PARTS` bits: each run of 32 bytes holds `PARTS` runs of elements.
#[inline]
pub(crate) fn unpack<const PARTS: usize>(bytes: &[u8]) -> [i8; BLOCK_K] {
    let width = 8 / PARTS as u32;
    let mask = (1u8 << width) - 1;
    let mut out = [0; BLOCK_K];
    let runs = out.as_chunks_mut::<32>().0.as_chunks_mut::<PARTS>().0;
    for (runs, bytes) in runs.iter_mut().zip(bytes.as_chunks::<32>().0) {
        let mut shift = 0;
        for run in runs {
            for (out, &byte) in run.iter_mut().zip(bytes) {
                *out = (byte.wrapping_shr(shift) & mask) as i8;
            }
            shift += width;
        }
    }
    out
}

/// The inverse of [`unpack`]; elements must not have more bits than that.
#[inline]
pub(crate) fn pack<const PARTS: usize>(elements: &[u8; BLOCK_K], bytes: &mut [u8]) {
    let width = 8 / PARTS as u32;
    let runs = elements.as_chunks::<32>().0.as_chunks::<PARTS>().0;
    for (runs, bytes) in runs.iter().zip(bytes.as_chunks_mut::<32>().0) {
        *bytes = [0; 32];
        let mut shift = 0;
        for run in runs {
            for (byte, &element) in bytes.iter_mut().zip(run) {
                *byte |= element.wrapping_shl(shift);
            }
            shift += width;
        }
    }
}

/// Adds `value` to element `i` where bit `i / 32` of `mask[i % 32]` is set.
#[inline]
pub(crate) fn add_high_bits(elements: &mut [i8; BLOCK_K], mask: &[u8; 32], value: i8) {
    for (bit, run) in (0..).zip(elements.as_chunks_mut::<32>().0) {
        for (element, &mask) in run.iter_mut().zip(mask) {
            *element += (mask.wrapping_shr(bit) & 1) as i8 * value;
        }
    }
}

/// Subtracts `value` from the elements that contain it: the inverse of [`add_high_bits`].
#[inline]
pub(crate) fn take_high_bits(elements: &mut [u8; BLOCK_K], value: u8) -> [u8; 32] {
    let mut masks = [0; 32];
    for (bit, run) in (0..).zip(elements.as_chunks_mut::<32>().0) {
        for (element, mask) in run.iter_mut().zip(&mut masks) {
            if let Some(rest) = element.checked_sub(value) {
                *element = rest;
                *mask |= 1u8.wrapping_shl(bit);
            }
        }
    }
    masks
}
