//! BinaryI32, Cast and RescaleI32.

use crate::execute::Call;
use tealight_format::DType;
use tealight_format::ops::{BinaryI32, Cast, RescaleI32};
use tealight_kernels::{CastTo, Rescale, binary_i32 as compute, cast as convert};
use tealight_kernels::{narrow_i32, rescale_i32 as rescale, widen_i32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(super) fn binary_i32(op: &BinaryI32, mut call: Call<'_>) {
    let (broadcast, a, b) = (call.broadcast(), call.slice(0), call.slice(1));
    compute(op.function, &broadcast, call.rows.clone(), a, b, call.out());
}

pub(super) fn rescale_i32(op: &RescaleI32, mut call: Call<'_>) {
    let (input, output) = (call.input(0), call.target());
    let zero_point = |is_code: bool, zero_point: i32| if is_code { zero_point } else { 0 };
    let [from, to] = [input.dtype() == DType::I8, output.dtype() == DType::I8];
    let p = Rescale {
        input_zero_point: zero_point(from, input.zero_point()),
        output_zero_point: zero_point(to, output.zero_point()),
        left_shift: op.left_shift,
        factor: op.factor,
        activation: op.activation,
    };
    if to {
        narrow_i32(&p, call.rows_of(0), call.out());
    } else if from {
        widen_i32(&p, call.rows_of(0), call.out());
    } else {
        rescale(&p, call.rows_of(0), call.out());
    }
}

pub(super) fn cast(_: &Cast, call: Call<'_>) {
    match call.input(0).dtype() {
        DType::I8 => from::<i8>(call),
        DType::U8 => from::<u8>(call),
        DType::I16 => from::<i16>(call),
        DType::I32 => from::<i32>(call),
        _ => from::<f32>(call),
    }
}

fn from<A>(call: Call<'_>)
where
    A: CastTo<i8> + CastTo<u8> + CastTo<i16> + CastTo<i32> + CastTo<f32> + FromBytes + Immutable + KnownLayout,
{
    match call.target().dtype() {
        DType::I8 => to::<A, i8>(call),
        DType::U8 => to::<A, u8>(call),
        DType::I16 => to::<A, i16>(call),
        DType::I32 => to::<A, i32>(call),
        _ => to::<A, f32>(call),
    }
}

fn to<'s, A, B>(mut call: Call<'s>)
where
    A: CastTo<B> + FromBytes + Immutable + KnownLayout + 's,
    B: FromBytes + IntoBytes + Immutable + KnownLayout + 's,
{
    convert(call.rows_of::<A>(0), call.out::<B>());
}
