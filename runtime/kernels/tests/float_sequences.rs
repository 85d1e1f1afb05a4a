//! The f32 kernels of sequence models against f64, in every slicing. Tolerance: `1e-5 * (1 + |x|)`.

mod common;
#[path = "common/floats.rs"]
mod floats;

use common::{Rng, by_rows, for_seeds};
use floats::{assert_near, by_rows_and_storage, floats, halves};
use tealight_kernels::float::{
    Attention, Cache, Gather, Gru, Lstm, Rope, attention, cache, gather, gru, lstm, rope, rope_tables,
};

const TOLERANCE: f64 = 1e-5;

#[test]
fn gather_returns_rows_and_clamps_indices_out_of_range() {
    let p = Gather { table_rows: 3, row_len: 2 };
    let table = [0.0f32, 1.0, 10.0, 11.0, 20.0, 21.0];
    let indices = [2, 0, -5, i32::MAX, 1];
    for_seeds(5, |rng| {
        let output = by_rows_and_storage(
            rng,
            [5, 2],
            |rows, output| gather(&p, rows, &indices, &table, output),
            |rows, output| gather(&p, rows, &indices, &halves(&table), output),
        );
        assert_eq!(output, [20.0, 21.0, 0.0, 1.0, 0.0, 1.0, 20.0, 21.0, 10.0, 11.0]);
    });
}

#[test]
fn rope_turns_each_point_by_its_positions_angle() {
    for_seeds(100, |rng| {
        let (heads, positions, depth) = (rng.size(1, 3), rng.size(1, 5), 2 * rng.size(1, 6));
        let (inside, interleaved) = (rng.size(0, 1) == 1, rng.size(0, 1) == 1);
        let p = Rope { depth, rows_per_position: if inside { heads } else { 1 }, interleaved };
        let at: Vec<i32> = (0..positions).map(|_| rng.size(0, 8) as i32).collect();
        let mut tables = [vec![0.0; 9 * depth / 2], vec![0.0; 9 * depth / 2]];
        let [cos, sin] = &mut tables;
        rope_tables(100.0, depth, cos, sin);
        let [cos, sin] = &tables;
        let input = floats(rng, heads * positions * depth);
        let output =
            by_rows(rng, heads * positions, depth, |rows, output| rope(&p, rows, &at, &input, cos, sin, output));
        let mut expected = vec![0.0; input.len()];
        for row in 0..heads * positions {
            let position = at[if inside { row / heads } else { row % positions }];
            for point in 0..depth / 2 {
                let angle = f64::from(position) * 100f64.powf(-2.0 * point as f64 / depth as f64);
                let [i, j] = if interleaved { [2 * point, 2 * point + 1] } else { [point, point + depth / 2] };
                let [a, b] = [i, j].map(|i| f64::from(input[row * depth + i]));
                expected[row * depth + i] = a * angle.cos() - b * angle.sin();
                expected[row * depth + j] = a * angle.sin() + b * angle.cos();
            }
        }
        assert_near(&output, &expected, TOLERANCE);
    });
}

#[test]
fn rope_copies_rows_beyond_its_tables() {
    let p = Rope { depth: 2, rows_per_position: 1, interleaved: false };
    let at = [2, -1, i32::MIN, i32::MAX, 1];
    let mut output = [f32::NAN; 10];
    let input = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    rope(&p, 0..5, &at, &input, &[1.0, 0.0], &[0.0, 1.0], &mut output);
    assert_eq!(output, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, -9.0, 8.0]);
}

