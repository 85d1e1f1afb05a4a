//! Products of the inputs of adjacent pixels with all filters: sixteen sums stay in registers from the first element to
//! the requantized byte.
//!
//! A filter of up to 32 elements is held in registers together with three others while the inputs pass. Longer ones
//! pass together with the inputs: a tile of four pixels and four filters, two and eight, or one and sixteen. Many inputs
//! are multiplied in larger tiles, if the core has instructions for them.

use super::finish::{Factors, Finish, are_usual, late};
use super::gather::copy_run;
use super::products::{Products, has_minimum, total};
use crate::lines::{copy, run, tail};
use crate::matrix::{Filters, Inputs};
use core::arch::aarch64::{
    int8x16_t, int32x4_t, vandq_s8, vbicq_s8, vdupq_n_s32, vld1q_s8, vreinterpretq_s32_s8, vreinterpretq_s64_s8,
    vst1q_lane_s32, vst1q_lane_s64, vst1q_s8,
};
use core::arch::asm;
use core::ops::Range;

/// The maximum number of elements of a filter that is held in registers for any number of inputs.
const HELD: usize = 32;

/// The minimum number of inputs for which looking for a -128 among the filters is worthwhile.
const FEWEST_NARROW: usize = 4;

/// [`composed::multiply`](crate::composed::multiply) for at least four filters, and inputs of which each line has at
/// least sixteen elements, or is the only one and has at least one.
///
/// # Safety
/// The core must have the instructions of `P`, and the operands must fit: [`Inputs::fit`].
#[inline(always)]
pub(super) unsafe fn multiply<P: Products>(
    filters: &Filters<'_>,
    inputs: &Inputs<'_>,
    output_step: usize,
    outputs: &mut [i8],
) {
    let narrow = P::NARROWS && inputs.count >= FEWEST_NARROW && !has_minimum(filters.weights);
    // SAFETY: guaranteed by the caller.
    unsafe {
        if narrow {
            multiply_by::<P::OfNarrow>(filters, inputs, output_step, outputs);
        } else {
            multiply_by::<P>(filters, inputs, output_step, outputs);
        }
    }
}

/// [`multiply`] with these products.
///
/// # Safety
/// As of [`multiply`], and the filters must be those that `P` is for.
#[inline(always)]
unsafe fn multiply_by<P: Products>(filters: &Filters<'_>, inputs: &Inputs<'_>, output_step: usize, outputs: &mut [i8]) {
    let job = Job { filters, inputs, finish: Finish::new(&filters.output), output_step };
    let (rows, outputs) = (filters.channels.len(), outputs.as_mut_ptr());
    // SAFETY: guaranteed by the caller.
    unsafe {
        if P::multiply_many(filters, inputs, output_step, outputs) {
            return;
        }
        if inputs.lines == 1 && inputs.run < 16 && inputs.count == 1 && rows >= 16 {
            return job.flat_short::<P>(outputs);
        }
        if inputs.lines == 1 && inputs.run <= HELD && (inputs.count > 1 || inputs.run < 16) {
            return match inputs.run {
                0..=8 => job.held::<P, 1, 1>(outputs),
                9..=16 => job.held::<P, 2, 1>(outputs),
                _ => job.held::<P, 4, 2>(outputs),
            };
        }
        let mut done = inputs.count & !3;
        if done > 0 {
            job.streamed::<P, 4, 4, 1>(0..done, outputs);
        }
        if inputs.count & 2 != 0 && rows >= 8 {
            job.streamed::<P, 2, 8, 2>(done..done + 2, outputs);
            done += 2;
        }
        if inputs.count & 1 != 0 && rows >= 16 {
            job.flat::<P>(done, outputs);
            done += 1;
        }
        // Too few filters for the flat tiles: four times the same input.
        for input in done..inputs.count {
            let inputs = Inputs { values: tail(inputs.values, input * inputs.step), count: 4, step: 0, ..*inputs };
            let job = Job { inputs: &inputs, output_step: 0, ..job };
            job.streamed::<P, 4, 4, 1>(0..4, outputs.wrapping_add(input * output_step));
        }
    }
}

/// The operands of a product.
struct Job<'a> {
    filters: &'a Filters<'a>,
    inputs: &'a Inputs<'a>,
    finish: Finish,
    output_step: usize,
}

