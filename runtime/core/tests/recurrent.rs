//! Recurrent layers keep their state from step to step, with f32 and f16 weights and with any slicing.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::{Align16, AllOps, Budget, DType, LoadError, Model, OpCode, OpSet, Operator, Ops, Place, Session};
use tealight_format::ops::{Copy, GruF32, LstmF32};
use tealight_kernels::float::f16;
use tealight_testing::build::{Parts, value};

const INPUT: usize = 3;
const HIDDEN: usize = 2;
const BATCHES: usize = 2;
const STEPS: usize = 5;

/// Numbers between -1 and 1 that f16 represents exactly.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + seed * 101) % 97) as f32 / 64.0 - 0.75).collect()
}

fn bytes_of(numbers: &[f32], dtype: DType) -> Vec<u8> {
    match dtype {
        DType::F16 => numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// The constants of a layer: weights, recurrent weights, then biases.
struct Layer {
    gates: usize,
    weights: Vec<f32>,
    recurrent: Vec<f32>,
    biases: Vec<Vec<f32>>,
}

impl Layer {
    fn new(gates: usize, biases: usize) -> Self {
        let rows = gates * HIDDEN;
        Self {
            gates,
            weights: numbers(rows * INPUT, 1),
            recurrent: numbers(rows * HIDDEN, 2),
            biases: (0..biases).map(|i| numbers(rows, 3 + i)).collect(),
        }
    }

    /// A model of this layer; `low` puts the hidden state below the cell in memory.
    fn parts(&self, dtype: DType, low: bool) -> Parts {
        let rows = (self.gates * HIDDEN) as u32;
        let of = |name, dims: &[u32], numbers: &[f32], dtype| (name, dtype, dims.to_vec(), bytes_of(numbers, dtype));
        let mut constants = vec![
            of("weights", &[rows, INPUT as u32], &self.weights, dtype),
            of("recurrent", &[rows, HIDDEN as u32], &self.recurrent, dtype),
        ];
        for (name, bias) in ["bias", "recurrent_bias"].into_iter().zip(&self.biases) {
            constants.push(of(name, &[rows], bias, DType::F32));
        }
        let first = constants.len() as u16;
        let state = [BATCHES as u32, HIDDEN as u32];
        let (cell, hidden) = if low { (16, 0) } else { (0, 16) };
        let mut parts = Parts {
            constants,
            values: vec![
                value(Place::State, DType::F32, &state, cell, (0, 2)),
                value(Place::State, DType::F32, &state, hidden, (0, 2)),
                value(Place::Arena, DType::F32, &[BATCHES as u32, INPUT as u32], 32, (0, 0)),
                value(Place::Arena, DType::F32, &state, 64, (0, 2)),
            ],
            outputs: vec![first + 3],
            ..Parts::default()
        };
        let [cell, hidden, x, new] = [0, 1, 2, 3].map(|i| first + i);
        let (operator, fourth) = match self.gates {
            4 => (Operator::LstmF32(LstmF32), cell),
            _ => (Operator::GruF32(GruF32), 3),
        };
        if self.gates == 3 {
            // Nothing uses the cell.
            parts.values[0] = value(Place::State, DType::F32, &state, if low { 16 } else { 0 }, (0, 0));
        }
        parts.op(operator, &[Some(x), Some(0), Some(1), Some(2), Some(fourth), Some(hidden)], new, None);
        parts.op(Operator::Copy(Copy), &[Some(new)], hidden, None);
        parts.arranged(&[x])
    }

    /// The sums of one gate and unit over the input and over the hidden state, in f64.
    fn sums(&self, x: &[f64], hidden: &[f64], gate: usize, unit: usize) -> [f64; 2] {
        let row = gate * HIDDEN + unit;
        let dot = |weights: &[f32], x: &[f64]| -> f64 {
            x.iter().zip(&weights[row * x.len()..]).map(|(x, &w)| x * f64::from(w)).sum()
        };
        let bias = |i: usize| self.biases.get(i).map_or(0.0, |bias| f64::from(bias[row]));
        [dot(&self.weights, x) + bias(0), dot(&self.recurrent, hidden) + bias(1)]
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The equations of Hochreiter and Schmidhuber (LSTM) and of Cho and others (GRU), for each step.
fn reference(layer: &Layer, inputs: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let mut cells = vec![vec![0.0; HIDDEN]; BATCHES];
    let mut hiddens = vec![vec![0.0; HIDDEN]; BATCHES];
    let mut outputs = Vec::new();
    for input in inputs {
        for (batch, x) in input.chunks(INPUT).enumerate() {
            let x: Vec<f64> = x.iter().copied().map(f64::from).collect();
            let old = hiddens[batch].clone();
            for unit in 0..HIDDEN {
                let sums = |gate| layer.sums(&x, &old, gate, unit);
                let sum = |gate| sums(gate)[0] + sums(gate)[1];
                hiddens[batch][unit] = if layer.gates == 4 {
                    let cell = logistic(sum(1)) * cells[batch][unit] + logistic(sum(0)) * sum(2).tanh();
                    cells[batch][unit] = cell;
                    logistic(sum(3)) * cell.tanh()
                } else {
                    let (reset, update) = (logistic(sum(0)), logistic(sum(1)));
                    let new = (sums(2)[0] + reset * sums(2)[1]).tanh();
                    (1.0 - update) * new + update * old[unit]
                };
            }
        }
        outputs.push(hiddens.concat());
    }
    outputs
}

fn inputs() -> Vec<Vec<f32>> {
    (0..STEPS).map(|step| numbers(BATCHES * INPUT, 10 + step)).collect()
}

/// Runs all steps twice with a reset between, and returns the outputs of both runs.
fn run(parts: &Parts, budget: Budget) -> [Vec<Vec<f32>>; 2] {
    let file = parts.file();
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let mut session = Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).unwrap();
    [(); 2].map(|()| {
        session.reset();
        let step = |input: Vec<f32>| {
            session.input(0).unwrap().copy_from(&input).unwrap();
            while session.poll(budget).is_pending() {}
            session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
        };
        inputs().into_iter().map(step).collect()
    })
}

fn check(layer: &Layer) {
    let expected = reference(layer, &inputs());
    let mut seen = Vec::new();
    for dtype in [DType::F32, DType::F16] {
        for low in [false, true] {
            let parts = layer.parts(dtype, low);
            let [found, again] = run(&parts, Budget::unlimited());
            assert_eq!(found, again, "a reset must restore the state");
            assert_eq!(found, run(&parts, Budget::macs(1))[0], "the slicing shows");
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{dtype:?}: {found}, expected {expected}");
            }
            seen.push(found);
        }
    }
    assert!(seen.iter().all(|found| *found == seen[0]), "these weights are the same numbers as f32 and as f16");
    assert_ne!(seen[0][0], seen[0][1], "the test must be able to fail");
}

#[test]
fn an_lstm_follows_its_equations() {
    check(&Layer::new(4, 1));
}

#[test]
fn a_gru_follows_its_equations() {
    check(&Layer::new(3, 2));
}

#[test]
fn a_session_without_f16_refuses_such_weights_by_name() {
    let file = Layer::new(4, 1).parts(DType::F16, false).file();
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    struct WithoutF16;
    impl Ops for WithoutF16 {
        const SET: OpSet = OpSet::of(OpCode::ALL);
    }
    let refused = Session::<WithoutF16>::load(&model, Align16::bytes_mut(&mut memory)).err();
    assert_eq!(refused, Some(LoadError::MissingF16));
}