/// Attention of a whole sequence at once, in f64: `[positions, heads, depth]`. A position attends to those up to its
/// own, or to all.
fn attention_reference(p: &Attention, length: usize, causal: bool, [q, k, v]: [&[f32]; 3]) -> Vec<f64> {
    let mut output = Vec::new();
    for position in 0..length {
        for head in 0..p.heads {
            let query = &q[(position * p.heads + head) * p.depth..][..p.depth];
            let kv = |x: &[f32], t: usize| -> Vec<f64> {
                let from = (t * p.kv_heads + head / (p.heads / p.kv_heads)) * p.depth;
                x[from..from + p.depth].iter().map(|&x| x.into()).collect()
            };
            let seen = if causal { position + 1 } else { length };
            let score = |t| -> f64 {
                let dot: f64 = kv(k, t).iter().zip(query).map(|(k, &q)| k * f64::from(q)).sum();
                dot * f64::from(p.scale)
            };
            let weights: Vec<f64> = (0..seen).map(|t| score(t).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for i in 0..p.depth {
                output.push(weights.iter().enumerate().map(|(t, w)| w * kv(v, t)[i]).sum::<f64>() / sum);
            }
        }
    }
    output
}

fn heads(rng: &mut Rng) -> Attention {
    let (kv_heads, group) = (rng.size(1, 3), rng.size(1, 3));
    let depth = rng.size(1, 20);
    let scale = 4.0 / (depth as f32).sqrt();
    Attention { heads: kv_heads * group, kv_heads, depth, scale }
}

#[test]
fn attention_over_a_cache_is_attention_over_the_sequence_whatever_the_steps() {
    for_seeds(60, |rng| {
        let (p, length) = (heads(rng), rng.size(1, 12));
        let (width, kv_width) = (p.heads * p.depth, p.kv_heads * p.depth);
        let [q, k, v] = [width, kv_width, kv_width].map(|width| floats(rng, length * width));
        let mut caches = [vec![f32::NAN; length * kv_width], vec![f32::NAN; length * kv_width]];
        let mut output = Vec::new();
        let mut start = 0;
        while start < length {
            let positions = rng.size(1, length - start);
            let at: Vec<i32> = (start..start + positions).map(|position| position as i32).collect();
            for (stored, new) in caches.iter_mut().zip([&k, &v]) {
                let to_store = Cache { len: kv_width };
                let new = &new[start * kv_width..][..positions * kv_width];
                for row in 0..positions {
                    cache(&to_store, row..row + 1, &at, new, stored);
                }
            }
            let queries = &q[start * width..];
            output.extend(by_rows(rng, positions * p.heads, p.depth, |rows, output| {
                attention(&p, rows, &at, queries, &caches[0], &caches[1], output);
            }));
            start += positions;
        }
        assert_near(&output, &attention_reference(&p, length, true, [&q, &k, &v]), TOLERANCE);

        // All positions at once: the same bits, not only close values.
        let at: Vec<i32> = (0..length as i32).collect();
        let mut at_once = vec![0.0; output.len()];
        attention(&p, 0..length * p.heads, &at, &q, &k, &v, &mut at_once);
        assert_eq!(at_once, output);
    });
}

#[test]
fn queries_at_the_last_position_see_all_positions() {
    for_seeds(60, |rng| {
        let length = rng.size(1, 9);
        let p = heads(rng);
        let at = vec![length as i32 - 1; length];
        let (width, kv_width) = (p.heads * p.depth, p.kv_heads * p.depth);
        let [q, k, v] = [width, kv_width, kv_width].map(|width| floats(rng, length * width));
        let output =
            by_rows(rng, length * p.heads, p.depth, |rows, output| attention(&p, rows, &at, &q, &k, &v, output));
        assert_near(&output, &attention_reference(&p, length, false, [&q, &k, &v]), TOLERANCE);
    });
}

#[test]
fn scores_far_apart_do_not_overflow() {
    let p = Attention { heads: 1, kv_heads: 1, depth: 1, scale: 1.0 };
    let (keys, values) = ([-300.0, 300.0, 0.0], [1.0, 2.0, 3.0]);
    let mut output = [0.0];
    attention(&p, 0..1, &[2], &[1.0], &keys, &values, &mut output);
    assert_eq!(output, [2.0]);
}

#[test]
fn positions_outside_the_cache_are_not_stored_and_attend_to_the_cache() {
    let p = Attention { heads: 1, kv_heads: 1, depth: 1, scale: 1.0 };
    let mut stored = [10.0, 20.0];
    cache(&Cache { len: 1 }, 0..6, &[2, -1, i32::MAX, i32::MIN, 1, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut stored);
    assert_eq!(stored, [10.0, 6.0]);

    let mut output = [f32::NAN; 4];
    attention(&p, 0..4, &[0, -1, i32::MAX, i32::MIN], &[0.0; 4], &[1.0; 2], &stored, &mut output);
    assert_eq!(output, [10.0, 0.0, 8.0, 0.0]);
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `W x + U h + b` of each part, in f64.
struct Gates {
    of_input: Vec<f64>,
    of_hidden: Vec<f64>,
}

impl Gates {
    fn new(x: &[f64], h: &[f64], [w, u]: [&[f32]; 2], [b, c]: [&[f32]; 2]) -> Self {
        let product = |w: &[f32], x: &[f64], b: &[f32]| {
            let row = |(row, &b): (&[f32], &f32)| {
                f64::from(b) + row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>()
            };
            w.chunks(x.len()).zip(b).map(row).collect()
        };
        Self { of_input: product(w, x, b), of_hidden: product(u, h, c) }
    }
}

#[test]
fn an_lstm_follows_its_equations_over_several_steps() {
    for_seeds(40, |rng| {
        let (input_size, hidden_size, batches) = (rng.size(1, 20), rng.size(1, 12), rng.size(1, 2));
        let p = Lstm { input_size, hidden_size };
        let [w, u] = [input_size, hidden_size].map(|size| floats(rng, 4 * hidden_size * size));
        let [half_w, half_u] = [halves(&w), halves(&u)];
        let bias = floats(rng, 4 * hidden_size);
        let zeros = vec![0.0; 4 * hidden_size];
        let units = batches * hidden_size;
        let (mut hidden, mut cell) = (vec![0f32; units], vec![0f32; units]);
        let (mut real_hidden, mut real_cell) = (vec![0f64; units], vec![0f64; units]);
        for _ in 0..4 {
            let input = floats(rng, batches * input_size);
            let before = cell.clone();
            let mut cells = [before.clone(), before];
            let [at_once, of_halves] = &mut cells;
            let next = by_rows_and_storage(
                rng,
                [units, 1],
                |rows, output| {
                    // The cells before the step: by_rows computes the step more than once.
                    let mut now = cell.clone();
                    lstm(&p, rows.clone(), &input, &hidden, &w, &u, &bias, &mut now, output);
                    at_once[rows.clone()].copy_from_slice(&now[rows]);
                },
                |rows, output| lstm(&p, rows, &input, &hidden, &half_w, &half_u, &bias, of_halves, output),
            );
            assert_eq!(cells[0], cells[1]);
            for b in 0..batches {
                let x: Vec<f64> = input[b * input_size..][..input_size].iter().map(|&x| x.into()).collect();
                let h = real_hidden[b * hidden_size..][..hidden_size].to_vec();
                let gates = Gates::new(&x, &h, [&w, &u], [&bias, &zeros]);
                for unit in 0..hidden_size {
                    let z = |gate: usize| {
                        let i = gate * hidden_size + unit;
                        gates.of_input[i] + gates.of_hidden[i]
                    };
                    let c = &mut real_cell[b * hidden_size + unit];
                    *c = logistic(z(1)) * *c + logistic(z(0)) * z(2).tanh();
                    real_hidden[b * hidden_size + unit] = logistic(z(3)) * c.tanh();
                }
            }
            (hidden, cell) = (next, cells[0].clone());
            assert_near(&hidden, &real_hidden, TOLERANCE);
            assert_near(&cell, &real_cell, TOLERANCE);
        }
    });
}

#[test]
fn a_gru_follows_its_equations_over_several_steps() {
    for_seeds(40, |rng| {
        let (input_size, hidden_size, batches) = (rng.size(1, 20), rng.size(1, 12), rng.size(1, 2));
        let p = Gru { input_size, hidden_size };
        let [w, u] = [input_size, hidden_size].map(|size| floats(rng, 3 * hidden_size * size));
        let [half_w, half_u] = [halves(&w), halves(&u)];
        let [b, c] = [3 * hidden_size; 2].map(|len| floats(rng, len));
        let units = batches * hidden_size;
        let (mut hidden, mut real_hidden) = (vec![0f32; units], vec![0f64; units]);
        for _ in 0..4 {
            let input = floats(rng, batches * input_size);
            let next = by_rows_and_storage(
                rng,
                [units, 1],
                |rows, output| gru(&p, rows, &input, &hidden, &w, &u, &b, &c, output),
                |rows, output| gru(&p, rows, &input, &hidden, &half_w, &half_u, &b, &c, output),
            );
            for batch in 0..batches {
                let x: Vec<f64> = input[batch * input_size..][..input_size].iter().map(|&x| x.into()).collect();
                let h = real_hidden[batch * hidden_size..][..hidden_size].to_vec();
                let gates = Gates::new(&x, &h, [&w, &u], [&b, &c]);
                for unit in 0..hidden_size {
                    let z = |gate: usize| {
                        let i = gate * hidden_size + unit;
                        [gates.of_input[i], gates.of_hidden[i]]
                    };
                    let [reset, update] = [z(0), z(1)].map(|[x, h]| logistic(x + h));
                    let [x_new, h_new] = z(2);
                    let new = (x_new + reset * h_new).tanh();
                    real_hidden[batch * hidden_size + unit] = (1.0 - update) * new + update * h[unit];
                }
            }
            hidden = next;
            assert_near(&hidden, &real_hidden, TOLERANCE);
        }
    });
}
