//! Which inputs may be pictures.

use crate::tensor_file::TensorKind;
use tealight_format::DType;
use tealight_sensor::picture;

/// The height, width and channels of an input that may be a picture.
pub(super) fn shape(kind: &TensorKind) -> Option<[u16; 3]> {
    let known = matches!(kind.dtype, DType::I8 | DType::U8 | DType::F32);
    match kind.shape[..] {
        [1, height, width, channels @ (1 | 3)] if known => {
            Some([height.try_into().ok()?, width.try_into().ok()?, channels as u16])
        }
        _ => None,
    }
}

/// Whether a front end computes such an input.
pub(super) fn fits(front_end: &picture::FrontEnd, kind: &TensorKind) -> bool {
    let normalized = kind.dtype != DType::F32 || front_end.normalization.is_some();
    normalized && shape(kind).is_some_and(|[.., channels]| usize::from(channels) == front_end.color.channels())
}

/// Which inputs a front end computes.
pub(super) fn takes(front_end: &picture::FrontEnd) -> String {
    let types = if front_end.normalization.is_some() { "I8, U8 or F32" } else { "I8 or U8 (with std=, also F32)" };
    format!("inputs [1, height, width, {}] of {types}", front_end.color.channels())
}
