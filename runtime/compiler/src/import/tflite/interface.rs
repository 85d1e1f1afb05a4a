//! Inputs and outputs as the options give them, in place of what the file states.

use crate::diag::{CompileError, Result};
use crate::import::given::{Given, shape_text, unknown};
use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use std::collections::HashMap;

/// Fixes the shapes of inputs, makes inputs constants, and cuts the graph at the outputs that are named.
pub(super) fn apply(graph: &mut Graph, given: Given<'_>) -> Result<()> {
    let names: Vec<String> = graph.inputs.iter().map(|&id| graph.tensors[id].name.clone()).collect();
    given.check_inputs(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    cut(graph, &given.0.outputs)?;
    let mut inputs = Vec::new();
    for id in std::mem::take(&mut graph.inputs) {
        if !fix(graph, id, given)? {
            inputs.push(id);
        }
    }
    graph.inputs = inputs;
    Ok(())
}

/// Makes bool inputs and outputs bytes, and int64 inputs int32, each with a note: the model file has no such types.
pub(super) fn narrow(graph: &mut Graph) {
    let mut before = Vec::new();
    for k in 0..graph.inputs.len() {
        let id = graph.inputs[k];
        match graph.tensors[id].dtype {
            ElementType::I64 => {
                let name = &graph.tensors[id].name;
                graph.notes.push(format!("input `{name}` is int64 in the file; the model takes int32"));
                graph.tensors[id].dtype = ElementType::I32;
            }
            ElementType::Bool => {
                let byte = byte(graph, id);
                let (inputs, outputs) = (vec![Some(byte)], vec![id]);
                before.push(Node { op: NodeOp::Ir(Op::Cast), inputs, outputs, origin: usize::MAX });
                let name = &graph.tensors[id].name;
                graph.notes.push(format!("input `{name}` is bool in the file; the model takes a byte, 0 for false"));
                graph.inputs[k] = byte;
            }
            _ => {}
        }
    }
    graph.nodes.splice(0..0, before);
    for k in 0..graph.outputs.len() {
        let id = graph.outputs[k];
        let tensor = &graph.tensors[id];
        if tensor.dtype == ElementType::Bool && tensor.content == Content::Computed {
            let byte = byte(graph, id);
            let (inputs, outputs) = (vec![Some(id)], vec![byte]);
            graph.nodes.push(Node { op: NodeOp::Ir(Op::Cast), inputs, outputs, origin: usize::MAX });
            let name = &graph.tensors[id].name;
            graph.notes.push(format!("output `{name}` is bool in the file; the model returns a byte, 0 or 1"));
            graph.outputs[k] = byte;
        }
    }
}

/// Adds a tensor like `id` of bytes.
fn byte(graph: &mut Graph, id: TensorId) -> TensorId {
    let Tensor { name, shape, .. } = &graph.tensors[id];
    let byte = Tensor::computed(name.clone(), ElementType::U8, shape.clone());
    let byte = graph.add(byte);
    if let Some(signature) = graph.signatures.get(&id).cloned() {
        graph.signatures.insert(byte, signature);
    }
    byte
}

/// Makes the tensors of these names the outputs.
fn cut(graph: &mut Graph, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let written = || graph.nodes.iter().rev().flat_map(|node| node.outputs.iter().copied());
    let mut known: HashMap<&str, TensorId> = HashMap::new();
    for id in written() {
        known.entry(&graph.tensors[id].name).or_insert(id);
    }
    let id = |name: &String| {
        let all = || written().map(|id| graph.tensors[id].name.as_str());
        known.get(name.as_str()).copied().ok_or_else(|| unknown("computed tensor", name, all()))
    };
    graph.outputs = names.iter().map(id).collect::<Result<_>>()?;
    Ok(())
}

/// Gives an input the shape or value that is given for it; returns whether it is a constant now.
fn fix(graph: &mut Graph, id: TensorId, given: Given<'_>) -> Result<bool> {
    let tensor = &graph.tensors[id];
    let (name, dtype) = (tensor.name.clone(), tensor.dtype);
    let stated: Vec<Option<u32>> = match graph.signatures.get(&id).filter(|dims| dims.len() == tensor.shape.len()) {
        Some(signature) => signature.iter().map(|&dim| u32::try_from(dim).ok()).collect(),
        None => tensor.shape.iter().map(|&dim| Some(dim)).collect(),
    };
    let dims = given.dimensions(&name, Some(&stated))?.unwrap_or_default();
    let value = given.value(&name);
    if dims == stated && value.is_none() {
        return Ok(false);
    }
    let shape: Option<Vec<u32>> = dims.iter().copied().collect();
    let shape = shape.ok_or_else(|| CompileError::InputOption {
        given: "value",
        input: name.clone(),
        what: format!("its shape {} is not known; give that too (`--input-shape`)", shape_text(&dims)),
    })?;
    graph.signatures.remove(&id);
    graph.tensors[id].shape.clone_from(&shape);
    let Some(value) = value else { return Ok(false) };
    graph.tensors[id].content = Content::Constant(given.bytes(&name, value, dtype, &shape)?.into());
    Ok(true)
}
