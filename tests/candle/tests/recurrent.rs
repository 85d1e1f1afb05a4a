//! Recurrent layers compared with candle-nn's, over a sequence, with weights from one checkpoint.
//!
//! Candle adds both products and the biases in another order and uses the platform's `exp` and `tanh`, so last bits
//! differ; gates are bounded, so differences do not grow. The tolerance is 4 units in the last place of 1.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_nn::rnn::{GRUConfig, LSTMConfig, RNN, gru, lstm};
use std::collections::HashMap;
use tealight::OwnedSession;
use tealight_compiler::Options;
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::F32;
use tealight_format::Operator;
use tealight_format::ops::{GruF32, LstmF32};
use tealight_tests::models::splitmix64;

const INPUT: usize = 19;
const HIDDEN: usize = 33;
const BATCHES: usize = 2;
const STEPS: usize = 20;
const TOLERANCE: f32 = 5e-7;

/// Returns `count` values between -`bound` and `bound`.
fn numbers(seed: u64, count: usize, bound: f32) -> Vec<f32> {
    let mut state = seed;
    let number = |_| (splitmix64(&mut state) >> 40) as f32 / (1 << 23) as f32 * bound - bound;
    (0..count).map(number).collect()
}

fn inputs() -> Vec<Vec<f32>> {
    (0..STEPS as u64).map(|step| numbers(100 + step, BATCHES * INPUT, 2.0)).collect()
}

/// Returns a checkpoint of a layer of `gates` gates: weights with the magnitude of candle-nn's initialization, and
/// biases.
type Checkpoint = HashMap<String, Tensor>;

fn checkpoint(gates: usize) -> Checkpoint {
    let rows = gates * HIDDEN;
    let of = |seed, name: &str, dims: &[usize], bound| {
        let numbers = numbers(seed, dims.iter().product(), bound);
        (name.to_string(), Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap())
    };
    HashMap::from([
        of(1, "weight_ih_l0", &[rows, INPUT], 0.5),
        of(2, "weight_hh_l0", &[rows, HIDDEN], 0.4),
        of(3, "bias_ih_l0", &[rows], 0.5),
        of(4, "bias_hh_l0", &[rows], 0.5),
    ])
}

fn weights(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    checkpoint[name].flatten_all().unwrap().to_vec1().unwrap()
}

/// Compiles a layer of `gates` gates and runs it on the inputs.
fn ours(checkpoint: &Checkpoint, gates: usize) -> Vec<Vec<f32>> {
    let (rows, state) = ((gates * HIDDEN) as u32, [BATCHES as u32, HIDDEN as u32]);
    let mut b = Builder::new();
    let x = b.input("x", F32, &[BATCHES as u32, INPUT as u32]);
    let w = b.floats("w", &[rows, INPUT as u32], &weights(checkpoint, "weight_ih_l0"));
    let u = b.floats("u", &[rows, HIDDEN as u32], &weights(checkpoint, "weight_hh_l0"));
    let [first, second] = ["bias_ih_l0", "bias_hh_l0"].map(|name| weights(checkpoint, name));
    let hidden = b.state("hidden", F32, &state);
    let y = if gates == 4 {
        let sum: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        let bias = b.floats("bias", &[rows], &sum);
        let cell = b.state("cell", F32, &state);
        b.op("y", Operator::LstmF32(LstmF32), [x, w, u, bias, cell, hidden], F32, &state)
    } else {
        let (first, second) = (b.floats("bias", &[rows], &first), b.floats("recurrent_bias", &[rows], &second));
        b.op("y", Operator::GruF32(GruF32), [x, w, u, first, second, hidden], F32, &state)
    };
    b.assign(y, hidden);
    b.output(y);
    let compiled = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap();
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    let step = |input: Vec<f32>| {
        session.input(0).unwrap().copy_from(&input).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
    };
    inputs().into_iter().map(step).collect()
}

/// Runs the layer with candle-nn: `hidden` returns the hidden state of a layer's state.
fn theirs<L: RNN>(layer: &L, hidden: impl Fn(&L::State) -> &Tensor) -> Vec<Vec<f32>> {
    let mut state = layer.zero_state(BATCHES).unwrap();
    let step = |input: Vec<f32>| {
        let x = Tensor::from_vec(input, (BATCHES, INPUT), &Device::Cpu).unwrap();
        state = layer.step(&x, &state).unwrap();
        hidden(&state).flatten_all().unwrap().to_vec1().unwrap()
    };
    inputs().into_iter().map(step).collect()
}

fn compare(ours: &[Vec<f32>], theirs: &[Vec<f32>]) {
    for (step, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours.len(), BATCHES * HIDDEN);
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() <= TOLERANCE, "step {step}: {a} against {b}");
        }
    }
    let (first, last) = (&ours[0], &ours[STEPS - 1]);
    assert!(first.iter().zip(last).any(|(a, b)| (a - b).abs() > 0.1), "the state must move");
}

#[test]
fn an_lstm_matches_candle() {
    let checkpoint = checkpoint(4);
    let vb = VarBuilder::from_tensors(checkpoint.clone(), DType::F32, &Device::Cpu);
    let layer = lstm(INPUT, HIDDEN, LSTMConfig::default(), vb).unwrap();
    compare(&ours(&checkpoint, 4), &theirs(&layer, |state| state.h()));
}

#[test]
fn a_gru_matches_candle() {
    let checkpoint = checkpoint(3);
    let vb = VarBuilder::from_tensors(checkpoint.clone(), DType::F32, &Device::Cpu);
    let layer = gru(INPUT, HIDDEN, GRUConfig::default(), vb).unwrap();
    compare(&ours(&checkpoint, 3), &theirs(&layer, |state| state.h()));
}
