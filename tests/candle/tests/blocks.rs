//! Every block type matches Candle's bits: quantization, dequantization, and the dot product.

use tealight_candle_tests::{Candle, Recorder};
use tealight_kernels::block::{
    BlockType, FullyConnectedBlock, dequantize, fully_connected_block, quantize, quantize_activations, vec_dot,
};
use tealight_kernels::selftest::{BLOCKS, block_digest};
use tealight_testing::rng::Rng;

/// A row with blocks of different kinds: dense, one-sided, sparse, constant, with an extreme outlier, with a few
/// levels, tiny, large, with zeros of both signs.
fn row(rng: &mut Rng, len: usize) -> Vec<f32> {
    let mut row = Vec::new();
    while row.len() < len {
        let run = 16 << rng.below(5);
        let kind = rng.below(11);
        let scale = 2f32.powi(rng.below(24) as i32 - 12);
        let constant = rng.unit() * scale;
        for _ in 0..run {
            let x = rng.unit();
            row.push(match kind {
                0 => 0.0,
                1 => constant,
                2 => x.abs() * scale,
                3 => -x.abs() * scale - scale,
                4 if rng.below(8) > 0 => 0.0,
                5 if rng.below(40) == 0 => x * 1000.0 * scale,
                6 => (x * 4.0).round() * scale,
                7 => x * 1e-30,
                8 => x * 4e4,
                9 => x.max(0.0) * if rng.below(2) == 0 { scale } else { -0.0 },
                _ => x * scale,
            });
        }
    }
    row.truncate(len);
    row
}

fn bytes(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.next() as u8).collect()
}

fn for_seeds(count: u64, test: impl Fn(&mut Rng, BlockType, &Candle)) {
    for &block in BlockType::ALL {
        let candle = Candle::of(block);
        for seed in 0..count {
            let told = std::panic::AssertUnwindSafe(|| test(&mut Rng(seed), block, &candle));
            if let Err(panic) = std::panic::catch_unwind(told) {
                eprintln!("{block:?}, seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn quantized(block: BlockType, x: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0xAA; block.row_bytes(x.len())];
    quantize(block, x, &mut bytes);
    bytes
}

/// NaN has many bit patterns, and the two sides may produce different ones.
fn bits(x: &[f32]) -> Vec<u32> {
    let of = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
    x.iter().map(of).collect()
}

#[test]
fn blocks_have_candles_sizes() {
    for &block in BlockType::ALL {
        assert_eq!(block.bytes() as usize, Candle::of(block).bytes, "{block:?}");
    }
}

#[test]
fn quantizing_matches_candles_bytes() {
    for_seeds(1500, |rng, block, candle| {
        let x = row(rng, 1024);
        let (ours, theirs) = (quantized(block, &x), (candle.quantize)(&x));
        let different = (0..ours.len()).find(|&i| ours[i] != theirs[i]);
        assert_eq!(different, None, "{} and {}", ours[different.unwrap_or(0)], theirs[different.unwrap_or(0)]);
    });
}

#[test]
fn dequantizing_any_bytes_matches_candle() {
    for_seeds(200, |rng, block, candle| {
        let bytes = bytes(rng, 4 * block.bytes() as usize);
        let mut y = vec![0.0; 4 * block.elements() as usize];
        dequantize(block, &bytes, &mut y);
        assert_eq!(bits(&y), bits(&(candle.dequantize)(&bytes)));
    });
}

#[test]
fn products_of_quantized_rows_match_candle() {
    for_seeds(300, |rng, block, candle| {
        let w = quantized(block, &row(rng, 2048));
        let x = quantized(block.activations(), &row(rng, 2048));
        let [ours, theirs] = [vec_dot(block, &w, &x), (candle.vec_dot)(&w, &x)];
        assert_eq!(bits(&[ours]), bits(&[theirs]), "{ours} and {theirs}");
    });
}

#[test]
fn products_of_any_bytes_match_candle() {
    for_seeds(300, |rng, block, candle| {
        let w = bytes(rng, 4 * block.bytes() as usize);
        let x = bytes(rng, 4 * block.activations().bytes() as usize);
        let [ours, theirs] = [vec_dot(block, &w, &x), (candle.vec_dot)(&w, &x)];
        assert_eq!(bits(&[ours]), bits(&[theirs]), "{ours} and {theirs}");
    });
}

#[test]
fn a_matrix_product_consists_of_candles_sums() {
    for_seeds(20, |rng, block, candle| {
        let (batches, in_features, out_features) = (3, 512, 5);
        let weights = quantized(block, &row(rng, out_features * in_features));
        let input = row(rng, batches * in_features);
        let mut activations = vec![0; block.activations().row_bytes(input.len())];
        quantize_activations(block, &input, &mut activations);
        let theirs = (Candle::of(block.activations()).quantize)(&input);
        assert_eq!(activations, theirs);

        let p = FullyConnectedBlock { block, in_features, out_features };
        let mut output = vec![0.0; batches * out_features];
        fully_connected_block(&p, 0..output.len(), &activations, &weights, &mut output);
        let mut expected = Vec::new();
        for x in activations.chunks(block.activations().row_bytes(in_features)) {
            for w in weights.chunks(block.row_bytes(in_features)) {
                expected.push((candle.vec_dot)(w, x));
            }
        }
        assert_eq!(bits(&output), bits(&expected));
    });
}

#[test]
fn the_digests_that_boards_compare_are_candles() {
    for (block, digest) in BLOCKS {
        assert_eq!(block_digest(&Recorder, block), digest, "{block:?}");
    }
}
