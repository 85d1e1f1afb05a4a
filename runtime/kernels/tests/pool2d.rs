//! AvgPool2d and MaxPool2d against the taps inside the input, collected one by one.

mod common;

use common::{Rng, by_rows, flat, for_seeds, indices, tap};
use tealight_kernels::{ActivationRange, Pool2d, Window2d, avg_pool2d, max_pool2d};

/// A random layer all of whose windows meet the input, with its input.
fn layer(rng: &mut Rng) -> (Pool2d, Vec<i8>) {
    // More channels than a block, of any size.
    let most = if rng.size(0, 3) == 0 { 70 } else { 9 };
    let (n, c) = (rng.size(1, 2), rng.size(1, most));
    let mut p = Pool2d {
        input: [n, rng.size(1, 8), rng.size(1, 8), c],
        output: [n, 1, 1, c],
        window: Window2d {
            kernel: [rng.size(1, 4), rng.size(1, 4)],
            stride: [rng.size(1, 3), rng.size(1, 3)],
            dilation: [1, 1],
            pad: [0, 0],
        },
        activation: rng.activation(),
    };
    for i in 0..2 {
        p.window.pad[i] = rng.size(0, p.window.kernel[i] - 1);
        p.output[1 + i] = 1 + (p.input[1 + i] - 1 + p.window.pad[i]) / p.window.stride[i];
    }
    let input = rng.bytes(p.input.iter().product());
    (p, input)
}

/// The inputs under each window.
fn windows(p: &Pool2d, input: &[i8]) -> Vec<Vec<i32>> {
    let axis = |i: usize| [p.window.stride[i], 1, p.window.pad[i], p.input[1 + i]];
    indices(p.output)
        .map(|[n, y, x, c]| {
            let taps = indices(p.window.kernel).filter_map(|[ky, kx]| {
                let (iy, ix) = (tap(y, ky, axis(0))?, tap(x, kx, axis(1))?);
                Some(i32::from(input[flat(p.input, [n, iy, ix, c])]))
            });
            taps.collect()
        })
        .collect()
}

fn clamped(p: &Pool2d, value: i32) -> i8 {
    let [min, max] = p.activation.bounds();
    value.max(min).min(max) as i8
}

#[test]
fn an_average_is_the_exact_value_rounded_with_halves_away_from_zero() {
    for_seeds(300, |rng| {
        let (p, input) = layer(rng);
        let average = |taps: Vec<i32>| {
            let average = f64::from(taps.iter().sum::<i32>()) / taps.len() as f64;
            clamped(&p, average.round() as i32)
        };
        let expected: Vec<i8> = windows(&p, &input).into_iter().map(average).collect();
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c, |rows, output| {
            avg_pool2d(&p, rows, &input, output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn a_maximum_is_that_of_the_taps_in_the_input() {
    for_seeds(300, |rng| {
        let (p, input) = layer(rng);
        let maximum = |taps: Vec<i32>| clamped(&p, taps.into_iter().max().unwrap());
        let expected: Vec<i8> = windows(&p, &input).into_iter().map(maximum).collect();
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c, |rows, output| {
            max_pool2d(&p, rows, &input, output);
        });
        assert_eq!(output, expected, "{p:?}");
    });
}

/// The maximum number of taps of a window that meet the input, by the model file's rules (the format's
/// `MAX_AVERAGED`).
const LARGEST_WINDOW: [usize; 2] = [1 << 11, 1 << 12];

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn the_largest_average_that_a_model_may_have_does_not_wrap() {
    let [height, width] = LARGEST_WINDOW;
    for x in [-128, 127, 0, 3] {
        let p = Pool2d {
            input: [1, height, width, 1],
            output: [1, 1, 1, 1],
            window: Window2d { kernel: LARGEST_WINDOW, stride: [1, 1], dilation: [1, 1], pad: [0, 0] },
            activation: ActivationRange::FULL,
        };
        let mut output = [99];
        avg_pool2d(&p, 0..1, &vec![x; height * width], &mut output);
        assert_eq!(output, [x]);
    }
}
