//! Products of many inputs with all filters, by `SDOT` with one element: a tile of sixteen inputs and four filters.
//!
//! Four filters at a time are arranged in a buffer so that a register has four adjacent elements of each. One instruction
//! then adds the products of four elements of an input to a sum for each filter. Nothing is left to be added at the end,
//! the initial sums are biases, and the requantization factors of a tile are those of four channels. The arrangement is
//! made once for all inputs of a call.

use super::finish::{Factors, Finish, are_usual};
use super::multiply::{adjacent, first_bytes, load_16, load_32, load_short};
use super::sdot::transpose;
use crate::lines::tail;
use crate::matrix::{Filters, Inputs};
use core::arch::aarch64::{int8x16_t, int32x4_t, vbicq_s8, vcombine_s8, vld1_s8, vld1q_s8, vst1q_s8};
use core::arch::asm;
use core::mem::MaybeUninit;

/// The minimum number of inputs that are multiplied together.
pub(super) const FEWEST: usize = 8;

/// The bytes of the [`Room`]: for four filters of 576 elements and the starts of 32 inputs, or fewer elements and more
/// inputs.
const ROOM: usize = 2576;

/// Elements behind the copies of windows, as many as a load takes.
pub(super) const BEHIND: usize = 16;

/// Room for the arranged filters, the starts of the inputs that are multiplied together, and copies of windows.
pub(super) struct Room(MaybeUninit<[u64; ROOM / 8]>);

impl Room {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    #[inline(always)]
    pub(super) fn as_mut_ptr(&mut self) -> *mut i8 {
        self.0.as_mut_ptr().cast()
    }
}

/// The lines of an input, which begin `line` elements apart, and how each of `run` elements is divided.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    lines: usize,
    run: usize,
    /// The number of blocks of 32 elements.
    pairs: usize,
    /// Whether there is a block of sixteen elements besides. That of a line of fewer elements ends behind it.
    single: bool,
    /// Whether eight elements are left.
    half: bool,
    /// The number of other elements that are left. They are read with those before them, as sixteen.
    rest: usize,
    /// The distance from the end of a line's blocks to the next line.
    gap: usize,
}

impl Shape {
    /// `None` for lines of fewer than sixteen elements, if there are several, and for filters that have no room.
    #[inline(always)]
    pub(super) fn new(lines: usize, line: usize, run: usize) -> Option<Self> {
        if run == 0 || lines == 0 || (run < 16 && lines > 1) {
            return None;
        }
        let left = run % 16;
        let is_short = run < 16 && run != 8;
        let half = left == 8;
        let rest = if half || is_short { 0 } else { left };
        let shape = Self {
            lines,
            run,
            pairs: run / 32,
            single: run & 16 != 0 || is_short,
            half,
            rest,
            gap: line.wrapping_sub(run - rest),
        };
        (shape.arranged_len() <= ROOM).then_some(shape)
    }

    /// The number of elements that four arranged filters have.
    #[inline(always)]
    pub(super) fn arranged_len(&self) -> usize {
        let sixteens = 2 * self.pairs + usize::from(self.single) + usize::from(self.rest > 0);
        (64 * sixteens + 32 * usize::from(self.half)).saturating_mul(self.lines)
    }

    /// The number of elements from the start of a line on that are read.
    #[inline(always)]
    pub(super) fn read_len(&self) -> usize {
        if self.run < 16 && !self.half { 16 } else { self.run }
    }
}

/// What the products of some inputs share.
pub(super) struct Products<'a> {
    filters: &'a Filters<'a>,
    shape: Shape,
    output_step: usize,
    /// The maximum number of inputs that are multiplied together.
    most: usize,
}

