//! Operators that copy or compare codes, with tensors of any scales: the outputs have the values that the scales
//! require, within a step.
#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use proptest::prelude::*;
use tflite::{Field, I8, Net, Q, q};

/// The shape of the inputs.
const SHAPE: [i32; 4] = [1, 4, 3, 2];
const COUNT: usize = 24;

/// A quantization: about two decades of scales, any zero point.
fn quantization() -> impl Strategy<Value = (f32, i64)> {
    ((-3.0f32..-1.0).prop_map(|exponent| 10f32.powf(exponent)), -128i64..=127)
}

fn codes() -> impl Strategy<Value = Vec<i8>> {
    prop::collection::vec(any::<i8>(), COUNT)
}

fn bytes(codes: &[i8]) -> Vec<u8> {
    codes.iter().map(|code| code.cast_unsigned()).collect()
}

fn real(code: u8, (scale, zero_point): (f32, i64)) -> f64 {
    f64::from(scale) * (f64::from(code.cast_signed()) - zero_point as f64)
}

/// The code nearest to a real value.
fn code(real: f64, (scale, zero_point): (f32, i64)) -> f64 {
    ((real / f64::from(scale)).round() + zero_point as f64).clamp(-128.0, 127.0)
}

/// How an operator moves the elements of one input, if it only moves them.
type Moves = fn(&[f64]) -> Vec<f64>;

