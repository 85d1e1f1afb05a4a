//! A digest of inputs that are computed from fixed data, for comparison on a new target: the bits must be the same on all.
//! It needs about 4 KB of stack.
//!
//! ```
//! assert_eq!(tealight_sensor::selftest::digest(), tealight_sensor::selftest::RECORDED);
//! ```

use crate::element::Element;
use crate::normalization::{Normalization, PerChannel};
use crate::picture::{self, Channels, Color, Fit, Picture};
use crate::series;
use tealight_types::Quantization;

/// The digest on a target that computes the right bits.
pub const RECORDED: u64 = 4_748_103_921_274_924_634;

/// The height, width and channels of the input.
const SHAPE: [u16; 3] = [9, 11, 3];
/// Its elements.
const ELEMENTS: usize = 9 * 11 * 3;
/// Pixels of a row of the picture, and its number of rows.
const SIZE: [u16; 2] = [23, 7];

/// The digest on this target, 64-bit FNV-1a: a picture that shrinks along one axis and grows along the other as an input of
/// each type, and a series. 0 if an input cannot be computed.
pub fn digest() -> u64 {
    let mut pixels = [0; 23 * 7 * 3];
    for (i, pixel) in (0_u32..).zip(&mut pixels) {
        *pixel = (i.wrapping_mul(i).wrapping_mul(31).wrapping_add(i.wrapping_mul(7)) >> 3) as u8;
    }
    let normalization = Normalization { mean: PerChannel::all(127.5), std: PerChannel::all(58.4) };
    let [width, height] = SIZE;
    let Ok(picture) = Picture::new(width, height, Channels::Rgb, &pixels) else { return 0 };
    let quantization = Quantization::new(0.018, -3);
    let front_end = |color, fit| picture::FrontEnd { color, fit, normalization: Some(normalization) };
    let inputs = [
        of_picture::<i8>(&front_end(Color::Rgb, Fit::Stretch), &picture, quantization, |code| code as u32),
        of_picture::<u8>(&front_end(Color::Bgr, Fit::Crop), &picture, quantization, u32::from),
        of_picture::<f32>(&front_end(Color::Rgb, Fit::Crop), &picture, quantization, f32::to_bits),
        of_series(&normalization, quantization),
    ];
    inputs.iter().try_fold(0xcbf2_9ce4_8422_2325, |hash, input| Some(add(hash, (*input)?))).unwrap_or(0)
}

/// The digest of an input of elements of one type.
fn of_picture<T: Element + Default>(
    front_end: &picture::FrontEnd,
    picture: &Picture<'_>,
    quantization: Quantization,
    bits: fn(T) -> u32,
) -> Option<u64> {
    let (mut sums, mut input) = ([0; 11 * 3], [T::default(); ELEMENTS]);
    front_end.fill(picture, SHAPE, quantization, &mut sums, &mut input).ok()?;
    Some(input.iter().fold(0, |hash, element| add(hash, u64::from(bits(*element)))))
}

/// The digest of an input of readings.
fn of_series(normalization: &Normalization, quantization: Quantization) -> Option<u64> {
    let mut readings = [0.0; 60];
    for (i, reading) in (0_u16..).zip(&mut readings) {
        *reading = f32::from(i) * 4.7 - 0.3;
    }
    let mut input = [0_i8; 60];
    let front_end = series::FrontEnd { normalization: Some(*normalization), hop: None };
    front_end.fill(&readings, 6, quantization, &mut input).ok()?;
    Some(input.iter().fold(0, |hash, code| add(hash, *code as u64)))
}

/// Adds the eight bytes of a word.
fn add(hash: u64, word: u64) -> u64 {
    word.to_le_bytes().iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