/// [`multiply`](super::multiply::multiply) for at least [`FEWEST`] inputs. Returns whether it did: not with few inputs, or
/// filters that [`Shape`] has no room for.
///
/// # Safety
/// The core must have the instruction, there must be at least four filters, and the operands must fit: [`Inputs::fit`].
#[inline(always)]
pub(super) unsafe fn multiply(
    filters: &Filters<'_>,
    inputs: &Inputs<'_>,
    output_step: usize,
    outputs: *mut i8,
) -> bool {
    if inputs.count < FEWEST {
        return false;
    }
    let Some(shape) = Shape::new(inputs.lines, inputs.line, inputs.run) else { return false };
    // A saturated sum exceeds the length of any slice.
    if inputs.end().saturating_add(shape.read_len() - inputs.run) > inputs.values.len() {
        return false;
    }
    let Some(products) = Products::new(filters, shape, output_step, 0) else { return false };
    if !products.are_faster(inputs.count) {
        return false;
    }
    // SAFETY: guaranteed by the caller.
    unsafe { multiply_adjacent(&products, inputs, outputs) };
    true
}

/// Multiplies inputs that are equally far apart.
///
/// # Safety
/// As of [`multiply`].
#[inline(never)]
unsafe fn multiply_adjacent(products: &Products<'_>, inputs: &Inputs<'_>, outputs: *mut i8) {
    let mut room = Room::new();
    let room = room.as_mut_ptr();
    let (mut left, mut next, mut outputs) = (inputs.count, inputs.values.as_ptr(), outputs);
    while left > 0 {
        let count = products.together(left);
        left -= count;
        // SAFETY: guaranteed by the caller; the room has a place for so many starts.
        unsafe {
            let mut start = products.starts(room);
            for _ in 0..count {
                start.write(next);
                (start, next) = (start.wrapping_add(1), next.wrapping_add(inputs.step));
            }
            products.compute(count, room, outputs);
        }
        outputs = outputs.wrapping_add(count * products.output_step);
    }
}

impl<'a> Products<'a> {
    /// `None` if there is no room for enough inputs. If `copied` is not 0, each is copied, and has so many elements.
    #[inline(always)]
    pub(super) fn new(filters: &'a Filters<'a>, shape: Shape, output_step: usize, copied: usize) -> Option<Self> {
        let size = copied.saturating_add(size_of::<*const i8>());
        let left = ROOM.checked_sub(shape.arranged_len().saturating_add(BEHIND))?;
        // A multiple of the largest tile.
        let most = left.checked_div(size)? & !15;
        (most > 0).then_some(Self { filters, shape, output_step, most })
    }

    /// How many of the inputs that are left are multiplied together: not so many that too few are left.
    #[inline(always)]
    pub(super) fn together(&self, left: usize) -> usize {
        let most = self.most;
        if left > most && left < most + FEWEST { left - FEWEST } else { left.min(most) }
    }

    #[inline(always)]
    pub(super) fn output_step(&self) -> usize {
        self.output_step
    }

    /// Where in the room the starts of the inputs lie.
    #[inline(always)]
    pub(super) fn starts(&self, room: *mut i8) -> *mut *const i8 {
        // Arranged filters have a multiple of 32 bytes.
        room.wrapping_add(self.shape.arranged_len()).cast()
    }

    /// Where in the room the copies of the inputs lie.
    #[inline(always)]
    pub(super) fn copies(&self, room: *mut i8) -> *mut i8 {
        self.starts(room).wrapping_add(self.most).cast()
    }

    /// About how many instructions a strip of four filters takes with `count` inputs, times 32, in tiles of `size`.
    #[inline(always)]
    fn cost(&self, count: usize, size: usize) -> usize {
        let tile = self.filters.len * (9 * size + 6) + 32 * (9 * size + 44);
        count.div_ceil(size.max(1)) * tile
    }

    /// Whether the products of `count` inputs, at least [`FEWEST`], take fewer instructions than in tiles of four inputs and
    /// four filters that are not arranged.
    #[inline(always)]
    fn are_faster(&self, count: usize) -> bool {
        let arrangement = 26 * self.filters.len + 32 * 70;
        let cost = arrangement + self.cost(count, self.tile(count));
        cost < count.saturating_mul(self.filters.len * 42 + 32 * 140) / 4
    }

    /// The size of the tiles of `count` inputs.
    #[inline(always)]
    fn tile(&self, count: usize) -> usize {
        let [small, medium, large] = [8, 12, 16].map(|size| self.cost(count, size));
        if count >= 16 && large <= medium.min(small) {
            16
        } else if count >= 12 && medium <= small {
            12
        } else {
            8
        }
    }

