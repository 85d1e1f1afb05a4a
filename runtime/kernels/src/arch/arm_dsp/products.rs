//! Products of the inputs of up to six pixels with all filters, in registers.
//!
//! A tile is one filter times the inputs of `P` pixels, with `P` accumulators. The inputs are widened once, for all
//! filters: of each four adjacent elements of a pixel, a pair of words holds 0 and 2, and 1 and 3, as `SXTB16` yields
//! them; the pairs of the tile's pixels are adjacent. Then four weights of a filter cost one load and two `SXTB16`s, and
//! each pixel's share of them half a load of multiple words and two `SMLAD`s: 16 instructions for 20 products of five
//! pixels. The accumulators stay in registers until their bytes are stored.
//!
//! If the inputs do not fit the buffer, they are widened and multiplied part by part, and the sums between are kept in
//! memory, for as many filters as fit it.
//!
//! Requantization is `(2 * a * multiplier + 2^31) >> 32` by one `SMMULR`, and the rounding right shift by `e` a product
//! with `2^(32 - e)`, to which `SMMLAR` adds the zero point. An accumulator must not overflow when it is doubled: see
//! [`stay_small`].

use super::widen::widen;
use super::{definition, rows};
use crate::lines::tail;
use crate::matrix::{Filters, Inputs};
use crate::quant::Channel;
use core::arch::{asm, naked_asm};
use core::mem::MaybeUninit;
use core::ops::Range;
use tealight_types::ActivationRange;

/// The maximum number of pixels in a tile.
const PIXELS: usize = 6;

/// The maximum number of filters whose sums are kept between two parts of the inputs.
const BLOCK: usize = 16;

/// The instructions that multiply four weights with `P` pixels' inputs.
macro_rules! step {
    (load) => { "ldr r7, [r12], #4\n sxtb16 r6, r7\n sxtb16 r7, r7, ror #8\n" };
    (two $a:literal $b:literal) => { concat!(
        "ldm lr!, {{r8, r9, r10, r11}}\n",
        "smlad ", $a, ", r8, r6, ", $a, "\n", "smlad ", $a, ", r9, r7, ", $a, "\n",
        "smlad ", $b, ", r10, r6, ", $b, "\n", "smlad ", $b, ", r11, r7, ", $b, "\n",
    ) };
    (one $a:literal) => { concat!(
        "ldm lr!, {{r8, r9}}\n", "smlad ", $a, ", r8, r6, ", $a, "\n", "smlad ", $a, ", r9, r7, ", $a, "\n",
    ) };
    (1) => { concat!(step!(load), step!(one "r0")) };
    (2) => { concat!(step!(load), step!(two "r0" "r1")) };
    (3) => { concat!(step!(2), step!(one "r2")) };
    (4) => { concat!(step!(2), step!(two "r2" "r3")) };
    (5) => { concat!(step!(4), step!(one "r4")) };
    (6) => { concat!(step!(4), step!(two "r4" "r5")) };
}

/// A filter's products with four groups of four inputs in one iteration; it is entered at any of the four steps, so that
/// the number of groups need not be a multiple. What follows the last group is at `sp + 52`.
macro_rules! tile {
    ($label:literal, $tail:literal, $pixels:tt) => { concat!(
        $label, ":\n", step!($pixels), step!($pixels), step!($pixels), step!($pixels),
        "ldr r6, [sp, #4]\n cmp lr, r6\n bne ", $label, "b\n ldr pc, [sp, #52]\n",
        // The last word of a filter whose length is no multiple of four; its first elements are multiplied with zeros.
        $tail, ":\n ldr r6, [sp, #16]\n sub r12, r12, r6\n", step!($pixels), "ldr pc, [sp, #56]\n",
    ) };
}

/// Requantizes and stores the output of one pixel.
macro_rules! store {
    ($label:literal, $sum:literal, $address:literal) => {
        concat!($label, ":\n", requantize_by_power!($sum, "r9", "r10", "r11"), "strb ", $sum, ", [", $address, "]\n",)
    };
}

