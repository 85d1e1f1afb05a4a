//! Random, nearly valid plans: every operator with random attributes, shapes, live ranges and memory.
//!
//! The builder makes choices from a string of bytes, so a fuzzer's mutations and a property test's shrinking both work
//! on plans. An operator is built by its rule, with occasional odd values; one with unsuitable operands is mostly
//! dropped, so that the others are reached. Live ranges are then computed and memory is planned with reuse and overlap,
//! and finally a field may be broken.

mod choices;
mod convolution;
mod damage;
mod elementwise;
mod group;
mod memory;
mod movement;
mod product;
mod recurrent;
mod reduction;
mod signal;
mod transformer;

pub use choices::Choices;

use crate::build::{Parts, value};
use damage::{break_operator, break_value};
use tealight_format::ops::{ActivationRange, ActivationRangeI16, Multiplier};
use tealight_format::{DType, Group, Kind, Op, OpCode, Operands, Operator, Place, Shape, Value, Work, align16};

/// Types of operands.
const I8: &[DType] = &[DType::I8];
const BYTES: &[DType] = &[DType::I8, DType::U8];
const ALL: &[DType] = &[DType::I8, DType::U8, DType::I16, DType::I32, DType::F32];
const I16: &[DType] = &[DType::I16];
const I32: &[DType] = &[DType::I32];
const F32: &[DType] = &[DType::F32];

/// Default dimensions of operands.
struct DefaultDims {
    dims: Vec<u32>,
    image: Vec<u32>,
}

/// A proposed operator, and the type and dimensions of its output.
struct Proposal {
    operator: Operator,
    inputs: Vec<Option<Ref>>,
    dtype: DType,
    out: Vec<u32>,
}

impl Proposal {
    fn new(operator: Operator, inputs: Vec<Option<Ref>>, dtype: DType, out: Vec<u32>) -> Self {
        Self { operator, inputs, dtype, out }
    }
}

fn small(v: &Value) -> bool {
    v.shape.elements().unwrap() < 4096
}

fn is_image(v: &Value) -> bool {
    v.shape.rank() == 4 && small(v)
}

/// For an operator with unsuitable operands.
const ANY_WORK: Work =
    Work { rows: 1, row_bytes: 1, row_cost: 1, scratch_cost: 0, prepare_cost: 0, period: 1, macs: 0 };

/// A constant, or one of the other values; constants come first in the file, so indices are known only at the end.
#[derive(Clone, Copy, PartialEq)]
enum Ref {
    Constant(usize),
    Value(usize),
}

struct Step {
    operator: Operator,
    inputs: Vec<Option<Ref>>,
    output: usize,
    scratch: Option<usize>,
    group: Group,
    work: Work,
}

