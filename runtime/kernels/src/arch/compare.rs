//! Compares the instruction set's loops with the portable ones on random slices, on the board on which they run.

use super::{compare_blocks, compare_float};
use crate::add::{AddSub, add};
use crate::broadcast::Broadcast;
use crate::lines::{run, tail};
use crate::matrix::{Filters, Inputs, Output};
use crate::paths::Loops;
use crate::portable::{Steps, Window};
use crate::quant::{Channel, requantize_accumulator};
#[cfg(target_pointer_width = "64")]
use crate::{Conv2d, conv2d};
use crate::{DepthwiseConv2d, Pool2d, arch, depthwise_conv2d, max_pool2d, paired, portable};
use tealight_types::{ActivationRange, Multiplier, Quantization, Window2d};

/// Runs `cases` random cases and returns the number of the first in which the two differ.
///
/// ```
/// assert_eq!(tealight_kernels::compare_arch(100), None);
/// ```
#[inline(never)]
pub fn compare_arch(cases: u32) -> Option<u32> {
    let mut random = Random(0x2545_f491);
    let mut bytes = [[0i8; 160]; 2];
    for case in 0..cases {
        for byte in bytes.iter_mut().flatten() {
            *byte = random.next() as i8;
        }
        let [input, weights] = &bytes;
        // Any length, any alignment, any distance between rows.
        let (from, len, stride) = (random.below(8), random.below(33), random.below(40));
        let input = input.get(from..).and_then(|x| x.get(..len)).unwrap_or(&[]);
        let weights = weights.get(random.below(8)..).unwrap_or(&[]);
        let start = [random.next() as i32, 1, -1, i32::MAX];
        let (mut a, mut b) = (start, start);
        arch::dot_rows(&mut a, input, weights, stride);
        portable::dot_rows(&mut b, input, weights, stride);
        // A window of up to nine taps, over up to 40 channels.
        let window = Window {
            lines: random.below(4),
            runs: random.below(4),
            line: [random.below(20), random.below(20)],
            run: [random.below(20), random.below(20)],
        };
        let (mut c, mut d) = ([7i32; 40], [7i32; 40]);
        let from = random.below(40);
        arch::multiply_taps(c.get_mut(from..).unwrap_or(&mut []), &window, input, weights);
        portable::multiply_taps(d.get_mut(from..).unwrap_or(&mut []), &window, input, weights);
        // More filters, longer runs and more channels than the blocks of this instruction set have.
        #[cfg(riscv_v)]
        if case.is_multiple_of(8)
            && !(same_products::<41, 2000, 6000, 400>(&mut random, 150)
                && same_products::<140, 400, 1600, 800>(&mut random, 20)
                && same_lines::<71, 3000, 700>(&mut random))
        {
            return Some(case);
        }
        // Where there is the stack for it.
        #[cfg(target_pointer_width = "64")]
        if case.is_multiple_of(4) && !same_rows_of_convolution(&mut random) {
            return Some(case);
        }
        let longest = if random.below(4) == 0 { LONGEST } else { 40 };
        let same = a == b
            && c == d
            && same_bytes(&mut random)
            && same_products::<22, SIZE, WEIGHTS, SIZE>(&mut random, longest)
            && same_taps(&mut random)
            && same_rows(&mut random)
            && same_pairs(&mut random)
            && same_lines::<13, SIZE, 108>(&mut random)
            && same_rows_of_depthwise(&mut random)
            && same_sums(&mut random)
            && same_maxima(&mut random)
            && same_conversions(&mut random)
            && same_copies(&mut random)
            && compare_float::same(&mut random)
            && compare_blocks::same(&mut random);
        if !same {
            return Some(case);
        }
    }
    None
}

