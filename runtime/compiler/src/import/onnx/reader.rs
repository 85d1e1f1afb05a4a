//! From a file to a graph: the interface of the network, and its nodes one after another.

use super::constant::Constant;
use super::int8;
use super::network::{NHWC, Network, Node, Value};
use super::ops;
use super::patterns;
use super::scan::scan;
use super::tensor::{Reader, element_type, type_name};
use crate::diag::{CompileError, Findings, OnnxError, Result};
use crate::import::given::{Given, shape_text, unknown};
use crate::ir::Op;
use crate::ir::check::check;
use crate::ir::graph::{Content, ElementType, Graph, NodeOp, Tensor};
use crate::kind::{FileKind, kind_of};
use crate::limit::Limit;
use crate::options::Options;
use rten_onnx::onnx::{DataType, Dimension, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use std::collections::{HashMap, HashSet};
use tealight_format::MAX_RANK;

/// The versions of the operator set that are read.
const OPSETS: [i64; 2] = [1, 22];

/// The first version in which all operators are as they are read. Before it, only [`UNCHANGED`] are.
const FIRST: i64 = 7;

/// Operators that were defined before version 7 as they are there.
const UNCHANGED: [&str; 34] = [
    "Abs",
    "AveragePool",
    "Ceil",
    "Constant",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Elu",
    "Exp",
    "Flatten",
    "Floor",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "Identity",
    "InstanceNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Neg",
    "Not",
    "Reciprocal",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "Transpose",
];

/// What is accepted, for errors.
const ACCEPTED: &str = "float32 networks of the ONNX operators that `tealight compile --help` lists";

/// The maximum length of an operator's name, in bytes; the rest is cut.
const MAX_OPERATOR: usize = 128;

/// The maximum length of a tensor's name, in bytes; the rest is cut.
const MAX_NAME: usize = 1024;

/// The maximum number of nodes of all branches of `If`, in which the same nodes can be named again and again.
const MAX_NODES: usize = 1 << 18;

/// Reads an ONNX file. The data of its constants may lie in other files in the folder that the options name.
pub(crate) fn import(bytes: &[u8], options: &Options, limit: &Limit) -> Result<Graph> {
    match kind_of(bytes) {
        FileKind::Onnx => {}
        other => return Err(OnnxError::NotOnnx(other).into()),
    }
    if let Some(name) = &options.signature {
        return Err(unknown("signature", name, std::iter::empty()));
    }
    scan(bytes)?;
    let model = ModelProto::parse_buf(bytes).map_err(|error| OnnxError::Damaged(error.to_string()))?;
    let is_own = |domain: &Option<String>| is_onnx(domain.as_deref().unwrap_or_default());
    let opset = model.opset_import.iter().find(|set| is_own(&set.domain)).and_then(|set| set.version).unwrap_or(0);
    let [min, max] = OPSETS;
    if !(min..=max).contains(&opset) {
        return Err(OnnxError::Opset { found: opset, min, max }.into());
    }
    let Some(graph) = model.graph else { return Err(OnnxError::Damaged("it has no graph".into()).into()) };
    let import = Import {
        network: Network::new(limit),
        reader: Reader::new(options.folder.as_deref(), limit),
        given: Given(options),
        findings: Findings::new(ACCEPTED),
        opset,
        nodes: 0,
    };
    import.run(graph)
}

fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

struct Import<'a> {
    network: Network<'a>,
    reader: Reader<'a>,
    given: Given<'a>,
    findings: Findings,
    opset: i64,
    nodes: usize,
}

/// Text of an optional field.
fn text(field: Option<&String>) -> &str {
    field.map_or("", String::as_str)
}

