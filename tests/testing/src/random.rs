//! Random, nearly valid plans: every operator with random attributes, shapes, lives and memory.
//!
//! The builder makes choices from a string of bytes, so a fuzzer's mutations and a property test's shrinking both work on
//! plans. An operator is built by its rule, with odd values here and there; one whose operands do not suit it is mostly
//! dropped, so that the others are reached. Lives are then computed and memory is planned with reuse and overlap, and at
//! last some field may be broken.

use crate::build::{Parts, value};
use tealight_format::ops::{
    AddSub, AttentionF32, BatchMatMulF32, BinaryF32, BlockType, Concat, Conv2d, Conv2dF32, ConvTranspose2dF32, Copy,
    DepthwiseConv2d, DepthwiseConv2dF32, Dequantize, FullyConnected, FullyConnectedBlock, FullyConnectedF32,
    GatherBlock, GatherF32, GruF32, LayerNormF32, Lookup, LstmF32, Mean, MeanF32, Mul, Pad, Pool2d, Pool2dF32,
    Positions, Quantize, ResizeNearest, RmsNormF32, RopeF32, Softmax, SoftmaxF32, StridedSlice, Svdf, Transpose,
    UnaryF32, UnaryFunction,
};
use tealight_format::{DType, Kind, MAX_RANK, Op, OpCode, Operands, Operator, Place, Shape, Value, Work, align16};

/// Choices, from bytes; zeros when they have run out.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// From 0 to `n - 1`; 0 for `n` = 0.
    pub fn below(&mut self, n: u32) -> u32 {
        let raw = if n <= 256 { u32::from(self.byte()) } else { self.word() };
        raw % n.max(1)
    }

    pub fn between(&mut self, from: i32, to: i32) -> i32 {
        from + self.below((to - from + 1) as u32) as i32
    }

    /// True in one of `n` cases, and not when the bytes have run out.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }

    pub fn pick<T: core::marker::Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// Numbers at which arithmetic goes wrong.
    pub fn odd(&mut self) -> i32 {
        match self.below(4) {
            0 => self.word() as i32,
            1 => self.pick(&[i32::MIN, i32::MAX, i32::MIN + 1, -1, 0, 1, 2, 255, 256, 65_535, 65_536]),
            2 => 1 << self.below(31),
            _ => self.between(-9, 9),
        }
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        // A few choices spread over many bytes (xorshift64; George Marsaglia, "Xorshift RNGs", 2003).
        let mut state = u64::from(self.word()).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(n.next_multiple_of(8));
        while bytes.len() < n {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes.truncate(n);
        bytes
    }
}

/// For an operator that its operands do not suit.
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
    work: Work,
}

