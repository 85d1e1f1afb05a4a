//! Recurrent layers, which no importer produces: built operator by operator, with random weights.

use anyhow::Result;
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::F32;
use tealight_format::Operator;
use tealight_format::ops::{GruF32, LstmF32};
use tealight_tests::models::splitmix64;

const BATCHES: u32 = 2;
const INPUT: u32 = 19;
const HIDDEN: u32 = 33;

/// The layers by name, with weights in f32 and in f16.
pub(super) fn layers() -> Result<Vec<(String, Vec<u8>)>> {
    let mut layers = Vec::new();
    for (name, gates) in [("lstm", 4), ("gru", 3)] {
        for f16 in [false, true] {
            let weights = if f16 { "f16" } else { "f32" };
            layers.push((format!("{name} in {weights}"), layer(gates, f16)?));
        }
    }
    Ok(layers)
}

/// An LSTM has four gates, a GRU three.
fn layer(gates: u32, f16: bool) -> Result<Vec<u8>> {
    let mut random = gates.into();
    let mut b = Builder::new();
    let mut weights = |b: &mut Builder, name: &str, shape: &[u32]| {
        let count = shape.iter().product::<u32>();
        let weight = |_| (splitmix64(&mut random) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        b.floats(name, shape, &(0..count).map(weight).collect::<Vec<f32>>())
    };
    let (rows, state) = (gates * HIDDEN, [BATCHES, HIDDEN]);
    let x = b.input("x", F32, &[BATCHES, INPUT]);
    let w = weights(&mut b, "weights", &[rows, INPUT]);
    let u = weights(&mut b, "recurrent_weights", &[rows, HIDDEN]);
    let bias = weights(&mut b, "bias", &[rows]);
    let hidden = b.state("hidden", F32, &state);
    let y = if gates == 4 {
        let cell = b.state("cell", F32, &state);
        b.op("y", Operator::LstmF32(LstmF32), [x, w, u, bias, cell, hidden], F32, &state)
    } else {
        let recurrent_bias = weights(&mut b, "recurrent_bias", &[rows]);
        b.op("y", Operator::GruF32(GruF32), [x, w, u, bias, recurrent_bias, hidden], F32, &state)
    };
    b.assign(y, hidden);
    b.output(y);
    Ok(compile_kernel_graph(b.finish(), b"", &Options { f16, ..Options::default() })?.bytes)
}
