//! SignalWindow, SignalFftAutoScale, SignalRfft and SignalEnergy.

use super::unsigned;
use crate::execute::Call;
use tealight_format::{DType, ops};
use tealight_kernels::signal;

pub(super) fn window(op: &ops::SignalWindow, mut call: Call<'_>) {
    let (x, window, rows) = (call.i16s(0), call.i16s(1), call.rows.clone());
    signal::window(op.shift.cast_unsigned(), rows, x, window, call.out());
}

pub(super) fn fft_auto_scale(_: &ops::SignalFftAutoScale, mut call: Call<'_>) {
    let x = call.i16s(0);
    if call.target().dtype() == DType::I32 {
        call.out::<u32>().fill(signal::auto_scale_bits(x));
    } else {
        signal::auto_scale(x, call.out());
    }
}

pub(super) fn rfft(_: &ops::SignalRfft, mut call: Call<'_>) {
    let len = call.input(0).shape().from_end(0) as usize;
    let (x, twiddles, rows) = (call.i16s(0), call.slice(1), call.rows.clone());
    signal::rfft(rows, len, x, twiddles, call.out());
}

pub(super) fn energy(op: &ops::SignalEnergy, mut call: Call<'_>) {
    let [start, end] = unsigned([op.start, op.end]);
    let x = call.slice(0);
    signal::energy(start..end, x, call.out());
}
