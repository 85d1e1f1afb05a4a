//! Views of a session's inputs and outputs.

use core::fmt;
use tealight_format::{DType, Shape, Value};
use tealight_kernels::float::{Weight, f16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A tensor that can be read.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'s> {
    pub(crate) value: Value,
    pub(crate) bytes: &'s [u8],
}

/// A tensor that can be written: a model input.
#[derive(Debug)]
pub struct TensorMut<'s> {
    pub(crate) value: Value,
    pub(crate) bytes: &'s mut [u8],
}

/// What was to be copied into a tensor does not have its type or length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeError {
    /// Bytes that the tensor holds.
    pub expected: usize,
    /// Bytes that were given.
    pub found: usize,
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tensor holds {} bytes, but {} were given", self.expected, self.found)
    }
}

impl core::error::Error for SizeError {}

macro_rules! describe {
    ($type:ident) => {
        impl $type<'_> {
            /// The type of its elements.
            pub const fn dtype(&self) -> DType {
                self.value.dtype
            }

            /// Its dimensions.
            pub const fn shape(&self) -> Shape {
                self.value.shape
            }

            /// Quantization scale: real = scale * (q - zero_point). 0 where it is not quantized.
            pub const fn scale(&self) -> f32 {
                self.value.scale
            }

            /// Quantization zero point.
            pub const fn zero_point(&self) -> i32 {
                self.value.zero_point
            }
        }
    };
}

describe!(Tensor);
describe!(TensorMut);

impl<'s> Tensor<'s> {
    /// Its bytes, little-endian, row-major.
    pub const fn as_bytes(&self) -> &'s [u8] {
        self.bytes
    }

    /// Its elements as `i8`; empty if it has another type.
    pub fn as_i8(&self) -> &'s [i8] {
        self.elements(DType::I8)
    }

    /// Its elements as `u8`; empty if it has another type.
    pub fn as_u8(&self) -> &'s [u8] {
        self.elements(DType::U8)
    }

    /// Its elements as `i32`; empty if it has another type.
    pub fn as_i32(&self) -> &'s [i32] {
        self.elements(DType::I32)
    }

    /// Its elements as `f32`; empty if it has another type.
    pub fn as_f32(&self) -> &'s [f32] {
        self.elements(DType::F32)
    }

    fn elements<T: FromBytes + Immutable + KnownLayout>(&self, dtype: DType) -> &'s [T] {
        if self.value.dtype == dtype { slice_of(self.bytes) } else { &[] }
    }

    /// The index of the largest element and that element as a real number; `None` for an empty tensor.
    pub fn argmax(&self) -> Option<(usize, f32)> {
        let mut best = None;
        for i in 0.. {
            let Some(value) = self.real(i) else { break };
            if best.is_none_or(|(_, b)| value > b) {
                best = Some((i, value));
            }
        }
        best
    }

    /// Element `i` as a real number, dequantized; `None` past the last.
    pub fn real(&self, i: usize) -> Option<f32> {
        let scale = if self.value.scale == 0.0 { 1.0 } else { self.value.scale };
        let quantized = |q: i32| scale * q.wrapping_sub(self.value.zero_point) as f32;
        match self.value.dtype {
            DType::I8 => self.as_i8().get(i).map(|&q| quantized(i32::from(q))),
            DType::U8 => self.as_u8().get(i).map(|&q| quantized(i32::from(q))),
            DType::I16 => self.elements::<i16>(DType::I16).get(i).map(|&q| quantized(i32::from(q))),
            DType::I32 => self.as_i32().get(i).map(|&q| quantized(q)),
            DType::F32 => self.as_f32().get(i).copied(),
            DType::F16 => self.elements::<f16>(DType::F16).get(i).map(|&x| Weight::to_f32(x)),
        }
    }
}

impl TensorMut<'_> {
    /// Its bytes, little-endian, row-major.
    pub const fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Its elements as `i8`; empty if it has another type.
    pub fn as_i8_mut(&mut self) -> &mut [i8] {
        if self.value.dtype == DType::I8 { slice_of_mut(self.bytes) } else { &mut [] }
    }

    /// Its elements as `f32`; empty if it has another type.
    pub fn as_f32_mut(&mut self) -> &mut [f32] {
        if self.value.dtype == DType::F32 { slice_of_mut(self.bytes) } else { &mut [] }
    }

    /// Copies `elements` into it: as many bytes as it holds, in its own type.
    ///
    /// # Errors
    /// [`SizeError`] if the number of bytes differs. Nothing is written then.
    pub fn copy_from<T: IntoBytes + Immutable>(&mut self, elements: &[T]) -> Result<(), SizeError> {
        let from = elements.as_bytes();
        if from.len() != self.bytes.len() {
            return Err(SizeError { expected: self.bytes.len(), found: from.len() });
        }
        copy(from, self.bytes);
        Ok(())
    }
}

/// Bytes as elements; empty if they are not aligned for them, which a checked model's and an arena's always are.
pub(crate) fn slice_of<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).unwrap_or(&[])
}

/// Bytes as elements that can be written.
pub(crate) fn slice_of_mut<T: FromBytes + IntoBytes + KnownLayout>(bytes: &mut [u8]) -> &mut [T] {
    <[T]>::mut_from_bytes(bytes).unwrap_or(&mut [])
}

/// Copies as many bytes as both hold.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    let len = from.len().min(to.len());
    if let (Some((from, _)), Some((to, _))) = (from.split_at_checked(len), to.split_at_mut_checked(len)) {
        to.copy_from_slice(from);
    }
}
