//! Iteration over two operands and one output together, with either operand repeated along some dimensions.
//!
//! A stride of 0 repeats an operand. Adjacent dimensions that both operands traverse like a single
//! dimension are merged. The common cases (equal shapes, a scalar, a vector along the channels) then
//! become long runs with a constant step.

use core::ops::Range;

use crate::lines::tail;
use crate::window::div_rem;

/// Shapes of an elementwise operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broadcast {
    /// Output shape, padded with leading ones.
    pub dims: [usize; 6],
    /// Elements from one index to the next in the first operand; 0 in dimensions where it is repeated.
    pub a_strides: [usize; 6],
    /// Elements from one index to the next in the second operand; 0 in dimensions where it is repeated.
    pub b_strides: [usize; 6],
    /// The number of elements of one row: the product of the trailing dimensions that a row covers.
    pub row_len: usize,
}

impl Broadcast {
    /// Two operands of one shape; rows of `row_len` elements.
    #[must_use]
    pub const fn elementwise(len: usize, row_len: usize) -> Self {
        let strides = [len, len, len, len, len, 1];
        Self { dims: [1, 1, 1, 1, 1, len], a_strides: strides, b_strides: strides, row_len }
    }

    /// Writes `f(a, b)` to every element of `rows`.
    #[inline]
    pub(crate) fn for_each<T: Copy>(
        &self,
        rows: Range<usize>,
        a: &[T],
        b: &[T],
        output: &mut [T],
        f: impl Fn(T, T) -> T,
    ) {
        self.for_each_run(rows, a, b, output, f, |_, _, _| 0);
    }

    /// The same; `some` may compute the first elements of operands that lie side by side, and returns their number.
    #[inline]
    pub(crate) fn for_each_run<T: Copy>(
        &self,
        rows: Range<usize>,
        a: &[T],
        b: &[T],
        output: &mut [T],
        f: impl Fn(T, T) -> T,
        some: impl Fn(&[T], &[T], &mut [T]) -> usize,
    ) {
        let (run, outer) = self.runs();
        let mut at = rows.start.wrapping_mul(self.row_len);
        let len = rows.len().wrapping_mul(self.row_len).min(output.len());
        let mut output = output.get_mut(..len).unwrap_or(&mut []);
        while !output.is_empty() {
            let (index, within) = div_rem(at, run.len);
            let (mut a_at, mut b_at) = (within * run.a_stride, within * run.b_stride);
            let mut index = index;
            for dimension in &outer {
                let (rest, i) = div_rem(index, dimension.len);
                a_at = a_at.wrapping_add(i.wrapping_mul(dimension.a_stride));
                b_at = b_at.wrapping_add(i.wrapping_mul(dimension.b_stride));
                index = rest;
            }
            // The run of an empty range is empty: advance by at least one, so the loop ends.
            let count = run.len.saturating_sub(within).max(1).min(output.len());
            let Some((now, later)) = output.split_at_mut_checked(count) else {
                return;
            };
            let (a, b) = (tail(a, a_at), tail(b, b_at));
            run.apply(a, b, now, &f, &some);
            output = later;
            at = at.wrapping_add(count);
        }
    }

    /// The innermost run, and the dimensions outside it from the last to the first.
    #[inline]
    fn runs(&self) -> (Dimension, [Dimension; 6]) {
        let mut outer = [Dimension::ONE; 6];
        let strides = self.a_strides.iter().zip(&self.b_strides);
        for ((outer, &len), (&a_stride, &b_stride)) in outer.iter_mut().zip(&self.dims).zip(strides) {
            *outer = Dimension { len, a_stride, b_stride };
        }
        outer.reverse();
        let mut run = Dimension { len: 1, a_stride: 1, b_stride: 1 };
        for dimension in &mut outer {
            let Dimension { len, a_stride, b_stride } = *dimension;
            let goes_on =
                a_stride == run.a_stride.wrapping_mul(run.len) && b_stride == run.b_stride.wrapping_mul(run.len);
            if len == 1 {
                continue;
            } else if run.len == 1 {
                run = *dimension;
            } else if goes_on {
                run.len = run.len.wrapping_mul(len);
            } else {
                break;
            }
            // The dimension is now part of the run.
            *dimension = Dimension::ONE;
        }
        (run, outer)
    }
}

/// One dimension, and the stride of each operand along it.
#[derive(Clone, Copy)]
struct Dimension {
    len: usize,
    a_stride: usize,
    b_stride: usize,
}

impl Dimension {
    const ONE: Self = Self { len: 1, a_stride: 0, b_stride: 0 };

    /// Writes `f(a, b)` along this dimension.
    #[inline]
    fn apply<T: Copy>(
        &self,
        a: &[T],
        b: &[T],
        output: &mut [T],
        f: impl Fn(T, T) -> T,
        some: impl Fn(&[T], &[T], &mut [T]) -> usize,
    ) {
        match (self.a_stride, self.b_stride) {
            (1, 1) => {
                let done = some(a, b, output);
                let (a, b, output) = (tail(a, done), tail(b, done), output.get_mut(done..).unwrap_or(&mut []));
                for ((output, &a), &b) in output.iter_mut().zip(a).zip(b) {
                    *output = f(a, b);
                }
            }
            (a_stride, b_stride) => {
                let (mut a_at, mut b_at) = (0usize, 0usize);
                for output in output {
                    if let (Some(&a), Some(&b)) = (a.get(a_at), b.get(b_at)) {
                        *output = f(a, b);
                    }
                    a_at = a_at.wrapping_add(a_stride);
                    b_at = b_at.wrapping_add(b_stride);
                }
            }
        }
    }
}