impl Job<'_> {
    /// The requantization factors of `4 * G` channels from `row` on.
    ///
    /// # Safety
    /// There must be as many channels.
    #[inline(always)]
    unsafe fn factors<const G: usize>(&self, row: usize) -> [Factors; G] {
        let channels = self.filters.channels.as_ptr().wrapping_add(row);
        // SAFETY: guaranteed by the caller.
        core::array::from_fn(|group| unsafe { Factors::load(channels.wrapping_add(4 * group), self.filters.offset) })
    }

    /// Multiplies some inputs, a multiple of `M`, in tiles of `M` inputs and `N` filters, which have `4 * G` sums. If
    /// the number of filters is not a multiple of `N`, the last tiles overlap with those before.
    ///
    /// # Safety
    /// The core must have the instructions of `P`, the operands must fit, there must be at least `N` filters, and each
    /// line must have at least sixteen elements.
    #[inline(never)]
    unsafe fn streamed<P: Products, const M: usize, const N: usize, const G: usize>(
        &self,
        range: Range<usize>,
        outputs: *mut i8,
    ) {
        const { assert!(M * N == 16 && N == 4 * G) }
        let (rows, runs, finish) = (self.filters.channels.len(), Runs::new(self.inputs), self.finish);
        let (step, output_step, len) = (self.inputs.step, self.output_step, self.filters.len);
        let inputs = self.inputs.values.as_ptr().wrapping_add(range.start * step);
        let outputs = outputs.wrapping_add(range.start * output_step);
        let mut row = 0;
        while row < rows {
            row = row.min(rows - N);
            let weights = self.filters.weights.as_ptr().wrapping_add(row * len);
            // SAFETY: guaranteed by the caller.
            let factors = unsafe { self.factors::<G>(row) };
            let usual = are_usual(&factors);
            let (mut input, mut output) = (inputs, outputs.wrapping_add(row));
            for _ in 0..range.len() / M {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let sums = runs.sums::<P, M, N>(adjacent(input, step), adjacent(weights, len));
                    let totals = core::array::from_fn(|i| {
                        let at = |k: usize| sums[(4 * i + k) / N][(4 * i + k) % N];
                        factors[i % G].add_bias(total([at(0), at(1), at(2), at(3)]))
                    });
                    store::<M>(finish.bytes(&factors, usual, totals), output, output_step);
                }
                input = input.wrapping_add(M * step);
                output = output.wrapping_add(M * output_step);
            }
            row += N;
        }
    }

    /// Multiplies one input with sixteen filters at a time. If the number of filters is not a multiple of sixteen, the
    /// last sixteen overlap with those before.
    ///
    /// # Safety
    /// The core must have the instructions of `P`, the operands must fit, there must be at least sixteen filters, and
    /// each line must have at least sixteen elements.
    #[inline(never)]
    unsafe fn flat<P: Products>(&self, input: usize, outputs: *mut i8) {
        let Inputs { values, step, lines, line, run, .. } = *self.inputs;
        let (rows, len, finish) = (self.filters.channels.len(), self.filters.len, self.finish);
        let output = outputs.wrapping_add(input * self.output_step);
        let input = values.as_ptr().wrapping_add(input * step);
        let rest_mask = first_bytes(16 - run % 16);
        let mut row = 0;
        while row < rows {
            row = row.min(rows - 16);
            // SAFETY: this file is compiled only for targets with NEON.
            let mut sums = unsafe { [vdupq_n_s32(0); 16] };
            let mut weights = self.filters.weights.as_ptr().wrapping_add(row * len);
            let channels = self.filters.channels.as_ptr().wrapping_add(row);
            let mut from = input;
            for _ in 0..lines {
                let mut done = 0;
                // SAFETY: guaranteed by the caller.
                unsafe {
                    while run - done >= 128 {
                        add_sixteen::<P, 8>(
                            &mut sums,
                            load(from.wrapping_add(done)),
                            late(weights.wrapping_add(done)),
                            len,
                        );
                        done += 128;
                    }
                    while run - done >= 32 {
                        add_sixteen::<P, 2>(
                            &mut sums,
                            load(from.wrapping_add(done)),
                            late(weights.wrapping_add(done)),
                            len,
                        );
                        done += 32;
                    }
                    if run - done >= 16 {
                        add_sixteen::<P, 1>(
                            &mut sums,
                            load(from.wrapping_add(done)),
                            late(weights.wrapping_add(done)),
                            len,
                        );
                        done += 16;
                    }
                    if done < run {
                        let [x] = load(from.wrapping_add(run - 16));
                        let x = [vbicq_s8(x, rest_mask)];
                        add_sixteen::<P, 1>(&mut sums, x, late(weights.wrapping_add(run - 16)), len);
                    }
                }
                (from, weights) = (from.wrapping_add(line), weights.wrapping_add(run));
            }
            // SAFETY: guaranteed by the caller.
            unsafe {
                let totals = core::array::from_fn(|group| {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|r| sums[4 * group + r]);
                    total([a, b, c, d])
                });
                vst1q_s8(output.wrapping_add(row), finish.sixteen(channels, self.filters.offset, totals));
            }
            row += 16;
        }
    }

    /// [`flat`](Self::flat) for the only input, of one line of 1 to 15 elements. Behind it there are zeros, so that filters
    /// may be read beyond their ends.
    ///
    /// # Safety
    /// The core must have the instructions of `P`, the operands must fit, and there must be at least sixteen filters.
    #[inline(never)]
    unsafe fn flat_short<P: Products>(&self, outputs: *mut i8) {
        let (rows, len, finish) = (self.filters.channels.len(), self.filters.len, self.finish);
        let x: [int8x16_t; 1] = load_short(self.inputs.values, len);
        let mut last = [0; 256];
        let mut row = 0;
        while row < rows {
            row = row.min(rows - 16);
            let filters = tail(self.filters.weights, row * len);
            let weights = if filters.len() >= 15 * len + 16 {
                filters.as_ptr()
            } else {
                copy_run(&mut last, run(filters, 0, 16 * len));
                last.as_ptr()
            };
            // SAFETY: guaranteed by the caller: there are sixteen filters, of which the last is followed by enough bytes, or
            // has been copied to where it is.
            unsafe {
                let mut sums = [vdupq_n_s32(0); 16];
                add_sixteen::<P, 1>(&mut sums, x, late(weights), len);
                let totals = core::array::from_fn(|group| {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|r| sums[4 * group + r]);
                    total([a, b, c, d])
                });
                let channels = self.filters.channels.as_ptr().wrapping_add(row);
                vst1q_s8(outputs.wrapping_add(row), finish.sixteen(channels, self.filters.offset, totals));
            }
            row += 16;
        }
    }

    /// Multiplies all inputs with four filters at a time, which stay in registers: `V` registers for each filter, of
    /// which `8 * Q` bytes are used. If the number of filters is not a multiple of four, the last four overlap with
    /// those before.
    ///
    /// # Safety
    /// The core must have the instructions of `P`, the operands must fit, there must be at least four filters, and an
    /// input must be one line of 1 to `8 * Q` elements.
    #[inline(never)]
    unsafe fn held<P: Products, const Q: usize, const V: usize>(&self, outputs: *mut i8) {
        let Inputs { values, count, step, run, .. } = *self.inputs;
        let (rows, finish) = (self.filters.channels.len(), self.finish);
        // Inputs that are followed by as many bytes as a load takes.
        let whole = match values.len().checked_sub(16 * V) {
            Some(room) => room.checked_div(step).map_or(count, |last| count.min(last + 1)),
            None => 0,
        };
        let mut row = 0;
        while row < rows {
            row = row.min(rows - 4);
            let weights = tail(self.filters.weights, row * run);
            // SAFETY: guaranteed by the caller.
            let filters =
                unsafe { P::arrange::<Q, V>(core::array::from_fn(|r| load_short(tail(weights, r * run), run))) };
            // SAFETY: guaranteed by the caller.
            let factors = unsafe { self.factors::<1>(row) };
            let usual = are_usual(&factors);
            let four = |inputs: [*const i8; 4]| {
                let mut totals = [factors[0].bias; 4];
                for (total, input) in totals.iter_mut().zip(inputs) {
                    // SAFETY: guaranteed by the caller, and each input has as many bytes as are loaded.
                    *total = unsafe { P::four::<Q, V>(*total, load::<V>(input), &filters) };
                }
                finish.bytes(&factors, usual, totals)
            };
            let (mut input, mut output) = (values.as_ptr(), outputs.wrapping_add(row));
            for _ in 0..whole / 4 {
                let bytes = four(adjacent(input, step));
                // SAFETY: guaranteed by the caller.
                unsafe { store::<4>(bytes, output, self.output_step) };
                input = input.wrapping_add(4 * step);
                output = output.wrapping_add(4 * self.output_step);
            }
            let mut done = whole & !3;
            if done > 0 && done < whole {
                // The last four inputs, of which some are computed again.
                let again = done + 4 - whole;
                let bytes = four(adjacent(input.wrapping_sub(again * step), step));
                output = output.wrapping_sub(again * self.output_step);
                // SAFETY: guaranteed by the caller.
                unsafe { store::<4>(bytes, output, self.output_step) };
                output = output.wrapping_add(4 * self.output_step);
                done = whole;
            }
            for i in done..count {
                let input = load_short::<V>(tail(values, i * step), run);
                let bytes = four([input.as_ptr().cast(); 4]);
                // SAFETY: guaranteed by the caller; all four outputs are the same, in the same place.
                unsafe { store::<4>(bytes, output, 0) };
                output = output.wrapping_add(self.output_step);
            }
            row += 4;
        }
    }
}

