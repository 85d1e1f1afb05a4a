//! Fits the table from which `tealight inspect` predicts instructions: counts of generated layers on a board of each kind
//! of core, and factors of each operator's terms that meet them best.
//!
//! Only generated layers go into the fit, so every network that is measured tests the table.

use crate::board::Board;
use crate::context::Context;
use crate::cost::extremes::{Extreme, channels, constant, floats, input, one};
use crate::layers::{Layers, Measured, measure};
use anyhow::Result;
use std::collections::BTreeMap;
use tealight_cli::prediction::{Core, TERMS, key, terms};
use tealight_format::ops::{
    ActivationRange, Conv2d, Conv2dF32, DepthwiseConv2d, DepthwiseConv2dF32, FullyConnected, Pool2d,
};
use tealight_format::{DType, Model, Operator};
use tealight_testing::random::{self, Choices};

/// How many layers of each kind are generated, and how many random plans.
const COUNT: u32 = 90;
const PLANS: u32 = 600;

/// Layers above this take too long in an emulator.
const MOST_MACS: u32 = 400_000;

/// Counts below this weigh as much as this: the ticks of some boards' clocks are 40 instructions long.
const SMALL: f64 = 2_000.0;

/// A generated model with an input.
#[derive(Debug)]
pub struct Generated {
    id: String,
    file: Vec<u8>,
    input: Vec<u8>,
}

/// Layers of the shapes that networks have, and random plans with every operator.
pub fn generate() -> Vec<Generated> {
    let mut random = Random(1);
    let mut all = Vec::new();
    for _ in 0..COUNT {
        for layer in [convolution, depthwise, product, pool] {
            all.extend(layer(&mut random).into_iter().map(|layer| Generated {
                id: layer.name.clone(),
                file: layer.parts.file(),
                input: layer.input.clone(),
            }));
        }
    }
    for seed in 0..PLANS {
        let bytes: Vec<u8> = (0..1500).map(|_| random.below(256) as u8).collect();
        let file = random::plan_of(&mut Choices::new(&bytes), [1, 2, 4, 8][seed as usize % 4]).file();
        let Ok(model) = Model::parse(&file) else { continue };
        if model.cost() > 2_000_000 || model.op_count() == 0 {
            continue;
        }
        let len: u32 = model.inputs().map(|value| model.value(value).len).sum();
        all.push(Generated { id: format!("plan {seed}"), input: vec![0; len as usize], file });
    }
    all
}

/// Counts the generated layers on `board` and fits the factors of its core.
///
/// # Errors
/// The firmware cannot be built or fails.
pub fn fit(context: &Context, board: &Board, generated: &[Generated]) -> Result<Core> {
    let models: Vec<_> =
        generated.iter().map(|one| Measured { id: &one.id, file: &one.file, input: &one.input }).collect();
    let counted = measure(context, board, &models)?;
    let files: BTreeMap<&str, &Generated> = generated.iter().map(|one| (one.id.as_str(), one)).collect();
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for Layers { model: id, layers, .. } in &counted {
        let Some(generated) = files.get(id.as_str()) else { continue };
        let model = Model::parse(&generated.file).map_err(|error| anyhow::anyhow!("{id}: {error}"))?;
        for (index, layer) in layers.iter().enumerate() {
            let op = model.op(index);
            let sample = Sample { terms: terms(&model, &op), instructions: layer.instructions as f64 };
            samples.entry(key(&model, &op)).or_default().push(sample);
        }
    }
    let rounded = |factor: f64| (factor * 1e4).round() / 1e4;
    let operators = samples.into_iter().map(|(key, samples)| (key, factors(&samples).map(rounded))).collect();
    Ok(Core { cores: vec![board.core.clone()], operators })
}

/// A layer's terms and its count.
struct Sample {
    terms: [f64; TERMS],
    instructions: f64,
}

/// The factors, none below zero, with the smallest sum of squared relative errors, by coordinate descent
/// (Lawson and Hanson, "Solving Least Squares Problems", chapter 23, states the problem).
fn factors(samples: &[Sample]) -> [f64; TERMS] {
    let weighted: Vec<([f64; TERMS], f64)> = samples
        .iter()
        .map(|sample| {
            let weight = 1.0 / sample.instructions.max(SMALL);
            (sample.terms.map(|term| term * weight), sample.instructions * weight)
        })
        .collect();
    let mut factors = [0.0; TERMS];
    let mut left: Vec<f64> = weighted.iter().map(|(_, count)| *count).collect();
    let squares: [f64; TERMS] = std::array::from_fn(|k| weighted.iter().map(|(terms, _)| terms[k] * terms[k]).sum());
    for _ in 0..20_000 {
        let mut change = 0.0_f64;
        for k in (0..TERMS).filter(|&k| squares[k] > 0.0) {
            let slope: f64 = weighted.iter().zip(&left).map(|((terms, _), left)| terms[k] * left).sum();
            let next = (factors[k] + slope / squares[k]).max(0.0);
            let step = next - factors[k];
            for ((terms, _), left) in weighted.iter().zip(&mut left) {
                *left -= step * terms[k];
            }
            change = change.max((step * squares[k].sqrt()).abs());
            factors[k] = next;
        }
        if change < 1e-7 {
            break;
        }
    }
    factors
}