/// The operands of [`multiply_tile`].
#[repr(C)]
struct Tile {
    /// The widened inputs of whole groups, and their end. If `back` is not 0, one more group follows.
    inputs: [*const u32; 2],
    channel: *const Channel,
    /// The output of the first pixel and filter.
    output: *mut i8,
    /// The distance from the end of a filter's whole groups back to its last four elements; 0 if they are its last.
    back: usize,
    /// The distance from the last weight of a filter's part to the first of the next filter's.
    skip: usize,
    offset: i32,
    zero_point: i32,
    output_step: usize,
    channels_end: *const Channel,
    /// Six for each filter.
    sums: *mut i32,
    weights: *const i8,
    pixels: usize,
    groups: usize,
    begin: Begin,
    finish: Finish,
}

/// What a tile's accumulators start with.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Begin {
    Bias,
    BiasAndOffset,
    Sums,
    /// The sums too, but they are not stored again.
    LastSums,
}

/// What happens to a tile's accumulators.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Finish {
    Store,
    /// Likewise, with a step between the filters' parts.
    StoreAndSkip,
    Keep,
    /// As `Store`, for channels some of which have large biases.
    CheckAndStore,
    CheckStoreAndSkip,
}

/// Multiplies a tile's inputs, or a part of them, with filters.
///
/// # Safety
/// `tile` must describe memory that may be read and written: the widened inputs, at least one filter and channel, six
/// sums for each filter if they are used, and the outputs.
#[unsafe(naked)]
unsafe extern "C" fn multiply_tile(tile: *const Tile) {
    naked_asm!(
        core!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #100",
        // The first twelve words of the tile, to reach them without a register.
        "ldm r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12}}",
        "stm sp, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12}}",
        "mov r7, r3",
        "mov r4, r5",
        "ldm r0, {{r1, r2, r3, r5}}",
        "adr.w r8, 90f",
        "add r9, r8, #1",
        // sp + 48: the step of the loop that is the first.
        "add r10, r8, r1, lsl #1",
        "ldrsh r6, [r10, #-2]",
        "add r11, r1, #1",
        "lsr r11, r11, #1",
        "add r11, r11, r1, lsl #1",
        "add r11, r11, #3",
        "lsl r11, r11, #2",
        "rsb r2, r2, #0",
        "and r2, r2, #3",
        "mla r6, r2, r11, r6",
        "add r6, r6, r9",
        "str r6, [sp, #48]",
        // sp + 56: what happens to the accumulators; sp + 52: to those of whole groups.
        "add r5, r8, r5, lsl #1",
        "ldrsh r5, [r5, #44]",
        "add r5, r5, r9",
        "str r5, [sp, #56]",
        "cbz r4, 2f",
        "ldrsh r5, [r10, #10]",
        "add r5, r5, r9",
        "2:",
        "str r5, [sp, #52]",
        // sp + 60: the first pixel that is stored.
        "ldrsh r5, [r10, #22]",
        "add r5, r5, r9",
        "str r5, [sp, #60]",
        // sp + 64: the start of a filter.
        "add r3, r8, r3, lsl #1",
        "ldrsh r3, [r3, #36]",
        "add r3, r3, r9",
        "str r3, [sp, #64]",
        "lsl r1, r1, #2",
        "str r1, [sp, #68]",
        "ldr pc, [sp, #64]",
        "20:",
        "ldr r0, [r7]",
        "b 3f",
        "21:",
        "ldr r6, [sp, #24]",
        "ldr r0, [r7]",
        "add r0, r0, r6",
        "3:",
        "mov r1, r0",
        "mov r2, r0",
        "mov r3, r0",
        "mov r4, r0",
        "mov r5, r0",
        "ldr lr, [sp]",
        "ldr pc, [sp, #48]",
        "22:",
        "ldr r6, [sp, #40]",
        "ldm r6, {{r0, r1, r2, r3, r4, r5}}",
        "ldr lr, [sp]",
        "ldr pc, [sp, #48]",
        "23:",
        "ldr r6, [sp, #40]",
        "ldm r6!, {{r0, r1, r2, r3, r4, r5}}",
        "str r6, [sp, #40]",
        "ldr lr, [sp]",
        "ldr pc, [sp, #48]",
        tile!("31", "41", 1),
        tile!("32", "42", 2),
        tile!("33", "43", 3),
        tile!("34", "44", 4),
        tile!("35", "45", 5),
        tile!("36", "46", 6),
        "52:",
        "ldr r6, [sp, #40]",
        "stm r6!, {{r0, r1, r2, r3, r4, r5}}",
        "str r6, [sp, #40]",
        "ldr r6, [sp, #20]",
        "add r12, r12, r6",
        "ldr r7, [sp, #8]",
        "add r7, r7, #12",
        "str r7, [sp, #8]",
        "b 4f",
        // Sums that are less than 2^29 without the products are less than 2^30 with them, so that they can be doubled.
        "54:",
        "ldr r6, [sp, #20]",
        "add r12, r12, r6",
        "53:",
        "ldr r7, [sp, #8]",
        "ldr r8, [sp, #24]",
        "ldr r6, [r7]",
        "add r6, r6, r8",
        "add r6, r6, #0x20000000",
        "cmp r6, #0x40000000",
        "blo 50f",
        "ldrd r7, r8, [sp, #8]",
        "ldrd r9, r10, [r7, #4]",
        "add r7, r7, #12",
        "ldrd r11, lr, [sp, #28]",
        "b 10f",
        "51:",
        "ldr r6, [sp, #20]",
        "add r12, r12, r6",
        "50:",
        "ldrd r7, r8, [sp, #8]",
        "ldrd r9, r10, [r7, #4]",
        "add r7, r7, #12",
        "ldrd r11, lr, [sp, #28]",
        // -shift - 1, which is positive unless the factor is at least a quarter.
        "rsbs r10, r10, #-1",
        "ble 7f",
        "mov r6, #0x80000000",
        "ror r10, r6, r10",
        "add r6, r8, lr",
        "ldr pc, [sp, #60]",
        store!("66", "r5", "r6, lr, lsl #2"),
        store!("65", "r4", "r8, lr, lsl #2"),
        store!("64", "r3", "r6, lr, lsl #1"),
        store!("63", "r2", "r8, lr, lsl #1"),
        store!("62", "r1", "r8, lr"),
        store!("61", "r0", "r8"),
        "5:",
        "add r8, r8, #1",
        "strd r7, r8, [sp, #8]",
        "4:",
        "ldr r6, [sp, #36]",
        "cmp r7, r6",
        "beq 6f",
        "ldr pc, [sp, #64]",
        "6:",
        "add sp, sp, #100",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        // Factors of at least a quarter and large sums, which few channels have: any left shift comes before the product.
        "7:",
        "mvn r10, r10",
        "10:",
        "add r6, sp, #72",
        "stm r6, {{r0, r1, r2, r3, r4, r5}}",
        "ldr r5, [sp, #68]",
        "add r5, r6, r5",
        "8:",
        "ldr r0, [r6], #4",
        requantize_any!("r0", "r1", "r9", "r10", "r11"),
        "strb r0, [r8]",
        "add r8, r8, lr",
        "cmp r6, r5",
        "bne 8b",
        "ldr r8, [sp, #12]",
        "b 5b",
        ".p2align 2",
        "90:",
        ".hword 31b - 90b, 32b - 90b, 33b - 90b, 34b - 90b, 35b - 90b, 36b - 90b",
        ".hword 41b - 90b, 42b - 90b, 43b - 90b, 44b - 90b, 45b - 90b, 46b - 90b",
        ".hword 61b - 90b, 62b - 90b, 63b - 90b, 64b - 90b, 65b - 90b, 66b - 90b",
        ".hword 20b - 90b, 21b - 90b, 22b - 90b, 23b - 90b",
        ".hword 50b - 90b, 51b - 90b, 52b - 90b, 53b - 90b, 54b - 90b",
    )
}