impl Import<'_> {
    fn run(mut self, mut graph: GraphProto) -> Result<Graph> {
        self.cut(&mut graph)?;
        let live = live(&graph);
        count_uses(&graph, &live, &mut self.network);
        let constants: HashSet<String> = graph.initializer.iter().filter_map(|tensor| tensor.name.clone()).collect();
        self.initializers(&mut graph)?;
        let inputs: Vec<ValueInfoProto> =
            graph.input.drain(..).filter(|input| !constants.contains(text(input.name.as_ref()))).collect();
        self.inputs(&inputs, &graph)?;
        self.network.graph.operators = graph.node.iter().map(operator).collect();
        for (index, (node, live)) in std::mem::take(&mut graph.node).into_iter().zip(live).enumerate() {
            if live {
                self.node(index, node)?;
            }
        }
        std::mem::replace(&mut self.findings, Findings::new(ACCEPTED)).result()?;
        if self.reader.rounded > 0 {
            let note = format!("{} float64 constants are rounded to float32", self.reader.rounded);
            self.network.graph.notes.push(note);
        }
        self.outputs(&graph.output)?;
        let Network { mut graph, known, limit, dynamic, .. } = self.network;
        graph.halves = self.reader.halves;
        patterns::recognize(&mut graph, limit)?;
        int8::fuse(&mut graph, &known, limit)?;
        int8::note_codes(&mut graph, &known);
        if dynamic.layers > 0 {
            let note = format!(
                "the activations of {} layers are not quantized (dynamic quantization); their 8-bit weights stay int8 where \
                 the model file has a type for them, and become float32 elsewhere; --calibrate makes an int8 network of it",
                dynamic.layers
            );
            graph.notes.push(note);
        }
        retain_live(&mut graph);
        note_transposes(&mut graph);
        check(&graph)?;
        Ok(graph)
    }

    /// Reads the constants of a graph.
    fn initializers(&mut self, graph: &mut GraphProto) -> Result<()> {
        for tensor in std::mem::take(&mut graph.initializer) {
            let name = tensor.name.clone().unwrap_or_default();
            // Constants that nothing reads may be of any type.
            if self.network.uses.contains_key(&name) {
                let value = match self.reader.read(tensor, &name) {
                    Ok(constant) => Value::Constant(constant),
                    Err(error) => self.failed(error.into()),
                };
                self.network.bind(&name, value);
            }
        }
        Ok(())
    }

    /// Makes the tensors that the options name the outputs.
    fn cut(&self, graph: &mut GraphProto) -> Result<()> {
        let names = &self.given.0.outputs;
        if names.is_empty() {
            return Ok(());
        }
        let computed: HashSet<&str> = graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
        if let Some(name) = names.iter().find(|name| name.is_empty() || !computed.contains(name.as_str())) {
            let all = graph.node.iter().rev().flat_map(|node| &node.output).map(String::as_str);
            return Err(unknown("computed tensor", name, all.filter(|name| !name.is_empty())));
        }
        let output = |name: &String| ValueInfoProto { name: Some(name.clone()), ..ValueInfoProto::default() };
        graph.output = names.iter().map(output).collect();
        Ok(())
    }

    /// Returns the dimensions of the inputs: those of the file with what the options give, `None` for dynamic ones. A
    /// dynamic dimension with a name has one length wherever it is.
    fn input_dimensions(&self, inputs: &[ValueInfoProto]) -> Result<Vec<Vec<Option<u32>>>> {
        let names: Vec<&str> = inputs.iter().map(|input| text(input.name.as_ref())).collect();
        self.given.check_inputs(&names)?;
        let (mut shapes, mut lengths) = (Vec::new(), HashMap::new());
        // Exporters write `?` for each dimension that they do not know, which makes them no more equal than no name does.
        let symbol = |dim: &Dimension| dim.dim_param.clone().filter(|name| name.contains(char::is_alphanumeric));
        for (input, name) in inputs.iter().zip(&names) {
            let stated = self.dimensions(input);
            let fixed: Option<Vec<_>> = stated.as_ref().ok().map(|dims| dims.iter().map(fixed).collect());
            let dims = match self.given.dimensions(name, fixed.as_deref())? {
                Some(dims) => dims,
                None => stated.as_ref().map(|_| Vec::new()).map_err(Clone::clone)?,
            };
            for (dim, length) in stated.into_iter().flatten().zip(&dims) {
                let (Some(symbol), Some(length), None) = (symbol(dim), length, self::fixed(dim)) else { continue };
                let known = *lengths.entry(symbol.clone()).or_insert(*length);
                if known != *length {
                    let what = format!("its dimension `{symbol}` would be {length}, and that of another {known}");
                    return Err(CompileError::InputOption { given: "shape", input: (*name).into(), what });
                }
            }
            shapes.push(dims);
        }
        for (input, dims) in inputs.iter().zip(&mut shapes) {
            for (dim, length) in self.dimensions(input).into_iter().flatten().zip(dims) {
                *length = length.or_else(|| lengths.get(&symbol(dim)?).copied());
            }
        }
        Ok(shapes)
    }

    /// Notes an error that does not keep the rest of the network from being read.
    fn failed(&mut self, error: CompileError) -> Value {
        self.findings.add(error);
        Value::Failed
    }

    /// Adds the inputs of the network.
    fn inputs(&mut self, inputs: &[ValueInfoProto], graph: &GraphProto) -> Result<()> {
        let wanted = wants_nhwc(graph);
        let shapes = self.input_dimensions(inputs)?;
        let mut batches = HashSet::new();
        let mut notes = Vec::new();
        for (input, dims) in inputs.iter().zip(&shapes) {
            // A dynamic first dimension of several is a batch.
            let first = self.dimensions(input).ok().and_then(<[_]>::first);
            if let (Some(Dimension { dim_param: Some(batch), .. }), [None, _, ..]) = (first, &dims[..])
                && !batch.is_empty()
            {
                batches.insert(batch.clone());
            }
        }
        for (input, dims) in inputs.iter().zip(shapes) {
            let name = text(input.name.as_ref());
            if self.network.values.contains_key(name) {
                let what = "is named twice".into();
                return Err(OnnxError::Interface { tensor: name.to_string(), what }.into());
            }
            let value = match self.constant_input(input, &dims).transpose() {
                Some(constant) => constant,
                None => self.input_shape(input, &dims, &batches, &mut notes).and_then(|shape| {
                    let dtype = self.input_type(input)?;
                    let is_truth = code_of(input) == DataType::BOOL;
                    self.input(name, (dtype, is_truth), &shape, wanted.contains(name), &mut notes)
                }),
            };
            let value = value.unwrap_or_else(|error| self.failed(error));
            self.network.bind(name, value);
        }
        self.network.graph.notes.splice(0..0, notes);
        Ok(())
    }

    /// Returns the shape of an input of these dimensions: a dynamic batch is 1.
    fn input_shape(
        &self,
        input: &ValueInfoProto,
        dims: &[Option<u32>],
        batches: &HashSet<String>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<u32>> {
        let name = text(input.name.as_ref());
        let signature: Vec<i32> = dims.iter().map(|dim| dim.map_or(-1, |dim| dim as i32)).collect();
        let stated = self.dimensions(input).unwrap_or_default();
        let mut shape = Vec::new();
        for (i, dim) in dims.iter().enumerate() {
            let symbol = stated.get(i).and_then(|dim| dim.dim_param.as_ref());
            let batch = (i == 0 && dims.len() > 1) || symbol.is_some_and(|name| batches.contains(name));
            match *dim {
                Some(dim) => shape.push(dim),
                None if batch => {
                    shape.push(1);
                    notes.push(format!("the batch of `{name}` {signature:?} is dynamic; compiled for a batch of 1"));
                }
                None => {
                    return Err(CompileError::DynamicShape { tensor: name.into(), dimension: i, shape: signature });
                }
            }
        }
        if shape.len() > MAX_RANK || shape.contains(&0) {
            let what = format!("has the shape {shape:?}; accepted: up to {MAX_RANK} dimensions, none of them 0");
            return Err(OnnxError::Interface { tensor: name.into(), what }.into());
        }
        Ok(shape)
    }

    /// Adds an input of the model.
    fn input(
        &mut self,
        name: &str,
        (dtype, is_truth): (ElementType, bool),
        shape: &[u32],
        wanted: bool,
        notes: &mut Vec<String>,
    ) -> Result<Value> {
        let long = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).filter(|&dim| dim != 1).collect::<Vec<_>>();
        // Where only dimensions of length 1 move, the input keeps the file's shape.
        let nhwc = shape.len() == 4 && wanted && long(&NHWC) != long(&[0, 1, 2, 3]);
        let order: Vec<usize> = if nhwc { NHWC.to_vec() } else { (0..shape.len()).collect() };
        let stored: Vec<u32> = order.iter().map(|&axis| shape[axis]).collect();
        if nhwc {
            notes.push(format!(
                "the input `{name}` is an image {shape:?} (NCHW) in the file; the model takes {stored:?} (NHWC)"
            ));
        }
        let short = &name[..name.floor_char_boundary(MAX_NAME)];
        let id = self.network.graph.add(Tensor::computed(short, dtype, stored));
        self.network.graph.inputs.push(id);
        let mut value = Network::stored(id, order);
        self.network.begin(0, "input", name);
        if is_truth {
            value = self.network.truth_of_byte(&value)?;
        }
        if shape.len() != 3 || !wanted {
            return Ok(value);
        }
        // A sequence is transposed once, for all that reads it.
        let order = [0, 2, 1];
        Ok(Network::stored(self.network.arrange(&value, &order, name)?, order.to_vec()))
    }

    /// Returns the constant that an input becomes, if the options give its value.
    fn constant_input(&self, input: &ValueInfoProto, dims: &[Option<u32>]) -> Result<Option<Value>> {
        let name = text(input.name.as_ref());
        let Some(value) = self.given.value(name) else { return Ok(None) };
        let shape: Option<Vec<u32>> = dims.iter().copied().collect();
        let shape = shape.ok_or_else(|| CompileError::InputOption {
            given: "value",
            input: name.into(),
            what: format!("its shape {} is not known; give that too (`--input-shape`)", shape_text(dims)),
        })?;
        let code = code_of(input);
        let Some(dtype) = element_type(code) else {
            let what = format!("is {}; accepted: numbers and bool", type_name(code));
            return Err(OnnxError::Interface { tensor: name.into(), what }.into());
        };
        self.network.make(value.numbers.len().saturating_mul(8))?;
        let bytes = self.given.bytes(name, value, dtype, &shape)?;
        Ok(Some(Value::Constant(Constant { dtype, shape, bytes: bytes.into() })))
    }

    /// Returns the dimensions that the file states for an input.
    fn dimensions<'n>(&self, input: &'n ValueInfoProto) -> Result<&'n [Dimension]> {
        let tensor = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
        match tensor.and_then(|tensor| tensor.shape.as_ref()) {
            Some(shape) => Ok(&shape.dim),
            None => {
                let what =
                    "has no shape, or is a sequence or map; give its shape (`tealight compile --input-shape`), or \
                            export it with fixed input shapes"
                        .into();
                Err(OnnxError::Interface { tensor: text(input.name.as_ref()).into(), what }.into())
            }
        }
    }

    /// Returns the type of an input of the model.
    fn input_type(&mut self, input: &ValueInfoProto) -> Result<ElementType> {
        let (code, name) = (code_of(input), text(input.name.as_ref()));
        let dtype = match element_type(code) {
            // All integers of 64 bits that a network gets are lengths, positions or numbers of tokens.
            Some(ElementType::I64) => Some(ElementType::I32),
            Some(ElementType::Bool) => Some(ElementType::U8),
            // What is rounded to so few bits in the file would not be in the model.
            _ if code == DataType::BFLOAT16 => None,
            dtype => dtype.filter(|dtype| dtype.dtype().is_some()),
        };
        let note = match code {
            DataType::FLOAT16 | DataType::DOUBLE => "the model takes float32, and computes in it",
            DataType::INT64 | DataType::UINT32 | DataType::UINT64 | DataType::UINT16 => "the model takes int32",
            DataType::BOOL => "the model takes uint8, 0 or 1",
            _ => "",
        };
        if !note.is_empty() && dtype.is_some() {
            self.network.graph.notes.push(format!("the input `{name}` is {} in the file; {note}", type_name(code)));
        }
        dtype.ok_or_else(|| {
            let what = format!("is {}; accepted: float16, float32, float64, integers and bool", type_name(code));
            OnnxError::Interface { tensor: name.into(), what }.into()
        })
    }

    /// Compiles a node and binds its outputs. What is not supported is added to the findings.
    fn node(&mut self, index: usize, node: NodeProto) -> Result<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(OnnxError::TooLarge(format!("more than {MAX_NODES} nodes")).into());
        }
        let operator = operator(&node);
        self.network.begin(index, &operator, text(node.output.first()));
        let op = node.op_type.clone().unwrap_or_default();
        let row = ops::row(if is_onnx(text(node.domain.as_ref())) { &op } else { &operator });
        let mut inputs = Vec::new();
        for name in &node.input {
            let value = self.network.values.get(name).cloned();
            if value.is_none() && !name.is_empty() {
                let what = format!(
                    "it reads `{}`, which nothing before it computes",
                    &name[..name.floor_char_boundary(MAX_NAME)]
                );
                return Err(self.network.invalid(what));
            }
            inputs.push(value);
        }
        inputs.iter().flatten().for_each(|value| self.network.consume(value));
        let failed = inputs.iter().flatten().any(|value| matches!(value, Value::Failed));
        let outputs: Vec<String> = node
            .output
            .iter()
            .map(|name| if self.network.uses.contains_key(name) { name.clone() } else { String::new() })
            .collect();
        if let Some(name) = outputs.iter().find(|name| !name.is_empty() && self.network.values.contains_key(*name)) {
            let what = format!("it writes `{}`, which is written before", &name[..name.floor_char_boundary(MAX_NAME)]);
            return Err(self.network.invalid(what));
        }
        let compiled = match row {
            None => Err(self.network.refuse(ACCEPTED)),
            Some(_) if self.opset < FIRST && !UNCHANGED.contains(&op.as_str()) => {
                let accepted = format!("version {FIRST} of ONNX's operators or later, not {}", self.opset);
                Err(self.network.refuse(accepted))
            }
            // The shape of its input is not known: only the operator itself can be judged.
            Some(_) if failed => Ok(Vec::new()),
            Some(_) if op == "If" && matches!(inputs[..], [Some(Value::Constant(_))]) => {
                self.branch(index, &node, &inputs)
            }
            Some(row) => {
                let node = Node {
                    op,
                    opset: self.opset,
                    inputs,
                    names: node.input.clone(),
                    outputs: outputs.clone(),
                    attributes: node.attribute,
                };
                ops::compile(&mut self.network, &mut self.reader, &node, row)
            }
        };
        let values = compiled.or_else(|error| match error {
            CompileError::UnsupportedOperator { .. } | CompileError::InvalidModel { .. } => {
                self.findings.add(error);
                Ok(Vec::new())
            }
            error => Err(error),
        })?;
        let mut values = values.into_iter();
        for name in outputs {
            let value = values.next().unwrap_or(Value::Failed);
            if !name.is_empty() {
                self.network.bind(&name, value);
            }
        }
        Ok(())
    }

    /// Compiles the branch of an `If` whose condition is known.
    fn branch(&mut self, index: usize, node: &NodeProto, inputs: &[Option<Value>]) -> Result<Vec<Value>> {
        let holds = match inputs {
            [Some(Value::Constant(condition))] => condition.as_ints().and_then(|list| list.first().copied()),
            _ => None,
        };
        let Some(holds) = holds else { return Err(self.network.invalid("its condition is not one truth value")) };
        let name = if holds != 0 { "then_branch" } else { "else_branch" };
        let attribute = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name));
        let Some(mut graph) = attribute.and_then(|attribute| attribute.g.clone()) else {
            return Err(self.network.invalid(format!("it has no {name}")));
        };
        self.initializers(&mut graph)?;
        for inner in std::mem::take(&mut graph.node) {
            self.node(index, inner)?;
        }
        let operator = operator(node);
        self.network.begin(index, &operator, text(node.output.first()));
        let output = |output: &ValueInfoProto| {
            let name = text(output.name.as_ref());
            let value = self.network.values.get(name).cloned();
            value.ok_or_else(|| self.network.invalid(format!("nothing computes `{name}` of its {name}")))
        };
        let values = graph.output.iter().map(output).collect::<Result<Vec<_>>>()?;
        values.iter().for_each(|value| self.network.consume(value));
        Ok(values)
    }

    /// Makes the outputs of the network.
    fn outputs(&mut self, outputs: &[ValueInfoProto]) -> Result<()> {
        for output in outputs {
            let name = text(output.name.as_ref());
            let wrong = |what: String| OnnxError::Interface { tensor: name.to_string(), what };
            let Some(value) = self.network.values.get(name).cloned() else {
                return Err(wrong("is computed by no node".into()).into());
            };
            if self.network.is_dynamic(&value) {
                let what =
                    "is codes, a scale or a zero point of dynamic quantization; accepted: what is computed of them";
                return Err(wrong(what.into()).into());
            }
            let value = match value {
                // The model file has no 64-bit integers.
                Value::Constant(constant) if constant.dtype == ElementType::I64 => {
                    let narrow =
                        constant.as_ints().and_then(|list| Constant::ints(ElementType::I32, &constant.shape, &list));
                    Value::Constant(narrow.ok_or_else(|| wrong("has numbers that 32 bits do not hold".into()))?)
                }
                Value::Constant(constant) if constant.dtype == ElementType::Bool => {
                    Value::Constant(Constant { dtype: ElementType::U8, ..constant })
                }
                Value::Stored(stored) if self.network.is_truth(stored.id) => {
                    self.network.begin(0, "output", name);
                    self.network.byte_of_truth(&Value::Stored(stored))?
                }
                value => value,
            };
            let returned = match code_of(output) {
                DataType::INT64 | DataType::UINT64 | DataType::UINT32 | DataType::UINT16 => Some("int32"),
                DataType::BOOL => Some("uint8, 0 or 1"),
                DataType::FLOAT16 | DataType::DOUBLE => Some("float32"),
                DataType::BFLOAT16 => return Err(wrong("is bfloat16; accepted: float32".into()).into()),
                _ => None,
            };
            if let Some(returned) = returned {
                let found = type_name(code_of(output));
                let note = format!("the output `{name}` is {found} in the file; the model returns {returned}");
                self.network.graph.notes.push(note);
            }
            let (shape, order) = (self.network.shape(&value), self.network.order(&value));
            if let Ok(dims) = self.dimensions(output) {
                let differs = dims.len() != shape.len()
                    || dims.iter().zip(&shape).any(|(dim, &own)| fixed(dim).is_some_and(|dim| dim != own));
                if differs {
                    let stated: Vec<i64> = dims.iter().map(|dim| fixed(dim).map_or(-1, i64::from)).collect();
                    return Err(wrong(format!("has the shape {shape:?}, but the file states {stated:?}")).into());
                }
            }
            let long = |axes: &[usize]| axes.iter().copied().filter(|&axis| shape[axis] != 1).collect::<Vec<_>>();
            let id = if order == NHWC && !long(&order).is_sorted() {
                let id = self.network.arrange(&value, &NHWC, name)?;
                let stored = &self.network.graph.tensors[id].shape;
                let note = format!(
                    "the output `{name}` is an image {shape:?} (NCHW) in the file; the model returns {stored:?} (NHWC)"
                );
                self.network.graph.notes.push(note);
                id
            } else {
                self.network.in_order(&value, name)?
            };
            let dtype = self.network.graph.tensors[id].dtype;
            if dtype.dtype().is_none() || shape.contains(&0) {
                return Err(wrong(format!("is {dtype}{shape:?}; accepted: float32 or integers up to 32 bits")).into());
            }
            let tensor = &mut self.network.graph.tensors[id];
            if tensor.content == Content::Computed && !self.network.graph.inputs.contains(&id) {
                tensor.name = name[..name.floor_char_boundary(MAX_NAME)].to_string();
            }
            self.network.graph.outputs.push(id);
        }
        if outputs.is_empty() {
            return Err(OnnxError::Damaged("it has no outputs".into()).into());
        }
        Ok(())
    }
}

