//! Writes the model file: the plan's records, the constants under readable names, and the safetensors container.

use crate::diag::{CompileError, Result};
use crate::ir::graph::{Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::lower::{channel_kind, channels_input, operands, value_of};
use crate::names::Names;
use crate::options::Options;
use crate::plan::{MemoryPlan, strip};
use crate::vocabulary::Vocabulary;
use safetensors::tensor::{Dtype, TensorInfo};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use tealight_format::{
    DType, Group, MAX_HEADER, Model, NONE, Op as PlanOp, OpSet, Place, PlanHeader, Shape, Value, Work, align16,
};

/// Name and version of this compiler, as written to `generator`.
const GENERATOR: &str = concat!("tealight-compiler ", env!("CARGO_PKG_VERSION"));

/// The name of the constant with the plan for batches.
const BATCH_PLAN: &str = "plan.batch";

/// A written file.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// (tensor, value) of every tensor that is a value of the plan, by tensor.
    pub(crate) tensors: Vec<(TensorId, usize)>,
    pub(crate) plan_bytes: u64,
    pub(crate) weights_bytes: u64,
}

/// Tensors that are the same constant: type, shape, quantization and bytes.
type Key = (u8, Vec<u32>, u32, i32, Bytes);

/// A constant of the file.
struct Constant {
    name: String,
    value: Value,
    bytes: Bytes,
}

/// A lowered graph in the order that its memory was planned for, with the work of each node.
pub(crate) struct Planned {
    pub(crate) graph: Graph,
    pub(crate) works: Vec<Work>,
    pub(crate) plan: MemoryPlan,
}

/// The constants of the file, as they are collected.
struct Constants {
    list: Vec<Constant>,
    known: HashMap<Key, usize>,
    names: Names,
}

/// A plan of the file, as it is collected.
struct Writer<'a> {
    graph: &'a Graph,
    works: &'a [Work],
    plan: &'a MemoryPlan,
    /// The values that come after the constants.
    memory: Vec<Value>,
    /// The value of each tensor that has one.
    index: BTreeMap<TensorId, usize>,
    /// The constant that holds each state's initial value.
    inits: HashMap<TensorId, usize>,
    /// The scratch value of each node that has one.
    scratch: Vec<Option<u16>>,
}

/// Writes the file and checks it. `batch` is its second plan, if it has one, and `source` the file that the graph came
/// from.
pub(crate) fn write(first: &Planned, batch: Option<&Planned>, source: &[u8], options: &Options) -> Result<Written> {
    let graph = &first.graph;
    let mut constants = Constants { list: Vec::new(), known: HashMap::new(), names: Names::new(options.keep_names) };
    let (mut writer, mut batch) = (Writer::of(first), batch.map(Writer::of));
    let mut metadata = metadata(graph, source, options)?;
    let (mut attached, entries) = options.vocabulary.as_ref().map(Vocabulary::parts).transpose()?.unwrap_or_default();
    metadata.extend(entries);
    if batch.is_some() {
        // Of the length that the plan turns out to have.
        attached.push(Tensor::constant(BATCH_PLAN, ElementType::U8, vec![1], vec![0]));
    }
    attached.iter().for_each(|tensor| constants.names.reserve(&tensor.name));
    writer.add_constants(&mut constants)?;
    if let Some(batch) = &mut batch {
        batch.add_constants(&mut constants)?;
    }
    attached.iter().try_for_each(|tensor| constants.attach(tensor))?;
    let places = constants.sort();
    writer.move_constants(&places);
    writer.add_memory(places.len(), options.keep_tensor_map)?;
    let tables = writer.tables(places.len())?;
    let batch = match batch {
        Some(mut batch) => {
            batch.move_constants(&places);
            batch.add_memory(places.len(), false)?;
            Some(batch.tables(places.len())?)
        }
        None => None,
    };
    let at_batch = constants.list.iter().position(|constant| constant.name == BATCH_PLAN);
    if let (Some(batch), Some(at)) = (&batch, at_batch) {
        constants.list[at].set(vec![0; batch.header.plan_len() as usize])?;
    }
    // The constants come after the plan, whose length is known now.
    let mut offset = tables.header.plan_len();
    for Constant { value, .. } in &mut constants.list {
        value.offset = u32::try_from(offset).map_err(|_| too_large())?;
        offset += align16(u64::from(value.len));
    }
    if let (Some(batch), Some(at)) = (&batch, at_batch) {
        let bytes = batch.emit(&constants.list);
        constants.list[at].set(bytes)?;
    }
    let file = container(&tables.emit(&constants.list), &constants.list, metadata)?;
    check(&file)?;
    let batch_bytes = batch.map_or(0, |batch| batch.header.plan_len());
    let constant_bytes: u64 = constants.list.iter().map(|constant| constant.bytes.len() as u64).sum();
    Ok(Written {
        bytes: file,
        tensors: writer.index.into_iter().collect(),
        plan_bytes: tables.header.plan_len() + batch_bytes,
        weights_bytes: constant_bytes - batch_bytes,
    })
}

