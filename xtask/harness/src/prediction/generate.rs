//! Layers with inputs, made to be counted: of the shapes that networks have, and of random plans.

use crate::cost::extremes::{Extreme, Operand, channels, constant, floats, input, with_scratch_rows};
use tealight_format::ops::{
    ActivationRange, ActivationRangeI16, AddSub, BinaryF32, Conv2d, Conv2dF32, Conv2dI16, DepthwiseConv2d,
    DepthwiseConv2dF32, DepthwiseConv2dI16, Dequantize, FullyConnected, FullyConnectedF32, FullyConnectedI16,
    Multiplier, Pool2d, Quantize, Softmax, UnaryF32, UnaryFunction,
};
use tealight_format::{DType, Model, OpCode, Operator};
use tealight_testing::random::{self, Choices};
use tealight_types::can_pair;

/// How many random plans.
const PLANS: usize = 600;

/// How many models shall have operators of each code, and how many plans of these alone are tried for them.
const PLANS_WITH: [usize; 2] = [24, 120];

/// Plans above this take too long in an emulator.
const MOST_COST: u64 = 2_000_000;

/// Layers above this take too long in an emulator.
const MOST_MACS: u32 = 400_000;

/// The same for those of [`OF_NETWORKS`], which are large.
const MOST_LARGE_MACS: u32 = 800_000;

/// The same for layers in floating-point, which some cores compute without instructions for it.
const MOST_FLOAT_MACS: u32 = 60_000;

/// A generated model with an input.
#[derive(Clone, Debug)]
pub struct Generated {
    pub(crate) id: String,
    pub(crate) file: Vec<u8>,
    pub(super) input: Vec<u8>,
}

impl Generated {
    fn has(&self, code: OpCode) -> bool {
        let Ok(model) = Model::parse(&self.file) else { return false };
        (0..model.op_count()).any(|index| model.op(index).operator.code() == code)
    }
}

/// Makes a layer, or nothing if the sizes that it drew are too large.
type Make = fn(&mut Random) -> Option<Extreme>;

/// The kinds of layers, and how often each is drawn.
const KINDS: &[(u32, Make)] = &[
    (2000, convolution),
    (600, convolution_f32),
    (1500, depthwise),
    (300, depthwise_f32),
    (400, depthwise_with_multiplier),
    (600, product),
    (200, product_f32),
    (400, pool),
    (800, elementwise),
];

/// The same for layers with int4 weights and in int16. They have random numbers of their own, so that no layer of the
/// other kinds depends on how many there are.
const SMALL_WEIGHTS_AND_INT16: &[(u32, Make)] = &[
    (200, convolution_int4),
    (200, convolution_i16),
    (200, depthwise_int4),
    (200, depthwise_i16),
    (100, product_int4),
    (100, product_i16),
];

/// Layers with weights in pairs.
const IN_PAIRS: &[(u32, Make)] = &[(200, product_in_pairs)];

/// Layers of further shapes that networks have: of few channels and large windows, of a column, of few outputs of many
/// inputs, and of many pixels.
const OF_NETWORKS: &[(u32, Make)] =
    &[(400, first_convolution), (80, column), (80, column_f32), (60, last_product), (160, pointwise)];

/// Layers of the shapes that networks have, and random plans with every operator.
pub fn generate() -> Vec<Generated> {
    let mut all = small();
    add_layers(&mut all, OF_NETWORKS, &mut Random(4));
    all
}

/// The same without those of [`OF_NETWORKS`].
pub(super) fn small() -> Vec<Generated> {
    let mut random = Random(1);
    let mut all = Vec::new();
    add_layers(&mut all, KINDS, &mut random);
    for seed in 0..PLANS {
        let bytes = bytes(&mut random, 1500);
        let file = random::plan_of(&mut Choices::new(&bytes), scale(seed)).file();
        all.extend(short_plan(format!("plan {seed}"), file));
    }
    let mut random = Random(2);
    add_layers(&mut all, SMALL_WEIGHTS_AND_INT16, &mut random);
    let [wanted, tries] = PLANS_WITH;
    for &code in OpCode::ALL {
        let count = all.iter().filter(|generated| generated.has(code)).count();
        let plans = (0..tries).filter_map(|seed| {
            let bytes = bytes(&mut random, 1500);
            let file = random::plan_with(&mut Choices::new(&bytes), scale(seed), code).file();
            short_plan(format!("plan with {} {seed}", code.name()), file)
        });
        all.extend(plans.take(wanted.saturating_sub(count)).collect::<Vec<_>>());
    }
    // Last, so that the others keep their names.
    add_layers(&mut all, IN_PAIRS, &mut Random(3));
    all
}

