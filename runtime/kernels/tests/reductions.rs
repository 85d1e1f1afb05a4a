//! Mean and Softmax: equal for every slicing, and close to the real value; Mean equal to its formula,
//! Softmax to rows that the oracle computed. ArgMinMax and TopK: equal to their definitions.

mod common;

use common::{by_rows, flat, for_seeds, indices, scaled};
use tealight_kernels::quant::quantize_multiplier;
use tealight_kernels::{
    ActivationRange, ArgMinMax, Mean, Multiplier, Softmax, TopK, arg_min_max, float, log_softmax, mean, softmax,
    top_k_indices, top_k_values,
};

#[test]
fn a_mean_equals_its_formula_and_is_within_one_of_the_exact_value() {
    for_seeds(400, |rng| {
        let dims: [usize; 6] = std::array::from_fn(|_| rng.size(1, 4));
        let reduced = rng.size(0, 63) as u32;
        let factor = rng.from(100, 3000) as f64 / 1000.0;
        let (multiplier, shift) = quantize_multiplier(factor);
        let (input_zero_point, output_zero_point) = (rng.int(-20, 20), rng.int(-20, 20));
        let p = Mean { dims, reduced, input_zero_point, output_zero_point, output: Multiplier { multiplier, shift } };
        let input = rng.bytes(dims.iter().product());

        let is_reduced = |i: usize| reduced >> i & 1 == 1;
        let kept: [usize; 6] = std::array::from_fn(|i| if is_reduced(i) { 1 } else { dims[i] });
        let summed: [usize; 6] = std::array::from_fn(|i| if is_reduced(i) { dims[i] } else { 1 });
        let count: usize = summed.iter().product();
        let output = by_rows(rng, kept.iter().product(), 1, |rows, output| {
            mean(&p, rows, &input, output);
        });
        for (index, &output) in indices(kept).zip(&output) {
            let of = |within: [usize; 6]| {
                let x = input[flat(dims, std::array::from_fn(|i| index[i] + within[i]))];
                f64::from(i32::from(x) - input_zero_point)
            };
            let sum = indices(summed).map(of).sum::<f64>();
            // 1/n is part of the multiplier, which keeps as many bits as n has.
            let bits = count.ilog2();
            let divided = ((i64::from(multiplier) << bits) / count as i64) as i32;
            let expected = scaled(sum as i32, divided, shift - bits as i32);
            assert_eq!(output, common::output(expected, output_zero_point, ActivationRange::FULL), "{p:?}");

            let real = sum / count as f64 * factor;
            let real = (real + f64::from(output_zero_point)).clamp(-128.0, 127.0);
            assert!((f64::from(output) - real).abs() < 1.0, "{p:?}: {output}, not {real}");
        }
    });
}

#[test]
fn a_mean_over_nothing_is_the_input_in_the_other_quantization() {
    let (multiplier, shift) = quantize_multiplier(0.5);
    let output = Multiplier { multiplier, shift };
    let p = Mean { dims: [1, 1, 1, 1, 1, 4], reduced: 0, input_zero_point: 1, output_zero_point: 10, output };
    let mut output = [0; 4];
    mean(&p, 0..4, &[1, 3, -1, 127], &mut output);
    assert_eq!(output, [10, 11, 9, 73]);
}

/// The parameters as the reference computes them: `beta * input_scale` in Q26, and the minimum difference that Q5
/// holds.
fn softmax_of(depth: usize, scale: f64) -> Softmax {
    let (input_multiplier, input_left_shift) = quantize_multiplier((scale * f64::from(1 << 26)).min(2_147_483_647.0));
    let diff_min = -((31i64 << 26 >> input_left_shift) as i32);
    Softmax { depth, input_multiplier, input_left_shift, diff_min }
}

