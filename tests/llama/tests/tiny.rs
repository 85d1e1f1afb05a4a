//! Tiny networks with random weights: Tealight's scores beside Candle's.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use tealight_candle::{EngineChoice, Mapped};
use tealight_compiler::Options;
use tealight_compiler::gguf::{GgufOptions, compile_gguf};
use tealight_kernels::block::{self, BlockType};
use tealight_llama_tests::{Candle, read};
use tealight_testing::gguf::{F32, Llama, Store, TOKENS};
use tealight_testing::rng::Rng;
use tealight_tests::language::Difference;

fn blocks(block: BlockType, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; block.row_bytes(values.len())];
    block::quantize(block, values, &mut bytes);
    bytes
}

/// The worst difference of scores over 40 tokens.
fn worst(llama: &Llama, random: &mut Rng) -> f64 {
    let bytes = llama.bytes();
    let mut candle = Candle::load(Cursor::new(&bytes)).unwrap();
    let file = compile_gguf(&bytes, &GgufOptions::default(), &Options::default()).unwrap().bytes;
    let mut session = Mapped::from_bytes(&file).unwrap().session(EngineChoice::Tealight).unwrap();
    let scores = (0..40).map(|_| {
        let token = random.index(TOKENS.len()) as u32;
        let (candle, ours) = (candle.read(&[token]).unwrap(), read(&mut session, token).unwrap());
        Difference::of(&ours, &candle, candle.len()).worst
    });
    scores.fold(0.0, f64::max)
}

#[test]
fn float_networks_agree_with_candle_except_for_last_bits() {
    let mut random = Rng(1);
    for (seed, head) in [(21, false), (22, true)] {
        // Sums in another order, and another exp: through two layers.
        let worst = worst(&Llama::new(seed, F32, F32, head), &mut random);
        assert!(worst < 1e-5, "seed {seed}: {worst}");
    }
}

#[test]
fn block_networks_agree_with_candle_except_for_rounded_activations() {
    let q4_0: Store<'_> = (2, &|values| blocks(BlockType::Q4_0, values));
    let q4_1: Store<'_> = (3, &|values| blocks(BlockType::Q4_1, values));
    let q8_0: Store<'_> = (8, &|values| blocks(BlockType::Q8_0, values));
    let mut random = Rng(2);
    for (name, matrices, head) in [("q4_0", q4_0, true), ("q4_1", q4_1, false), ("q8_0", q8_0, true)] {
        let worst = worst(&Llama::new(23, matrices, q8_0, head), &mut random);
        // Both make the activations of each product 8-bit numbers. A last bit before that tips a rounding now and then,
        // by 1/127 of the largest of 32 activations.
        assert!(worst < 0.02, "{name}: {worst}");
    }
}
