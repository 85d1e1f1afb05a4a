//! Operators in int8 that become others: which of their forms are refused, and with which words. What they compute is
//! compared with TensorFlow Lite Micro in `tests/golden/ops`.

#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use tflite::{BOOL, F32, Field, I8, I16, I32, Net, q};

fn refused(net: &Net, parts: &[&str]) {
    let error = net.run(&[]).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

/// An LSTM of two units for three inputs, of two steps; its tensors: the input, the weights, the recurrent weights (four
/// each), the biases, the hidden state, the cell and the output.
fn lstm(clip: f32) -> Net {
    let mut net = Net::default();
    let x = net.input(I8, &[1, 2, 3], q(0.02, 3));
    let mut operands = vec![x];
    for columns in [3, 2] {
        for gate in 0..4 {
            let codes: Vec<i8> = (0..2 * columns).map(|i| (37 * i + 11 * gate - 60) as i8).collect();
            operands.push(net.codes(&[2, columns], q(0.01, 0), &codes));
        }
    }
    operands.extend([-1; 3]);
    for bias in 0..4 {
        operands.push(net.ints(&[100 * bias, -50]));
    }
    let (hidden, cell) = (net.tensor(I8, &[1, 2], q(0.0078, -5)), net.tensor(I16, &[1, 2], q(1.0 / 2048.0, 0)));
    for state in [hidden, cell] {
        net.tensors[state as usize].variable = true;
    }
    operands.extend([-1, -1, hidden, cell, -1, -1, -1, -1]);
    let y = net.output(I8, &[1, 2, 2], q(0.0078, -5));
    net.op(44, &operands, &[y], Some((71, &[(0, Field::Byte(4)), (1, Field::Float(clip))])));
    net
}

const HIDDEN: usize = 13;
const CELL: usize = 14;

#[test]
fn an_int8_lstm_is_refused_with_what_it_must_have() {
    let input: Vec<u8> = vec![10, 20, 30, 40, 50, 60];
    assert!(lstm(0.0).run(&[&input]).is_ok());
    assert_ne!(lstm(0.0).run(&[&input]), lstm(0.01).run(&[&input]));
    let mut net = lstm(0.0);
    net.tensors[CELL].q = q(0.0005, 0);
    refused(&net, &["node 0 (UNIDIRECTIONAL_SEQUENCE_LSTM): its cell `t14`", "another scale than a power of two"]);
    net.tensors[CELL].q = q(1.0 / 2048.0, 1);
    refused(&net, &["its cell `t14`", "zero point other than 0"]);
    net.tensors[CELL].dtype = I32;
    refused(&net, &["int8 with an int16 cell"]);
    let mut net = lstm(0.0);
    net.tensors[HIDDEN].q = q(0.0078, -4);
    refused(&net, &["its state `t13`", "must have one scale and zero point in common"]);
    let mut net = lstm(0.0);
    net.tensors[2].q = q(0.01, 1);
    refused(&net, &["its weights `t2`", "do not have one scale, and zero point 0"]);
    net.tensors[2].q = None;
    refused(&net, &["its weights `t2`", "do not have one scale, and zero point 0"]);
    net.tensors[2].q = q(0.0, 0);
    refused(&net, &["its scales give the factor 0.000e0; accepted: above 0"]);
    // A clip of less than a step of the cell.
    refused(&lstm(1e-5), &["a cell clip of 0, of at least 10 in float32 and of at least a step of the cell in int8"]);
    refused(&lstm(f32::NAN), &["a cell clip of 0"]);
}

#[test]
fn codes_are_compared_if_their_scales_are_below_1() {
    let compared = |a: f32, b: f32| {
        let mut net = Net::default();
        let (x, y) = (net.input(I8, &[3], q(a, 1)), net.input(I8, &[3], q(b, -2)));
        let truths = net.output(BOOL, &[3], None);
        net.op(61, &[x, y], &[truths], None);
        net
    };
    // 0.5 * (x - 1) > 0.25 * (y + 2)
    assert_eq!(compared(0.5, 0.25).run(&[&[3, 4, 4], &[2, 3, 4]]).unwrap(), [[0, 1, 0]]);
    for (a, b) in [(1.0, 0.5), (0.5, 2.0), (0.0, 0.5)] {
        refused(&compared(a, b), &["GREATER", "float32 inputs, or int8 ones with scales below 1"]);
    }
    let mut net = compared(0.5, 0.25);
    net.tensors[1].shape = vec![2];
    refused(&net, &["its shapes do not fit together"]);
    net.tensors[1].dtype = F32;
    refused(&net, &["float32 inputs, or int8 ones"]);
}

#[test]
fn a_gather_in_batches_has_indices_for_each_batch() {
    let gather = |shape: &[i32], batch_dims: i32, to: &[i32]| {
        let mut net = Net::default();
        let x = net.input(I8, &[2, 3], q(0.5, 0));
        let indices = net.ints(&[2, 0]);
        net.tensors[indices as usize].shape = shape.to_vec();
        let y = net.output(I8, to, q(0.5, 0));
        net.op(36, &[x, indices], &[y], Some((23, &[(0, Field::Int(1)), (1, Field::Int(batch_dims))])));
        net
    };
    let input: &[u8] = &[1, 2, 3, 4, 5, 6];
    assert_eq!(gather(&[2, 1], 1, &[2, 1]).run(&[input]).unwrap(), [[3, 4]]);
    assert_eq!(gather(&[2], -0, &[2, 2]).run(&[input]).unwrap(), [[3, 1, 6, 4]]);
    assert_eq!(gather(&[2, 1], -1, &[2, 1]).run(&[input]).unwrap(), [[3, 4]]);
    refused(&gather(&[1, 2], 1, &[2, 2]), &["its batch_dims of 1 do not fit axis 1"]);
    for batch_dims in [2, -3, i32::MIN, i32::MAX] {
        refused(&gather(&[2, 1], batch_dims, &[2, 1]), &["do not fit axis 1"]);
    }
}

#[test]
fn matrices_of_int8_products_must_fit() {
    let product = |a: &[i32], b: &[i32], to: &[i32]| {
        let mut net = Net::default();
        let (x, y) = (net.input(I8, a, q(0.5, 0)), net.input(I8, b, q(0.5, 0)));
        let z = net.output(I8, to, q(0.5, 0));
        net.op(126, &[x, y], &[z], None);
        net
    };
    // 0.5 * 0.5 / 0.5 = 0.5
    assert_eq!(product(&[1, 2], &[2, 1], &[1, 1]).run(&[&[4, 6], &[1, 2]]).unwrap(), [[8]]);
    for (a, b, to) in [([1, 2], [3, 1], [1, 1]), ([1, 2], [2, 1], [1, 2])] {
        refused(&product(&a, &b, &to), &["its shapes do not fit together"]);
    }
    let mut net = product(&[1, 2], &[2, 1], &[1, 1]);
    net.tensors[1].dtype = F32;
    refused(&net, &["BATCH_MATMUL"]);
    net.tensors[1] = tflite::Tensor { q: None, ..product(&[1, 2], &[2, 1], &[1, 1]).tensors[1].clone() };
    refused(&net, &["BATCH_MATMUL"]);
}

#[test]
fn a_layer_without_a_bias_has_sums_of_the_width_that_its_options_say() {
    let layer = |bias_type: i8, input: i8| {
        let mut net = Net::default();
        let x = net.input(input, &[1, 1024], q(0.5, 0));
        let w = net.codes(&[1, 1024], q(0.5, 0), &[127; 1024]);
        let y = net.output(input, &[1, 1], q(65_536.0, 0));
        net.op(9, &[x, w], &[y], Some((8, &[(4, Field::Byte(bias_type))])));
        net
    };
    let input: Vec<u8> = [32_767i16; 1024].iter().flat_map(|code| code.to_le_bytes()).collect();
    let sum = 32_767i64 * 127 * 1024;
    let result = |sum: i64| ((sum as f64 / 262_144.0).round() as i16).to_le_bytes().to_vec();
    for (bias_type, sum) in [(I32, i64::from(sum as i32)), (tflite::I64, sum), (F32, sum)] {
        assert_eq!(layer(bias_type, I16).run(&[&input]).unwrap(), [result(sum)], "{bias_type}");
    }
    assert!(layer(I32, I8).run(&[&[1; 1024]]).is_ok());
    // Weights with fewer elements than outputs.
    let mut net = layer(I32, I16);
    net.tensors[1] = tflite::Tensor { shape: vec![i32::MAX, 0], data: Vec::new(), ..net.tensors[1].clone() };
    assert!(net.run(&[]).is_err());
}