/// Compares requantization on accumulators and channels that a checked model may have.
#[inline(never)]
fn same_bytes(random: &mut Random) -> bool {
    let mut accumulators = [0; 24];
    let mut channels = [Channel { bias: 0, multiplier: 0, shift: 0 }; 24];
    for (accumulator, channel) in accumulators.iter_mut().zip(&mut channels) {
        // Of any magnitude, so that some outputs are inside the range.
        *accumulator = (random.next() as i32) >> random.below(32);
        channel.multiplier = (random.next() >> 1) as i32;
        channel.shift = random.below(62) as i32 - 31;
    }
    let accumulators = accumulators.get(..random.below(25)).unwrap_or(&[]);
    let zero_point = random.below(256) as i32 - 128;
    let (a, b) = (random.next() as i8, random.next() as i8);
    let activation = ActivationRange::new(a.min(b), a.max(b)).unwrap_or(ActivationRange::FULL);
    let (mut a, mut b) = ([7i8; 24], [7i8; 24]);
    arch::requantize(accumulators, &channels, zero_point, activation, &mut a);
    portable::requantize(accumulators, &channels, zero_point, activation, &mut b);
    a == b
}

/// The number of elements of an operand.
const SIZE: usize = 400;

/// The maximum number of elements in a run. Cores with 64 bits have blocks of 128 elements.
const LONGEST: usize = if cfg!(target_pointer_width = "64") { 160 } else { 40 };

/// The number of weights: on cores with 64 bits those of tiles of sixteen filters, for which they have the stack.
const WEIGHTS: usize = if cfg!(target_pointer_width = "64") { 17 * LONGEST } else { SIZE };

/// Compares the products of several inputs with fewer than `ROWS` rows with their definition. An input has runs of fewer
/// than `longest` elements.
#[inline(never)]
fn same_products<const ROWS: usize, const VALUES: usize, const WEIGHTS: usize, const OUTPUTS: usize>(
    random: &mut Random,
    longest: usize,
) -> bool {
    let (values, weights): ([_; VALUES], [_; WEIGHTS]) = (random.bytes(), random.weights());
    let channels: [Channel; ROWS] = random.channels();
    let channels = run(&channels, 0, random.below(ROWS));
    let (lines, run_len) = (1 + random.below(3), random.below(longest));
    // Many at times: some blocks are for no fewer than eight.
    let most = if random.below(4) == 0 { 24 } else { 8 };
    let inputs = Inputs {
        values: tail(&values, random.below(8)),
        count: random.below(most),
        step: random.below(VALUES / 10),
        lines,
        line: random.below(VALUES / 10 + 20),
        run: run_len,
    };
    let filters = Filters {
        weights: tail(&weights, random.below(8)),
        channels,
        len: lines * run_len,
        // Of any magnitude, so that some outputs are inside the range.
        offset: random.next() as i32 >> random.below(32),
        output: random.output(),
    };
    let step = channels.len() + random.below(5);
    let (mut a, mut b) = ([7i8; OUTPUTS], [7i8; OUTPUTS]);
    arch::multiply(&filters, &inputs, step, &mut a);
    if inputs.fit(&filters, step, OUTPUTS) {
        multiply_by_definition(&filters, &inputs, step, &mut b);
    }
    // Inputs without gaps, gathered by a function.
    let (mut c, mut d) = ([7i8; OUTPUTS], [7i8; OUTPUTS]);
    // As many as there is room for: they are computed in parts.
    let room = [inputs.values.len().checked_div(filters.len), OUTPUTS.checked_div(step)];
    let count = room.into_iter().flatten().fold(inputs.count, usize::min);
    let count = if filters.len == 0 { 0 } else { count };
    let inputs = Inputs { count, step: filters.len, lines: 1, line: 0, run: filters.len, ..inputs };
    arch::multiply_gathered(&filters, count, step, &mut c, &mut |range, values| {
        let all = tail(inputs.values, range.start * filters.len);
        for (to, &x) in values.iter_mut().zip(all) {
            *to = x;
        }
    });
    if inputs.fit(&filters, step, OUTPUTS) {
        multiply_by_definition(&filters, &inputs, step, &mut d);
    }
    a == b && c == d
}

/// Bytes at an address that is a multiple of four.
#[repr(C, align(4))]
struct Aligned<T, const N: usize>([T; N]);

