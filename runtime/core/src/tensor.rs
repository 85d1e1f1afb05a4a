//! Typed views of a session's inputs and outputs: elements of another type are refused.

use crate::element::Element;
use crate::score;
use core::fmt;
use tealight_format::{DType, Quantization, Shape, Value};
use tealight_kernels::float::{Weight, f16};
use tealight_kernels::{quantize_i8, quantize_u8};
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

/// The reason why elements do not fit a tensor. Nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorError {
    /// The tensor has another element type.
    Type {
        /// The tensor's element type.
        expected: DType,
        /// The type of the elements that were passed.
        found: DType,
    },
    /// The tensor has another number of elements.
    Length {
        /// The number of elements in the tensor.
        expected: usize,
        /// The number of elements that were passed.
        found: usize,
    },
    /// The tensor has another number of bytes.
    Bytes {
        /// The number of bytes in the tensor.
        expected: usize,
        /// The number of bytes that were passed.
        found: usize,
    },
    /// f32 values cannot be quantized for the tensor: it is neither f32, nor i8 or u8 with a scale.
    NotQuantized {
        /// Its element type.
        dtype: DType,
    },
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { expected, found } => {
                write!(f, "the tensor has elements of type {}, but {} were given", expected.name(), found.name())
            }
            Self::Length { expected, found } => write!(f, "the tensor has {expected} elements, but {found} were given"),
            Self::Bytes { expected, found } => write!(f, "the tensor has {expected} bytes, but {found} were given"),
            Self::NotQuantized { dtype } => {
                write!(f, "the tensor is {} without a scale, so f32 numbers cannot be quantized for it", dtype.name())
            }
        }
    }
}

impl core::error::Error for TensorError {}

#[cfg(feature = "defmt")]
impl defmt::Format for TensorError {
    fn format(&self, f: defmt::Formatter<'_>) {
        match *self {
            Self::Type { expected, found } => {
                defmt::write!(f, "Type {{ expected: {=str}, found: {=str} }}", expected.name(), found.name());
            }
            Self::Length { expected, found } => {
                defmt::write!(f, "Length {{ expected: {=usize}, found: {=usize} }}", expected, found);
            }
            Self::Bytes { expected, found } => {
                defmt::write!(f, "Bytes {{ expected: {=usize}, found: {=usize} }}", expected, found);
            }
            Self::NotQuantized { dtype } => defmt::write!(f, "NotQuantized {{ dtype: {=str} }}", dtype.name()),
        }
    }
}

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

            /// What its elements represent; [`Quantization::NONE`] if it is not quantized.
            pub const fn quantization(&self) -> Quantization {
                self.value.quantization
            }

            /// The quantization scale: an element `q` represents `scale * (q - zero_point)`. 0 if it is not quantized.
            pub const fn scale(&self) -> f32 {
                self.value.quantization.scale
            }

            /// The quantization zero point.
            pub const fn zero_point(&self) -> i32 {
                self.value.quantization.zero_point
            }

            /// The number of its elements.
            pub const fn len(&self) -> usize {
                elements(self.value.dtype, self.bytes.len())
            }

            /// Whether it has no elements. Tensors of a checked model are never empty.
            pub const fn is_empty(&self) -> bool {
                self.bytes.is_empty()
            }
        }
    };
}

describe!(Tensor);
describe!(TensorMut);

/// The number of elements in `bytes` bytes.
const fn elements(dtype: DType, bytes: usize) -> usize {
    match bytes.checked_div(dtype.size() as usize) {
        Some(elements) => elements,
        None => 0,
    }
}

/// Checks the type first, then the number of elements.
fn check<T: Element>(dtype: DType, expected: usize, found: usize) -> Result<(), TensorError> {
    if dtype != T::DTYPE {
        return Err(TensorError::Type { expected: dtype, found: T::DTYPE });
    }
    check_len(expected, found)
}

const fn check_len(expected: usize, found: usize) -> Result<(), TensorError> {
    if expected == found { Ok(()) } else { Err(TensorError::Length { expected, found }) }
}

