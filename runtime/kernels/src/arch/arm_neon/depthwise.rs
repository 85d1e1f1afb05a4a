//! Depthwise convolutions: sixteen or eight channels of up to four adjacent pixels, whose sums stay in registers over
//! all taps and up to the requantized byte.
//!
//! The products of two taps are added in 16 bits, which they fit unless all four factors are -128, and then to the
//! sums.
//! Where the taps of a window lie is written once for all pixels that have the same.

use super::finish::{Factors, Finish, are_usual};
use super::products::has_minimum;
use crate::portable::{Steps, Window};
use crate::quant::Channel;
use core::arch::aarch64::{
    int8x8_t, int8x16_t, int16x8_t, int32x4_t, vaddw_high_s8, vaddw_high_s16, vaddw_s8, vaddw_s16, vcombine_s8,
    vdupq_n_s16, vget_high_s8, vget_high_s16, vget_low_s8, vget_low_s16, vld1_s8, vld1q_s8, vld1q_s32, vmlal_high_s8,
    vmlal_n_s16, vmlal_s8, vmull_high_s8, vmull_s8, vst1_s8, vst1q_s8,
};
use core::mem::MaybeUninit;

/// The maximum number of taps of a window.
const MOST_TAPS: usize = 128;

/// The distances of a tap from a pixel's first tap in the input, and from the first weight.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    input: u32,
    weights: u32,
}

/// The taps of a window: those inside the input, and then those in the padding.
pub(super) struct Taps {
    taps: MaybeUninit<[Tap; MOST_TAPS]>,
    inside: usize,
    outside: usize,
}

impl Taps {
    pub(super) fn new() -> Self {
        // Of a constant value the compiler writes all bytes, and not only the numbers.
        Self { taps: MaybeUninit::uninit(), inside: core::hint::black_box(0), outside: 0 }
    }

    /// Whether there is room for so many taps, of which none is farther away than so many elements.
    pub(super) fn have_room(count: usize, elements: usize) -> bool {
        count <= MOST_TAPS && elements <= u32::MAX as usize
    }

    /// Adds a tap, if there is room.
    #[inline(always)]
    fn push(&mut self, at: usize, input: usize, weights: usize) {
        if at < MOST_TAPS {
            let tap = Tap { input: input as u32, weights: weights as u32 };
            // SAFETY: there is room for it.
            unsafe { self.taps.as_mut_ptr().cast::<Tap>().add(at).write(tap) };
        }
    }

    /// Makes the taps those of a window inside the input, of which the first reads the weights from element `first` on.
    #[inline(never)]
    pub(super) fn set_inside(&mut self, window: &Window, first: usize) {
        let (mut line, mut at) = ([0, first], 0);
        for _ in 0..window.lines {
            let [mut input, mut weights] = line;
            for _ in 0..window.runs {
                self.push(at, input, weights);
                (input, weights) = (input.wrapping_add(window.run[0]), weights.wrapping_add(window.run[1]));
                at += 1;
            }
            line = [line[0].wrapping_add(window.line[0]), line[1].wrapping_add(window.line[1])];
        }
        (self.inside, self.outside) = (at.min(MOST_TAPS), 0);
    }

    /// Adds a tap in the padding, whose weights begin at element `weights`.
    #[inline(always)]
    pub(super) fn add_outside(&mut self, weights: usize) {
        let at = self.inside + self.outside;
        self.push(at, 0, weights);
        self.outside = (at + 1).min(MOST_TAPS) - self.inside;
    }

    #[inline(always)]
    pub(super) fn inside(&self) -> &[Tap] {
        // SAFETY: so many have been written.
        unsafe { core::slice::from_raw_parts(self.taps.as_ptr().cast(), self.inside) }
    }

    #[inline(always)]
    pub(super) fn outside(&self) -> &[Tap] {
        // SAFETY: so many have been written, behind those inside.
        unsafe { core::slice::from_raw_parts(self.taps.as_ptr().cast::<Tap>().add(self.inside), self.outside) }
    }
}