/// The records of a plan, but those of the constants.
struct Tables {
    header: PlanHeader,
    memory: Vec<Value>,
    ops: Vec<PlanOp>,
    outputs: Vec<u16>,
}

impl Tables {
    /// Returns the bytes of the plan.
    fn emit(&self, constants: &[Constant]) -> Vec<u8> {
        let mut bytes = self.header.emit().to_vec();
        // The constants of the first plan, which may have more operators.
        let last = |value: &Value| value.last.min(self.ops.len() as u16);
        let constants = constants.iter().map(|Constant { value, .. }| Value { last: last(value), ..*value });
        bytes.extend(constants.chain(self.memory.iter().copied()).flat_map(|value| value.emit()));
        bytes.extend(self.ops.iter().flat_map(PlanOp::emit));
        bytes.extend(self.outputs.iter().flat_map(|output| output.to_le_bytes()));
        bytes.resize(self.header.plan_len() as usize, 0);
        bytes
    }
}

impl Constant {
    /// Replaces the content by `bytes`.
    fn set(&mut self, bytes: Vec<u8>) -> Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| too_large())?;
        let shape = Shape::new(&[len]).ok_or_else(too_large)?;
        self.value = Value { shape, len, ..self.value };
        self.bytes = bytes.into();
        Ok(())
    }
}

/// Checks that a lowered graph has no more operators, inputs and outputs than a model file can hold, so that later
/// passes never process more.
///
/// # Errors
/// It has more.
pub(crate) fn check_counts(graph: &Graph) -> Result<()> {
    check_count(graph.nodes.len(), "operators")?;
    check_count(graph.inputs.len(), "inputs")?;
    check_count(graph.outputs.len(), "outputs")
}

fn check_count(count: usize, what: &str) -> Result<()> {
    if count >= NONE as usize {
        return Err(CompileError::TooLarge(format!("{count} {what}; a model file holds up to {}", NONE - 1)));
    }
    Ok(())
}

fn too_large() -> CompileError {
    CompileError::TooLarge("the model file needs 4 GiB or more".into())
}

fn no_value(graph: &Graph, id: TensorId) -> CompileError {
    CompileError::Internal(format!("tensor `{}` has no value", graph.tensors[id].name))
}

