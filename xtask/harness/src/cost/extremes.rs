//! Models of one operator at which a cost is most likely to be too small: the slowest data, and shapes that are nearly
//! all overhead. Random plans seldom hold them.

use tealight_format::ops::{
    ActivationRange, AttentionF32, BlockType, Concat, Conv2d, Conv2dF32, ConvTranspose2dF32, Copy, DepthwiseConv2d,
    FullyConnected, FullyConnectedBlock, Function, Lookup, Mul, Multiplier, SignalFilterBank, SignalRfft, Softmax,
    Svdf, Transpose, UnaryF32, UnaryFunction,
};
use tealight_format::{DType, Operator, Place, Value, align16};
use tealight_testing::build::{Parts, value};

/// A model by its name, and its inputs.
pub(crate) struct Extreme {
    pub name: String,
    pub parts: Parts,
    pub input: Vec<u8>,
}

/// An input of one operator.
pub(crate) enum Operand {
    Constant(DType, Vec<u32>, Vec<u8>),
    Input(DType, Vec<u32>, Vec<u8>),
    /// With what it holds at first.
    State(DType, Vec<u32>, Vec<u8>),
    None,
}

use Operand::{Constant, Input, State};

pub(crate) fn constant(dtype: DType, dims: &[u32], bytes: Vec<u8>) -> Operand {
    Constant(dtype, dims.to_vec(), bytes)
}

pub(crate) fn input(dtype: DType, dims: &[u32], bytes: Vec<u8>) -> Operand {
    Input(dtype, dims.to_vec(), bytes)
}

fn state(dtype: DType, dims: &[u32], bytes: Vec<u8>) -> Operand {
    State(dtype, dims.to_vec(), bytes)
}

/// The model of `operator` on these inputs. Its rows go through a scratch row if `scratch`.
fn one(name: &str, operator: Operator, operands: Vec<Operand>, output: (DType, &[u32]), scratch: bool) -> Extreme {
    with_scratch_rows(name, operator, operands, output, u32::from(scratch))
}

/// The model of `operator` on these inputs. Its rows go through a scratch value for so many rows, or none.
pub(crate) fn with_scratch_rows(
    name: &str,
    operator: Operator,
    operands: Vec<Operand>,
    output: (DType, &[u32]),
    scratch_rows: u32,
) -> Extreme {
    let mut parts = Parts::default();
    let (mut inputs, mut input) = (Vec::new(), Vec::new());
    for operand in &operands {
        if let Constant(dtype, dims, bytes) | State(dtype, dims, bytes) = operand {
            let name = ["a", "b", "c", "d"][parts.constants.len()];
            parts.constants.push((name, *dtype, dims.to_vec(), bytes.clone()));
        }
    }
    let constants = parts.constants.len() as u16;
    let mut end = 0;
    let mut place = |place, dtype, dims: &[u32], live| {
        let placed = value(place, dtype, dims, end, live);
        end = align16(placed.end()) as u32;
        placed
    };
    // State lies before all else.
    let mut constant = 0;
    let mut indices: Vec<Option<u16>> = vec![None; operands.len()];
    for (operand, index) in operands.iter().zip(&mut indices) {
        if let State(dtype, dims, _) = operand {
            parts.values.push(Value { init: Some(constant), ..place(Place::State, *dtype, dims, (0, 1)) });
            *index = Some(constants + parts.values.len() as u16 - 1);
        }
        if let Constant(..) = operand {
            *index = Some(constant);
        }
        constant += u16::from(matches!(operand, Constant(..) | State(..)));
    }
    for (operand, index) in operands.iter().zip(&mut indices) {
        if let Input(dtype, dims, bytes) = operand {
            parts.values.push(place(Place::Arena, *dtype, dims, (0, 0)));
            *index = Some(constants + parts.values.len() as u16 - 1);
            inputs.extend(*index);
            input.extend(bytes);
        }
    }
    let written = constants + parts.values.len() as u16;
    let output = place(Place::Arena, output.0, output.1, (0, 1));
    parts.values.push(output);
    parts.outputs.push(written);
    parts.op(operator, &indices, written, None);
    let rows = parts.ops[0].rows;
    let row = match operator {
        // One row of weights, so that there are as many batches as rows.
        Operator::FullyConnectedBlock(layer) => {
            Some(layer.block.activations().bytes() * if layer.together { rows } else { 1 })
        }
        _ => (scratch_rows > 0).then(|| output.len / rows * scratch_rows.min(rows)),
    };
    if let Some(row) = row {
        parts.values.push(place(Place::Arena, DType::U8, &[row], (0, 0)));
        parts.ops.clear();
        parts.op(operator, &indices, written, Some(written + 1));
    }
    Extreme { name: name.into(), parts: parts.arranged(&inputs), input }
}