/// Compares the products of one input with several rows with their definition: rows of up to 480 elements, most of which
/// begin at multiples of four.
#[inline(never)]
fn same_rows(random: &mut Random) -> bool {
    let (mut values, mut weights) = (Aligned([0; 480]), Aligned([0; 1928]));
    for byte in values.0.iter_mut().chain(&mut weights.0) {
        *byte = random.byte();
    }
    let len = 8 * random.below(61);
    let channels: [Channel; 30] = random.channels();
    let rows = random.below(31).min(1920usize.checked_div(len).unwrap_or(0));
    let filters = Filters {
        weights: tail(&weights.0, if random.below(4) == 0 { 1 } else { 4 * random.below(2) }),
        channels: run(&channels, 0, rows),
        len,
        offset: random.next() as i32 >> random.below(32),
        output: random.output(),
    };
    let inputs = Inputs::one(run(&values.0, 0, len));
    let (mut a, mut b) = ([7i8; 32], [7i8; 32]);
    arch::multiply(&filters, &inputs, rows, &mut a);
    // Likewise, for programs that multiply vectors alone.
    let mut vector = [7i8; 32];
    if !arch::multiply_vector(&filters, inputs.values, &mut vector) {
        arch::multiply_others(&filters, inputs.values, &mut vector);
    }
    if inputs.fit(&filters, rows, b.len()) {
        multiply_by_definition(&filters, &inputs, rows, &mut b);
    }
    a == b && vector == b
}

/// Compares the products of one input with rows in pairs, of any bytes, with the portable ones: rows of up to 480 elements.
#[inline(never)]
fn same_pairs(random: &mut Random) -> bool {
    let (values, mut weights): ([_; 480], _) = (random.bytes(), Aligned([0u8; 1928]));
    for byte in &mut weights.0 {
        *byte = random.byte().cast_unsigned();
    }
    let len = 8 * random.below(61);
    let channels: [Channel; 48] = random.channels();
    // More fours than are computed together in parts, of short rows.
    let rows = 4 * random.below(12).min(480usize.checked_div(len).unwrap_or(0));
    let weights = tail(&weights.0, if random.below(4) == 0 { 1 } else { 4 * random.below(2) });
    let (channels, input) = (run(&channels, 0, rows), run(&values, 0, len));
    let output = random.output();
    let (mut a, mut b) = ([7i8; 48], [7i8; 48]);
    arch::multiply_paired(weights, channels, input, output, &mut a);
    paired::multiply_rows(weights, channels, input, output, &mut b);
    a == b
}

/// The products of all inputs with all rows.
fn multiply_by_definition(filters: &Filters<'_>, inputs: &Inputs<'_>, step: usize, outputs: &mut [i8]) {
    for i in 0..inputs.count {
        for (r, channel) in filters.channels.iter().enumerate() {
            let mut sum = channel.bias.wrapping_add(filters.offset);
            for line in 0..inputs.lines {
                let x = run(inputs.values, i * inputs.step + line * inputs.line, inputs.run);
                let w = run(filters.weights, r * filters.len + line * inputs.run, inputs.run);
                sum = sum.wrapping_add(dot_product(x, w));
            }
            store(outputs, i * step + r, sum, channel, filters.output);
        }
    }
}

