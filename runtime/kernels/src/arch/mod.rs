//! The inner loops, in the best version for the instruction set: [`portable`](crate::portable), or another module with
//! the same functions and the same results, bit for bit.
//!
//! `preserves_flags` on a block of assembly covers sticky flags too: on Arm Q and GE of the CPSR and QC of the FPSCR,
//! which multiply-accumulate and saturating instructions set, besides the condition flags; on RISC-V `vtype`, `vl` and
//! `vcsr` (The Rust Reference, "Inline assembly", rules). It is therefore used only if no instruction sets any of them.

/// The directive that assembly with the DSP extension begins with: on ARMv8-M the assembler knows its instructions only
/// for a core that has it, whatever the compiler's flags are.
#[cfg(all(arm_dsp, arm_v8m, not(arm_mve)))]
macro_rules! core {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(any(arm_mve, all(arm_dsp, not(arm_v8m))))]
macro_rules! core {
    () => {
        ""
    };
}

#[cfg(all(arm_dsp, arm_vfp))]
mod arm_blocks;
#[cfg(all(arm_dsp, not(arm_mve)))]
mod arm_dsp;
#[cfg(any(arm_dsp, arm_mve))]
mod arm_maxima;
#[cfg(arm_mve)]
mod arm_mve;
#[cfg(arm_neon)]
mod arm_neon;
#[cfg(any(arm_v6m, arm_v7m))]
mod arm_strips;
#[cfg(arm_v6m)]
mod arm_v6m;
#[cfg(arm_v7m)]
mod arm_v7m;
#[cfg(arm_vfp)]
mod arm_vfp;
#[cfg(any(arm_v7m, all(arm_dsp, not(arm_mve))))]
mod arm_words;
mod buffer;
#[cfg(any(arm_v6m, arm_v7m, riscv_m))]
mod channels;
#[cfg(any(arm_neon, x86_64_vectors))]
mod lanes;
#[cfg(riscv_m)]
mod riscv_m;
#[cfg(riscv_v)]
mod riscv_v;
mod rolled;
#[cfg(x86_64_vectors)]
mod x86_64;

#[cfg(any(arm_v6m, arm_v7m))]
pub(crate) use arm_strips::depthwise_line;
pub(crate) use buffer::Buffer;
pub use buffer::{ROOM_FOR_ROWS, with_room_for_rows};
pub(crate) use rolled::rolled;

#[cfg(all(arm_dsp, not(arm_mve)))]
pub(crate) use arm_dsp::{ROWS, SHORTEST_RUN, depthwise, dot_rows, multiply, multiply_taps, requantize};
#[cfg(arm_mve)]
pub(crate) use arm_mve::{
    POOLED, ROWS, SHORTEST_RUN, add_some, copy_run, depthwise, depthwise_lines, depthwise_of_biases, dot_rows,
    multiply, multiply_taps, requantize,
};
#[cfg(arm_neon)]
pub(crate) use arm_neon::{
    PADDED, POOLED, ROWS, SHORTEST_RUN, add_some, convolve, copy_run, depthwise, depthwise_lines, dot_rows, multiply,
    multiply_taps, requantize,
};
#[cfg(arm_v6m)]
pub(crate) use arm_v6m::{
    ROWS, SHORTEST_RUN, add_some, copy_run, depthwise, dot_rows, multiply, multiply_taps, requantize,
};
#[cfg(arm_v7m)]
pub(crate) use arm_v7m::{
    ROWS, SHORTEST_RUN, add_some, copy_run, depthwise, dot_rows, multiply, multiply_taps, requantize,
};
#[cfg(riscv_m)]
pub(crate) use riscv_m::{ROWS, SHORTEST_RUN, add_some, depthwise, dot_rows, multiply, multiply_taps, requantize};
#[cfg(riscv_v)]
pub(crate) use riscv_v::{
    POOLED, ROWS, SHORTEST_RUN, add_some, copy_run, depthwise, depthwise_line, dot_rows, gather, multiply,
    multiply_taps, requantize,
};
#[cfg(x86_64_vectors)]
pub(crate) use x86_64::{
    PADDED, ROWS, SHORTEST_RUN, add_some, convolve, depthwise, depthwise_lines, dot_rows, multiply, multiply_taps,
    requantize,
};

