//! The f32 convolutions and pools against sums in f64, in every slicing. Tolerance: `1e-5 * (1 + |x|)`, for
//! sums of at most a few hundred products of magnitude 1.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{Rng, by_rows, flat, for_seeds, indices, tap};
use floats::{
    assert_int4, assert_near, by_rows_and_storage, codes, doubles, floats, halves, int4_codes, scaled, weights_of,
};
use tealight_kernels::float::{
    Conv2d, ConvTranspose2d, DepthwiseConv2d, Pool2d, UNBOUNDED, avg_pool2d, conv_transpose2d, conv2d,
    depthwise_conv2d, max_pool2d,
};
use tealight_kernels::{Int4, Window2d};

const TOLERANCE: f64 = 1e-5;

fn pair(rng: &mut Rng, low: usize, high: usize) -> [usize; 2] {
    [rng.size(low, high), rng.size(low, high)]
}

fn activation(rng: &mut Rng) -> [f32; 2] {
    if rng.size(0, 1) == 0 { UNBOUNDED } else { [0.0, 1.5] }
}

/// One time in three, a window of one column, over an input of one column.
fn columns(rng: &mut Rng, input: &mut [usize; 4], output: &mut [usize; 4], window: &mut Window2d) {
    if rng.size(0, 2) == 0 {
        (input[1], output[1]) = (rng.size(1, 14), rng.size(1, 14));
        (input[2], output[2], window.kernel[1], window.pad[1]) = (1, 1, 1, 0);
    }
}

fn clamp(x: f64, [min, max]: [f32; 2]) -> f64 {
    x.max(min.into()).min(max.into())
}

#[test]
fn a_convolution_is_the_sum_over_its_window() {
    for_seeds(150, |rng| {
        let groups = rng.size(1, 3);
        let (group_inputs, group_outputs) = (rng.size(1, 9), rng.size(1, 10));
        let [height, width] = pair(rng, 1, 7);
        let mut p = Conv2d {
            input: [rng.size(1, 2), height, width, groups * group_inputs],
            output: [0, rng.size(1, 6), rng.size(1, 6), groups * group_outputs],
            window: Window2d {
                kernel: pair(rng, 1, 4),
                stride: pair(rng, 1, 3),
                dilation: pair(rng, 1, 2),
                pad: pair(rng, 0, 3),
            },
            groups,
            activation: activation(rng),
        };
        p.output[0] = p.input[0];
        columns(rng, &mut p.input, &mut p.output, &mut p.window);
        let filter = [p.output[3], p.window.kernel[0], p.window.kernel[1], group_inputs];
        let input = floats(rng, p.input.iter().product());
        let weights = floats(rng, filter.iter().product());
        let bias_len = rng.size(0, 1) * p.output[3];
        let bias = floats(rng, bias_len);
        let of_halves = halves(&weights);
        let [images, out_height, out_width, out_channels] = p.output;
        let output = by_rows_and_storage(
            rng,
            [images * out_height, out_width * out_channels],
            |rows, output| {
                // What was there must not matter.
                output.fill(f32::NAN);
                conv2d(&p, rows, &input, &weights[..], &bias, output);
            },
            |rows, output| conv2d(&p, rows, &input, &of_halves[..], &bias, output),
        );
        let expected = |weights: &[f64], bias: &[f32]| -> Vec<f64> {
            let of = |[n, y, x, o]: [usize; 4]| {
                let mut sum = f64::from(*bias.get(o).unwrap_or(&0.0));
                for [ky, kx, i] in indices([p.window.kernel[0], p.window.kernel[1], group_inputs]) {
                    let iy = tap(y, ky, [p.window.stride[0], p.window.dilation[0], p.window.pad[0], p.input[1]]);
                    let ix = tap(x, kx, [p.window.stride[1], p.window.dilation[1], p.window.pad[1], p.input[2]]);
                    let (Some(iy), Some(ix)) = (iy, ix) else { continue };
                    let channel = o / group_outputs * group_inputs + i;
                    let x = input[flat(p.input, [n, iy, ix, channel])];
                    sum += f64::from(x) * weights[flat(filter, [o, ky, kx, i])];
                }
                clamp(sum, p.activation)
            };
            indices(p.output).map(of).collect()
        };
        assert_near(&output, &expected(&doubles(&weights), &bias), TOLERANCE);

        let (codes, channels) = (codes(rng, weights.len()), scaled(rng, out_channels));
        let output = by_rows(rng, images * out_height, out_width * out_channels, |rows, output| {
            conv2d(&p, rows, &input, &codes[..], &channels, output);
        });
        let bias: Vec<f32> = channels.iter().map(|channel| channel.bias).collect();
        let filter_len = filter[1] * filter[2] * filter[3];
        assert_near(&output, &expected(&weights_of(&codes, &channels, |i| i / filter_len), &bias), TOLERANCE);

        let (codes, packed) = int4_codes(rng, weights.len());
        assert_int4(
            rng,
            [images * out_height, out_width * out_channels],
            |rows, output| conv2d(&p, rows, &input, &codes[..], &channels, output),
            |rows, output| conv2d(&p, rows, &input, Int4::new(&packed), &channels, output),
        );
    });
}

