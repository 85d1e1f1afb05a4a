//! A file for any target returns the same bits on this machine.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[path = "support/net.rs"]
mod tflite;

use tealight_compiler::{Options, Target, compile_tflite};
use tealight_format::{DType, Model};
use tflite::{I8, I32, Net, q, run_file};

/// Layers of 16, 24 and 8 int8 neurons, with these weights for the second.
fn network(second: impl Fn(usize) -> i8) -> Net {
    let mut net = Net::default();
    let mut x = net.input(I8, &[1, 16], q(0.5, 3));
    for (at, [inputs, outputs]) in [[16, 16], [16, 24], [24, 8]].into_iter().enumerate() {
        let weight = |i: usize| if at == 1 { second(i) } else { (((i * 37 + at * 11) % 255) as i8).max(-127) };
        let bytes: Vec<u8> = (0..inputs * outputs).map(|i| weight(i).cast_unsigned()).collect();
        let weights = net.constant(I8, &[outputs as i32, inputs as i32], q(0.01, 0), &bytes);
        let bias: Vec<u8> = (0..outputs).flat_map(|i| (31 * i as i32 - 200).to_le_bytes()).collect();
        let bias = net.constant(I32, &[outputs as i32], q(0.005, 0), &bias);
        let y =
            if at == 2 { net.output(I8, &[1, 8], q(0.5, -4)) } else { net.tensor(I8, &[1, outputs as i32], q(0.5, 1)) };
        net.op(9, &[x, weights, bias], &[y], None);
        x = y;
    }
    net
}

/// The types of the weights of the network for a target.
fn types(net: &Net, target: Target) -> Vec<DType> {
    let compiled = compile_tflite(&net.bytes(), &Options { target, ..Options::default() }).unwrap();
    let model = Model::parse(&compiled.bytes).unwrap();
    (0..model.op_count()).map(|op| model.operands(&model.op(op)).input(1).unwrap().dtype).collect()
}

#[test]
fn paired_weights_return_the_same_bits() {
    let net = network(|i| ((i * 91 % 251) as i8).max(-127));
    assert_eq!(types(&net, Target::Any), [DType::I8; 3]);
    assert_eq!(types(&net, Target::ArmDsp), [DType::U8; 3]);
    let options = Options { target: Target::ArmDsp, ..Options::default() };
    let paired = compile_tflite(&net.bytes(), &options).unwrap().bytes;
    for seed in 0..20u8 {
        let input: Vec<u8> = (0..16u8).map(|i| i.wrapping_mul(83).wrapping_add(seed.wrapping_mul(29))).collect();
        let expected = net.run(&[&input]).unwrap();
        assert_eq!(run_file(&paired, &[&input]), expected, "{seed}");
    }
}

#[test]
fn weights_that_have_no_pairs_stay_as_they_are() {
    // -128 beside a negative weight.
    let net = network(|i| if i < 16 { -1 } else { i8::MIN });
    assert_eq!(types(&net, Target::ArmDsp), [DType::U8, DType::I8, DType::U8]);
}
