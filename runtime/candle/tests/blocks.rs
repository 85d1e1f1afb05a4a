//! Products of every block type: Candle's engine against Tealight's.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use std::ops::Range;
use support::{Operand, Rng, Slices, bits, infer, single};
use tealight_candle::{EngineChoice, Mapped, Runner};
use tealight_format::Operator;
use tealight_format::ops::{BlockType, FullyConnectedBlock};
use tealight_kernels::block;

/// The maximum difference between the engines' outputs, relative to the sum of the magnitudes of the summands. Both add
/// exact sums over blocks, scaled and rounded, in some order; 4 units in the last place of an `f32` are more than their
/// errors amount to.
const TOLERANCE: f64 = 4.0 / (1 << 24) as f64;

/// A layer, an input for it, and the magnitudes that its tolerance is relative to.
struct Layer {
    model: Mapped,
    input: Vec<f32>,
    magnitudes: Vec<f64>,
}

const BATCHES: usize = 3;
/// With one, two and three columns after the last four.
const OUTPUTS: Range<usize> = 13..17;

fn through_blocks(of: BlockType, numbers: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut back) = (vec![0; of.row_bytes(numbers.len())], vec![0.0; numbers.len()]);
    block::quantize(of, numbers, &mut bytes);
    block::dequantize(of, &bytes, &mut back);
    (bytes, back)
}

fn layer(format: BlockType, outputs: usize, rng: &mut Rng) -> Layer {
    let depth = 256 * (1 + rng.below(6) as usize);
    let scale = 2f32.powi(rng.below(20) as i32 - 10);
    let numbers = |rng: &mut Rng, count| rng.f32s(count).into_iter().map(|x| x * scale).collect::<Vec<f32>>();
    let (weights, real_weights) = through_blocks(format, &numbers(rng, outputs * depth));
    let input = numbers(rng, BATCHES * depth);
    let (_, real_input) = through_blocks(format.activations(), &input);
    let bias = numbers(rng, outputs);
    let mut magnitudes = Vec::new();
    for x in real_input.chunks(depth) {
        for (w, bias) in real_weights.chunks(depth).zip(&bias) {
            let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(x * w).abs()).sum();
            magnitudes.push(sum + f64::from(bias.abs()));
        }
    }
    let op = FullyConnectedBlock {
        block: format,
        activation: [-f32::INFINITY, 0.5 * scale * scale * 10.0],
        together: false,
    };
    let dims = |dims: [usize; 2]| dims.map(|dim| dim as u32).to_vec();
    let operands = vec![
        Operand::Input(dims([BATCHES, depth])),
        Operand::Bytes(dims([outputs, format.row_bytes(depth)]), weights),
        Operand::F32(vec![outputs as u32], bias),
    ];
    let file = single(Operator::FullyConnectedBlock(op), operands, &dims([BATCHES, outputs])).file();
    Layer { model: Mapped::from_bytes(&file).unwrap(), input, magnitudes }
}

fn runner(layer: &Layer, format: BlockType) -> Runner {
    let description = layer.model.session(EngineChoice::Candle).unwrap().describe();
    let has = |what: &str| what.split(' ').any(|word| word == format.name());
    description.parts.iter().find(|part| has(&part.what)).unwrap().runner
}

#[test]
fn both_engines_agree_on_every_block_type() {
    for &format in BlockType::ALL {
        let mut differs = false;
        let mut by = None;
        for (seed, outputs) in (0..8).flat_map(|seed| OUTPUTS.map(move |outputs| (seed, outputs))) {
            let layer = layer(format, outputs, &mut Rng(seed));
            let [ours, theirs] = [EngineChoice::Tealight, EngineChoice::Candle]
                .map(|choice| infer(&layer.model, choice, std::slice::from_ref(&layer.input), Slices::Whole));
            assert_eq!(theirs.len(), BATCHES * outputs);
            for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                let off = f64::from((a - b).abs()) / layer.magnitudes[i];
                assert!(off <= TOLERANCE, "{format:?}, seed {seed}, element {i}: {a} and {b}, {off:e}");
            }
            differs |= bits(&ours) != bits(&theirs);
            by = Some(runner(&layer, format));
        }
        // Candle's code shows by differences in some last bits; Tealight's kernels compute the same bits on any number
        // of threads.
        assert_eq!(differs, by == Some(Runner::Candle), "{format:?}");
    }
}

#[test]
fn slicing_an_inference_changes_no_bit() {
    for &format in BlockType::ALL {
        for (seed, outputs) in (0..4).flat_map(|seed| OUTPUTS.map(move |outputs| (seed, outputs))) {
            let layer = layer(format, outputs, &mut Rng(seed));
            let inputs = std::slice::from_ref(&layer.input);
            let [whole, cut] = [Slices::Whole, Slices::Random(seed)]
                .map(|slices| infer(&layer.model, EngineChoice::Candle, inputs, slices));
            assert_eq!(bits(&whole), bits(&cut), "{format:?}, seed {seed}, {outputs} outputs");
        }
    }
}