/// The weights and channels of a layer, or of some of its channels.
pub(super) struct Layer<'a> {
    weights: *const i8,
    channels: &'a [Channel],
    /// Whether no weight is -128.
    pairs: bool,
    finish: Finish,
}

impl<'a> Layer<'a> {
    #[inline(always)]
    pub(super) fn new(weights: &[i8], channels: &'a [Channel], finish: Finish) -> Self {
        Self { weights: weights.as_ptr(), channels, pairs: !has_minimum(weights), finish }
    }
}

/// The initial sums of a layer's channels.
#[derive(Clone, Copy)]
pub(super) enum Initial {
    /// So many sums, one for each channel.
    Sums(*const i32),
    /// The biases, with taps in the padding that read this zero point.
    Biases(i8),
}

/// Adjacent pixels, all of whose windows have the same taps.
pub(super) struct Job<'a> {
    pub(super) layer: &'a Layer<'a>,
    pub(super) initial: Initial,
    /// The taps inside the input.
    pub(super) inside: &'a [Tap],
    /// The taps in the padding, if the initial sums are biases.
    pub(super) outside: &'a [Tap],
    pub(super) steps: Steps,
    /// From the first tap of the first pixel on.
    pub(super) input: *const i8,
    pub(super) outputs: *mut i8,
}

