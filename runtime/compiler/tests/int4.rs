//! Int4 weights of a `.tflite` file stay int4, two in a byte.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[path = "support/net.rs"]
mod tflite;

use tealight_compiler::{Compiled, Options, compile_tflite};
use tealight_format::{DType, Model, OpSet};
use tflite::{F32, I4, Net, Q, q};

/// A fully connected layer of three inputs and three outputs in f32, whose nine weights are int4 codes: two in each of
/// five bytes.
fn layer(quantization: Option<Q>, packed: &[u8], dequantized: bool) -> Net {
    let mut net = Net::default();
    let x = net.input(F32, &[1, 3], None);
    let mut weights = net.constant(I4, &[3, 3], quantization, packed);
    if dequantized {
        let f32 = net.tensor(F32, &[3, 3], None);
        net.op(6, &[weights], &[f32], None);
        weights = f32;
    }
    let bias = net.constant(F32, &[3], None, &[0.5f32, 0.0, -1.0].map(f32::to_le_bytes).concat());
    let y = net.output(F32, &[1, 3], None);
    net.op(9, &[x, weights, bias], &[y], None);
    net
}

fn per_channel(scales: [f32; 3]) -> Option<Q> {
    Some(Q { scales: scales.to_vec(), zero_points: vec![0; 3], dimension: 0 })
}

/// The codes -8, 7, 1, -1, 0, 5, -3, 2, 4, and 6 in the half of a byte that no code fills.
const PACKED: [u8; 5] = [0x78, 0xf1, 0x50, 0x2d, 0x64];

fn compiled(net: &Net) -> Compiled {
    compile_tflite(&net.bytes(), &Options::default()).unwrap()
}

/// The types of the constants, their bytes, and what the model needs besides operators.
fn constants(compiled: &Compiled) -> (Vec<(DType, Vec<u8>)>, OpSet) {
    let model = Model::parse(&compiled.bytes).unwrap();
    let values = (0..model.constant_count()).map(|i| model.value(i));
    (values.map(|value| (value.dtype, model.constant(&value).to_vec())).collect(), model.op_set())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[test]
fn int4_weights_of_f32_layers_stay_packed() {
    let (one, each) = (q(0.25, 0), per_channel([0.5, 0.25, 2.0]));
    for (quantization, scales) in [(one, [0.25; 3]), (each, [0.5, 0.25, 2.0])] {
        for dequantized in [false, true] {
            let net = layer(quantization.clone(), &PACKED, dequantized);
            let compiled = compiled(&net);
            let (constants, set) = constants(&compiled);
            let mut packed = PACKED.to_vec();
            packed[4] &= 15;
            assert!(set.has_i4_weights() && !set.has_i8_weights());
            assert!(constants.contains(&(DType::I4, packed)), "{constants:?}");
            assert_eq!(constants.len(), 2);
            let [line] = &compiled.report.quantized[..] else { panic!("{:?}", compiled.report.quantized) };
            assert!(line.ends_with(": int4, 36 B to 5 B"), "{line}");

            let x = [2f32, -1.0, 10.0];
            let outputs = net.run(&[&x.map(f32::to_le_bytes).concat()]).unwrap().concat();
            let sums = [-16.0 - 7.0 + 10.0, -2.0 + 50.0, -6.0 - 2.0 + 40.0];
            assert_eq!(floats(&outputs), [sums[0] * scales[0] + 0.5, sums[1] * scales[1], sums[2] * scales[2] - 1.0]);
        }
    }
}

#[test]
fn int4_weights_with_a_zero_point_become_f32() {
    let net = layer(q(0.5, 1), &PACKED, false);
    let (constants, set) = constants(&compiled(&net));
    assert!(!set.has_i4_weights() && constants.iter().all(|(dtype, _)| *dtype == DType::F32));
    let outputs = net.run(&[&[1f32, 0.0, 0.0].map(f32::to_le_bytes).concat()]).unwrap().concat();
    assert_eq!(floats(&outputs), [-4.5 + 0.5, -1.0, -2.0 - 1.0]);
}

#[test]
fn a_tensor_of_int4_has_half_a_byte_for_each_element() {
    for len in [1, 4, 6, 9] {
        let error = compile_tflite(&layer(q(0.5, 0), &vec![0x11; len], false).bytes(), &Options::default());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`t1` does not have the bytes that its shape needs"), "{len}: {error}");
    }
}

#[test]
fn int4_activations_are_refused_by_name() {
    let mut net = Net::default();
    let (x, y) = (net.input(I4, &[1, 4], q(0.5, 0)), net.output(I4, &[1, 4], q(0.5, 0)));
    net.op(19, &[x], &[y], None);
    let error = compile_tflite(&net.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("int4"), "{error}");
}
