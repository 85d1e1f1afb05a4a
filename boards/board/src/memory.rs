//! The memory functions that compiled code calls on Cortex-M, in the place of those of `compiler_builtins`.
//!
//! Theirs are unrolled for large blocks, and each function for aligned memory contains them once more: 1.4 KB together.
//! A network copies and fills short runs. On ARMv7-M and later single words may be at any address, so these copy four at
//! a time, whatever their alignment; on ARMv6-M, where they may not, `memcpy` and `memset` stay theirs.
//!
//! Source of the names and what they promise: Run-time ABI for the Arm Architecture, 4.3.4, and the C standard.

use core::arch::global_asm;

/// A function in a section of its own, which the linker leaves out if nothing calls it.
macro_rules! function {
    ([$($name:literal),+], $($line:literal),+ $(,)?) => {
        global_asm!(
            concat!(".section .text.", function!(first $($name),+), ",\"ax\",%progbits"),
            $( concat!(".global ", $name, "\n.type ", $name, ",%function\n.thumb_func\n", $name, ":"), )+
            $( $line, )+
            $( concat!(".size ", $name, ", . - ", $name), )+
        );
    };
    (first $name:literal $(, $others:literal)*) => { $name };
}

// `r0` to `r3` and `r12` are the caller's to keep. `memcpy` and `memset` return their first argument.
#[cfg(not(armv6m))]
function!(
    ["memcpy", "__aeabi_memcpy", "__aeabi_memcpy4", "__aeabi_memcpy8"],
    "mov r12, r0",
    "subs r2, r2, #16",
    "blo 2f",
    "1:",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    "subs r2, r2, #16",
    "bhs 1b",
    "2:",
    "adds r2, r2, #12",
    "blo 4f",
    "3:",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    "subs r2, r2, #4",
    "bhs 3b",
    "4:",
    "adds r2, r2, #4",
    "beq 6f",
    "5:",
    "ldrb r3, [r1], #1",
    "strb r3, [r12], #1",
    "subs r2, r2, #1",
    "bne 5b",
    "6:",
    "bx lr",
);

// Length and byte are in the other order than those of `memset`.
#[cfg(not(armv6m))]
function!(["__aeabi_memclr", "__aeabi_memclr4", "__aeabi_memclr8"], "movs r2, #0", "b.w __aeabi_memset");

#[cfg(not(armv6m))]
function!(["memset"], "mov r3, r1", "mov r1, r2", "mov r2, r3", "b.w __aeabi_memset");

#[cfg(not(armv6m))]
function!(
    ["__aeabi_memset", "__aeabi_memset4", "__aeabi_memset8"],
    "mov r12, r0",
    "and r2, r2, #255",
    "orr r2, r2, r2, lsl #8",
    "orr r2, r2, r2, lsl #16",
    "subs r1, r1, #16",
    "blo 2f",
    "1:",
    "str r2, [r12], #4",
    "str r2, [r12], #4",
    "str r2, [r12], #4",
    "str r2, [r12], #4",
    "subs r1, r1, #16",
    "bhs 1b",
    "2:",
    "adds r1, r1, #16",
    "beq 4f",
    "3:",
    "strb r2, [r12], #1",
    "subs r1, r1, #1",
    "bne 3b",
    "4:",
    "bx lr",
);

#[cfg(armv6m)]
function!(["__aeabi_memcpy4", "__aeabi_memcpy8"], "push {{r4, lr}}", "bl memcpy", "pop {{r4, pc}}");

#[cfg(armv6m)]
function!(["__aeabi_memset4", "__aeabi_memset8"], "push {{r4, lr}}", "bl __aeabi_memset", "pop {{r4, pc}}");

#[cfg(armv6m)]
function!(
    ["__aeabi_memclr", "__aeabi_memclr4", "__aeabi_memclr8"],
    "push {{r4, lr}}",
    "movs r2, #0",
    "bl __aeabi_memset",
    "pop {{r4, pc}}",
);

/// Whether [`core`'s copying and filling](core::ptr), which call these functions, write other bytes than they should, for
/// short lengths at every alignment.
#[cfg(feature = "compare-arch")]
pub(crate) fn differ() -> bool {
    use core::hint::black_box;
    const LEN: usize = 56;
    let from: [u8; LEN] = core::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ 0x5A);
    for len in 0..=40 {
        for (to_at, from_at) in (0..8).flat_map(|to| (0..8).map(move |from| (to, from))) {
            // SAFETY: both runs are within their arrays, which do not overlap.
            let written = unsafe {
                let (mut copied, mut filled) = ([1u8; LEN], [1u8; LEN]);
                let source = black_box(from.as_ptr()).add(from_at);
                black_box(copied.as_mut_ptr()).add(to_at).copy_from_nonoverlapping(source, black_box(len));
                black_box(filled.as_mut_ptr()).add(to_at).write_bytes(black_box(0xC3), black_box(len));
                [copied, filled].map(black_box)
            };
            for i in 0..LEN {
                let inside = (to_at..to_at + len).contains(&i);
                let copied = if inside { from.get(from_at + i - to_at).copied() } else { Some(1) };
                let filled = if inside { 0xC3 } else { 1 };
                let [found_copied, found_filled] = written.map(|written| written.get(i).copied());
                if found_copied != copied || found_filled != Some(filled) {
                    return true;
                }
            }
        }
    }
    false
}
