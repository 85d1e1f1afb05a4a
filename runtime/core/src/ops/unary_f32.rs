//! UnaryF32.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels::float::unary;

pub(super) fn unary_f32(op: &ops::UnaryF32, mut call: Call<'_>) {
    unary(op.function, call.rows_of(0), call.out());
}
