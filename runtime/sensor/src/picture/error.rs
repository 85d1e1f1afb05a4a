//! What can be wrong with a picture, or with the input that it becomes.

use core::fmt;

/// Why bytes are no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureError {
    /// A dimension is 0.
    Empty {
        /// Pixels of a row.
        width: u16,
        /// The number of rows.
        height: u16,
    },
    /// There are fewer or more bytes than the dimensions say.
    Length {
        /// Bytes of such a picture.
        expected: u64,
        /// The bytes that were given.
        found: usize,
    },
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { width, height } => write!(f, "a picture of {width} x {height} pixels is empty"),
            Self::Length { expected, found } => write!(f, "the picture has {expected} bytes, but {found} were given"),
        }
    }
}

impl core::error::Error for PictureError {}

/// Why a picture does not become an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputError {
    /// The input is not `[1, height, width, channels]` with the number of channels of the front end's colour.
    Channels {
        /// Channels of the colour.
        expected: usize,
        /// Channels of the input.
        found: usize,
    },
    /// The input has fewer or more elements than its height, width and channels say.
    Elements {
        /// Their product.
        expected: usize,
        /// The elements that were given.
        found: usize,
    },
    /// The memory for sums is shorter than a row of the input.
    Sums {
        /// Elements of a row.
        expected: usize,
        /// The sums that were given.
        found: usize,
    },
    /// A dimension of the input is 0, or the picture is so much greater that sums have more than 32 bits.
    Size {
        /// Pixels of the picture along this axis.
        from: u16,
        /// Pixels of the input.
        to: u16,
    },
    /// The front end does not say which value a pixel has, which an input of floating-point elements needs.
    NoNormalization,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channels { expected, found } => {
                write!(f, "the front end computes {expected} channels, but the input has {found}")
            }
            Self::Elements { expected, found } => {
                write!(f, "the input has {expected} elements, but {found} were given")
            }
            Self::Sums { expected, found } => {
                write!(f, "a row of the input has {expected} elements, but there is memory for {found} sums")
            }
            Self::Size { from, to } => write!(f, "{from} pixels cannot become {to}"),
            Self::NoNormalization => {
                write!(f, "an input of floating-point elements needs a front end with mean= and std=")
            }
        }
    }
}

impl core::error::Error for InputError {}