struct Builder<'c, 'b> {
    choose: &'c mut Choices<'b>,
    /// The maximum factor by which some sizes are larger than usual.
    scale: i32,
    /// Whether some operators shall be a group.
    grouped: bool,
    /// See [`Grouped`].
    chained: bool,
    parts: Parts,
    constants: Vec<Value>,
    steps: Vec<Step>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// A random plan.
pub fn plan(choose: &mut Choices<'_>) -> Parts {
    plan_of(choose, 1)
}

/// A random plan in which some sizes are up to `scale` times as large as usual, so that work outweighs what an operator
/// takes by itself.
pub fn plan_of(choose: &mut Choices<'_>, scale: i32) -> Parts {
    if choose.one_in(8) {
        return random_plan(choose, scale, &group::IMAGE_CODES.concat(), Some(Grouped { chained: false }));
    }
    random_plan(choose, scale, OpCode::ALL, None)
}

/// As [`plan_of`], of operators of one code alone.
pub fn plan_with(choose: &mut Choices<'_>, scale: i32, code: OpCode) -> Parts {
    random_plan(choose, scale, &[code], None)
}

/// As [`plan_of`], of operators of these codes alone.
pub fn plan_among(choose: &mut Choices<'_>, scale: i32, codes: &[OpCode]) -> Parts {
    random_plan(choose, scale, codes, None)
}

/// A random plan of operators on images, most with some of them in a group.
pub fn grouped_plan(choose: &mut Choices<'_>) -> Parts {
    random_plan(choose, 1, &group::IMAGE_CODES.concat(), Some(Grouped { chained: false }))
}

/// As [`grouped_plan`], many with an input that comes in rows.
pub fn plan_in_rows(choose: &mut Choices<'_>) -> Parts {
    // Of one type, so that each can read what the one before it has written.
    let codes = choose.pick(&group::IMAGE_CODES);
    random_plan(choose, 1, codes, Some(Grouped { chained: true }))
}

/// How operators are chosen of which some are in a group.
#[derive(Clone, Copy)]
struct Grouped {
    /// Whether they have one input at most, and read what others have written where they can.
    chained: bool,
}

/// A plan of operators with these codes.
fn random_plan(choose: &mut Choices<'_>, scale: i32, codes: &[OpCode], how: Option<Grouped>) -> Parts {
    let (grouped, chained) = (how.is_some(), how.is_some_and(|how| how.chained));
    let count = choose.between(if grouped { 2 } else { 1 }, 6);
    let wrong = choose.one_in(4);
    let mut builder = Builder {
        choose,
        scale,
        grouped,
        chained,
        parts: Parts::default(),
        constants: Vec::new(),
        steps: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    for _ in 0..count {
        let code = builder.choose.pick(codes);
        builder.step(code);
        if builder.choose.one_in(if grouped { 12 } else { 3 }) {
            builder.view();
        }
    }
    builder.assign_live_ranges();
    // Steps chosen at random may not be able to run together.
    for _ in 0..if grouped { 4 } else { 0 } {
        builder.group();
    }
    builder.memory();
    let mut parts = builder.finish();
    if wrong {
        break_value(choose, &mut parts);
    }
    if !parts.ops.is_empty() && choose.one_in(16) {
        break_operator(choose, &mut parts);
    }
    parts
}

/// The same plan with no two values at the same place, and without groups: each operator runs to its end.
pub fn apart(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    for op in parts.ops.iter_mut().filter(|op| !op.group.is_none()) {
        // No operator that can be in a group has another preparation than moving rows.
        (op.group, op.prepare_cost) = (Group::NONE, 0);
    }
    for v in parts.values.iter_mut().filter(|v| v.rows.is_some()) {
        (v.rows, v.len) = (None, v.whole_len());
    }
    let mut end = parts.values.iter().filter(|v| v.is_state()).map(Value::end).max().map_or(0, align16) as u32;
    for i in 0..parts.values.len() {
        // A broken alias may be the index that means none.
        let base = parts.values[i].alias.and_then(|base| usize::from(base).checked_sub(parts.constants.len()));
        let base = base.and_then(|base| parts.values.get(base).copied());
        let v = &mut parts.values[i];
        if let Some(base) = base {
            v.offset = base.offset;
        } else if v.is_arena() {
            v.offset = end;
            end = align16(v.end()) as u32;
        }
    }
    parts
}

/// Halves the largest of these dimensions until there are fewer than `count` elements.
fn at_most(count: u32, mut dims: Vec<u32>) -> Vec<u32> {
    while dims.iter().product::<u32>() >= count {
        let largest = dims.iter_mut().max().unwrap();
        *largest /= 2;
    }
    dims
}

impl Builder<'_, '_> {
    fn get(&self, of: Ref) -> Value {
        match of {
            Ref::Constant(i) => self.constants[i],
            Ref::Value(i) => self.parts.values[i],
        }
    }

    fn base(&self, i: usize) -> usize {
        self.parts.values[i].alias.map_or(i, usize::from)
    }

    /// Returns 1 to `max`, or, in larger plans, up to a multiple of it.
    fn size(&mut self, max: i32) -> u32 {
        let larger = self.scale > 1 && self.choose.one_in(2);
        self.choose.between(1, if larger { max * self.scale } else { max }) as u32
    }

    fn dims(&mut self, rank: usize, max: i32) -> Vec<u32> {
        at_most(4096, (0..rank).map(|_| self.size(max)).collect())
    }

    fn any_dims(&mut self) -> Vec<u32> {
        let rank = self.choose.below(7) as usize;
        let max = if rank > 4 { 3 } else { 5 };
        self.dims(rank, max)
    }

    fn image(&mut self) -> Vec<u32> {
        let channels = self.size(9);
        let mut dims = self.dims(3, 7);
        if self.grouped {
            // Rows enough for several passes.
            dims[1] = self.size(20);
        }
        dims[0] = if self.grouped { 1 } else { self.choose.pick(&[1, 1, 1, 2, 3]) };
        dims.push(channels);
        at_most(8192, dims)
    }

    fn quantize(&mut self, mut v: Value) -> Value {
        if v.dtype.is_8_bit() {
            v.quantization.scale = self.choose.pick(&[1.0, 0.5, 0.007, 1e-30, 1e30]);
            v.quantization.zero_point = i32::from(self.choose.byte()) - if v.dtype == DType::I8 { 128 } else { 0 };
        } else if v.dtype == DType::I16 {
            v.quantization.scale = self.choose.pick(&[1.0, 0.5, 0.007, 1e-30, 1e30]);
            v.quantization.zero_point = i32::from(self.choose.one_in(32));
        }
        v
    }

    fn constant(&mut self, dtype: DType, dims: &[u32]) -> Ref {
        let v = value(Place::Constant, dtype, dims, 0, (0, 0));
        let bytes = self.choose.bytes(v.len as usize);
        self.constant_of(dtype, dims, bytes)
    }

    fn constant_of(&mut self, dtype: DType, dims: &[u32], bytes: Vec<u8>) -> Ref {
        const NAMES: [&str; 40] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "{",
            "}", "[", "]", ":", ",", "1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "é", "plan.a", "dtype", "shape",
        ];
        let v = self.quantize(value(Place::Constant, dtype, dims, 0, (0, 0)));
        self.constants.push(v);
        let name = NAMES.get(self.constants.len()).unwrap_or(&"plan");
        self.parts.constants.push((name, dtype, dims.to_vec(), bytes));
        Ref::Constant(self.constants.len() - 1)
    }

    /// A constant of `len` I16 numbers, few of which differ, so that choices are left for the rest of the plan.
    fn table(&mut self, len: u32) -> Ref {
        let numbers = self.choose.bytes(16);
        let bytes = numbers.iter().copied().cycle().take(2 * len as usize).collect();
        self.constant_of(DType::I16, &[len], bytes)
    }

    fn arena(&mut self, dtype: DType, dims: &[u32]) -> usize {
        let v = self.quantize(value(Place::Arena, dtype, dims, 0, (0, 0)));
        self.parts.values.push(v);
        self.parts.values.len() - 1
    }

    fn state(&mut self, dtype: DType, dims: &[u32]) -> usize {
        let i = self.arena(dtype, dims);
        self.parts.values[i].place = Place::State;
        if self.choose.one_in(3) {
            let Ref::Constant(init) = self.constant(dtype, dims) else { return i };
            self.parts.values[i].init = Some(init as u16);
        }
        i
    }

    /// A value of these types, with elements, that fits, if there is one and the choice falls on it; else a new one of
    /// dimensions `dims`.
    fn operand(&mut self, dtypes: &[DType], fits: impl Fn(&Value) -> bool, dims: &[u32]) -> Ref {
        let found: Vec<usize> = (0..self.parts.values.len())
            .filter(|&i| {
                let v = &self.parts.values[i];
                v.len > 0 && dtypes.contains(&v.dtype) && fits(v)
            })
            .collect();
        if !found.is_empty() && (self.chained || !self.choose.one_in(4)) {
            // The latest make chains, in which memory is handed on.
            let back = self.choose.below(found.len().min(3) as u32) as usize;
            return Ref::Value(found[found.len() - 1 - back]);
        }
        let dtype = self.choose.pick(dtypes);
        match self.choose.below(8) {
            _ if self.chained && !self.inputs.is_empty() => self.constant(dtype, dims),
            0 => self.constant(dtype, dims),
            1 => Ref::Value(self.state(dtype, dims)),
            _ => {
                let i = self.arena(dtype, dims);
                self.inputs.push(i);
                Ref::Value(i)
            }
        }
    }

    fn activation(&mut self) -> ActivationRange {
        let (a, b) = (self.choose.between(-128, 127) as i8, self.choose.between(-128, 127) as i8);
        let narrow = ActivationRange::new(a.min(b), a.max(b)).filter(|_| self.choose.one_in(3));
        narrow.unwrap_or(ActivationRange::FULL)
    }

    fn activation_i16(&mut self) -> ActivationRangeI16 {
        let (a, b) = (self.choose.between(-32_768, 32_767) as i16, self.choose.between(-32_768, 32_767) as i16);
        let narrow = ActivationRangeI16::new(a.min(b), a.max(b)).filter(|_| self.choose.one_in(3));
        narrow.unwrap_or(ActivationRangeI16::FULL)
    }

    fn f32_activation(&mut self) -> [f32; 2] {
        match self.choose.below(4) {
            0 => [0.0, f32::INFINITY],
            1 => [0.0, 6.0],
            2 => [self.choose.odd(), self.choose.odd()].map(|word| f32::from_bits(word as u32)),
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// Weights of an f32 layer, stored as F32 or F16.
    fn f32_weights(&mut self, dims: &[u32]) -> Ref {
        let dtype = self.choose.pick(&[DType::F32, DType::F32, DType::F16]);
        self.constant(dtype, dims)
    }

    /// Weights of an f32 layer with `count` output channels, stored as F32, F16 or I8, and what belongs to the
    /// channels: biases or none, or scales and biases.
    fn channel_weights(&mut self, dims: &[u32], count: u32) -> [Option<Ref>; 2] {
        if self.choose.one_in(4) {
            let dtype = self.choose.pick(&[DType::I8, DType::I4]);
            let weights = self.constant(dtype, dims);
            return [Some(weights), Some(self.constant(DType::F32, &[count, 2]))];
        }
        [Some(self.f32_weights(dims)), self.f32_bias(count)]
    }

    /// Weights of an int8 layer, sometimes stored as int4.
    fn int8_weights(&mut self, dims: &[u32]) -> Ref {
        let dtype = if self.choose.one_in(4) { DType::I4 } else { DType::I8 };
        self.constant(dtype, dims)
    }

    /// A bias of `count` f32 values, or none.
    fn f32_bias(&mut self, count: u32) -> Option<Ref> {
        if self.choose.one_in(3) { None } else { Some(self.constant(DType::F32, &[count])) }
    }

    fn multiplier(&mut self) -> Multiplier {
        let multiplier =
            if self.choose.one_in(4) { self.choose.odd().max(0) } else { (self.choose.word() >> 1) as i32 };
        let shift = if self.choose.one_in(4) { self.choose.between(-31, 30) } else { self.choose.between(-9, 1) };
        Multiplier { multiplier, shift }
    }

    /// Channels, of which the first sixteen differ, so that choices are left for the rest of the plan.
    fn channels(&mut self, count: u32) -> Ref {
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..count.min(16) {
            let bias = if self.choose.one_in(8) { self.choose.odd() } else { self.choose.between(-999, 999) };
            let Multiplier { multiplier, shift } = self.multiplier();
            for word in [bias, multiplier, shift] {
                bytes.extend(word.to_le_bytes());
            }
        }
        let bytes = bytes.iter().copied().cycle().take(12 * count as usize).collect();
        let table = self.constant_of(DType::I32, &[count, 3], bytes);
        if let Some(last) = self.constants.last_mut() {
            last.kind = Kind::Channels;
        }
        table
    }

    /// The channels of an int16 layer, with biases of 32 or of 64 bits.
    fn channels_i16(&mut self, count: u32) -> Ref {
        if self.choose.one_in(3) {
            return self.channels(count);
        }
        let mut bytes = Vec::new();
        for _ in 0..count {
            let odd = self.choose.one_in(8);
            let high = if odd { self.choose.odd() } else { self.choose.between(-1, 0) };
            let Multiplier { multiplier, shift } = self.multiplier();
            let shift = if self.choose.one_in(64) { shift } else { shift.min(7) };
            for word in [self.choose.odd(), high, multiplier, shift] {
                bytes.extend(word.to_le_bytes());
            }
        }
        let table = self.constant_of(DType::I32, &[count, 4], bytes);
        if let Some(last) = self.constants.last_mut() {
            last.kind = Kind::WideChannels;
        }
        table
    }

    /// Along one axis: stride, dilation, pad and the output's size.
    fn window(&mut self, input: u32, size: u32, dilated: bool) -> ([i32; 3], u32) {
        let stride = if self.choose.one_in(16) { self.choose.odd().max(1) } else { self.choose.between(1, 3) };
        let dilation = match dilated {
            true if self.choose.one_in(16) => self.choose.odd().max(1),
            true => self.choose.between(1, 3),
            false => 1,
        };
        let extent = (i64::from(size) - 1) * i64::from(dilation) + 1;
        let pad = self.choose.below(extent.min(1 << 24) as u32) as i32;
        let max = (i64::from(input) + i64::from(pad) - 1) / i64::from(stride) + 1;
        let most = if self.grouped { 20 } else { 9 };
        let output = self.choose.between(1, max.min(most) as i32) as u32;
        ([stride, dilation, pad], output)
    }

    /// Adds one operator, if its operands suit it (or, seldom, all the same).
    fn step(&mut self, code: OpCode) {
        let defaults = DefaultDims { dims: self.any_dims(), image: self.image() };
        let Proposal { operator, inputs, dtype, out } = match code {
            OpCode::Conv2d
            | OpCode::DepthwiseConv2d
            | OpCode::Conv2dF32
            | OpCode::DepthwiseConv2dF32
            | OpCode::Conv2dI16
            | OpCode::DepthwiseConv2dI16 => self.conv(code, &defaults),
            OpCode::FullyConnected => self.fully_connected(&defaults),
            OpCode::FullyConnectedI16 => self.fully_connected_i16(&defaults),
            OpCode::FullyConnectedF32 => self.fully_connected_f32(&defaults),
            OpCode::FullyConnectedBlock => self.fully_connected_block(),
            OpCode::AvgPool2d
            | OpCode::MaxPool2d
            | OpCode::AvgPool2dF32
            | OpCode::MaxPool2dF32
            | OpCode::AvgPool2dI16
            | OpCode::MaxPool2dI16 => self.pool(code, &defaults),
            OpCode::ConvTranspose2dF32 => self.conv_transpose(&defaults),
            OpCode::LstmF32 | OpCode::GruF32 => self.recurrent(code, &defaults),
            OpCode::Lstm => self.lstm(&defaults),
            OpCode::Add
            | OpCode::Sub
            | OpCode::Mul
            | OpCode::AddF32
            | OpCode::SubF32
            | OpCode::MulF32
            | OpCode::DivF32
            | OpCode::MinimumF32
            | OpCode::MaximumF32
            | OpCode::PowF32
            | OpCode::BinaryI32
            | OpCode::Div
            | OpCode::AddI16
            | OpCode::SubI16
            | OpCode::MulI16 => self.binary(code, &defaults),
            OpCode::Prelu | OpCode::PreluF32 => self.prelu(code, &defaults),
            OpCode::SoftmaxF32 => self.softmax_f32(&defaults),
            OpCode::UnaryF32 => self.unary(&defaults),
            OpCode::BatchMatMul | OpCode::BatchMatMulF32 => self.batch_matmul(code),
            OpCode::LayerNormF32 | OpCode::RmsNormF32 => self.norm(code, &defaults),
            OpCode::Positions => self.positions_of_state(),
            OpCode::RopeF32 => self.rope(),
            OpCode::AttentionF32 => self.attention(),
            OpCode::GatherF32 | OpCode::GatherBlock => self.gather(code, &defaults),
            OpCode::Softmax | OpCode::LogSoftmax => self.softmax(code, &defaults),
            OpCode::Lookup => self.lookup(&defaults),
            OpCode::Pad => self.pad(&defaults),
            OpCode::SoftmaxI16 => self.softmax_i16(&defaults),
            OpCode::RequantizeI16 => self.requantize_i16(&defaults),
            OpCode::LogisticI16 | OpCode::TanhI16 => self.sigmoid_i16(code, &defaults),
            OpCode::QuantizeI16 => self.quantize_i16(&defaults),
            OpCode::DequantizeI16 => self.dequantize_i16(&defaults),
            OpCode::Mean | OpCode::MeanF32 | OpCode::MeanI16 => self.mean(code, &defaults),
            OpCode::ArgMinMax | OpCode::ArgMinMaxF32 => self.arg_min_max(code, &defaults),
            OpCode::TopK | OpCode::TopKF32 => self.top_k(code, &defaults),
            OpCode::DetectionsF32 => self.detections(),
            OpCode::TransformBilinearF32 => self.transform_bilinear(&defaults),
            OpCode::LandmarksToTransformF32 => self.landmarks_to_transform(),
            OpCode::MaxPoolIndices2dF32 => self.max_pool_indices(&defaults),
            OpCode::MaxUnpool2dF32 => self.max_unpool(&defaults),
            OpCode::SignalWindow | OpCode::SignalFftAutoScale | OpCode::SignalRfft | OpCode::SignalEnergy => {
                self.spectrum(code, &defaults)
            }
            OpCode::SignalFilterBank => self.filter_bank(),
            OpCode::SignalNoiseEstimate
            | OpCode::SignalSpectralSubtraction
            | OpCode::SignalPcan
            | OpCode::SignalLog => self.signal_channels(code, &defaults),
            OpCode::Concat => self.concat(&defaults),
            OpCode::StridedSlice => self.strided_slice(&defaults),
            OpCode::Transpose => self.transpose(&defaults),
            OpCode::ResizeBilinear | OpCode::ResizeBilinearF32 => self.resize_bilinear(code, &defaults),
            OpCode::ResizeNearest => self.resize_nearest(&defaults),
            OpCode::Quantize => self.quantize_f32(&defaults),
            OpCode::Dequantize => self.dequantize(&defaults),
            OpCode::Svdf => self.svdf(&defaults),
            OpCode::Copy => self.copy(&defaults),
            OpCode::Cast => self.cast(&defaults),
            OpCode::RescaleI32 => self.rescale_i32(&defaults),
            OpCode::L2Norm => self.l2_norm(&defaults),
        };
        let output = if code == OpCode::Copy && self.choose.one_in(3) {
            self.state(dtype, &out)
        } else {
            self.arena(dtype, &out)
        };
        let mut operator = operator;
        if self.choose.one_in(16) {
            let mut attrs = operator.emit();
            attrs[self.choose.below(15) as usize] = self.choose.odd();
            operator = Operator::parse(code, &attrs).unwrap_or(operator);
        }
        let operands = Operands {
            inputs: core::array::from_fn(|k| inputs.get(k).copied().flatten().map(|i| self.get(i))),
            count: inputs.len(),
            output: self.parts.values[output],
        };
        let work = match operator.check(&operands) {
            Ok(work) => work,
            Err(_) if self.choose.one_in(16) => ANY_WORK,
            Err(_) => {
                // Nothing would write it: take it away again.
                self.parts.values.pop();
                return;
            }
        };
        if self.parts.values[output].is_arena() && self.choose.one_in(if self.grouped { 5 } else { 2 }) {
            self.outputs.push(output);
        }
        self.steps.push(Step { operator, inputs, output, scratch: None, group: Group::NONE, work });
        let workspace = operator.workspace(&operands);
        let shareable = (0..8).any(|k| operator.row_access(&operands, k).is_some());
        // An operator of a group has no scratch value.
        if self.grouped && !self.choose.one_in(6) {
            return;
        }
        if self.choose.one_in(if shareable { 2 } else { 8 }) || (workspace.is_some() && !self.choose.one_in(16)) {
            let rows = if self.choose.one_in(16) { work.rows } else { 1 + self.choose.below(work.rows.min(4)) };
            let rows = work.row_bytes.saturating_mul(rows);
            let scratch = self.arena(DType::U8, &[workspace.map_or(rows, |workspace| workspace.len)]);
            self.steps.last_mut().unwrap().scratch = Some(scratch);
        }
    }

    /// Up to four positions: any integers, or such that caches and tables have them.
    fn positions(&mut self) -> Ref {
        let count = self.size(4);
        if self.choose.one_in(2) {
            let bytes = (0..count).flat_map(|_| self.choose.between(-1, 6).to_le_bytes()).collect();
            return self.constant_of(DType::I32, &[count], bytes);
        }
        self.operand(&[DType::I32], |v| v.len <= 16 && !v.is_state(), &[count])
    }

    /// Other dimensions of the same product.
    fn other_dims(&mut self, shape: &Shape) -> Vec<u32> {
        let len = shape.elements().unwrap();
        match self.choose.below(3) {
            0 => vec![len],
            1 => vec![len, 1, 1],
            _ => {
                let divisors: Vec<u32> = (1..=len.clamp(1, 64)).filter(|d| len.is_multiple_of(*d)).collect();
                let d = self.choose.pick(&divisors);
                vec![1, len / d, 1, d]
            }
        }
    }

    /// Adds another view of a value.
    fn view(&mut self) {
        if self.parts.values.is_empty() {
            return;
        }
        let i = self.choose.below(self.parts.values.len() as u32) as usize;
        let base = self.parts.values[i];
        let is_scratch = self.steps.iter().any(|s| s.scratch == Some(i));
        if base.alias.is_some() || is_scratch {
            return;
        }
        let dims = self.other_dims(&base.shape);
        let view = value(base.place, base.dtype, &dims, 0, (0, 0));
        let view = Value { quantization: base.quantization, alias: Some(i as u16), ..view };
        self.parts.values.push(view);
        if self.choose.one_in(4) {
            self.outputs.push(self.parts.values.len() - 1);
        }
    }

    /// The finished parts, in the order of a file.
    fn finish(self) -> Parts {
        let Self { mut parts, steps, inputs, outputs, constants, .. } = self;
        let constants = constants.len();
        let index = |r: Ref| match r {
            Ref::Constant(i) => i as u16,
            Ref::Value(i) => (constants + i) as u16,
        };
        for v in &mut parts.values {
            v.alias = v.alias.map(|i| i.wrapping_add(constants as u16));
        }
        for step in &steps {
            let inputs: Vec<Option<u16>> = step.inputs.iter().map(|i| i.map(index)).collect();
            let scratch = step.scratch.map(|i| index(Ref::Value(i)));
            let mut op = Op::new(step.operator, &inputs, index(Ref::Value(step.output)), &step.work);
            if !step.group.is_none() {
                op = op.in_group(step.group, &step.work, &parts.values[step.output]);
            }
            parts.ops.push(scratch.map_or(op, |scratch| op.with_scratch(scratch, &step.work)));
        }
        parts.outputs = outputs.into_iter().map(|i| index(Ref::Value(i))).collect();
        let inputs: Vec<u16> = inputs.into_iter().map(|i| index(Ref::Value(i))).collect();
        parts.arranged(&inputs)
    }
}
