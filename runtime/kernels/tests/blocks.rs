//! The block kernels return recorded results of candle-core, and are total. The comparison with candle-core on
//! random data is in `tests/candle`.

mod common;

use common::{by_rows, for_seeds};
use tealight_kernels::block::{
    BlockType, FullyConnectedBlock, GatherBlock, dequantize, fully_connected_block, gather_block, quantize,
    quantize_activations, vec_dot,
};

/// Of a row of 512 elements quantized by candle-core 0.11.1 on x86-64: hashes of the blocks and of their
/// real values, and the bits of the product with another row. Printed by
/// `cargo run --package tealight-candle-tests --example record`.
const RECORDED: [(BlockType, u64, u64, u32); 12] = [
    (BlockType::Q4_0, 0xf086_e335_d924_0278, 0x81ec_a145_2be5_f4b7, 0x43fc_8d56),
    (BlockType::Q4_1, 0x0a94_35d7_7784_d9cd, 0xc729_5210_f4b0_dda2, 0x43d9_40a5),
    (BlockType::Q5_0, 0x2f8e_d18f_fa2d_3dca, 0xab78_89f4_6d1e_2146, 0x43d3_6612),
    (BlockType::Q5_1, 0x3617_e5e3_73f0_e984, 0x6397_c3a4_351f_e73c, 0x43f1_ae56),
    (BlockType::Q8_0, 0xa33a_9a4f_8da4_941c, 0x62d0_1c63_1409_df1e, 0x43d5_2aad),
    (BlockType::Q8_1, 0x3053_0fd3_5207_2978, 0x62d0_1c63_1409_df1e, 0x43d5_2aad),
    (BlockType::Q2K, 0x6156_f1ce_4854_8f5c, 0x058d_1777_0999_8acd, 0x42e0_0bca),
    (BlockType::Q3K, 0x5e89_069d_9173_38d6, 0xcd57_c79a_e2ec_c3cb, 0x43b9_3679),
    (BlockType::Q4K, 0xdd2f_aa9f_1a7a_d768, 0xa98e_cc35_2787_60a9, 0x43e1_1546),
    (BlockType::Q5K, 0x13b6_ceec_9f8c_6da2, 0xe9c6_94ae_36c9_6f00, 0x43d9_5533),
    (BlockType::Q6K, 0x4136_a6f8_973e_3c9c, 0xe053_3922_0b81_f611, 0x43d7_4249),
    (BlockType::Q8K, 0x1e3f_0d3f_8666_e617, 0x2251_6c55_ce2a_11fb, 0x43d9_7f6a),
];

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

fn quantized(block: BlockType, x: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; block.row_bytes(x.len())];
    quantize(block, x, &mut bytes);
    bytes
}

#[test]
fn blocks_are_those_that_candle_recorded() {
    assert_eq!(RECORDED.map(|(block, ..)| block), BlockType::ALL);
    for (block, bytes, values, dot) in RECORDED {
        let w = quantized(block, &signal(1));
        assert_eq!(hash(&w), bytes, "{block:?}");
        let mut dequantized = vec![0.0; 512];
        dequantize(block, &w, &mut dequantized);
        let bits: Vec<u8> = dequantized.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(hash(&bits), values, "{block:?}");
        let mut x = vec![0; block.activations().row_bytes(512)];
        quantize_activations(block, &signal(2), &mut x);
        assert_eq!(vec_dot(block, &w, &x).to_bits(), dot, "{block:?}");
    }
}

