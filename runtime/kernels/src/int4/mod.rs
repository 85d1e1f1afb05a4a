//! Packed int4 weights: two codes a byte, the first in the low half, as TensorFlow Lite has them.
//!
//! Codes follow each other without gaps, so a row of weights may begin in the high half of a byte. Kernels of f32 layers
//! read eight codes at a time, wherever they begin, as a word of 32 bits.
//!
//! Those of int8 layers unpack some filters at a time to a buffer of [`UNPACKED`] bytes, and compute all rows of a call
//! with them by the loops for int8 weights. Where a filter is larger than that, and in fully connected layers, whose
//! weights are used once for each batch, a piece of some filters is unpacked for each product.

mod conv2d;
mod depthwise_conv2d;
mod fully_connected;

pub use conv2d::conv2d_int4_in;
pub use depthwise_conv2d::depthwise_conv2d_int4;
pub use fully_connected::fully_connected_int4;

use crate::arch::dot_rows;
use crate::lines::{copy, run, tail};
use crate::matrix::{Output, bias};
use crate::quant::Channel;
use tealight_types::UNPACKED_INT4;

/// The number of weights of a convolution that are unpacked at a time.
const UNPACKED: usize = UNPACKED_INT4;

/// The number of inputs that are multiplied with unpacked weights at a time.
const PIECE: usize = 64;

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

    /// Writes the first codes to `codes`. If there are fewer, some of its elements stay as they are.
    #[inline(never)]
    pub(crate) fn unpack(self, codes: &mut [i8]) {
        let Self { mut bytes, odd } = self;
        let (first, codes) = codes.split_at_mut(usize::from(odd).min(codes.len()));
        for code in first {
            let Some((byte, later)) = bytes.split_first() else { return };
            (*code, bytes) = (byte.cast_signed() >> 4, later);
        }
        let (eights, rest) = codes.as_chunks_mut::<8>();
        for (codes, bytes) in eights.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *codes = Eight(u32::from_le_bytes(*bytes)).codes().map(|code| code as i8);
        }
        for (codes, byte) in rest.chunks_mut(2).zip(tail(bytes, eights.len().wrapping_mul(4))) {
            for (code, half) in codes.iter_mut().zip([byte << 4, *byte]) {
                *code = half.cast_signed() >> 4;
            }
        }
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

/// What is multiplied with a run of weights.
#[derive(Clone, Copy)]
enum Inputs<'a> {
    /// As many inputs.
    Run(&'a [i8]),
    /// The same for each of so many weights: the zero point, where they meet the padding.
    Same(i8, usize),
}

/// Adds to `accumulators[r]` the dot product of the inputs with row `r` of `weights`, for `N` rows. Row `r` starts at code
/// `r * stride`.
#[inline(never)]
fn dot_rows_int4<const N: usize>(accumulators: &mut [i32; N], inputs: Inputs<'_>, weights: Int4<'_>, stride: usize) {
    let mut unpacked = [[0; PIECE]; N];
    let same = [match inputs {
        Inputs::Same(input, _) => input,
        Inputs::Run(_) => 0,
    }; PIECE];
    let len = match inputs {
        Inputs::Run(inputs) => inputs.len(),
        Inputs::Same(_, len) => len,
    };
    let mut at = 0;
    while at < len {
        let count = (len - at).min(PIECE);
        let mut rows = weights.tail(at);
        for row in &mut unpacked {
            rows.unpack(row.get_mut(..count).unwrap_or(&mut []));
            rows = rows.tail(stride);
        }
        let inputs = match inputs {
            Inputs::Run(inputs) => run(inputs, at, count),
            Inputs::Same(..) => run(&same, 0, count),
        };
        dot_rows(accumulators, inputs, unpacked.as_flattened(), PIECE);
        at += count;
    }
}

/// The products of the inputs of one output, or of one for each filter, with filters.
trait Products {
    /// The number of weights of a filter.
    fn filter_len(&self) -> usize;

    /// Adds them to the accumulators of `N` filters, the first of which `filters` starts with.
    fn add<const N: usize>(&self, accumulators: &mut [i32; N], filters: Int4<'_>);
}

/// Computes an output for each channel, whose filters follow each other: four at a time.
fn multiply_filters(
    products: &impl Products,
    weights: Int4<'_>,
    channels: &[Channel],
    offset: i32,
    finish: Output,
    outputs: &mut [i8],
) {
    let (mut filters, len) = (weights, products.filter_len());
    let (channels_by_4, channels) = channels.as_chunks::<4>();
    let (outputs_by_4, outputs) = outputs.as_chunks_mut::<4>();
    for (channels, outputs) in channels_by_4.iter().zip(outputs_by_4) {
        let mut accumulators = bias(channels, offset);
        products.add(&mut accumulators, filters);
        finish.store(&accumulators, channels, outputs);
        filters = filters.tail(len.wrapping_mul(4));
    }
    for (channel, outputs) in channels.as_chunks::<1>().0.iter().zip(outputs.as_chunks_mut::<1>().0) {
        let mut accumulators = bias(channel, offset);
        products.add(&mut accumulators, filters);
        finish.store(&accumulators, channel, outputs);
        filters = filters.tail(len);
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
        for from in (0..520).step_by(if cfg!(miri) { 37 } else { 1 }) {
            let mut expected = [0; 8];
            copy(&mut expected, tail(&codes, from));
            assert_eq!(all.eight(from).codes(), expected, "{from}");
            assert_eq!(all.tail(from / 3).eight(from - from / 3).codes(), expected, "{from}");
            assert_eq!(all.tail(from).len(), 512usize.saturating_sub(from));
            for len in [0, 1, 2, 7, 8, 9, 15, 16, 17, 40] {
                let mut unpacked = [99; 40];
                all.tail(from).unpack(&mut unpacked[..len]);
                let of = |i: usize| if i < len { codes[from + i] as i8 } else { 99 };
                if from + len <= codes.len() {
                    assert_eq!(unpacked[..], (0..40).map(of).collect::<Vec<i8>>(), "{len} from {from}");
                }
            }
        }
        assert_eq!(all.tail(usize::MAX).tail(usize::MAX).eight(usize::MAX).codes(), [0; 8]);
    }
}
