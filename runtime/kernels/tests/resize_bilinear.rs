//! ResizeBilinear, int8 and f32, against the definition, in i64 and in f64.

mod common;

use common::{Rng, by_rows, flat, for_seeds, indices};
use tealight_kernels::{ResizeBilinear, float, resize_bilinear};

/// Sizes of up to a dozen pixels, and channels over those of a vector.
fn parameters(rng: &mut Rng) -> ResizeBilinear {
    let (n, c) = (rng.size(1, 2), rng.size(1, 19));
    let (align_corners, half_pixel_centers) = [(false, false), (true, false), (false, true)][rng.size(0, 2)];
    ResizeBilinear {
        input: [n, rng.size(1, 7), rng.size(1, 7), c],
        output: [n, rng.size(1, 12), rng.size(1, 12), c],
        align_corners,
        half_pixel_centers,
    }
}

/// The numbers of pixels, of input and output, whose quotient is the distance between two positions.
fn sizes(p: &ResizeBilinear, axis: usize) -> [i64; 2] {
    let [from, to] = [p.input[axis] as i64, p.output[axis] as i64];
    if p.align_corners && to > 1 { [from - 1, to - 1] } else { [from, to] }
}

#[test]
fn int8_equals_the_definition_in_fixed_point() {
    for_seeds(300, |rng| {
        let p = parameters(rng);
        let input: Vec<i8> = (0..p.input.iter().product()).map(|_| rng.next() as i8).collect();
        // Two pixels, and the weights of both in 1024ths, of which the first may be above 1024.
        let around = |at: usize, axis: usize| {
            let [from, to] = sizes(&p, axis);
            let step = (1024 * from + to / 2) / to;
            let position = at as i64 * step + if p.half_pixel_centers { step / 2 - 512 } else { 0 };
            let first = (position / 1024).max(0);
            let second = position.div_euclid(1024) + i64::from(position.rem_euclid(1024) > 0);
            let fraction = position - 1024 * first;
            [(first as usize, 1024 - fraction), (second.min(p.input[axis] as i64 - 1) as usize, fraction)]
        };
        let element = |[n, y, x, c]: [usize; 4]| {
            let mut sum = 0i64;
            for (y, down) in around(y, 1) {
                for (x, right) in around(x, 2) {
                    sum += i64::from(input[flat(p.input, [n, y, x, c])]) * down * right;
                }
            }
            (sum as f64 / f64::from(1 << 20)).round() as i8
        };
        let expected: Vec<i8> = indices(p.output).map(element).collect();
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c, |rows, out| resize_bilinear(&p, rows, &input, out));
        assert_eq!(output, expected, "{p:?}");
    });
}

#[test]
fn f32_is_near_the_definition() {
    for_seeds(300, |rng| {
        let p = parameters(rng);
        let input: Vec<f32> = (0..p.input.iter().product()).map(|_| f32::from(rng.next() as i16) / 4096.0).collect();
        let around = |at: usize, axis: usize| {
            let [from, to] = sizes(&p, axis).map(|size| size as f64);
            let offset = if p.half_pixel_centers { 0.5 } else { 0.0 };
            let last = p.input[axis] - 1;
            let position = ((at as f64 + offset) * from / to - offset).clamp(0.0, last as f64);
            let first = position as usize;
            let fraction = position - first as f64;
            [(first, 1.0 - fraction), ((first + 1).min(last), fraction)]
        };
        let element = |[n, y, x, c]: [usize; 4]| {
            let mut sum = 0.0;
            for (y, down) in around(y, 1) {
                for (x, right) in around(x, 2) {
                    sum += f64::from(input[flat(p.input, [n, y, x, c])]) * down * right;
                }
            }
            sum
        };
        let [n, h, w, c] = p.output;
        let output = by_rows(rng, n * h, w * c, |rows, out| float::resize_bilinear(&p, rows, &input, out));
        for (found, expected) in output.into_iter().zip(indices(p.output).map(element)) {
            assert!((f64::from(found) - expected).abs() < 4e-5, "{found}, expected {expected}: {p:?}");
        }
    });
}

#[test]
fn doubling_a_line_interpolates_between_its_pixels() {
    let p = |half_pixel_centers| ResizeBilinear {
        input: [1, 1, 2, 1],
        output: [1, 1, 4, 1],
        align_corners: false,
        half_pixel_centers,
    };
    let mut output = [0; 4];
    resize_bilinear(&p(false), 0..1, &[0, 100], &mut output);
    assert_eq!(output, [0, 50, 100, 100]);
    resize_bilinear(&p(true), 0..1, &[0, 100], &mut output);
    assert_eq!(output, [0, 25, 75, 100]);
    // Halves go away from zero.
    resize_bilinear(&p(false), 0..1, &[-3, 0], &mut output);
    assert_eq!(output, [-3, -2, 0, 0]);
}

#[test]
#[cfg_attr(miri, ignore = "it computes millions of pixels")]
fn the_largest_sizes_stay_inside_the_input() {
    let sizes = [[1, 1 << 20], [1 << 20, 1], [1000, 1 << 20], [1 << 20, 999_999]];
    for [from, to] in sizes {
        for (align_corners, half_pixel_centers) in [(false, false), (true, false), (false, true)] {
            let (input, output) = ([1, 1, from, 1], [1, 1, to, 1]);
            let p = ResizeBilinear { input, output, align_corners, half_pixel_centers };
            let ones = vec![7; from];
            let mut found = vec![0; to];
            resize_bilinear(&p, 0..1, &ones, &mut found);
            assert!(found.iter().all(|&x| x == 7), "{p:?}");
        }
    }
}