/// A network of one operator from `from` to `to`, and how it moves elements.
fn moving(which: usize, from: (f32, i64), to: (f32, i64)) -> (&'static str, Net, Moves) {
    let mut net = Net::default();
    let x = net.input(I8, &SHAPE, q(from.0, from.1));
    let to = |net: &mut Net, shape: &[i32]| net.output(I8, shape, q(to.0, to.1));
    let all: Moves = |x| x.to_vec();
    let (name, moves) = match which {
        0 => {
            let (shape, y) = (net.ints(&[4, 6]), to(&mut net, &[4, 6]));
            net.op(22, &[x, shape], &[y], None);
            ("RESHAPE", all)
        }
        1 => {
            let y = to(&mut net, &[4, 3, 2]);
            net.op(43, &[x], &[y], None);
            ("SQUEEZE", all)
        }
        2 => {
            let (axis, y) = (net.ints(&[0]), to(&mut net, &[1, 1, 4, 3, 2]));
            net.op(70, &[x, axis], &[y], None);
            ("EXPAND_DIMS", all)
        }
        3 => {
            let (perm, y) = (net.ints(&[0, 3, 1, 2]), to(&mut net, &[1, 2, 4, 3]));
            net.op(39, &[x, perm], &[y], None);
            let moves: Moves = |x| (0..COUNT).map(|i| x[i % 12 * 2 + i / 12]).collect();
            ("TRANSPOSE", moves)
        }
        4 => {
            let (begin, size, y) = (net.ints(&[0, 1, 0, 0]), net.ints(&[1, 2, 3, 2]), to(&mut net, &[1, 2, 3, 2]));
            net.op(65, &[x, begin, size], &[y], None);
            let moves: Moves = |x| x[6..18].to_vec();
            ("SLICE", moves)
        }
        5 => {
            let [begin, end, stride] = [[0, 3, 0, 0], [1, -5, 3, 2], [1, -1, 1, 1]].map(|ints| net.ints(&ints));
            let y = to(&mut net, &SHAPE);
            net.op(45, &[x, begin, end, stride], &[y], Some((32, &[(0, Field::Int(0))])));
            let moves: Moves = |x| x.chunks(6).rev().flatten().copied().collect();
            ("STRIDED_SLICE", moves)
        }
        6 => {
            let (axis, a, b) = (net.ints(&[3]), to(&mut net, &[1, 4, 3, 1]), to(&mut net, &[1, 4, 3, 1]));
            net.op(49, &[axis, x], &[a, b], None);
            let moves: Moves = |x| x.iter().step_by(2).chain(x.iter().skip(1).step_by(2)).copied().collect();
            ("SPLIT", moves)
        }
        7 => {
            let (sizes, axis) = (net.ints(&[1, 3]), net.ints(&[1]));
            let (a, b) = (to(&mut net, &[1, 1, 3, 2]), to(&mut net, &[1, 3, 3, 2]));
            net.op(102, &[x, sizes, axis], &[a, b], None);
            ("SPLIT_V", all)
        }
        8 => {
            let outputs: Vec<i32> = (0..4).map(|_| to(&mut net, &[1, 3, 2])).collect();
            net.op(88, &[x], &outputs, Some((64, &[(0, Field::Int(4)), (1, Field::Int(1))])));
            ("UNPACK", all)
        }
        9 => {
            let (pads, y) = (net.ints(&[0, 0, 0, 0, 1, 0, 0, 0]), to(&mut net, &[1, 4, 4, 2]));
            net.op(34, &[x, pads], &[y], None);
            let moves: Moves = |x| x.chunks(6).flat_map(|row| [&[0.0; 2], row].concat()).collect();
            ("PAD", moves)
        }
        10 => {
            let (size, y) = (net.ints(&[8, 3]), to(&mut net, &[1, 8, 3, 2]));
            net.op(97, &[x, size], &[y], None);
            let moves: Moves = |x| x.chunks(6).flat_map(|row| [row, row].concat()).collect();
            ("RESIZE_NEAREST_NEIGHBOR", moves)
        }
        11 => {
            let y = to(&mut net, &[1, 2, 2, 2]);
            let window: Vec<(u16, Field)> = vec![
                (0, Field::Byte(1)),
                (1, Field::Int(1)),
                (2, Field::Int(2)),
                (3, Field::Int(2)),
                (4, Field::Int(2)),
            ];
            net.op(17, &[x], &[y], Some((5, &window)));
            ("MAX_POOL_2D", pooled_max as Moves)
        }
        12 => {
            let y = to(&mut net, &[1, 2, 2, 2]);
            let window: Vec<(u16, Field)> = vec![
                (0, Field::Byte(1)),
                (1, Field::Int(1)),
                (2, Field::Int(2)),
                (3, Field::Int(2)),
                (4, Field::Int(2)),
            ];
            net.op(1, &[x], &[y], Some((5, &window)));
            ("AVERAGE_POOL_2D", pooled_average as Moves)
        }
        13 => {
            let y = to(&mut net, &SHAPE);
            net.op(20, &[x], &[y], None);
            let moves: Moves = |x| x.iter().map(|x| x.clamp(-1.0, 1.0)).collect();
            ("RELU_N1_TO_1", moves)
        }
        14 => {
            let (axes, y) = (net.ints(&[1, 2]), to(&mut net, &[1, 2]));
            net.op(40, &[x, axes], &[y], None);
            let moves: Moves = |x| (0..2).map(|c| x.iter().skip(c).step_by(2).sum::<f64>() / 12.0).collect();
            ("MEAN", moves)
        }
        _ => {
            let y = to(&mut net, &SHAPE);
            net.op(19, &[x], &[y], None);
            let moves: Moves = |x| x.iter().map(|x| x.max(0.0)).collect();
            ("RELU", moves)
        }
    };
    (name, net, moves)
}

/// The four values of each window of 2 by 2, in steps of 2 rows and 1 column, of 4 rows, 3 columns, 2 channels.
fn windows(x: &[f64]) -> impl Iterator<Item = [f64; 4]> + '_ {
    (0..8).map(|i| {
        let (row, column, channel) = (i / 4 * 2, i / 2 % 2, i % 2);
        [[0, 0], [0, 1], [1, 0], [1, 1]].map(|[r, c]| x[(row + r) * 6 + (column + c) * 2 + channel])
    })
}

fn pooled_max(x: &[f64]) -> Vec<f64> {
    windows(x).map(|window| window.into_iter().fold(f64::NEG_INFINITY, f64::max)).collect()
}

