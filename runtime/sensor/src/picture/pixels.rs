//! The picture as a camera or a decoder delivers it.

use super::error::PictureError;

/// The channels of a picture's pixels, one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// One: brightness, 0 is black.
    Grey,
    /// Three: red, green, blue.
    Rgb,
}

impl Channels {
    /// The number of channels, which is the number of bytes of a pixel.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// A picture of 8 bits a channel, row by row from the top, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture<'a> {
    width: u16,
    height: u16,
    channels: Channels,
    pixels: &'a [u8],
}

impl<'a> Picture<'a> {
    /// The picture in `pixels`: `width * height * channels.count()` bytes.
    ///
    /// # Errors
    /// A dimension is 0, or `pixels` has another length.
    pub fn new(width: u16, height: u16, channels: Channels, pixels: &'a [u8]) -> Result<Self, PictureError> {
        if width == 0 || height == 0 {
            return Err(PictureError::Empty { width, height });
        }
        // In 64 bits, because a microcontroller's `usize` may be too short for it.
        let expected = u64::from(width) * u64::from(height) * channels.count() as u64;
        if expected != pixels.len() as u64 {
            return Err(PictureError::Length { expected, found: pixels.len() });
        }
        Ok(Self { width, height, channels, pixels })
    }

    /// Pixels of a row.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// The number of rows.
    pub const fn height(&self) -> u16 {
        self.height
    }

    /// The channels of a pixel.
    pub const fn channels(&self) -> Channels {
        self.channels
    }

    /// The bytes of the pixels `first..first + count` of row `y`; empty if there are no such pixels.
    pub(crate) fn pixels_of(&self, y: u16, first: u16, count: u16) -> &'a [u8] {
        let channels = self.channels.count();
        let start = (usize::from(y) * usize::from(self.width) + usize::from(first)) * channels;
        self.pixels.get(start..).and_then(|rest| rest.get(..usize::from(count) * channels)).unwrap_or(&[])
    }
}