    /// Multiplies `count` inputs, as many as [`together`](Self::together) says, whose starts are written.
    ///
    /// # Safety
    /// The core must have the instruction, there must be at least four filters, and the operands must fit. `room` must be a
    /// [`Room`], in which no input lies but in the place of copies.
    #[inline(always)]
    pub(super) unsafe fn compute(&self, count: usize, room: *mut i8, outputs: *mut i8) {
        // SAFETY: guaranteed by the caller; no tile has more inputs than there are.
        unsafe {
            match self.tile(count) {
                16 => self.strips::<16>(count, room, outputs),
                12 => self.strips::<12>(count, room, outputs),
                _ => self.strips::<8>(count, room, outputs),
            }
        }
    }

    /// Multiplies with four filters at a time, in tiles of `M` inputs. If a number is not a multiple of the tile's, the
    /// last overlaps with the one before.
    ///
    /// # Safety
    /// As of [`compute`](Self::compute), and there must be `M` inputs.
    #[inline(never)]
    unsafe fn strips<const M: usize>(&self, count: usize, room: *mut i8, outputs: *mut i8) {
        let Self { filters, shape, output_step, .. } = *self;
        let finish = Finish::new(&filters.output);
        let (rows, starts) = (filters.channels.len(), self.starts(room).cast_const());
        let mut row = 0;
        while row < rows {
            row = row.min(rows - 4);
            // SAFETY: guaranteed by the caller.
            unsafe {
                self.arrange(row, room);
                let factors = Factors::load(filters.channels.as_ptr().wrapping_add(row), filters.offset);
                let usual = are_usual(&[factors]);
                let output = outputs.wrapping_add(row);
                let mut at = 0;
                loop {
                    let starts = starts.wrapping_add(at);
                    let sums = shape.sums::<M>(starts, room, factors.bias);
                    store::<M>(sums, &finish, &factors, usual, output.wrapping_add(at * output_step), output_step);
                    if at + M >= count {
                        break;
                    }
                    at = (at + M).min(count - M);
                }
            }
            row += 4;
        }
    }

    /// Arranges four filters from `row` on: blocks of sixteen elements in four registers each, and half a block in two.
    ///
    /// # Safety
    /// There must be as many filters.
    #[inline(never)]
    unsafe fn arrange(&self, row: usize, room: *mut i8) {
        let Shape { lines, run, pairs, single, half, rest, .. } = self.shape;
        let weights = tail(self.filters.weights, row * self.filters.len);
        let mut to = room;
        if run < 16 && !half {
            let filters = core::array::from_fn(|r| load_short::<1>(tail(weights, r * run), run)[0]);
            // SAFETY: the room is as large as the shape needs.
            unsafe { store_arranged(&mut to, filters) };
            return;
        }
        let mut from: [*const i8; 4] = adjacent(weights.as_ptr(), self.filters.len);
        for _ in 0..lines {
            // SAFETY: guaranteed by the caller; a line has the elements, and the room is as large as the shape needs.
            unsafe {
                let [a, b, c, d] = &mut from;
                for _ in 0..pairs {
                    let [a, b, c, d] = [load_32(a), load_32(b), load_32(c), load_32(d)];
                    store_arranged(&mut to, [a[0], b[0], c[0], d[0]]);
                    store_arranged(&mut to, [a[1], b[1], c[1], d[1]]);
                }
                if single {
                    store_arranged(&mut to, [load_16(a), load_16(b), load_16(c), load_16(d)]);
                }
                if half {
                    let [a, b, ..] = transpose(from.map(|from| vcombine_s8(vld1_s8(from), vld1_s8(from))));
                    vst1q_s8(to, a);
                    vst1q_s8(to.wrapping_add(16), b);
                    to = to.wrapping_add(32);
                    from = from.map(|from| from.wrapping_add(8));
                }
                if rest > 0 {
                    let others = first_bytes(16 - rest);
                    from = from.map(|from| from.wrapping_add(rest));
                    store_arranged(&mut to, from.map(|from| vbicq_s8(vld1q_s8(from.wrapping_sub(16)), others)));
                }
            }
        }
    }
}

