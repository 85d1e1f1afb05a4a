//! The operators of transformers, from the plan to their kernels: shapes, strides, state and absent inputs.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::{Align16, AllOps, Budget, DType, Model, Operator, Place, Session};
use tealight_format::ops::{
    AttentionF32, BatchMatMulF32, BlockType, GatherBlock, GatherF32, LayerNormF32, Positions, RopeF32,
};
use tealight_kernels::block;
use tealight_testing::build::{Parts, value};

/// A tensor of a test: its place, type and dimensions, and the bytes of a constant or of an input.
struct Given(Place, DType, Vec<u32>, Vec<u8>);

fn values(dims: &[u32]) -> Vec<f32> {
    // Irregular, but the same in each run.
    (0..dims.iter().product()).map(|i: u32| ((i * 37 + dims[0] * 11) % 29) as f32 / 8.0 - 1.75).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn integers(values: &[i32]) -> Given {
    Given(Place::Arena, DType::I32, vec![values.len() as u32], values.iter().flat_map(|i| i.to_le_bytes()).collect())
}

fn activation(dims: &[u32]) -> Given {
    Given(Place::Arena, DType::F32, dims.to_vec(), bytes(&values(dims)))
}

fn constant(dims: &[u32]) -> Given {
    Given(Place::Constant, DType::F32, dims.to_vec(), bytes(&values(dims)))
}

fn state(dtype: DType, dims: &[u32]) -> Given {
    Given(Place::State, dtype, dims.to_vec(), Vec::new())
}

/// Runs one operator on these inputs once for each of `budgets`, polled with that budget, and returns the output's
/// bytes after each run.
fn run(operator: Operator, inputs: &[Option<Given>], dtype: DType, dims: &[u32], budgets: &[Budget]) -> Vec<Vec<u8>> {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut parts = Parts::default();
    let given: Vec<&Given> = inputs.iter().flatten().collect();
    for (name, Given(_, dtype, dims, bytes)) in NAMES.iter().zip(given.iter().filter(|g| g.0 == Place::Constant)) {
        parts.constants.push((name, *dtype, dims.clone(), bytes.clone()));
    }
    let (mut constants, mut offset) = (0, 0);
    let mut model_inputs = Vec::new();
    let mut indices = vec![0; given.len()];
    for place in [Place::Constant, Place::State, Place::Arena] {
        for (k, Given(_, dtype, dims, _)) in given.iter().enumerate().filter(|(_, g)| g.0 == place) {
            if place == Place::Constant {
                indices[k] = constants;
                constants += 1;
                continue;
            }
            let at = (parts.constants.len() + parts.values.len()) as u16;
            indices[k] = at;
            parts.values.push(value(place, *dtype, dims, offset, (0, 0)));
            offset = parts.values.last().unwrap().end().next_multiple_of(16) as u32;
            if place == Place::Arena {
                model_inputs.push(at);
            }
        }
    }
    let output = (parts.constants.len() + parts.values.len()) as u16;
    parts.values.push(value(Place::Arena, dtype, dims, offset, (0, 1)));
    parts.outputs.push(output);
    let mut indices = indices.into_iter();
    let listed: Vec<Option<u16>> = inputs.iter().map(|input| input.as_ref().and_then(|_| indices.next())).collect();
    parts.op(operator, &listed, output, None);

    let file = parts.arranged(&model_inputs).file();
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let mut session = Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).unwrap();
    let mut outputs = Vec::new();
    for &budget in budgets {
        for (i, Given(_, _, _, bytes)) in given.iter().filter(|g| g.0 == Place::Arena).enumerate() {
            session.input(i).unwrap().copy_from_bytes(bytes.as_slice()).unwrap();
        }
        while session.poll(budget).is_pending() {}
        outputs.push(session.output(0).unwrap().as_bytes().to_vec());
    }
    outputs
}

