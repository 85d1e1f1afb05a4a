//! Layers of random shapes against their definition, on processors with the instructions.

use super::{Registers, Set, convolve, depthwise_lines, multiply_vector};
use crate::add::AddSub;
use crate::arch;
use crate::arch::x86_64::detect::{Vectors, is_there};
use crate::arch::x86_64::dot::{Avx2, Avx512Vnni, AvxVnni};
use crate::arch::x86_64::{multiply_vector_avx_vnni, multiply_vector_avx2};
use crate::broadcast::Broadcast;
use crate::float::products::{self, Pixels};
use crate::float::{self, ScaleBias, UNBOUNDED, Weight, f16};
use crate::matrix::{Filters, Output};
use crate::portable::{Steps, Window};
use crate::quant::{Channel, requantize_accumulator};
use crate::window::Lines;
use crate::{Conv2d, DepthwiseConv2d};
use std::vec::Vec;
use tealight_types::{ActivationRange, Multiplier, Window2d};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 ^ (self.0 >> 20) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// From `low` to `high`.
    fn size(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn pick<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.below(N)]
    }

    /// Often at the ends of the range.
    fn bytes(&mut self, len: usize) -> Vec<i8> {
        let byte = |random: &mut Self| match random.below(6) {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => random.next() as i8,
        };
        (0..len).map(|_| byte(self)).collect()
    }

    fn zero_point(&mut self) -> i32 {
        let any = self.below(256) as i32 - 128;
        self.pick([-128, 127, any])
    }

    /// Those of most models; or with any shifts, multipliers and biases.
    fn channels(&mut self, count: usize) -> Vec<Channel> {
        let kind = self.below(4);
        let channel = |random: &mut Self| {
            let usual = (1 << 30) + (random.next() >> 2) as i32;
            let (any, small) = ((random.next() >> 1) as i32, random.below(2) as i32);
            let multiplier = match kind {
                0 | 1 => usual,
                _ => random.pick([usual, any, small, i32::MAX, 1 << 30]),
            };
            let shift = match kind {
                0 => -(random.size(6, 14) as i32),
                1 => -(random.size(1, 23) as i32),
                2 => -(random.size(0, 31) as i32),
                _ => random.size(0, 61) as i32 - 31,
            };
            let bias = random.next() as i32 >> random.pick([20, 14, 8, 0]);
            Channel { bias: if kind > 1 { bias } else { bias >> 8 }, multiplier, shift }
        };
        (0..count).map(|_| channel(self)).collect()
    }

    fn output(&mut self) -> Output {
        let zero_point = self.zero_point();
        let (a, b) = (self.next() as i8, self.next() as i8);
        let activation = match self.below(3) {
            0 => ActivationRange::FULL,
            // That of a ReLU.
            1 => ActivationRange::new(zero_point as i8, i8::MAX).unwrap(),
            _ => ActivationRange::new(a.min(b), a.max(b)).unwrap(),
        };
        Output { zero_point, activation }
    }
}

/// Calls `f` with many seeds.
fn for_seeds(count: u64, f: impl Fn(u64, &mut Random)) {
    for seed in 0..count {
        f(seed, &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 77));
    }
}

/// The input's and the output's shape without channels, and the window.
fn geometry(random: &mut Random) -> ([usize; 2], [usize; 2], Window2d) {
    let [height, width] = [random.size(1, 9), random.size(1, 40)];
    let kernel = random.pick([[1, 1], [3, 3], [3, 3], [2, 3], [1, 5], [4, 1], [7, 7], [8, 8]]);
    let stride = [random.size(1, 3), random.size(1, 3)];
    let dilation = random.pick([[1, 1], [1, 1], [2, 1], [2, 2]]);
    let pad = [random.below(kernel[0] * dilation[0]), random.below(kernel[1] * dilation[1])];
    let input = if random.below(5) == 0 { [width, 1] } else { [height, width] };
    let window = Window2d { kernel, stride, dilation, pad };
    if input[1] == 1 {
        let window = Window2d { kernel: [kernel[0].max(kernel[1]), 1], pad: [pad[0], 0], ..window };
        return (input, [random.size(1, 40), 1], window);
    }
    (input, [random.size(1, 9), random.size(1, 40)], window)
}

