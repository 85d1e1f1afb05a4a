//! Svdf against the whole operator in three passes, over several inferences with kept state.

mod common;

use common::{Rng, for_seeds, output, scaled};
use tealight_kernels::{Multiplier, Svdf, svdf, svdf_i8_state};

struct Layer {
    p: Svdf,
    batches: usize,
    feature: Vec<i8>,
    time: Vec<i32>,
    bias: Vec<i32>,
    state_zero_point: i32,
    state_range: [i32; 2],
}

fn layer(rng: &mut Rng, state_bits: u32) -> Layer {
    let (units, rank, memory, input_size) = (rng.size(1, 5), rng.size(1, 3), rng.size(1, 6), rng.size(1, 12));
    let limit = (1 << (state_bits - 1)) - 1;
    let p = Svdf {
        input_size,
        units,
        rank,
        memory,
        input_zero_point: rng.zero_point(),
        output_zero_point: rng.zero_point(),
        feature: Multiplier::new(rng.multiplier(), if state_bits == 16 { -3 } else { -10 }),
        output: Multiplier::new(rng.multiplier(), if state_bits == 16 { -22 } else { -9 }),
        activation: rng.activation(),
    };
    Layer {
        p,
        batches: rng.size(1, 3),
        feature: rng.bytes(units * rank * input_size),
        time: (0..units * rank * memory).map(|_| rng.int(-limit, limit)).collect(),
        bias: (0..units).map(|_| rng.int(-9999, 9999)).collect(),
        state_zero_point: if state_bits == 16 { 0 } else { rng.int(-9, 9) },
        state_range: [-limit - 1, limit],
    }
}

impl Layer {
    /// One inference: shift all state, project, weigh.
    fn definition(&self, input: &[i8], state: &mut [i32]) -> Vec<i8> {
        let p = &self.p;
        let filters = p.units * p.rank;
        let mut totals = Vec::new();
        for batch in 0..self.batches {
            totals.extend_from_slice(&self.bias);
            for filter in 0..filters {
                let past = &mut state[(batch * filters + filter) * p.memory..][..p.memory];
                past.rotate_left(1);
                let feature: i32 = (0..p.input_size)
                    .map(|i| {
                        let x = i32::from(input[batch * p.input_size + i]) - p.input_zero_point;
                        i32::from(self.feature[filter * p.input_size + i]) * x
                    })
                    .sum();
                let feature = scaled(feature, p.feature.multiplier, p.feature.shift) + self.state_zero_point;
                past[p.memory - 1] = feature.clamp(self.state_range[0], self.state_range[1]);
                let total = &mut totals[batch * p.units + filter / p.rank];
                for (age, &s) in past.iter().enumerate() {
                    let w = self.time[filter * p.memory + age];
                    *total = total.wrapping_add(w.wrapping_mul(s - self.state_zero_point));
                }
            }
        }
        let finish = |&total: &i32| {
            output(scaled(total, p.output.multiplier, p.output.shift), p.output_zero_point, p.activation)
        };
        totals.iter().map(finish).collect()
    }

    /// Several inferences; `run` computes some rows of one.
    fn check(&self, rng: &mut Rng, mut run: impl FnMut(&[i8], std::ops::Range<usize>, &mut [i8]) -> Vec<i32>) {
        let rows = self.batches * self.p.units;
        let mut state = vec![0; self.batches * self.p.units * self.p.rank * self.p.memory];
        for _ in 0..4 {
            let input = rng.bytes(self.batches * self.p.input_size);
            let expected = self.definition(&input, &mut state);
            // A row changes state, so each is computed exactly once, in several pieces.
            let mut output = vec![0; rows];
            let mut row = 0;
            let mut found = Vec::new();
            while row < rows {
                let to = rng.size(row + 1, rows);
                found = run(&input, row..to, &mut output[row..to]);
                row = to;
            }
            assert_eq!(output, expected, "{:?}", self.p);
            assert_eq!(found, state, "{:?}", self.p);
        }
    }
}

#[test]
fn svdf_with_16_bit_state_equals_its_definition() {
    for_seeds(150, |rng| {
        let layer = layer(rng, 16);
        let time: Vec<i16> = layer.time.iter().map(|&w| w as i16).collect();
        let len = layer.batches * layer.p.units * layer.p.rank * layer.p.memory;
        let mut state = vec![0i16; len];
        layer.check(rng, |input, rows, output| {
            let (feature, bias) = (&layer.feature, &layer.bias);
            svdf(&layer.p, rows, input, feature, &time, bias, &mut state, output);
            state.iter().map(|&s| s.into()).collect()
        });
    });
}

#[test]
fn svdf_with_8_bit_state_equals_its_definition() {
    for_seeds(150, |rng| {
        let layer = layer(rng, 8);
        let time: Vec<i8> = layer.time.iter().map(|&w| w as i8).collect();
        let len = layer.batches * layer.p.units * layer.p.rank * layer.p.memory;
        let mut state = vec![0i8; len];
        layer.check(rng, |input, rows, output| {
            let (feature, bias, zero_point) = (&layer.feature, &layer.bias, layer.state_zero_point);
            let state = &mut state[..];
            svdf_i8_state(&layer.p, zero_point, rows, input, feature, &time, bias, state, output);
            state.iter().map(|&s| s.into()).collect()
        });
    });
}
