//! The network between two passes of the compiler.

use crate::error::{Error, Result};
use crate::model_file;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use tealight_compiler::graph::{Content, Graph, Tensor};
use tealight_compiler::{Options, compile_network_with};

/// A graph; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct GraphReport {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    nodes: Vec<NodeReport>,
    /// The tensors that are used, by their index.
    tensors: BTreeMap<usize, TensorReport>,
}

#[derive(Debug, Serialize)]
struct NodeReport {
    index: usize,
    operator: String,
    origin: usize,
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct TensorReport {
    name: String,
    dtype: String,
    shape: Vec<u32>,
    kind: &'static str,
    view_of: Option<usize>,
    scale: Option<f32>,
    zero_point: Option<i32>,
}

/// Returns the graph of the `.tflite` or ONNX file `path` with the bytes `source` after `pass` (the last time, if it runs more
/// than once): as text, and as a report. Compiling it may take `max_memory` ([`Options::max_memory`]).
///
/// # Errors
/// There is no such pass, or the network cannot be compiled up to that pass.
pub(crate) fn graph_after(
    path: &Path,
    source: &[u8],
    pass: &str,
    max_memory: Option<u64>,
) -> Result<(String, GraphReport)> {
    let mut found = None;
    let mut passes = Vec::new();
    let options = Options { max_memory, folder: model_file::folder(path), ..Options::default() };
    let compiled = compile_network_with(source, &options, &mut |name, graph| {
        passes.push(name.to_string());
        if name == pass {
            found = Some((graph.to_string(), report(graph)));
        }
    });
    // If a later pass fails, the graph before it is what the user wants to see.
    match (found, compiled) {
        (Some(found), _) => Ok(found),
        (None, Err(error)) => Err(Error::new(format!("cannot compile `{}`", path.display())).cause(error)),
        (None, Ok(_)) => Err(Error::new(format!("there is no pass `{pass}`"))
            .help(format!("the passes are, in order: {}", passes.join(", ")))),
    }
}

fn report(graph: &Graph) -> GraphReport {
    let nodes = graph.nodes.iter().enumerate().map(|(index, node)| NodeReport {
        index,
        operator: node.op.name().to_string(),
        origin: node.origin,
        inputs: node.inputs.clone(),
        outputs: node.outputs.clone(),
    });
    let nodes: Vec<NodeReport> = nodes.collect();
    let of_nodes = nodes.iter().flat_map(|node| node.inputs.iter().flatten().chain(&node.outputs));
    let mentioned: Vec<usize> = of_nodes.chain(&graph.inputs).chain(&graph.outputs).copied().collect();
    let tensors = mentioned.into_iter().map(|id| (id, tensor(&graph.tensors[id]))).collect();
    GraphReport { inputs: graph.inputs.clone(), outputs: graph.outputs.clone(), nodes, tensors }
}

fn tensor(tensor: &Tensor) -> TensorReport {
    TensorReport {
        name: tensor.name.clone(),
        dtype: tensor.dtype.to_string(),
        shape: tensor.shape.clone(),
        kind: match tensor.content {
            Content::Computed => "computed",
            Content::Constant(_) => "constant",
            Content::State(_) => "state",
        },
        view_of: tensor.alias,
        scale: tensor.per_tensor().map(|quantization| quantization.scale),
        zero_point: tensor.per_tensor().map(|quantization| quantization.zero_point),
    }
}
