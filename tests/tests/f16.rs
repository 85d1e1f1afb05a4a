//! Layers whose weights are stored as f16 give the bits of the same layers in f32 with weights rounded to f16.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::BTreeSet;
use tealight::{Budget, Model};
use tealight_compiler::{Options, compile_tflite};
use tealight_kernels::float::f16;
use tealight_tests::models::splitmix64;
use tealight_tests::ops::cases;
use tealight_tests::tolerance::floats;

/// The file with the weights of every layer that may have them in f16 rounded to f16, but still f32.
fn rounded(file: &[u8]) -> Vec<u8> {
    let model = Model::parse(file).unwrap();
    let mut patched = file.to_vec();
    // A constant may serve several layers.
    let mut done = BTreeSet::new();
    for op in (0..model.op_count()).map(|i| model.op(i)) {
        for k in op.operator.weight_inputs() {
            let bytes = model.constant(&model.value(op.input(k).unwrap().into()));
            let at = bytes.as_ptr() as usize - file.as_ptr() as usize;
            if done.insert(at) {
                let weights = floats(bytes).into_iter().flat_map(|x| f16::from_f32(x).to_f32().to_le_bytes());
                let weights: Vec<u8> = weights.collect();
                patched[at..at + weights.len()].copy_from_slice(&weights);
            }
        }
    }
    patched
}

#[test]
fn layers_with_f16_weights_match_rounded_f32_weights() {
    let (mut compared, mut seed) = (0, 3);
    for file in ["conv2d_f32", "depthwise_conv2d_f32", "fully_connected_f32", "conv_transpose2d_f32", "graphs_f32"] {
        for (name, case) in cases(file) {
            let float = compile_tflite(&case.model, &Options::default()).unwrap().bytes;
            let half = compile_tflite(&case.model, &Options { f16: true, ..Options::default() }).unwrap();
            let model = Model::parse(&half.bytes).unwrap();
            let layers = (0..model.op_count()).filter(|&i| model.op(i).operator.weight_inputs().len() > 0).count();
            assert_eq!(model.op_set().has_f16(), layers > 0, "{name}");
            assert_eq!(half.report.quantized.len(), layers, "{name}: {:?}", half.report.quantized);
            let expected = case.run(&rounded(&float), Budget::unlimited);
            assert!(case.run(&half.bytes, Budget::unlimited) == expected, "{name}");
            assert!(case.run(&half.bytes, || Budget::macs(splitmix64(&mut seed) % 8000)) == expected, "{name}: slices");
            // Rounding to 11 bits shows, and not by much.
            let plain = floats(&case.run(&float, Budget::unlimited));
            let largest = plain.iter().fold(0f32, |max, x| max.max(x.abs()));
            let off = plain.iter().zip(floats(&expected)).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
            if layers > 0 {
                assert!(0.0 < off && off < 2e-3 * largest, "{name}: off by {off} of {largest}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 30, "only {compared} networks");
}