impl<'s> Tensor<'s> {
    /// Its bytes, little-endian, row-major.
    pub const fn as_bytes(&self) -> &'s [u8] {
        self.bytes
    }

    /// Its elements, row-major; `None` if they have another type than `T`.
    pub fn as_slice<T: Element>(&self) -> Option<&'s [T]> {
        if self.value.dtype == T::DTYPE { Some(slice_of(self.bytes)) } else { None }
    }

    /// Copies its elements to `elements`.
    ///
    /// # Errors
    /// [`TensorError`] if the type or the number of elements differs; nothing is written in that case.
    pub fn copy_to<T: Element>(&self, elements: &mut [T]) -> Result<(), TensorError> {
        check::<T>(self.value.dtype, self.len(), elements.len())?;
        copy(self.bytes, elements.as_mut_bytes());
        Ok(())
    }

    /// The value that element `i` represents, as f32; `None` past the last element. A quantized element represents
    /// `scale * (q - zero_point)`, an integer without a scale its own value.
    pub fn get_f32(&self, i: usize) -> Option<f32> {
        let Quantization { scale, zero_point } = self.value.quantization;
        let quantization = Quantization::new(if scale == 0.0 { 1.0 } else { scale }, zero_point);
        let quantized = |q: i32| quantization.dequantize(q);
        match self.value.dtype {
            DType::I8 => slice_of::<i8>(self.bytes).get(i).map(|&q| quantized(i32::from(q))),
            DType::U8 => self.bytes.get(i).map(|&q| quantized(i32::from(q))),
            DType::I16 => slice_of::<i16>(self.bytes).get(i).map(|&q| quantized(i32::from(q))),
            DType::I32 => slice_of::<i32>(self.bytes).get(i).map(|&q| quantized(q)),
            DType::F32 => slice_of::<f32>(self.bytes).get(i).copied(),
            DType::F16 => slice_of::<f16>(self.bytes).get(i).map(|&x| Weight::to_f32(x)),
            // No input or output has it.
            DType::I4 => None,
        }
    }

    /// The values that its elements represent, as f32: see [`get_f32`](Self::get_f32).
    pub fn iter_f32(&self) -> impl Iterator<Item = f32> + use<'s> {
        let tensor = *self;
        (0..tensor.len()).map_while(move |i| tensor.get_f32(i))
    }

    /// Writes the values that its elements represent to `output`, one f32 for each: see [`get_f32`](Self::get_f32).
    ///
    /// # Errors
    /// [`TensorError::Length`] if `output` has another number of elements; nothing is written in that case.
    pub fn dequantize_into(&self, output: &mut [f32]) -> Result<(), TensorError> {
        check_len(self.len(), output.len())?;
        for (output, number) in output.iter_mut().zip(self.iter_f32()) {
            *output = number;
        }
        Ok(())
    }

    /// The index of the highest element and the value that it represents, by the rule of [`argmax`](crate::argmax): the
    /// first of equal elements, never NaN.
    pub fn argmax(&self) -> Option<(usize, f32)> {
        score::argmax(self.iter_f32())
    }

    /// Writes the highest elements with their indices to `top`, the highest first, and returns the part that was
    /// written, by the rule of [`top_k`](crate::top_k).
    ///
    /// ```
    /// # use tealight::{Arena, Session};
    /// # tealight::include_model!(static RELU = "../tests/relu.safetensors");
    /// # let mut arena = Arena::<{ RELU.arena_len() }>::new();
    /// # let mut session = Session::new(&RELU, &mut arena);
    /// # session.input(0).unwrap().copy_from(&[-5i8, 7, 9]).unwrap();
    /// session.run();
    /// let mut top = [(0, 0.0); 2];
    /// for (class, score) in session.output(0).unwrap().top_k(&mut top) {
    ///     println!("{class}: {score}");
    /// }
    /// # assert_eq!(top, [(2, 9.0), (1, 7.0)]);
    /// ```
    pub fn top_k<'t>(&self, top: &'t mut [(usize, f32)]) -> &'t [(usize, f32)] {
        score::top_k(self.iter_f32(), top)
    }
}

