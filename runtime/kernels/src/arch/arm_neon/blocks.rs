//! Block products of types with blocks of 32 elements: four rows at a time, whose sums are the lanes of a register. Each
//! is the sum of its blocks in their order.

use super::products::{Products, total};
use crate::block::{Block, BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1};
use core::arch::aarch64::{
    float32x4_t, int8x16_t, uint8x16_t, uint16x4_t, vaddq_f32, vandq_u8, vcombine_u8, vcvtq_f32_s32, vdup_n_u8,
    vdup_n_u16, vdupq_n_f32, vdupq_n_s8, vdupq_n_s32, vdupq_n_u8, vld1q_s8, vld1q_u8, vld1q_u32, vmovn_u32, vmulq_f32,
    vorrq_u8, vreinterpretq_s8_u8, vshrn_n_u32, vshrq_n_u8, vst1q_f32, vsubq_s8, vtstq_u8,
};
use core::arch::asm;

/// A type of weights with blocks of 32 elements. A block starts with its factor in half precision, after which offset or
/// sum follow where there are any, and ends with its elements; so does a block of activations.
pub(crate) trait Elements: Block {
    /// Whether an offset of the weights is multiplied by a sum of the activations.
    const OFFSET: bool = false;

    /// The integers of a block's elements, in their order.
    ///
    /// # Safety
    /// There is a block at `block`.
    unsafe fn load(block: *const Self) -> [int8x16_t; 2];
}

/// The last `N` bytes of a block.
#[inline(always)]
fn end<const N: usize, B>(block: *const B) -> *const u8 {
    block.cast::<u8>().wrapping_add(size_of::<B>() - N)
}

/// 32 elements of four bits: the lower halves of the last 16 bytes of a block, then the upper ones.
///
/// # Safety
/// As for [`Elements::load`].
#[inline(always)]
unsafe fn nibbles<B>(block: *const B) -> [uint8x16_t; 2] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let bytes = vld1q_u8(end::<16, B>(block));
        [vandq_u8(bytes, vdupq_n_u8(0x0F)), vshrq_n_u8::<4>(bytes)]
    }
}

/// 32 elements of five bits: [`nibbles`], and the four bytes before them have a fifth bit of each.
///
/// # Safety
/// As for [`Elements::load`].
#[inline(always)]
unsafe fn quintets<B>(block: *const B) -> [uint8x16_t; 2] {
    static BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: guaranteed by the caller.
    unsafe {
        let [a, b, c, d] = end::<20, B>(block).cast::<[u8; 4]>().read_unaligned();
        let (bits, [low, high]) = (vld1q_u8(BITS.as_ptr()), nibbles(block));
        let fifth = |first, second| {
            let set = vtstq_u8(vcombine_u8(vdup_n_u8(first), vdup_n_u8(second)), bits);
            vandq_u8(set, vdupq_n_u8(16))
        };
        [vorrq_u8(low, fifth(a, b)), vorrq_u8(high, fifth(c, d))]
    }
}

/// 32 elements of eight bits.
///
/// # Safety
/// There is a block at `block`.
#[inline(always)]
unsafe fn bytes<B>(block: *const B) -> [int8x16_t; 2] {
    let elements = end::<32, B>(block).cast();
    // SAFETY: guaranteed by the caller.
    unsafe { [vld1q_s8(elements), vld1q_s8(elements.wrapping_add(16))] }
}

/// Elements that are stored as so much more than their integers.
#[inline(always)]
fn less(elements: [uint8x16_t; 2], excess: i8) -> [int8x16_t; 2] {
    // SAFETY: this file is compiled only for targets with NEON.
    elements.map(|some| unsafe { vsubq_s8(vreinterpretq_s8_u8(some), vdupq_n_s8(excess)) })
}

macro_rules! elements {
    ($($block:ty: $load:expr $(, $offset:ident = $value:literal)?;)*) => {
        $(impl Elements for $block {
            $(const $offset: bool = $value;)?

            #[inline(always)]
            unsafe fn load(block: *const Self) -> [int8x16_t; 2] {
                // SAFETY: guaranteed by the caller.
                unsafe { $load(block) }
            }
        })*
    };
}

