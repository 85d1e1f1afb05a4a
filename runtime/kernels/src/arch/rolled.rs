//! Loops that are not unrolled.

/// In the body of a loop, keeps compilers from unrolling it for Arm's cores: for loops of few iterations, or that take
/// a small part of the time, whose code would be several times as large.
#[inline(always)]
pub(crate) fn rolled() {
    #[cfg(target_arch = "arm")]
    // SAFETY: there is no instruction.
    unsafe {
        core::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}
