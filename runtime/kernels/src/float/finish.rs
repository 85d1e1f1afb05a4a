//! The last steps of a sum of products: the scale of integer weights, the bias, and the clamp to a range.

use super::{at, clamp};
use crate::arch;
use crate::lines::copy;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What finishes the sums of an output channel: its bias, an `f32`, or [`ScaleBias`].
pub trait Finish: Copy {
    /// Whether sums are multiplied by a scale first.
    const SCALED: bool;

    /// The channels that a table of numbers holds, one after another; none if they do not fill it.
    fn of(table: &[f32]) -> &[Self];

    /// Finishes the sum of each channel, and clamps it. Channels that are not listed have bias 0, and scale 0.
    fn finish(sums: &mut [f32], channels: &[Self], activation: [f32; 2]);

    /// The finished sum of channel `i`, not clamped.
    fn finish_one(sum: f32, channels: &[Self], i: usize) -> f32;

    /// The scales of the first eight channels, if sums are scaled, and their biases.
    fn first_eight(channels: &[Self]) -> [[f32; 8]; 2];
}

impl Finish for f32 {
    const SCALED: bool = false;

    #[inline]
    fn of(table: &[f32]) -> &[Self] {
        table
    }

    #[inline]
    fn finish(sums: &mut [f32], channels: &[Self], activation: [f32; 2]) {
        arch::add_bias(sums, channels, activation);
    }

    #[inline]
    fn finish_one(sum: f32, channels: &[Self], i: usize) -> f32 {
        sum + at(channels, i)
    }

    #[inline]
    fn first_eight(channels: &[Self]) -> [[f32; 8]; 2] {
        let mut biases = [0.0; 8];
        match channels.first_chunk() {
            Some(eight) => biases = *eight,
            None => copy(&mut biases, channels),
        }
        [[0.0; 8], biases]
    }
}

/// The scale of the integer weights of an output channel, and its bias: `scale * sum + bias`.
#[derive(Debug, Clone, Copy, PartialEq, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ScaleBias {
    /// The value of a weight of 1.
    pub scale: f32,
    /// What is added after the multiplication.
    pub bias: f32,
}

impl ScaleBias {
    #[inline]
    fn apply(self, sum: f32) -> f32 {
        sum * self.scale + self.bias
    }
}

impl Finish for ScaleBias {
    const SCALED: bool = true;

    #[inline]
    fn of(table: &[f32]) -> &[Self] {
        <[Self]>::ref_from_bytes(table.as_bytes()).unwrap_or(&[])
    }

    fn finish(sums: &mut [f32], channels: &[Self], activation: [f32; 2]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = clamp(Self::finish_one(*sum, channels, i), activation);
        }
    }

    #[inline]
    fn finish_one(sum: f32, channels: &[Self], i: usize) -> f32 {
        channels.get(i).copied().unwrap_or_default().apply(sum)
    }

    #[inline]
    fn first_eight(channels: &[Self]) -> [[f32; 8]; 2] {
        let [mut scales, mut biases] = [[0.0; 8]; 2];
        for ((scale, bias), channel) in scales.iter_mut().zip(&mut biases).zip(channels) {
            (*scale, *bias) = (channel.scale, channel.bias);
        }
        [scales, biases]
    }
}