/// The f32 output of one run.
fn result(operator: Operator, inputs: &[Option<Given>], dims: &[u32]) -> Vec<f32> {
    let output = run(operator, inputs, DType::F32, dims, &[Budget::unlimited()]).remove(0);
    output.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "element {i}: {a}, expected {b}");
    }
}

#[test]
fn positions_go_on_from_inference_to_inference_up_to_the_capacity() {
    let operator = Operator::Positions(Positions { capacity: 5 });
    let outputs = run(operator, &[Some(state(DType::I32, &[1]))], DType::I32, &[2], &[Budget::unlimited(); 4]);
    let expected = [[0, 1], [2, 3], [4, 5], [5, 5]].map(|row: [i32; 2]| row.map(i32::to_le_bytes).concat());
    assert_eq!(outputs, expected);
}

#[test]
fn only_as_many_positions_as_are_counted_are_taken() {
    let operator = Operator::Positions(Positions { capacity: 5 });
    for (count, expected) in [
        (2, [[0, 1, -1], [2, 3, -1], [4, 5, -1], [5, 5, -1]]),
        (0, [[-1; 3]; 4]),
        (-7, [[-1; 3]; 4]),
        (i32::MAX, [[0, 1, 2], [3, 4, 5], [5, 5, 5], [5, 5, 5]]),
    ] {
        let inputs = [Some(state(DType::I32, &[1])), Some(integers(&[count]))];
        let outputs = run(operator, &inputs, DType::I32, &[3], &[Budget::unlimited(); 4]);
        assert_eq!(outputs, expected.map(|row: [i32; 3]| row.map(i32::to_le_bytes).concat()), "{count}");
    }
}

#[test]
fn a_product_of_activations_repeats_a_single_matrix() {
    const N: u32 = 3;
    let (rows, inner, columns) = (2u32, 4u32, 5u32);
    for (transpose_a, transpose_b, of_a, of_b) in [
        (false, false, N, N),
        (false, true, N, N),
        (true, false, N, N),
        (true, true, N, N),
        (false, false, 1, N),
        (true, false, 1, N),
        (false, false, N, 1),
        (false, true, N, 1),
    ] {
        let a_dims = if transpose_a { [of_a, inner, rows] } else { [of_a, rows, inner] };
        let b_dims = if transpose_b { [of_b, columns, inner] } else { [of_b, inner, columns] };
        let (a, b) = (values(&a_dims), values(&b_dims));
        let mut expected = Vec::new();
        for n in 0..N {
            for i in 0..rows {
                for j in 0..columns {
                    let sum: f32 = (0..inner)
                        .map(|k| {
                            let at_a = if transpose_a { k * rows + i } else { i * inner + k };
                            let at_b = if transpose_b { j * inner + k } else { k * columns + j };
                            let of = |count: u32| if count == 1 { 0 } else { n };
                            a[(of(of_a) * rows * inner + at_a) as usize]
                                * b[(of(of_b) * inner * columns + at_b) as usize]
                        })
                        .sum();
                    expected.push(sum);
                }
            }
        }
        let operator = Operator::BatchMatMulF32(BatchMatMulF32 { transpose_a, transpose_b });
        near(
            &result(operator, &[Some(activation(&a_dims)), Some(activation(&b_dims))], &[N, rows, columns]),
            &expected,
        );
    }
}

#[test]
fn a_layer_norm_without_a_bias_adds_nothing() {
    let operator = Operator::LayerNormF32(LayerNormF32 { epsilon: 1e-5 });
    let inputs = |bias| [Some(activation(&[2, 6])), Some(constant(&[6])), bias];
    let (without, with) =
        (result(operator, &inputs(None), &[2, 6]), result(operator, &inputs(Some(constant(&[6, 1]))), &[2, 6]));
    let bias = values(&[6, 1]);
    near(&with, &without.iter().zip(bias.iter().cycle()).map(|(x, b)| x + b).collect::<Vec<_>>());
    let weight = values(&[6]);
    for row in without.chunks(6) {
        let plain: Vec<f32> = row.iter().zip(&weight).map(|(x, w)| x / w).collect();
        assert!(plain.iter().sum::<f32>().abs() < 1e-4);
        assert!((plain.iter().map(|x| x * x).sum::<f32>() / 6.0 - 1.0).abs() < 1e-4);
    }
}

