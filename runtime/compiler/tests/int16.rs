//! Networks with int16 activations and int8 weights: what is refused, and with which words. What they compute is compared
//! with TensorFlow Lite Micro in `tests/golden/ops/*_i16.safetensors`.

#![allow(clippy::unwrap_used)]

#[path = "support/net.rs"]
mod tflite;

use tflite::{Field, I8, I16, Net, Q, q};

/// A fully connected layer, whose bias has this type and scale, and its result.
fn dense(bias: Option<(i8, f32)>, weights: Option<Q>) -> Net {
    let mut net = Net::default();
    let x = net.input(I16, &[1, 4], q(0.5, 0));
    let w = net.codes(&[2, 4], weights, &[1, 2, 3, 4, -1, -2, -3, -4]);
    let mut inputs = vec![x, w];
    if let Some((dtype, scale)) = bias {
        let bytes: Vec<u8> = match dtype {
            I8 => vec![10, 246],
            tflite::I32 => [10i32, -10].iter().flat_map(|b| b.to_le_bytes()).collect(),
            _ => [10i64, -10].iter().flat_map(|b| b.to_le_bytes()).collect(),
        };
        inputs.push(net.constant(dtype, &[2], q(scale, 0), &bytes));
    }
    let y = net.output(I16, &[1, 2], q(1.0, 0));
    net.op(9, &inputs, &[y], None);
    net
}

fn refused(net: &Net, parts: &[&str]) {
    let error = net.run(&[]).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

fn codes(codes: &[i16]) -> Vec<u8> {
    codes.iter().flat_map(|code| code.to_le_bytes()).collect()
}

#[test]
fn a_layer_takes_biases_of_32_and_64_bits() {
    // Scales 0.5 and 0.25: the factor is 1 / 8. 10 + 4 * 30 = 130, an eighth of which is 16.25.
    for bias in [tflite::I32, tflite::I64] {
        let outputs = dense(Some((bias, 0.125)), q(0.25, 0)).run(&[&codes(&[12, 12, 12, 12])]).unwrap();
        assert_eq!(outputs, [codes(&[16, -16])]);
    }
    let outputs = dense(None, q(0.25, 0)).run(&[&codes(&[12, 12, 12, 12])]).unwrap();
    assert_eq!(outputs, [codes(&[15, -15])]);
    refused(&dense(Some((I8, 0.125)), q(0.25, 0)), &["is int8; accepted: int64"]);
}

#[test]
fn scales_that_a_layer_cannot_have_are_refused() {
    refused(&dense(Some((tflite::I64, 1.0)), q(0.25, 0)), &["its bias `t2` has scale", "accepted: that of its sums"]);
    refused(&dense(None, q(0.25, 3)), &["its weights `t1` have zero point 3; accepted: 0"]);
    refused(&dense(None, None), &["its weights", "have no scale"]);
    // A sum of 64 bits is multiplied by at most 2^7.
    refused(&dense(None, q(1000.0, 0)), &["at most 2^7 is accepted"]);
    // One of 32 bits by more.
    assert!(dense(Some((tflite::I32, 500.0)), q(1000.0, 0)).run(&[&codes(&[0; 4])]).is_ok());
}

#[test]
fn activations_are_symmetric() {
    for quantization in [q(0.5, 1), q(0.0, 0), None] {
        let mut net = dense(None, q(0.25, 0));
        net.tensors[0].q = quantization;
        refused(&net, &["node 0 (FULLY_CONNECTED): tensor `t0` has", "accepted: one scale above 0, and zero point 0"]);
    }
}

#[test]
fn a_depthwise_convolution_takes_biases_of_64_bits_alone() {
    for (dtype, len, taken) in [(tflite::I64, 8, true), (tflite::I32, 4, false)] {
        let mut net = Net::default();
        let x = net.input(I16, &[1, 1, 1, 1], q(0.5, 0));
        let w = net.codes(&[1, 1, 1, 1], q(0.5, 0), &[4]);
        let b = net.constant(dtype, &[1], q(0.25, 0), &vec![0; len]);
        let y = net.output(I16, &[1, 1, 1, 1], q(1.0, 0));
        let ones = [1, 2, 3].map(|field| (field, Field::Int(1)));
        net.op(4, &[x, w, b], &[y], Some((2, &ones)));
        if taken {
            assert_eq!(net.run(&[&codes(&[10])]).unwrap(), [codes(&[10])]);
        } else {
            refused(&net, &["tensor `t2` is int32; accepted: int64"]);
        }
    }
}

/// A function of one tensor, with its options.
fn function(code: i32, from: Option<Q>, to: Option<Q>, options: Option<(u8, &[(u16, Field)])>) -> Net {
    let mut net = Net::default();
    let x = net.input(I16, &[1, 2, 2, 1], from);
    let y = net.output(I16, &[1, 2, 2, 1], to);
    net.op(code, &[x], &[y], options);
    net
}

#[test]
fn what_shares_a_scale_must_have_one() {
    let pool = [(1, Field::Int(1)), (2, Field::Int(1)), (3, Field::Int(1)), (4, Field::Int(1))];
    for (code, options) in [(1, Some((5, &pool[..]))), (17, Some((5, &pool))), (21, None), (20, None)] {
        let outputs = function(code, q(0.5, 0), q(0.5, 0), options).run(&[&codes(&[1, 2, 0, 1])]).unwrap();
        assert_eq!(outputs, [codes(&[1, 2, 0, 1])], "{code}");
        let net = function(code, q(0.5, 0), q(0.25, 0), options);
        refused(&net, &["`t0` has scale 0.5", "`t1` has scale 0.25", "accepted: one scale"]);
    }
}

#[test]
fn functions_have_the_only_scale_that_they_produce() {
    let beta = [(0, Field::Float(1.0))];
    for (code, options) in [(14, None), (28, None), (25, Some((9, &beta[..])))] {
        let net = function(code, q(0.001, 0), q(0.5, 0), options);
        refused(&net, &["its output `t1` has scale 0.5; accepted: scale 1/32768"]);
        assert!(function(code, q(0.001, 0), q(1.0 / 32768.0, 0), options).run(&[&codes(&[0; 4])]).is_ok());
    }
    refused(&function(14, q(3.0, 0), q(1.0 / 32768.0, 0), None), &["its input's scale is 3.000e0"]);
    refused(&function(25, q(9.0, 0), q(1.0 / 32768.0, 0), Some((9, &beta))), &["beta times its input's scale"]);
    let slope = [(0, Field::Float(-0.5))];
    refused(&function(98, q(0.5, 0), q(0.5, 0), Some((75, &slope))), &["a slope of at least 0 for int16, not -0.5"]);
    refused(&function(19, q(1e9, 0), q(1e-9, 0), None), &["its scales are too far apart"]);
    refused(&function(111, q(0.5, 0), q(0.5, 0), None), &["ELU", "is int16; accepted: int8"]);
}

#[test]
fn averages_of_more_than_fit_in_32_bits_are_refused() {
    for (count, taken) in [(1 << 15, true), ((1 << 15) + 1, false)] {
        let mut net = Net::default();
        let (x, axes) = (net.input(I16, &[1, count], q(0.5, 0)), net.ints(&[1]));
        let y = net.output(I16, &[1], q(0.5, 0));
        net.op(40, &[x, axes], &[y], None);
        if taken {
            assert_eq!(net.run(&[&codes(&vec![i16::MIN; count as usize])]).unwrap(), [codes(&[i16::MIN])]);
        } else {
            refused(&net, &["an average of up to 32768 int16 elements, not 32769"]);
        }
    }
}
