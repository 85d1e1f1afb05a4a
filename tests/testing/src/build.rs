//! Writes small model files by hand, independently of the compiler.

use tealight_format::ops::{
    ActivationRange, AddSub, Conv2d, FullyConnected, FullyConnectedF32, Function, Lookup, Multiplier,
};
use tealight_format::{
    DType, Group, Kind, OP_RECORD, Op, OpSet, Operands, Operator, PLAN_HEADER, Place, PlanHeader, Quantization, Rows,
    Shape, VALUE_RECORD, Value, align16,
};

/// A constant: name, type, dimensions, bytes.
pub type Constant = (&'static str, DType, Vec<u32>, Vec<u8>);

/// The contents of a file, in order. `values` are those after the constants; the first `inputs` of them are the model's
/// inputs.
#[derive(Clone, Default)]
pub struct Parts {
    pub constants: Vec<Constant>,
    pub values: Vec<Value>,
    pub ops: Vec<Op>,
    pub inputs: u16,
    pub outputs: Vec<u16>,
}

pub fn value(place: Place, dtype: DType, dims: &[u32], offset: u32, life: (u16, u16)) -> Value {
    let shape = Shape::new(dims).unwrap();
    let len = dtype.bytes(shape.elements().unwrap()).unwrap();
    let scale = if dtype.is_8_bit() || dtype == DType::I16 { 1.0 } else { 0.0 };
    Value {
        offset,
        quantization: Quantization::new(scale, 0),
        first: life.0,
        last: life.1,
        ..Value::new(place, dtype, shape, len)
    }
}

pub fn arena(dims: &[u32], offset: u32, life: (u16, u16)) -> Value {
    value(Place::Arena, DType::I8, dims, offset, life)
}

/// The kind of a channel table of this shape: rows of four words have biases of 64 bits.
fn channel_kind(channels: &Value) -> Kind {
    if channels.shape.dim(1) == 4 { Kind::WideChannels } else { Kind::Channels }
}

impl Parts {
    fn header(&self) -> PlanHeader {
        PlanHeader {
            constants: self.constants.len() as u32,
            values: (self.constants.len() + self.values.len()) as u32,
            ops: self.ops.len() as u32,
            inputs: self.inputs.into(),
            outputs: self.outputs.len() as u32,
            arena_len: self.values.iter().map(|v| align16(v.end())).max().unwrap_or(0) as u32,
            state_len: self.values.iter().filter(|v| v.is_state()).map(|v| align16(v.end())).max().unwrap_or(0) as u32,
            op_set: self.op_set(),
        }
    }

    /// The requirements of the operators on a runtime.
    fn op_set(&self) -> OpSet {
        let mut set = OpSet::EMPTY;
        if self.values.iter().take(self.inputs.into()).any(|v| v.rows.is_some()) {
            set = set.with_row_input();
        }
        for op in &self.ops {
            set = set.union(OpSet::of(&[op.operator.code()]));
            if !op.group.is_none() {
                set = set.with_groups();
            }
            if let Some(block) = op.operator.block_type() {
                set = set.with_blocks(&[block]);
            }
            let dtype = |k| Some(self.constants.get(usize::from(op.input(k)?))?.1);
            for k in op.operator.weight_inputs() {
                match dtype(k) {
                    Some(DType::F16) => set = set.with_f16(),
                    Some(DType::I8) => set = set.with_i8_weights(),
                    _ => {}
                }
            }
            if dtype(1) == Some(DType::I4) {
                set = set.with_i4_weights();
            }
            if dtype(1) == Some(DType::U8) && matches!(op.operator, Operator::FullyConnected(_)) {
                set = set.with_paired_weights();
            }
        }
        set
    }

    fn all_values(&self) -> Vec<Value> {
        let mut offset = self.header().plan_len() as u32;
        let mut values = Vec::new();
        for (_, dtype, dims, bytes) in &self.constants {
            let mut v = value(Place::Constant, *dtype, dims, offset, (0, 0));
            v.quantization.scale = 0.0;
            values.push(v);
            offset += align16(bytes.len() as u64) as u32;
        }
        for op in &self.ops {
            let channels = op.operator.channels_input().and_then(|k| op.input(k));
            if let Some(v) = channels.and_then(|i| values.get_mut(usize::from(i))) {
                v.kind = channel_kind(v);
            }
        }
        values.extend(&self.values);
        values
    }

    /// Adds an operator with the work of its operands.
    pub fn op(&mut self, operator: Operator, inputs: &[Option<u16>], output: u16, scratch: Option<u16>) {
        let values = self.all_values();
        let mut operands = Operands { inputs: [None; 8], count: inputs.len(), output: values[usize::from(output)] };
        for (to, from) in operands.inputs.iter_mut().zip(inputs) {
            *to = from.map(|i| values[usize::from(i)]);
        }
        if let Some(Some(channels)) = operator.channels_input().map(|k| &mut operands.inputs[k]) {
            channels.kind = channel_kind(channels);
        }
        let work = operator.check(&operands).unwrap();
        let op = Op::new(operator, inputs, output, &work);
        self.ops.push(scratch.map_or(op, |scratch| op.with_scratch(scratch, &work)));
    }

    /// Reorders for a file: constants by name, then `inputs`, state by offset, what operators write, and views.
    pub fn arranged(&self, inputs: &[u16]) -> Self {
        let constants = self.constants.len();
        let value = |i: u16| usize::from(i).checked_sub(constants).and_then(|i| self.values.get(i));
        let of = |wanted: fn(&Value) -> bool| {
            let wanted = move |i: &u16| value(*i).is_some_and(wanted);
            (constants as u16..(constants + self.values.len()) as u16).filter(wanted)
        };
        let mut order: Vec<u16> = (0..constants as u16).collect();
        order.sort_by_key(|&i| self.constants[usize::from(i)].0);
        let mut add = |i: u16| {
            if value(i).is_some() && !order.contains(&i) {
                order.push(i);
            }
        };
        inputs.iter().for_each(|&i| add(i));
        let mut state: Vec<u16> = of(|v| v.is_state() && v.alias.is_none()).collect();
        state.sort_by_key(|&i| value(i).map(|v| v.offset));
        state.into_iter().for_each(&mut add);
        let owns = |i: u16| value(i).is_some_and(|v| v.alias.is_none());
        let written = self.ops.iter().flat_map(|op| [Some(op.output), op.scratch]).flatten();
        written.filter(|&i| owns(i)).for_each(&mut add);
        of(|v| v.alias.is_none()).for_each(&mut add);
        of(|_| true).for_each(&mut add);

        let index = |i: u16| order.iter().position(|&from| from == i).map_or(i, |to| to as u16);
        let moved = |i: &u16| {
            let v = self.values[usize::from(*i) - constants];
            Value { alias: v.alias.map(index), init: v.init.map(index), ..v }
        };
        let op = |op: &Op| Op {
            inputs: op.inputs.map(|i| i.map(index)),
            output: index(op.output),
            scratch: op.scratch.map(index),
            ..*op
        };
        Self {
            constants: order[..constants].iter().map(|&i| self.constants[usize::from(i)].clone()).collect(),
            values: order[constants..].iter().map(moved).collect(),
            ops: self.ops.iter().map(op).collect(),
            inputs: inputs.len() as u16,
            outputs: self.outputs.iter().map(|&i| index(i)).collect(),
        }
    }

    /// The plan tensor.
    pub fn plan(&self) -> Vec<u8> {
        let header = self.header();
        let mut plan = header.emit().to_vec();
        self.all_values().iter().for_each(|v| plan.extend(v.emit()));
        self.ops.iter().for_each(|op| plan.extend(op.emit()));
        self.outputs.iter().for_each(|i| plan.extend(i.to_le_bytes()));
        plan.resize(header.plan_len() as usize, 0);
        plan
    }

    /// The whole file.
    pub fn file(&self) -> Vec<u8> {
        let plan = self.plan();
        let mut data = plan.clone();
        let mut json = format!(
            r#"{{"__metadata__":{{"format":"tealight","name":"by \"hand\""}},"plan":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}"#,
            plan.len()
        );
        for (name, dtype, dims, bytes) in &self.constants {
            let begin = data.len();
            data.extend(bytes);
            data.resize(begin + align16(bytes.len() as u64) as usize, 0);
            let padded = data.len() - begin;
            let stored = dtype.stored();
            let whole = padded == bytes.len() && stored == *dtype;
            let shape = if whole { format!("{dims:?}") } else { format!("[{}]", padded as u32 / dtype.size()) };
            json += &format!(
                r#","{name}":{{"dtype":"{}","shape":{shape},"data_offsets":[{begin},{}]}}"#,
                stored.name(),
                data.len()
            );
        }
        json += "}";
        with_header(&json, &data)
    }
}

/// A safetensors file of this header, padded so that the data is aligned, and this data.
pub fn with_header(json: &str, data: &[u8]) -> Vec<u8> {
    let mut json = json.as_bytes().to_vec();
    json.resize(align16(json.len() as u64 + 8) as usize - 8, b' ');
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend(json);
    file.extend(data);
    file
}

/// Offset of the plan in a file.
pub fn plan_at(file: &[u8]) -> usize {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

/// Offset of value record `i` in a file.
pub fn value_at(file: &[u8], i: usize) -> usize {
    plan_at(file) + PLAN_HEADER + i * VALUE_RECORD
}

/// Offset of operator record `i` in a file with `values` values.
pub fn op_at(file: &[u8], values: usize, i: usize) -> usize {
    value_at(file, values) + i * OP_RECORD
}

/// A ReLU of three int8 values.
pub fn relu() -> Parts {
    let table = (0..=255u8).map(|q| if (q as i8) < 0 { 0 } else { q }).collect();
    let mut parts = Parts {
        constants: vec![("relu.table", DType::U8, vec![256], table)],
        values: vec![arena(&[3], 0, (0, 0)), arena(&[3], 16, (0, 1))],
        inputs: 1,
        outputs: vec![2],
        ..Parts::default()
    };
    parts.op(Operator::Lookup(Lookup { function: Function::Relu }), &[Some(1), Some(0)], 2, None);
    parts
}

/// A 3x3 convolution with a stride of 2 of an 8x4x1 image that comes in rows, of which 3 are in memory, then a ReLU of its 4x2x1
/// output, of which one row is in memory.
pub fn in_rows() -> Parts {
    let table = (0..=255u8).map(|q| if (q as i8) < 0 { 0 } else { q }).collect();
    let channels = [0i32, 1 << 30, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let rows = |v: Value, held, first, step| {
        let len = v.image_row().unwrap_or(0) * held;
        Value { rows: Some(Rows { held, first, step }), len, ..v }
    };
    let mut parts = Parts {
        constants: vec![
            ("conv.channels", DType::I32, vec![1, 3], channels),
            ("conv.weights", DType::I8, vec![1, 3, 3, 1], vec![1; 9]),
            ("relu.table", DType::U8, vec![256], table),
        ],
        values: vec![
            rows(arena(&[1, 8, 4, 1], 0, (0, 0)), 3, 2, 2),
            rows(arena(&[1, 4, 2, 1], 16, (0, 1)), 1, 1, 1),
            rows(arena(&[1, 4, 2, 1], 32, (1, 2)), 4, 1, 1),
        ],
        inputs: 1,
        outputs: vec![5],
        ..Parts::default()
    };
    let conv = Conv2d { stride: [2, 2], dilation: [1, 1], pad: [1, 1], activation: ActivationRange::FULL };
    parts.op(Operator::Conv2d(conv), &[Some(3), Some(1), Some(0)], 4, None);
    parts.op(Operator::Lookup(Lookup { function: Function::Relu }), &[Some(4), Some(2)], 5, None);
    for (before, op) in parts.ops.iter_mut().enumerate() {
        op.group = Group { before: before as u8, after: 1 - before as u8 };
    }
    // Moving at most one row of 2 bytes.
    parts.ops[0].prepare_cost = 30 + 1;
    parts
}

/// A 3x3 convolution of an 8x8x1 image in place (the output starts two rows before the input, with a scratch value), then
/// its sum with a second input, in place.
pub fn overlapping() -> Parts {
    let weights = vec![1u8; 9];
    let channels = [0i32, 1 << 30, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut parts = Parts {
        constants: vec![
            ("conv.channels", DType::I32, vec![1, 3], channels),
            ("conv.weights", DType::I8, vec![1, 3, 3, 1], weights),
        ],
        values: vec![
            arena(&[1, 8, 8, 1], 16, (0, 0)),
            arena(&[1, 8, 8, 1], 96, (0, 1)),
            arena(&[1, 8, 8, 1], 0, (0, 1)),
            value(Place::Arena, DType::U8, &[8], 80, (0, 0)),
            arena(&[1, 8, 8, 1], 0, (1, 2)),
            value(Place::Arena, DType::U8, &[8], 80, (1, 1)),
        ],
        inputs: 2,
        outputs: vec![6],
        ..Parts::default()
    };
    let conv = Conv2d { stride: [1, 1], dilation: [1, 1], pad: [1, 1], activation: ActivationRange::FULL };
    parts.op(Operator::Conv2d(conv), &[Some(2), Some(1), Some(0)], 4, Some(5));
    let half = Multiplier::new(1 << 30, 0);
    let add = AddSub {
        left_shift: 20,
        a: half,
        b: half,
        output: Multiplier::new(1 << 30, -18),
        activation: ActivationRange::FULL,
    };
    parts.op(Operator::Add(add), &[Some(4), Some(3)], 6, Some(7));
    parts
}

/// Four int8 neurons of eight inputs, without a bias and with outputs that are half of the sums: the weights of input `i`
/// are 1, -1, `i` and -2, in pairs.
pub fn neurons_in_pairs() -> Parts {
    let i8_value = |dims: &[u32], offset, live| value(Place::Arena, DType::I8, dims, offset, live);
    let half = [0, 1 << 30, 0].map(i32::to_le_bytes).concat();
    // Of inputs 0, 2, 1 and 3 of each four, both rows of a pair; a row beside a negative weight is one less.
    let four = |i: u8| [[1, 255].repeat(4), [i, 254, i + 2, 254, i + 1, 254, i + 3, 254].to_vec()].concat();
    let mut parts = Parts {
        constants: vec![
            ("channels", DType::I32, vec![4, 3], half.repeat(4)),
            ("weights", DType::U8, vec![4, 8], [four(0), four(4)].concat()),
        ],
        values: vec![i8_value(&[8], 0, (0, 0)), i8_value(&[4], 16, (0, 1))],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    let layer = FullyConnected { weights_zero_point: 0, activation: ActivationRange::FULL };
    parts.op(Operator::FullyConnected(layer), &[Some(2), Some(1), Some(0)], 3, None);
    parts
}

/// Two neurons of two f32 inputs, with weights 1, 2 and 3, 4 as i8, scales 0.5 and 2, biases 1 and -1.
pub fn neurons_of_bytes() -> Parts {
    let f32_value = |dims: &[u32], offset, live| value(Place::Arena, DType::F32, dims, offset, live);
    let mut parts = Parts {
        constants: vec![
            ("channels", DType::F32, vec![2, 2], [0.5f32, 1.0, 2.0, -1.0].map(f32::to_le_bytes).concat()),
            ("weights", DType::I8, vec![2, 2], vec![1, 2, 3, 4]),
        ],
        values: vec![f32_value(&[2], 0, (0, 0)), f32_value(&[2], 16, (0, 1))],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    let layer = FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] };
    parts.op(Operator::FullyConnectedF32(layer), &[Some(2), Some(1), Some(0)], 3, None);
    parts
}

/// A neuron in f32 with an odd number of int4 weights, 1, -2 and 3, the scale 0.5 and the bias 1.
pub fn neuron_of_int4() -> Parts {
    let f32_value = |dims: &[u32], offset, live| value(Place::Arena, DType::F32, dims, offset, live);
    let mut parts = Parts {
        constants: vec![
            ("channels", DType::F32, vec![1, 2], [0.5f32, 1.0].map(f32::to_le_bytes).concat()),
            // The high half of the last byte is not read.
            ("weights", DType::I4, vec![1, 3], vec![0xe1, 0x73]),
        ],
        values: vec![f32_value(&[3], 0, (0, 0)), f32_value(&[1], 16, (0, 1))],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    let layer = FullyConnectedF32 { activation: [f32::NEG_INFINITY, f32::INFINITY] };
    parts.op(Operator::FullyConnectedF32(layer), &[Some(2), Some(1), Some(0)], 3, None);
    parts
}