/// Requantizes and stores the sums of `M` inputs, whose outputs are `step` elements apart.
///
/// # Safety
/// The outputs must be there.
#[inline(always)]
unsafe fn store<const M: usize>(
    sums: [int32x4_t; 16],
    finish: &Finish,
    factors: &Factors,
    usual: bool,
    mut output: *mut i8,
    step: usize,
) {
    for group in 0..M / 4 {
        let bytes = finish.bytes(&[*factors], usual, core::array::from_fn(|i| sums[4 * group + i]));
        // SAFETY: guaranteed by the caller.
        unsafe {
            asm!(
                "st1 {{{bytes:v}.s}}[0], [{output}], {step}",
                "st1 {{{bytes:v}.s}}[1], [{output}], {step}",
                "st1 {{{bytes:v}.s}}[2], [{output}], {step}",
                "st1 {{{bytes:v}.s}}[3], [{output}], {step}",
                bytes = in(vreg) bytes, output = inout(reg) output, step = in(reg) step,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// Evaluates an expression for the first `M` of sixteen inputs, written out, so that all sums stay in registers.
macro_rules! for_inputs {
    ($m:ident, $i:ident => $body:expr) => {
        for_inputs!(@ $m, $i => $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $m:ident, $i:ident => $body:expr, $($n:literal)+) => {
        $( if $n < $m { let $i: usize = $n; $body; } )+
    };
}

impl Shape {
    /// The products of `M` inputs and four arranged filters, added to the biases.
    ///
    /// # Safety
    /// The core must have the instruction. There must be `M` pointers to elements of this shape, and filters of it.
    #[inline(always)]
    unsafe fn sums<const M: usize>(
        &self,
        starts: *const *const i8,
        mut filters: *const i8,
        bias: int32x4_t,
    ) -> [int32x4_t; 16] {
        let mut sums = [bias; 16];
        let mut x = [core::ptr::null(); 16];
        // SAFETY: guaranteed by the caller.
        for_inputs!(M, i => x[i] = unsafe { starts.wrapping_add(i).read() });
        let mut lines = self.lines;
        loop {
            for _ in 0..self.pairs {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let w = load_eight(&mut filters);
                    for_inputs!(M, i => sums[i] = add_32(sums[i], &mut x[i], &w));
                }
            }
            if self.single {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let w = load_four(&mut filters);
                    for_inputs!(M, i => sums[i] = add_16(sums[i], load_16(&mut x[i]), &w));
                }
            }
            if self.half {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    let w = load_two(&mut filters);
                    for_inputs!(M, i => sums[i] = add_8(sums[i], &mut x[i], &w));
                }
            }
            if self.rest > 0 {
                // SAFETY: guaranteed by the caller; there are sixteen elements before the line's end.
                unsafe {
                    let w = load_four(&mut filters);
                    let back = 16 - self.rest;
                    for_inputs!(M, i => sums[i] = add_16(sums[i], vld1q_s8(x[i].wrapping_sub(back)), &w));
                }
            }
            lines -= 1;
            if lines == 0 {
                return sums;
            }
            for_inputs!(M, i => x[i] = x[i].wrapping_add(self.gap));
        }
    }
}

/// Stores sixteen elements of four filters, those of the same four elements next to one another.
///
/// # Safety
/// So many bytes may be written.
#[inline(always)]
unsafe fn store_arranged(to: &mut *mut i8, filters: [int8x16_t; 4]) {
    let [a, b, c, d] = transpose(filters);
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "stp {a:q}, {b:q}, [{to}], #32",
            "stp {c:q}, {d:q}, [{to}], #32",
            to = inout(reg) *to, a = in(vreg) a, b = in(vreg) b, c = in(vreg) c, d = in(vreg) d,
            options(nostack, preserves_flags),
        );
    }
}

/// Loads 32 arranged elements of four filters and moves the pointer behind them.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load_eight(from: &mut *const i8) -> [int8x16_t; 8] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let ([a, b, c, d], [e, f, g, h]) = (load_four(from), load_four(from));
        [a, b, c, d, e, f, g, h]
    }
}