fn pick<const N: usize>(random: &mut Random, from: [u32; N]) -> u32 {
    from[random.below(N as u32) as usize]
}

/// The sizes of a convolution that a network may have.
struct Shape {
    image: [u32; 2],
    output: [u32; 2],
    kernel: [u32; 2],
    stride: u32,
    pad: [u32; 2],
}

impl Shape {
    fn random(random: &mut Random) -> Self {
        let kernel = match random.below(6) {
            0 | 1 => [1, 1],
            2 | 3 => [3, 3],
            4 => [random.below(10) + 1, random.below(5) + 1],
            _ => [1, pick(random, [3, 5, 9])],
        };
        let stride = 1 + random.below(2);
        let same = random.below(3) > 0;
        let image = [0, 1].map(|i| kernel[i].max(pick(random, [3, 5, 6, 12, 24, 25, 49])));
        let output = [0, 1].map(|i| if same { image[i].div_ceil(stride) } else { (image[i] - kernel[i]) / stride + 1 });
        let pad =
            [0, 1].map(|i| if same { ((output[i] - 1) * stride + kernel[i]).saturating_sub(image[i]) / 2 } else { 0 });
        Self { image, output, kernel, stride, pad }
    }

    fn outputs(&self) -> u32 {
        self.output[0] * self.output[1]
    }

    fn conv2d(&self) -> Conv2d {
        Conv2d {
            stride: [self.stride as i32; 2],
            dilation: [1, 1],
            pad: self.pad.map(|pad| pad as i32),
            activation: ActivationRange::FULL,
        }
    }

    fn conv2d_f32(&self) -> Conv2dF32 {
        let Conv2d { stride, dilation, pad, .. } = self.conv2d();
        Conv2dF32 { stride, dilation, pad, activation: [f32::NEG_INFINITY, f32::INFINITY] }
    }
}

fn bytes(random: &mut Random, len: u32) -> Vec<u8> {
    (0..len).map(|_| random.below(256) as u8).collect()
}

fn numbers(random: &mut Random, len: u32) -> Vec<u8> {
    floats((0..len).map(|_| random.below(4001) as f32 / 1000.0 - 2.0))
}

fn halves(random: &mut Random, len: u32) -> Vec<u8> {
    (0..len).flat_map(|_| (0x3000 | random.below(0x0c00) as u16).to_le_bytes()).collect()
}

/// A convolution in int8, and the same in f32.
fn convolution(random: &mut Random) -> Vec<Extreme> {
    let shape = Shape::random(random);
    let depth = pick(random, [1, 3, 8, 10, 16, 32, 40, 64, 128]);
    let outputs = pick(random, [1, 3, 4, 8, 12, 16, 30, 32, 64, 128]);
    let Shape { image: [h, w], output: [oh, ow], kernel: [kh, kw], .. } = shape;
    if shape.outputs() * outputs * kh * kw * depth > MOST_MACS {
        return Vec::new();
    }
    let (input_dims, weights, output) = ([1, h, w, depth], [outputs, kh, kw, depth], [1, oh, ow, outputs]);
    let count = weights.iter().product();
    let name = format!("{input_dims:?} {weights:?} {} {}", shape.stride, random.below(1 << 30));
    let int8 = vec![
        input(DType::I8, &input_dims, bytes(random, h * w * depth)),
        constant(DType::I8, &weights, bytes(random, count)),
        constant(DType::I32, &[outputs, 3], channels(outputs)),
    ];
    let (stored, values) =
        if random.below(2) == 0 { (DType::F32, numbers(random, count)) } else { (DType::F16, halves(random, count)) };
    let real = vec![
        input(DType::F32, &input_dims, numbers(random, h * w * depth)),
        constant(stored, &weights, values),
        constant(DType::F32, &[outputs], numbers(random, outputs)),
    ];
    vec![
        one(&format!("Conv2d {name}"), Operator::Conv2d(shape.conv2d()), int8, (DType::I8, &output), false),
        one(&format!("Conv2dF32 {name}"), Operator::Conv2dF32(shape.conv2d_f32()), real, (DType::F32, &output), false),
    ]
}

