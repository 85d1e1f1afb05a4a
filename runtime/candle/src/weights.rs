//! Constants as f32, in any stored type.

use std::borrow::Cow;
use tealight::{DType, Tensor};
use tealight_kernels::float::f16;
use zerocopy::FromBytes;

/// Float weights as they are stored in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored<'s> {
    F32(&'s [f32]),
    F16(&'s [f16]),
}

/// Returns the weights in a tensor of a float type.
pub(crate) fn stored<'s>(tensor: &Tensor<'s>) -> Option<Stored<'s>> {
    match tensor.dtype() {
        DType::F32 => tensor.as_slice().map(Stored::F32),
        DType::F16 => <[f16]>::ref_from_bytes(tensor.as_bytes()).ok().map(Stored::F16),
        _ => None,
    }
}

/// Returns the weights as f32: in place, or a copy if they are stored as f16.
pub(crate) fn decoded(weights: Stored<'_>) -> Cow<'_, [f32]> {
    match weights {
        Stored::F32(weights) => Cow::Borrowed(weights),
        Stored::F16(weights) => Cow::Owned(weights.iter().map(|w| w.to_f32()).collect()),
    }
}