/// The element under a tap of a pixel, if it is inside the input.
fn tap(
    [_, height, width, depth]: [usize; 4],
    window: &Window2d,
    [image, y, x]: [usize; 3],
    [ky, kx]: [usize; 2],
    channel: usize,
) -> Option<usize> {
    let row = (y * window.stride[0] + ky * window.dilation[0]).checked_sub(window.pad[0])?;
    let column = (x * window.stride[1] + kx * window.dilation[1]).checked_sub(window.pad[1])?;
    (row < height && column < width).then(|| ((image * height + row) * width + column) * depth + channel)
}

/// A test for each instruction set, which tests something if the processor has it.
macro_rules! on_each_set {
    ($($name:ident, $test:ident;)*) => {
        $(
            #[test]
            fn $name() {
                if is_there(Vectors::Avx2) {
                    $test::<Avx2>();
                }
                if is_there(Vectors::AvxVnni) {
                    $test::<AvxVnni>();
                }
                if is_there(Vectors::Avx512Vnni) {
                    $test::<Avx512Vnni>();
                }
            }
        )*
    };
}

on_each_set! {
    convolutions_equal_their_definition, convolutions;
    depthwise_convolutions_equal_their_definition, depthwise_convolutions;
    sums_equal_their_definition, sums;
}

fn convolutions<S: Set>() {
    let computed = std::cell::Cell::new(0);
    for_seeds(600, |seed, random| {
        let images = random.size(1, 2);
        let ([height, width], [out_height, out_width], window) = geometry(random);
        let pointwise = random.below(3) == 0;
        let window =
            if pointwise { Window2d { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] } } else { window };
        let [out_height, out_width] = if pointwise { [height, width] } else { [out_height, out_width] };
        let depth = random.pick([1, 2, 3, 4, 7, 16, 30, 64, 65, 150]);
        let filters = random.pick([1, 5, 8, 16, 17, 32, 40, 64, 100, 140]);
        let output = random.output();
        let p = Conv2d {
            input: [images, height, width, depth],
            output: [images, out_height, out_width, filters],
            window,
            groups: 1,
            input_zero_point: random.zero_point(),
            output_zero_point: output.zero_point,
            activation: output.activation,
        };
        let len = window.kernel[0] * window.kernel[1] * depth;
        let (input, weights) = (random.bytes(p.input.iter().product()), random.bytes(len * filters));
        let channels = random.channels(filters);
        let first = random.below(images * out_height);
        let rows = first..random.size(first + 1, images * out_height);
        let mut found = std::vec![7; rows.len() * out_width * filters + 3];
        if !convolve::<S>(&p, &rows, [&input, &weights], &channels, &mut found) {
            return;
        }
        computed.set(computed.get() + 1);
        let mut expected = Vec::new();
        for row in rows {
            for x in 0..out_width {
                let at = [row / out_height, row % out_height, x];
                for (filter, channel) in channels.iter().enumerate() {
                    let mut sum = channel.bias;
                    for i in 0..len {
                        let (k, c) = (i / depth, i % depth);
                        let k = [k / window.kernel[1], k % window.kernel[1]];
                        let x = tap(p.input, &window, at, k, c).map_or(p.input_zero_point, |i| input[i].into());
                        sum = sum.wrapping_add(x * i32::from(weights[filter * len + i]));
                    }
                    expected.push(requantize_accumulator(sum, channel, output.zero_point, output.activation));
                }
            }
        }
        expected.extend([7; 3]);
        assert!(found == expected, "{}, seed {seed}: {p:?}", core::any::type_name::<S>());
    });
    assert!(computed.get() > 300, "{} layers are computed", computed.get());
}