/// Compares a line, or some pixels of it, of a depthwise convolution of 3 x 3 taps with its definition, if the instruction set computes it. It has
/// fewer than `CHANNELS` channels.
#[inline(never)]
fn same_lines<const CHANNELS: usize, const SIZE: usize, const OUTPUTS: usize>(random: &mut Random) -> bool {
    let (input, weights): ([i8; SIZE], [i8; SIZE]) = (random.bytes(), random.weights());
    let channels: [Channel; CHANNELS] = random.channels();
    let output = random.output();
    let depth = 1 + random.below(CHANNELS - 1);
    let [height, width, out_width] = [1 + random.below(4), 1 + random.below(8), 1 + random.below(9)];
    let p = DepthwiseConv2d {
        input: [1, height, width, depth],
        output: [1, 4, out_width, depth],
        window: Window2d {
            kernel: [3, 3],
            stride: [1 + random.below(3), 1 + random.below(3)],
            dilation: [1, 1],
            pad: [random.below(3), random.below(3)],
        },
        input_zero_point: random.below(256) as i32 - 128,
        output_zero_point: output.zero_point,
        activation: output.activation,
    };
    let y = random.below(4);
    let (mut a, mut b) = ([7i8; OUTPUTS], [7i8; OUTPUTS]);
    let first = if random.below(2) == 0 { 0 } else { random.below(out_width) };
    let xs = first..if first == 0 { out_width } else { first + random.below(out_width - first) };
    let pixels = a.get_mut(xs.start * depth..xs.end * depth).unwrap_or(&mut []);
    if !arch::depthwise_line(&p, [0, y], &xs, [&input, &weights], &channels, pixels) {
        // A program whose layers are all computed by lines links nothing else. They are computed in part only where input and
        // output are one column wide.
        return xs != (0..out_width) || !Loops::HERE.have_depthwise_line(&p);
    }
    for x in xs {
        for (c, channel) in run(&channels, 0, depth).iter().enumerate() {
            let mut sum = channel.bias;
            for tap in 0..9 {
                let at = [y * p.window.stride[0] + tap / 3, x * p.window.stride[1] + tap % 3];
                let [row, column] = [at[0].wrapping_sub(p.window.pad[0]), at[1].wrapping_sub(p.window.pad[1])];
                let zero_point = [p.input_zero_point as i8];
                let inside = row < height && column < width;
                let x = if inside { run(&input, (row * width + column) * depth + c, 1) } else { &zero_point };
                sum = sum.wrapping_add(dot_product(x, run(&weights, tap * depth + c, 1)));
            }
            store(&mut b, x * depth + c, sum, channel, output);
        }
    }
    a == b
}

/// Compares a depthwise convolution of several pixels with its definition.
#[inline(never)]
fn same_taps(random: &mut Random) -> bool {
    let (input, weights): ([_; SIZE], [_; SIZE]) = (random.bytes(), random.weights());
    let (input, weights) = (tail(&input, random.below(8)), tail(&weights, random.below(8)));
    let channels: [Channel; 41] = random.channels();
    let channels = run(&channels, 0, random.below(42));
    let mut initial = [0; 41];
    for initial in &mut initial {
        *initial = random.next() as i32 >> random.below(32);
    }
    let initial = run(&initial, 0, channels.len());
    // Taps are often as far apart in the input as in the weights, and as far as pixels.
    let (step, adjacent) = (random.below(45), random.below(2) == 0);
    let apart = if adjacent { [step; 2] } else { [random.below(45), random.below(45)] };
    let line = [random.below(60), random.below(60)];
    let window = Window { lines: random.below(4), runs: random.below(4), line, run: apart };
    let output = random.output();
    let input_step = if adjacent { step } else { random.below(45) };
    let steps = Steps { count: random.below(7), input: input_step, output: channels.len() + random.below(5) };
    let (mut a, mut b) = ([7i8; SIZE], [7i8; SIZE]);
    arch::depthwise(initial, &window, &steps, input, weights, channels, output, &mut a);
    if steps.fit(&window, channels.len(), [input.len(), weights.len()], SIZE) {
        for i in 0..steps.count {
            for ((c, channel), &initial) in channels.iter().enumerate().zip(initial) {
                let mut sum = initial;
                for tap in 0..window.lines * window.runs {
                    let (line, column) = (tap.checked_div(window.runs).unwrap_or(0), tap.checked_rem(window.runs));
                    let at =
                        |k: usize| line * at_index(window.line, k) + column.unwrap_or(0) * at_index(window.run, k) + c;
                    let x = run(input, i * steps.input + at(0), 1);
                    sum = sum.wrapping_add(dot_product(x, run(weights, at(1), 1)));
                }
                store(&mut b, i * steps.output + c, sum, channel, output);
            }
        }
    }
    a == b
}