#[test]
fn a_softmax_is_within_one_of_the_exact_value() {
    for_seeds(300, |rng| {
        let (rows, depth) = (rng.size(1, 5), rng.size(1, 40));
        let scale = rng.from(1, 500) as f64 / 1000.0;
        let p = softmax_of(depth, scale);
        let input = rng.bytes(rows * depth);
        let output = by_rows(rng, rows, depth, |rows, out| softmax(&p, rows, &input, out));
        for (input, output) in input.chunks(depth).zip(output.chunks(depth)) {
            let terms: Vec<f64> = input.iter().map(|&x| (f64::from(x) * scale).exp()).collect();
            let sum: f64 = terms.iter().sum();
            for (term, &output) in terms.iter().zip(output) {
                let real = (term / sum * 256.0 - 128.0).min(127.0);
                assert!((f64::from(output) - real).abs() <= 1.0, "{output}, not {real}: {p:?}");
            }
        }
    });
}

#[test]
fn logarithms_of_a_softmax_are_within_one_of_the_exact_values() {
    for_seeds(300, |rng| {
        let (rows, depth) = (rng.size(1, 5), rng.size(1, 40));
        let scale = rng.from(1, 500) as f64 / 1000.0;
        let p = softmax_of(depth, scale);
        let (multiplier, shift) =
            quantize_multiplier(f64::from(1u32 << (31 - p.input_left_shift)) / f64::from(p.input_multiplier));
        let input = rng.bytes(rows * depth);
        let reverse = Multiplier::new(multiplier, shift);
        let output = by_rows(rng, rows, depth, |rows, out| log_softmax(&p, reverse, rows, &input, out));
        for (input, output) in input.chunks(depth).zip(output.chunks(depth)) {
            let sum: f64 = input.iter().map(|&x| (f64::from(x) * scale).exp()).sum();
            for (&x, &output) in input.iter().zip(output) {
                let real = ((f64::from(x) * scale - sum.ln()) * 16.0 + 127.0).clamp(-128.0, 127.0);
                assert!((f64::from(output) - real).abs() <= 1.0, "{output}, not {real}: {p:?}");
            }
        }
    });
}

/// From TensorFlow Lite Micro's interpreter (PyPI `tflite-micro` 0.dev20261023182759).
#[test]
fn softmax_rows_equal_those_of_the_oracle() {
    let check = |scale: f32, input: &[i8], expected: &[i8]| {
        let mut output = vec![0; input.len()];
        softmax(&softmax_of(input.len(), scale.into()), 0..1, input, &mut output);
        assert_eq!(output, expected);
    };
    check(
        0.060_032_49,
        &[112, -2, -50, -128, -91, 127, -5, -5, 37, -47],
        &[-54, -128, -128, -128, -128, 53, -128, -128, -127, -128],
    );
    check(
        0.021_615_63,
        &[-58, -128, -35, 2, 54, 39, 46, -71, 119, -45, -43, 127, -38, 110, 74, -113],
        &[-127, -128, -126, -123, -113, -117, -116, -127, -68, -126, -126, -57, -126, -79, -105, -128],
    );
}

/// `x / 2^exponent`, rounded to nearest, halves away from zero, for any exponent.
fn divided(x: i128, exponent: u32) -> i128 {
    let half = if exponent == 0 { 0 } else { 1i128 << (exponent - 1) };
    ((x.abs() + half) >> exponent) * x.signum()
}

/// A row of softmax by its definition, with a sum and shifts that cannot overflow.
fn softmax_by_definition(p: &Softmax, input: &[i8]) -> Vec<i8> {
    use tealight_kernels::fixed_point::{exp_on_negative_values, one_over_one_plus_x_for_x_in_0_1};
    let maximum = input.iter().copied().max().map_or(-128, i32::from);
    let exp = |x: i8| {
        let diff = i32::from(x) - maximum;
        let scaled = (i128::from(diff << p.input_left_shift) * i128::from(p.input_multiplier) + (1 << 30)) >> 31;
        (diff >= p.diff_min).then(|| exp_on_negative_values::<5>(scaled as i32))
    };
    let sum: i128 = input.iter().filter_map(|&x| exp(x)).map(|term| divided(term.into(), 12)).sum();
    // The sum is `1 + fraction` times a power of two: of `2^19` at least, which is one term of 1.
    let bits = sum.ilog2();
    let fraction = ((sum << 31 >> bits) - (1 << 31)) as i32;
    let scale = one_over_one_plus_x_for_x_in_0_1(fraction);
    let output = |&x: &i8| match exp(x) {
        Some(term) => {
            let quotient = (i128::from(scale) * i128::from(term) + (1 << 30)) >> 31;
            (divided(quotient, bits - 19 + 31 - 8) - 128).min(127) as i8
        }
        None => -128,
    };
    input.iter().map(output).collect()
}