#[cfg(not(any(arm_dsp, arm_mve, arm_neon, arm_v6m, arm_v7m, riscv_m, riscv_v, x86_64_vectors)))]
pub(crate) use crate::composed::{depthwise, multiply};
#[cfg(not(any(arm_dsp, arm_mve, arm_neon, arm_v6m, arm_v7m, riscv_m, riscv_v, x86_64_vectors)))]
pub(crate) use crate::portable::{ROWS, SHORTEST_RUN, dot_rows, multiply_taps, requantize};

#[cfg(not(any(x86_64_vectors, all(arm_dsp, arm_vfp))))]
pub(crate) use crate::block::quantize_block as quantize_q8_0;
#[cfg(all(arm_dsp, arm_vfp))]
pub(crate) use arm_blocks::{multiply_q4_0, multiply_q8_0, quantize_q8_0};

#[cfg(not(x86_64_vectors))]
pub(crate) use crate::block::multiply_rows as multiply_blocks;
#[cfg(arm_neon)]
pub(crate) use arm_neon::multiply_elements;
#[cfg(x86_64_vectors)]
pub(crate) use x86_64::blocks::{multiply_batches, multiply_blocks, multiply_elements, quantize_q8_0};

#[cfg(not(arm_vfp))]
pub(crate) use crate::float::products::add_bias;
#[cfg(not(x86_64_vectors))]
pub(crate) use crate::float::products::{Arranged, for_each_block};
#[cfg(not(any(arm_neon, x86_64_vectors)))]
pub(crate) use crate::float::products::{WHOLE_LINES, depthwise_pixels, multiply_pixels};
#[cfg(not(any(arm_neon, arm_vfp, x86_64_vectors)))]
pub(crate) use crate::float::products::{depthwise_f32, multiply_f32};
#[cfg(not(x86_64_vectors))]
pub(crate) use crate::float::unary::silus;
#[cfg(not(arm_vfp))]
pub(crate) use crate::half_to_f32::{f32_to_half, half_to_f32};
#[cfg(arm_neon)]
pub(crate) use arm_neon::float::{WHOLE_LINES, depthwise_f32, depthwise_pixels, multiply_f32, multiply_pixels};
#[cfg(arm_vfp)]
pub(crate) use arm_vfp::{Element, add_bias, depthwise_f32, f32_to_half, half_to_f32, multiply_f32};
#[cfg(any(arm_neon, x86_64_vectors))]
pub(crate) use lanes::Element;
#[cfg(x86_64_vectors)]
pub(crate) use x86_64::float::{
    Arranged, WHOLE_LINES, depthwise_f32, depthwise_pixels, for_each_block, multiply_f32, multiply_pixels, silus,
};

/// Whether a block of weights is unpacked once for several rows of activations:
/// [`Block::multiply_batches`](crate::block::Block::multiply_batches).
pub(crate) const UNPACKS_ONCE: bool = cfg!(x86_64_vectors);

/// What an instruction set needs for a type of weights: nothing.
#[cfg(not(any(arm_neon, arm_vfp, x86_64_vectors)))]
pub trait Element {}
#[cfg(not(any(arm_neon, arm_vfp, x86_64_vectors)))]
impl Element for f32 {}
#[cfg(not(any(arm_neon, arm_vfp, x86_64_vectors)))]
impl Element for half::f16 {}
#[cfg(not(any(arm_neon, arm_vfp, x86_64_vectors)))]
impl Element for i8 {}

#[cfg(not(any(arm_neon, x86_64_vectors)))]
pub(crate) use crate::composed::convolve;
#[cfg(not(any(arm_v6m, arm_v7m, riscv_v, all(arm_dsp, not(arm_mve)))))]
pub(crate) use crate::composed::depthwise_line;
#[cfg(not(any(arm_mve, arm_neon, x86_64_vectors)))]
pub(crate) use crate::composed::depthwise_lines;
#[cfg(not(arm_mve))]
pub(crate) use crate::composed::depthwise_of_biases;
#[cfg(not(any(riscv_v, all(arm_dsp, not(arm_mve)))))]
pub(crate) use crate::composed::gather;
#[cfg(not(all(arm_dsp, not(arm_mve))))]
pub(crate) use crate::composed::{multiply_gathered, multiply_others, multiply_vector};
#[cfg(not(any(arm_dsp, arm_mve, arm_neon, arm_v6m, arm_v7m, riscv_v)))]
pub(crate) use crate::lines::copy as copy_run;
#[cfg(not(all(arm_dsp, not(arm_mve))))]
pub(crate) use crate::paired::multiply_rows as multiply_paired;
#[cfg(all(arm_dsp, not(arm_mve)))]
pub(crate) use arm_dsp::{
    add_some, copy_run, depthwise_line, gather, multiply_gathered, multiply_others, multiply_paired, multiply_vector,
};