/// Returns the operator of a node, with its domain if that is not ONNX's own.
fn operator(node: &NodeProto) -> String {
    let (domain, op) = (text(node.domain.as_ref()), text(node.op_type.as_ref()));
    let name = if is_onnx(domain) { op.to_string() } else { format!("{domain}.{op}") };
    name[..name.floor_char_boundary(MAX_OPERATOR)].to_string()
}

/// Returns the type of an input or output.
fn code_of(value: &ValueInfoProto) -> DataType {
    let tensor = value.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    tensor.and_then(|tensor| tensor.elem_type).unwrap_or(DataType(0))
}

/// Returns a dimension that is not dynamic.
fn fixed(dim: &Dimension) -> Option<u32> {
    dim.dim_value.and_then(|dim| u32::try_from(dim).ok()).filter(|&dim| dim > 0)
}

/// Returns the graphs that a node contains.
fn inner(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().filter_map(|attribute| attribute.g.as_ref())
}

/// Calls `visit` with each name that a node reads, also in its inner graphs.
fn each_read<'n>(node: &'n NodeProto, visit: &mut dyn FnMut(&'n str)) {
    // The scan has bounded the depth of graphs inside each other.
    node.input.iter().filter(|name| !name.is_empty()).for_each(|name| visit(name));
    for graph in inner(node) {
        graph.node.iter().for_each(|node| each_read(node, visit));
        graph.output.iter().for_each(|output| visit(text(output.name.as_ref())));
    }
}