/// Compares some rows of a depthwise convolution of few taps, computed as a layer, with its definition.
#[inline(never)]
fn same_rows_of_depthwise(random: &mut Random) -> bool {
    let (input, weights): ([i8; SIZE], [i8; SIZE]) = (random.bytes(), random.weights());
    let channels: [Channel; 29] = random.channels();
    let output = random.output();
    let [height, width] = [1 + random.below(4), 1 + random.below(6)];
    // Up to nine taps, or more of them in a column or a row.
    let kernel = match random.below(8) {
        0 => [1 + random.below(20), 1],
        1 => [1, 1 + random.below(20)],
        2 => [4, 4],
        _ => [1 + random.below(3), 1 + random.below(3)],
    };
    let most = [SIZE.checked_div(height * width), SIZE.checked_div(kernel[0] * kernel[1])];
    let depth = 1 + random.below(most.into_iter().flatten().fold(29, usize::min));
    let [out_height, out_width] = [1 + random.below(3), 1 + random.below(9)];
    let p = DepthwiseConv2d {
        input: [1, height, width, depth],
        output: [1, out_height, out_width, depth],
        window: Window2d {
            kernel,
            stride: [1 + random.below(2), 1 + random.below(2)],
            dilation: [1 + random.below(2), 1 + random.below(2)],
            pad: [random.below(3), random.below(3)],
        },
        input_zero_point: random.below(256) as i32 - 128,
        output_zero_point: output.zero_point,
        activation: output.activation,
    };
    let first = random.below(out_height);
    let rows = first..first + 1 + random.below(out_height - first);
    let (mut a, mut b) = ([7i8; 800], [7i8; 800]);
    depthwise_conv2d(&p, rows.clone(), &input, &weights, &channels, &mut a);
    let [stride, dilation, pad] = [p.window.stride, p.window.dilation, p.window.pad];
    for (row, y) in rows.enumerate() {
        for x in 0..out_width {
            for (c, channel) in run(&channels, 0, depth).iter().enumerate() {
                let mut sum = channel.bias;
                for tap in 0..kernel[0] * kernel[1] {
                    let (ky, kx) = (tap.checked_div(kernel[1]).unwrap_or(0), tap.checked_rem(kernel[1]).unwrap_or(0));
                    let at = [y * stride[0] + ky * dilation[0], x * stride[1] + kx * dilation[1]];
                    let [line, column] = [at[0].wrapping_sub(pad[0]), at[1].wrapping_sub(pad[1])];
                    let zero_point = [p.input_zero_point as i8];
                    let inside = line < height && column < width;
                    let x = if inside { run(&input, (line * width + column) * depth + c, 1) } else { &zero_point };
                    sum = sum.wrapping_add(dot_product(x, run(&weights, tap * depth + c, 1)));
                }
                store(&mut b, (row * out_width + x) * depth + c, sum, channel, output);
            }
        }
    }
    a == b
}