fn pooled_average(x: &[f64]) -> Vec<f64> {
    windows(x).map(|window| window.iter().sum::<f64>() / 4.0).collect()
}

const OPERATORS: usize = 16;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn data_movement_keeps_values_across_scales(
        which in 0..OPERATORS, from in quantization(), to in quantization(), codes in codes(),
    ) {
        let (name, net, moves) = moving(which, from, to);
        let outputs = match net.run(&[&bytes(&codes)]) {
            Ok(outputs) => outputs.concat(),
            Err(error) => {
                // The output of an average has finer steps than the computation.
                prop_assert!(name == "AVERAGE_POOL_2D" && to.0 < from.0, "{name}: {error}");
                let words = error.to_string();
                prop_assert!(words.contains(&from.0.to_string()) && words.contains(&to.0.to_string()), "{words}");
                return Ok(());
            }
        };
        let values: Vec<f64> = bytes(&codes).into_iter().map(|code| real(code, from)).collect();
        let wanted = moves(&values);
        prop_assert_eq!(outputs.len(), wanted.len());
        for (i, (found, wanted)) in outputs.iter().zip(wanted).enumerate() {
            let wanted = code(wanted, to);
            let found = f64::from(found.cast_signed());
            // A bound of RELU_N1_TO_1 is rounded to a step of the input first.
            let steps = if name == "RELU_N1_TO_1" { 1.5 + f64::from(from.0 / to.0) } else { 1.0 };
            prop_assert!((found - wanted).abs() <= steps, "{name}: {i}: {found} instead of {wanted}");
        }
    }

    #[test]
    fn concatenated_tensors_keep_their_values(
        quantizations in prop::collection::vec(quantization(), 4), a in codes(), b in codes(), which in 0..3usize,
    ) {
        let [qa, qb, qy, qv] = quantizations[..] else { unreachable!() };
        let mut net = Net::default();
        let x = net.input(I8, &SHAPE, q(qa.0, qa.1));
        let (name, wanted): (_, Vec<(u8, (f32, i64))>) = match which {
            0 | 1 => {
                // For PACK, the second input is a constant.
                let second = match which {
                    0 => net.input(I8, &SHAPE, q(qb.0, qb.1)),
                    _ => net.codes(&SHAPE, q(qb.0, qb.1), &b),
                };
                let y = net.output(I8, if which == 0 { &[2, 4, 3, 2] } else { &[2, 1, 4, 3, 2] }, q(qy.0, qy.1));
                if which == 0 {
                    net.op(2, &[x, second], &[y], Some((10, &[(0, Field::Int(0))])));
                } else {
                    net.op(83, &[x, second], &[y], Some((59, &[(0, Field::Int(2)), (1, Field::Int(0))])));
                }
                let of = |codes: &[i8], q| bytes(codes).into_iter().map(|code| (code, q)).collect::<Vec<_>>();
                (if which == 0 { "CONCATENATION" } else { "PACK" }, [of(&a, qa), of(&b, qb)].concat())
            }
            _ => {
                let pads = net.ints(&[1, 0, 0, 0, 0, 0, 0, 0]);
                let value = net.codes(&[1], q(qv.0, qv.1), &b[..1]);
                let y = net.output(I8, &[2, 4, 3, 2], q(qy.0, qy.1));
                net.op(60, &[x, pads, value], &[y], None);
                let border = vec![(b[0].cast_unsigned(), qv); COUNT];
                ("PADV2", border.into_iter().chain(bytes(&a).into_iter().map(|code| (code, qa))).collect())
            }
        };
        let inputs = [bytes(&a), bytes(&b)];
        let inputs: Vec<&[u8]> = inputs[..if which == 0 { 2 } else { 1 }].iter().map(Vec::as_slice).collect();
        let outputs = net.run(&inputs).unwrap().concat();
        prop_assert_eq!(outputs.len(), wanted.len());
        for (found, (from, q)) in outputs.iter().zip(wanted) {
            let wanted = code(real(from, q), qy);
            prop_assert!((f64::from(found.cast_signed()) - wanted).abs() <= 1.0, "{name}: {found} instead of {wanted}");
        }
    }

    #[test]
    fn a_variable_keeps_its_values_for_any_scales_of_its_readers_and_writers(
        quantizations in prop::collection::vec(quantization(), 3), codes in codes(),
    ) {
        let [qx, qr, qy] = quantizations[..] else { unreachable!() };
        let mut net = Net::default();
        let x = net.input(I8, &SHAPE, q(qx.0, qx.1));
        let handle = net.tensor(tflite::RESOURCE, &[], None);
        net.op(142, &[], &[handle], Some((111, &[(1, Field::Text("v"))])));
        // Read first, so the variable has the scale of this tensor.
        let old = net.output(I8, &SHAPE, q(qr.0, qr.1));
        net.op(143, &[handle], &[old], None);
        net.op(144, &[handle, x], &[], None);
        let y = net.output(I8, &SHAPE, q(qy.0, qy.1));
        net.op(143, &[handle], &[y], None);
        let outputs = net.run(&[&bytes(&codes)]).unwrap();
        // Its initial value is 0.
        prop_assert!(outputs[0].iter().all(|&code| i64::from(code.cast_signed()) == qr.1));
        for (&found, from) in outputs[1].iter().zip(bytes(&codes)) {
            let kept = code(real(from, qx), qr);
            let wanted = code(f64::from(qr.0) * (kept - qr.1 as f64), qy);
            prop_assert!((f64::from(found.cast_signed()) - wanted).abs() <= 1.0 + f64::from(qr.0 / qy.0));
        }
    }

    #[test]
    fn a_bias_of_any_scale_is_rescaled_or_added_as_the_oracle_does(
        (x, w, y) in (0.01f32..0.1, 0.001f32..0.1, 0.01f32..0.5), b in (-5.0f32..-1.0).prop_map(|e| 10f32.powf(e)),
        codes in codes(), bias in prop::collection::vec(-2000i32..2000, 2),
    ) {
        let mut net = Net::default();
        let input = net.input(I8, &[1, 12], q(x, 3));
        let weights = net.codes(&[2, 12], q(w, 0), &codes);
        let data: Vec<u8> = bias.iter().flat_map(|code| code.to_le_bytes()).collect();
        let bias_id = net.constant(tflite::I32, &[2], q(b, 0), &data);
        let output = net.output(I8, &[1, 2], q(y, -5));
        net.op(9, &[input, weights, bias_id], &[output], None);
        let sums = f64::from(x) * f64::from(w);
        // TensorFlow Lite Micro's condition.
        let scale = if (sums - f64::from(b)).abs() / f64::from(y) <= 0.02 { sums } else { f64::from(b) };
        let outputs = net.run(&[&bytes(&codes[..12])]).unwrap().concat();
        for unit in 0..2 {
            let product: f64 = (0..12).map(|i| f64::from(codes[unit * 12 + i]) * (f64::from(codes[i]) - 3.0)).sum();
            let wanted = code(sums * product + scale * f64::from(bias[unit]), (y, -5));
            let found = f64::from(outputs[unit].cast_signed());
            prop_assert!((found - wanted).abs() <= 1.0, "{found} instead of {wanted}");
        }
    }
}