/// Computes what [`composed::multiply`](crate::composed::multiply) does.
#[inline(never)]
pub(crate) fn multiply(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    if !inputs.fit(filters, output_step, outputs.len()) || filters.channels.is_empty() || inputs.count == 0 {
        return;
    }
    if !are_supported(filters) {
        return definition::multiply(filters, inputs, output_step, outputs);
    }
    let small = stay_small(filters.channels, filters.len, filters.offset);
    let layer = Layer { filters, small, inputs, output_step };
    let output = outputs.as_mut_ptr();
    // As much of the stack as is worthwhile: six pixels' inputs of larger filters are split into parts anyway.
    match (inputs.count, filters.len) {
        (1, _) => layer.multiply_within::<72>(output),
        (_, ..=64) => layer.multiply_within::<160>(output),
        _ => layer.multiply_within::<246>(output),
    }
    clamp(filters, inputs.count, output_step, outputs);
}

/// The function that copies a range of inputs to a buffer.
type Gather<'a> = &'a mut dyn FnMut(Range<usize>, &mut [i8]);

/// Computes what [`composed::multiply_gathered`](crate::composed::multiply_gathered) does.
pub(crate) fn multiply_gathered(
    filters: &Filters<'_>,
    count: usize,
    output_step: usize,
    outputs: &mut [i8],
    gather: Gather<'_>,
) {
    // Few layers have larger windows, and the stack is deep here.
    if filters.len <= 40 {
        gather_within::<150>(filters, count, output_step, outputs, gather);
    } else {
        gather_within::<216>(filters, count, output_step, outputs, gather);
    }
}