/// Returns which nodes the outputs depend on.
fn live(graph: &GraphProto) -> Vec<bool> {
    let mut needed: HashSet<&str> = graph.output.iter().map(|output| text(output.name.as_ref())).collect();
    let mut live = vec![false; graph.node.len()];
    for (node, live) in graph.node.iter().zip(&mut live).rev() {
        if node.output.iter().any(|name| needed.contains(name.as_str())) {
            *live = true;
            each_read(node, &mut |name| {
                needed.insert(name);
            });
        }
    }
    live
}

/// Counts how often each name is read, and lists its readers.
fn count_uses(graph: &GraphProto, live: &[bool], network: &mut Network<'_>) {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for output in &graph.output {
        *uses.entry(text(output.name.as_ref())).or_default() += 1;
    }
    for (node, _) in graph.node.iter().zip(live).filter(|(_, live)| **live) {
        each_read(node, &mut |name| *uses.entry(name).or_default() += 1);
        for (k, name) in node.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            // The last name is that of the output, for operators that pass their input on.
            let weights = node.input.get(1).cloned().unwrap_or_default();
            let names = vec![String::new(), weights, node.output.first().cloned().unwrap_or_default()];
            let reader = (node.op_type.clone().unwrap_or_default(), k, names);
            network.readers.entry(name.clone()).or_default().push(reader);
        }
    }
    network.uses = uses.into_iter().map(|(name, count)| (name.to_string(), count)).collect();
}