/// Compares some rows of a convolution, computed as a layer, with its definition: lines of few and of many elements, of which
/// some rows and windows of several rows have room in the buffers of an instruction set, and others do not.
#[cfg(target_pointer_width = "64")]
#[inline(never)]
fn same_rows_of_convolution(random: &mut Random) -> bool {
    const INPUT: usize = 3072;
    const OUTPUTS: usize = 2048;
    let (input, weights): ([i8; INPUT], [i8; 4096]) = (random.bytes(), random.weights());
    let channels: [Channel; 11] = random.channels();
    let output = random.output();
    let [height, width] = [1 + random.below(9), 1 + random.below(12)];
    let kernel = [1 + random.below(4), 1 + random.below(4)];
    let filters = 1 + random.below(10);
    let most = [INPUT.checked_div(height * width), weights.len().checked_div(kernel[0] * kernel[1] * filters)];
    let depth = 1 + random.below(most.into_iter().flatten().fold(72, usize::min));
    let [out_height, out_width] = [1 + random.below(10), 1 + random.below(16)];
    let p = Conv2d {
        input: [1, height, width, depth],
        output: [1, out_height, out_width, filters],
        window: Window2d {
            kernel,
            stride: [1 + random.below(2), 1 + random.below(2)],
            dilation: [1 + random.below(2), if random.below(4) == 0 { 2 } else { 1 }],
            pad: if random.below(3) == 0 { [0, 0] } else { [random.below(3), random.below(3)] },
        },
        groups: 1,
        input_zero_point: random.below(256) as i32 - 128,
        output_zero_point: output.zero_point,
        activation: output.activation,
    };
    let first = random.below(out_height);
    let rows = first..first + 1 + random.below(out_height - first);
    let (mut a, mut b) = ([7i8; OUTPUTS], [7i8; OUTPUTS]);
    let all = run(&weights, 0, kernel[0] * kernel[1] * depth * filters);
    conv2d(&p, rows.clone(), &input, all, &channels, a.get_mut(..OUTPUTS - 8).unwrap_or(&mut []));
    let [stride, dilation, pad] = [p.window.stride, p.window.dilation, p.window.pad];
    for (row, y) in rows.enumerate() {
        for x in 0..out_width {
            for (filter, channel) in run(&channels, 0, filters).iter().enumerate() {
                let mut sum = channel.bias;
                for tap in 0..kernel[0] * kernel[1] {
                    let (ky, kx) = (tap.checked_div(kernel[1]).unwrap_or(0), tap.checked_rem(kernel[1]).unwrap_or(0));
                    let at = [y * stride[0] + ky * dilation[0], x * stride[1] + kx * dilation[1]];
                    let [line, column] = [at[0].wrapping_sub(pad[0]), at[1].wrapping_sub(pad[1])];
                    let zero_points = [p.input_zero_point as i8; 72];
                    let inside = line < height && column < width;
                    let from: &[i8] = if inside { tail(&input, (line * width + column) * depth) } else { &zero_points };
                    let w = run(all, (filter * kernel[0] * kernel[1] + tap) * depth, depth);
                    sum = sum.wrapping_add(dot_product(run(from, 0, depth), w));
                }
                store(&mut b, (row * out_width + x) * filters + filter, sum, channel, output);
            }
        }
    }
    a == b
}

/// Compares the maxima of windows with those of single channels.
#[inline(never)]
fn same_maxima(random: &mut Random) -> bool {
    const MOST: usize = 24;
    let input: [i8; 3 * 4 * MOST] = random.bytes();
    let [channels, height, width, out_width] =
        [1 + random.below(MOST), 1 + random.below(3), 1 + random.below(4), 1 + random.below(4)];
    let p = Pool2d {
        input: [1, height, width, channels],
        output: [1, 1, out_width, channels],
        window: Window2d {
            kernel: [1 + random.below(4), 1 + random.below(4)],
            stride: [1, 1 + random.below(2)],
            dilation: [1, 1],
            pad: [random.below(2), random.below(3)],
        },
        activation: random.output().activation,
    };
    let mut maxima = [7i8; 4 * MOST + 1];
    max_pool2d(&p, 0..1, &input, &mut maxima);
    let expected = (0..out_width * channels).map(|i| {
        let (x, channel) = (i.checked_div(channels).unwrap_or(0), i.checked_rem(channels).unwrap_or(0));
        let taps = (0..height * width).filter(|at| {
            let tap = [at.checked_div(width).unwrap_or(0), at.checked_rem(width).unwrap_or(0)];
            let tap = [tap[0] + p.window.pad[0], (tap[1] + p.window.pad[1]).wrapping_sub(x * p.window.stride[1])];
            tap[0] < p.window.kernel[0] && tap[1] < p.window.kernel[1]
        });
        let inputs = taps.filter_map(|at| input.get(at * channels + channel));
        p.activation.clamp(inputs.fold(i8::MIN, |most, &x| most.max(x)).into())
    });
    maxima.iter().zip(expected.chain(core::iter::once(7))).all(|(&maximum, expected)| maximum == expected)
}

