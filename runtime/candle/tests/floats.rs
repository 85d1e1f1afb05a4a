//! f32 operators of many shapes: Candle's engine against Tealight's.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use support::{Operand, Rng, Slices, bits, infer, single};
use tealight_candle::{EngineChoice, Mapped};
use tealight_format::Operator;
use tealight_format::ops::{BatchMatMulF32, Conv2dF32, FullyConnectedF32};
use tealight_kernels::float::f16;

/// The maximum error of a sum of products, relative to the sum of their magnitudes. A sum of `n` values in any order
/// has an error below `n` units of 2^-24; here it is some units.
const TOLERANCE: f64 = 8.0 / (1 << 24) as f64;

const BOUNDS: [f32; 2] = [-1.5, 2.5];

fn pick(rng: &mut Rng, from: u64, to: u64) -> u32 {
    (from + rng.below(to - from + 1)) as u32
}

fn count(dims: &[u32]) -> usize {
    dims.iter().product::<u32>() as usize
}

/// Runs a model of one operator in both engines, whole and in parts, and once more with all values positive, which
/// computes the magnitudes that the tolerance is relative to.
fn compare(
    what: &str,
    operator: Operator,
    operands: impl Fn(bool) -> Vec<Operand>,
    inputs: &[Vec<f32>],
    output: &[u32],
) {
    let model = |positive| Mapped::from_bytes(&single(operator, operands(positive), output).file()).unwrap();
    let magnitudes = {
        let unbounded = match operator {
            Operator::FullyConnectedF32(_) => {
                Operator::FullyConnectedF32(FullyConnectedF32 { activation: [0.0, f32::INFINITY] })
            }
            Operator::Conv2dF32(op) => Operator::Conv2dF32(Conv2dF32 { activation: [0.0, f32::INFINITY], ..op }),
            other => other,
        };
        let model = Mapped::from_bytes(&single(unbounded, operands(true), output).file()).unwrap();
        let inputs: Vec<Vec<f32>> = inputs.iter().map(|x| x.iter().map(|x| x.abs()).collect()).collect();
        infer(&model, EngineChoice::Tealight, &inputs, Slices::Whole)
    };
    let model = model(false);
    let ours = infer(&model, EngineChoice::Tealight, inputs, Slices::Whole);
    assert!(ours.len() < 3 || ours.iter().any(|x| *x != ours[0]), "{what}: the test must be able to fail");
    let mut all = vec![Slices::Whole];
    if model.model().op(0).rows > 1 {
        all.push(Slices::Random(ours.len() as u64));
    }
    for slices in all {
        let theirs = infer(&model, EngineChoice::Candle, inputs, slices);
        assert_eq!(ours.len(), theirs.len());
        for (i, ((a, b), magnitude)) in ours.iter().zip(&theirs).zip(&magnitudes).enumerate() {
            let off = f64::from((a - b).abs());
            assert!(off <= TOLERANCE * f64::from(*magnitude), "{what}, {slices:?}: {a} and {b} at {i}, of {magnitude}");
        }
    }
}

/// Returns values for a seed, or their magnitudes.
fn numbers(seed: u64, dims: &[u32], positive: bool) -> Vec<f32> {
    let numbers = Rng(seed).f32s(count(dims)).into_iter();
    numbers.map(|x| if positive { x.abs() } else { x }).collect()
}

#[test]
fn fully_connected_layers_agree() {
    for seed in 0..60 {
        let rng = &mut Rng(seed);
        let (batches, depth, units) = (pick(rng, 1, 20), pick(rng, 1, 300), pick(rng, 1, 40));
        let op = Operator::FullyConnectedF32(FullyConnectedF32 { activation: BOUNDS });
        let (weights, with_bias, half) = (vec![units, depth], seed % 3 > 0, seed % 2 > 0);
        let operands = |positive| {
            let numbers_of = numbers(seed, &weights, positive);
            let stored = if half {
                Operand::F16(weights.clone(), numbers_of.iter().map(|&x| f16::from_f32(x)).collect())
            } else {
                Operand::F32(weights.clone(), numbers_of)
            };
            let bias = Operand::F32(vec![units], numbers(seed + 1, &[units], positive));
            vec![Operand::Input(vec![batches, depth]), stored, if with_bias { bias } else { Operand::None }]
        };
        let input = rng.f32s((batches * depth) as usize);
        let what = format!("seed {seed}, {batches} x {depth} -> {units}");
        compare(&what, op, operands, &[input], &[batches, units]);
    }
}