/// Adds layers of these kinds.
fn add_layers(all: &mut Vec<Generated>, kinds: &[(u32, Make)], random: &mut Random) {
    for &(count, make) in kinds {
        for _ in 0..count {
            if let Some(Extreme { name, parts, input }) = make(random) {
                all.push(Generated { id: format!("{name} {}", all.len()), file: parts.file(), input });
            }
        }
    }
}

/// The scale of a random plan.
fn scale(seed: usize) -> i32 {
    [1, 2, 4, 8][seed % 4]
}

/// A random plan, if it is valid, has operators and does not take too long.
fn short_plan(id: String, file: Vec<u8>) -> Option<Generated> {
    let len: u32 = {
        let model = Model::parse(&file).ok()?;
        if model.cost() > MOST_COST || model.op_count() == 0 {
            return None;
        }
        model.inputs().map(|value| model.value(value).len).sum()
    };
    Some(Generated { id, input: vec![0; len as usize], file })
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
    /// How many rows are computed at a time, which a scratch value holds; 0 for all.
    scratch_rows: u32,
}

impl Shape {
    fn random(random: &mut Random) -> Self {
        let kernel = match random.below(8) {
            0..3 => [1, 1],
            3..5 => [3, 3],
            5 => [random.below(10) + 1, random.below(8) + 1],
            6 => [random.below(9) + 1, 1],
            _ => [1, pick(random, [3, 5, 8, 9])],
        };
        let steps = Self::steps(random);
        let image = if random.below(4) == 0 {
            let column = random.below(2) as usize;
            let mut image = [kernel[0], kernel[1]];
            image[column] = kernel[column].max(pick(random, [13, 29, 49, 61, 98, 128]));
            image
        } else {
            [0, 1].map(|i| kernel[i].max(pick(random, [1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 16, 24, 25, 32, 48, 49])))
        };
        Self::of(image, kernel, steps, pick(random, [0, 0, 0, 0, 0, 1, 1, 2, 3, 4]))
    }

    /// That of a large window over an image.
    fn of_first_layer(random: &mut Random) -> Self {
        let kernel = match random.below(4) {
            0 => [3, 3],
            1 => [pick(random, [3, 4, 5, 7]), pick(random, [3, 4, 5, 7])],
            _ => [random.below(10) + 1, random.below(8) + 1],
        };
        let image =
            [0, 1].map(|i| kernel[i].max(pick(random, [3, 10, 14, 20, 28, 32, 40, 48, 49, 64, 84, 96, 98, 128])));
        Self::of(image, kernel, Self::steps(random), pick(random, [0, 0, 0, 1]))
    }

    /// That of a window over a column, mostly, or a row.
    fn of_column(random: &mut Random) -> Self {
        let (len, window) =
            (pick(random, [13, 29, 42, 49, 61, 98, 118, 128]), pick(random, [1, 1, 2, 3, 4, 5, 8, 10, 16, 32]));
        let window = window.min(len);
        let (image, kernel) = if random.below(4) > 0 { ([len, 1], [window, 1]) } else { ([1, len], [1, window]) };
        Self::of(image, kernel, Self::steps(random), pick(random, [0, 0, 0, 1]))
    }

    /// A stride, and whether the output has as many pixels as the input has steps of it.
    fn steps(random: &mut Random) -> (u32, bool) {
        (1 + random.below(2), random.below(3) > 0)
    }

    fn of(image: [u32; 2], kernel: [u32; 2], (stride, same): (u32, bool), scratch_rows: u32) -> Self {
        let output = [0, 1].map(|i| if same { image[i].div_ceil(stride) } else { (image[i] - kernel[i]) / stride + 1 });
        let pad =
            [0, 1].map(|i| if same { ((output[i] - 1) * stride + kernel[i]).saturating_sub(image[i]) / 2 } else { 0 });
        Self { image, output, kernel, stride, pad, scratch_rows }
    }

    fn outputs(&self) -> u32 {
        self.output[0] * self.output[1]
    }

    fn taps(&self) -> u32 {
        self.kernel[0] * self.kernel[1]
    }

    fn input(&self, depth: u32) -> [u32; 4] {
        [1, self.image[0], self.image[1], depth]
    }

    fn output(&self, depth: u32) -> [u32; 4] {
        [1, self.output[0], self.output[1], depth]
    }

