//! Fully connected layers with block-quantized weights.
//!
//! That the blocks and their products are Candle's, bit for bit, is shown for the kernels (`tests/candle`). Here a
//! layer of a whole compiled network is compared with f64 arithmetic on the values that its blocks represent.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::{Budget, Model, OwnedSession};
use tealight_compiler::{BlockType, Compiled, Options, compile_tflite};
use tealight_kernels::block;
use tealight_tests::models::splitmix64;
use tealight_tests::ops::{Case, cases};
use tealight_tests::tolerance::floats;

fn compile(case: &Case, quantize: Option<BlockType>) -> Compiled {
    compile_tflite(&case.model, &Options { quantize, ..Options::default() }).unwrap()
}

fn run(compiled: &Compiled, input: &[u8], mut budget: impl FnMut() -> Budget) -> Vec<f32> {
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    session.input(0).unwrap().copy_from_bytes(input).unwrap();
    while session.poll(budget()).is_pending() {}
    session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
}

/// The values that the blocks of quantized `values` represent, in rows of `depth`.
fn through_blocks(of: BlockType, values: &[f32], depth: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (row, out) in values.chunks_exact(depth).zip(out.chunks_exact_mut(depth)) {
        let mut bytes = vec![0; of.row_bytes(depth)];
        block::quantize(of, row, &mut bytes);
        block::dequantize(of, &bytes, out);
    }
    out
}

/// A layer, computed in f64 with weights and activations that went through blocks.
fn reference(of: BlockType, float: &Compiled, input: &[f32]) -> (Vec<f64>, usize) {
    let model = Model::parse(&float.bytes).unwrap();
    let op = model.op(0);
    let constant = |k: usize| op.input(k).map(|index| floats(model.constant(&model.value(index.into()))));
    let shape = model.value(op.input(1).unwrap().into()).shape;
    let (units, depth) = (shape.dim(0) as usize, shape.dim(1) as usize);
    let weights = through_blocks(of, &constant(1).unwrap(), depth);
    let bias = constant(2).unwrap_or_else(|| vec![0.0; units]);
    let input = through_blocks(of.activations(), input, depth);
    let tealight::Operator::FullyConnectedF32(layer) = op.operator else { panic!("not a float layer") };
    let [min, max] = layer.activation.map(f64::from);
    let mut outputs = Vec::new();
    for x in input.chunks_exact(depth) {
        for (w, bias) in weights.chunks_exact(depth).zip(&bias) {
            let sum: f64 = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            outputs.push((sum + f64::from(*bias)).max(min).min(max));
        }
    }
    (outputs, depth)
}

#[test]
fn layers_in_blocks_compute_with_the_dequantized_weights() {
    let (mut compared, mut seed) = (0, 5);
    for (name, case) in cases("fully_connected_f32") {
        let float = compile(&case, None);
        let input = &case.steps[0].inputs[0];
        for &of in BlockType::ALL {
            let compiled = compile(&case, Some(of));
            let (expected, depth) = reference(of, &float, &floats(input));
            let is_in_blocks = compiled.bytes != float.bytes;
            assert_eq!(is_in_blocks, depth.is_multiple_of(of.elements() as usize), "{name} {of:?}");
            assert_eq!(compiled.report.quantized.len(), 1, "{name} {of:?}");
            if !is_in_blocks {
                continue;
            }
            let found = run(&compiled, input, Budget::unlimited);
            let polled = run(&compiled, input, || Budget::macs(splitmix64(&mut seed) % 8000));
            assert_eq!(found, polled, "{name} {of:?}: the slicing shows");
            let largest = expected.iter().fold(0f64, |max, x| max.max(x.abs()));
            assert_eq!(found.len(), expected.len());
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                // The order of f32 sums, and a sum of a block that is kept as f16 (the types with an offset).
                let near = (f64::from(*found) - expected).abs() <= 2e-3 * largest;
                assert!(near, "{name} {of:?}, output {i}: {found}, expected {expected}, largest {largest}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 20, "only {compared} layers");
}

#[test]
fn q8_0_is_nearer_to_the_float_layer_than_q4_0() {
    let case = &cases("fully_connected_f32")["fully_connected_f32.007"];
    let input = &case.steps[0].inputs[0];
    let float = run(&compile(case, None), input, Budget::unlimited);
    let error = |of| {
        let found = run(&compile(case, Some(of)), input, Budget::unlimited);
        let square = |x: &f32| f64::from(*x).powi(2);
        let noise: f64 = found.iter().zip(&float).map(|(a, b)| square(&(a - b))).sum();
        (noise / float.iter().map(square).sum::<f64>()).sqrt()
    };
    let (eight, four) = (error(BlockType::Q8_0), error(BlockType::Q4_0));
    assert!(eight < 0.01 && 0.01 < four && four < 0.15, "Q8_0 {eight}, Q4_0 {four}");
}
