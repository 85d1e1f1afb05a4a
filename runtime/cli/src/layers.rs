//! The parts of a compiled model, as `tealight inspect` shows them: layers, totals, and the values in the arena.

use crate::picture::Region;
use serde::Serialize;
use tealight_format::{BlockType, Model, Op, Operator, Value};

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
    /// Its place: `constant`, `arena` or `state`.
    pub place: &'static str,
    /// Offset of its first byte: in the arena, or in the file's data section for a constant.
    pub offset: u32,
    /// The name of a constant in the file, cut if it is long.
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
    /// The function of a `Lookup` or `UnaryF32`; the type of an f32 layer's weights if they are in blocks, f16 or i8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<&'static str>,
    /// Its inputs; `None` is an omitted optional input.
    pub inputs: Vec<Option<Tensor<'m>>>,
    /// Its output.
    pub output: Tensor<'m>,
    /// Nominal multiply-accumulate operations.
    pub macs: u64,
    /// Bytes of the constants that it reads.
    pub constant_bytes: u64,
    /// The number of pieces that it is computed in.
    pub rows: u32,
    /// The cost of one piece, approximately in multiply-accumulate operations.
    pub row_cost: u32,
    /// The cost of the preparation before the first piece, and for some operators before others.
    pub prepare_cost: u32,
    /// The number of bytes of its inputs that the output overwrites while the operator runs.
    pub overlap_bytes: u32,
    /// Bytes of scratch memory, which an overlap needs.
    pub scratch_bytes: u32,
}

/// A value with its own memory in the arena.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Resident {
    /// Its index in the plan's value table.
    pub value: usize,
    /// `input`, `output`, `activation`, `scratch` or `state`.
    pub role: &'static str,
    /// The operator that writes it; `None` for inputs and state.
    pub operator: Option<usize>,
    /// Offset of its first byte in the arena.
    pub offset: u32,
    /// Bytes.
    pub bytes: u32,
    /// The first operator of its live range.
    pub first: usize,
    /// The last operator of its live range.
    pub last: usize,
}

/// Sums over the model, in bytes unless stated otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// The number of operators.
    pub operators: usize,
    /// Nominal multiply-accumulate operations of one inference.
    pub macs: u64,
    /// Cost of one inference, approximately in multiply-accumulate operations.
    pub cost: u64,
    /// Cost of the longest row: the maximum work of a poll with the smallest budget.
    pub longest_row: u64,
    /// Constants, without padding.
    pub constant_bytes: u64,
    /// The whole file.
    pub file_bytes: u64,
    /// Memory that a session needs.
    pub arena_bytes: u64,
    /// The part of that which is streaming state.
    pub state_bytes: u64,
    /// The maximum number of bytes that are live at one time, if no bytes are shared.
    pub live_bytes: u64,
}

/// Operators that run together in passes.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    /// Index of the first operator.
    pub first: usize,
    /// Index of the last operator.
    pub last: usize,
    /// The number of passes.
    pub passes: u32,
}

/// The number of rows of model input `i` that are in memory at a time, and of all its rows; `None` if it does not come in rows.
pub(crate) fn rows_in_memory(model: &Model<'_>, i: usize) -> Option<[u32; 2]> {
    let schedule = model.input_value(i)?.schedule()?;
    Some([schedule.rows.held, schedule.height])
}

/// The groups of a model, in order.
pub(crate) fn groups(model: &Model<'_>) -> Vec<Group> {
    let group = |first: usize| {
        let group = model.op(first).group;
        let last = first + usize::from(group.after);
        let starts = group.before == 0 && !group.is_none();
        starts.then(|| Group { first, last, passes: model.passes(last) })
    };
    (0..model.op_count()).filter_map(group).collect()
}

/// The maximum length of a name in bytes: thousands of operators may read one constant, whose name may have a million
/// bytes.
const MAX_NAME: usize = 256;

/// Returns the names of all constants, in order.
pub(crate) fn names<'m>(model: &Model<'m>) -> Vec<&'m str> {
    model.constant_names().map(|name| &name[..name.floor_char_boundary(MAX_NAME)]).collect()
}

/// Returns all layers of `model`, whose constants have these names, in order.
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
        operator => {
            let needs = operator.needs(&model.operands(op));
            let block = operator.block_type().map(BlockType::name);
            let i4 = needs.has_i4_weights().then_some("int4").or(needs.has_paired_weights().then_some("in pairs"));
            block.or(needs.has_f16().then_some("f16")).or(needs.has_i8_weights().then_some("i8")).or(i4)
        }
    }
}

/// Returns value `index` of the plan; `names` are those of the constants.
pub(crate) fn tensor<'m>(model: &Model<'_>, names: &[&'m str], index: usize) -> Tensor<'m> {
    let value = model.value(index);
    Tensor {
        value: index,
        shape: value.shape.dims().to_vec(),
        dtype: value.dtype.name(),
        bytes: value.len,
        scale: value.quantization.scale,
        zero_point: value.quantization.zero_point,
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

/// Returns how many bytes two tensors in the arena share.
fn shared(a: &Tensor<'_>, b: &Tensor<'_>) -> u32 {
    (a.offset + a.bytes).min(b.offset + b.bytes).saturating_sub(a.offset.max(b.offset))
}

/// Returns the sums over `model`.
pub(crate) fn totals(model: &Model<'_>) -> Totals {
    let residents = residents(model);
    // For each operator, the bytes whose live range begins there, and those whose live range ends there.
    let mut changes = vec![(0u64, 0u64); model.op_count() + 1];
    for resident in residents.iter().filter(|resident| resident.role != "scratch" && model.op_count() > 0) {
        let padded = u64::from(resident.bytes).next_multiple_of(16);
        changes[resident.first].0 += padded;
        changes[resident.last].1 += padded;
    }
    let mut live = 0;
    let live_at_each = changes.iter().map(|(begins, ends)| {
        live += begins;
        let live_at_each = live;
        live -= ends;
        live_at_each
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
        live_bytes: live_at_each.max().unwrap_or(0),
    }
}

/// Returns the values with their own memory, in the order of the plan, without views of others.
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

/// Returns the blocks of the memory map's picture.
pub(crate) fn regions(model: &Model<'_>) -> Vec<Region> {
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
            Region {
                labels,
                offset: resident.offset.into(),
                len: resident.bytes.into(),
                first: resident.first,
                last: resident.last,
            }
        })
        .collect()
}

/// Formats a shape: "1×49×10×1".
pub(crate) fn shape_text(shape: &[u32]) -> String {
    let dims: Vec<_> = shape.iter().map(ToString::to_string).collect();
    if dims.is_empty() { "scalar".into() } else { dims.join("×") }
}

/// Returns the name of a layer, followed by the type of its weights if they are in blocks, f16 or i8.
pub(crate) fn title(layer: &Layer<'_>) -> String {
    match layer.function {
        None => layer.operator.into(),
        // The function says more than the name of the operator.
        Some(function) if matches!(layer.operator, "Lookup" | "UnaryF32") => function.into(),
        Some(weights) => format!("{} {weights}", layer.operator),
    }
}

/// Formats the types of a layer's first input and its output: one name if they are the same.
pub(crate) fn types_text(layer: &Layer<'_>) -> String {
    let input = layer.inputs.iter().flatten().next().map_or(layer.output.dtype, |input| input.dtype);
    if input == layer.output.dtype { input.into() } else { format!("{input} to {}", layer.output.dtype) }
}