/// Compares conversions from `f32` to 8 bits and back with their definitions.
#[inline(never)]
fn same_conversions(random: &mut Random) -> bool {
    const MOST: usize = 40;
    // Mostly usual scales, a few of any exponent; a quarter of them are powers of two.
    let exponent = if random.below(8) == 0 { random.below(255) } else { 110 + random.below(30) };
    let mantissa = if random.below(4) == 0 { 0 } else { random.below(1 << 23) };
    let signed = random.below(2) == 0;
    let bounds = if signed { [-128, 127] } else { [0, 255] };
    let by = Quantization {
        scale: f32::from_bits((exponent << 23 | mantissa) as u32),
        zero_point: random.below(256) as i32 + bounds[0],
    };
    let values: [f32; MOST] = core::array::from_fn(|_| {
        // At integers and halves, and just beside them; rarely anything.
        let half = (random.below(1200) as f32 - 600.0) * 0.5 * by.scale;
        let bits = if random.below(64) == 0 { random.next() } else { half.to_bits() };
        f32::from_bits(bits.wrapping_add(random.below(5) as u32).wrapping_sub(2))
    });
    let from = random.below(4);
    let values = values.get(from..from + random.below(MOST - 3)).unwrap_or(&[]);
    let (mut a, mut b) = ([7u8; MOST], [7u8; MOST]);
    arch::quantize_bytes(by, bounds, values, &mut a);
    portable::quantize_bytes(by, bounds, values, &mut b);
    let codes: [i8; MOST] = random.bytes();
    let codes = codes.map(i8::cast_unsigned);
    let codes = codes.get(from..from + values.len()).unwrap_or(&[]);
    let (mut c, mut d) = ([7.0f32; MOST], [7.0f32; MOST]);
    arch::dequantize_bytes(by, signed, codes, &mut c);
    portable::dequantize_bytes(by, signed, codes, &mut d);
    a == b && c.map(f32::to_bits) == d.map(f32::to_bits)
}

/// Compares the sums of two operands of one shape with those of single elements.
#[inline(never)]
fn same_sums(random: &mut Random) -> bool {
    let (a, b): ([_; SIZE], [_; SIZE]) = (random.bytes(), random.bytes());
    let len = random.below(40);
    let [from_a, from_b] = [random.below(8), random.below(8)];
    let (a, b) = (run(&a, from_a, len), run(&b, from_b, len));
    let mut multiplier = || Multiplier { multiplier: (random.next() >> 1) as i32, shift: -(random.below(32) as i32) };
    let [mut by_a, by_b, by_output] = [multiplier(), multiplier(), multiplier()];
    let output = random.output();
    // Mostly as converters write them: the common scale is twice one of the operands'.
    let usual = random.below(4) != 0;
    if usual {
        by_a.shift = 0;
    }
    let (by_a, by_b) = if random.below(2) == 0 { (by_a, by_b) } else { (by_b, by_a) };
    let p = AddSub {
        broadcast: Broadcast::elementwise(len, len),
        a_zero_point: random.below(256) as i32 - 128,
        b_zero_point: random.below(256) as i32 - 128,
        output_zero_point: output.zero_point,
        left_shift: if usual { 20 } else { random.below(21) as i32 },
        a: by_a,
        b: by_b,
        output: by_output,
        activation: output.activation,
    };
    let mut sums = [7i8; 40];
    add(&p, 0..1, a, b, sums.get_mut(..len).unwrap_or(&mut []));
    let expected = a.iter().zip(b).map(|(&a, &b)| p.sum(a, b));
    sums.iter().zip(expected.chain(core::iter::repeat(7))).all(|(&sum, expected)| sum == expected)
}