/// The positions of `N` operands that are `step` bytes apart.
#[inline(always)]
pub(super) fn adjacent<const N: usize>(first: *const i8, step: usize) -> [*const i8; N] {
    let mut next = first;
    core::array::from_fn(|_| {
        let this = next;
        next = next.wrapping_add(step);
        this
    })
}

/// How an input is traversed.
struct Runs {
    lines: usize,
    /// The number of blocks of 32 elements in a line.
    pairs: usize,
    /// Whether there is a block of sixteen elements besides.
    single: bool,
    /// The number of elements that are left.
    rest: usize,
    /// The distance from the end of a line's blocks to the next line.
    gap: usize,
    /// Zeros for the elements of the last sixteen that belong to a block.
    rest_mask: int8x16_t,
}

impl Runs {
    #[inline(always)]
    fn new(inputs: &Inputs<'_>) -> Self {
        let Inputs { lines, line, run, .. } = *inputs;
        let rest = run % 16;
        Self {
            lines,
            pairs: run / 32,
            single: run & 16 != 0,
            rest,
            gap: line.wrapping_sub(run - rest),
            rest_mask: first_bytes(16 - rest),
        }
    }

    /// The products of `M` inputs and `N` filters, each as four sums.
    ///
    /// # Safety
    /// The core must have the instructions of `P`. The pointers must have the elements that are described, and each line
    /// at least sixteen.
    #[inline(always)]
    unsafe fn sums<P: Products, const M: usize, const N: usize>(
        &self,
        mut inputs: [*const i8; M],
        mut weights: [*const i8; N],
    ) -> [[int32x4_t; N]; M] {
        // SAFETY: this file is compiled only for targets with NEON.
        let mut sums = unsafe { [[vdupq_n_s32(0); N]; M] };
        let mut lines = self.lines;
        loop {
            for _ in 0..self.pairs {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let x: [_; M] = core::array::from_fn(|i| load_32(&mut inputs[i]));
                    if M == 4 {
                        for r in 0..N {
                            let w = load_32(&mut weights[r]);
                            for half in 0..2 {
                                for i in 0..M / 2 {
                                    let (a, b) = (2 * i, 2 * i + 1);
                                    let x = [x[a][half], x[b][half]];
                                    [sums[a][r], sums[b][r]] = P::add_two([sums[a][r], sums[b][r]], w[half], x);
                                }
                            }
                        }
                    } else {
                        for r in 0..N / 2 {
                            let (v, w) = (load_32(&mut weights[2 * r]), load_32(&mut weights[2 * r + 1]));
                            for i in 0..M {
                                add_two::<P, N>(&mut sums[i], r, x[i][0], [v[0], w[0]]);
                                add_two::<P, N>(&mut sums[i], r, x[i][1], [v[1], w[1]]);
                            }
                        }
                    }
                }
            }
            if self.single {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let x: [_; M] = core::array::from_fn(|i| load_16(&mut inputs[i]));
                    for r in 0..N / 2 {
                        let w = [load_16(&mut weights[2 * r]), load_16(&mut weights[2 * r + 1])];
                        for i in 0..M {
                            add_two::<P, N>(&mut sums[i], r, x[i], w);
                        }
                    }
                }
            }
            if self.rest > 0 {
                // SAFETY: guaranteed by the caller: there are sixteen elements before the line's end.
                unsafe {
                    let back = 16 - self.rest;
                    let x = inputs.map(|input| vbicq_s8(vld1q_s8(input.wrapping_sub(back)), self.rest_mask));
                    weights = weights.map(|weights| weights.wrapping_sub(back));
                    for r in 0..N / 2 {
                        let w = [load_16(&mut weights[2 * r]), load_16(&mut weights[2 * r + 1])];
                        for i in 0..M {
                            add_two::<P, N>(&mut sums[i], r, x[i], w);
                        }
                    }
                }
            }
            lines -= 1;
            if lines == 0 {
                return sums;
            }
            inputs = inputs.map(|input| input.wrapping_add(self.gap));
        }
    }
}

