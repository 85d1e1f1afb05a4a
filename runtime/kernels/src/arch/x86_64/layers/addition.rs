//! Sums of two tensors, as many elements at a time as four vectors have lanes.

use super::{Registers, Way};
use crate::add::AddSub;
use crate::matrix::Output;
use crate::quant::Channel;
use tealight_types::{ActivationRange, Multiplier};

/// How an element is scaled after its zero point is subtracted.
struct Scale<R: Registers> {
    zero_point: R::Vector,
    /// Places to the left.
    left: R::Vector,
    /// The factor that follows; `None` if it is a power of two that the places have already, and nothing is rounded.
    factor: Option<(R::Block, Way)>,
}

impl<R: Registers> Scale<R> {
    /// # Safety
    /// The processor has the instructions of `R`.
    #[inline(always)]
    unsafe fn new(factor: Multiplier, zero_point: i32, left: i32) -> Self {
        let right = 1i32.wrapping_sub(factor.shift);
        // A difference of bytes has nine bits.
        let exact = factor.multiplier == 1 << 30
            && (right.max(0)..=22).contains(&left)
            && factor.shift <= 0
            && (-128..=127).contains(&zero_point);
        // SAFETY: guaranteed by the caller.
        unsafe {
            Self {
                zero_point: R::repeat(zero_point),
                left: R::repeat(if exact { left.wrapping_sub(right) } else { left }),
                factor: if exact { None } else { Some(block::<R>(factor, 0, ActivationRange::FULL)) },
            }
        }
    }

    /// # Safety
    /// The processor has the instructions of `R`; there are as many elements as a vector has lanes.
    #[inline(always)]
    unsafe fn scale(&self, x: *const i8) -> R::Vector {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let x = R::shifted(R::subtracted(R::widen(x), self.zero_point), self.left);
            match &self.factor {
                None => x,
                Some((block, Way::General)) => R::scale_in_loop(block, x, Way::General),
                Some((block, _)) => R::scale_in_loop(block, x, Way::Signed),
            }
        }
    }
}

/// The constants of a vector's lanes with one factor.
///
/// # Safety
/// The processor has the instructions of `R`.
#[inline(always)]
unsafe fn block<R: Registers>(factor: Multiplier, zero_point: i32, activation: ActivationRange) -> (R::Block, Way) {
    let Multiplier { multiplier, shift } = factor;
    // SAFETY: guaranteed by the caller.
    unsafe { R::block(&[Channel { bias: 0, multiplier, shift }; 16], Output { zero_point, activation }) }
}

/// Adds the first elements of two slices, and returns their number.
///
/// # Safety
/// The processor has the instructions of `R`.
#[inline(always)]
pub(super) unsafe fn add<R: Registers>(p: &AddSub, a: &[i8], b: &[i8], outputs: &mut [i8]) -> usize {
    let step = 4 * R::LANES;
    let left = p.left_shift & 31;
    let output = Output { zero_point: p.output_zero_point, activation: p.activation };
    let len = outputs.len().min(a.len()).min(b.len());
    // SAFETY: guaranteed by the caller; all elements are within the slices.
    unsafe {
        let (a_scale, b_scale) =
            (Scale::<R>::new(p.a, p.a_zero_point, left), Scale::<R>::new(p.b, p.b_zero_point, left));
        let (factor, way) = block::<R>(p.output, p.output_zero_point, p.activation);
        let clamp = R::clamp(output);
        if len < step {
            return 0;
        }
        let mut done = 0;
        while done < len {
            // What is left is computed together with some that is already computed.
            done = done.min(len - step);
            let mut four = [R::zero(); 4];
            for (i, sum) in four.iter_mut().enumerate() {
                let at = done + i * R::LANES;
                *sum = R::added(a_scale.scale(a.as_ptr().add(at)), b_scale.scale(b.as_ptr().add(at)));
            }
            for sum in &mut four {
                *sum = match way {
                    Way::Positive => R::scale_in_loop(&factor, *sum, Way::Positive),
                    Way::Signed => R::scale_in_loop(&factor, *sum, Way::Signed),
                    Way::General => R::scale_in_loop(&factor, *sum, Way::General),
                };
            }
            R::store_ordered(four, clamp, outputs.as_mut_ptr().add(done));
            done += step;
        }
        done
    }
}