#[test]
fn gathers_read_rows_of_f32_and_of_blocks() {
    let indices = [2, 0, 7, -1];
    let rows = [2usize, 0, 2, 0];
    let table = values(&[3, 4]);
    let found = result(Operator::GatherF32(GatherF32), &[Some(integers(&indices)), Some(constant(&[3, 4]))], &[4, 4]);
    assert_eq!(found, rows.map(|row| &table[row * 4..][..4]).concat());

    let table = values(&[3, 256]);
    for of in [BlockType::Q8_0, BlockType::Q4_1, BlockType::Q6K] {
        let row_bytes = 256 / of.elements() * of.bytes();
        let mut blocks = vec![0; 3 * row_bytes as usize];
        block::quantize(of, &table, &mut blocks);
        let mut expected = vec![0.0; 3 * 256];
        block::dequantize(of, &blocks, &mut expected);
        let table = Given(Place::Constant, DType::U8, vec![3, row_bytes], blocks);
        let operator = Operator::GatherBlock(GatherBlock { block: of });
        let found = result(operator, &[Some(integers(&indices)), Some(table)], &[4, 256]);
        assert_eq!(found, rows.map(|row| &expected[row * 256..][..256]).concat(), "{}", of.name());
    }
}

#[test]
fn rope_counts_heads_inside_or_outside_the_positions() {
    let (table, x) = (values(&[4, 1]), values(&[2, 3, 2]));
    let positions = |heads: u32| if heads == 3 { vec![1, 3] } else { vec![1, 3, 0] };
    for (heads, interleaved) in [(3, false), (1, true)] {
        let operator = Operator::RopeF32(RopeF32 { heads, interleaved });
        let at = positions(heads as u32);
        let inputs =
            [Some(activation(&[2, 3, 2])), Some(constant(&[4, 1])), Some(constant(&[4, 1])), Some(integers(&at))];
        // Sine and cosine are the same table: the kernel rotates by any pair of values, not only by an angle.
        let mut expected = Vec::new();
        for (row, point) in x.chunks(2).enumerate() {
            let turn = table[at[if heads == 3 { row / 3 } else { row % 3 }] as usize];
            expected.extend([point[0] * turn - point[1] * turn, point[0] * turn + point[1] * turn]);
        }
        near(&result(operator, &inputs, &[2, 3, 2]), &expected);
    }
}

#[test]
fn attention_stores_keys_and_values_once_and_sees_earlier_ones() {
    // Of one head with one element each: zero queries weigh all values equally.
    let operator = Operator::AttentionF32(AttentionF32 { heads: 2, kv_heads: 1, scale: 1.0 });
    let zeros = || Given(Place::Arena, DType::F32, vec![2, 2, 1], bytes(&[0.0; 4]));
    let values = || Given(Place::Arena, DType::F32, vec![2, 1], bytes(&[3.0, 5.0]));
    let mut means = Vec::new();
    for positions in [[0, 1], [1, 0], [2, 2], [-1, 9]] {
        let inputs = [
            Some(zeros()),
            Some(activation(&[2, 1])),
            Some(values()),
            Some(integers(&positions)),
            Some(state(DType::F32, &[2, 4, 1, 1])),
        ];
        // In the second run the cache still has the first run's rows; the slicing does not change the result.
        let outputs = run(operator, &inputs, DType::F32, &[2, 2], &[Budget::unlimited(), Budget::macs(1)]);
        assert_eq!(outputs[0], outputs[1]);
        means.push(outputs[0].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<_>>());
    }
    assert_eq!(means[0], [3.0, 3.0, 4.0, 4.0]);
    assert_eq!(means[1], [4.0, 4.0, 5.0, 5.0]);
    near(&means[2], &[5.0 / 3.0; 4]);
    assert_eq!(means[3], [0.0; 4]);
}