/// Adds the products of `16 * V` inputs with as many elements of sixteen filters, which start `len` bytes apart.
///
/// # Safety
/// The core must have the instructions of `P`, and the elements must be there.
#[inline(always)]
unsafe fn add_sixteen<P: Products, const V: usize>(
    sums: &mut [int32x4_t; 16],
    x: [int8x16_t; V],
    weights: *const i8,
    len: usize,
) {
    // Written out, so that all sums stay in registers.
    // SAFETY: guaranteed by the caller.
    unsafe {
        let next = add_to_pair::<P, V, 0>(sums, &x, weights, len);
        let next = add_to_pair::<P, V, 1>(sums, &x, next, len);
        let next = add_to_pair::<P, V, 2>(sums, &x, next, len);
        let next = add_to_pair::<P, V, 3>(sums, &x, next, len);
        let next = add_to_pair::<P, V, 4>(sums, &x, next, len);
        let next = add_to_pair::<P, V, 5>(sums, &x, next, len);
        let next = add_to_pair::<P, V, 6>(sums, &x, next, len);
        add_to_pair::<P, V, 7>(sums, &x, next, len);
    }
}

/// The part of [`add_sixteen`] for filters `2 * R` and `2 * R + 1`. Returns the position of the one after these.
///
/// # Safety
/// The core must have the instructions of `P`, and the elements must be there.
#[inline(always)]
unsafe fn add_to_pair<P: Products, const V: usize, const R: usize>(
    sums: &mut [int32x4_t; 16],
    x: &[int8x16_t; V],
    first: *const i8,
    len: usize,
) -> *const i8 {
    let second = first.wrapping_add(len);
    // SAFETY: guaranteed by the caller.
    unsafe {
        if V == 1 {
            add_two::<P, 16>(sums, R, x[0], [load_at(first), load_at(second)]);
        } else {
            add_pairs::<P, 0>(sums, R, [x[0], x[1 % V]], [first, second]);
        }
        if V == 8 {
            add_pairs::<P, 32>(sums, R, [x[2 % V], x[3 % V]], [first, second]);
            add_pairs::<P, 64>(sums, R, [x[4 % V], x[5 % V]], [first, second]);
            add_pairs::<P, 96>(sums, R, [x[6 % V], x[7 % V]], [first, second]);
        }
    }
    second.wrapping_add(len)
}

