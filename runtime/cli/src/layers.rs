//! What a compiled model consists of, as `tealight inspect` shows it: layers, totals, and who is where in the arena.

use crate::picture::Block;
use serde::Serialize;
use tealight_format::{F16_WEIGHTS, Model, Op, Operator, Value};

/// A tensor that a layer reads or writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tensor<'m> {
    /// Its index in the plan's value table.
    pub value: usize,
    /// Dimensions, outermost first.
    pub shape: Vec<u32>,
    /// Type of its elements, as safetensors names it.
    pub dtype: &'static str,
    /// Bytes.
    pub bytes: u32,
    /// Real value = scale * (element - zero point); 0 if it is not quantized as a whole.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
    /// Where it is: `constant`, `arena` or `state`.
    pub place: &'static str,
    /// Its first byte: in the arena, or in the file's data section for a constant.
    pub offset: u32,
    /// The name of a constant in the file, its start if it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'m str>,
}

/// One operator of the plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Layer<'m> {
    /// Its index in the plan's operator table.
    pub index: usize,
    /// Its name.
    pub operator: &'static str,
    /// What a `Lookup` or `UnaryF32` computes; the weights' type of a layer if they are in blocks or f16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<&'static str>,
    /// What it reads; nothing stands for an optional input that is left out.
    pub inputs: Vec<Option<Tensor<'m>>>,
    /// What it writes.
    pub output: Tensor<'m>,
    /// Nominal multiply-accumulates.
    pub macs: u64,
    /// Bytes of the constants that it reads.
    pub constant_bytes: u64,
    /// How many pieces it is computed in.
    pub rows: u32,
    /// The cost of one piece: about its multiply-accumulates, and all else at about its weight.
    pub row_cost: u32,
    /// The cost of what is done before the first piece, and for some operators before others.
    pub prepare_cost: u32,
    /// How many bytes of its inputs the output takes over while it runs.
    pub overlap_bytes: u32,
    /// Bytes of scratch memory; there is some where there is an overlap.
    pub scratch_bytes: u32,
}

/// A value that has memory of its own in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Resident {
    /// Its index in the plan's value table.
    pub value: usize,
    /// `input`, `output`, `activation`, `scratch` or `state`.
    pub role: &'static str,
    /// The operator that writes it; nothing for inputs and state.
    pub operator: Option<usize>,
    /// Its first byte in the arena.
    pub offset: u32,
    /// Bytes.
    pub bytes: u32,
    /// The first operator during which it lives.
    pub first: usize,
    /// The last.
    pub last: usize,
}

/// Sums over the model. Bytes, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Operators.
    pub operators: usize,
    /// Nominal multiply-accumulates of one inference.
    pub macs: u64,
    /// Cost of one inference: multiply-accumulates, and other work at about its weight.
    pub cost: u64,
    /// Cost of the longest row: what a poll with the smallest budget may do.
    pub longest_row: u64,
    /// Constants, without padding.
    pub constant_bytes: u64,
    /// The whole file.
    pub file_bytes: u64,
    /// Memory that a session needs.
    pub arena_bytes: u64,
    /// How much of that is streaming state.
    pub state_bytes: u64,
    /// The most that lives at one time, with no byte shared.
    pub live_bytes: u64,
}

/// Bytes of the longest name: thousands of operators may read one constant, whose name may have a million.
const LONGEST_NAME: usize = 256;

/// The names of all constants, in order.
pub(crate) fn names<'m>(model: &Model<'m>) -> Vec<&'m str> {
    model.constant_names().map(|name| &name[..name.floor_char_boundary(LONGEST_NAME)]).collect()
}

