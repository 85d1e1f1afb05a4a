//! IF and WHILE whose conditions are known when the network is compiled: the graph of the branch, or of each round, takes
//! the node's place.
//!
//! What this adds is counted against the network's [`Limit`], so a loop without end is an error.

use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, TensorId};
use crate::limit::Limit;

/// About how many bytes a node and its output take here, without a name.
const STEP: u64 = 512;

/// Replaces `node` by the nodes that its condition selects, which come to the end of `pending`, in reverse; returns whether
/// it did.
pub(super) fn replace(graph: &mut Graph, node: &Node, pending: &mut Vec<Node>, limit: &Limit) -> Result<bool> {
    let NodeOp::Ir(op) = &node.op else { return Ok(false) };
    let mut nodes = match *op {
        Op::If { then, otherwise } => match condition(graph, node)? {
            Some(holds) => spliced(graph, node, if holds { then } else { otherwise }, 1, &node.outputs, limit)?,
            None => return Ok(false),
        },
        // First its condition, which comes before what it loops over.
        Op::While { condition, body, begun: false } => {
            let decided = like(graph, node, condition, limit)?;
            let &[decided] = &decided[..] else {
                return Err(graph.invalid(node, "the graph of its condition has not one output"));
            };
            let mut nodes = spliced(graph, node, condition, 0, &[decided], limit)?;
            let inputs = [&[Some(decided)], &node.inputs[..]].concat();
            nodes.push(Node { op: NodeOp::Ir(Op::While { condition, body, begun: true }), inputs, ..node.clone() });
            nodes
        }
        Op::While { condition: again, body, begun: true } => match condition(graph, node)? {
            Some(true) => {
                let values = like(graph, node, body, limit)?;
                let mut nodes = spliced(graph, node, body, 1, &values, limit)?;
                let inputs = values.into_iter().map(Some).collect();
                let op = NodeOp::Ir(Op::While { condition: again, body, begun: false });
                nodes.push(Node { op, inputs, ..node.clone() });
                nodes
            }
            Some(false) => {
                let pairs = node.inputs[1..].iter().zip(&node.outputs);
                pairs.map(|(&input, &output)| renamed(graph, node, input, output)).collect::<Result<_>>()?
            }
            None => return Ok(false),
        },
        _ => return Ok(false),
    };
    nodes.reverse();
    pending.extend(nodes);
    Ok(true)
}

/// Returns the first input as a truth value, if it is a constant.
fn condition(graph: &Graph, node: &Node) -> Result<Option<bool>> {
    let condition = &graph.tensors[graph.input(node, 0)?];
    Ok(condition.each_integer().filter(|list| list.len() == 1).and_then(|mut list| list.next()).map(|value| value != 0))
}

/// Returns the graph with this number.
fn subgraph<'g>(graph: &'g Graph, node: &Node, number: usize) -> Result<&'g Graph> {
    let found = number.checked_sub(1).and_then(|i| graph.subgraphs.get(i));
    found.ok_or_else(|| graph.invalid(node, format!("it names graph {number}, which is not there")))
}

/// Adds a tensor for each output of the graph with this number, and returns them.
fn like(graph: &mut Graph, node: &Node, number: usize, limit: &Limit) -> Result<Vec<TensorId>> {
    let inner = subgraph(graph, node, number)?;
    let tensors: Vec<_> = inner.outputs.iter().map(|&id| inner.tensors[id].like()).collect();
    for tensor in &tensors {
        limit.make(STEP + tensor.name.len() as u64, || format!("the branches of {}", graph.site(node)))?;
    }
    Ok(tensors.into_iter().map(|tensor| graph.add(tensor)).collect())
}

/// Returns the nodes of the graph with this number: its inputs are those of `node` from the one at `first` on, and it writes
/// `outputs`.
fn spliced(
    graph: &mut Graph,
    node: &Node,
    number: usize,
    first: usize,
    outputs: &[TensorId],
    limit: &Limit,
) -> Result<Vec<Node>> {
    subgraph(graph, node, number)?;
    let inner = std::mem::take(&mut graph.subgraphs[number - 1]);
    let inputs = node.inputs.get(first..).unwrap_or_default();
    let nodes = splice(graph, node, &inner, inputs, outputs, limit)?;
    graph.subgraphs[number - 1] = inner;
    Ok(nodes)
}

fn splice(
    graph: &mut Graph,
    node: &Node,
    inner: &Graph,
    inputs: &[Option<TensorId>],
    outputs: &[TensorId],
    limit: &Limit,
) -> Result<Vec<Node>> {
    if inner.inputs.len() != inputs.len() || inner.outputs.len() != outputs.len() {
        let what = format!(
            "it has {} inputs and {} outputs, and a graph that it names has {} and {}",
            inputs.len(),
            outputs.len(),
            inner.inputs.len(),
            inner.outputs.len()
        );
        return Err(graph.invalid(node, what));
    }
    let mut ids = vec![None; inner.tensors.len()];
    limit.make(8 * ids.len() as u64 + STEP, || format!("the branches of {}", graph.site(node)))?;
    for (&id, &input) in inner.inputs.iter().zip(inputs) {
        ids[id] = input;
    }
    let mut map = |graph: &mut Graph, id: TensorId| -> Result<TensorId> {
        if let Some(known) = ids[id] {
            return Ok(known);
        }
        let tensor = inner.tensors[id].clone();
        if tensor.is_state() {
            return Err(graph.unsupported(node, "branches without variables of their own"));
        }
        limit.make(STEP + tensor.name.len() as u64, || format!("the branches of {}", graph.site(node)))?;
        let new = graph.add(tensor);
        if let Some(signature) = inner.signatures.get(&id) {
            graph.signatures.insert(new, signature.clone());
        }
        ids[id] = Some(new);
        Ok(new)
    };
    let mut nodes = Vec::new();
    for inner in &inner.nodes {
        let operands = inner.inputs.len() + inner.outputs.len();
        limit.make(STEP + 16 * operands as u64, || format!("the branches of {}", graph.site(node)))?;
        let inputs = inner.inputs.iter().map(|id| id.map(|id| map(graph, id)).transpose()).collect::<Result<_>>()?;
        let outputs = inner.outputs.iter().map(|&id| map(graph, id)).collect::<Result<_>>()?;
        nodes.push(Node { op: inner.op.clone(), inputs, outputs, origin: node.origin });
    }
    for (&id, &output) in inner.outputs.iter().zip(outputs) {
        let id = map(graph, id)?;
        nodes.push(renamed(graph, node, Some(id), output)?);
    }
    Ok(nodes)
}

/// Returns the node that gives a tensor to `output`, which gets its type and shape.
fn renamed(graph: &mut Graph, node: &Node, input: Option<TensorId>, output: TensorId) -> Result<Node> {
    let Some(id) = input else { return Err(graph.invalid(node, "an input of it is missing")) };
    let (dtype, shape) = (graph.tensors[id].dtype, graph.tensors[id].shape.clone());
    if let (ElementType::I64, ElementType::I32) = (graph.tensors[output].dtype, dtype) {
        graph.tensors[output].dtype = dtype;
    }
    match graph.signatures.get(&id).cloned() {
        Some(signature) => graph.signatures.insert(output, signature),
        None => graph.signatures.remove(&output),
    };
    graph.tensors[output].shape = shape;
    let op = NodeOp::Ir(Op::Reshape { new_shape: None });
    Ok(Node { op, inputs: vec![Some(id)], outputs: vec![output], origin: node.origin })
}