impl<'a> Writer<'a> {
    fn of(planned: &'a Planned) -> Self {
        let Planned { graph, works, plan } = planned;
        Self {
            graph,
            works,
            plan,
            memory: Vec::new(),
            index: BTreeMap::new(),
            inits: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Adds the constants that nodes read and the initial values of state; equal ones are added once.
    fn add_constants(&mut self, constants: &mut Constants) -> Result<()> {
        let graph = self.graph;
        for node in &graph.nodes {
            let channels = channels_input(node);
            for (k, id) in node.inputs.iter().enumerate().filter_map(|(k, id)| Some((k, (*id)?))) {
                let base = graph.base(id);
                match &graph.tensors[base].content {
                    Content::Constant(bytes) => {
                        let at = match self.index.get(&id) {
                            Some(&at) => at,
                            None => {
                                let value = value_of(graph, node, id)?;
                                constants.add(graph, value, bytes, |names| names.constant(graph, node, k))
                            }
                        };
                        self.index.insert(id, at);
                        if channels == Some(k) {
                            let value = &mut constants.list[at].value;
                            value.kind = channel_kind(&value.shape);
                        }
                    }
                    Content::State(Some(bytes)) if !self.inits.contains_key(&base) => {
                        let value = Value { place: Place::Constant, ..value_of(graph, node, base)? };
                        let at = constants.add(graph, value, bytes, |names| names.initial(graph, base));
                        self.inits.insert(base, at);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes the constants' new places: those from `places`.
    fn move_constants(&mut self, places: &[usize]) {
        for at in self.index.values_mut().chain(self.inits.values_mut()) {
            *at = places[*at];
        }
    }

    /// Adds the values in memory: the model's inputs, state, the outputs of nodes, and then the used views of all
    /// these.
    fn add_memory(&mut self, constants: usize, all_views: bool) -> Result<()> {
        let graph = self.graph;
        graph.inputs.iter().try_for_each(|&id| self.add_value(constants, id))?;
        let is_own_state = |&id: &TensorId| graph.tensors[id].alias.is_none() && graph.tensors[id].is_state();
        let mut states: Vec<TensorId> = (0..graph.tensors.len()).filter(is_own_state).collect();
        states.sort_by_key(|&id| self.plan.offsets[id]);
        states.into_iter().try_for_each(|id| self.add_value(constants, id))?;
        for (at, node) in graph.nodes.iter().enumerate() {
            let output = graph.output(node)?;
            if !graph.tensors[graph.base(output)].is_state() {
                self.add_value(constants, output)?;
            }
            let scratch = self.plan.scratch[at].map(|(offset, len)| {
                let shape = Shape::new(&[len]).unwrap_or(Shape::SCALAR);
                let at = at as u16;
                let value = Value::new(Place::Arena, DType::U8, shape, len);
                self.push(constants, Value { offset, first: at, last: at, ..value }) as u16
            });
            self.scratch.push(scratch);
        }
        let mut used = vec![all_views; graph.tensors.len()];
        for id in graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(&graph.outputs) {
            used[*id] = true;
        }
        let is_used_view = |&id: &TensorId| graph.tensors[id].alias.is_some() && used[id];
        (0..graph.tensors.len()).filter(is_used_view).try_for_each(|id| self.add_value(constants, id))
    }

    /// Adds the value of a tensor, if it is in memory.
    fn add_value(&mut self, constants: usize, id: TensorId) -> Result<()> {
        let graph = self.graph;
        let base = graph.base(id);
        let Some(offset) = self.plan.offsets[base] else { return Ok(()) };
        let (first, last) = self.plan.live_ranges[base].unwrap_or((0, graph.nodes.len() as u32));
        let alias =
            if base == id { None } else { Some(*self.index.get(&base).ok_or_else(|| no_value(graph, base))? as u16) };
        let init = if alias.is_none() { self.inits.get(&id).map(|&at| at as u16) } else { None };
        let node = Node { op: NodeOp::Ir(crate::ir::Op::Relu), inputs: vec![], outputs: vec![], origin: 0 };
        let mut value = value_of(graph, &node, id)?;
        let groups = || self.plan.groups.iter();
        let rows = if base != id {
            None
        } else if graph.inputs.contains(&id) {
            groups().find_map(|group| group.input.filter(|&(input, _)| input == id)).map(|(_, schedule)| schedule.rows)
        } else {
            groups().find_map(|group| group.rows(first as usize))
        };
        if let Some(rows) = rows {
            value = strip(&value, rows);
        }
        let value = Value { offset, first: first as u16, last: last as u16, alias, init, ..value };
        let at = self.push(constants, value);
        self.index.insert(id, at);
        Ok(())
    }

    /// Adds a value in memory, behind so many constants, and returns its index.
    fn push(&mut self, constants: usize, value: Value) -> usize {
        self.memory.push(value);
        constants + self.memory.len() - 1
    }

    /// Returns the records behind those of so many constants.
    fn tables(&mut self, constants: usize) -> Result<Tables> {
        let graph = self.graph;
        let (mut ops, mut op_set) = (Vec::new(), OpSet::EMPTY);
        for (at, (node, work)) in graph.nodes.iter().zip(self.works).enumerate() {
            let op = self.op(constants, at, node, work)?;
            op_set = op_set.union(op.operator.needs(&operands(graph, node)?));
            if !op.group.is_none() {
                op_set = op_set.with_groups();
            }
            ops.push(op);
        }
        if self.plan.groups.iter().any(|group| group.input.is_some()) {
            op_set = op_set.with_row_input();
        }
        let output = |&id| self.index.get(&id).map(|&value| value as u16).ok_or_else(|| no_value(graph, id));
        let outputs = graph.outputs.iter().map(output).collect::<Result<Vec<u16>>>()?;
        let values = constants + self.memory.len();
        check_count(values, "tensors")?;
        let header = PlanHeader {
            constants: constants as u32,
            values: values as u32,
            ops: ops.len() as u32,
            inputs: graph.inputs.len() as u32,
            outputs: outputs.len() as u32,
            arena_len: self.plan.arena_len,
            state_len: self.plan.state_len,
            op_set,
        };
        Ok(Tables { header, memory: std::mem::take(&mut self.memory), ops, outputs })
    }

    fn op(&self, constants: usize, at: usize, node: &Node, work: &Work) -> Result<PlanOp> {
        let NodeOp::Kernel(operator) = &node.op else {
            return Err(CompileError::Internal(format!("node {at} was not lowered")));
        };
        let value = |id: TensorId| match self.index.get(&id) {
            Some(&value) => Ok(value as u16),
            None => Err(no_value(self.graph, id)),
        };
        let inputs = node.inputs.iter().map(|id| id.map(value).transpose()).collect::<Result<Vec<_>>>()?;
        let output = value(self.graph.output(node)?)?;
        let op = PlanOp::new(*operator, &inputs, output, work);
        if let Some(group) = self.plan.groups.iter().find(|group| group.contains(at)) {
            let group = Group { before: (at - group.first) as u8, after: (group.last - at) as u8 };
            return Ok(op.in_group(group, work, &self.memory[usize::from(output) - constants]));
        }
        Ok(self.scratch[at].map_or(op, |scratch| op.with_scratch(scratch, work)))
    }
}

impl Constants {
    /// Adds a constant of `graph` and returns its place; one that is there already is not added again.
    fn add(&mut self, graph: &Graph, value: Value, bytes: &Bytes, name: impl FnOnce(&mut Names) -> String) -> usize {
        let key = (
            value.dtype as u8,
            value.shape.dims().to_vec(),
            value.quantization.scale.to_bits(),
            value.quantization.zero_point,
            bytes.clone(),
        );
        *self.known.entry(key).or_insert_with(|| {
            let value = Value { last: graph.nodes.len().min(NONE as usize) as u16, ..value };
            let bytes = if value.dtype == DType::I4 { packed(bytes) } else { bytes.clone() };
            self.list.push(Constant { name: name(&mut self.names), value, bytes });
            self.list.len() - 1
        })
    }

    /// Adds a constant that no operator reads, under its own name, which is reserved.
    fn attach(&mut self, tensor: &Tensor) -> Result<()> {
        let Content::Constant(bytes) = &tensor.content else { return Ok(()) };
        let name = tensor.name.clone();
        let (Some(dtype), Some(shape)) = (tensor.dtype.dtype(), Shape::new(&tensor.shape)) else {
            return Err(CompileError::Internal(format!("`{name}` cannot be attached")));
        };
        let len = u32::try_from(bytes.len()).map_err(|_| too_large())?;
        let value = Value::new(Place::Constant, dtype, shape, len);
        self.list.push(Constant { name, value, bytes: bytes.clone() });
        Ok(())
    }

    /// Sorts them by the bytes of their names; returns the new place of each.
    fn sort(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.list.len()).collect();
        order.sort_unstable_by(|&a, &b| self.list[a].name.cmp(&self.list[b].name));
        let mut places = vec![0; order.len()];
        for (to, &from) in order.iter().enumerate() {
            places[from] = to;
        }
        self.list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        places
    }
}

fn metadata(graph: &Graph, source: &[u8], options: &Options) -> Result<BTreeMap<String, String>> {
    let of = |ids: &[TensorId]| json(&ids.iter().map(|&id| graph.tensors[id].name.as_str()).collect::<Vec<_>>());
    let digest = Sha256::digest(source).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let mut metadata = BTreeMap::from([
        ("format".to_string(), "tealight".to_string()),
        ("version".to_string(), tealight_format::FORMAT_VERSION.to_string()),
        ("name".to_string(), options.name.clone().unwrap_or_else(|| "model".to_string())),
        ("source_sha256".to_string(), digest),
        ("inputs".to_string(), of(&graph.inputs)?),
        ("outputs".to_string(), of(&graph.outputs)?),
        ("generator".to_string(), GENERATOR.to_string()),
        ("toolchain".to_string(), format!("rust {}", env!("CARGO_PKG_RUST_VERSION"))),
    ]);
    if !options.labels.is_empty() {
        metadata.insert("labels".into(), json(&options.labels)?);
    }
    if let Some(front_end) = &options.front_end {
        metadata.insert("front_end".into(), front_end.clone());
    }
    Ok(metadata)
}

fn internal(error: &dyn std::error::Error) -> CompileError {
    CompileError::Internal(error.to_string())
}

/// Returns int4 codes, two in a byte, the first in the low half.
fn packed(codes: &[u8]) -> Bytes {
    let pair = |pair: &[u8]| pair[0] & 15 | pair.get(1).map_or(0, |high| high << 4);
    codes.chunks(2).map(pair).collect::<Vec<u8>>().into()
}

/// Builds a safetensors file from the plan and the constants. Its data start at a multiple of 16, as does each tensor.
fn container(plan: &[u8], constants: &[Constant], mut metadata: BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut entries = String::new();
    let mut offset = 0usize;
    let mut entry = |name: &str, dtype: Dtype, shape: Vec<usize>, len: usize| -> Result<()> {
        let info = TensorInfo { dtype, shape, data_offsets: (offset, offset + len) };
        offset += len;
        let _ = write!(entries, ",{}:{}", json(name)?, json(&info)?);
        Ok(())
    };
    entry("plan", Dtype::U8, vec![plan.len()], plan.len())?;
    for Constant { name, value, bytes } in constants {
        let len = bytes.len().next_multiple_of(16);
        let mut shape: Vec<usize> = value.shape.dims().iter().map(|&dim| dim as usize).collect();
        if len != bytes.len() || value.dtype.stored() != value.dtype {
            metadata.insert(format!("{name}.shape"), json(&shape)?);
            shape = vec![len / value.dtype.size() as usize];
        }
        entry(name, safetensors_type(value.dtype), shape, len)?;
    }
    let mut header = format!("{{\"__metadata__\":{}{entries}}}", json(&metadata)?);
    while !(8 + header.len()).is_multiple_of(16) {
        header.push(' ');
    }
    if header.len() > MAX_HEADER as usize {
        return Err(CompileError::TooLarge(format!(
            "the names, labels and texts of the model need {} bytes; the header of a model file holds up to {MAX_HEADER}",
            header.len()
        )));
    }
    let total = 8 + header.len() + offset;
    if u32::try_from(total).is_err() {
        return Err(too_large());
    }
    let mut file = Vec::with_capacity(total);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(plan);
    for Constant { bytes, .. } in constants {
        file.extend(bytes.iter());
        file.resize(file.len().next_multiple_of(16), 0);
    }
    Ok(file)
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| internal(&error))
}

fn safetensors_type(dtype: DType) -> Dtype {
    match dtype {
        DType::I8 => Dtype::I8,
        // Two codes a byte.
        DType::U8 | DType::I4 => Dtype::U8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
    }
}

/// Checks that both readers accept the file.
fn check(file: &[u8]) -> Result<()> {
    safetensors::SafeTensors::deserialize(file).map_err(|error| internal(&error))?;
    Model::parse(file).and_then(|model| model.batch()).map_err(|error| internal(&error))?;
    Ok(())
}
