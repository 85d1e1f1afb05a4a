//! The inner loops, in the best version for the instruction set: [`portable`](crate::portable), or another module with
//! the same functions and the same results, bit for bit.

#[cfg(all(arm_dsp, not(arm_mve)))]
mod arm_dsp;
#[cfg(arm_mve)]
mod arm_mve;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
#[cfg(riscv_v)]
mod riscv_v;

#[cfg(all(arm_dsp, not(arm_mve)))]
pub(crate) use arm_dsp::{dot_rows, multiply_taps};
#[cfg(arm_mve)]
pub(crate) use arm_mve::{ROWS, dot_rows, multiply_taps, requantize};
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub(crate) use neon::dot_rows;
#[cfg(riscv_v)]
pub(crate) use riscv_v::{ROWS, dot_rows, multiply_taps, requantize};

#[cfg(not(any(arm_dsp, arm_mve, riscv_v, all(target_arch = "aarch64", target_feature = "neon"))))]
pub(crate) use crate::portable::dot_rows;
#[cfg(not(any(arm_dsp, arm_mve, riscv_v)))]
pub(crate) use crate::portable::multiply_taps;
#[cfg(not(any(arm_mve, riscv_v)))]
pub(crate) use crate::portable::{ROWS, requantize};

#[cfg(feature = "compare-arch")]
pub(crate) mod compare;