/// Adds the products of 32 inputs with the elements from `OFFSET` bytes on of filters `2 * r` and `2 * r + 1`.
///
/// # Safety
/// The core must have the instructions of `P`, and the elements must be there.
#[inline(always)]
unsafe fn add_pairs<P: Products, const OFFSET: i32>(
    sums: &mut [int32x4_t; 16],
    r: usize,
    x: [int8x16_t; 2],
    [first, second]: [*const i8; 2],
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let (a, b) = (load_pair::<OFFSET>(first), load_pair::<OFFSET>(second));
        add_two::<P, 16>(sums, r, x[0], [a[0], b[0]]);
        add_two::<P, 16>(sums, r, x[1], [a[1], b[1]]);
    }
}

/// Loads 32 bytes from `OFFSET` bytes behind the pointer on, in program order.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load_pair<const OFFSET: i32>(from: *const i8) -> [int8x16_t; 2] {
    let (low, high);
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "ldp {low:q}, {high:q}, [{from}, #{offset}]",
            low = out(vreg) low, high = out(vreg) high, from = in(reg) from, offset = const OFFSET,
            options(readonly, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// Loads sixteen bytes, in program order.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load_at(from: *const i8) -> int8x16_t {
    let bytes;
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "ldr {bytes:q}, [{from}]",
            bytes = out(vreg) bytes, from = in(reg) from,
            options(readonly, nostack, preserves_flags),
        );
    }
    bytes
}

