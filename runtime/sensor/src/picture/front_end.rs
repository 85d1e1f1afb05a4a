//! From a picture to the elements of an input.

use super::axis::{Axis, mean};
use super::error::InputError;
use super::pixels::Picture;
use crate::element::Element;
use crate::normalization::Normalization;
use tealight_types::Quantization;

/// What an input's channels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as OpenCV has them.
    Bgr,
    /// Brightness: `(19595 R + 38470 G + 7471 B + 32768) / 65536`, rounded down. Source: ITU-R BT.601, in Pillow's
    /// integers.
    Grey,
}

impl Color {
    /// The number of channels.
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }

    /// The value of a channel at a pixel, of which `pixel` has the bytes.
    fn channel(self, pixel: &[u8], channel: usize) -> u8 {
        match (self, pixel) {
            (_, &[grey]) => grey,
            (Self::Grey, &[red, green, blue]) => {
                let weighted = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
                ((weighted + 32_768) >> 16) as u8
            }
            (Self::Rgb, &[red, green, blue]) => [red, green, blue].get(channel).copied().unwrap_or(0),
            (Self::Bgr, &[red, green, blue]) => [blue, green, red].get(channel).copied().unwrap_or(0),
            _ => 0,
        }
    }
}

/// How a picture of other proportions than the input's becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The whole picture, distorted.
    Stretch,
    /// The largest part in its middle that has the input's proportions.
    Crop,
}

/// How an input is computed from a picture. The text of a declaration is read by
/// [`parse`](Self::parse) and written by `Display`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontEnd {
    /// The input's channels.
    pub color: Color,
    /// What happens to a picture of other proportions.
    pub fit: Fit,
    /// The value of a pixel from 0 to 255, for [`Color::channels`] channels; `None`: black is the minimum of the input's type, i8 or u8, and white its maximum.
    pub normalization: Option<Normalization>,
}

/// The part of a picture that becomes an input.
struct Part {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
}

impl FrontEnd {
    /// The front end of a model that declares none, for an input of this many channels: the whole picture, from black
    /// to white as the input's type has them. `None` if it has neither one channel nor three.
    pub const fn of_channels(channels: usize) -> Option<Self> {
        let color = match channels {
            1 => Color::Grey,
            3 => Color::Rgb,
            _ => return None,
        };
        Some(Self { color, fit: Fit::Stretch, normalization: None })
    }

    /// Computes an input of shape `[1, height, width, channels]` from a picture: `shape` are the last three, and `input`
    /// has their product of elements.
    ///
    /// Rows and columns are resized apart, columns first, each to the nearest integer; then pixels are normalized and
    /// quantized by one f32 operation after another. So the elements are the same bits on every target. `sums` is
    /// memory for one row of the input: `width * channels`.
    ///
    /// # Errors
    /// The shape does not fit the front end or the lengths, or the sizes cannot be resized to one another.
    pub fn fill<T: Element>(
        &self,
        picture: &Picture<'_>,
        shape: [u16; 3],
        quantization: Quantization,
        sums: &mut [u32],
        input: &mut [T],
    ) -> Result<(), InputError> {
        let [height, width, found] = shape.map(usize::from);
        let channels = self.color.channels();
        if found != channels {
            return Err(InputError::Channels { expected: channels, found });
        }
        let expected = height.saturating_mul(width).saturating_mul(channels);
        if input.len() != expected {
            return Err(InputError::Elements { expected, found: input.len() });
        }
        let (row, found) = (width * channels, sums.len());
        let Some(sums) = sums.get_mut(..row) else { return Err(InputError::Sums { expected: row, found }) };
        let part = self.part(picture, shape[0], shape[1]);
        let axis = |from, to| Axis::new(from, to).ok_or(InputError::Size { from, to });
        let (down, across) = (axis(part.height, shape[0])?, axis(part.width, shape[1])?);
        for (y, elements) in (0_u32..).zip(input.chunks_exact_mut(row)) {
            self.resize_row(picture, &part, y, down, across, sums);
            for (i, (element, pixel)) in elements.iter_mut().zip(&*sums).enumerate() {
                *element = self.element(*pixel as u8, i % channels, quantization)?;
            }
        }
        Ok(())
    }

    /// Computes the pixels of row `y` of the input into `sums`.
    fn resize_row(&self, picture: &Picture<'_>, part: &Part, y: u32, down: Axis, across: Axis, sums: &mut [u32]) {
        let (bytes, channels) = (picture.channels().count(), self.color.channels());
        sums.fill(0);
        for source in down.window(y) {
            let weight = down.weight(y, source);
            // The window is a part of the part, whose length has 16 bits.
            let pixels = picture.pixels_of(part.top + source as u16, part.left, part.width);
            for (x, pixel_sums) in (0_u32..).zip(sums.chunks_exact_mut(channels)) {
                let (mut means, mut total) = ([0; 3], 0);
                let window = across.window(x);
                for (at, pixel) in window.clone().zip(pixels.chunks_exact(bytes).skip(window.start as usize)) {
                    let weight = across.weight(x, at);
                    total += weight;
                    for (channel, sum) in means.iter_mut().enumerate().take(channels) {
                        *sum += weight * u32::from(self.color.channel(pixel, channel));
                    }
                }
                for (sum, across) in pixel_sums.iter_mut().zip(means) {
                    *sum += weight * mean(across, total);
                }
            }
        }
        let total = down.total(y);
        sums.iter_mut().for_each(|sum| *sum = mean(*sum, total));
    }

    /// The element of a pixel.
    fn element<T: Element>(&self, pixel: u8, channel: usize, quantization: Quantization) -> Result<T, InputError> {
        match &self.normalization {
            Some(normalization) => Ok(T::of_value(normalization.value(pixel.into(), channel), quantization)),
            None => T::of_pixel(pixel).ok_or(InputError::NoNormalization),
        }
    }

    /// The part of the picture that becomes an input of `height` rows of `width` pixels.
    fn part(&self, picture: &Picture<'_>, height: u16, width: u16) -> Part {
        let (has_width, has_height) = (picture.width(), picture.height());
        let whole = Part { left: 0, top: 0, width: has_width, height: has_height };
        if self.fit == Fit::Stretch || width == 0 || height == 0 {
            return whole;
        }
        // `length` times `to / from`, to nearest, from 1 to `at_most`.
        let scaled = |length: u16, to: u16, from: u16, at_most: u16| {
            let product = u64::from(length) * u64::from(to) + u64::from(from) / 2;
            let scaled = product.checked_div(u64::from(from)).unwrap_or(0).clamp(1, u64::from(at_most));
            scaled as u16
        };
        if u32::from(has_width) * u32::from(height) > u32::from(has_height) * u32::from(width) {
            let narrow = scaled(has_height, width, height, has_width);
            Part { left: (has_width - narrow) / 2, width: narrow, ..whole }
        } else {
            let low = scaled(has_width, height, width, has_height);
            Part { top: (has_height - low) / 2, height: low, ..whole }
        }
    }
}
