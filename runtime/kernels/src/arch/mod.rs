//! The inner loops, in the best version for the instruction set: [`portable`](crate::portable), or another module with
//! the same functions and the same results, bit for bit.

#[cfg(arm_dsp)]
mod arm_dsp;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;

#[cfg(arm_dsp)]
pub(crate) use arm_dsp::{dot_rows, multiply_add};
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub(crate) use neon::dot_rows;

#[cfg(not(any(arm_dsp, all(target_arch = "aarch64", target_feature = "neon"))))]
pub(crate) use crate::portable::dot_rows;
#[cfg(not(arm_dsp))]
pub(crate) use crate::portable::multiply_add;

#[cfg(feature = "compare-arch")]
pub(crate) mod compare;