    fn conv2d(&self) -> Conv2d {
        Conv2d {
            stride: [self.stride as i32; 2],
            dilation: [1, 1],
            pad: self.pad.map(|pad| pad as i32),
            activation: ActivationRange::FULL,
        }
    }

    fn conv2d_i16(&self) -> Conv2dI16 {
        let Conv2d { stride, dilation, pad, .. } = self.conv2d();
        Conv2dI16 { stride, dilation, pad, activation: ActivationRangeI16::FULL }
    }

    fn conv2d_f32(&self) -> Conv2dF32 {
        let Conv2d { stride, dilation, pad, .. } = self.conv2d();
        Conv2dF32 { stride, dilation, pad, activation: UNBOUNDED }
    }
}

const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

pub(super) fn bytes(random: &mut Random, len: u32) -> Vec<u8> {
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// Weights as converters write them, without -128: kernels for some cores have shorter loops for these.
fn weights_of(random: &mut Random, shape: &[u32]) -> Vec<u8> {
    let mut weights = bytes(random, shape.iter().product());
    for weight in &mut weights {
        *weight = if *weight == i8::MIN.cast_unsigned() { i8::MAX.cast_unsigned() } else { *weight };
    }
    weights
}

fn numbers(random: &mut Random, len: u32) -> Vec<u8> {
    floats((0..len).map(|_| random.below(4001) as f32 / 1000.0 - 2.0))
}

/// What a ReLU may leave: zeros are half of all, or there are none. Cores without floating-point instructions take less
/// for a product with zero.
fn activations(random: &mut Random, len: u32) -> Vec<u8> {
    let lowest = pick(random, [0, 2000]) as f32 / 1000.0;
    floats((0..len).map(|_| (random.below(4001) as f32 / 1000.0 - lowest).max(0.0)))
}

fn halves(random: &mut Random, len: u32) -> Vec<u8> {
    (0..len).flat_map(|_| (0x3000 | random.below(0x0c00) as u16).to_le_bytes()).collect()
}

fn input_channels(random: &mut Random) -> u32 {
    pick(random, [1, 1, 2, 3, 6, 8, 8, 10, 12, 16, 16, 20, 24, 32, 32, 40, 48, 64, 64, 80, 96, 128, 256])
}

fn output_channels(random: &mut Random) -> u32 {
    pick(random, [1, 2, 3, 4, 6, 8, 8, 10, 12, 16, 16, 20, 24, 30, 32, 32, 48, 64, 64, 80, 96, 128, 256])
}

/// A convolution in int8.
fn convolution(random: &mut Random) -> Option<Extreme> {
    convolution_of(random, Quantized::INT8)
}

/// The same with int4 weights.
fn convolution_int4(random: &mut Random) -> Option<Extreme> {
    convolution_of(random, Quantized::INT4)
}

/// The same in int16.
fn convolution_i16(random: &mut Random) -> Option<Extreme> {
    convolution_of(random, Quantized::INT16)
}

/// The types of a quantized layer.
#[derive(Clone, Copy)]
struct Quantized {
    activations: DType,
    weights: DType,
    most_macs: u32,
}

impl Quantized {
    const INT8: Self = Self { activations: DType::I8, weights: DType::I8, most_macs: MOST_MACS };
    const INT4: Self = Self { weights: DType::I4, most_macs: MOST_MACS / 2, ..Self::INT8 };
    const IN_PAIRS: Self = Self { weights: DType::U8, ..Self::INT8 };
    const INT16: Self = Self { activations: DType::I16, most_macs: MOST_MACS / 4, ..Self::INT8 };

    fn is_int16(self) -> bool {
        self.activations == DType::I16
    }

    /// The operands of a layer with `outputs` channels.
    fn operands(self, random: &mut Random, dims: &[u32], weights: &[u32], outputs: u32) -> Vec<Operand> {
        let elements: u32 = dims.iter().product();
        let stored = match self.weights {
            DType::I4 => bytes(random, weights.iter().product::<u32>().div_ceil(2)),
            _ => weights_of(random, weights),
        };
        vec![
            input(self.activations, dims, bytes(random, if self.is_int16() { 2 * elements } else { elements })),
            constant(self.weights, weights, stored),
            constant(DType::I32, &[outputs, 3], channels(outputs)),
        ]
    }
}

fn convolution_of(random: &mut Random, types: Quantized) -> Option<Extreme> {
    let shape = Shape::random(random);
    let (depth, outputs) = (input_channels(random), output_channels(random));
    convolution_with(random, types, &shape, depth, outputs)
}

/// The first layer of a network, in int8.
fn first_convolution(random: &mut Random) -> Option<Extreme> {
    let shape = Shape::of_first_layer(random);
    let (depth, outputs) = (pick(random, [1, 1, 1, 2, 3, 3, 4]), pick(random, [4, 8, 8, 10, 12, 16, 16, 24, 32, 64]));
    convolution_with(random, Quantized { most_macs: MOST_LARGE_MACS, ..Quantized::INT8 }, &shape, depth, outputs)
}

/// A pointwise convolution of many pixels or of a column, in int8.
fn pointwise(random: &mut Random) -> Option<Extreme> {
    let image = match random.below(3) {
        0 => [pick(random, [8, 13, 15, 24, 28, 42, 59]), 1],
        _ => [0, 1].map(|_| pick(random, [3, 5, 6, 8, 10, 12, 16, 24, 25, 32])),
    };
    let shape = Shape::of(image, [1, 1], (1, true), pick(random, [0, 0, 0, 1]));
    let (depth, outputs) =
        (pick(random, [8, 16, 24, 32, 64, 64, 96, 128]), pick(random, [8, 16, 24, 32, 64, 64, 96, 128]));
    convolution_with(random, Quantized { most_macs: MOST_LARGE_MACS, ..Quantized::INT8 }, &shape, depth, outputs)
}

/// A convolution of a column, in int8.
fn column(random: &mut Random) -> Option<Extreme> {
    let shape = Shape::of_column(random);
    let (depth, outputs) = (pick(random, [1, 8, 16, 32, 40, 64, 128]), pick(random, [8, 16, 24, 32, 64, 128]));
    convolution_with(random, Quantized { most_macs: MOST_LARGE_MACS, ..Quantized::INT8 }, &shape, depth, outputs)
}

fn convolution_with(random: &mut Random, types: Quantized, shape: &Shape, depth: u32, outputs: u32) -> Option<Extreme> {
    if shape.outputs() * outputs * shape.taps() * depth > types.most_macs {
        return None;
    }
    let weights = [outputs, shape.kernel[0], shape.kernel[1], depth];
    let operands = types.operands(random, &shape.input(depth), &weights, outputs);
    let output = (types.activations, &shape.output(outputs)[..]);
    let operator =
        if types.is_int16() { Operator::Conv2dI16(shape.conv2d_i16()) } else { Operator::Conv2d(shape.conv2d()) };
    Some(with_scratch_rows("Conv2d", operator, operands, output, shape.scratch_rows))
}

/// A convolution in f32, with weights in f32 or f16.
fn convolution_f32(random: &mut Random) -> Option<Extreme> {
    let shape = Shape::random(random);
    let (depth, outputs) = (input_channels(random), output_channels(random));
    convolution_f32_with(random, &shape, depth, outputs, MOST_FLOAT_MACS)
}

/// A convolution of a column, in f32.
fn column_f32(random: &mut Random) -> Option<Extreme> {
    let shape = Shape::of_column(random);
    let (depth, outputs) = (pick(random, [1, 8, 16, 32, 40, 64]), pick(random, [8, 16, 24, 32, 64, 96]));
    convolution_f32_with(random, &shape, depth, outputs, 4 * MOST_FLOAT_MACS)
}

fn convolution_f32_with(
    random: &mut Random,
    shape: &Shape,
    depth: u32,
    outputs: u32,
    most_macs: u32,
) -> Option<Extreme> {
    if shape.outputs() * outputs * shape.taps() * depth > most_macs {
        return None;
    }
    let (input_dims, weights) = (shape.input(depth), [outputs, shape.kernel[0], shape.kernel[1], depth]);
    let count = weights.iter().product();
    let (stored, values) =
        if random.below(3) > 0 { (DType::F32, numbers(random, count)) } else { (DType::F16, halves(random, count)) };
    let operands = vec![
        input(DType::F32, &input_dims, activations(random, input_dims.iter().product())),
        constant(stored, &weights, values),
        constant(DType::F32, &[outputs], numbers(random, outputs)),
    ];
    let output = (DType::F32, &shape.output(outputs)[..]);
    let operator = Operator::Conv2dF32(shape.conv2d_f32());
    Some(with_scratch_rows("Conv2dF32", operator, operands, output, shape.scratch_rows))
}

/// A depthwise convolution in int8.
fn depthwise(random: &mut Random) -> Option<Extreme> {
    depthwise_of(random, Quantized::INT8)
}

/// The same with int4 weights.
fn depthwise_int4(random: &mut Random) -> Option<Extreme> {
    depthwise_of(random, Quantized::INT4)
}

/// The same in int16.
fn depthwise_i16(random: &mut Random) -> Option<Extreme> {
    depthwise_of(random, Quantized::INT16)
}

fn depthwise_of(random: &mut Random, types: Quantized) -> Option<Extreme> {
    let depth = pick(random, [1, 3, 4, 8, 8, 10, 12, 16, 16, 20, 24, 32, 32, 40, 48, 64, 64, 80, 96, 128, 192, 256]);
    depthwise_multiplied(random, types, depth, 1)
}

/// A depthwise convolution in int8 with several outputs for each input channel.
fn depthwise_with_multiplier(random: &mut Random) -> Option<Extreme> {
    let depth = pick(random, [1, 1, 1, 3, 8, 16]);
    let multiplier = pick(random, [2, 3, 4, 8, 8, 16, 24]);
    depthwise_multiplied(random, Quantized::INT8, depth, multiplier)
}

fn depthwise_multiplied(random: &mut Random, types: Quantized, depth: u32, multiplier: u32) -> Option<Extreme> {
    let shape = Shape::random(random);
    let outputs = depth * multiplier;
    if shape.outputs() * outputs * shape.taps() > types.most_macs / 3 {
        return None;
    }
    let weights = [1, shape.kernel[0], shape.kernel[1], outputs];
    let operands = types.operands(random, &shape.input(depth), &weights, outputs);
    let output = (types.activations, &shape.output(outputs)[..]);
    let operator = if types.is_int16() {
        Operator::DepthwiseConv2dI16(DepthwiseConv2dI16(shape.conv2d_i16()))
    } else {
        Operator::DepthwiseConv2d(DepthwiseConv2d(shape.conv2d()))
    };
    Some(with_scratch_rows("DepthwiseConv2d", operator, operands, output, shape.scratch_rows))
}

/// A depthwise convolution in f32.
fn depthwise_f32(random: &mut Random) -> Option<Extreme> {
    let shape = Shape::random(random);
    let depth = pick(random, [1, 3, 4, 8, 12, 16, 24, 32, 64, 96, 128]);
    if shape.outputs() * depth * shape.taps() > MOST_FLOAT_MACS {
        return None;
    }
    let (input_dims, weights) = (shape.input(depth), [1, shape.kernel[0], shape.kernel[1], depth]);
    let operands = vec![
        input(DType::F32, &input_dims, activations(random, input_dims.iter().product())),
        constant(DType::F32, &weights, numbers(random, weights.iter().product())),
        constant(DType::F32, &[depth], numbers(random, depth)),
    ];
    let output = (DType::F32, &shape.output(depth)[..]);
    let operator = Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(shape.conv2d_f32()));
    Some(with_scratch_rows("DepthwiseConv2dF32", operator, operands, output, shape.scratch_rows))
}