#[test]
fn convolutions_agree() {
    for seed in 0..80 {
        let rng = &mut Rng(seed);
        let [images, channels, units] = [pick(rng, 1, 2), pick(rng, 1, 9), pick(rng, 1, 9)];
        let kernel = [0, 1].map(|_| pick(rng, 1, 4));
        let stride = [0, 1].map(|_| pick(rng, 1, 3));
        let dilation = [0, 1].map(|_| pick(rng, 1, 2));
        let extent = [0, 1].map(|i| (kernel[i] - 1) * dilation[i] + 1);
        let pad = [0, 1].map(|i| pick(rng, 0, u64::from(extent[i]) - 1));
        let size = [0, 1].map(|i| extent[i] + pick(rng, 0, 9));
        // Some windows end beyond the border.
        let output = [0, 1].map(|i| (size[i] + pad[i] - 1) / stride[i] + 1);
        let op = Conv2dF32 {
            stride: stride.map(u32::cast_signed),
            dilation: dilation.map(u32::cast_signed),
            pad: pad.map(u32::cast_signed),
            activation: BOUNDS,
        };
        let weights = vec![units, kernel[0], kernel[1], channels];
        let image = vec![images, size[0], size[1], channels];
        let operands = |positive| {
            let bias = Operand::F32(vec![units], numbers(seed + 1, &[units], positive));
            let stored = Operand::F32(weights.clone(), numbers(seed, &weights, positive));
            vec![Operand::Input(image.clone()), stored, if seed % 3 > 0 { bias } else { Operand::None }]
        };
        let input = rng.f32s(count(&image));
        compare(
            &format!("seed {seed}, {op:?}"),
            Operator::Conv2dF32(op),
            operands,
            &[input],
            &[images, output[0], output[1], units],
        );
    }
}

#[test]
fn products_of_activations_agree() {
    for seed in 0..60u64 {
        let rng = &mut Rng(seed);
        let [matrices, rows, inner, columns] = [4, 20, 70, 20].map(|most| pick(rng, 1, most));
        let [transpose_a, transpose_b] = [seed & 1, seed >> 1 & 1].map(|x| x == 1);
        let order = |transposed, [rows, columns]: [u32; 2]| if transposed { [columns, rows] } else { [rows, columns] };
        let dims = |count: u32, matrix: [u32; 2]| vec![count, matrix[0], matrix[1]];
        // One matrix may be used for all products.
        let a = dims(if seed % 5 == 0 { 1 } else { matrices }, order(transpose_a, [rows, inner]));
        let b = dims(if seed % 7 == 0 { 1 } else { matrices }, order(transpose_b, [inner, columns]));
        let inputs = [rng.f32s(count(&a)), rng.f32s(count(&b))];
        let operands = |_| vec![Operand::Input(a.clone()), Operand::Input(b.clone())];
        let op = BatchMatMulF32 { transpose_a, transpose_b };
        let what = format!("seed {seed}, {a:?} times {b:?}, {op:?}");
        compare(&what, Operator::BatchMatMulF32(op), operands, &inputs, &[matrices, rows, columns]);
    }
}

#[test]
fn large_layers_run_with_candle() {
    // Its bits differ from Tealight's.
    let weights = vec![64, 512];
    let operands =
        vec![Operand::Input(vec![16, 512]), Operand::F32(weights.clone(), numbers(1, &weights, false)), Operand::None];
    let op = Operator::FullyConnectedF32(FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] });
    let model = Mapped::from_bytes(&single(op, operands, &[16, 64]).file()).unwrap();
    let input = [Rng(2).f32s(16 * 512)];
    let [ours, theirs] =
        [EngineChoice::Tealight, EngineChoice::Candle].map(|choice| infer(&model, choice, &input, Slices::Whole));
    assert_ne!(bits(&ours), bits(&theirs));
}
