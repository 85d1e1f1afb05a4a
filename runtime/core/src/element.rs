//! The Rust types of a tensor's elements.

use tealight_format::DType;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that elements of a tensor have: `i8`, `u8`, `i16`, `i32` or `f32`, each for the [`DType`] of its name.
///
/// The calls that read or write elements take one of these types and compare it with the tensor's. [`DType::F16`] has
/// none: only constants have it, and they are read by [`Tensor::get_f32`](crate::Tensor::get_f32). The trait is sealed.
pub trait Element: sealed::Sealed + Copy + FromBytes + IntoBytes + Immutable + KnownLayout + 'static {
    /// The element type of tensors that hold it.
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
