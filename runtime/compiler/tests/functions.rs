//! Functions of one int8 value, and operators that are written in terms of others, against their definitions.
#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use tealight_compiler::{Options, compile_tflite};
use tflite::{BOOL, F32, Field, I8, I32, I64, Net, U8, q};

/// A function of a real number.
type Real = fn(f64) -> f64;

/// Abramowitz and Stegun 7.1.26, off by at most 1.5e-7.
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let sum = series.into_iter().fold(0.0, |sum, factor| sum * t + factor) * t;
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

/// The output of an operator of one int8 input, of scale 0.04, for each code.
fn for_each_code(operator: i32, zero_point: i64, output: (f32, i64)) -> Vec<i8> {
    let mut net = Net::default();
    let (x, y) = (net.input(I8, &[256], q(0.04, zero_point)), net.output(I8, &[256], q(output.0, output.1)));
    net.op(operator, &[x], &[y], None);
    let codes: Vec<u8> = (0..=255).collect();
    net.run(&[&codes]).unwrap().concat().into_iter().map(u8::cast_signed).collect()
}

#[test]
fn functions_of_one_int8_value_are_rounded_to_the_nearest_code() {
    // Code and name of the operator, its function, the zero point of its input, scale and zero point of its output.
    type Case = (i32, &'static str, Real, i64, (f32, i64));
    let cases: [Case; 8] = [
        (47, "EXP", f64::exp, 20, (0.3, -128)),
        (73, "LOG", |x| x.max(0.0).ln(), -128, (0.03, 20)),
        (150, "GELU", |x| 0.5 * x * (1.0 + erf(x * 0.5f64.sqrt())), -3, (0.03, -90)),
        (75, "SQRT", |x| x.max(0.0).sqrt(), -100, (0.013, -128)),
        (59, "NEG", |x| -x, 30, (0.05, -9)),
        (66, "SIN", f64::sin, 0, (1.0 / 128.0, 0)),
        (108, "COS", f64::cos, 0, (1.0 / 128.0, 0)),
        (92, "SQUARE", |x| x * x, -10, (0.11, -128)),
    ];
    for (operator, name, function, zero_point, (scale, to)) in cases {
        for (code, found) in for_each_code(operator, zero_point, (scale, to)).into_iter().enumerate() {
            let code = (code as u8).cast_signed();
            let exact = function(f64::from(0.04f32) * (f64::from(code) - zero_point as f64));
            let exact = (exact / f64::from(scale) + to as f64).clamp(-128.0, 127.0);
            assert!((f64::from(found) - exact).abs() < 0.5005, "{name} of {code} is {found}, not {exact}");
        }
    }
}

#[test]
fn int8_values_become_whole_numbers_and_signs() {
    type Case = (i32, &'static str, fn(f32) -> f32);
    let sign = |x: f32| if x == 0.0 { 0.0 } else { x.signum() };
    let cases: [Case; 4] =
        [(8, "FLOOR", f32::floor), (104, "CEIL", f32::ceil), (116, "ROUND", f32::round_ties_even), (158, "SIGN", sign)];
    for (operator, name, function) in cases {
        for (code, found) in for_each_code(operator, 10, (0.0625, 3)).into_iter().enumerate() {
            let code = (code as u8).cast_signed();
            let expected = function(0.04 * (f32::from(code) - 10.0)) / 0.0625 + 3.0;
            assert_eq!(f32::from(found), expected, "{name} of {code}");
        }
    }
}

#[test]
fn a_negation_that_reverses_the_codes_is_exact() {
    let codes = for_each_code(59, 7, (0.04, -8));
    assert!(codes.into_iter().enumerate().all(|(code, found)| found == !(code as u8).cast_signed()));
}

fn error(net: &Net) -> String {
    compile_tflite(&net.bytes(), &Options::default()).unwrap_err().to_string()
}

#[test]
fn int8_operators_of_other_scales_than_the_kernels_take_are_refused() {
    let error = |operator: i32, inputs: &[f32], output: (f32, i64)| {
        let mut net = Net::default();
        let inputs: Vec<i32> = inputs.iter().map(|&scale| net.input(I8, &[1, 4], q(scale, 0))).collect();
        let y = net.output(I8, &[1, 4], q(output.0, output.1));
        net.op(operator, &inputs, &[y], None);
        error(&net)
    };
    let sum = error(106, &[0.5, 0.25], (0.5, 0));
    assert!(sum.contains("ADD_N") && sum.contains("int8 of one scale and zero point for all inputs"), "{sum}");
    let length = error(11, &[0.5], (0.5, 0));
    assert!(length.contains("L2_NORMALIZATION") && length.contains("scale 1/128 and zero point 0"), "{length}");
    let quotient = error(42, &[1e9, 1e-5], (1.0, 0));
    assert!(quotient.contains("DIV") && quotient.contains("its scales"), "{quotient}");
    let difference = error(99, &[0.5, 0.25], (1e-30, 0));
    assert!(difference.contains("SQUARED_DIFFERENCE"), "{difference}");
    let logarithm = error(50, &[0.5], (1.0 / 16.0, 0));
    assert!(logarithm.contains("LOG_SOFTMAX") && logarithm.contains("1/16"), "{logarithm}");
}

#[test]
fn int8_maxima_need_one_shape_or_one_number() {
    let mut net = Net::default();
    let (a, b) = (net.input(I8, &[2, 4], q(0.5, 0)), net.input(I8, &[1, 4], q(0.5, 0)));
    let y = net.output(I8, &[2, 4], q(0.5, 0));
    net.op(55, &[a, b], &[y], None);
    let error = error(&net);
    assert!(error.contains("node 0 (MAXIMUM)") && error.contains("one shape, or one constant number"), "{error}");
}

#[test]
fn the_maximum_of_tensors_of_two_scales_is_that_of_their_values() {
    let mut net = Net::default();
    let (a, b) = (net.input(I8, &[2, 2], q(0.5, 0)), net.input(I8, &[2, 2], q(1.0, 10)));
    let y = net.output(I8, &[2, 2], q(1.0, 10));
    net.op(55, &[a, b], &[y], None);
    // The values 2, -3, 50, 0 and 1, -2, 60, 0.
    let inputs = [[4, -6, 100, 0], [11, 8, 70, 10]].map(|codes: [i8; 4]| codes.map(i8::cast_unsigned));
    let found = net.run(&[&inputs[0], &inputs[1]]).unwrap().concat();
    assert_eq!(found, [12, 8, 70, 10]);
}

#[test]
fn squares_of_pixels_must_fit_the_tensors() {
    for (operator, options, shapes) in [(5, 94, [[1, 2, 2, 8], [1, 4, 4, 2]]), (26, 19, [[1, 4, 4, 2], [1, 2, 2, 8]])] {
        for (block, fits) in [(2, true), (0, false), (-2, false), (3, false), (i32::MAX, false)] {
            let mut net = Net::default();
            let (x, y) = (net.input(F32, &shapes[0], None), net.output(F32, &shapes[1], None));
            net.op(operator, &[x], &[y], Some((options, &[(0, Field::Int(block))])));
            match compile_tflite(&net.bytes(), &Options::default()) {
                Ok(_) => assert!(fits, "{block}"),
                Err(error) => assert!(!fits && error.to_string().contains("its block size is"), "{error}"),
            }
        }
    }
}

#[test]
fn a_reduction_over_a_dimension_that_there_is_not_is_refused() {
    for (axis, shape) in [(2, vec![2]), (-3, vec![2]), (1, vec![3]), (1, vec![2, 4])] {
        for operator in [82, 89, 74] {
            let mut net = Net::default();
            let (x, axes) = (net.input(F32, &[2, 4], None), net.ints(&[axis]));
            let y = net.output(F32, &shape, None);
            net.op(operator, &[x, axes], &[y], None);
            let error = error(&net);
            assert!(error.contains("node 0 ("), "{error}");
        }
    }
}

#[test]
fn indices_of_int64_are_int32_in_the_model_with_a_note() {
    for (operator, expected) in [(56, [1i32, 0]), (79, [0, 2])] {
        let mut net = Net::default();
        let (x, axis, y) = (net.input(I8, &[2, 3], q(0.5, 3)), net.ints(&[-1]), net.output(I64, &[2], None));
        net.op(operator, &[x, axis], &[y], None);
        let compiled = compile_tflite(&net.bytes(), &Options::default()).unwrap();
        let [note] = &compiled.report.notes[..] else { panic!("{:?}", compiled.report.notes) };
        assert!(note.contains("`t2` is int64 in the file; the model computes int32"), "{note}");
        let codes = [-3i8, 7, 7, 9, 8, -9].map(i8::cast_unsigned);
        assert_eq!(net.run(&[&codes]).unwrap().concat(), expected.map(i32::to_le_bytes).concat());
    }
}

#[test]
fn indices_may_be_converted_and_copied_to_another_shape() {
    let mut net = Net::default();
    let (x, axis, found) = (net.input(F32, &[2, 3], None), net.ints(&[1]), net.tensor(I64, &[2], None));
    net.op(56, &[x, axis], &[found], None);
    let (column, y) = (net.tensor(I64, &[2, 1], None), net.output(I32, &[2, 1], None));
    let shape = net.ints(&[2, 1]);
    net.op(22, &[found, shape], &[column], None);
    net.op(53, &[column], &[y], None);
    let inputs = [1.0f32, 3.0, 2.0, -1.0, -2.0, -3.0].map(f32::to_le_bytes).concat();
    assert_eq!(net.run(&[&inputs]).unwrap().concat(), [1i32, 0].map(i32::to_le_bytes).concat());
    net.tensors[y as usize].dtype = F32;
    assert_eq!(net.run(&[&inputs]).unwrap().concat(), [1f32, 0.0].map(f32::to_le_bytes).concat());
}

#[test]
fn int64_of_inputs_and_casts_is_computed_in_int32() {
    // floor(x) as int64, plus an int64 input and a constant, compared, and chosen.
    let mut net = Net::default();
    let (x, n) = (net.input(F32, &[3], None), net.input(I64, &[3], None));
    let (whole, sum, more) = (net.tensor(I64, &[3], None), net.tensor(I64, &[3], None), net.tensor(I64, &[3], None));
    net.op(53, &[x], &[whole], None);
    net.op(0, &[whole, n], &[sum], None);
    let ten = net.constant(I64, &[1], None, &10i64.to_le_bytes());
    net.op(0, &[sum, ten], &[more], None);
    let (above, y) = (net.tensor(BOOL, &[3], None), net.output(I64, &[3], None));
    net.op(61, &[more, n], &[above], None);
    net.op(123, &[above, more, n], &[y], None);
    let floats = [1.9f32, -20.5, -10.0].map(f32::to_le_bytes).concat();
    let ints = [5i32, -3, 7].map(i32::to_le_bytes).concat();
    assert_eq!(net.run(&[&floats, &ints]).unwrap().concat(), [16i32, -3, 7].map(i32::to_le_bytes).concat());
    // A constant that int32 does not hold is refused.
    let beyond = net.constant(I64, &[1], None, &(1i64 << 40).to_le_bytes());
    let z = net.output(I64, &[3], None);
    net.op(0, &[n, beyond], &[z], None);
    assert!(error(&net).contains("accepted: int32"), "{}", error(&net));
}

#[test]
fn indices_along_a_dimension_that_there_is_not_or_of_another_type_are_refused() {
    let error = |input: i8, axes: &[i32], output: i8, shape: &[i32]| {
        let mut net = Net::default();
        let scale = if input == F32 { None } else { q(0.5, 0) };
        let (x, axes, y) = (net.input(input, &[2, 3], scale), net.ints(axes), net.output(output, shape, None));
        net.op(56, &[x, axes], &[y], None);
        error(&net)
    };
    assert!(error(F32, &[2], I32, &[2]).contains("axis 2 is out of range for 2 dimensions"));
    assert!(error(F32, &[-3], I32, &[2]).contains("axis -3 is out of range for 2 dimensions"));
    assert!(error(F32, &[0, 1], I32, &[1]).contains("its axis is [0, 1] instead of one number"));
    assert!(error(F32, &[1], F32, &[2]).contains("tensor `t2` is float32; accepted: int32 or int64"));
    assert!(error(U8, &[1], I32, &[2]).contains("tensor `t0` is uint8; accepted: int8"));
    assert!(error(I8, &[1], I32, &[3]).contains("the shape of `t2` int32[3] does not fit"));
}

#[test]
fn the_largest_codes_are_found_with_their_indices() {
    let net = |count: i32, shape: &[i32]| {
        let mut net = Net::default();
        let (x, k) = (net.input(I8, &[2, 4], q(0.5, 3)), net.ints(&[count]));
        let outputs = [net.output(I8, shape, q(0.5, 3)), net.output(I32, shape, None)];
        net.op(48, &[x, k], &outputs, None);
        net
    };
    let codes = [5i8, -7, 9, 9, -128, 0, -1, 0].map(i8::cast_unsigned);
    let outputs = net(3, &[2, 3]).run(&[&codes]).unwrap();
    assert_eq!(outputs[0], [9i8, 9, 5, 0, 0, -1].map(i8::cast_unsigned));
    assert_eq!(outputs[1], [2i32, 3, 0, 1, 3, 2].map(i32::to_le_bytes).concat());
    assert!(error(&net(2, &[2, 3])).contains("it has [2] elements to find"));
    assert!(error(&net(5, &[2, 5])).contains("the shape of `t2` int8[2, 5] does not fit"));
}

/// The f32 outputs of a network for f32 inputs.
fn floats(net: &Net, inputs: &[&[f32]]) -> Vec<f32> {
    let inputs: Vec<Vec<u8>> = inputs.iter().map(|x| x.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let outputs = net.run(&inputs).unwrap().concat();
    outputs.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn comparisons_choose_between_values() {
    let a = [1.0f32, -2.0, 0.0, f32::INFINITY, 1e-38, f32::NEG_INFINITY, 3.5, -0.0];
    let b = [1.0f32, 3.0, -0.0, f32::INFINITY, 0.0, f32::INFINITY, -3.5, 5e-39];
    type Case = (i32, fn(f32, f32) -> bool);
    let cases: [Case; 6] = [
        (71, |a, b| a == b),
        (72, |a, b| a != b),
        (58, |a, b| a < b),
        (63, |a, b| a <= b),
        (61, |a, b| a > b),
        (62, |a, b| a >= b),
    ];
    for (code, holds) in cases {
        let mut net = Net::default();
        let ids = [0, 1, 2, 3].map(|_| net.input(F32, &[8], None));
        let (truth, y) = (net.tensor(BOOL, &[8], None), net.output(F32, &[8], None));
        net.op(code, &ids[..2], &[truth], None);
        net.op(123, &[truth, ids[2], ids[3]], &[y], None);
        let (yes, no): (Vec<f32>, Vec<f32>) = (0..8u8).map(|i| (f32::from(i) - 4.0, 100.0 + f32::from(i))).unzip();
        let expected: Vec<f32> = (0..8).map(|i| if holds(a[i], b[i]) { yes[i] } else { no[i] }).collect();
        assert_eq!(floats(&net, &[&a, &b, &yes, &no]), expected, "operator {code}");
    }
}

#[test]
fn truth_values_are_combined_and_become_numbers() {
    type Case = (i32, fn(bool, bool) -> bool);
    let cases: [Case; 2] = [(84, |a, b| a || b), (86, |a, b| a && b)];
    for (code, combined) in cases {
        let mut net = Net::default();
        let (x, zero) = (net.input(F32, &[2, 2], None), net.constant(F32, &[1], None, &0f32.to_le_bytes()));
        let [above, opposite, either] = [(); 3].map(|()| net.tensor(BOOL, &[2, 2], None));
        let (known, y) = (net.constant(BOOL, &[2], None, &[1, 0]), net.output(F32, &[2, 2], None));
        net.op(61, &[x, zero], &[above], None);
        net.op(87, &[above], &[opposite], None);
        net.op(code, &[opposite, known], &[either], None);
        net.op(53, &[either], &[y], None);
        let number = |a: bool, b: bool| f32::from(u8::from(combined(a, b)));
        let expected = [number(false, true), number(true, false), number(true, true), number(false, false)];
        assert_eq!(floats(&net, &[&[1.0, -1.0, 0.0, 2.0]]), expected, "operator {code}");
    }
}

#[test]
fn a_condition_for_whole_rows_is_refused() {
    let mut net = Net::default();
    let (x, row) = (net.input(F32, &[2, 2], None), net.input(F32, &[2], None));
    let (truth, y) = (net.tensor(BOOL, &[2], None), net.output(F32, &[2, 2], None));
    net.op(61, &[row, row], &[truth], None);
    net.op(64, &[truth, x, x], &[y], None);
    assert!(error(&net).contains("(SELECT)"), "{}", error(&net));
}

#[test]
fn the_edges_of_a_tensor_are_mirrored() {
    for (mode, expected) in [
        (0, [6.0f32, 5.0, 4.0, 5.0, 6.0, 5.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 6.0, 5.0, 4.0, 5.0, 6.0, 5.0]),
        (1, [2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 5.0, 4.0, 4.0, 5.0, 6.0, 6.0]),
    ] {
        let mut net = Net::default();
        let pads = net.constant(I32, &[2, 2], None, &[1i32, 0, 2, 1].map(i32::to_le_bytes).concat());
        let (x, y) = (net.input(F32, &[2, 3], None), net.output(F32, &[3, 6], None));
        net.op(100, &[x, pads], &[y], Some((77, &[(0, Field::Byte(mode))])));
        assert_eq!(floats(&net, &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), expected, "mode {mode}");
    }
    // As long as there may be.
    let numbers: Vec<f32> = (0..200u8).map(f32::from).collect();
    for (mode, most) in [(0, 199i32), (1, 200)] {
        let mut net = Net::default();
        let pads = net.constant(I32, &[1, 2], None, &[most, most].map(i32::to_le_bytes).concat());
        let (x, y) = (net.input(F32, &[200], None), net.output(F32, &[200 + 2 * most], None));
        net.op(100, &[x, pads], &[y], Some((77, &[(0, Field::Byte(mode))])));
        let (mut before, mut after) = (numbers.clone(), numbers.clone());
        before.reverse();
        after.reverse();
        if mode == 0 {
            before.pop();
            after.remove(0);
        }
        assert_eq!(floats(&net, &[&numbers]), [before, numbers.clone(), after].concat(), "mode {mode}");
    }
    let mut net = Net::default();
    let pads = net.constant(I32, &[1, 2], None, &[3i32, 0].map(i32::to_le_bytes).concat());
    let (x, y) = (net.input(F32, &[3], None), net.output(F32, &[6], None));
    net.op(100, &[x, pads], &[y], Some((77, &[(0, Field::Byte(0))])));
    assert!(error(&net).contains("it pads [3, 0] along dimension 0, which has 3 elements"), "{}", error(&net));
}

#[test]
fn a_tensor_is_repeated_along_each_dimension() {
    let mut net = Net::default();
    let (x, counts, y) = (net.input(F32, &[1, 2], None), net.ints(&[2, 3]), net.output(F32, &[2, 6], None));
    net.op(69, &[x, counts], &[y], None);
    assert_eq!(floats(&net, &[&[1.0, 2.0]]), [1.0, 2.0].repeat(6));
    net.tensors[counts as usize].data = [2i32, 65].map(i32::to_le_bytes).concat();
    net.tensors[y as usize].shape = vec![2, 130];
    assert_eq!(floats(&net, &[&[1.0, 2.0]]), [1.0, 2.0].repeat(130));
    net.tensors[counts as usize].data = [2i32, 0].map(i32::to_le_bytes).concat();
    assert!(error(&net).contains("multiples of 1 and more"), "{}", error(&net));
}

#[test]
fn the_logarithm_of_a_softmax_sums_to_one() {
    let mut net = Net::default();
    let (x, y) = (net.input(F32, &[2, 3], None), net.output(F32, &[2, 3], None));
    net.op(50, &[x], &[y], None);
    let found = floats(&net, &[&[1.0, 2.0, 3.0, 1000.0, 0.0, 1000.0]]);
    let half = -std::f32::consts::LN_2;
    let expected = [-2.407_606, -1.407_606, -0.407_606, half, half - 1000.0, half];
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6 * b.abs()), "{found:?}");
}