#[test]
fn a_depthwise_convolution_is_the_sum_over_its_window() {
    for_seeds(150, |rng| {
        let (in_channels, multiplier) = (rng.size(1, 12), rng.size(1, 3));
        let [height, width] = pair(rng, 1, 7);
        let images = rng.size(1, 2);
        let mut p = DepthwiseConv2d {
            input: [images, height, width, in_channels],
            output: [images, rng.size(1, 6), rng.size(1, 6), in_channels * multiplier],
            window: Window2d {
                kernel: pair(rng, 1, 4),
                stride: pair(rng, 1, 3),
                dilation: pair(rng, 1, 2),
                pad: pair(rng, 0, 3),
            },
            activation: activation(rng),
        };
        columns(rng, &mut p.input, &mut p.output, &mut p.window);
        let filter = [1, p.window.kernel[0], p.window.kernel[1], p.output[3]];
        let input = floats(rng, p.input.iter().product());
        let weights = floats(rng, filter.iter().product());
        let bias = floats(rng, p.output[3]);
        let of_halves = halves(&weights);
        let output = by_rows_and_storage(
            rng,
            [images * p.output[1], p.output[2] * p.output[3]],
            |rows, output| {
                // What was there must not matter.
                output.fill(f32::NAN);
                depthwise_conv2d(&p, rows, &input, &weights[..], &bias, output);
            },
            |rows, output| depthwise_conv2d(&p, rows, &input, &of_halves[..], &bias, output),
        );
        let expected = |weights: &[f64], bias: &[f32]| -> Vec<f64> {
            let of = |[n, y, x, o]: [usize; 4]| {
                let mut sum = f64::from(bias[o]);
                for [ky, kx] in indices(p.window.kernel) {
                    let iy = tap(y, ky, [p.window.stride[0], p.window.dilation[0], p.window.pad[0], p.input[1]]);
                    let ix = tap(x, kx, [p.window.stride[1], p.window.dilation[1], p.window.pad[1], p.input[2]]);
                    let (Some(iy), Some(ix)) = (iy, ix) else { continue };
                    let x = input[flat(p.input, [n, iy, ix, o / multiplier])];
                    sum += f64::from(x) * weights[flat(filter, [0, ky, kx, o])];
                }
                clamp(sum, p.activation)
            };
            indices(p.output).map(of).collect()
        };
        assert_near(&output, &expected(&doubles(&weights), &bias), TOLERANCE);

        let (codes, channels) = (codes(rng, weights.len()), scaled(rng, p.output[3]));
        let output = by_rows(rng, images * p.output[1], p.output[2] * p.output[3], |rows, output| {
            depthwise_conv2d(&p, rows, &input, &codes[..], &channels, output);
        });
        let bias: Vec<f32> = channels.iter().map(|channel| channel.bias).collect();
        assert_near(&output, &expected(&weights_of(&codes, &channels, |i| i % p.output[3]), &bias), TOLERANCE);

        let (codes, packed) = int4_codes(rng, weights.len());
        assert_int4(
            rng,
            [images * p.output[1], p.output[2] * p.output[3]],
            |rows, output| depthwise_conv2d(&p, rows, &input, &codes[..], &channels, output),
            |rows, output| depthwise_conv2d(&p, rows, &input, Int4::new(&packed), &channels, output),
        );
    });
}