fn depthwise_convolutions<S: Set>() {
    let computed = std::cell::Cell::new(0);
    for_seeds(600, |seed, random| {
        let images = random.size(1, 2);
        let ([height, width], [out_height, out_width], window) = geometry(random);
        let depth = random.pick([1, 2, 3, 4, 8, 16, 32, 40, 64, 65, 100, 128, 200]);
        let output = random.output();
        let p = DepthwiseConv2d {
            input: [images, height, width, depth],
            output: [images, out_height, out_width, depth],
            window,
            input_zero_point: random.zero_point(),
            output_zero_point: output.zero_point,
            activation: output.activation,
        };
        let taps = window.kernel[0] * window.kernel[1];
        let (input, weights) = (random.bytes(p.input.iter().product()), random.bytes(taps * depth));
        let channels = random.channels(depth);
        let first = random.below(images * out_height);
        let rows = first..random.size(first + 1, images * out_height);
        let mut found = std::vec![7; rows.len() * out_width * depth + 3];
        let (lines, shape, own) = Lines::new(p.input, p.output, &window);
        let layer = DepthwiseConv2d { input: shape, output: lines.output, window: own, ..p };
        if !depthwise_lines::<S>(&layer, (&lines, &rows), [&input, &weights], &channels, &mut found) {
            return;
        }
        computed.set(computed.get() + 1);
        let mut expected = Vec::new();
        for row in rows {
            for x in 0..out_width {
                let at = [row / out_height, row % out_height, x];
                for (c, channel) in channels.iter().enumerate() {
                    let mut sum = channel.bias;
                    for k in 0..taps {
                        let ks = [k / window.kernel[1], k % window.kernel[1]];
                        let x = tap(p.input, &window, at, ks, c).map_or(p.input_zero_point, |i| input[i].into());
                        sum = sum.wrapping_add(x * i32::from(weights[k * depth + c]));
                    }
                    expected.push(requantize_accumulator(sum, channel, output.zero_point, output.activation));
                }
            }
        }
        expected.extend([7; 3]);
        assert!(found == expected, "{}, seed {seed}: {p:?}", core::any::type_name::<S>());
    });
    assert!(computed.get() > 400, "{} layers are computed", computed.get());
}

