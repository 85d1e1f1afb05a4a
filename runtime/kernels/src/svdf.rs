//! Svdf: a dense layer over time, factored into features and their history (singular value decomposition
//! filter).
//!
//! Each unit has `rank` filters. A filter projects the input to one feature, stores its last
//! `memory` features, and weights them by age. The unit's output is the sum over its filters, plus a
//! bias:
//! `feature = clamp16((Σ weights_feature * (x - input_zero_point)) * factor_1)`,
//! `out = clamp(zero_point + (bias + Σ weights_time * state) * factor_2)`.
//!
//! State is shifted by one and the new feature is stored last, one unit at a time. A unit reads
//! no other unit's state, so no scratch memory is needed. A row must be computed exactly once per
//! inference.
//!
//! Source: TensorFlow Lite Micro `EvalIntegerSvdfReference`.

use core::ops::Range;

use crate::arch::dot_rows;
use crate::portable::sum;
use crate::quant::{clamp, multiply_by_quantized_multiplier};
use crate::window::div_rem;
use tealight_types::{ActivationRange, Multiplier};

/// Parameters of [`svdf`] and [`svdf_i8_state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Svdf {
    /// The number of input elements, per batch.
    pub input_size: usize,
    /// The number of outputs, per batch.
    pub units: usize,
    /// The number of filters of a unit.
    pub rank: usize,
    /// The number of features that a filter stores.
    pub memory: usize,
    /// Quantized value of a real zero in the input.
    pub input_zero_point: i32,
    /// Quantized value of a real zero in the output.
    pub output_zero_point: i32,
    /// `input_scale * weights_feature_scale / state_scale`.
    pub feature: Multiplier,
    /// `state_scale * weights_time_scale / output_scale`.
    pub output: Multiplier,
    /// The range of the output.
    pub activation: ActivationRange,
}

/// Computes output rows `rows`; a row is one element, unit `row % units` of batch `row / units`, and
/// `output` holds the elements of `rows` only.
///
/// `input` is `[batches, input_size]`, `weights_feature` `[units * rank, input_size]`, `weights_time`
/// `[units * rank, memory]`, `bias` `[units]` or empty, `state` `[batches, units * rank, memory]`.
#[expect(clippy::too_many_arguments, reason = "the operator has five operands")]
pub fn svdf(
    p: &Svdf,
    rows: Range<usize>,
    input: &[i8],
    weights_feature: &[i8],
    weights_time: &[i16],
    bias: &[i32],
    state: &mut [i16],
    output: &mut [i8],
) {
    let weights = Weights { feature: weights_feature, time: weights_time, bias };
    compute(p, 0, rows, input, &weights, state, output);
}

/// [`svdf`] with 8-bit state and time weights. The state has its own zero point.
#[expect(clippy::too_many_arguments, reason = "the operator has five operands")]
pub fn svdf_i8_state(
    p: &Svdf,
    state_zero_point: i32,
    rows: Range<usize>,
    input: &[i8],
    weights_feature: &[i8],
    weights_time: &[i8],
    bias: &[i32],
    state: &mut [i8],
    output: &mut [i8],
) {
    let weights = Weights { feature: weights_feature, time: weights_time, bias };
    compute(p, state_zero_point, rows, input, &weights, state, output);
}

struct Weights<'a, T> {
    feature: &'a [i8],
    time: &'a [T],
    bias: &'a [i32],
}

/// The type of state and time weights.
trait State: Copy + Into<i32> {
    const RANGE: [i32; 2];
    /// The low bits of a value in `RANGE`.
    fn truncate(value: i32) -> Self;
}

impl State for i16 {
    const RANGE: [i32; 2] = [i16::MIN as i32, i16::MAX as i32];
    fn truncate(value: i32) -> Self {
        value as Self
    }
}

impl State for i8 {
    const RANGE: [i32; 2] = [i8::MIN as i32, i8::MAX as i32];
    fn truncate(value: i32) -> Self {
        value as Self
    }
}

fn compute<T: State>(
    p: &Svdf,
    state_zero_point: i32,
    rows: Range<usize>,
    input: &[i8],
    weights: &Weights<'_, T>,
    state: &mut [T],
    output: &mut [i8],
) {
    for (row, output) in rows.zip(output) {
        let (batch, unit) = div_rem(row, p.units);
        let from = batch.wrapping_mul(p.input_size);
        let input = input.get(from..from.wrapping_add(p.input_size)).unwrap_or(&[]);
        let input_offset = p.input_zero_point.wrapping_neg();

        let mut total = weights.bias.get(unit).copied().unwrap_or(0);
        for filter in unit.wrapping_mul(p.rank)..unit.wrapping_add(1).wrapping_mul(p.rank) {
            let feature_at = filter.wrapping_mul(p.input_size);
            let feature_to = feature_at.wrapping_add(p.input_size);
            let feature_weights = weights.feature.get(feature_at..feature_to).unwrap_or(&[]);
            let mut feature = [input_offset.wrapping_mul(sum(feature_weights))];
            dot_rows(&mut feature, input, feature_weights, p.input_size);
            let [feature] = feature;
            let feature = multiply_by_quantized_multiplier(feature, p.feature.multiplier, p.feature.shift);
            let feature = clamp(feature.wrapping_add(state_zero_point), T::RANGE);

            let past = batch.wrapping_mul(p.units.wrapping_mul(p.rank)).wrapping_add(filter);
            let past = past.wrapping_mul(p.memory);
            let past = state.get_mut(past..past.wrapping_add(p.memory)).unwrap_or(&mut []);
            shift_in(past, T::truncate(feature));

            let time_at = filter.wrapping_mul(p.memory);
            let time = weights.time.get(time_at..).unwrap_or(&[]);
            for (&w, &s) in time.iter().zip(&*past) {
                let s: i32 = s.into().wrapping_sub(state_zero_point);
                total = total.wrapping_add(w.into().wrapping_mul(s));
            }
        }
        let scaled = multiply_by_quantized_multiplier(total, p.output.multiplier, p.output.shift);
        *output = p.activation.clamp(scaled.wrapping_add(p.output_zero_point));
    }
}

/// Moves every value one place to the front and stores a new value last.
fn shift_in<T: Copy>(values: &mut [T], newest: T) {
    let mut next = newest;
    for value in values.iter_mut().rev() {
        core::mem::swap(value, &mut next);
    }
}