#[test]
fn quantized_values_are_near_the_original_values() {
    // Half a step of the widest group, plus the error of rounding factors to few bits.
    let relative = |block| match block {
        BlockType::Q2K => 0.4,
        BlockType::Q3K => 0.25,
        BlockType::Q4_0 | BlockType::Q4_1 | BlockType::Q4K => 0.13,
        BlockType::Q5_0 | BlockType::Q5_1 | BlockType::Q5K => 0.065,
        BlockType::Q6K => 0.035,
        BlockType::Q8_0 | BlockType::Q8_1 | BlockType::Q8K => 0.005,
    };
    for &block in BlockType::ALL {
        let x = &signal(3)[..256];
        let mut y = vec![0.0; 256];
        dequantize(block, &quantized(block, x), &mut y);
        let max = x.iter().fold(0f32, |max, x| max.max(x.abs()));
        for (x, y) in x.iter().zip(&y) {
            assert!((x - y).abs() <= relative(block) * max, "{block:?}: {y}, not {x}");
        }
    }
}

#[test]
fn a_matrix_product_is_the_same_in_every_slicing() {
    for_seeds(10, |rng| {
        for &block in BlockType::ALL {
            let (batches, in_features, out_features) = (2, 512, 3);
            let weights: Vec<u8> = (0..3).flat_map(|row| quantized(block, &signal(row))).collect();
            let mut activations = vec![0; 2 * block.activations().row_bytes(512)];
            let input = [signal(4), signal(5)].concat();
            quantize_activations(block, &input, &mut activations);
            let p = FullyConnectedBlock { block, in_features, out_features };
            let output = by_rows(rng, batches * out_features, 1, |rows, output| {
                fully_connected_block(&p, rows, &activations, &weights, output);
            });
            let row = block.activations().row_bytes(512);
            for (i, output) in output.iter().enumerate() {
                let w = &weights[i % 3 * block.row_bytes(512)..][..block.row_bytes(512)];
                let expected = vec_dot(block, w, &activations[i / 3 * row..][..row]);
                assert_eq!(output.to_bits(), expected.to_bits());
            }
        }
    });
}

#[test]
fn gather_returns_dequantized_rows_and_clamps_indices_out_of_range() {
    for_seeds(5, |rng| {
        for &block in BlockType::ALL {
            let table: Vec<u8> = (0..3).flat_map(|row| quantized(block, &signal(row))).collect();
            let p = GatherBlock { block, table_rows: 3, row_len: 512 };
            let output = by_rows(rng, 4, 512, |rows, output| {
                gather_block(&p, rows, &[2, i32::MIN, 1, i32::MAX], &table, output);
            });
            let mut dequantized = vec![0.0; 3 * 512];
            dequantize(block, &table, &mut dequantized);
            let rows: Vec<f32> =
                [2, 0, 1, 2].iter().flat_map(|&row| dequantized[row * 512..][..512].to_vec()).collect();
            assert_eq!(output, rows);
        }
    });
}

#[test]
fn any_bytes_and_any_lengths_return() {
    for_seeds(300, |rng| {
        for &block in BlockType::ALL {
            let mut bytes = |len| rng.bytes(len).iter().map(|&x| x as u8).collect::<Vec<u8>>();
            let (w, x) = (bytes(700), bytes(650));
            let len = rng.size(0, 600);
            let _ = vec_dot(block, &w[..rng.size(0, 700)], &x[..rng.size(0, 650)]);
            let mut y = vec![0.0; len];
            dequantize(block, &w, &mut y);
            // These include NaN and infinities.
            let floats: Vec<f32> = (0..len).map(|_| f32::from_bits(rng.next() as u32)).collect();
            quantize(block, &floats, &mut vec![0; rng.size(0, 700)]);
            quantize_activations(block, &floats, &mut vec![0; rng.size(0, 700)]);
            let size = |rng: &mut common::Rng| match rng.size(0, 3) {
                0 => usize::MAX,
                _ => rng.size(0, 600),
            };
            let p = FullyConnectedBlock { block, in_features: size(rng), out_features: size(rng) };
            let start = size(rng);
            fully_connected_block(&p, start..size(rng), &x, &w, &mut y);
            let p = GatherBlock { block, table_rows: size(rng), row_len: rng.size(0, 600) };
            gather_block(&p, 0..rng.size(0, 9), &[-1, 0, 1, i32::MAX], &w, &mut y);
        }
    });
}