impl Job<'_> {
    /// Computes all channels. If their number is not a multiple of eight, the last block overlaps with the one before.
    ///
    /// # Safety
    /// All taps of all pixels and channels must be there, and there must be at least eight channels.
    #[inline(always)]
    pub(super) unsafe fn compute(&self) {
        let (count, mut at) = (self.layer.channels.len(), 0);
        // SAFETY: guaranteed by the caller.
        unsafe {
            while count - at >= 16 {
                self.block::<2, 4>(at);
                at += 16;
            }
            if count - at >= 8 {
                self.block::<1, 2>(at);
                at += 8;
            }
            if at < count {
                self.block::<1, 2>(count - 8);
            }
        }
    }

    /// Computes `8 * H` channels, which have `G = 2 * H` vectors of sums, from `at` on.
    ///
    /// # Safety
    /// As of [`compute`](Self::compute), and the channels must be there.
    #[inline(never)]
    unsafe fn block<const H: usize, const G: usize>(&self, at: usize) {
        let channels = self.layer.channels.as_ptr().wrapping_add(at);
        let weights = self.layer.weights.wrapping_add(at);
        // SAFETY: guaranteed by the caller.
        let factors: [Factors; G] =
            core::array::from_fn(|group| unsafe { Factors::load(channels.wrapping_add(4 * group), 0) });
        let usual = are_usual(&factors);
        let initial = match self.initial {
            Initial::Sums(sums) => {
                // SAFETY: guaranteed by the caller.
                core::array::from_fn(|group| unsafe { vld1q_s32(sums.wrapping_add(at + 4 * group)) })
            }
            Initial::Biases(zero_point) => {
                let mut biases = factors.map(|factors| factors.bias);
                if !self.outside.is_empty() {
                    // SAFETY: guaranteed by the caller.
                    unsafe { add_padding::<H, G>(&mut biases, self.outside, weights, zero_point) };
                }
                biases
            }
        };
        let mut tile = Tile {
            input: self.input.wrapping_add(at),
            weights,
            output: self.outputs.wrapping_add(at),
            channels,
            initial,
            usual,
        };
        let mut left = self.steps.count;
        if !self.layer.pairs || !usual {
            while left > 0 {
                // SAFETY: guaranteed by the caller.
                unsafe { self.pixels::<1, H, G, false>(&mut tile) };
                left -= 1;
            }
            return;
        }
        // SAFETY: guaranteed by the caller.
        unsafe {
            while left > 6 || left == 4 {
                self.pixels::<4, H, G, true>(&mut tile);
                left -= 4;
            }
            while left > 2 {
                self.pixels::<3, H, G, true>(&mut tile);
                left -= 3;
            }
            match left {
                2 => self.pixels::<2, H, G, true>(&mut tile),
                1 => self.pixels::<1, H, G, true>(&mut tile),
                _ => {}
            }
        }
    }

    /// Computes `P` adjacent pixels and moves the tile behind them. `USUAL` says that no weight is -128, and that all
    /// channels are usual.
    ///
    /// # Safety
    /// As of [`compute`](Self::compute), and the channels and pixels must be there.
    #[inline(always)]
    unsafe fn pixels<const P: usize, const H: usize, const G: usize, const USUAL: bool>(&self, tile: &mut Tile<G>) {
        let mut inputs = [tile.input; P];
        for i in 1..P {
            inputs[i] = inputs[i - 1].wrapping_add(self.steps.input);
        }
        let mut sums = [tile.initial; P];
        // The first taps are added to the initial sums apart from the loop, which saves copies of them.
        // SAFETY: guaranteed by the caller.
        unsafe {
            let pairs = match self.inside.as_rchunks::<2>() {
                ([tap], pairs) => {
                    let w = load::<H>(tile.weights.wrapping_add(tap.weights as usize));
                    for i in 0..P {
                        let x = load::<H>(inputs[i].wrapping_add(tap.input as usize));
                        sums[i] = add_products::<H, G>(tile.initial, x, w);
                    }
                    pairs
                }
                (_, [first, pairs @ ..]) => {
                    let w = load_pair::<H>(tile.weights, first.map(|tap| tap.weights));
                    for i in 0..P {
                        let x = load_pair::<H>(inputs[i], first.map(|tap| tap.input));
                        sums[i] = add_pairs::<H, G, USUAL>(tile.initial, x, w);
                    }
                    pairs
                }
                _ => &[],
            };
            for pair in pairs {
                let w = load_pair::<H>(tile.weights, pair.map(|tap| tap.weights));
                for i in 0..P {
                    let x = load_pair::<H>(inputs[i], pair.map(|tap| tap.input));
                    sums[i] = add_pairs::<H, G, USUAL>(sums[i], x, w);
                }
            }
            self.store::<P, G, USUAL>(tile, sums);
        }
        tile.input = inputs[P - 1].wrapping_add(self.steps.input);
    }

    /// Requantizes and stores `P` adjacent pixels, and moves the tile's output behind them.
    ///
    /// # Safety
    /// The outputs must be there.
    #[inline(always)]
    unsafe fn store<const P: usize, const G: usize, const USUAL: bool>(
        &self,
        tile: &mut Tile<G>,
        sums: [[int32x4_t; G]; P],
    ) {
        let (finish, step) = (&self.layer.finish, self.steps.output);
        // SAFETY: guaranteed by the caller.
        let numbers = unsafe { finish.scale(tile.channels, USUAL || tile.usual, sums) };
        let mut output = tile.output;
        // SAFETY: guaranteed by the caller.
        unsafe {
            if G == 4 {
                for numbers in numbers {
                    let [a, b, c, d] = [numbers[0], numbers[1], numbers[2 % G], numbers[3 % G]];
                    vst1q_s8(output, finish.narrow([a, b, c, d]));
                    output = output.wrapping_add(step);
                }
            } else {
                for pixel in (0..P).step_by(2) {
                    let [a, b] = [numbers[pixel], numbers[(pixel + 1).min(P - 1)]];
                    let bytes = finish.narrow([a[0], a[1], b[0], b[1]]);
                    vst1_s8(output, vget_low_s8(bytes));
                    output = output.wrapping_add(step);
                    if pixel + 1 < P {
                        vst1_s8(output, vget_high_s8(bytes));
                        output = output.wrapping_add(step);
                    }
                }
            }
        }
        tile.output = output;
    }
}

