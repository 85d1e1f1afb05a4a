//! LogisticI16 and TanhI16.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::int16;

pub(super) fn logistic_i16(op: &ops::SigmoidI16, mut call: Call<'_>) {
    if let Some(table) = call.slice(1).first_chunk() {
        int16::logistic(&params(op), table, call.rows_of(0), call.out());
    }
}

pub(super) fn tanh_i16(op: &ops::SigmoidI16, mut call: Call<'_>) {
    if let Some(table) = call.slice(1).first_chunk() {
        int16::tanh(&params(op), table, call.rows_of(0), call.out());
    }
}

pub(super) fn params(op: &ops::SigmoidI16) -> int16::Sigmoid {
    int16::Sigmoid { multiplier: op.multiplier, shift: op.shift }
}
