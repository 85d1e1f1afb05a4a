//! Element types.

/// The number of weights of type [`DType::I4`] of an int8 convolution that a kernel unpacks at a time: what it costs depends
/// on it.
pub const UNPACKED_INT4: usize = 1024;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DType {
    /// Signed 8-bit integer, the activation and weight type of int8 graphs.
    I8 = 0,
    /// Unsigned 8-bit integer: quantized graph inputs and outputs, lookup tables, raw bytes.
    U8 = 1,
    /// Signed 16-bit integer.
    I16 = 2,
    /// Signed 32-bit integer: biases and requantization parameters.
    I32 = 3,
    /// IEEE 754 single precision.
    F32 = 4,
    /// IEEE 754 half precision: only for constants, to store the weights of an f32 layer.
    F16 = 5,
    /// Signed 4-bit integer, two in a byte, the first in the low half: only for constants, to store weights. What follows
    /// the last of an odd number is not read.
    I4 = 6,
}

impl DType {
    /// The type with this code in the plan.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::I8,
            1 => Self::U8,
            2 => Self::I16,
            3 => Self::I32,
            4 => Self::F32,
            5 => Self::F16,
            6 => Self::I4,
            _ => return None,
        })
    }

    /// The number of bytes of one element; of two elements of type I4.
    pub const fn size(self) -> u32 {
        match self {
            Self::I4 | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::F16 => 2,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// The number of bytes of so many elements; `None` if it does not fit.
    pub const fn bytes(self, elements: u32) -> Option<u32> {
        match self {
            Self::I4 => Some(elements.div_ceil(2)),
            _ => elements.checked_mul(self.size()),
        }
    }

    /// The type of the tensor in a safetensors file that holds elements of this type: U8 for I4, which such a file has no
    /// type for, else the same.
    pub const fn stored(self) -> Self {
        match self {
            Self::I4 => Self::U8,
            other => other,
        }
    }

    /// Whether only constants have it.
    pub const fn is_storage(self) -> bool {
        matches!(self, Self::F16 | Self::I4)
    }

    /// Its name: in a safetensors header that of the type which [`stored`](Self::stored) returns.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::I16 => "I16",
            Self::I32 => "I32",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::I4 => "I4",
        }
    }

    /// Whether `self` and `other` are the same type (`==` is not available in constants).
    pub const fn is(self, other: Self) -> bool {
        self as u8 == other as u8
    }

    /// Whether this is one of the two 8-bit types of quantized activations.
    pub const fn is_8_bit(self) -> bool {
        matches!(self, Self::I8 | Self::U8)
    }
}
