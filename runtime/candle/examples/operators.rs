//! Times single operators under both engines: `cargo run --release -p tealight-candle --example operators`.

#![allow(clippy::unwrap_used)] // an example

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;
use support::{Operand, Rng, single};
use tealight_candle::{EngineChoice, Mapped};
use tealight_format::Operator;
use tealight_format::ops::{BatchMatMulF32, BlockType, Conv2dF32, FullyConnectedBlock, FullyConnectedF32};
use tealight_kernels::block;

const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

fn main() {
    let mut rng = Rng(1);
    println!("{:40} {:>12} {:>12}  (milliseconds, the best of 20)", "operator", "tealight", "candle");
    for batches in [1u32, 4, 7, 8, 16, 64] {
        let operands = vec![
            Operand::Input(vec![batches, 512]),
            Operand::F32(vec![1024, 512], rng.f32s(512 * 1024)),
            Operand::None,
        ];
        let op = Operator::FullyConnectedF32(FullyConnectedF32 { activation: UNBOUNDED });
        time(&format!("FullyConnectedF32 {batches} x 512 -> 1024"), op, operands, &[batches, 1024]);
    }
    for (size, channels) in [(64u32, 8u32), (32, 32), (8, 128)] {
        let operands = vec![
            Operand::Input(vec![1, size, size, channels]),
            Operand::F32(vec![channels, 3, 3, channels], rng.f32s((9 * channels * channels) as usize)),
            Operand::None,
        ];
        let conv = Conv2dF32 { stride: [1, 1], dilation: [1, 1], pad: [1, 1], activation: UNBOUNDED };
        let what = format!("Conv2dF32 3 x 3, {size} x {size} x {channels}");
        time(&what, Operator::Conv2dF32(conv), operands, &[1, size, size, channels]);
    }
    for (rows, inner) in [(1u32, 64u32), (32, 64), (128, 64)] {
        let op = Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a: false, transpose_b: true });
        let operands = vec![Operand::Input(vec![4, rows, inner]), Operand::Input(vec![4, 128, inner])];
        time(&format!("BatchMatMulF32 4 x {rows} x {inner} x 128"), op, operands, &[4, rows, 128]);
    }
    for batches in [1u32, 16] {
        for &of in BlockType::ALL {
            let mut weights = vec![0; of.row_bytes(1024 * 1024)];
            block::quantize(of, &rng.f32s(1024 * 1024), &mut weights);
            let operands = vec![
                Operand::Input(vec![batches, 1024]),
                Operand::Bytes(vec![1024, of.row_bytes(1024) as u32], weights),
                Operand::None,
            ];
            let op = FullyConnectedBlock { block: of, activation: UNBOUNDED, together: false };
            let what = format!("FullyConnectedBlock {} {batches} x 1024 -> 1024", of.name());
            time(&what, Operator::FullyConnectedBlock(op), operands, &[batches, 1024]);
        }
    }
}

fn time(what: &str, operator: Operator, operands: Vec<Operand>, output: &[u32]) {
    let model = Mapped::from_bytes(&single(operator, operands, output).file()).unwrap();
    let best = [EngineChoice::Tealight, EngineChoice::Candle].map(|choice| {
        let mut session = model.session(choice).unwrap();
        for i in 0..model.model().input_count() {
            for (i, x) in session.input(i).unwrap().as_slice_mut::<f32>().unwrap().iter_mut().enumerate() {
                *x = (i % 17) as f32 / 8.0 - 1.0;
            }
        }
        let times = (0..20).map(|_| {
            let start = Instant::now();
            session.run();
            start.elapsed().as_secs_f64() * 1e3
        });
        times.fold(f64::INFINITY, f64::min)
    });
    println!("{what:40} {:12.3} {:12.3}", best[0], best[1]);
}
