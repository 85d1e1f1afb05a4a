//! Long sums, which all have the same order, and the types of weights.

use crate::half_to_f32::half_to_f32;
use half::f16;

/// An element of stored weights.
pub trait Weight: Copy {
    /// Its value.
    fn to_f32(self) -> f32;
}

impl Weight for f32 {
    #[inline]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Weight for f16 {
    #[inline]
    fn to_f32(self) -> f32 {
        half_to_f32(self)
    }
}

/// A sum in eight lanes. Each slice that is added to it starts at lane 0.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum([f32; 8]);

impl Sum {
    /// Adds `f(x, w)` of the elements of both slices.
    #[inline]
    fn add<W: Copy>(&mut self, x: &[f32], w: &[W], f: impl Fn(f32, W) -> f32) {
        let (x, x_rest) = x.as_chunks::<8>();
        let (w, w_rest) = w.as_chunks::<8>();
        for (x, w) in x.iter().zip(w) {
            for ((lane, &x), &w) in self.0.iter_mut().zip(x).zip(w) {
                *lane += f(x, w);
            }
        }
        for ((lane, &x), &w) in self.0.iter_mut().zip(x_rest).zip(w_rest) {
            *lane += f(x, w);
        }
    }

    /// Adds the products of the elements of two slices of the same length.
    #[inline]
    pub(super) fn add_products<W: Weight>(&mut self, x: &[f32], w: &[W]) {
        self.add(x, w, |x, w| x * w.to_f32());
    }

    #[inline]
    pub(super) fn total(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// The dot product of two slices of the same length.
#[inline]
pub(super) fn dot<W: Weight>(x: &[f32], w: &[W]) -> f32 {
    let mut sum = Sum::default();
    sum.add_products(x, w);
    sum.total()
}

/// The sum of `f(x)` over a slice.
#[inline]
pub(super) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sum = Sum::default();
    sum.add(x, x, |x, _| f(x));
    sum.total()
}

/// Adds `factor * w` to each element of `output`.
#[inline]
pub(super) fn add_scaled<W: Weight>(output: &mut [f32], factor: f32, w: &[W]) {
    for (output, w) in output.iter_mut().zip(w) {
        *output += factor * w.to_f32();
    }
}