struct Builder<'c, 'b> {
    choose: &'c mut Choices<'b>,
    /// Some sizes are up to so many times as large as usual.
    scale: i32,
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
    let count = choose.between(1, 6);
    let wrong = choose.one_in(4);
    let mut builder = Builder {
        choose,
        scale,
        parts: Parts::default(),
        constants: Vec::new(),
        steps: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    for _ in 0..count {
        let code = builder.choose.pick(OpCode::ALL);
        builder.step(code);
        if builder.choose.one_in(3) {
            builder.view();
        }
    }
    builder.lives();
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

/// The same plan with no two values at the same place.
pub fn apart(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    let mut end = parts.values.iter().filter(|v| v.is_state()).map(Value::end).max().map_or(0, align16) as u32;
    for i in 0..parts.values.len() {
        // A broken alias may be the index that stands for none.
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

/// These dimensions, the largest halved until there are fewer than `count` elements.
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

    /// From 1 to `most`, or, in larger plans, to a multiple of it.
    fn size(&mut self, most: i32) -> u32 {
        let larger = self.scale > 1 && self.choose.one_in(2);
        self.choose.between(1, if larger { most * self.scale } else { most }) as u32
    }

    fn dims(&mut self, rank: usize, most: i32) -> Vec<u32> {
        at_most(4096, (0..rank).map(|_| self.size(most)).collect())
    }

    fn any_dims(&mut self) -> Vec<u32> {
        let rank = self.choose.below(7) as usize;
        let most = if rank > 4 { 3 } else { 5 };
        self.dims(rank, most)
    }

    fn image(&mut self) -> Vec<u32> {
        let channels = self.size(9);
        let mut dims = self.dims(3, 7);
        dims[0] = self.choose.pick(&[1, 1, 1, 2, 3]);
        dims.push(channels);
        at_most(8192, dims)
    }

    fn quantize(&mut self, mut v: Value) -> Value {
        if v.dtype.is_8_bit() {
            v.scale = self.choose.pick(&[1.0, 0.5, 0.007, 1e-30, 1e30]);
            v.zero_point = i32::from(self.choose.byte()) - if v.dtype == DType::I8 { 128 } else { 0 };
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

    /// A value of these types, with elements, that fits, if there is one and the choice falls on it; else a new one of dimensions `dims`.
    fn operand(&mut self, dtypes: &[DType], fits: impl Fn(&Value) -> bool, dims: &[u32]) -> Ref {
        let found: Vec<usize> = (0..self.parts.values.len())
            .filter(|&i| {
                let v = &self.parts.values[i];
                v.len > 0 && dtypes.contains(&v.dtype) && fits(v)
            })
            .collect();
        if !found.is_empty() && !self.choose.one_in(4) {
            // The latest make chains, in which memory is handed on.
            let back = self.choose.below(found.len().min(3) as u32) as usize;
            return Ref::Value(found[found.len() - 1 - back]);
        }
        let dtype = self.choose.pick(dtypes);
        match self.choose.below(8) {
            0 => self.constant(dtype, dims),
            1 => Ref::Value(self.state(dtype, dims)),
            _ => {
                let i = self.arena(dtype, dims);
                self.inputs.push(i);
                Ref::Value(i)
            }
        }
    }

    fn activation(&mut self) -> [i32; 2] {
        let (a, b) = (self.choose.between(-128, 127), self.choose.between(-128, 127));
        if self.choose.one_in(3) { [a.min(b), a.max(b)] } else { [-128, 127] }
    }

    fn real_activation(&mut self) -> [f32; 2] {
        match self.choose.below(4) {
            0 => [0.0, f32::INFINITY],
            1 => [0.0, 6.0],
            2 => [self.choose.odd(), self.choose.odd()].map(|word| f32::from_bits(word as u32)),
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// Weights of an f32 layer, stored as F32 or F16.
    fn real_weights(&mut self, dims: &[u32]) -> Ref {
        let dtype = self.choose.pick(&[DType::F32, DType::F32, DType::F16]);
        self.constant(dtype, dims)
    }

    /// A bias of `count` reals, or none.
    fn real_bias(&mut self, count: u32) -> Option<Ref> {
        if self.choose.one_in(3) { None } else { Some(self.constant(DType::F32, &[count])) }
    }

    fn multiplier(&mut self) -> [i32; 2] {
        let multiplier =
            if self.choose.one_in(4) { self.choose.odd().max(0) } else { (self.choose.word() >> 1) as i32 };
        let shift = if self.choose.one_in(4) { self.choose.between(-31, 30) } else { self.choose.between(-9, 1) };
        [multiplier, shift]
    }

    fn channels(&mut self, count: u32) -> Ref {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let bias = if self.choose.one_in(8) { self.choose.odd() } else { self.choose.between(-999, 999) };
            let [multiplier, shift] = self.multiplier();
            for word in [bias, multiplier, shift] {
                bytes.extend(word.to_le_bytes());
            }
        }
        let table = self.constant_of(DType::I32, &[count, 3], bytes);
        if let Some(last) = self.constants.last_mut() {
            last.kind = Kind::Channels;
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
        let most = (i64::from(input) + i64::from(pad) - 1) / i64::from(stride) + 1;
        let output = self.choose.between(1, most.min(9) as i32) as u32;
        ([stride, dilation, pad], output)
    }

    /// Adds one operator, if its operands suit it (or, seldom, all the same).
    fn step(&mut self, code: OpCode) {
        const I8: &[DType] = &[DType::I8];
        const BYTES: &[DType] = &[DType::I8, DType::U8];
        const ALL: &[DType] = &[DType::I8, DType::U8, DType::I16, DType::I32, DType::F32];
        const F32: &[DType] = &[DType::F32];
        let dims = self.any_dims();
        let image = self.image();
        let is_image = |v: &Value| v.shape.rank() == 4 && v.shape.elements().unwrap() < 4096;
        let small = |v: &Value| v.shape.elements().unwrap() < 4096;
        let (operator, inputs, dtype, out) = match code {
            OpCode::Conv2d | OpCode::DepthwiseConv2d | OpCode::Conv2dF32 | OpCode::DepthwiseConv2dF32 => {
                let real = matches!(code, OpCode::Conv2dF32 | OpCode::DepthwiseConv2dF32);
                let kinds = if real { F32 } else { I8 };
                let x = self.operand(kinds, is_image, &image);
                let s = self.get(x).shape;
                let (kh, kw) = (self.size(4), self.size(4));
                let (v, oh) = self.window(s.dim(1), kh, true);
                let (h, ow) = self.window(s.dim(2), kw, true);
                let (stride, dilation, pad) = ([v[0], h[0]], [v[1], h[1]], [v[2], h[2]]);
                let attrs = Conv2d { stride, dilation, pad, activation: self.activation() };
                let real_attrs = Conv2dF32 { stride, dilation, pad, activation: self.real_activation() };
                let many = self.size(5);
                let (operator, o, weights) = if matches!(code, OpCode::Conv2d | OpCode::Conv2dF32) {
                    let divisors: Vec<u32> = (1..=s.dim(3)).filter(|d| s.dim(3).is_multiple_of(*d)).collect();
                    let groups = if self.choose.one_in(2) { self.choose.pick(&divisors) } else { 1 };
                    let o = groups * many;
                    let operator = if real { Operator::Conv2dF32(real_attrs) } else { Operator::Conv2d(attrs) };
                    (operator, o, [o, kh, kw, s.dim(3) / groups])
                } else {
                    let many = if self.choose.one_in(2) { many } else { 1 };
                    let o = s.dim(3) * many;
                    let operator = if real {
                        Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(real_attrs))
                    } else {
                        Operator::DepthwiseConv2d(DepthwiseConv2d(attrs))
                    };
                    (operator, o, [1, kh, kw, o])
                };
                let w = if real { self.real_weights(&weights) } else { self.constant(DType::I8, &weights) };
                let c = if real { self.real_bias(o) } else { Some(self.channels(o)) };
                (operator, vec![Some(x), Some(w), c], kinds[0], vec![s.dim(0), oh, ow, o])
            }
            OpCode::FullyConnected => {
                let x = self.operand(I8, small, &dims);
                let len = self.get(x).len;
                let divisors: Vec<u32> = (1..=len.min(128)).filter(|d| len.is_multiple_of(*d)).collect();
                let depth = self.choose.pick(&divisors);
                let units = self.size(9);
                let attrs = FullyConnected {
                    weights_zero_point: self.choose.pick(&[0, 0, 3, -128, 127]),
                    activation: self.activation(),
                };
                let w = self.constant(DType::I8, &[units, depth]);
                let c = self.channels(units);
                (Operator::FullyConnected(attrs), vec![Some(x), Some(w), Some(c)], DType::I8, vec![len / depth, units])
            }
            OpCode::FullyConnectedF32 => {
                let x = self.operand(F32, small, &dims);
                let len = self.get(x).len / 4;
                let divisors: Vec<u32> = (1..=len.min(128)).filter(|d| len.is_multiple_of(*d)).collect();
                let depth = self.choose.pick(&divisors);
                let units = self.size(9);
                let attrs = FullyConnectedF32 { activation: self.real_activation() };
                let w = self.real_weights(&[units, depth]);
                let bias = self.real_bias(units);
                (Operator::FullyConnectedF32(attrs), vec![Some(x), Some(w), bias], DType::F32, vec![len / depth, units])
            }
            OpCode::FullyConnectedBlock => {
                let block = self.choose.pick(BlockType::ALL);
                let (batches, blocks) = (self.choose.between(1, 3) as u32, self.size(3));
                let depth = blocks * block.elements();
                let x = self.operand(F32, |v| small(v) && (v.len / 4).is_multiple_of(depth), &[batches, depth]);
                let units = self.size(5);
                let attrs = FullyConnectedBlock { block: block as i32, activation: self.real_activation() };
                let w = self.constant(DType::U8, &[units, blocks * block.bytes()]);
                let bias = self.real_bias(units);
                let out = vec![self.get(x).len / 4 / depth, units];
                (Operator::FullyConnectedBlock(attrs), vec![Some(x), Some(w), bias], DType::F32, out)
            }
            OpCode::AvgPool2d | OpCode::MaxPool2d | OpCode::AvgPool2dF32 | OpCode::MaxPool2dF32 => {
                let real = matches!(code, OpCode::AvgPool2dF32 | OpCode::MaxPool2dF32);
                let kinds = if real { F32 } else { I8 };
                let x = self.operand(kinds, is_image, &image);
                let s = self.get(x).shape;
                let mut window = [(); 2].map(|()| self.size(4) as i32);
                if self.choose.one_in(8) {
                    window = [(); 2].map(|()| self.choose.odd().clamp(1, 1 << 24));
                }
                let (v, oh) = self.window(s.dim(1), window[0] as u32, false);
                let (h, ow) = self.window(s.dim(2), window[1] as u32, false);
                let (stride, pad) = ([v[0], h[0]], [v[2], h[2]]);
                let attrs = Pool2d { window, stride, pad, activation: self.activation() };
                let real_attrs = Pool2dF32 { window, stride, pad, activation: self.real_activation() };
                let operator = match code {
                    OpCode::AvgPool2d => Operator::AvgPool2d(attrs),
                    OpCode::MaxPool2d => Operator::MaxPool2d(attrs),
                    OpCode::AvgPool2dF32 => Operator::AvgPool2dF32(real_attrs),
                    _ => Operator::MaxPool2dF32(real_attrs),
                };
                (operator, vec![Some(x)], kinds[0], vec![s.dim(0), oh, ow, s.dim(3)])
            }
            OpCode::ConvTranspose2dF32 => {
                let x = self.operand(F32, is_image, &image);
                let s = self.get(x).shape;
                let (kh, kw) = (self.size(4), self.size(4));
                let mut pair = |most| [(); 2].map(|()| self.choose.between(1, most));
                let (stride, dilation, out) = (pair(3), pair(3), pair(9).map(|side| side as u32));
                let pad = [(); 2].map(|()| self.choose.between(0, 4));
                let activation = self.real_activation();
                let divisors: Vec<u32> = (1..=s.dim(3)).filter(|d| s.dim(3).is_multiple_of(*d)).collect();
                let groups = if self.choose.one_in(2) { self.choose.pick(&divisors) } else { 1 };
                let o = groups * self.size(4);
                let w = self.real_weights(&[o, kh, kw, s.dim(3) / groups]);
                let bias = self.real_bias(o);
                let attrs = ConvTranspose2dF32 { stride, dilation, pad, activation };
                let out = vec![s.dim(0), out[0], out[1], o];
                (Operator::ConvTranspose2dF32(attrs), vec![Some(x), Some(w), bias], DType::F32, out)
            }
            OpCode::LstmF32 | OpCode::GruF32 => {
                let x = self.operand(F32, small, &dims);
                let len = self.get(x).len / 4;
                let divisors: Vec<u32> = (1..=len).filter(|d| len.is_multiple_of(*d) && len / d < 5).collect();
                let depth = self.choose.pick(&divisors);
                let (batches, units) = (len / depth, self.size(6));
                let gates = if code == OpCode::LstmF32 { 4 } else { 3 };
                let w = self.real_weights(&[gates * units, depth]);
                // Sometimes of the other type, which is refused.
                let kind = self.get(w).dtype;
                let kind = if self.choose.one_in(16) { DType::F32 } else { kind };
                let recurrent = self.constant(kind, &[gates * units, units]);
                let bias = self.real_bias(gates * units);
                let out = [batches, units];
                let hidden = if self.choose.one_in(2) {
                    Ref::Value(self.state(DType::F32, &out))
                } else {
                    let wanted = batches * units * 4;
                    self.operand(F32, |v| v.len == wanted, &out)
                };
                let (operator, fourth) = if code == OpCode::LstmF32 {
                    // Sometimes the state that it reads besides, which is refused.
                    let cell = match hidden {
                        Ref::Value(i) if self.parts.values[i].is_state() && self.choose.one_in(16) => hidden,
                        _ => Ref::Value(self.state(DType::F32, &out)),
                    };
                    (Operator::LstmF32(LstmF32), Some(cell))
                } else {
                    (Operator::GruF32(GruF32), self.real_bias(gates * units))
                };
                let inputs = vec![Some(x), Some(w), Some(recurrent), bias, fourth, Some(hidden)];
                (operator, inputs, DType::F32, out.to_vec())
            }
            OpCode::Add
            | OpCode::Sub
            | OpCode::Mul
            | OpCode::AddF32
            | OpCode::SubF32
            | OpCode::MulF32
            | OpCode::DivF32
            | OpCode::MinimumF32
            | OpCode::MaximumF32 => {
                let kinds = if matches!(code, OpCode::Add | OpCode::Sub | OpCode::Mul) { I8 } else { F32 };
                let a = self.operand(kinds, small, &dims);
                let mut out = self.get(a).shape.dims().to_vec();
                let mut other = out.clone();
                for (o, d) in other.iter_mut().zip(&mut out) {
                    match self.choose.below(8) {
                        0 => *o = 1,
                        1 if *d == 1 => (*d, *o) = (3, 3),
                        _ => {}
                    }
                }
                if self.choose.one_in(4) && !other.is_empty() {
                    other.remove(0);
                }
                let wanted = Shape::new(&other).unwrap();
                let b = self.operand(kinds, |v| v.shape.is(&wanted), &other);
                let activation = self.activation();
                let real_attrs = BinaryF32 { activation: self.real_activation() };
                let operator = if code == OpCode::Mul {
                    Operator::Mul(Mul { output: self.multiplier(), activation })
                } else if kinds == F32 {
                    match code {
                        OpCode::AddF32 => Operator::AddF32(real_attrs),
                        OpCode::SubF32 => Operator::SubF32(real_attrs),
                        OpCode::DivF32 => Operator::DivF32(real_attrs),
                        OpCode::MinimumF32 => Operator::MinimumF32(real_attrs),
                        OpCode::MaximumF32 => Operator::MaximumF32(real_attrs),
                        _ => Operator::MulF32(real_attrs),
                    }
                } else {
                    let (mut a, mut b) = (self.multiplier(), self.multiplier());
                    (a[1], b[1]) = (a[1].min(0), b[1].min(0));
                    let left_shift = self.choose.between(0, 22);
                    let attrs = AddSub { left_shift, a, b, output: self.multiplier(), activation };
                    if code == OpCode::Add { Operator::Add(attrs) } else { Operator::Sub(attrs) }
                };
                let inputs = if self.choose.one_in(2) { vec![Some(a), Some(b)] } else { vec![Some(b), Some(a)] };
                (operator, inputs, kinds[0], out)
            }
            OpCode::SoftmaxF32 => {
                let x = self.operand(F32, small, &dims);
                let attrs = SoftmaxF32 { beta: self.choose.pick(&[1.0, 0.0, 0.5, 1e30]) };
                (Operator::SoftmaxF32(attrs), vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
            }
            OpCode::UnaryF32 => {
                let x = self.operand(F32, small, &dims);
                let function = self.choose.pick(UnaryFunction::ALL);
                let parameters = match function {
                    UnaryFunction::Clamp => self.real_activation(),
                    UnaryFunction::LeakyRelu | UnaryFunction::Elu => [self.choose.pick(&[0.1, 1.0, -2.0, 0.0]), 0.0],
                    _ => [0.0; 2],
                };
                let attrs = UnaryF32 { function: function as i32, parameters };
                (Operator::UnaryF32(attrs), vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
            }
            OpCode::BatchMatMulF32 => {
                let matrix = |v: &Value| small(v) && (2..=4).contains(&v.shape.rank());
                let rank = 2 + self.choose.below(3) as usize;
                let dims = self.dims(rank, 4);
                let a = self.operand(F32, matrix, &dims);
                let mut out = self.get(a).shape.dims().to_vec();
                let [transpose_a, transpose_b] = [(); 2].map(|()| self.choose.between(0, 1));
                let columns = self.size(5);
                let (stored, inner) = (out.split_off(out.len() - 2), 1 - transpose_a as usize);
                let mut other = if self.choose.one_in(2) { out.clone() } else { Vec::new() };
                other.extend(if transpose_b == 1 { [columns, stored[inner]] } else { [stored[inner], columns] });
                out.extend([stored[1 - inner], columns]);
                let wanted = Shape::new(&other).unwrap();
                let b = self.operand(F32, |v| v.shape.is(&wanted), &other);
                let attrs = BatchMatMulF32 { transpose_a, transpose_b };
                (Operator::BatchMatMulF32(attrs), vec![Some(a), Some(b)], DType::F32, out)
            }
            OpCode::LayerNormF32 | OpCode::RmsNormF32 => {
                let x = self.operand(F32, small, &dims);
                let out = self.get(x).shape.dims().to_vec();
                let depth = *out.last().unwrap_or(&1);
                let weight = self.constant(DType::F32, &[depth]);
                let epsilon = self.choose.pick(&[1e-5, 0.0, 1e-30, 1e30]);
                if code == OpCode::RmsNormF32 {
                    (Operator::RmsNormF32(RmsNormF32 { epsilon }), vec![Some(x), Some(weight)], DType::F32, out)
                } else {
                    let inputs = vec![Some(x), Some(weight), self.real_bias(depth)];
                    (Operator::LayerNormF32(LayerNormF32 { epsilon }), inputs, DType::F32, out)
                }
            }
            OpCode::Positions => {
                let state = self.state(DType::I32, &[1]);
                let capacity = if self.choose.one_in(4) { self.choose.odd().max(1) } else { self.choose.between(1, 6) };
                let out = vec![self.choose.between(1, 4) as u32];
                (Operator::Positions(Positions { capacity }), vec![Some(Ref::Value(state))], DType::I32, out)
            }
            OpCode::RopeF32 => {
                let positions = self.positions();
                let count = self.get(positions).shape.elements().unwrap();
                let (heads, points) = (self.choose.between(1, 3) as u32, self.size(4));
                let mut dims = vec![count, heads, 2 * points];
                if self.choose.one_in(4) {
                    dims.insert(0, 2);
                }
                let wanted = Shape::new(&dims).unwrap();
                let x = self.operand(F32, |v| v.shape.is(&wanted), &dims);
                let length = self.choose.between(1, 6) as u32;
                let [cos, sin] = [(); 2].map(|()| self.constant(DType::F32, &[length, points]));
                let attrs = RopeF32 { heads: heads as i32, interleaved: self.choose.between(0, 1) };
                (Operator::RopeF32(attrs), vec![Some(x), Some(cos), Some(sin), Some(positions)], DType::F32, dims)
            }
            OpCode::AttentionF32 => {
                let positions = self.positions();
                let count = self.get(positions).shape.elements().unwrap();
                let [kv_heads, group, depth] = [3, 3, 4].map(|most| self.size(most));
                let capacity = self.size(6);
                let mut part = |heads: u32| {
                    let dims = [count, heads, depth];
                    let len = dims.iter().product::<u32>() * 4;
                    self.operand(F32, |v| v.len == len && !v.is_state(), &dims)
                };
                let [queries, keys, values] = [kv_heads * group, kv_heads, kv_heads].map(&mut part);
                let state = self.state(DType::F32, &[2, capacity, kv_heads, depth]);
                let scale = self.choose.pick(&[1.0, 0.5, 0.0, -1e30]);
                let attrs = AttentionF32 { heads: (kv_heads * group) as i32, kv_heads: kv_heads as i32, scale };
                let inputs = [queries, keys, values, positions, Ref::Value(state)].map(Some).to_vec();
                (Operator::AttentionF32(attrs), inputs, DType::F32, vec![count, kv_heads * group, depth])
            }
            OpCode::GatherF32 | OpCode::GatherBlock => {
                let indices = self.operand(&[DType::I32], |v| v.len <= 64, &dims);
                let mut out = vec![self.get(indices).shape.elements().unwrap()];
                let rows = self.choose.between(1, 5) as u32;
                if code == OpCode::GatherF32 {
                    let len = self.size(6);
                    out.push(len);
                    let table = self.real_weights(&[rows, len]);
                    (Operator::GatherF32(GatherF32), vec![Some(indices), Some(table)], DType::F32, out)
                } else {
                    let block = self.choose.pick(BlockType::ALL);
                    let blocks = self.size(2);
                    out.push(blocks * block.elements());
                    let table = self.constant(DType::U8, &[rows, blocks * block.bytes()]);
                    let operator = Operator::GatherBlock(GatherBlock { block: block as i32 });
                    (operator, vec![Some(indices), Some(table)], DType::F32, out)
                }
            }
            OpCode::Softmax => {
                // A row whose sum of exponentials wraps, now and then.
                let dims = if self.choose.one_in(8) { vec![9000] } else { dims };
                let x = self.operand(I8, |v| v.len < 20_000, &dims);
                let attrs = Softmax {
                    input_multiplier: self.multiplier()[0],
                    input_left_shift: self.choose.between(0, 31),
                    diff_min: -self.choose.between(0, 255),
                };
                (Operator::Softmax(attrs), vec![Some(x)], DType::I8, self.get(x).shape.dims().to_vec())
            }
            OpCode::Lookup => {
                let x = self.operand(BYTES, small, &dims);
                let table = self.constant(DType::U8, &[256]);
                let attrs = Lookup { function: self.choose.between(0, 6) };
                let dtype = self.choose.pick(BYTES);
                (Operator::Lookup(attrs), vec![Some(x), Some(table)], dtype, self.get(x).shape.dims().to_vec())
            }
            OpCode::Pad => {
                let x = self.operand(ALL, small, &dims);
                let mut out = self.get(x).shape.dims().to_vec();
                let mut before = [0; MAX_RANK];
                for (dim, before) in out.iter_mut().zip(&mut before) {
                    *before = self.choose.between(0, 2);
                    *dim += *before as u32 + self.choose.below(3);
                }
                let attrs = Pad { before, value: self.choose.odd() };
                (Operator::Pad(attrs), vec![Some(x)], self.get(x).dtype, out)
            }
            OpCode::Mean | OpCode::MeanF32 => {
                let kinds = if code == OpCode::Mean { I8 } else { F32 };
                let x = self.operand(kinds, small, &dims);
                let s = self.get(x).shape;
                let reduced = self.choose.below(1 << s.rank()) as i32;
                let keep = self.choose.one_in(2);
                let mut out = Vec::new();
                for (i, &dim) in s.dims().iter().enumerate() {
                    match reduced >> i & 1 {
                        0 => out.push(dim),
                        _ if keep => out.push(1),
                        _ => {}
                    }
                }
                let operator = if code == OpCode::Mean {
                    Operator::Mean(Mean { reduced, output: self.multiplier() })
                } else {
                    Operator::MeanF32(MeanF32 { reduced })
                };
                (operator, vec![Some(x)], kinds[0], out)
            }
            OpCode::Concat => {
                let a = self.operand(ALL, |v| small(v) && v.shape.rank() > 0, &image);
                let first = self.get(a);
                let axis = self.choose.below(first.shape.rank() as u32) as usize;
                let mut out = first.shape.dims().to_vec();
                let mut inputs = vec![Some(a)];
                for _ in 0..self.choose.below(4) {
                    let mut dims = first.shape.dims().to_vec();
                    dims[axis] = self.choose.between(1, 3) as u32;
                    let fits = |v: &Value| {
                        v.shape.rank() == dims.len() && (0..dims.len()).all(|i| i == axis || v.shape.dim(i) == dims[i])
                    };
                    let b = self.operand(&[first.dtype], |v| small(v) && fits(v), &dims);
                    out[axis] += self.get(b).shape.dim(axis);
                    inputs.push(Some(b));
                }
                (Operator::Concat(Concat { axis: axis as i32 }), inputs, first.dtype, out)
            }
            OpCode::StridedSlice => {
                let x = self.operand(ALL, small, &dims);
                let mut out = self.get(x).shape.dims().to_vec();
                let (mut begin, mut stride) = ([0; MAX_RANK], [1i32; MAX_RANK]);
                for ((dim, begin), stride) in out.iter_mut().zip(&mut begin).zip(&mut stride) {
                    *begin = self.choose.below(*dim) as i32;
                    *stride = self.choose.pick(&[1, 1, 2, -1, -2, 3]);
                    let room = if *stride > 0 { *dim as i32 - 1 - *begin } else { *begin };
                    *dim = self.choose.between(1, room / stride.abs() + 1) as u32;
                    if *dim == 1 && self.choose.one_in(8) {
                        *stride = self.choose.odd();
                    }
                }
                (Operator::StridedSlice(StridedSlice { begin, stride }), vec![Some(x)], self.get(x).dtype, out)
            }
            OpCode::Transpose => {
                let x = self.operand(ALL, small, &dims);
                let s = self.get(x).shape;
                let mut perm = [0, 1, 2, 3, 4, 5];
                for i in (1..s.rank()).rev() {
                    perm.swap(i, self.choose.below(i as u32 + 1) as usize);
                }
                let out = perm[..s.rank()].iter().map(|&from| s.dim(from as usize)).collect();
                (Operator::Transpose(Transpose { perm }), vec![Some(x)], self.get(x).dtype, out)
            }
            OpCode::ResizeNearest => {
                let x = self.operand(ALL, is_image, &image);
                let s = self.get(x).shape;
                let attrs = ResizeNearest {
                    align_corners: self.choose.between(0, 1),
                    half_pixel_centers: self.choose.between(0, 1),
                };
                let size = self.dims(2, 12);
                let out = vec![s.dim(0), size[0], size[1], s.dim(3)];
                (Operator::ResizeNearest(attrs), vec![Some(x)], self.get(x).dtype, out)
            }
            OpCode::Quantize => {
                let x = self.operand(F32, small, &dims);
                let dtype = self.choose.pick(BYTES);
                (Operator::Quantize(Quantize), vec![Some(x)], dtype, self.get(x).shape.dims().to_vec())
            }
            OpCode::Dequantize => {
                let x = self.operand(BYTES, small, &dims);
                (Operator::Dequantize(Dequantize), vec![Some(x)], DType::F32, self.get(x).shape.dims().to_vec())
            }
            OpCode::Svdf => {
                let x = self.operand(I8, |v| small(v) && !v.is_state(), &dims);
                let len = self.get(x).len;
                let divisors: Vec<u32> = (1..=len).filter(|d| len.is_multiple_of(*d) && len / d < 5).collect();
                let depth = self.choose.pick(&divisors);
                let rank = self.choose.between(1, 3);
                let units = self.choose.between(1, 4) as u32;
                let memory = self.size(5);
                let filters = units * rank as u32;
                let kind = self.choose.pick(&[DType::I16, DType::I8]);
                let feature = self.constant(DType::I8, &[filters, depth]);
                let time = self.constant(kind, &[filters, memory]);
                let bias = if self.choose.one_in(2) { Some(self.constant(DType::I32, &[units])) } else { None };
                let batches = len / depth;
                let state = self.state(kind, &[batches, filters, memory]);
                let attrs =
                    Svdf { rank, feature: self.multiplier(), output: self.multiplier(), activation: self.activation() };
                let inputs = vec![Some(x), Some(feature), Some(time), bias, Some(Ref::Value(state))];
                (Operator::Svdf(attrs), inputs, DType::I8, vec![batches, units])
            }
            OpCode::Copy => {
                let x = self.operand(ALL, small, &dims);
                let v = self.get(x);
                let out = if self.choose.one_in(2) { v.shape.dims().to_vec() } else { self.other_dims(&v.shape) };
                (Operator::Copy(Copy), vec![Some(x)], v.dtype, out)
            }
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
            operator = Operator::parse(code, &attrs);
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
        if self.parts.values[output].is_arena() && self.choose.one_in(2) {
            self.outputs.push(output);
        }
        self.steps.push(Step { operator, inputs, output, scratch: None, work });
        let workspace = operator.workspace(&operands);
        let shareable = (0..8).any(|k| operator.row_access(&operands, k).is_some());
        if self.choose.one_in(if shareable { 2 } else { 8 }) || (workspace.is_some() && !self.choose.one_in(16)) {
            let scratch = self.arena(DType::U8, &[workspace.map_or(work.row_bytes, |workspace| workspace.len)]);
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
        let view = Value { scale: base.scale, zero_point: base.zero_point, alias: Some(i as u16), ..view };
        self.parts.values.push(view);
        if self.choose.one_in(4) {
            self.outputs.push(self.parts.values.len() - 1);
        }
    }

    /// Sets when each value is alive.
    fn lives(&mut self) {
        let ops = self.steps.len() as u16;
        for (at, step) in self.steps.iter().enumerate() {
            for i in [Some(step.output), step.scratch].into_iter().flatten() {
                (self.parts.values[i].first, self.parts.values[i].last) = (at as u16, at as u16);
            }
        }
        for at in 0..self.steps.len() {
            for k in 0..self.steps[at].inputs.len() {
                if let Some(Ref::Value(i)) = self.steps[at].inputs[k] {
                    let base = self.base(i);
                    self.parts.values[base].last = self.parts.values[base].last.max(at as u16);
                }
            }
        }
        for k in 0..self.outputs.len() {
            let base = self.base(self.outputs[k]);
            self.parts.values[base].last = ops;
        }
    }

    /// Gives every value its place: state first, then each value where nothing alive is, or over an input that dies.
    fn memory(&mut self) {
        let mut end = 0;
        for v in self.parts.values.iter_mut().filter(|v| v.is_state() && v.alias.is_none()) {
            v.offset = end;
            end = align16(v.end()) as u32;
        }
        // Room below, for outputs that start before their inputs.
        let base = end + 16 * self.choose.below(40);
        let mut placed: Vec<usize> = Vec::new();
        for k in 0..self.inputs.len() {
            self.place(self.inputs[k], base, &mut placed);
        }
        for at in 0..self.steps.len() {
            let output = self.steps[at].output;
            let sharing = if self.steps[at].scratch.is_some() { self.shared_offset(at, end, &placed) } else { None };
            if let Some(offset) = sharing {
                self.parts.values[output].offset = offset;
                placed.push(output);
            } else if self.parts.values[output].is_arena() {
                self.place(output, base, &mut placed);
            }
            if let Some(scratch) = self.steps[at].scratch {
                self.place(scratch, base, &mut placed);
            }
        }
        for i in 0..self.parts.values.len() {
            self.parts.values[i].offset = self.parts.values[self.base(i)].offset;
        }
    }

    fn free(&self, i: usize, offset: u32, placed: &[usize], besides: Option<usize>) -> bool {
        let a = Value { offset, ..self.parts.values[i] };
        placed.iter().filter(|&&j| Some(j) != besides).all(|&j| {
            let b = self.parts.values[j];
            let together = a.first <= b.last && b.first <= a.last;
            !together || u64::from(a.offset) >= b.end() || u64::from(b.offset) >= a.end()
        })
    }

    fn place(&mut self, i: usize, base: u32, placed: &mut Vec<usize>) {
        let mut offsets: Vec<u32> = placed.iter().map(|&j| align16(self.parts.values[j].end()) as u32).collect();
        offsets.push(base);
        offsets.sort_unstable();
        let free: Vec<u32> = offsets.into_iter().filter(|&offset| self.free(i, offset, placed, None)).collect();
        // The end of the last is always free.
        let which = if self.choose.one_in(4) { free.len() - 1 } else { 0 };
        self.parts.values[i].offset = free[which];
        placed.push(i);
    }

    /// Where the output of step `at` may lie over one of its inputs.
    fn shared_offset(&mut self, at: usize, lowest: u32, placed: &[usize]) -> Option<u32> {
        let first = self.choose.below(3) as usize;
        let step = &self.steps[at];
        let operands = Operands {
            inputs: core::array::from_fn(|k| step.inputs.get(k).copied().flatten().map(|i| self.get(i))),
            count: step.inputs.len(),
            output: self.parts.values[step.output],
        };
        for (k, input) in step.inputs.iter().enumerate().cycle().skip(first).take(step.inputs.len()) {
            let Some(Ref::Value(i)) = *input else { continue };
            let base = self.base(i);
            let v = self.parts.values[base];
            let Some(access) = step.operator.row_access(&operands, k) else { continue };
            if usize::from(v.last) != at || !placed.contains(&base) {
                continue;
            }
            let distance = align16(u64::from(access.distance(&step.work))) as u32;
            let offset = v.offset.checked_sub(distance).filter(|&offset| offset >= lowest);
            if let Some(offset) = offset.filter(|&offset| self.free(step.output, offset, placed, Some(base))) {
                return Some(offset);
            }
        }
        None
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
            let op = Op::new(step.operator, &inputs, index(Ref::Value(step.output)), &step.work);
            parts.ops.push(scratch.map_or(op, |scratch| op.with_scratch(scratch, &step.work)));
        }
        parts.outputs = outputs.into_iter().map(|i| index(Ref::Value(i))).collect();
        let inputs: Vec<u16> = inputs.into_iter().map(|i| index(Ref::Value(i))).collect();
        parts.arranged(&inputs)
    }
}

/// Changes one field of one value, or the order of two.
fn break_value(choose: &mut Choices<'_>, parts: &mut Parts) {
    if parts.values.is_empty() {
        return;
    }
    let i = choose.below(parts.values.len() as u32) as usize;
    let odd = choose.odd();
    let nearer = choose.between(-4, 4) * 16;
    let v = &mut parts.values[i];
    match choose.below(13) {
        0 => v.offset = v.offset.wrapping_add_signed(nearer),
        1 => v.offset = odd as u32 & !15,
        2 => v.first = odd as u16,
        3 => v.last = v.last.wrapping_add(1),
        4 => v.last = odd as u16,
        5 => v.zero_point = odd,
        6 => v.scale = f32::from_bits(odd as u32),
        7 => v.alias = Some(odd as u16),
        8 => v.init = Some(odd as u16),
        9 => v.place = Place::State,
        10 => v.len = odd as u32,
        11 => parts.values.swap(i, 0),
        _ => {
            let dims: Vec<u32> = v.shape.dims().iter().map(|&d| if d == 1 { odd as u32 } else { d }).collect();
            v.shape = Shape::new(&dims).unwrap();
            v.len = v.shape.elements().unwrap_or(1).wrapping_mul(v.dtype.size());
        }
    }
}

/// Changes one field of one operator.
fn break_operator(choose: &mut Choices<'_>, parts: &mut Parts) {
    let at = choose.below(parts.ops.len() as u32) as usize;
    let odd = choose.odd();
    let op = &mut parts.ops[at];
    match choose.below(6) {
        0 => op.rows = odd as u32,
        1 => op.row_cost = odd as u32,
        2 => op.inputs[0] = Some(choose.byte().into()),
        3 => op.scratch = Some(choose.byte().into()),
        4 => op.prepare_cost = odd as u32,
        _ => op.output = choose.byte().into(),
    }
}
