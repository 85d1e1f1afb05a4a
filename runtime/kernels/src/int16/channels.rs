//! From the sum of a channel to its int16 output.
//!
//! A sum of 32 bits is requantized as in int8 layers ([`crate::quant`]): twice rounded. One of 64 bits is multiplied by the
//! upper half of the multiplier, and rounded once, halves upward.
//!
//! Source: TensorFlow Lite Micro's `MultiplyByQuantizedMultiplier` for `int64_t`.

use crate::quant::{Channel, multiply_by_quantized_multiplier};
use tealight_types::ActivationRangeI16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The bias, of 64 bits, and the requantization factor of one output channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WideChannel {
    /// The low and the high half of the initial value of the accumulator.
    pub bias: [i32; 2],
    /// Q31 multiplier of the factor `input_scale * weight_scale / output_scale`.
    pub multiplier: i32,
    /// Power of two of that factor, at most 7; positive shifts left.
    pub shift: i32,
}

impl WideChannel {
    /// The channel with this bias and factor.
    pub const fn new(bias: i64, multiplier: i32, shift: i32) -> Self {
        Self { bias: [bias as i32, (bias >> 32) as i32], multiplier, shift }
    }

    /// The initial value of the accumulator.
    #[inline]
    pub const fn bias(&self) -> i64 {
        let [low, high] = self.bias;
        (high as i64) << 32 | low.cast_unsigned() as i64
    }
}

/// The channels of a layer: they say how wide its sums are.
#[derive(Debug, Clone, Copy)]
pub enum Channels<'a> {
    /// Sums of 32 bits.
    Narrow(&'a [Channel]),
    /// Sums of 64 bits.
    Wide(&'a [WideChannel]),
}

impl Channels<'_> {
    /// The output of channel `index` for a sum of products, without the bias; `None` if there is no such channel.
    #[inline]
    pub(super) fn finish(&self, index: usize, sum: i64, activation: ActivationRangeI16) -> Option<i16> {
        let scaled = match self {
            Self::Narrow(channels) => {
                let Channel { bias, multiplier, shift } = *channels.get(index)?;
                // Modulo 2^32, as if all of the sum had 32 bits.
                multiply_by_quantized_multiplier(bias.wrapping_add(sum as i32), multiplier, shift)
            }
            Self::Wide(channels) => {
                let channel = channels.get(index)?;
                multiply_wide(channel.bias().wrapping_add(sum), channel.multiplier, channel.shift)
            }
        };
        Some(activation.clamp(scaled))
    }
}

/// `x * multiplier * 2^(shift - 31)`, with the multiplier rounded to 15 bits, rounded once, halves upward; modulo 2^32.
/// The shift is taken as -31 below that, and as 7 above that.
#[inline]
#[must_use]
pub const fn multiply_wide(x: i64, multiplier: i32, shift: i32) -> i32 {
    const LARGEST: i32 = 0x7fff_0000;
    let reduced = if multiplier < LARGEST { multiplier.wrapping_add(1 << 15) >> 16 } else { LARGEST >> 16 };
    let shift = if shift < -31 {
        -31
    } else if shift > 7 {
        7
    } else {
        shift
    };
    // From 8 to 46.
    let places = (15 - shift).cast_unsigned();
    (x.wrapping_mul(reduced as i64).wrapping_add(1i64.wrapping_shl(places - 1)).wrapping_shr(places)) as i32
}

#[cfg(test)]
mod tests {
    use super::{WideChannel, multiply_wide};

    #[test]
    fn a_bias_survives_its_halves() {
        for bias in [0, -1, 1, i64::MIN, i64::MAX, -(1 << 31), 1 << 32, 0x1234_5678_9abc_def0] {
            assert_eq!(WideChannel::new(bias, 1, 0).bias(), bias);
        }
    }

    #[test]
    fn a_wide_product_rounds_halves_upward() {
        let half = 1 << 30;
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|x| multiply_wide(x, half, 0)), [-1, -1, 0, 0, 1, 1, 2]);
        // The largest multipliers have 15 bits too.
        assert_eq!(multiply_wide(1 << 15, i32::MAX, 0), 0x7fff);
        assert_eq!(multiply_wide(1 << 15, 0x7ffe_8000, 0), 0x7fff);
        assert_eq!(multiply_wide(1, half, 7), 64);
        assert_eq!(multiply_wide(1 << 40, half, -31), 256);
    }
}