/// [`Products::add_two`] for filters `2 * r` and `2 * r + 1`.
///
/// # Safety
/// The core must have the instructions of `P`.
#[inline(always)]
unsafe fn add_two<P: Products, const N: usize>(sums: &mut [int32x4_t; N], r: usize, x: int8x16_t, w: [int8x16_t; 2]) {
    // SAFETY: guaranteed by the caller.
    [sums[2 * r], sums[2 * r + 1]] = unsafe { P::add_two([sums[2 * r], sums[2 * r + 1]], x, w) };
}

/// Loads 32 bytes and moves the pointer behind them.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
pub(super) unsafe fn load_32(from: &mut *const i8) -> [int8x16_t; 2] {
    let (low, high);
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "ldp {low:q}, {high:q}, [{from}], #32",
            low = out(vreg) low, high = out(vreg) high, from = inout(reg) *from,
            options(readonly, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// Loads sixteen bytes and moves the pointer behind them.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
pub(super) unsafe fn load_16(from: &mut *const i8) -> int8x16_t {
    let bytes;
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "ldr {bytes:q}, [{from}], #16",
            bytes = out(vreg) bytes, from = inout(reg) *from,
            options(readonly, nostack, preserves_flags),
        );
    }
    bytes
}

/// Loads `16 * V` bytes.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load<const V: usize>(from: *const i8) -> [int8x16_t; V] {
    // SAFETY: guaranteed by the caller.
    core::array::from_fn(|v| unsafe { vld1q_s8(from.wrapping_add(16 * v)) })
}

/// The first `len` bytes, of at most `16 * V`, followed by zeros.
#[inline(always)]
pub(super) fn load_short<const V: usize>(from: &[i8], len: usize) -> [int8x16_t; V] {
    if from.len() >= 16 * V {
        // SAFETY: there are as many bytes as are loaded.
        let bytes = unsafe { load::<V>(from.as_ptr()) };
        if len >= 16 * V {
            return bytes;
        }
        // SAFETY: this file is compiled only for targets with NEON.
        return core::array::from_fn(|v| unsafe { vandq_s8(bytes[v], first_bytes(len.saturating_sub(16 * v))) });
    }
    let mut buffer = [0; HELD];
    copy_short(&mut buffer, run(from, 0, len));
    // SAFETY: the buffer has as many bytes as the largest load takes.
    unsafe { load::<V>(buffer.as_ptr()) }
}

/// Out of line, to keep the surrounding loops small.
#[inline(never)]
fn copy_short(buffer: &mut [i8; HELD], bytes: &[i8]) {
    copy(buffer, bytes);
}

/// A mask of the first `count` bytes.
#[inline(always)]
pub(super) fn first_bytes(count: usize) -> int8x16_t {
    static MASKS: [i8; 32] = {
        let mut masks = [0; 32];
        let mut i = 0;
        while i < 16 {
            masks[i] = -1;
            i += 1;
        }
        masks
    };
    // SAFETY: reads sixteen of the 32 bytes, from index 16 at most.
    unsafe { vld1q_s8(MASKS.as_ptr().wrapping_add(16 - count.min(16))) }
}

/// Stores the `16 / M` bytes of each of `M` outputs, `step` bytes apart.
///
/// # Safety
/// The outputs must lie within the memory that is written.
#[inline(always)]
unsafe fn store<const M: usize>(bytes: int8x16_t, output: *mut i8, step: usize) {
    let at = |i: usize| output.wrapping_add(i * step);
    // SAFETY: guaranteed by the caller.
    unsafe {
        match M {
            4 => {
                let words = vreinterpretq_s32_s8(bytes);
                vst1q_lane_s32::<0>(at(0).cast(), words);
                vst1q_lane_s32::<1>(at(1).cast(), words);
                vst1q_lane_s32::<2>(at(2).cast(), words);
                vst1q_lane_s32::<3>(at(3).cast(), words);
            }
            2 => {
                let words = vreinterpretq_s64_s8(bytes);
                vst1q_lane_s64::<0>(at(0).cast(), words);
                vst1q_lane_s64::<1>(at(1).cast(), words);
            }
            _ => vst1q_s8(output, bytes),
        }
    }
}
