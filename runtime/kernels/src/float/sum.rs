//! Long sums, which all have the same order, and the types of weights.

use super::finish::{Finish, ScaleBias};
use crate::arch;
use crate::int4::Eight;
use crate::portable::Window;
use half::f16;

/// An element of stored weights: f32, f16, or i8 with a scale for each output channel.
pub trait Weight: Copy + arch::Element {
    /// What an output channel has besides its weights: a bias; for integers, their scale too.
    type Finish: Finish;

    /// Its value, without the scale.
    fn to_f32(self) -> f32;
}

impl Weight for f32 {
    type Finish = Self;

    #[inline]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Weight for f16 {
    type Finish = f32;

    #[inline]
    fn to_f32(self) -> f32 {
        arch::half_to_f32(self)
    }
}

impl Weight for i8 {
    type Finish = ScaleBias;

    #[inline]
    fn to_f32(self) -> f32 {
        self.into()
    }
}

/// A sum in eight lanes. Each slice that is added to it starts at lane 0.
#[derive(Clone, Copy, Default)]
pub struct Sum([f32; 8]);

impl Sum {
    /// Adds to each lane the product of its elements; at most eight.
    #[inline]
    fn add_lanes<W: Weight>(&mut self, x: &[f32], w: &[W]) {
        for ((lane, &x), &w) in self.0.iter_mut().zip(x).zip(w) {
            *lane += x * w.to_f32();
        }
    }

    /// Adds to each lane the product of its elements; at most eight.
    #[inline]
    pub(super) fn add_codes(&mut self, x: &[f32], codes: Eight) {
        for ((lane, &x), code) in self.0.iter_mut().zip(x).zip(codes.codes()) {
            *lane += x * code as f32;
        }
    }

    /// The sum of the lanes.
    #[inline]
    pub(super) fn total(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// Adds to each sum the products of the elements of `x` and of its row, which has the same length.
#[inline]
pub(super) fn add_products<W: Weight, const N: usize>(sums: &mut [Sum; N], x: &[f32], rows: [&[W]; N]) {
    let (x, x_rest) = x.as_chunks::<8>();
    let chunks = rows.map(|row| row.as_chunks::<8>());
    for (i, x) in x.iter().enumerate() {
        for (sum, (row, _)) in sums.iter_mut().zip(chunks) {
            if let Some(w) = row.get(i) {
                sum.add_lanes(x, w);
            }
        }
    }
    for (sum, (_, w_rest)) in sums.iter_mut().zip(chunks) {
        sum.add_lanes(x_rest, w_rest);
    }
}

/// Writes to `outputs[r]` the dot product of `x` with row `r` of `weights`, which starts at element `r * stride`.
#[inline]
pub(super) fn dot_rows<W: Weight>(x: &[f32], weights: &[W], stride: usize, outputs: &mut [f32]) {
    arch::multiply_f32(&Window::ONE, x.len(), x, weights, stride, outputs);
}

/// The sum of `f(x)` over a slice.
#[inline]
pub(super) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sum = Sum::default();
    for x in x.chunks(8) {
        for (lane, &x) in sum.0.iter_mut().zip(x) {
            *lane += f(x);
        }
    }
    sum.total()
}

/// Adds `factor * w` to each element of `output`.
#[inline]
pub(super) fn add_scaled<W: Weight>(output: &mut [f32], factor: f32, w: &[W]) {
    for (output, w) in output.iter_mut().zip(w) {
        *output += factor * w.to_f32();
    }
}