/// Loads sixteen arranged elements of four filters and moves the pointer behind them.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load_four(from: &mut *const i8) -> [int8x16_t; 4] {
    let (a, b, c, d);
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "ldp {a:q}, {b:q}, [{from}], #32",
            "ldp {c:q}, {d:q}, [{from}], #32",
            a = out(vreg) a, b = out(vreg) b, c = out(vreg) c, d = out(vreg) d, from = inout(reg) *from,
            options(readonly, nostack, preserves_flags),
        );
    }
    [a, b, c, d]
}

/// Loads eight arranged elements of four filters and moves the pointer behind them.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load_two(from: &mut *const i8) -> [int8x16_t; 2] {
    let (a, b);
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            "ldp {a:q}, {b:q}, [{from}], #32",
            a = out(vreg) a, b = out(vreg) b, from = inout(reg) *from,
            options(readonly, nostack, preserves_flags),
        );
    }
    [a, b]
}

/// Adds to each sum the products of 32 elements with those of its filter, and moves the pointer behind them.
///
/// # Safety
/// The core must have the instruction, and there must be as many elements.
#[inline(always)]
unsafe fn add_32(mut sums: int32x4_t, x: &mut *const i8, w: &[int8x16_t; 8]) -> int32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "ldp {x:q}, {y:q}, [{from}], #32",
            "sdot {sums:v}.4s, {a:v}.16b, {x:v}.4b[0]",
            "sdot {sums:v}.4s, {b:v}.16b, {x:v}.4b[1]",
            "sdot {sums:v}.4s, {c:v}.16b, {x:v}.4b[2]",
            "sdot {sums:v}.4s, {d:v}.16b, {x:v}.4b[3]",
            "sdot {sums:v}.4s, {e:v}.16b, {y:v}.4b[0]",
            "sdot {sums:v}.4s, {f:v}.16b, {y:v}.4b[1]",
            "sdot {sums:v}.4s, {g:v}.16b, {y:v}.4b[2]",
            "sdot {sums:v}.4s, {h:v}.16b, {y:v}.4b[3]",
            sums = inout(vreg) sums, from = inout(reg) *x, x = out(vreg) _, y = out(vreg) _,
            a = in(vreg) w[0], b = in(vreg) w[1], c = in(vreg) w[2], d = in(vreg) w[3],
            e = in(vreg) w[4], f = in(vreg) w[5], g = in(vreg) w[6], h = in(vreg) w[7],
            options(readonly, nostack, preserves_flags),
        );
    }
    sums
}

/// Adds to each sum the products of sixteen elements with those of its filter.
///
/// # Safety
/// The core must have the instruction.
#[inline(always)]
unsafe fn add_16(mut sums: int32x4_t, x: int8x16_t, w: &[int8x16_t; 4]) -> int32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {a:v}.16b, {x:v}.4b[0]",
            "sdot {sums:v}.4s, {b:v}.16b, {x:v}.4b[1]",
            "sdot {sums:v}.4s, {c:v}.16b, {x:v}.4b[2]",
            "sdot {sums:v}.4s, {d:v}.16b, {x:v}.4b[3]",
            sums = inout(vreg) sums, x = in(vreg) x,
            a = in(vreg) w[0], b = in(vreg) w[1], c = in(vreg) w[2], d = in(vreg) w[3],
            options(nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Adds to each sum the products of eight elements with those of its filter, and moves the pointer behind them.
///
/// # Safety
/// The core must have the instruction, and there must be as many elements.
#[inline(always)]
unsafe fn add_8(mut sums: int32x4_t, x: &mut *const i8, w: &[int8x16_t; 2]) -> int32x4_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "ldr {x:d}, [{from}], #8",
            "sdot {sums:v}.4s, {a:v}.16b, {x:v}.4b[0]",
            "sdot {sums:v}.4s, {b:v}.16b, {x:v}.4b[1]",
            sums = inout(vreg) sums, from = inout(reg) *x, x = out(vreg) _, a = in(vreg) w[0], b = in(vreg) w[1],
            options(readonly, nostack, preserves_flags),
        );
    }
    sums
}