/// [`multiply_gathered`] with a buffer of `N` words.
#[inline(never)]
fn gather_within<const N: usize>(
    filters: &Filters<'_>,
    count: usize,
    output_step: usize,
    outputs: &mut [i8],
    gather: Gather<'_>,
) {
    gather_tiles(filters, count, output_step, outputs, gather, &mut [MaybeUninit::uninit(); N]);
}

/// [`multiply_gathered`]: the inputs of a tile are gathered behind the widened ones, in one buffer.
#[inline(never)]
fn gather_tiles(
    filters: &Filters<'_>,
    count: usize,
    output_step: usize,
    outputs: &mut [i8],
    gather: Gather<'_>,
    buffer: &mut Buffer,
) {
    let (supported, groups) = (are_supported(filters), filters.len.div_ceil(4));
    let small = stay_small(filters.channels, filters.len, filters.offset);
    // Gathered elements take a byte, widened ones two.
    let most = buffer.len().checked_div(3 * groups).unwrap_or(1).clamp(1, PIXELS);
    let tiles = count.div_ceil(most).max(1);
    let pixels = count.div_ceil(tiles).max(1);
    let mut outputs = outputs;
    let mut from = 0;
    while from < count {
        let now = pixels.min(count - from);
        let room = buffer.len().checked_sub((now * filters.len).div_ceil(4));
        let Some((buffer, values)) = room.and_then(|room| buffer.split_at_mut_checked(room)) else { return };
        let values = zeros(values);
        let Some(values) = values.get_mut(..now * filters.len) else { return };
        gather(from..from.wrapping_add(now), values);
        let inputs = Inputs { values, count: now, step: filters.len, lines: 1, line: 0, run: filters.len };
        if !inputs.fit(filters, output_step, outputs.len()) || filters.channels.is_empty() {
            return;
        }
        if supported {
            Layer { filters, small, inputs: &inputs, output_step }.multiply(buffer, outputs.as_mut_ptr());
            clamp(filters, now, output_step, outputs);
        } else {
            definition::multiply(filters, &inputs, output_step, outputs);
        }
        outputs = outputs.get_mut(now * output_step..).unwrap_or(&mut []);
        from += now;
    }
}