impl TensorMut<'_> {
    /// Its bytes, little-endian, row-major.
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Its bytes for writing, little-endian, row-major.
    pub const fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Its elements for writing, row-major; `None` if they have another type than `T`.
    pub fn as_slice_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        if self.value.dtype == T::DTYPE { Some(slice_of_mut(self.bytes)) } else { None }
    }

    /// Copies `elements` into it. Their type and number must be those of the tensor.
    ///
    /// ```
    /// use tealight::{Arena, DType, Session, TensorError};
    ///
    /// tealight::include_model!(static RELU = "../tests/relu.safetensors"); // three int8 elements in, three out
    /// let mut arena = Arena::<{ RELU.arena_len() }>::new();
    /// let mut session = Session::new(&RELU, &mut arena);
    /// let mut input = session.input(0).ok_or("the model has no input")?;
    ///
    /// input.copy_from(&[-5i8, 0, 5])?;
    /// let refused = input.copy_from(&[200u8, 0, 5]);
    /// assert_eq!(refused, Err(TensorError::Type { expected: DType::I8, found: DType::U8 }));
    /// let refused = input.copy_from(&[1i8, 2, 3, 4]);
    /// assert_eq!(refused, Err(TensorError::Length { expected: 3, found: 4 }));
    /// assert_eq!(input.as_slice_mut::<i8>(), Some(&mut [-5, 0, 5][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TensorError`] if the type or the number of elements differs; nothing is written in that case.
    pub fn copy_from<T: Element>(&mut self, elements: &[T]) -> Result<(), TensorError> {
        check::<T>(self.value.dtype, self.len(), elements.len())?;
        copy(elements.as_bytes(), self.bytes);
        Ok(())
    }

    /// Copies `bytes` into it, whatever its element type. They are little-endian, row-major, as many as the tensor has.
    ///
    /// # Errors
    /// [`TensorError::Bytes`] if the number of bytes differs; nothing is written in that case.
    pub fn copy_from_bytes(&mut self, bytes: &[u8]) -> Result<(), TensorError> {
        if bytes.len() != self.bytes.len() {
            return Err(TensorError::Bytes { expected: self.bytes.len(), found: bytes.len() });
        }
        copy(bytes, self.bytes);
        Ok(())
    }

    /// Quantizes `numbers` into it, one for each element: `round(x / scale) + zero_point`, clamped to the type's range,
    /// as the operator Quantize computes it (in f32, halves rounded away from zero, NaN to the zero point). For an f32
    /// tensor, the numbers are copied unchanged.
    ///
    /// # Errors
    /// [`TensorError::NotQuantized`] if it is neither f32, nor i8 or u8 with a scale; [`TensorError::Length`] if the
    /// number of elements differs. Nothing is written in either case.
    pub fn quantize_from(&mut self, numbers: &[f32]) -> Result<(), TensorError> {
        let Value { dtype, quantization, .. } = self.value;
        if dtype == DType::F32 {
            return self.copy_from(numbers);
        }
        match dtype {
            DType::I8 if quantization.scale > 0.0 => {
                check_len(self.len(), numbers.len())?;
                quantize_i8(quantization, numbers, slice_of_mut(self.bytes));
            }
            DType::U8 if quantization.scale > 0.0 => {
                check_len(self.len(), numbers.len())?;
                quantize_u8(quantization, numbers, self.bytes);
            }
            _ => return Err(TensorError::NotQuantized { dtype }),
        }
        Ok(())
    }
}

/// Bytes as elements; empty if they are not aligned for `T`. Those of a checked model and of an arena always are.
pub(crate) fn slice_of<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).unwrap_or(&[])
}

/// Bytes as elements for writing.
pub(crate) fn slice_of_mut<T: FromBytes + IntoBytes + KnownLayout>(bytes: &mut [u8]) -> &mut [T] {
    <[T]>::mut_from_bytes(bytes).unwrap_or(&mut [])
}

/// Copies as many bytes as both hold.
pub(crate) const fn copy(from: &[u8], to: &mut [u8]) {
    let len = if from.len() < to.len() { from.len() } else { to.len() };
    if let (Some((from, _)), Some((to, _))) = (from.split_at_checked(len), to.split_at_mut_checked(len)) {
        to.copy_from_slice(from);
    }
}