/// In what [`Maxima`](crate::max_pool2d::blocks::Maxima) of 16 channels, of eight and of four are kept.
#[cfg(all(arm_dsp, not(arm_mve)))]
pub(crate) type Maxima16 = arm_maxima::Words<16>;
#[cfg(any(arm_mve, arm_neon, riscv_v, x86_64_vectors))]
pub(crate) type Maxima16 = [i8; 16];
#[cfg(any(arm_dsp, arm_mve))]
pub(crate) type Maxima8 = arm_maxima::Words<8>;
#[cfg(any(arm_dsp, arm_mve))]
pub(crate) type Maxima4 = arm_maxima::Words<4>;
#[cfg(any(arm_neon, x86_64_vectors))]
pub(crate) type Maxima8 = [i8; 8];
#[cfg(any(arm_neon, x86_64_vectors))]
pub(crate) type Maxima4 = [i8; 4];
// Compilers load few bytes in words.
#[cfg(riscv_v)]
pub(crate) type Maxima8 = [i32; 8];
#[cfg(riscv_v)]
pub(crate) type Maxima4 = [i32; 4];

#[cfg(not(any(arm_neon, x86_64_vectors)))]
pub(crate) use crate::portable::PADDED;
#[cfg(not(any(arm_mve, arm_neon, riscv_v)))]
pub(crate) use crate::portable::POOLED;
#[cfg(not(any(arm_dsp, arm_mve, arm_neon, arm_v6m, arm_v7m, riscv_m, riscv_v, x86_64_vectors)))]
pub(crate) use crate::portable::add_some;

#[cfg(not(any(soft_f32, arm_mve, riscv_v)))]
pub(crate) use crate::portable::dequantize_bytes;
#[cfg(not(any(soft_f32, arm_mve, arm_neon, riscv_v)))]
pub(crate) use crate::portable::quantize_bytes;
#[cfg(all(soft_f32, not(riscv_v)))]
pub(crate) use crate::soft_f32::{dequantize_bytes, quantize_bytes};
#[cfg(all(arm_mve, arm_vfp))]
pub(crate) use arm_mve::{dequantize_bytes, quantize_bytes};
#[cfg(arm_neon)]
pub(crate) use arm_neon::float::quantize_bytes;
#[cfg(riscv_v)]
pub(crate) use riscv_v::{dequantize_bytes, quantize_bytes};

/// Whether lines of depthwise convolutions are copied with their padding for [`depthwise`]. Where there are
/// [`depthwise_lines`], other windows are clipped.
pub(crate) const PADS_DEPTHWISE: bool = PADDED != 0 && cfg!(not(arm_neon));

#[cfg(any(test, feature = "compare-arch"))]
pub(crate) mod compare;
#[cfg(any(test, feature = "compare-arch"))]
mod compare_blocks;
#[cfg(any(test, feature = "compare-arch"))]
mod compare_float;

/// The instruction set whose inner loops run here: on x86-64 and 64-bit Arm as found at run time, elsewhere the one that
/// the program is built for.
pub fn instruction_set() -> &'static str {
    #[cfg(x86_64_vectors)]
    return x86_64::instruction_set();
    #[cfg(arm_neon)]
    return arm_neon::instruction_set();
    #[cfg(not(any(x86_64_vectors, arm_neon)))]
    return BUILT_FOR;
}

/// Lets the kernels use no more than the named instruction set, where several are found at run time, and returns
/// whether there is one of this name: for tests and measurements of those that a processor has besides its best. Any
/// later call replaces it.
#[cfg(feature = "compare-arch")]
pub fn use_at_most(name: &str) -> bool {
    #[cfg(x86_64_vectors)]
    return x86_64::use_at_most(name);
    #[cfg(not(x86_64_vectors))]
    return name == instruction_set();
}

/// The instruction set of this build, without what is found at run time.
#[cfg(not(any(x86_64_vectors, arm_neon)))]
const BUILT_FOR: &str = if cfg!(arm_mve) {
    "MVE"
} else if cfg!(arm_dsp) {
    "DSP"
} else if cfg!(arm_v7m) {
    "ARMv7-M"
} else if cfg!(arm_v6m) {
    "ARMv6-M"
} else if cfg!(riscv_v) {
    "RISC-V V"
} else if cfg!(riscv_m) {
    "RISC-V M"
} else {
    "portable"
};