#[test]
fn a_softmax_of_any_length_equals_its_definition() {
    for_seeds(if cfg!(miri) { 1 } else { 400 }, |rng| {
        let around = rng.size(1, 5000);
        let depth = *[1, 2, 511, 512, 513, 600, 1023, 1024, 2048, 4095, 4096, 4097, 5000, 8191, 8192, 8193, 20_000]
            .get(rng.size(0, 33))
            .unwrap_or(&around);
        let scale = rng.from(1, 200) as f64 / 1000.0;
        let p = softmax_of(depth, scale);
        let level = rng.int(-100, 100);
        let kind = rng.size(0, 3);
        let input: Vec<i8> = match kind {
            0 => vec![level as i8; depth],
            // A few outliers.
            1 => (0..depth).map(|i| (level - i32::from(i % 700 != 0)) as i8).collect(),
            2 => (0..depth).map(|_| (level + rng.int(-2, 2)) as i8).collect(),
            _ => rng.bytes(depth),
        };
        let mut output = vec![99; depth];
        softmax(&p, 0..1, &input, &mut output);
        assert_eq!(output, softmax_by_definition(&p, &input), "{depth} elements of kind {kind}: {p:?}");

        // Close to the real value: within half a step plus the fixed-point rounding errors, one for each term of the
        // sum.
        let top = f64::from(*input.iter().max().unwrap());
        let terms: Vec<f64> = input.iter().map(|&x| ((f64::from(x) - top) * scale).exp()).collect();
        let sum: f64 = terms.iter().sum();
        let slack = 0.5 + 256.0 * depth as f64 / f64::from(1 << 20) / sum + 1e-3;
        for (term, &output) in terms.iter().zip(&output) {
            let real = (term / sum * 256.0 - 128.0).min(127.0);
            assert!((f64::from(output) - real).abs() <= slack, "{output}, not {real}: {depth} elements, {p:?}");
        }
    });
}

#[test]
fn thousands_of_equal_elements_are_all_the_zero_of_softmax() {
    for depth in [513, 600, 1024, 2000, 4096, 5000, 8192, 20_000] {
        let mut output = vec![99; depth];
        softmax(&softmax_of(depth, 0.1), 0..1, &vec![7; depth], &mut output);
        assert!(output.iter().all(|&x| x == -128), "{depth}");
    }
}

/// The maximum number of elements of a mean, by the model file's rules (the format's `MAX_AVERAGED`).
const LONGEST_MEAN: usize = 1 << 23;

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn the_longest_mean_that_a_model_may_have_does_not_wrap() {
    let count = LONGEST_MEAN;
    let (multiplier, shift) = quantize_multiplier(1.0);
    for (x, input_zero_point, expected) in
        [(-128, 127, -128), (127, -128, 127), (-128, -128, 0), (5, 5, 0), (127, 100, 27)]
    {
        let dims = [1, 1, 1, 1, 1, count];
        let p = Mean {
            dims,
            reduced: 1 << 5,
            input_zero_point,
            output_zero_point: 0,
            output: Multiplier { multiplier, shift },
        };
        let mut output = [99];
        mean(&p, 0..1, &vec![x; count], &mut output);
        assert_eq!(output, [expected], "{x} with zero point {input_zero_point}");
    }
}

/// Elements of few values, so that many are equal; in f32 with zeros of both signs, infinities and NaN.
fn equal_ones(rng: &mut common::Rng, count: usize) -> (Vec<i8>, Vec<f32>) {
    let codes: Vec<i8> = (0..count).map(|_| rng.int(-3, 3) as i8).collect();
    let float = |&code: &i8| match code {
        -3 => f32::NEG_INFINITY,
        -1 => -0.0,
        2 => f32::INFINITY,
        3 => f32::NAN,
        code => f32::from(code),
    };
    let floats = codes.iter().map(float).collect();
    (codes, floats)
}