#[test]
fn products_with_a_vector_equal_their_definition() {
    type Multiply = unsafe fn(&Filters<'_>, &[i8], &mut [i8]);
    let sets: [(Vectors, Multiply); 3] = [
        (Vectors::Avx512Vnni, multiply_vector),
        (Vectors::AvxVnni, multiply_vector_avx_vnni),
        (Vectors::Avx2, multiply_vector_avx2),
    ];
    for (_, multiply) in sets.iter().filter(|(vectors, _)| is_there(*vectors)) {
        products_with_a_vector(*multiply);
    }
}

fn products_with_a_vector(multiply: unsafe fn(&Filters<'_>, &[i8], &mut [i8])) {
    for_seeds(400, |seed, random| {
        let len = random.pick([1, 3, 8, 15, 16, 17, 33, 63, 64, 65, 128, 200, 640]);
        let rows = random.pick([1, 2, 7, 8, 9, 10, 15, 16, 17, 32, 50]);
        let (input, weights) = (random.bytes(len), random.bytes(len * rows));
        let (channels, output) = (random.channels(rows), random.output());
        let offset = random.next() as i32 >> 12;
        let filters = Filters { weights: &weights, channels: &channels, len, offset, output };
        let mut found = std::vec![7; rows + 3];
        // SAFETY: the processor has the instructions, and the operands fit.
        unsafe { multiply(&filters, &input, &mut found[..rows]) };
        let sum = |row: &[i8]| row.iter().zip(&input).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum::<i32>();
        let expected = weights.chunks(len).zip(&channels).map(|(row, channel)| {
            let sum = sum(row).wrapping_add(channel.bias).wrapping_add(offset);
            requantize_accumulator(sum, channel, output.zero_point, output.activation)
        });
        let expected: Vec<i8> = expected.chain([7; 3]).collect();
        assert_eq!(found, expected, "seed {seed}, {rows} rows of {len}");
    });
}

fn sums<S: Set>() {
    for_seeds(1000, |seed, random| {
        let len = random.pick([31, 32, 63, 64, 77, 130, 256]);
        let (a, b, output) = (random.bytes(len), random.bytes(len), random.output());
        let factor = |random: &mut Random| {
            let (any, usual) = ((random.next() >> 1) as i32, (1 << 30) + (random.next() >> 2) as i32);
            let shift = -(random.size(0, 31) as i32);
            Multiplier { multiplier: random.pick([1 << 30, usual, any, 0]), shift: random.pick([0, -1, -3, shift]) }
        };
        let (by_a, by_b, by_output) = (factor(random), factor(random), factor(random));
        let left = random.below(24) as i32;
        let p = AddSub {
            broadcast: Broadcast::elementwise(len, len),
            a_zero_point: random.zero_point(),
            b_zero_point: random.zero_point(),
            output_zero_point: output.zero_point,
            left_shift: random.pick([20, left]),
            a: by_a,
            b: by_b,
            output: by_output,
            activation: output.activation,
        };
        let mut found = std::vec![7; len];
        // SAFETY: the processor has the instructions.
        let done = unsafe { S::add(&p, &a, &b, &mut found) };
        assert_eq!(done, if len < 4 * S::Registers::LANES { 0 } else { len });
        let expected: Vec<i8> = (0..len).map(|i| if i < done { p.sum(a[i], b[i]) } else { 7 }).collect();
        assert_eq!(found, expected, "{}, seed {seed}: {p:?}", core::any::type_name::<S>());
    });
}

impl Random {
    /// From -1 to 1; sometimes a zero of either sign.
    fn number(&mut self) -> f32 {
        let number = (self.next() as i32) as f32 / 2_147_483_648.0;
        self.pick([number, number, number, 0.0 * number])
    }
}

/// Compares adjacent f32 pixels with their definition: windows as large as fit, and larger ones; channels that are no
/// multiple of sixteen.
fn same_pixels<W: Weight>(random: &mut Random, weight: fn(f32) -> W, finish: fn([f32; 2]) -> W::Finish) {
    let (lines, runs) = (random.size(1, 3), random.size(1, 3));
    let len = match random.below(3) {
        0 => random.size(1, 9),
        1 => random.size(1, 36),
        _ => random.size(1, 120),
    };
    let (channels, count) = (random.size(1, 50), random.size(1, 20));
    let (gap, step) = (random.below(9), random.size(0, 40));
    let run = len + gap;
    let window = Window { lines, runs, line: [runs * run + gap, runs * len], run: [run, len] };
    let stride = lines * runs * len;
    let input: Vec<f32> = (0..(lines - 1) * window.line[0] + (runs - 1) * run + len + (count - 1) * step)
        .map(|_| random.number())
        .collect();
    let weights: Vec<W> = (0..channels * stride).map(|_| weight(random.number())).collect();
    let finish: Vec<W::Finish> = (0..random.pick([0, channels, channels, channels / 2]))
        .map(|_| finish([random.number(), random.number()]))
        .collect();
    let bounds = [random.number(), random.number()];
    let pixels = Pixels {
        window,
        len,
        input: &input,
        weights: &weights[..],
        stride,
        finish: &finish,
        activation: random.pick([UNBOUNDED, [0.0, f32::INFINITY], [0.0, 6.0], bounds]),
        channels,
        steps: Steps { count, input: step, output: channels + random.below(3) },
        arranged: None,
    };
    let (mut a, mut b) = (std::vec![7.0; count * pixels.steps.output], std::vec![7.0; count * pixels.steps.output]);
    arch::multiply_pixels(&pixels, &mut a);
    products::multiply_pixels(&pixels, &mut b);
    assert_ne!(b[0], 7.0, "nothing is written");
    let bits = |outputs: &[f32]| outputs.iter().map(|output| output.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&a), bits(&b), "{window:?} of {len}, {channels} channels, {:?}", pixels.steps);
}

/// Compares an f32 convolution with those of its filters alone, whose weights stay in their order.
fn same_filters<W: Weight>(random: &mut Random, weight: fn(f32) -> W, finish: fn([f32; 2]) -> W::Finish) {
    let (kernel, stride) = ([random.size(1, 3), random.size(1, 3)], [random.size(1, 2), random.size(1, 2)]);
    let (dilation, pad) = ([random.size(1, 2), random.size(1, 2)], [random.below(3), random.below(3)]);
    let (filters, most) = (random.size(14, 80), random.pick([4, 12, 40]));
    let [images, height, width, depth] =
        [random.size(1, 2), random.size(1, 9), random.size(1, 20), random.size(1, most)];
    // One column, or any.
    let one = random.below(4) == 0;
    let [kernel_width, width, pad_width] = if one { [1, 1, 0] } else { [kernel[1], width, pad[1]] };
    let (kernel, pad) = ([kernel[0], kernel_width], [pad[0], pad_width]);
    let size = |input: usize, i: usize| {
        let room = (input + 2 * pad[i]).checked_sub((kernel[i] - 1) * dilation[i] + 1);
        room.map_or(1, |room| room / stride[i] + 1)
    };
    let (out_height, out_width) = (size(height, 0), if one { 1 } else { size(width, 1) });
    let layer = |filters: usize| float::Conv2d {
        input: [images, height, width, depth],
        output: [images, out_height, out_width, filters],
        window: Window2d { kernel, stride, dilation, pad },
        groups: 1,
        activation: [-1.0, 1.0],
    };
    let input: Vec<f32> = (0..images * height * width * depth).map(|_| random.number()).collect();
    let len = kernel[0] * kernel[1] * depth;
    let weights: Vec<W> = (0..filters * len).map(|_| weight(random.number())).collect();
    let finish: Vec<W::Finish> = (0..filters).map(|_| finish([random.number(), random.number()])).collect();
    let start = random.below(images * out_height);
    let rows = start..random.size(start, images * out_height);
    let mut all = std::vec![7.0; rows.len() * out_width * filters];
    float::conv2d(&layer(filters), rows.clone(), &input, &weights[..], &finish, &mut all);
    for filter in 0..filters {
        let (weights, finish) = (&weights[filter * len..][..len], &finish[filter..=filter]);
        let mut alone = std::vec![7.0; rows.len() * out_width];
        float::conv2d(&layer(1), rows.clone(), &input, weights, finish, &mut alone);
        let of_all = all.iter().skip(filter).step_by(filters).map(|output| output.to_bits());
        assert!(of_all.eq(alone.iter().map(|output| output.to_bits())), "filter {filter} of {:?}", layer(filters));
    }
}

#[test]
fn filters_of_an_f32_convolution_return_the_same_bits_alone() {
    let mut random = Random(6);
    for _ in 0..200 {
        same_filters(&mut random, |w| w, |[_, bias]| bias);
        same_filters(&mut random, f16::from_f32, |[_, bias]| bias);
        same_filters(&mut random, |w| (w * 127.0) as i8, |[scale, bias]| ScaleBias { scale, bias });
    }
}

#[test]
fn f32_pixels_are_those_of_their_definition() {
    let mut random = Random(5);
    for _ in 0..400 {
        same_pixels(&mut random, |w| w, |[_, bias]| bias);
        same_pixels(&mut random, f16::from_f32, |[_, bias]| bias);
        same_pixels(&mut random, |w| (w * 127.0) as i8, |[scale, bias]| ScaleBias { scale, bias });
    }
}
