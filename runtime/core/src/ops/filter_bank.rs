//! SignalFilterBank, SignalNoiseEstimate, SignalSpectralSubtraction, SignalPcan and SignalLog.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::signal::{self, NoiseEstimate, SpectralSubtraction};

pub(super) fn filter_bank(_: &ops::SignalFilterBank, mut call: Call<'_>) {
    let bits = call.slice::<u32>(3).first().copied().unwrap_or(0);
    let (energies, weights, bands) = (call.slice(0), call.slice(1), call.slice(2));
    signal::filter_bank(bits, energies, weights, bands, call.out());
}

pub(super) fn noise_estimate(op: &ops::SignalNoiseEstimate, mut call: Call<'_>) {
    let p = NoiseEstimate {
        weights: op.weights.map(|weights| weights.map(i32::cast_unsigned)),
        smoothing_bits: op.smoothing_bits.cast_unsigned(),
        bits: op.bits.cast_unsigned(),
        clamped: op.clamped,
    };
    let x = call.slice(0);
    signal::noise_estimate(&p, x, call.state(), call.out());
}

pub(super) fn spectral_subtraction(op: &ops::SignalSpectralSubtraction, mut call: Call<'_>) {
    let [remaining, smoothing_bits, bits] = [op.remaining, op.smoothing_bits, op.bits].map(i32::cast_unsigned);
    let p = SpectralSubtraction { remaining, smoothing_bits, bits };
    let (x, estimates) = (call.rows_of(0), call.rows_of(1));
    signal::spectral_subtraction(&p, x, estimates, call.out());
}

pub(super) fn pcan(op: &ops::SignalPcan, mut call: Call<'_>) {
    let (x, estimates, gains) = (call.rows_of(0), call.rows_of(1), call.i16s(2));
    signal::pcan(op.shift.cast_unsigned(), x, estimates, gains, call.out());
}

pub(super) fn log(op: &ops::SignalLog, mut call: Call<'_>) {
    let (x, table) = (call.rows_of(0), call.i16s(1));
    signal::log(op.shift.cast_unsigned(), op.scale.cast_unsigned(), x, table, call.out());
}
