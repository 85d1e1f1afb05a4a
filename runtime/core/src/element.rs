//! The Rust types of a tensor's elements.

use tealight_format::DType;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

mod sealed {
    pub trait Sealed {}
}

/// The Rust type of a tensor's elements: `i8`, `u8`, `i16`, `i32` or `f32`, each for the [`DType`] of the same name.
///
/// The methods that read or write elements compare this type with the tensor's. No Rust type corresponds to
/// [`DType::F16`]: only constants have it, and [`Tensor::get_f32`](crate::Tensor::get_f32) reads them. The trait is
/// sealed.
pub trait Element: sealed::Sealed + Copy + FromBytes + IntoBytes + Immutable + KnownLayout + 'static {
    /// The element type of tensors with such elements.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident),+ $(,)?) => {
        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const DTYPE: DType = DType::$dtype;
            }
        )+
    };
}

elements! { i8 => I8, u8 => U8, i16 => I16, i32 => I32, f32 => F32 }