elements! {
    BlockQ4_0: |block| less(nibbles(block), 8);
    BlockQ4_1: |block| less(nibbles(block), 0), OFFSET = true;
    BlockQ5_0: |block| less(quintets(block), 16);
    BlockQ5_1: |block| less(quintets(block), 0), OFFSET = true;
    BlockQ8_0: bytes;
    BlockQ8_1: bytes;
}

/// Four halves in single precision.
#[inline(always)]
fn singles(halves: uint16x4_t) -> float32x4_t {
    let singles;
    // SAFETY: the instruction is Armv8.0's; of a signaling NaN it sets a sticky flag.
    unsafe {
        asm!(
            "fcvtl {singles:v}.4s, {halves:v}.4h",
            singles = lateout(vreg) singles, halves = in(vreg) halves,
            options(pure, nomem, nostack),
        );
    }
    singles
}

/// The half at an address, in single precision, in all lanes.
///
/// # Safety
/// There are two bytes.
#[inline(always)]
unsafe fn half(from: *const u8) -> float32x4_t {
    // SAFETY: guaranteed by the caller.
    singles(unsafe { vdup_n_u16(from.cast::<u16>().read_unaligned()) })
}

/// The dot products of four rows.
///
/// # Safety
/// There are `count` blocks from each pointer on; the core has the instructions of `P`.
#[inline(always)]
unsafe fn four_rows<P: Products, B: Elements>(
    rows: [*const B; 4],
    activations: *const B::Activation,
    count: usize,
) -> [f32; 4] {
    let mut totals = [0.0; 4];
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = vdupq_n_f32(0.0);
        for i in 0..count {
            let (blocks, activations) = (rows.map(|row| row.wrapping_add(i)), activations.wrapping_add(i));
            let (x, [a, b, c, d]) = (bytes(activations), blocks.map(|block| B::load(block)));
            let two = |a: [int8x16_t; 2], b: [int8x16_t; 2]| {
                P::add_two(P::add_two([vdupq_n_s32(0); 2], x[0], [a[0], b[0]]), x[1], [a[1], b[1]])
            };
            let ([a, b], [c, d]) = (two(a, b), two(c, d));
            let heads = blocks.map(|block| block.cast::<u32>().read_unaligned());
            let heads = vld1q_u32(heads.as_ptr());
            let head = activations.cast::<u8>();
            let factors = singles(vmovn_u32(heads));
            let mut product = vmulq_f32(vmulq_f32(vcvtq_f32_s32(total([a, b, c, d])), factors), half(head));
            if B::OFFSET {
                let offsets = singles(vshrn_n_u32::<16>(heads));
                product = vaddq_f32(product, vmulq_f32(offsets, half(head.wrapping_add(2))));
            }
            sums = vaddq_f32(sums, product);
        }
        vst1q_f32(totals.as_mut_ptr(), sums);
    }
    totals
}

/// [`Block::multiply`] for at least one block a row.
///
/// # Safety
/// There are as many rows as outputs; the core has the instructions of `P`.
pub(super) unsafe fn multiply<P: Products, B: Elements>(
    weights: *const B,
    activations: &[B::Activation],
    outputs: &mut [f32],
) {
    let (blocks, mut first) = (activations.len(), weights);
    for outputs in outputs.chunks_mut(4) {
        // In the place of rows that are not there, the last one is multiplied again.
        let last = outputs.len() - 1;
        let rows = core::array::from_fn(|r| first.wrapping_add(r.min(last) * blocks));
        // SAFETY: guaranteed by the caller.
        let totals = unsafe { four_rows::<P, B>(rows, activations.as_ptr(), blocks) };
        for (output, total) in outputs.iter_mut().zip(totals) {
            *output = total;
        }
        first = first.wrapping_add(4 * blocks);
    }
}
