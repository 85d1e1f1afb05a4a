//! The inner loops, in the best version for the instruction set: [`portable`](crate::portable), or another module with
//! the same functions and the same results, bit for bit.

#[cfg(arm_dsp)]
mod arm_dsp;

#[cfg(arm_dsp)]
pub(crate) use arm_dsp::{dot_rows, multiply_add};

#[cfg(not(arm_dsp))]
pub(crate) use crate::portable::{dot_rows, multiply_add};

#[cfg(feature = "compare-arch")]
pub(crate) mod compare;
