//! The int8 layers with int4 weights return the bytes of those with int8 weights of the same codes, in any slicing.

mod common;

use common::{Channels, Rng, by_rows, for_seeds};
use tealight_kernels::{
    AllPaths, Conv2d, DepthwiseConv2d, FullyConnected, Int4, Window2d, conv2d, conv2d_int4_in, depthwise_conv2d,
    depthwise_conv2d_int4, fully_connected, fully_connected_int4,
};

/// Any codes, and the same packed, with anything in the half of the last byte that no code fills.
fn codes(rng: &mut Rng, len: usize) -> (Vec<i8>, Vec<u8>) {
    let codes: Vec<i8> = (0..len).map(|_| rng.int(-8, 7) as i8).collect();
    let padding = rng.int(-8, 7) as i8;
    let pair = |pair: &[i8]| pair[0].cast_unsigned() & 15 | pair.get(1).unwrap_or(&padding).cast_unsigned() << 4;
    let packed = codes.chunks(2).map(pair).collect();
    (codes, packed)
}

fn window(rng: &mut Rng, largest: usize) -> ([usize; 2], Window2d) {
    let mut pair = |low, high| [rng.size(low, high), rng.size(low, high)];
    let (kernel, output) = (pair(1, largest), pair(1, 6));
    let (stride, dilation) = (pair(1, 3), pair(1, 2));
    let pad = [0, 1].map(|i| rng.size(0, kernel[i] * dilation[i] - 1));
    (output, Window2d { kernel, stride, dilation, pad })
}

#[test]
fn a_convolution_with_int4_weights_has_the_bytes_of_int8_weights() {
    for_seeds(200, |rng| {
        let groups = if rng.size(0, 3) == 0 { 2 } else { 1 };
        // Filters of a few weights, of which many are unpacked at a time, to those of more than are unpacked.
        let group_in = match rng.size(0, 3) {
            0 => rng.size(90, 150),
            1 => rng.size(16, 60),
            _ => rng.size(1, 7),
        };
        let group_out = rng.size(1, 11);
        let (output, window) = window(rng, 4);
        let images = rng.size(1, 2);
        let p = Conv2d {
            input: [images, rng.size(1, 8), rng.size(1, 8), group_in * groups],
            output: [images, output[0], output[1], group_out * groups],
            window,
            groups,
            input_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            activation: rng.activation(),
        };
        let filter_len = window.kernel[0] * window.kernel[1] * group_in;
        let input = rng.bytes(p.input.iter().product());
        let (codes, packed) = codes(rng, filter_len * p.output[3]);
        let channels = Channels::random(rng, p.output[3], filter_len).folded(|_| 0);
        let [lines, line] = [images * p.output[1], p.output[2] * p.output[3]];
        let mut expected = vec![0; lines * line];
        conv2d(&p, 0..lines, &input, &codes, &channels, &mut expected);
        let output = by_rows(rng, lines, line, |rows, output| {
            conv2d_int4_in::<AllPaths>(&p, rows, &input, Int4::new(&packed), &channels, output);
        });
        assert_eq!(output, expected);
    });
}

#[test]
fn a_depthwise_convolution_with_int4_weights_has_the_bytes_of_int8_weights() {
    for_seeds(200, |rng| {
        // More channels than are summed together, and more taps than are unpacked for eight channels.
        let depth = if rng.size(0, 2) == 0 { rng.size(60, 140) } else { rng.size(1, 20) };
        let multiplier = if rng.size(0, 2) == 0 { rng.size(2, 70) } else { 1 };
        let largest = if rng.size(0, 3) == 0 { 13 } else { 4 };
        let (output, window) = window(rng, largest);
        let images = rng.size(1, 2);
        let p = DepthwiseConv2d {
            input: [images, rng.size(1, 8), rng.size(1, 8), depth],
            output: [images, output[0], output[1], depth * multiplier],
            window,
            input_zero_point: rng.zero_point(),
            output_zero_point: rng.zero_point(),
            activation: rng.activation(),
        };
        let taps = window.kernel[0] * window.kernel[1];
        let input = rng.bytes(p.input.iter().product());
        let (codes, packed) = codes(rng, taps * p.output[3]);
        let channels = Channels::random(rng, p.output[3], taps).folded(|_| 0);
        let [lines, line] = [images * p.output[1], p.output[2] * p.output[3]];
        let mut expected = vec![0; lines * line];
        depthwise_conv2d(&p, 0..lines, &input, &codes, &channels, &mut expected);
        let output = by_rows(rng, lines, line, |rows, output| {
            depthwise_conv2d_int4(&p, rows, &input, Int4::new(&packed), &channels, output);
        });
        assert_eq!(output, expected);
    });
}

#[test]
fn a_dense_layer_with_int4_weights_has_the_bytes_of_int8_weights() {
    for_seeds(200, |rng| {
        let (in_features, out_features, batches) = (rng.size(1, 300), rng.size(1, 14), rng.size(1, 3));
        let p = FullyConnected {
            in_features,
            out_features,
            weights_zero_point: if rng.size(0, 2) == 0 { rng.zero_point() } else { 0 },
            output_zero_point: rng.zero_point(),
            activation: rng.activation(),
        };
        let input = rng.bytes(batches * in_features);
        let (codes, packed) = codes(rng, in_features * out_features);
        let channels = Channels::random(rng, out_features, in_features).folded(|_| 0);
        let mut expected = vec![0; batches * out_features];
        fully_connected(&p, 0..batches * out_features, &input, &codes, &channels, &mut expected);
        let output = by_rows(rng, batches * out_features, 1, |rows, output| {
            fully_connected_int4(&p, rows, &input, Int4::new(&packed), &channels, output);
        });
        assert_eq!(output, expected);
    });
}
