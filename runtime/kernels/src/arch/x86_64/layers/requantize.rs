//! Requantization of the accumulators of a vector.
//!
//! Both roundings of [`requantize_accumulator`](crate::quant::requantize_accumulator) are one of the product in 64
//! bits. With an accumulator `x`, a multiplier `m` and `r` places to the right, it computes
//! `t = floor((x m + 2^30) / 2^31)`, and of that `floor((t - n + 2^(r - 1)) / 2^r)`, where `n` is 1 if `t` is negative
//! and else 0. As `floor((floor(a) + b) / c) = floor((a + b) / c)` for integers `b` and `c`, this is
//! `floor((x m + 2^30 + 2^(r + 30) - n 2^31) / 2^(r + 31))`. If `x m` is negative and `t` is 0, the result is 0 for
//! either `n`; so `n` is 1 where the product is negative. The output's zero point is a multiple of the divisor and is
//! added before, too. As `r` is at least 1, the upper 32 bits of the sum, shifted by `r - 1`, are the result.
//!
//! Where the activation's minimum is the zero point or more, negative results have the same output for either `n`, and
//! it is left out.

/// The maximum number of places to the right with which the zero point is added before the division: with more, the
/// sum could exceed 64 bits.
pub(super) const MOST: i32 = 23;

/// How accumulators become outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Way {
    /// By the formula above, and negative results are clamped to the activation's minimum.
    Positive,
    /// By the formula above.
    Signed,
    /// Some channels have other factors: with places to the left, without places, or with more than [`MOST`].
    General,
}