/// The index of the largest of `elements`, or of the smallest; of equal ones the first, or the last. A NaN counts only
/// where all are.
fn index_of(p: &ArgMinMax, elements: &[f64]) -> i32 {
    let numbers = elements.iter().copied().filter(|x| !x.is_nan());
    let best = if p.smallest { numbers.reduce(f64::min) } else { numbers.reduce(f64::max) };
    let is_best = |&x: &f64| best.is_none_or(|best| x == best);
    let index = if p.last { elements.iter().rposition(is_best) } else { elements.iter().position(is_best) };
    index.map_or(-1, |index| index as i32)
}

#[test]
fn an_index_is_that_of_the_first_or_last_of_the_largest_or_smallest_elements() {
    for_seeds(400, |rng| {
        let (outer, len, inner) = (rng.size(1, 4), rng.size(1, 9), rng.size(1, 4));
        let p = ArgMinMax { len, inner, smallest: rng.size(0, 1) == 1, last: rng.size(0, 1) == 1 };
        let (codes, floats) = equal_ones(rng, outer * len * inner);
        let of_codes = by_rows(rng, outer * inner, 1, |rows, output| arg_min_max(&p, rows, &codes, output));
        let of_floats = by_rows(rng, outer * inner, 1, |rows, output| float::arg_min_max(&p, rows, &floats, output));
        for ([o, i], (code, float)) in indices([outer, inner]).zip(of_codes.into_iter().zip(of_floats)) {
            let places = (0..len).map(|k| flat([outer, len, inner], [o, k, i]));
            let along: Vec<f64> = places.clone().map(|at| f64::from(codes[at])).collect();
            assert_eq!(code, index_of(&p, &along), "{p:?} {along:?}");
            let along: Vec<f64> = places.map(|at| f64::from(floats[at])).collect();
            assert_eq!(float, index_of(&p, &along), "{p:?} {along:?}");
        }
    });
}

/// The indices of the elements from the largest to the smallest, or from the smallest to the largest; equal ones in
/// their order, NaN at the end.
fn sorted(p: &TopK, elements: &[f64]) -> Vec<i32> {
    let mut indices: Vec<usize> = (0..elements.len()).collect();
    indices.sort_by(|&a, &b| {
        let (a, b) = (elements[a], elements[b]);
        let order = if p.smallest { a.partial_cmp(&b) } else { b.partial_cmp(&a) };
        order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    indices.into_iter().take(p.count).map(|i| i as i32).collect()
}

#[test]
fn the_first_of_a_sorted_line_are_found_with_equal_ones_in_their_order() {
    for_seeds(400, |rng| {
        let (lines, depth) = (rng.size(1, 4), rng.size(1, 9));
        let p = TopK { depth, count: rng.size(1, depth), smallest: rng.size(0, 1) == 1 };
        let (codes, floats) = equal_ones(rng, lines * depth);
        let of_codes = by_rows(rng, lines, p.count, |rows, output| top_k_indices(&p, rows, &codes, output));
        let of_floats = by_rows(rng, lines, p.count, |rows, output| float::top_k_indices(&p, rows, &floats, output));
        let (mut values, mut numbers) = (vec![0; lines * p.count], vec![0.0; lines * p.count]);
        top_k_values(&p, 0..lines, &codes, &mut values);
        float::top_k_values(&p, 0..lines, &floats, &mut numbers);
        for line in 0..lines {
            let (from, to) = (line * depth..(line + 1) * depth, line * p.count..(line + 1) * p.count);
            let along: Vec<f64> = codes[from.clone()].iter().map(|&code| f64::from(code)).collect();
            assert_eq!(of_codes[to.clone()], sorted(&p, &along), "{p:?} {along:?}");
            let along: Vec<f64> = floats[from.clone()].iter().map(|&x| f64::from(x)).collect();
            assert_eq!(of_floats[to.clone()], sorted(&p, &along), "{p:?} {along:?}");
            for at in to {
                assert_eq!(values[at], codes[from.start + of_codes[at] as usize]);
                let (found, expected) = (numbers[at], floats[from.start + of_floats[at] as usize]);
                assert_eq!(found.to_bits(), expected.to_bits());
            }
        }
    });
}
