//! Reads the bytes of a file into a graph, with every index checked.

use super::fault::{MAX_NAME, corrupt, truncated};
use super::sparse::densify;
use super::{custom, hybrid, interface, operators, schema, signal, signature};
use crate::diag::{CompileError, Findings, Result, Site};
use crate::import::given::Given;
use crate::ir::Op;
use crate::ir::bytes::Source;
use crate::ir::check::check;
use crate::ir::graph::{Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId, TensorQuantization};
use crate::kind::{FileKind, kind_of};
use crate::limit::Limit;
use crate::lower::integer_function;
use crate::options::Options;
use flatbuffers::Vector;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use tealight_format::{DType, MAX_RANK};

/// What is accepted, for errors.
const ACCEPTED: &str = "int8 and float32 networks of the operators that `tealight compile --help` lists";

/// The maximum number of errors of the interface that are reported.
const MAX_ERRORS: usize = 20;

/// The maximum number of tensors, and of nodes, of all graphs of a file: four times what a model file holds. Tables of
/// a file may be shared, so a small file can list very many.
const MAX_ENTRIES: usize = 1 << 18;

/// The maximum number of dimensions of a tensor. TensorFlow Lite's operators take up to eight.
const MAX_DIMENSIONS: usize = 32;

/// The maximum length of a custom operator's name, in bytes; the rest is cut. Each node has a copy.
const MAX_CUSTOM: usize = 128;

/// Reads a `.tflite` file. The result is its first graph, or that of the signature that the options choose; the others are
/// in `subgraphs`.
pub(crate) fn import(bytes: &[u8], options: &Options) -> Result<Graph> {
    match kind_of(bytes) {
        FileKind::Tflite => {}
        other => return Err(CompileError::NotTflite(other)),
    }
    let model = schema::parse(bytes).map_err(CompileError::Corrupt)?;
    if model.version() != 3 {
        return Err(CompileError::TfliteVersion(model.version()));
    }
    check_counts(&model)?;
    let buffers = buffers(&model, bytes)?;
    let codes: Vec<_> = model.operator_codes().iter().flat_map(Vector::iter).collect();
    let made = Made { limit: Limit::new(bytes.len() as u64, &Options::default()), int4: RefCell::default() };
    let mut graphs = Vec::new();
    for graph in model.subgraphs().iter().flat_map(Vector::iter) {
        graphs.push(import_graph(&graph, &codes, &buffers, &made)?);
    }
    let mut main = signature::choose(&model, graphs, options.signature.as_deref())?;
    interface::apply(&mut main, Given(options))?;
    interface::narrow(&mut main);
    let inputs = main.inputs.iter().copied().filter(|&id| main.tensors[id].dtype == ElementType::I32);
    let inputs = inputs.collect();
    narrow_indices(&mut main, inputs);
    if let Err(error) = check_interface(&mut main) {
        return Err(with_unknown(error, &main));
    }
    hybrid::dequantize_weights(&mut main);
    Ok(main)
}

/// Adds the operators that are not compiled, which later passes would report, to an error of the interface.
fn with_unknown(error: CompileError, graph: &Graph) -> CompileError {
    let mut findings = Findings::new(ACCEPTED);
    for node in &graph.nodes {
        if matches!(node.op, NodeOp::Ir(Op::Unknown { .. })) {
            findings.add(graph.unsupported(node, ACCEPTED));
        }
    }
    let unknown = findings.result().err();
    CompileError::of_all([error.clone()].into_iter().chain(unknown).collect()).unwrap_or(error)
}

/// Checks how many tensors and nodes the graphs list, before anything is allocated for them.
fn check_counts(model: &schema::Model<'_>) -> Result<()> {
    let (mut tensors, mut nodes) = (0usize, 0usize);
    for graph in model.subgraphs().iter().flat_map(Vector::iter) {
        tensors = tensors.saturating_add(graph.tensors().map_or(0, |tensors| tensors.len()));
        nodes = nodes.saturating_add(graph.operators().map_or(0, |operators| operators.len()));
    }
    for (count, what) in [(tensors, "tensors"), (nodes, "nodes")] {
        if count > MAX_ENTRIES {
            return Err(CompileError::TooLarge(format!(
                "the file lists {count} {what}; at most {MAX_ENTRIES} are read"
            )));
        }
    }
    Ok(())
}

