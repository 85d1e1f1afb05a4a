//! The elements of an input.

use tealight_types::Quantization;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
    impl Sealed for f32 {}
}

/// The type of an input's elements: `i8`, `u8` or `f32`.
pub trait Element: sealed::Sealed + Copy {
    /// The element for a pixel without a normalization: black is the minimum of the type, and white its maximum; `None` if
    /// it has none.
    #[doc(hidden)]
    fn of_pixel(pixel: u8) -> Option<Self>;
    /// The element for a value.
    #[doc(hidden)]
    fn of_value(value: f32, quantization: Quantization) -> Self;
}

impl Element for i8 {
    fn of_pixel(pixel: u8) -> Option<Self> {
        Some((pixel ^ 0x80).cast_signed())
    }

    fn of_value(value: f32, quantization: Quantization) -> Self {
        quantization.quantize(value)
    }
}

impl Element for u8 {
    fn of_pixel(pixel: u8) -> Option<Self> {
        Some(pixel)
    }

    fn of_value(value: f32, quantization: Quantization) -> Self {
        quantization.quantize_u8(value)
    }
}

impl Element for f32 {
    fn of_pixel(_: u8) -> Option<Self> {
        None
    }

    fn of_value(value: f32, _: Quantization) -> Self {
        value
    }
}
