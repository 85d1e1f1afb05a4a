//! Prints what candle-core computes from a fixed signal: the table in `runtime/kernels/tests/blocks.rs`.
//!
//! `cargo run --package tealight-candle-tests --example record`

use tealight_candle_tests::Candle;
use tealight_kernels::block::BlockType;

/// The signal of the recorded table: pseudo-random, of another size in every 32 elements.
fn signal(row: u32) -> Vec<f32> {
    let x = |i: u32| {
        let hash = (i + 7919 * row).wrapping_mul(2_654_435_761) >> 8;
        (hash as f32 / 8_388_608.0 - 1.0) * (1 << (i / 32 % 5)) as f32
    };
    (0..512).map(x).collect()
}

/// 64-bit FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn main() {
    for &block in BlockType::ALL {
        let (weights, activations) = (Candle::of(block), Candle::of(block.activations()));
        let w = (weights.quantize)(&signal(1));
        let bits: Vec<u8> = (weights.dequantize)(&w).iter().flat_map(|x| x.to_le_bytes()).collect();
        let dot = (weights.vec_dot)(&w, &(activations.quantize)(&signal(2)));
        println!("    (BlockType::{block:?}, {:#018x}, {:#018x}, {:#010x}),", hash(&w), hash(&bits), dot.to_bits());
    }
}
