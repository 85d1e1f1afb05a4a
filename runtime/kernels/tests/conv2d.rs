//! Conv2d and DepthwiseConv2d against loops written from the definition: a tap in the padding is
//! skipped, every other contributes `w * (x - zero_point)`.

mod common;

use common::{Channels, Rng, by_rows, flat, for_seeds, indices, tap};
use tealight_kernels::{Conv2d, DepthwiseConv2d, Window2d, conv2d, depthwise_conv2d};

/// Sizes of a random layer without its channels.
struct Sizes {
    input: [usize; 2],
    output: [usize; 2],
    window: Window2d,
}

impl Sizes {
    fn random(rng: &mut Rng) -> Self {
        let pair = |rng: &mut Rng, low, high| [rng.size(low, high), rng.size(low, high)];
        let kernel = pair(rng, 1, 4);
        let dilation = if rng.size(0, 2) == 0 { pair(rng, 1, 3) } else { [1, 1] };
        let pad = [0, 1].map(|i| rng.size(0, kernel[i] * dilation[i]));
        let mut sizes = Self {
            input: pair(rng, 1, 8),
            // Any size: coordinates outside the input are padding.
            output: pair(rng, 1, 6),
            window: Window2d { kernel, stride: pair(rng, 1, 3), dilation, pad },
        };
        if rng.size(0, 3) == 0 {
            // A column.
            (sizes.input[1], sizes.output[1], sizes.window.kernel[1], sizes.window.pad[1]) = (1, 1, 1, 0);
        }
        if rng.size(0, 5) == 0 {
            // Each pixel reads the one at the same place.
            (sizes.output, sizes.window) =
                (sizes.input, Window2d { kernel: [1; 2], stride: [1; 2], dilation, pad: [0; 2] });
        }
        sizes
    }

    /// The input pixel under a tap.
    fn tap(&self, [y, x]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<[usize; 2]> {
        let Window2d { stride, dilation, pad, .. } = self.window;
        let axis = |i: usize| [stride[i], dilation[i], pad[i], self.input[i]];
        Some([tap(y, ky, axis(0))?, tap(x, kx, axis(1))?])
    }
}

#[test]
fn conv2d_equals_its_definition_and_rows_are_independent() {
    for_seeds(400, |rng| {
        let sizes = Sizes::random(rng);
        let groups = if rng.size(0, 3) == 0 { rng.size(2, 3) } else { 1 };
        // With deep inputs, windows are not gathered but read in place.
        let group_in = if rng.size(0, 2) == 0 { rng.size(30, 70) } else { rng.size(1, 7) };
        // Many filters fill several blocks of registers.
        let group_out = if groups == 1 && rng.size(0, 5) == 0 { rng.size(10, 80) } else { rng.size(1, 9) };
        let [height, width] = sizes.input;
        let [out_height, out_width] = sizes.output;
        let [kernel_height, kernel_width] = sizes.window.kernel;
        let p = Conv2d {
            input: [rng.size(1, 2), height, width, group_in * groups],
            output: [1, out_height, out_width, group_out * groups],
            window: sizes.window,
            groups,
            input_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            activation: rng.activation(),
        };
        let p = Conv2d { output: [p.input[0], out_height, out_width, p.output[3]], ..p };
        let filter = [p.output[3], kernel_height, kernel_width, group_in];
        let input = rng.bytes(p.input.iter().product());
        let weights = rng.bytes(filter.iter().product());
        let filter_len = kernel_height * kernel_width * group_in;
        let layer = Channels::random(rng, p.output[3], filter_len);

        let expected: Vec<i8> = indices(p.output)
            .map(|[n, y, x, o]| {
                let mut sum = 0;
                for [ky, kx, i] in indices([kernel_height, kernel_width, group_in]) {
                    if let Some([iy, ix]) = sizes.tap([y, x], [ky, kx]) {
                        let channel = o / group_out * group_in + i;
                        let x = i64::from(input[flat(p.input, [n, iy, ix, channel])]);
                        let w = i64::from(weights[flat(filter, [o, ky, kx, i])]);
                        sum += w * (x - i64::from(p.input_zero_point));
                    }
                }
                layer.output(o, sum, p.output_zero_point, p.activation)
            })
            .collect();

        let channels = layer.folded(|o| {
            let filter = &weights[o * filter_len..][..filter_len];
            -i64::from(p.input_zero_point) * filter.iter().map(|&w| i64::from(w)).sum::<i64>()
        });
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c, |rows, output| {
            conv2d(&p, rows, &input, &weights, &channels, output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn depthwise_conv2d_equals_its_definition_and_rows_are_independent() {
    for_seeds(400, |rng| {
        let sizes = Sizes::random(rng);
        // Deep outputs need more than one block of channels.
        let depth = if rng.size(0, 3) == 0 { rng.size(60, 140) } else { rng.size(1, 21) };
        let multiplier = if rng.size(0, 1) == 0 { rng.size(2, 10) } else { 1 };
        let [height, width] = sizes.input;
        let [out_height, out_width] = sizes.output;
        let [kernel_height, kernel_width] = sizes.window.kernel;
        let batches = rng.size(1, 2);
        let p = DepthwiseConv2d {
            input: [batches, height, width, depth],
            output: [batches, out_height, out_width, depth * multiplier],
            window: sizes.window,
            input_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            activation: rng.activation(),
        };
        let filter = [kernel_height, kernel_width, p.output[3]];
        let input = rng.bytes(p.input.iter().product());
        let weights = rng.bytes(filter.iter().product());
        let layer = Channels::random(rng, p.output[3], kernel_height * kernel_width);

        let expected: Vec<i8> = indices(p.output)
            .map(|[n, y, x, o]| {
                let mut sum = 0;
                for [ky, kx] in indices(sizes.window.kernel) {
                    if let Some([iy, ix]) = sizes.tap([y, x], [ky, kx]) {
                        let x = i64::from(input[flat(p.input, [n, iy, ix, o / multiplier])]);
                        let w = i64::from(weights[flat(filter, [ky, kx, o])]);
                        sum += w * (x - i64::from(p.input_zero_point));
                    }
                }
                layer.output(o, sum, p.output_zero_point, p.activation)
            })
            .collect();

        let channels = layer.folded(|o| {
            let filter = weights.iter().skip(o).step_by(p.output[3]);
            -i64::from(p.input_zero_point) * filter.map(|&w| i64::from(w)).sum::<i64>()
        });
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c, |rows, output| {
            depthwise_conv2d(&p, rows, &input, &weights, &channels, output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}