/// Adjacent pixels of a block of channels.
struct Tile<const G: usize> {
    input: *const i8,
    weights: *const i8,
    output: *mut i8,
    channels: *const Channel,
    initial: [int32x4_t; G],
    /// Whether the channels are [usual](are_usual).
    usual: bool,
}

/// Loads `8 * H` bytes; if they are only eight, twice the same.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load<const H: usize>(from: *const i8) -> int8x16_t {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if H == 2 {
            return vld1q_s8(from);
        }
        let half: int8x8_t = vld1_s8(from);
        vcombine_s8(half, half)
    }
}

/// Loads the elements of two taps.
///
/// # Safety
/// There must be as many bytes.
#[inline(always)]
unsafe fn load_pair<const H: usize>(from: *const i8, offsets: [u32; 2]) -> [int8x16_t; 2] {
    // SAFETY: guaranteed by the caller.
    offsets.map(|offset| unsafe { load::<H>(from.wrapping_add(offset as usize)) })
}

/// Adds the products of `8 * H` channels to their sums.
#[inline(always)]
fn add_products<const H: usize, const G: usize>(
    mut sums: [int32x4_t; G],
    x: int8x16_t,
    w: int8x16_t,
) -> [int32x4_t; G] {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        add_wide::<0, G>(&mut sums, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
        if H == 2 {
            add_wide::<2, G>(&mut sums, vmull_high_s8(x, w));
        }
    }
    sums
}

/// Adds the products of `8 * H` channels with two taps to their sums. `NARROW` says that no weight is -128.
#[inline(always)]
fn add_pairs<const H: usize, const G: usize, const NARROW: bool>(
    mut sums: [int32x4_t; G],
    [x, y]: [int8x16_t; 2],
    [v, w]: [int8x16_t; 2],
) -> [int32x4_t; G] {
    if !NARROW {
        return add_products::<H, G>(add_products::<H, G>(sums, x, v), y, w);
    }
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        let low = vmull_s8(vget_low_s8(x), vget_low_s8(v));
        add_wide::<0, G>(&mut sums, vmlal_s8(low, vget_low_s8(y), vget_low_s8(w)));
        if H == 2 {
            add_wide::<2, G>(&mut sums, vmlal_high_s8(vmull_high_s8(x, v), y, w));
        }
    }
    sums
}

/// Adds eight numbers to the vectors of sums `FIRST` and `FIRST + 1`.
#[inline(always)]
fn add_wide<const FIRST: usize, const G: usize>(sums: &mut [int32x4_t; G], numbers: int16x8_t) {
    // SAFETY: this file is compiled only for targets with NEON.
    unsafe {
        sums[FIRST % G] = vaddw_s16(sums[FIRST % G], vget_low_s16(numbers));
        sums[(FIRST + 1) % G] = vaddw_high_s16(sums[(FIRST + 1) % G], numbers);
    }
}

/// Adds the products of taps that all read `zero_point` to the sums of `8 * H` channels.
///
/// # Safety
/// There must be as many weights of each tap.
#[inline(always)]
unsafe fn add_padding<const H: usize, const G: usize>(
    sums: &mut [int32x4_t; G],
    taps: &[Tap],
    weights: *const i8,
    zero_point: i8,
) {
    // SAFETY: this file is compiled only for targets with NEON; the weights are guaranteed by the caller. The sums of
    // at most `MOST_TAPS` weights fit 16 bits.
    unsafe {
        let [mut low, mut high] = [vdupq_n_s16(0); 2];
        for tap in taps {
            let w = load::<H>(weights.wrapping_add(tap.weights as usize));
            (low, high) = (vaddw_s8(low, vget_low_s8(w)), vaddw_high_s8(high, w));
        }
        let zero_point = i16::from(zero_point);
        let halves = [vget_low_s16(low), vget_high_s16(low), vget_low_s16(high), vget_high_s16(high)];
        for (sum, half) in sums.iter_mut().zip(halves) {
            *sum = vmlal_n_s16(*sum, half, zero_point);
        }
    }
}