/// A matrix-vector product in int8.
fn product(random: &mut Random) -> Option<Extreme> {
    product_of(random, Quantized::INT8)
}

/// The same with int4 weights.
fn product_int4(random: &mut Random) -> Option<Extreme> {
    product_of(random, Quantized::INT4)
}

/// The same with weights in pairs.
fn product_in_pairs(random: &mut Random) -> Option<Extreme> {
    product_of(random, Quantized::IN_PAIRS)
}

/// The same in int16.
fn product_i16(random: &mut Random) -> Option<Extreme> {
    product_of(random, Quantized::INT16)
}

fn product_of(random: &mut Random, types: Quantized) -> Option<Extreme> {
    let depth = pick(random, [1, 3, 8, 12, 16, 20, 24, 32, 64, 80, 96, 100, 128, 192, 256, 384, 640, 768, 1024, 4000]);
    let units = pick(random, [1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 20, 24, 32, 35, 64, 96, 128, 192, 640]);
    product_with(random, types, depth, units)
}

/// The last layer of a network, in int8.
fn last_product(random: &mut Random) -> Option<Extreme> {
    let (depth, units) = (256 + random.below(4000), 2 + random.below(12));
    product_with(random, Quantized::INT8, depth, units)
}

fn product_with(random: &mut Random, types: Quantized, depth: u32, units: u32) -> Option<Extreme> {
    let fits = types.weights != DType::U8 || can_pair([units as usize, depth as usize]);
    if depth * units > types.most_macs / 4 || !fits {
        return None;
    }
    let operator = if types.is_int16() {
        Operator::FullyConnectedI16(FullyConnectedI16 { activation: ActivationRangeI16::FULL })
    } else {
        Operator::FullyConnected(FullyConnected { weights_zero_point: 0, activation: ActivationRange::FULL })
    };
    let operands = types.operands(random, &[1, depth], &[units, depth], units);
    Some(with_scratch_rows("FullyConnected", operator, operands, (types.activations, &[1, units]), 0))
}