pub(crate) fn floats(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
    numbers.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub(crate) fn channels(count: u32) -> Vec<u8> {
    [0, 1 << 30, -3].map(i32::to_le_bytes).concat().repeat(count as usize)
}

/// All of them.
pub(super) fn extremes() -> Vec<Extreme> {
    let mut all = functions();
    all.extend(windows());
    all.extend(products());
    all.extend(small());
    all.extend(sound());
    all
}

/// Numbers at which the functions of `libm` take their longest ways.
const SLOW: [f32; 20] = [
    1e-45, 1e-39, -0.5, 0.5, 0.9, 1.5, -2.0, 2.5, -3.0, 4.0, -6.0, -9.5, 9.5, 50.0, 89.0, -100.0, 1e8, 1e12, 1e20,
    -1e30,
];

fn functions() -> Vec<Extreme> {
    let mut all = Vec::new();
    for code in 0..UnaryFunction::COUNT {
        // The words of a code: those of Clamp, of a function with a factor, or of one without parameters.
        let words = [[-1.0, 1.0], [0.5, 0.0], [0.0; 2]];
        let Some(function) = words.into_iter().find_map(|words| UnaryFunction::parse(code, words).ok()) else {
            continue;
        };
        for x in SLOW {
            let operator = Operator::UnaryF32(UnaryF32 { function });
            let name = format!("{} of {x:e}", function.name());
            let x = input(DType::F32, &[200], floats([x; 200]));
            all.push(one(&name, operator, vec![x], (DType::F32, &[200]), false));
        }
    }
    for depth in [1, 2, 300] {
        let softmax = Softmax { input_multiplier: i32::MAX, input_left_shift: 0, diff_min: -255 };
        let x = input(DType::I8, &[8, depth], [4, 5].repeat(4 * depth as usize));
        all.push(one(
            &format!("Softmax of {depth}"),
            Operator::Softmax(softmax),
            vec![x],
            (DType::I8, &[8, depth]),
            false,
        ));
    }
    all
}

fn windows() -> Vec<Extreme> {
    let mut all = Vec::new();
    // Windows that lie nearly wholly in the padding, of all sizes; many groups; runs of one element.
    for (image, kernel, outputs, groups, dilation) in [
        ([1, 1, 1, 1], [27, 13], 64, 1, 1),
        ([1, 1, 1, 1], [27, 13], 1, 1, 2),
        ([1, 2, 2, 8], [19, 19], 8, 8, 2),
        ([1, 20, 20, 4], [19, 19], 4, 4, 1),
        ([1, 9, 9, 1], [17, 17], 3, 1, 3),
        ([1, 9, 9, 64], [3, 3], 64, 1, 1),
        ([1, 9, 9, 64], [3, 3], 3, 1, 2),
        ([1, 4, 4, 32], [1, 1], 32, 32, 1),
        ([1, 4, 4, 1], [1, 1], 1, 1, 1),
        ([1, 4, 4, 1], [1, 9], 1, 1, 2),
        ([1, 4, 4, 1], [9, 1], 33, 1, 1),
    ] {
        let [_, h, w, c] = image;
        let pad = kernel.map(|k: u32| ((k - 1) * dilation / 2) as i32);
        let (stride, dilation) = ([1, 1], [dilation as i32; 2]);
        let weights = [outputs, kernel[0], kernel[1], c / groups];
        let [taps, count] = [kernel[0] * kernel[1], weights.iter().product::<u32>()];
        let name = format!("{image:?} {weights:?} {dilation:?}");
        let conv = Conv2d { stride, dilation, pad, activation: ActivationRange::FULL };
        let bytes = |n: u32| (0..n).map(|i| i as u8).collect::<Vec<u8>>();
        let all_of = h * w * c;
        let x = || input(DType::I8, &[1, h, w, c], bytes(all_of));
        let output = [1, h, w, outputs];
        let table = constant(DType::I32, &[outputs, 3], channels(outputs));
        let operands = vec![x(), constant(DType::I8, &weights, bytes(count)), table];
        all.push(one(&format!("Conv2d {name}"), Operator::Conv2d(conv), operands, (DType::I8, &output), true));
        let multiplied = [1, h, w, c * outputs.min(9)];
        let many = multiplied[3];
        let operands = vec![
            x(),
            constant(DType::I8, &[1, kernel[0], kernel[1], many], bytes(taps * many)),
            constant(DType::I32, &[many, 3], channels(many)),
        ];
        let operator = Operator::DepthwiseConv2d(DepthwiseConv2d(conv));
        all.push(one(&format!("DepthwiseConv2d {name}"), operator, operands, (DType::I8, &multiplied), false));
        let activation = [f32::NEG_INFINITY, f32::INFINITY];
        let real = Conv2dF32 { stride, dilation, pad, activation };
        let transposed = ConvTranspose2dF32 { stride, dilation, pad, activation };
        for (kind, operator) in
            [("Conv2dF32", Operator::Conv2dF32(real)), ("ConvTranspose2dF32", Operator::ConvTranspose2dF32(transposed))]
        {
            for dtype in [DType::F32, DType::F16, DType::I8, DType::I4] {
                let each: &[u32] = if matches!(dtype, DType::I8 | DType::I4) { &[outputs, 2] } else { &[outputs] };
                let operands = vec![
                    input(DType::F32, &[1, h, w, c], floats((0..all_of).map(|i| i as f32))),
                    constant(dtype, &weights, vec![0x31; dtype.bytes(count).unwrap_or(0) as usize]),
                    constant(DType::F32, each, vec![0; 4 * each.iter().product::<u32>() as usize]),
                ];
                let name = format!("{kind} {} {name}", dtype.name());
                all.push(one(&name, operator, operands, (DType::F32, &output), false));
            }
        }
    }
    all
}

fn products() -> Vec<Extreme> {
    let mut all = Vec::new();
    for (units, depth, zero_point) in [(1, 1, 5), (1, 7, 5), (3, 2, 0), (1, 64, 5), (64, 3, 5)] {
        let layer = FullyConnected { weights_zero_point: zero_point, activation: ActivationRange::FULL };
        let operands = vec![
            input(DType::I8, &[40, depth], vec![9; 40 * depth as usize]),
            constant(DType::I8, &[units, depth], vec![7; (units * depth) as usize]),
            constant(DType::I32, &[units, 3], channels(units)),
        ];
        let name = format!("FullyConnected {units} {depth} {zero_point}");
        all.push(one(&name, Operator::FullyConnected(layer), operands, (DType::I8, &[40, units]), false));
    }
    for (units, depth) in [(4, 8), (4, 64)] {
        let layer = FullyConnected { weights_zero_point: 0, activation: ActivationRange::FULL };
        let operands = vec![
            input(DType::I8, &[40, depth], vec![9; 40 * depth as usize]),
            constant(DType::U8, &[units, depth], vec![7; (units * depth) as usize]),
            constant(DType::I32, &[units, 3], channels(units)),
        ];
        let name = format!("FullyConnected {units} {depth} in pairs");
        all.push(one(&name, Operator::FullyConnected(layer), operands, (DType::I8, &[40, units]), false));
    }
    for (&block, together) in BlockType::ALL.iter().flat_map(|block| [(block, false), (block, true)]) {
        let layer = FullyConnectedBlock { block, activation: [f32::NEG_INFINITY, f32::INFINITY], together };
        let depth = block.elements();
        let operands = vec![
            input(DType::F32, &[10, depth], floats((0..10 * depth).map(|i| (i as f32).sin()))),
            constant(DType::U8, &[1, block.bytes()], (0..block.bytes()).map(|i| i as u8).collect()),
            Operand::None,
        ];
        let name = format!("{}{}", block.name(), if together { " together" } else { "" });
        all.push(one(&name, Operator::FullyConnectedBlock(layer), operands, (DType::F32, &[10, 1]), false));
    }
    // Scores that rise: the sum is scaled again at every position. Many new positions before the first row.
    for (count, capacity, depth) in [(1, 200, 1), (1, 200, 32), (1000, 1, 1), (500, 2, 16), (40, 40, 8)] {
        let attrs = AttentionF32 { heads: 1, kv_heads: 1, scale: 1.0 };
        let (dims, cache) = ([count, 1, depth], [2, capacity, 1, depth]);
        let rising = |from: u32| floats((0..count * depth).map(|i| (from + i / depth) as f32 * 0.5));
        let positions = (0..count).flat_map(|i| (capacity - 1 - i % 2 * (capacity - 1)).to_le_bytes()).collect();
        let operands = vec![
            input(DType::F32, &dims, floats(vec![1.0; (count * depth) as usize])),
            input(DType::F32, &dims, rising(0)),
            input(DType::F32, &dims, rising(3)),
            input(DType::I32, &[count], positions),
            state(DType::F32, &cache, floats((0..2 * capacity * depth).map(|i| (i / depth) as f32 * 0.5))),
        ];
        let name = format!("AttentionF32 {count} {capacity} {depth}");
        all.push(one(&name, Operator::AttentionF32(attrs), operands, (DType::F32, &dims), false));
    }
    for (rank, depth, memory) in [(1, 1, 1), (10, 1, 1), (1, 40, 1), (1, 1, 60)] {
        let svdf = Svdf {
            rank,
            feature: Multiplier::new(1 << 30, -3),
            output: Multiplier::new(1 << 30, -3),
            activation: ActivationRange::FULL,
        };
        let filters = 4 * rank as u32;
        let operands = vec![
            input(DType::I8, &[1, depth], vec![9; depth as usize]),
            constant(DType::I8, &[filters, depth], vec![7; (filters * depth) as usize]),
            constant(DType::I16, &[filters, memory], vec![7; 2 * (filters * memory) as usize]),
            constant(DType::I32, &[4], vec![0; 16]),
            state(DType::I16, &[1, filters, memory], vec![3; 2 * (filters * memory) as usize]),
        ];
        let name = format!("Svdf {rank} {depth} {memory}");
        all.push(one(&name, Operator::Svdf(svdf), operands, (DType::I8, &[1, 4]), false));
    }
    all
}

/// Rows of one element, through a scratch row too, and operators of one.
fn small() -> Vec<Extreme> {
    let mut all = Vec::new();
    for scratch in [false, true] {
        let of = |name: &str| format!("{name} scratch {scratch}");
        let operands = vec![input(DType::I8, &[50, 1], vec![1; 50]), constant(DType::U8, &[256], vec![3; 256])];
        let lookup = Operator::Lookup(Lookup { function: Function::Relu });
        all.push(one(&of("Lookup"), lookup, operands, (DType::I8, &[50, 1]), scratch));
        let mul = Operator::Mul(Mul { output: Multiplier::new(1 << 30, -3), activation: ActivationRange::FULL });
        let [a, b] = [&[2, 1, 2, 1, 2, 1][..], &[1, 2, 1, 2, 1, 2]].map(|dims| input(DType::I8, dims, vec![1; 8]));
        all.push(one(&of("Mul"), mul, vec![a, b], (DType::I8, &[2; 6]), scratch));
        let transpose = Transpose { perm: [5, 3, 4, 2, 0, 1] };
        let x = input(DType::I16, &[2, 2, 2, 2, 2, 2], vec![1; 128]);
        all.push(one(&of("Transpose"), Operator::Transpose(transpose), vec![x], (DType::I16, &[2; 6]), scratch));
        let parts: Vec<_> = (0..8).map(|_| input(DType::I8, &[50, 1], vec![1; 50])).collect();
        let concat = Operator::Concat(Concat { axis: 1 });
        all.push(one(&of("Concat"), concat, parts, (DType::I8, &[50, 8]), scratch));
        let conv = Conv2d { stride: [1, 1], dilation: [1, 1], pad: [0, 0], activation: ActivationRange::FULL };
        let operands = vec![
            input(DType::I8, &[50, 1, 1, 1], vec![1; 50]),
            constant(DType::I8, &[1, 1, 1, 1], vec![1]),
            constant(DType::I32, &[1, 3], channels(1)),
        ];
        all.push(one(&of("Conv2d"), Operator::Conv2d(conv), operands, (DType::I8, &[50, 1, 1, 1]), scratch));
    }
    // Many operators that do nearly nothing.
    let mut parts = Parts { inputs: 1, outputs: vec![100], ..Parts::default() };
    parts.values.push(value(Place::Arena, DType::I8, &[1], 0, (0, 0)));
    for i in 0..100u16 {
        parts.values.push(value(Place::Arena, DType::I8, &[1], 16 * u32::from(i + 1), (i, i + 1)));
        parts.op(Operator::Copy(Copy), &[Some(i)], i + 1, None);
    }
    all.push(Extreme { name: "100 copies".into(), parts, input: vec![1] });
    all
}

/// Square roots of the largest sums, and the shortest transforms.
fn sound() -> Vec<Extreme> {
    let bank = vec![
        input(DType::I32, &[1], vec![255; 4]),
        // All weights are -1, and all bands the first energy.
        constant(DType::I16, &[9, 2], vec![255; 36]),
        constant(DType::I16, &[9, 2], [0, 0, 1, 0].repeat(9)),
        input(DType::I32, &[1], vec![0; 4]),
    ];
    let bank_of = Operator::SignalFilterBank(SignalFilterBank);
    let lines = vec![input(DType::I16, &[50, 4], vec![99; 400]), constant(DType::I16, &[3, 2], vec![99; 12])];
    let transform = Operator::SignalRfft(SignalRfft { length: 4 });
    vec![
        one("SignalFilterBank of large sums", bank_of, bank, (DType::I32, &[8]), false),
        one("SignalRfft of four samples", transform, lines, (DType::I16, &[50, 6]), false),
    ]
}

#[cfg(test)]
mod tests {
    use super::extremes;
    use tealight_format::Model;

    #[test]
    fn every_extreme_is_a_valid_model() {
        for extreme in extremes() {
            let file = extreme.parts.file();
            assert!(Model::parse(&file).is_ok(), "{}: {:?}", extreme.name, Model::parse(&file).err());
        }
    }
}
