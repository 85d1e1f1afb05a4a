//! Lstm against its equations one by one, over several steps with kept states, in any slicing.

mod common;

use common::{Rng, for_seeds, output, scaled};
use tealight_kernels::int16::{SIGMOIDS, Sigmoid, logistic, tanh};
use tealight_kernels::{ActivationRange, Channel, Lstm, LstmWeights, Multiplier, lstm};

/// `1 / (1 + exp(-k / 24))` in units of 2^-16.
fn table() -> [u16; SIGMOIDS] {
    std::array::from_fn(|k| (65_536.0 / (1.0 + (-(k as f64) / 24.0).exp())).round().min(65_535.0) as u16)
}

fn sat(x: i64) -> i16 {
    x.clamp(-32_768, 32_767) as i16
}

fn product(a: i16, b: i16, factor: Multiplier) -> i32 {
    scaled(i32::from(a) * i32::from(b), factor.multiplier, factor.shift)
}

struct Layer {
    p: Lstm,
    batches: usize,
    weights: Vec<i8>,
    recurrent: Vec<i8>,
    channels: Vec<Channel>,
}

fn layer(rng: &mut Rng) -> Layer {
    let (batches, input_size, hidden_size) = (rng.size(1, 3), rng.size(1, 20), rng.size(1, 9));
    let p = Lstm {
        input_size,
        hidden_size,
        forget: Multiplier::new(rng.multiplier(), -15),
        input: Multiplier::new(rng.multiplier(), rng.int(-20, -12)),
        output: Multiplier::new(rng.multiplier(), rng.int(-24, -20)),
        tanh: Sigmoid { multiplier: 3 << rng.int(0, 3), shift: rng.int(0, 3) },
        clip: if rng.size(0, 1) == 0 { 0 } else { rng.int(1, 32_767) },
        output_zero_point: rng.zero_point(),
    };
    let channel =
        |rng: &mut Rng| Channel { bias: rng.int(-60_000, 60_000), multiplier: rng.multiplier(), shift: rng.int(-6, 1) };
    Layer {
        batches,
        weights: rng.bytes(4 * hidden_size * input_size),
        recurrent: rng.bytes(4 * hidden_size * hidden_size),
        channels: (0..8 * hidden_size).map(|_| channel(rng)).collect(),
        p,
    }
}

impl Layer {
    /// One step, equation by equation: the new hidden state, and the new cells.
    fn definition(&self, input: &[i8], hidden: &[i8], cells: &mut [i16]) -> Vec<i8> {
        let Lstm { input_size, hidden_size, .. } = self.p;
        let sum = |gate: usize, x: &[i8], weights: &[i8], row: usize, len: usize, table: usize| {
            let at = gate * hidden_size + row;
            let products = x.iter().zip(&weights[at * len..]).map(|(&x, &w)| i32::from(x) * i32::from(w));
            let Channel { bias, multiplier, shift } = self.channels[table * 4 * hidden_size + at];
            i64::from(sat(scaled(bias + products.sum::<i32>(), multiplier, shift).into()))
        };
        let function = |f: fn(&Sigmoid, &[u16; SIGMOIDS], &[i16], &mut [i16]), p: &Sigmoid, x: i16| {
            let mut y = [0];
            f(p, &table(), &[x], &mut y);
            y[0]
        };
        let mut outputs = Vec::new();
        for (row, cell) in cells.iter_mut().enumerate() {
            let (batch, unit) = (row / hidden_size, row % hidden_size);
            let x = &input[batch * input_size..][..input_size];
            let h = &hidden[batch * hidden_size..][..hidden_size];
            let z = |gate| {
                sat(sum(gate, x, &self.weights, unit, input_size, 0)
                    + sum(gate, h, &self.recurrent, unit, hidden_size, 1))
            };
            let gate = Sigmoid { multiplier: 3, shift: 0 };
            let [i, f, o] = [0, 1, 3].map(|k| function(logistic, &gate, z(k)));
            let g = function(tanh, &gate, z(2));
            let kept = i64::from(sat(product(f, *cell, self.p.forget).into()));
            *cell = sat(kept + i64::from(sat(product(i, g, self.p.input).into())));
            if self.p.clip > 0 {
                *cell = (*cell).clamp(-self.p.clip as i16, self.p.clip as i16);
            }
            let shown = function(tanh, &self.p.tanh, *cell);
            outputs.push(output(product(shown, o, self.p.output), self.p.output_zero_point, ActivationRange::FULL));
        }
        outputs
    }
}

#[test]
fn steps_equal_their_equations() {
    for_seeds(200, |rng| {
        let layer = layer(rng);
        let rows = layer.batches * layer.p.hidden_size;
        let table = table();
        let weights =
            LstmWeights { input: &layer.weights, hidden: &layer.recurrent, channels: &layer.channels, table: &table };
        let (mut hidden, mut cells, mut expected_cells) = (vec![0; rows], vec![0; rows], vec![0; rows]);
        for _ in 0..4 {
            let input = rng.bytes(layer.batches * layer.p.input_size);
            let expected = layer.definition(&input, &hidden, &mut expected_cells);
            let (mut found, mut row) = (vec![0; rows], 0);
            while row < rows {
                let to = rng.size(row + 1, rows.min(row + 3));
                lstm(&layer.p, row..to, &input, &hidden, &weights, &mut cells, &mut found[row..to]);
                row = to;
            }
            assert_eq!((&found, &cells), (&expected, &expected_cells), "{:?}", layer.p);
            hidden = found;
        }
    });
}