/// Fills words with zeros, and returns their bytes.
fn zeros(words: &mut [MaybeUninit<u32>]) -> &mut [i8] {
    for word in &mut *words {
        word.write(0);
    }
    let len = 4 * words.len();
    // SAFETY: all words have been written, and any byte is an `i8`.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
}

/// Whether the loops support these filters: they have at least four elements, and the products of one filter add less
/// than 2^29.
fn are_supported(filters: &Filters<'_>) -> bool {
    (4..1 << 15).contains(&filters.len)
}

/// Clamps the outputs of `count` inputs to the activation's range.
fn clamp(filters: &Filters<'_>, count: usize, output_step: usize, outputs: &mut [i8]) {
    let len = filters.channels.len() + output_step * (count - 1);
    let outputs = outputs.get_mut(..len).unwrap_or(&mut []);
    clamp_lines(filters.output.activation, filters.channels.len(), output_step, outputs);
}

/// Whether no accumulator can overflow when it is doubled: each is less than 2^30.
pub(super) fn stay_small(channels: &[Channel], products: usize, offset: i32) -> bool {
    // A bias below a third of 2^31 does not saturate in `QDADD`.
    const REST: usize = (1 << 30) - (1 << 31) / 3 - 1;
    let rest = products.saturating_mul(1 << 14).saturating_add(offset.unsigned_abs() as usize);
    let mut flags: u32;
    // SAFETY: the loop reads the first field of each channel, of which there is at least one. The overflow flag is not
    // used by anything else.
    unsafe {
        asm!(
            "msr apsr_nzcvq, {flags}",
            "b 3f",
            "2:",
            ".irp at, 0, 12, 24, 36",
            "ldr {bias}, [{channels}, #\\at]",
            "qdadd {bias}, {bias}, {bias}",
            ".endr",
            "add {channels}, {channels}, #48",
            "3:",
            "subs {count}, {count}, #4",
            "bhs 2b",
            "adds {count}, {count}, #4",
            "beq 5f",
            "4:",
            "ldr {bias}, [{channels}], #12",
            "qdadd {bias}, {bias}, {bias}",
            "subs {count}, {count}, #1",
            "bne 4b",
            "5:",
            "mrs {flags}, apsr",
            channels = inout(reg) channels.as_ptr() => _,
            count = inout(reg) channels.len() => _,
            bias = out(reg) _,
            flags = inout(reg) 0 => flags,
            options(readonly, nostack),
        );
    }
    flags & 1 << 27 == 0 && rest <= REST
}

/// Clamps outputs, `len` of every `step`, unless all bytes are in the range.
pub(super) fn clamp_lines(activation: ActivationRange, len: usize, step: usize, outputs: &mut [i8]) {
    if activation == ActivationRange::FULL {
        return;
    }
    let mut outputs = outputs;
    while !outputs.is_empty() {
        let len = len.min(outputs.len());
        for output in outputs.get_mut(..len).unwrap_or(&mut []) {
            *output = activation.clamp(i32::from(*output));
        }
        outputs = outputs.get_mut(step.max(1)..).unwrap_or(&mut []);
    }
}

/// A layer whose operands fit.
struct Layer<'a> {
    filters: &'a Filters<'a>,
    /// Whether all sums are less than 2^30.
    small: bool,
    inputs: &'a Inputs<'a>,
    output_step: usize,
}

/// Memory for widened inputs, and for the sums between two parts of them.
type Buffer = [MaybeUninit<u32>];