/// A depthwise convolution in int8, and the same in f32.
fn depthwise(random: &mut Random) -> Vec<Extreme> {
    let shape = Shape::random(random);
    let depth = pick(random, [1, 3, 8, 16, 24, 32, 64, 96, 128, 256]);
    let multiplier = if random.below(3) == 0 { pick(random, [2, 3, 8]) } else { 1 };
    let depth = if multiplier > 1 { depth.min(16) } else { depth };
    let Shape { image: [h, w], output: [oh, ow], kernel: [kh, kw], .. } = shape;
    let outputs = depth * multiplier;
    if shape.outputs() * outputs * kh * kw > MOST_MACS / 2 {
        return Vec::new();
    }
    let (input_dims, weights, output) = ([1, h, w, depth], [1, kh, kw, outputs], [1, oh, ow, outputs]);
    let name = format!("{input_dims:?} {weights:?} {} {}", shape.stride, random.below(1 << 30));
    let int8 = vec![
        input(DType::I8, &input_dims, bytes(random, h * w * depth)),
        constant(DType::I8, &weights, bytes(random, kh * kw * outputs)),
        constant(DType::I32, &[outputs, 3], channels(outputs)),
    ];
    let real = vec![
        input(DType::F32, &input_dims, numbers(random, h * w * depth)),
        constant(DType::F32, &weights, numbers(random, kh * kw * outputs)),
        constant(DType::F32, &[outputs], numbers(random, outputs)),
    ];
    let [int8_operator, real_operator] = [
        Operator::DepthwiseConv2d(DepthwiseConv2d(shape.conv2d())),
        Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(shape.conv2d_f32())),
    ];
    vec![
        one(&format!("DepthwiseConv2d {name}"), int8_operator, int8, (DType::I8, &output), false),
        one(&format!("DepthwiseConv2dF32 {name}"), real_operator, real, (DType::F32, &output), false),
    ]
}

/// A matrix-vector product in int8.
fn product(random: &mut Random) -> Vec<Extreme> {
    let depth = pick(random, [8, 12, 16, 64, 100, 128, 256, 640, 1024]);
    let units = pick(random, [1, 2, 4, 8, 10, 12, 32, 64, 128]);
    let layer = FullyConnected { weights_zero_point: 0, activation: ActivationRange::FULL };
    let operands = vec![
        input(DType::I8, &[1, depth], bytes(random, depth)),
        constant(DType::I8, &[units, depth], bytes(random, units * depth)),
        constant(DType::I32, &[units, 3], channels(units)),
    ];
    let name = format!("FullyConnected {depth} {units} {}", random.below(1 << 30));
    vec![one(&name, Operator::FullyConnected(layer), operands, (DType::I8, &[1, units]), false)]
}

/// Average and maximum pooling.
fn pool(random: &mut Random) -> Vec<Extreme> {
    let shape = Shape::random(random);
    let depth = pick(random, [1, 3, 8, 16, 64, 128, 256]);
    let (Shape { image: [h, w], output: [oh, ow], kernel, .. }, conv) = (&shape, shape.conv2d());
    if shape.outputs() * depth * kernel[0] * kernel[1] > MOST_MACS / 2 {
        return Vec::new();
    }
    let pool = Pool2d {
        window: kernel.map(|size| size as i32),
        stride: conv.stride,
        pad: conv.pad,
        activation: ActivationRange::FULL,
    };
    let name = format!("{h} {w} {depth} {kernel:?} {}", random.below(1 << 30));
    let mut layer = |what: &str, operator: Operator| {
        let operands = vec![input(DType::I8, &[1, *h, *w, depth], bytes(random, h * w * depth))];
        one(&format!("{what} {name}"), operator, operands, (DType::I8, &[1, *oh, *ow, depth]), false)
    };
    vec![layer("AvgPool2d", Operator::AvgPool2d(pool)), layer("MaxPool2d", Operator::MaxPool2d(pool))]
}

/// The same for all: a linear congruential generator (Knuth, "Seminumerical Algorithms", table 1 of 3.3.4, line 16).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(n)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_an_exact_sum_are_found() {
        let mut random = Random(7);
        let samples: Vec<Sample> = (0..50)
            .map(|_| {
                let terms: [f64; TERMS] = std::array::from_fn(|_| f64::from(random.below(1000)));
                Sample { terms, instructions: 5.0 * terms[0] + 2.5 * terms[3] + 0.25 * terms[9] }
            })
            .collect();
        let found = factors(&samples);
        for (k, expected) in [(0, 5.0), (1, 0.0), (3, 2.5), (9, 0.25)] {
            assert!((found[k] - expected).abs() < 0.01, "{found:?}");
        }
    }

    #[test]
    fn generated_models_are_valid_and_have_every_kind_of_layer() {
        let mut keys = std::collections::BTreeSet::new();
        for generated in generate() {
            let model = Model::parse(&generated.file).unwrap();
            keys.extend((0..model.op_count()).map(|index| key(&model, &model.op(index))));
        }
        for expected in ["Conv2d", "Conv2dF32 f16", "DepthwiseConv2d", "FullyConnected", "AvgPool2d", "Softmax"] {
            assert!(keys.contains(expected), "no {expected} among {keys:?}");
        }
    }
}