/// All layers of `model`, whose constants have these names, in order.
pub(crate) fn layers<'m>(model: &Model<'_>, names: &[&'m str]) -> Vec<Layer<'m>> {
    (0..model.op_count()).map(|index| layer(model, names, index)).collect()
}

fn layer<'m>(model: &Model<'_>, names: &[&'m str], index: usize) -> Layer<'m> {
    let op = model.op(index);
    let input = |k| op.input(k).map(|value| tensor(model, names, value.into()));
    let inputs: Vec<_> = (0..op.count.into()).map(input).collect();
    let output = tensor(model, names, op.output.into());
    let constants = inputs.iter().flatten().filter(|input| input.place == "constant");
    let in_memory = inputs.iter().flatten().filter(|input| input.place != "constant");
    Layer {
        index,
        operator: op.operator.code().name(),
        function: function(model, &op),
        macs: model.op_macs(&op),
        constant_bytes: constants.map(|input| u64::from(input.bytes)).sum(),
        rows: op.rows,
        row_cost: op.row_cost,
        prepare_cost: op.prepare_cost,
        overlap_bytes: in_memory.map(|input| shared(input, &output)).sum(),
        scratch_bytes: op.scratch.map_or(0, |scratch| model.value(scratch.into()).len),
        inputs,
        output,
    }
}

fn function(model: &Model<'_>, op: &Op) -> Option<&'static str> {
    match &op.operator {
        Operator::Lookup(lookup) => Some(lookup.function.name()),
        Operator::UnaryF32(unary) => Some(unary.function.name()),
        operator if operator.needs(&model.operands(op)) & F16_WEIGHTS != 0 => Some("f16"),
        operator => Some(operator.block_type()?.name()),
    }
}

/// Value `index` of the plan; `names` are those of the constants.
pub(crate) fn tensor<'m>(model: &Model<'_>, names: &[&'m str], index: usize) -> Tensor<'m> {
    let value = model.value(index);
    Tensor {
        value: index,
        shape: value.shape.dims().to_vec(),
        dtype: value.dtype.name(),
        bytes: value.len,
        scale: value.scale,
        zero_point: value.zero_point,
        place: place(&value),
        offset: value.offset,
        name: if value.is_constant() { names.get(index).copied() } else { None },
    }
}

fn place(value: &Value) -> &'static str {
    match value {
        value if value.is_constant() => "constant",
        value if value.is_state() => "state",
        _ => "arena",
    }
}

/// How many bytes two tensors in the arena share.
fn shared(a: &Tensor<'_>, b: &Tensor<'_>) -> u32 {
    (a.offset + a.bytes).min(b.offset + b.bytes).saturating_sub(a.offset.max(b.offset))
}

/// Sums over `model`.
pub(crate) fn totals(model: &Model<'_>) -> Totals {
    let residents = residents(model);
    // Bytes that begin and that end to live with each operator.
    let mut changes = vec![(0u64, 0u64); model.op_count() + 1];
    for resident in residents.iter().filter(|resident| resident.role != "scratch" && model.op_count() > 0) {
        let padded = u64::from(resident.bytes).next_multiple_of(16);
        changes[resident.first].0 += padded;
        changes[resident.last].1 += padded;
    }
    let mut live = 0;
    let alive = changes.iter().map(|(begins, ends)| {
        live += begins;
        let alive = live;
        live -= ends;
        alive
    });
    Totals {
        operators: model.op_count(),
        macs: model.macs(),
        cost: model.cost(),
        longest_row: model.longest_row(),
        constant_bytes: (0..model.constant_count()).map(|value| u64::from(model.value(value).len)).sum(),
        file_bytes: model.bytes().len() as u64,
        arena_bytes: model.arena_len() as u64,
        state_bytes: model.state_len() as u64,
        live_bytes: alive.max().unwrap_or(0),
    }
}

/// The values that have memory of their own, in the order of the plan. Views of others are left out.
pub(crate) fn residents(model: &Model<'_>) -> Vec<Resident> {
    let end = model.op_count().saturating_sub(1);
    let base = |index: usize| model.value(index).alias.map_or(index, usize::from);
    let mut roles = vec!["activation"; model.value_count()];
    model.outputs().for_each(|i| roles[base(i)] = "output");
    (0..model.op_count()).filter_map(|op| model.op(op).scratch).for_each(|i| roles[usize::from(i)] = "scratch");
    model.inputs().for_each(|i| roles[i] = "input");
    let own = (model.constant_count()..model.value_count()).filter(|index| model.value(*index).alias.is_none());
    own.map(|index| {
        let value = model.value(index);
        let first = usize::from(value.first).min(end);
        let role = if value.is_state() { "state" } else { roles[index] };
        let written = !matches!(role, "state" | "input");
        // State keeps its memory from one inference to the next.
        let (first, last) = if role == "state" { (0, end) } else { (first, usize::from(value.last).min(end)) };
        let operator = written.then_some(first);
        Resident { value: index, role, operator, offset: value.offset, bytes: value.len, first, last }
    })
    .collect()
}

/// The blocks of the memory map's picture.
pub(crate) fn blocks(model: &Model<'_>) -> Vec<Block> {
    let residents = residents(model);
    residents
        .iter()
        .map(|resident| {
            let name = |op: usize| model.op(op).operator.code().name();
            let labels = match (resident.role, resident.operator) {
                ("scratch", Some(op)) => [format!("scratch of {op}"), "s".into()],
                (_, Some(op)) => [format!("{op} {}", name(op)), op.to_string()],
                ("input", _) => ["input".into(), "in".into()],
                _ => ["state".into(), "st".into()],
            };
            Block {
                labels,
                offset: resident.offset.into(),
                len: resident.bytes.into(),
                first: resident.first,
                last: resident.last,
            }
        })
        .collect()
}

/// "1×49×10×1 I8".
pub(crate) fn shape_text(shape: &[u32]) -> String {
    let dims: Vec<_> = shape.iter().map(ToString::to_string).collect();
    if dims.is_empty() { "scalar".into() } else { dims.join("×") }
}

/// What a layer computes; after it the type of its weights, if they are in blocks or f16.
pub(crate) fn title(layer: &Layer<'_>) -> String {
    match layer.function {
        None => layer.operator.into(),
        // The function says more than that there is a table, or a function.
        Some(function) if matches!(layer.operator, "Lookup" | "UnaryF32") => function.into(),
        Some(weights) => format!("{} {weights}", layer.operator),
    }
}

/// The types of a layer's first input and its output: one name if they are the same.
pub(crate) fn types_text(layer: &Layer<'_>) -> String {
    let input = layer.inputs.iter().flatten().next().map_or(layer.output.dtype, |input| input.dtype);
    if input == layer.output.dtype { input.into() } else { format!("{input} to {}", layer.output.dtype) }
}