/// A matrix-vector product in f32.
fn product_f32(random: &mut Random) -> Option<Extreme> {
    let depth = pick(random, [1, 3, 8, 16, 20, 32, 64, 100, 128, 256, 640]);
    let units = pick(random, [1, 2, 4, 5, 8, 10, 12, 16, 32, 64, 128]);
    if depth * units > MOST_FLOAT_MACS {
        return None;
    }
    let operands = vec![
        input(DType::F32, &[1, depth], activations(random, depth)),
        constant(DType::F32, &[units, depth], numbers(random, units * depth)),
        constant(DType::F32, &[units], numbers(random, units)),
    ];
    let operator = Operator::FullyConnectedF32(FullyConnectedF32 { activation: UNBOUNDED });
    Some(with_scratch_rows("FullyConnectedF32", operator, operands, (DType::F32, &[1, units]), 0))
}

/// Average or maximum pooling.
fn pool(random: &mut Random) -> Option<Extreme> {
    let shape = Shape::random(random);
    let depth = pick(random, [1, 3, 8, 16, 24, 32, 64, 80, 128, 256]);
    let (input_dims, conv) = (shape.input(depth), shape.conv2d());
    if shape.outputs() * depth * shape.taps() > MOST_MACS / 4 {
        return None;
    }
    let pool = Pool2d {
        window: shape.kernel.map(|size| size as i32),
        stride: conv.stride,
        pad: conv.pad,
        activation: ActivationRange::FULL,
    };
    let operator = if random.below(2) == 0 { Operator::AvgPool2d(pool) } else { Operator::MaxPool2d(pool) };
    let operands = vec![input(DType::I8, &input_dims, bytes(random, input_dims.iter().product()))];
    Some(with_scratch_rows("Pool2d", operator, operands, (DType::I8, &shape.output(depth)), shape.scratch_rows))
}