/// Returns the names of values that convolutions and the like read, directly or after operators that keep any layout.
fn wants_nhwc(graph: &GraphProto) -> HashSet<String> {
    const IMAGES: [&str; 17] = [
        "Conv",
        "ConvTranspose",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Resize",
        "Upsample",
        "DepthToSpace",
        "SpaceToDepth",
        "BatchNormalization",
        "InstanceNormalization",
        "LpPool",
        "ConvInteger",
        "QLinearAveragePool",
        "QLinearConv",
        "QLinearGlobalAveragePool",
    ];
    const ANY: [&str; 24] = [
        "Identity",
        "Cast",
        "Relu",
        "LeakyRelu",
        "Clip",
        "Sub",
        "Add",
        "Mul",
        "Div",
        "Pad",
        "Sigmoid",
        "Tanh",
        "Neg",
        "Slice",
        "Concat",
        "Dropout",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearAdd",
        "QLinearConcat",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearSigmoid",
        "QuantizeLinear",
    ];
    let mut wanted: HashSet<&str> = HashSet::new();
    for node in graph.node.iter().rev() {
        let op = text(node.op_type.as_ref());
        let passes = ANY.contains(&op) && node.output.first().is_some_and(|name| wanted.contains(name.as_str()));
        if IMAGES.contains(&op) {
            wanted.extend(node.input.first().map(String::as_str));
        } else if passes {
            wanted.extend(node.input.iter().map(String::as_str));
        }
    }
    wanted.into_iter().map(str::to_string).collect()
}

/// Removes nodes whose results are not read: layouts that were asked for and fused into other operators.
fn retain_live(graph: &mut Graph) {
    let mut needed: HashSet<usize> = graph.outputs.iter().copied().collect();
    let mut nodes = std::mem::take(&mut graph.nodes);
    nodes.reverse();
    nodes.retain(|node| {
        let live = node.outputs.iter().any(|id| needed.contains(id));
        if live {
            needed.extend(node.inputs.iter().flatten());
        }
        live
    });
    nodes.reverse();
    graph.nodes = nodes;
}

/// Notes the transpositions that remain.
fn note_transposes(graph: &mut Graph) {
    let is_transpose = |op: &NodeOp| matches!(op, NodeOp::Ir(Op::Transpose));
    let remaining: Vec<_> = graph.nodes.iter().filter(|node| is_transpose(&node.op)).collect();
    let Some(first) = remaining.first() else { return };
    let note = match remaining.len() {
        1 => format!("a tensor is transposed between layouts, for {}", graph.site(first)),
        count => format!("{count} tensors are transposed between layouts, the first for {}", graph.site(first)),
    };
    graph.notes.push(note);
}