/// Compares copies of inputs, if the instruction set makes them, and of a run with their definition.
#[inline(never)]
fn same_copies(random: &mut Random) -> bool {
    let values: [i8; SIZE] = random.bytes();
    let inputs = Inputs {
        values: tail(&values, random.below(8)),
        count: 1 + random.below(5),
        step: random.below(40),
        lines: 1 + random.below(3),
        line: random.below(60),
        run: 1 + random.below(24),
    };
    let (mut a, mut b) = ([7i8; SIZE], [7i8; SIZE]);
    let len = inputs.count * inputs.lines * inputs.run;
    let fit = inputs.end() <= inputs.values.len();
    if fit && arch::gather(&inputs, a.get_mut(..len).unwrap_or(&mut [])) {
        for i in 0..len {
            let (line, at) = (i.checked_div(inputs.run).unwrap_or(0), i.checked_rem(inputs.run).unwrap_or(0));
            let (input, line) = (line / inputs.lines, line % inputs.lines);
            let from = input * inputs.step + line * inputs.line + at;
            if let (Some(to), Some(&x)) = (b.get_mut(i), inputs.values.get(from)) {
                *to = x;
            }
        }
    }
    let (mut c, mut d) = ([7i8; SIZE], [7i8; SIZE]);
    let (from, to) = (run(&values, random.below(8), random.below(SIZE - 8)), random.below(SIZE));
    arch::copy_run(c.get_mut(to..).unwrap_or(&mut []), from);
    for (to, &x) in d.iter_mut().skip(to).zip(from) {
        *to = x;
    }
    a == b && c == d
}

/// Element `k` of two.
fn at_index(pair: [usize; 2], k: usize) -> usize {
    pair.get(k).copied().unwrap_or(0)
}

fn dot_product(x: &[i8], w: &[i8]) -> i32 {
    x.iter().zip(w).fold(0, |sum, (&x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
}

/// Requantizes a sum and writes it to element `at`.
fn store(outputs: &mut [i8], at: usize, sum: i32, channel: &Channel, output: Output) {
    if let Some(byte) = outputs.get_mut(at) {
        *byte = requantize_accumulator(sum, channel, output.zero_point, output.activation);
    }
}

/// Marsaglia, "Xorshift RNGs" (2003).
pub(super) struct Random(u32);

impl Random {
    pub(super) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn bytes<const N: usize>(&mut self) -> [i8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte();
        }
        bytes
    }

    /// Weights, half of the time without -128, as converters write them.
    fn weights<const N: usize>(&mut self) -> [i8; N] {
        let mut weights = self.bytes();
        if self.below(2) == 0 {
            for weight in &mut weights {
                *weight = (*weight).max(-127);
            }
        }
        weights
    }

    /// Often at the ends of the range.
    fn byte(&mut self) -> i8 {
        match self.below(8) {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => self.next() as i8,
        }
    }

    /// Channels that a checked model may have, most of which map sums of few products into the range of a byte.
    fn channels<const N: usize>(&mut self) -> [Channel; N] {
        let mut channels = [Channel { bias: 0, multiplier: 0, shift: 0 }; N];
        // Half of the time those of networks, for which there are faster loops, or a few places more.
        let common = self.below(2) == 0;
        let places = if self.below(4) == 0 { 13 } else { 11 };
        for channel in &mut channels {
            channel.bias = self.next() as i32 >> if self.below(8) == 0 { self.below(4) } else { 8 + self.below(24) };
            channel.multiplier = (self.next() >> 1) as i32;
            channel.shift = match self.below(8) {
                _ if common => -1 - self.below(places) as i32,
                0 => self.below(62) as i32 - 31,
                _ => -(self.below(16) as i32),
            };
        }
        channels
    }

    fn output(&mut self) -> Output {
        let (a, b) = (self.next() as i8, self.next() as i8);
        let narrow = ActivationRange::new(a.min(b), a.max(b)).unwrap_or(ActivationRange::FULL);
        let activation = if self.below(2) == 0 { narrow } else { ActivationRange::FULL };
        Output { zero_point: self.below(256) as i32 - 128, activation }
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() as usize).checked_rem(n).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loops_of_this_instruction_set_return_what_their_definitions_do() {
        assert_eq!(super::compare_arch(if cfg!(miri) { 2 } else { 5_000 }), None);
    }
}