impl Layer<'_> {
    /// The number of whole groups of four inputs, which is not 0.
    fn groups(&self) -> usize {
        self.filters.len / 4
    }

    /// Multiplies all inputs with all filters, with a buffer of `N` words.
    #[inline(never)]
    fn multiply_within<const N: usize>(&self, outputs: *mut i8) {
        self.multiply(&mut [MaybeUninit::uninit(); N], outputs);
    }

    /// Multiplies all inputs with all filters.
    #[inline(never)]
    fn multiply(&self, buffer: &mut Buffer, outputs: *mut i8) {
        let count = self.inputs.count;
        let pixels = self.pixels(buffer);
        let mut first = 0;
        while first < count {
            let now = pixels.min(count - first);
            let whole = 2 * now * self.filters.len.div_ceil(4) <= buffer.len();
            let mut tiles = 1;
            if now == 1 && self.small && rows::are_supported(self.filters, self.inputs) {
                let input = self.inputs.values.as_ptr().wrapping_add(first * self.inputs.step);
                // SAFETY: the operands fit and are supported.
                unsafe { rows::multiply(self.filters, input, buffer, self.output(outputs, first)) };
            } else if whole {
                tiles = (count - first).checked_div(now).unwrap_or(1);
                self.multiply_whole(first, now, tiles, buffer, outputs);
            } else {
                self.multiply_parts(first..first + now, buffer, outputs);
            }
            first += now * tiles;
        }
    }

    /// The number of pixels in a tile.
    fn pixels(&self, buffer: &Buffer) -> usize {
        // Tiles whose inputs fit the buffer as a whole may be a little smaller.
        let whole = (buffer.len() / 2).checked_div(self.filters.len.div_ceil(4)).unwrap_or(0);
        let most = if (4..PIXELS).contains(&whole) { whole } else { PIXELS };
        let tiles = self.inputs.count.div_ceil(most.max(1));
        self.inputs.count.div_ceil(tiles.max(1))
    }

    /// The first output of a pixel.
    fn output(&self, outputs: *mut i8, pixel: usize) -> *mut i8 {
        outputs.wrapping_add(pixel * self.output_step)
    }

    /// The operands of a tile with all filters and inputs.
    fn tile(&self, output: *mut i8, pixels: usize, buffer: &mut Buffer) -> Tile {
        let Filters { weights, channels, len, offset, .. } = *self.filters;
        let values = buffer.as_mut_ptr().cast::<u32>();
        let (groups, tail) = (len / 4, len % 4);
        let channels = channels.as_ptr_range();
        Tile {
            inputs: [values, values.wrapping_add(2 * groups * pixels)],
            channel: channels.start,
            output,
            back: if tail > 0 { 4 - tail } else { 0 },
            skip: 0,
            offset,
            zero_point: self.filters.output.zero_point,
            output_step: self.output_step,
            channels_end: channels.end,
            sums: core::ptr::null_mut(),
            weights: weights.as_ptr(),
            pixels,
            groups,
            begin: if offset == 0 { Begin::Bias } else { Begin::BiasAndOffset },
            finish: if self.small { Finish::Store } else { Finish::CheckAndStore },
        }
    }

    /// Multiplies tiles whose inputs fit the buffer.
    #[inline(never)]
    fn multiply_whole(&self, first: usize, pixels: usize, tiles: usize, buffer: &mut Buffer, outputs: *mut i8) {
        let mut tile = self.tile(self.output(outputs, first), pixels, buffer);
        for at in 0..tiles {
            let first = first + at * pixels;
            self.widen(first..first + pixels, 0..self.filters.len, buffer);
            // SAFETY: `fit` has checked that all filters, channels and outputs lie within their slices, and the buffer
            // has the inputs.
            unsafe { multiply_tile(&tile) };
            tile.output = tile.output.wrapping_add(pixels * self.output_step);
        }
    }

    /// Multiplies one tile whose inputs do not fit the buffer, part by part.
    #[inline(never)]
    fn multiply_parts(&self, pixels: Range<usize>, buffer: &mut Buffer, outputs: *mut i8) {
        let Filters { channels, len, .. } = *self.filters;
        let words = 2 * pixels.len();
        let mut tile = self.tile(self.output(outputs, pixels.start), pixels.len(), buffer);
        let (weights, output, begin) = (tile.weights, tile.output, tile.begin);
        // The last part has an incomplete group too.
        let tail = usize::from(tile.back > 0);
        let all = self.groups();
        let block = BLOCK.min(buffer.len() / (2 * PIXELS)).min(channels.len()).max(1);
        let room = buffer.len() - block * PIXELS;
        let parts = all.div_ceil((room.checked_div(words).unwrap_or(1) - tail).max(1));
        let part = all.div_ceil(parts.max(1)).max(1);
        for filter in (0..channels.len()).step_by(block) {
            let end = channels.len().min(filter + block);
            let mut from = 0;
            while from < all {
                let to = all.min(from + part);
                let elements = 4 * from..if to == all { len } else { 4 * to };
                tile.groups = to - from;
                tile.inputs[1] = tile.inputs[0].wrapping_add(tile.groups * words);
                tile.channel = channels.as_ptr().wrapping_add(filter);
                tile.channels_end = channels.as_ptr().wrapping_add(end);
                tile.output = output.wrapping_add(filter);
                tile.skip = len - elements.len();
                tile.sums = buffer.as_mut_ptr().wrapping_add(room).cast();
                tile.weights = weights.wrapping_add(filter * len + elements.start);
                let last = to == all;
                tile.begin = match (from, last) {
                    (0, _) => begin,
                    (_, true) => Begin::LastSums,
                    (_, false) => Begin::Sums,
                };
                tile.finish = match (last, self.small) {
                    (true, true) => Finish::StoreAndSkip,
                    (true, false) => Finish::CheckStoreAndSkip,
                    (false, _) => Finish::Keep,
                };
                tile.back = if last && tail > 0 { 4 - len % 4 } else { 0 };
                self.widen(pixels.clone(), elements, buffer);
                // SAFETY: `fit` has checked that all filters, channels and outputs lie within their slices; the buffer
                // has the inputs, and behind them room for the sums.
                unsafe { multiply_tile(&tile) };
                from = to;
            }
        }
    }

    /// Widens a range of the elements of some pixels, group by group. It starts at a multiple of four; its last elements
    /// are also the last of its last group, in which zeros precede them.
    #[inline(never)]
    fn widen(&self, pixels: Range<usize>, elements: Range<usize>, buffer: &mut Buffer) {
        let Inputs { values, step, line, run, .. } = *self.inputs;
        let words = 2 * pixels.len();
        let mut output = buffer.as_mut_ptr().cast::<u32>();
        let mut at = elements.start;
        while at < elements.end {
            let (lines, column) = (at.checked_div(run).unwrap_or(0), at.checked_rem(run).unwrap_or(0));
            let groups = (run - column).min(elements.end - at) / 4;
            if groups > 0 {
                let input = values.as_ptr().wrapping_add(pixels.start * step + lines * line + column);
                // SAFETY: the elements are inside a line of each pixel, all of which lie within the values, and the
                // caller has left room for all groups in the buffer.
                unsafe { widen(output, input, step, groups, pixels.len()) };
            } else {
                self.widen_group(&pixels, at..elements.end.min(at + 4), output);
            }
            at += 4 * groups.max(1);
            output = output.wrapping_add(words * groups.max(1));
        }
    }

    /// Widens one group that spans two lines or is incomplete.
    #[inline(never)]
    fn widen_group(&self, pixels: &Range<usize>, elements: Range<usize>, output: *mut u32) {
        let Inputs { values, step, line, run, .. } = *self.inputs;
        let mut groups = [[0; 4]; PIXELS];
        for at in elements.clone() {
            let (lines, column) = (at.checked_div(run).unwrap_or(0), at.checked_rem(run).unwrap_or(0));
            let mut input = tail(values, pixels.start * step + lines * line + column);
            for group in groups.iter_mut().take(pixels.len()) {
                if let (Some(element), Some(&x)) = (group.get_mut(4 + at - elements.end), input.first()) {
                    *element = x;
                }
                input = tail(input, step);
            }
        }
        // SAFETY: the input is the array of groups, which has room for `PIXELS`, and the caller has left room in the
        // buffer.
        unsafe { widen(output, groups.as_ptr().cast(), 4, 1, pixels.len()) };
    }
}