/// An operator that computes each element from those at the same place, or softmax.
fn elementwise(random: &mut Random) -> Option<Extreme> {
    let depth = pick(random, [1, 2, 4, 7, 10, 12, 16, 35, 64, 128, 600, 3000]);
    let dims = [pick(random, [1, 1, 1, 2, 5]), depth];
    let len = dims[0] * dims[1];
    let int8 = |random: &mut Random| input(DType::I8, &dims, bytes(random, len));
    let real = |random: &mut Random| input(DType::F32, &dims, activations(random, len));
    let sum = AddSub {
        left_shift: 20,
        a: Multiplier::new(1 << 30, 0),
        b: Multiplier::new(1_500_000_000, -1),
        output: Multiplier::new(1_200_000_000, -18),
        activation: ActivationRange::FULL,
    };
    let (operator, operands, output) = match random.below(7) {
        0 => (Operator::Add(sum), vec![int8(random), int8(random)], DType::I8),
        1 => {
            let operator = Operator::AddF32(BinaryF32 { activation: UNBOUNDED });
            (operator, vec![real(random), real(random)], DType::F32)
        }
        2 => (Operator::Quantize(Quantize), vec![real(random)], DType::I8),
        3 => (Operator::Dequantize(Dequantize), vec![int8(random)], DType::F32),
        4 => {
            let function = [UnaryFunction::Logistic, UnaryFunction::Tanh, UnaryFunction::Exp][random.below(3) as usize];
            (Operator::UnaryF32(UnaryF32 { function }), vec![real(random)], DType::F32)
        }
        _ => {
            // An input whose steps are of 0.1, as far as e^-x is not 0 in 8 bits.
            let softmax = Softmax { input_multiplier: 1_717_986_918, input_left_shift: 22, diff_min: -248 };
            (Operator::Softmax(softmax), vec![int8(random)], DType::I8)
        }
    };
    Some(with_scratch_rows("elementwise", operator, operands, (output, &dims), pick(random, [0, 0, 0, 1])))
}

/// The same for all: a linear congruential generator (Knuth, "Seminumerical Algorithms", table 1 of 3.3.4, line 16).
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(n)) as u32
    }
}