#[test]
fn a_transposed_convolution_spreads_each_input_over_its_window() {
    for_seeds(150, |rng| {
        let groups = rng.size(1, 2);
        let (group_inputs, group_outputs) = (rng.size(1, 9), rng.size(1, 3));
        let [height, width] = pair(rng, 1, 5);
        let images = rng.size(1, 2);
        let p = ConvTranspose2d {
            input: [images, height, width, groups * group_inputs],
            output: [images, rng.size(1, 9), rng.size(1, 9), groups * group_outputs],
            window: Window2d {
                kernel: pair(rng, 1, 4),
                stride: pair(rng, 1, 3),
                dilation: pair(rng, 1, 2),
                pad: pair(rng, 0, 2),
            },
            groups,
            activation: UNBOUNDED,
        };
        let filter = [p.output[3], p.window.kernel[0], p.window.kernel[1], group_inputs];
        let input = floats(rng, p.input.iter().product());
        let weights = floats(rng, filter.iter().product());
        let bias = floats(rng, p.output[3]);
        let of_halves = halves(&weights);
        let output = by_rows_and_storage(
            rng,
            [images * p.output[1], p.output[2] * p.output[3]],
            |rows, output| conv_transpose2d(&p, rows, &input, &weights[..], &bias, output),
            |rows, output| conv_transpose2d(&p, rows, &input, &of_halves[..], &bias, output),
        );
        let expected = |weights: &[f64], bias: &[f32]| -> Vec<f64> {
            let mut expected: Vec<f64> = indices(p.output).map(|[.., o]| f64::from(bias[o])).collect();
            for [n, iy, ix, channel] in indices(p.input) {
                let (group, i) = (channel / group_inputs, channel % group_inputs);
                for [ky, kx, within] in indices([p.window.kernel[0], p.window.kernel[1], group_outputs]) {
                    let to = |axis: usize, i: usize, k: usize| {
                        let to = i * p.window.stride[axis] + k * p.window.dilation[axis];
                        to.checked_sub(p.window.pad[axis]).filter(|&to| to < p.output[axis + 1])
                    };
                    let (Some(y), Some(x)) = (to(0, iy, ky), to(1, ix, kx)) else { continue };
                    let o = group * group_outputs + within;
                    let x_in = f64::from(input[flat(p.input, [n, iy, ix, channel])]);
                    expected[flat(p.output, [n, y, x, o])] += weights[flat(filter, [o, ky, kx, i])] * x_in;
                }
            }
            expected
        };
        assert_near(&output, &expected(&doubles(&weights), &bias), TOLERANCE);

        let (codes, channels) = (codes(rng, weights.len()), scaled(rng, p.output[3]));
        let output = by_rows(rng, images * p.output[1], p.output[2] * p.output[3], |rows, output| {
            conv_transpose2d(&p, rows, &input, &codes[..], &channels, output);
        });
        let bias: Vec<f32> = channels.iter().map(|channel| channel.bias).collect();
        let filter_len = filter[1] * filter[2] * filter[3];
        assert_near(&output, &expected(&weights_of(&codes, &channels, |i| i / filter_len), &bias), TOLERANCE);

        let (codes, packed) = int4_codes(rng, weights.len());
        assert_int4(
            rng,
            [images * p.output[1], p.output[2] * p.output[3]],
            |rows, output| conv_transpose2d(&p, rows, &input, &codes[..], &channels, output),
            |rows, output| conv_transpose2d(&p, rows, &input, Int4::new(&packed), &channels, output),
        );
    });
}

#[test]
fn a_pool_is_the_mean_or_the_maximum_of_its_window() {
    for_seeds(150, |rng| {
        let depth = rng.size(1, 9);
        let [height, width] = pair(rng, 1, 7);
        let images = rng.size(1, 2);
        let p = Pool2d {
            input: [images, height, width, depth],
            output: [images, rng.size(1, 5), rng.size(1, 5), depth],
            window: Window2d {
                kernel: pair(rng, 1, 4),
                stride: pair(rng, 1, 3),
                dilation: [1, 1],
                pad: pair(rng, 0, 3),
            },
            count_padding: rng.size(0, 1) == 1,
            activation: UNBOUNDED,
        };
        let input = floats(rng, p.input.iter().product());
        let [rows, row_len] = [images * p.output[1], p.output[2] * depth];
        let average = by_rows(rng, rows, row_len, |rows, output| avg_pool2d(&p, rows, &input, output));
        let maximum = by_rows(rng, rows, row_len, |rows, output| max_pool2d(&p, rows, &input, output));
        let window = |[n, y, x, c]: [usize; 4]| -> Vec<f64> {
            let taps = indices(p.window.kernel).filter_map(|[ky, kx]| {
                let iy = tap(y, ky, [p.window.stride[0], 1, p.window.pad[0], height])?;
                let ix = tap(x, kx, [p.window.stride[1], 1, p.window.pad[1], width])?;
                Some(f64::from(input[flat(p.input, [n, iy, ix, c])]))
            });
            taps.collect()
        };
        let all = p.window.kernel[0] * p.window.kernel[1];
        let mean = |at| {
            let window = window(at);
            let count = if p.count_padding { all } else { window.len().max(1) };
            window.iter().sum::<f64>() / count as f64
        };
        assert_near(&average, &indices(p.output).map(mean).collect::<Vec<_>>(), TOLERANCE);
        let max = |at| window(at).into_iter().fold(f64::NEG_INFINITY, f64::max);
        for (at, &maximum) in indices(p.output).zip(&maximum) {
            assert_eq!(f64::from(maximum), max(at));
        }
    });
}