/// Returns the bytes of each buffer; empty for a buffer without data.
fn buffers(model: &schema::Model<'_>, file: &[u8]) -> Result<Vec<Bytes>> {
    let mut source = Source::new(file);
    let mut buffers = Vec::new();
    for (i, buffer) in model.buffers().iter().flat_map(Vector::iter).enumerate() {
        let bytes = match buffer.data() {
            Some(data) if !data.is_empty() => data.bytes(),
            // Offsets 0 and 1 mean that the data are not stored outside the table.
            _ if buffer.offset().unsigned() > 1 => {
                let range = usize::try_from(buffer.offset().unsigned())
                    .ok()
                    .zip(usize::try_from(buffer.size().unsigned()).ok())
                    .and_then(|(start, len)| file.get(start..start.checked_add(len)?));
                range.ok_or_else(|| corrupt(format!("buffer {i} reaches outside the file")))?
            }
            _ => &[],
        };
        buffers.push(source.bytes(bytes));
    }
    Ok(buffers)
}

fn import_graph(
    source: &schema::SubGraph<'_>,
    codes: &[schema::OperatorCode<'_>],
    buffers: &[Bytes],
    made: &Made,
) -> Result<Graph> {
    let mut graph = Graph::default();
    for (i, tensor) in source.tensors().iter().flat_map(Vector::iter).enumerate() {
        graph.tensors.push(import_tensor(i, &tensor, buffers, made)?);
        let signature: Vec<i32> = tensor.shape_signature().iter().flat_map(Vector::iter).collect();
        if !signature.is_empty() && !agree(&signature, &graph.tensors[i].shape) {
            graph.signatures.insert(i, signature);
        }
    }
    let count = graph.tensors.len();
    graph.inputs = list(source.inputs(), count, "the graph's inputs")?;
    graph.outputs = list(source.outputs(), count, "the graph's outputs")?;
    for (i, operator) in source.operators().iter().flat_map(Vector::iter).enumerate() {
        let Some(code) = codes.get(operator.opcode_index() as usize) else {
            return Err(corrupt(format!("node {i} has no operator code")));
        };
        let mut node = Node {
            op: NodeOp::Ir(Op::Unknown { name: code_name(code) }),
            inputs: optional_list(operator.inputs(), count, i)?,
            outputs: list(operator.outputs(), count, &format!("the outputs of node {i}"))?,
            origin: i,
        };
        if let Some(op) = import_op(code, &operator).map_err(|error| error.at(&graph, &node))? {
            if operators::has_int32_bias(&op, &operator) {
                add_int32_bias(&mut graph, &mut node, made)?;
            }
            node.op = NodeOp::Ir(op);
        } else if code_of(code) == CUSTOM
            && let Some(row) = code.custom_code().and_then(|name| custom::row(name).or_else(|| signal::row(name)))
        {
            (row.build)(&mut graph, &mut node, operator.custom_options())?;
        }
        graph.operators.push(code_name(code));
        graph.nodes.push(node);
    }
    signal::store_as_int32(&mut graph);
    empty_constants(&mut graph);
    narrow_indices(&mut graph, HashSet::new());
    check(&graph)?;
    check_order(&graph)?;
    Ok(graph)
}

/// Gives a layer of int16 activations without a bias one of zeros: its type says how wide the sums of the layer are.
fn add_int32_bias(graph: &mut Graph, node: &mut Node, made: &Made) -> Result<()> {
    let &[Some(input), Some(weights_id), ref bias @ ..] = &node.inputs[..] else { return Ok(()) };
    if graph.tensors[input].dtype != ElementType::I16 || bias.iter().any(Option::is_some) {
        return Ok(());
    }
    let weights = &graph.tensors[weights_id];
    // Without weights for each of them, the layer is refused later.
    let Some(&outputs) = weights.shape.first().filter(|&&outputs| outputs as usize <= weights.stored_len()) else {
        return Ok(());
    };
    let name = format!("{}.bias", weights.name);
    let size = outputs as usize * size_of::<i32>();
    made.limit.make(size as u64, || format!("the bias `{name}`"))?;
    let bias = graph.add(Tensor::constant(name, ElementType::I32, vec![outputs], vec![0; size]));
    node.inputs = vec![Some(input), Some(weights_id), Some(bias)];
    Ok(())
}

/// Makes indices and casts that nodes compute int32, with a note: the model file has no 64-bit integers. Copies of them in
/// another shape, and of `indices`, become int32 too, and so does arithmetic of them. A conversion from one of these types
/// to the other becomes such a copy.
fn narrow_indices(graph: &mut Graph, mut indices: HashSet<TensorId>) {
    let Graph { tensors, nodes, notes, .. } = graph;
    for node in nodes {
        let NodeOp::Ir(op) = &mut node.op else { continue };
        let found = match op {
            Op::ArgMinMax { .. } | Op::TopK { .. } => true,
            Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims => {
                matches!(node.inputs.first(), Some(Some(id)) if indices.contains(id))
            }
            // Of other integers it may be a part of shapes, which are computed in int64.
            Op::Cast => matches!(node.inputs.first(), Some(Some(id)) if indices.contains(id)
                || !matches!(tensors[*id].dtype, ElementType::I32 | ElementType::I64)),
            Op::Select { .. } => node.inputs.iter().flatten().any(|id| indices.contains(id)),
            ref op if integer_function(op).is_some() => node.inputs.iter().flatten().any(|id| indices.contains(id)),
            _ => false,
        };
        // A TOPK_V2 writes the elements first.
        let Some(&id) = node.outputs.last().filter(|_| found) else { continue };
        let tensor = &mut tensors[id];
        if !matches!(tensor.dtype, ElementType::I32 | ElementType::I64) || tensor.content != Content::Computed {
            continue;
        }
        if tensor.dtype == ElementType::I64 {
            notes.push(format!("`{}` is int64 in the file; the model computes int32", tensor.name));
            tensor.dtype = ElementType::I32;
        }
        if *op == Op::Cast && matches!(node.inputs.first(), Some(Some(id)) if indices.contains(id)) {
            *op = Op::Reshape { new_shape: None };
        }
        indices.insert(id);
    }
}

/// Turns tensors without elements that nothing writes into constants, which need no bytes.
fn empty_constants(graph: &mut Graph) {
    let mut written = vec![false; graph.tensors.len()];
    for &id in graph.inputs.iter().chain(graph.nodes.iter().flat_map(|node| &node.outputs)) {
        written[id] = true;
    }
    for (tensor, written) in graph.tensors.iter_mut().zip(written) {
        if !written && tensor.elements() == 0 && tensor.content == Content::Computed {
            tensor.content = Content::Constant(Bytes::from([]));
        }
    }
}

/// Returns whether a signature is the same as the shape.
fn agree(signature: &[i32], shape: &[u32]) -> bool {
    signature.len() == shape.len()
        && signature.iter().zip(shape).all(|(&dim, &stored)| i64::from(dim) == i64::from(stored))
}

/// Checks the inputs and outputs of the main graph: they have elements, and no dynamic dimension except a batch.
/// Outputs without elements are removed, with a note.
///
/// A batch is the first of several dimensions, stored as 1, and all inputs have it: converters leave it dynamic by
/// default. Such a network is compiled for one sample at a time.
fn check_interface(graph: &mut Graph) -> Result<()> {
    let (empty, outputs): (Vec<TensorId>, Vec<TensorId>) =
        graph.outputs.iter().partition(|&&id| graph.tensors[id].elements() == 0);
    let needed = graph.inputs.iter().find(|&&id| graph.tensors[id].elements() == 0);
    if let Some(&id) = needed.or(empty.first().filter(|_| outputs.is_empty())) {
        let what = format!("{} has no elements; accepted: inputs and outputs with some", graph.describe(id));
        return Err(CompileError::InvalidModel { site: Site::Graph, what });
    }
    let mut errors = Vec::new();
    for &id in graph.inputs.iter().chain(&outputs) {
        let Tensor { name, dtype, shape, .. } = &graph.tensors[id];
        if dtype.dtype().is_none_or(DType::is_storage) {
            errors.push(CompileError::UnsupportedType {
                site: Site::Graph,
                tensor: name.clone(),
                found: dtype.to_string(),
                accepted: "inputs and outputs of int8, uint8, int16, int32 or float32".into(),
            });
        }
        if shape.len() > MAX_RANK {
            let what = format!("{} has more than {MAX_RANK} dimensions", graph.describe(id));
            errors.push(CompileError::InvalidModel { site: Site::Graph, what });
        }
    }
    let left_out = |&id: &TensorId| format!("output {} has no elements, and is left out", graph.describe(id));
    let mut notes: Vec<String> = empty.iter().map(left_out).collect();
    let signature = |id: &TensorId| graph.signatures.get(id);
    let has_batch = |id| signature(id).is_some_and(|dims| dims.len() > 1 && dims[0] < 0);
    let batch = graph.inputs.iter().all(has_batch);
    for id in &graph.inputs {
        let (Some(dims), Tensor { name, shape, .. }) = (signature(id), &graph.tensors[*id]) else { continue };
        let is_batch = |dimension: usize| batch && dimension == 0 && shape.first() == Some(&1);
        if let Some(dimension) = (0..dims.len()).find(|&i| dims[i] < 0 && !is_batch(i)) {
            errors.push(CompileError::DynamicShape { tensor: name.clone(), dimension, shape: dims.clone() });
        } else if !agree(&dims[usize::from(batch)..], shape.get(usize::from(batch)..).unwrap_or_default()) {
            let what =
                format!("input `{name}` has the shape {shape:?}, but its signature is {dims:?}; export it again");
            errors.push(CompileError::InvalidModel { site: Site::Graph, what });
        }
    }
    errors.truncate(MAX_ERRORS);
    if let Some(error) = CompileError::of_all(errors) {
        return Err(error);
    }
    if batch
        && let Some((name, dims)) =
            graph.inputs.first().and_then(|id| Some((graph.tensors[*id].name.clone(), signature(id)?.clone())))
    {
        notes.push(format!("the batch of `{name}` {dims:?} is dynamic; compiled for a batch of 1"));
    }
    graph.outputs = outputs;
    graph.notes.extend(notes);
    Ok(())
}

/// Checks that each tensor is written once, before it is read, and that no node writes a constant or an input.
fn check_order(graph: &Graph) -> Result<()> {
    let mut written = vec![false; graph.tensors.len()];
    for &id in &graph.inputs {
        if written[id] {
            return Err(corrupt(format!("tensor {id} is an input twice")));
        }
        written[id] = true;
        if graph.tensors[id].content != Content::Computed {
            let what = format!("input `{}` is a constant or a variable", graph.tensors[id].name);
            return Err(CompileError::InvalidModel { site: Site::Graph, what });
        }
    }
    for node in &graph.nodes {
        for &id in node.inputs.iter().flatten() {
            if graph.tensors[id].content == Content::Computed && !written[id] {
                return Err(
                    graph.invalid(node, format!("it reads `{}` before that is written", graph.tensors[id].name))
                );
            }
        }
        for &id in &node.outputs {
            if graph.tensors[id].content != Content::Computed || written[id] {
                let what = match graph.tensors[id].content {
                    Content::Constant(_) => "a constant",
                    Content::State(_) => "a variable",
                    Content::Computed if graph.inputs.contains(&id) => "an input",
                    Content::Computed => "written before",
                };
                return Err(graph.invalid(node, format!("it writes `{}`, which is {what}", graph.tensors[id].name)));
            }
            written[id] = true;
        }
    }
    for &id in &graph.outputs {
        if graph.tensors[id].content == Content::Computed && !written[id] {
            let what = format!("output `{}` is never written", graph.tensors[id].name);
            return Err(CompileError::InvalidModel { site: Site::Graph, what });
        }
    }
    Ok(())
}

fn list(indices: Option<Vector<'_, i32>>, count: usize, what: &str) -> Result<Vec<TensorId>> {
    let index = |index: i32| match usize::try_from(index) {
        Ok(index) if index < count => Ok(index),
        _ => Err(corrupt(format!("{what} name tensor {index} of {count}"))),
    };
    indices.iter().flat_map(Vector::iter).map(index).collect()
}

fn optional_list(indices: Option<Vector<'_, i32>>, count: usize, node: usize) -> Result<Vec<Option<TensorId>>> {
    let index = |index: i32| match usize::try_from(index) {
        Ok(index) if index < count => Ok(Some(index)),
        Err(_) if index == -1 => Ok(None),
        _ => Err(corrupt(format!("the inputs of node {node} name tensor {index} of {count}"))),
    };
    indices.iter().flat_map(Vector::iter).map(index).collect()
}

/// What is made of the file's bytes.
struct Made {
    /// Limits its memory.
    limit: Limit,
    /// The int4 codes, a byte each, of a buffer that has so many.
    int4: RefCell<HashMap<(u32, usize), Bytes>>,
}

fn import_tensor(index: usize, source: &schema::Tensor<'_>, buffers: &[Bytes], made: &Made) -> Result<Tensor> {
    let name = source.name().map(|name| truncated(name, MAX_NAME)).filter(|name| !name.is_empty());
    let name = name.map_or_else(|| format!("tensor_{index}"), str::to_string);
    let dtype = element_type(source.element_type());
    let rank = source.shape().map_or(0, |shape| shape.len());
    if rank > MAX_DIMENSIONS {
        return Err(corrupt(format!("tensor {index} (`{name}`) has {rank} dimensions")));
    }
    let dims: Vec<i32> = source.shape().iter().flat_map(Vector::iter).collect();
    let shape: Vec<u32> = dims.iter().filter_map(|&dim| u32::try_from(dim).ok()).collect();
    if let Some(dimension) = dims.iter().position(|&dim| dim < 0) {
        return Err(CompileError::DynamicShape { tensor: name, dimension, shape: dims });
    }
    let Some(bytes) = buffers.get(source.buffer() as usize) else {
        return Err(corrupt(format!("tensor {index} (`{name}`) names buffer {}", source.buffer())));
    };
    let mut tensor = Tensor::computed(name, dtype, shape);
    tensor.quantization = quantization(source, &tensor)?;
    let size = dtype.size().and_then(|size| tensor.elements().checked_mul(size));
    if source.is_variable() {
        tensor.content = Content::State(None);
    } else if let Some(sparsity) = source.sparsity()
        && let Some(size) = dtype.size().filter(|_| dtype != ElementType::I4)
    {
        let dense = tensor.elements().saturating_mul(size);
        made.limit.make(dense as u64, || format!("the elements of the sparse tensor `{}`", tensor.name))?;
        let dense = densify(&sparsity, &tensor.shape, size, bytes);
        let dense = dense.map_err(|what| corrupt(format!("the sparse tensor `{}`: {what}", tensor.name)))?;
        tensor.content = Content::Constant(dense.into());
    } else if dtype == ElementType::I4 && !bytes.is_empty() {
        tensor.content = Content::Constant(int4(source.buffer(), bytes, &tensor, made)?);
    } else if !bytes.is_empty() {
        if size.is_some_and(|size| size != bytes.len()) {
            return Err(corrupt(format!("tensor `{}` does not have the bytes that its shape needs", tensor.name)));
        }
        tensor.content = Content::Constant(bytes.clone());
    }
    Ok(tensor)
}

/// Returns the codes of an int4 tensor, a byte each: two share a byte of the file, the first the low half.
fn int4(buffer: u32, bytes: &Bytes, tensor: &Tensor, made: &Made) -> Result<Bytes> {
    let elements = tensor.elements();
    if elements.div_ceil(2) != bytes.len() {
        return Err(corrupt(format!("tensor `{}` does not have the bytes that its shape needs", tensor.name)));
    }
    let mut known = made.int4.borrow_mut();
    if let Some(codes) = known.get(&(buffer, elements)) {
        return Ok(codes.clone());
    }
    made.limit.make(elements as u64, || format!("the int4 codes of `{}`", tensor.name))?;
    let halves = bytes.iter().flat_map(|byte| [byte << 4, *byte]);
    let codes: Vec<u8> = halves.take(elements).map(|half| (half.cast_signed() >> 4).cast_unsigned()).collect();
    let codes = Bytes::from(codes);
    known.insert((buffer, elements), codes.clone());
    Ok(codes)
}

fn element_type(code: i8) -> ElementType {
    match code {
        0 => ElementType::F32,
        1 => ElementType::F16,
        2 => ElementType::I32,
        3 => ElementType::U8,
        4 => ElementType::I64,
        6 => ElementType::Bool,
        7 => ElementType::I16,
        9 => ElementType::I8,
        13 => ElementType::Resource,
        17 => ElementType::I4,
        other => ElementType::Other(other),
    }
}

/// Returns the quantization that `source` states for `tensor`; `None` for types without quantization.
fn quantization(source: &schema::Tensor<'_>, tensor: &Tensor) -> Result<Option<TensorQuantization>> {
    let Some(q) = source.quantization() else { return Ok(None) };
    let invalid = |what: String| CompileError::InvalidModel { site: Site::Graph, what };
    let name = &tensor.name;
    if q.details_type() != 0 {
        return Err(invalid(format!("tensor `{name}` has a quantization other than scales and zero points")));
    }
    let scales: Vec<f32> = q.scale().iter().flat_map(Vector::iter).collect();
    let is_integer = matches!(
        tensor.dtype,
        ElementType::I4 | ElementType::I8 | ElementType::U8 | ElementType::I16 | ElementType::I32 | ElementType::I64
    );
    if scales.is_empty() || !is_integer {
        return Ok(None);
    }
    let mut zero_points = Vec::new();
    for zero_point in q.zero_point().iter().flat_map(Vector::iter) {
        let zero_point = zero_point.signed();
        let in_range = i32::try_from(zero_point).map_err(|_| zero_point);
        zero_points.push(in_range.map_err(|found| invalid(format!("a zero point of tensor `{name}` is {found}")))?);
    }
    match zero_points[..] {
        [] => zero_points.resize(scales.len(), 0),
        [one] => zero_points.resize(scales.len(), one),
        _ if zero_points.len() == scales.len() => {}
        _ => {
            let (scales, zero_points) = (scales.len(), zero_points.len());
            return Err(invalid(format!("tensor `{name}` has {zero_points} zero points for {scales} scales")));
        }
    }
    // Converters write a bias's scales along the dimension of the weights that they belong to.
    let axis = if tensor.shape.len() == 1 { 0 } else { usize::try_from(q.quantized_dimension()).unwrap_or(usize::MAX) };
    Ok(Some(TensorQuantization { scales, zero_points, axis }))
}

/// Returns the operator code: the larger of the old one-byte field and the new one.
fn code_of(code: &schema::OperatorCode<'_>) -> i32 {
    code.builtin_code().max(i32::from(code.deprecated_builtin_code()))
}

fn code_name(code: &schema::OperatorCode<'_>) -> String {
    match (code_of(code), code.custom_code()) {
        (CUSTOM, Some(custom)) => format!("CUSTOM {}", truncated(custom, MAX_CUSTOM)),
        (number, _) => {
            operators::row(number).map_or_else(|| format!("operator code {number}"), |row| row.name.to_string())
        }
    }
}

const CUSTOM: i32 = 32;

/// Returns the operator; `None` if it is not supported.
fn import_op(
    code: &schema::OperatorCode<'_>,
    operator: &schema::Operator<'_>,
) -> std::result::Result<Option<Op>, operators::Fault> {
    let build = operators::row(code_of(code)).and_then(|row| row.build);
    build.map(|build| build(operator)).transpose()
}