fn refused(net: &Net, parts: &[&str]) {
    let error = net.run(&[]).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn scales_that_cannot_be_converted_are_refused_with_both() {
    let mut net = Net::default();
    let x = net.input(tflite::I16, &[4], q(0.5, 0));
    let (shape, y) = (net.ints(&[2, 2]), net.output(tflite::I16, &[2, 2], q(0.25, 0)));
    net.op(22, &[x, shape], &[y], None);
    refused(&net, &["node 0 (RESHAPE)", "`t0` has scale 0.5", "`t2` has scale 0.25"]);

    let mut net = Net::default();
    let x = net.input(I8, &[4], None);
    let (shape, y) = (net.ints(&[2, 2]), net.output(I8, &[2, 2], q(0.25, 0)));
    net.op(22, &[x, shape], &[y], None);
    refused(&net, &["`t0` has no scale", "`t2` has scale 0.25"]);

    // Scales along a dimension that the reshape changes.
    let mut net = Net::default();
    let along = |dimension| Some(Q { scales: vec![0.5, 0.25], zero_points: vec![0, 0], dimension });
    let x = net.input(I8, &[2, 3], along(0));
    let (shape, y) = (net.ints(&[3, 2]), net.output(I8, &[3, 2], along(1)));
    net.op(22, &[x, shape], &[y], None);
    refused(&net, &["`t0` has 2 scales along dimension 0", "`t2` has 2 scales along dimension 1"]);

    let mut net = Net::default();
    let x = net.input(I8, &[4], q(1e9, 0));
    let (shape, y) = (net.ints(&[2, 2]), net.output(I8, &[2, 2], q(1e-9, 0)));
    net.op(22, &[x, shape], &[y], None);
    refused(&net, &["scale 1000000000 ", "scale 0.000000001 "]);
}

#[test]
fn requantizes_graphs_of_kernel_operators_too() {
    use tealight_compiler::graph::ElementType;
    use tealight_compiler::{Options, builder};
    use tealight_format::{Operator, Quantization, ops};
    let built = |operator: Operator, shapes: [&[u32]; 2]| {
        let mut b = builder::Builder::new();
        let x = b.input("x", ElementType::I8, shapes[0]);
        let y = b.op("y", operator, [x], ElementType::I8, shapes[1]);
        b.output(y);
        let mut graph = b.finish();
        for (id, scale) in [(x, 0.5), (y, 0.25)] {
            graph.tensors[id].quantization = Some(Quantization::new(scale, 0).into());
        }
        builder::compile_kernel_graph(graph, b"", &Options::default())
    };
    let transpose = Operator::Transpose(ops::Transpose { perm: [1, 0, 2, 3, 4, 5] });
    let compiled = built(transpose, [&[2, 3], &[3, 2]]).unwrap();
    assert_eq!(tflite::run_file(&compiled.bytes, &[&[1, 2, 3, 4, 5, 6]]), [[2, 8, 4, 10, 6, 12]]);
    let window = ops::Pool2d { window: [1, 1], stride: [1, 1], pad: [0, 0], activation: ops::ActivationRange::FULL };
    let error = built(Operator::AvgPool2d(window), [&[1, 1, 1, 1]; 2]).unwrap_err().to_string();
    assert!(error.contains("`x` has scale 0.5") && error.contains("`y` has scale 0.25"), "{error}");
}

#[test]
fn notes_where_the_oracle_ignores_the_scales() {
    let notes = |net: &Net| {
        let compiled = tealight_compiler::compile_tflite(&net.bytes(), &tealight_compiler::Options::default());
        compiled.unwrap().report.notes.join("\n")
    };
    let relu6 = |to: (f32, i64)| {
        let mut net = Net::default();
        let (x, y) = (net.input(I8, &[4], q(0.1, 0)), net.output(I8, &[4], q(to.0, to.1)));
        net.op(21, &[x], &[y], None);
        notes(&net)
    };
    assert_eq!(relu6((0.1, 0)), "");
    assert!(relu6((0.05, 0)).starts_with("node 0 (RELU6): `t0` has scale 0.1 and zero point 0, `t1` has scale 0.05"));
    let conv = |bias: f32| {
        let mut net = Net::default();
        let (x, w) = (net.input(I8, &[1, 2, 2, 1], q(0.1, 0)), net.codes(&[1, 1, 1, 1], q(0.02, 0), &[3]));
        let b = net.constant(tflite::I32, &[1], q(bias, 0), &[1, 0, 0, 0]);
        let y = net.output(I8, &[1, 2, 2, 1], q(0.1, 0));
        net.op(3, &[x, w, b], &[y], Some((1, &[(0, Field::Byte(1)), (1, Field::Int(1)), (2, Field::Int(1))])));
        notes(&net)
    };
    assert_eq!(conv(0.002), "");
    assert!(conv(0.05).starts_with("node 0 (CONV_2D): its bias `t2` does not have the scale of its sums"));
}

#[test]
fn converts_uint8_networks() {
    let mut net = Net::default();
    let x = net.input(tflite::U8, &[4], q(0.5, 128));
    let (shape, y) = (net.ints(&[2, 2]), net.output(tflite::U8, &[2, 2], q(0.25, 10)));
    net.op(22, &[x, shape], &[y], None);
    assert_eq!(net.run(&[&[128, 129, 120, 255]]).unwrap().concat(), [10, 12, 0, 255]);
}

#[test]
fn constants_are_converted_where_they_are_folded() {
    let mut net = Net::default();
    let constant = net.codes(&[4], q(1.0, 0), &[1, 2, -3, 4]);
    let (shape, w) = (net.ints(&[1, 4]), net.tensor(I8, &[1, 4], q(0.5, 0)));
    net.op(22, &[constant, shape], &[w], None);
    let x = net.input(I8, &[1, 4], q(1.0, 0));
    let y = net.output(I8, &[1, 1], q(1.0, 0));
    net.op(9, &[x, w], &[y], None);
    assert_eq!(net.run(&[&[1, 1, 1, 1]]).unwrap().concat(), [4]);
}

#[test]
fn biases_and_weights_with_zero_points_are_refused_by_name() {
    for (weights, bias, part) in [
        (q(0.02, 0), q(0.001, 7), "its bias `t2` has zero point 7"),
        (
            Some(Q { scales: vec![0.02, 0.03], zero_points: vec![0, 4], dimension: 0 }),
            q(0.001, 0),
            "its weights `t1` have",
        ),
        (
            Some(Q { scales: vec![0.02; 3], zero_points: vec![0], dimension: 0 }),
            q(0.001, 0),
            "3 scales along dimension 0",
        ),
        (Some(Q { scales: vec![0.02; 2], zero_points: vec![0; 3], dimension: 0 }), None, "3 zero points for 2 scales"),
    ] {
        let mut net = Net::default();
        let x = net.input(I8, &[1, 2], q(0.05, 0));
        let w = net.codes(&[2, 2], weights, &[1, 2, 3, 4]);
        let b = net.constant(tflite::I32, &[2], bias, &[1, 0, 0, 0, 2, 0, 0, 0]);
        let y = net.output(I8, &[1, 2], q(0.1, 0));
        net.op(9, &[x, w, b], &[y], None);
        refused(&net, &[part]);
    }
    let mut net = Net::default();
    let x = net.input(I8, &[1, 2], q(0.05, 0));
    let w = net.codes(&[2, 2], q(0.02, 0), &[1, 2, 3, 4]);
    let b = net.constant(tflite::I64, &[2], q(0.001, 0), &[0; 16]);
    let y = net.output(I8, &[1, 2], q(0.1, 0));
    net.op(9, &[x, w, b], &[y], None);
    refused(&net, &["tensor `t2` is int64; accepted: int32"]);
    // A bias that does not fit in 32 bits in the scale of the sums.
    net.tensors[b as usize] =
        tflite::Tensor { dtype: tflite::I32, shape: vec![2], q: q(1e9, 0), data: vec![1; 8], ..Default::default() };
    refused(&net, &["its bias `t2` has scale 1000000000", "does not fit 32 bits"]);
}

#[test]
fn the_bias_of_an_svdf_counts_by_its_scale() {
    let run = |scale: f32, codes: [i32; 2]| {
        let mut net = Net::default();
        let x = net.input(I8, &[1, 2], q(0.05, 3));
        let feature = net.codes(&[2, 2], q(0.05, 0), &[10, -20, 30, 40]);
        let time = net.constant(tflite::I16, &[2, 1], q(0.02, 0), &[1, 0, 2, 0]);
        let bias = net.constant(tflite::I32, &[2], q(scale, 0), &codes.map(i32::to_le_bytes).concat());
        let state = net.tensor(tflite::I16, &[1, 2], q(0.01, 0));
        net.tensors[state as usize].variable = true;
        let y = net.output(I8, &[1, 2], q(0.02, 0));
        net.op(27, &[x, feature, time, bias, state], &[y], Some((6, &[(0, Field::Int(1))])));
        net.run(&[&[5, 6]]).unwrap().concat()
    };
    // 0.0002 is the scale of its sums; TensorFlow Lite Micro accepts a scale within 1e-5 of it and uses the codes
    // unchanged.
    let plain = run(0.0002, [1000, -2000]);
    assert_eq!(run(0.000_209, [1000, -2000]), plain);
    assert_eq!(run(0.002, [100, -200]), plain);
    assert_ne!(run(0.002, [1000, -2000]), plain);
}

/// The expected values are the results of TensorFlow Lite Micro.
#[test]
fn a_tensor_with_scale_0_is_zero() {
    let (zero, some) = (q(0.0, 3), q(0.1, -10));
    let unary = |code, from: &Option<Q>, to: &Option<Q>, options| {
        let mut net = Net::default();
        let x = net.input(I8, &[4], from.clone());
        let y = net.output(I8, &[4], to.clone());
        net.op(code, &[x], &[y], options);
        net.run(&[&[0x80, 0, 5, 0x7f]]).unwrap().concat().iter().map(|code| code.cast_signed()).collect::<Vec<_>>()
    };
    let slope: (u8, &[(u16, Field)]) = (75, &[(0, Field::Float(0.5))]);
    for (code, options) in [(98, Some(slope)), (117, None), (114, None)] {
        assert_eq!(unary(code, &zero, &some, options), [-10; 4], "{code}");
        assert_eq!(unary(code, &q(0.05, 3), &q(0.0, -10), options), [-10; 4], "{code}");
    }
    assert_eq!(unary(19, &zero, &some, None), [-10; 4]);
    assert_eq!(unary(14, &zero, &q(1.0 / 256.0, -128), None), [0; 4]);
    assert_eq!(unary(28, &zero, &q(1.0 / 128.0, 0), None), [0; 4]);
    let mut net = Net::default();
    let x = net.input(I8, &[4], zero.clone());
    let y = net.output(tflite::F32, &[4], None);
    net.op(6, &[x], &[y], None);
    assert_eq!(net.run(&[&[0x80, 0, 5, 0x7f]]).unwrap().concat(), [0; 16]);
    for (a, b, to, wanted) in [(&zero, &some, &some, -10), (&some, &zero, &zero, 3), (&zero, &zero, &some, -10)] {
        let mut net = Net::default();
        let (x, second) = (net.input(I8, &[4], a.clone()), net.input(I8, &[4], b.clone()));
        let y = net.output(I8, &[4], to.clone());
        net.op(18, &[x, second], &[y], None);
        let product = net.run(&[&[1, 2, 3, 4], &[5, 6, 7, 8]]).unwrap().concat();
        assert_eq!(product, [i8::cast_unsigned(wanted); 4]);
    }
    // TensorFlow Lite Micro fails here. By its scale, the first input is 0.
    let mut net = Net::default();
    let (x, second) = (net.input(I8, &[4], zero), net.input(I8, &[4], q(0.1, 0)));
    let y = net.output(I8, &[4], q(0.1, 1));
    net.op(0, &[x, second], &[y], None);
    assert_eq!(net.run(&[&[1, 2, 3, 4], &[5, 6, 7, 8]]).unwrap().concat(), [6, 7, 8, 9]);
}
