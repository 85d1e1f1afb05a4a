//! Turns variables into state tensors, and reading and assigning them into copies.
//!
//! In TensorFlow Lite an operator creates a handle that names a variable, and a separate graph, which CALL_ONCE runs,
//! fills it once. Here a variable is a tensor, and its initial value is known at compile time.

use super::fold::fold;
use super::requantize::{constant_like, requantize};
use crate::diag::{CompileError, Result, Site};
use crate::ir::Op;
use crate::ir::graph::{Bytes, Content, ElementType, Graph, Node, NodeOp, Tensor, TensorId};
use crate::limit::Limit;
use std::collections::HashMap;
use tealight_format::{Operator, Quantization, ops};

/// Variables by name.
type Named = HashMap<String, TensorId>;

/// Resolves variables, and sets the initial value of variable tensors.
///
/// # Errors
/// The initial values exceed `limit`, or are not known; or a node contradicts itself.
pub(crate) fn resolve(mut graph: Graph, limit: &Limit) -> Result<Graph> {
    let mut initial = HashMap::new();
    // Each graph runs once, however many nodes call it.
    let mut subgraphs: Vec<Option<Graph>> = std::mem::take(&mut graph.subgraphs).into_iter().map(Some).collect();
    for node in &graph.nodes {
        if let NodeOp::Ir(Op::CallOnce { subgraph }) = node.op {
            let Some(init) = subgraph.checked_sub(1).and_then(|i| subgraphs.get_mut(i)) else {
                return Err(graph.invalid(node, format!("it calls graph {subgraph}, which is not there")));
            };
            if let Some(init) = init.take() {
                initial_values(&graph, node, init, &mut initial, limit)?;
            }
        }
    }
    // TensorFlow Lite Micro resets int8 variables to their zero point, others to 0.
    for node in &graph.nodes {
        for &id in node.inputs.iter().flatten().chain(&node.outputs) {
            let tensor = &mut graph.tensors[id];
            if tensor.content == Content::State(None) {
                tensor.content = Content::State(zero_point_fill(tensor, limit)?);
            }
        }
    }
    let handles = handles(&graph);
    check_handles(&graph, &handles)?;
    let mut variables = Named::new();
    let mut nodes = Vec::new();
    for node in std::mem::take(&mut graph.nodes) {
        match &node.op {
            NodeOp::Ir(Op::CallOnce { .. } | Op::VarHandle { .. }) => {}
            NodeOp::Ir(Op::ReadVariable) => {
                let output = graph.output(&node)?;
                let variable = variable(&mut graph, &node, &handles, &mut variables, &initial, output, limit)?;
                nodes.push(copy(&node, variable, output));
            }
            NodeOp::Ir(Op::AssignVariable) => {
                let value = graph.input(&node, 1)?;
                let variable = variable(&mut graph, &node, &handles, &mut variables, &initial, value, limit)?;
                nodes.push(copy(&node, value, variable));
            }
            _ => nodes.push(node),
        }
    }
    graph.nodes = nodes;
    Ok(graph)
}

fn copy(node: &Node, from: TensorId, to: TensorId) -> Node {
    Node {
        op: NodeOp::Kernel(Operator::Copy(ops::Copy)),
        inputs: vec![Some(from)],
        outputs: vec![to],
        origin: node.origin,
    }
}

/// Returns the name of the variable behind each handle tensor.
fn handles(graph: &Graph) -> HashMap<TensorId, String> {
    let mut handles = HashMap::new();
    for node in &graph.nodes {
        if let (NodeOp::Ir(Op::VarHandle { name }), [handle]) = (&node.op, &node.outputs[..]) {
            handles.insert(*handle, name.clone());
        }
    }
    handles
}

/// Checks that handles are created without inputs, and only read from and assigned to.
fn check_handles(graph: &Graph, handles: &HashMap<TensorId, String>) -> Result<()> {
    for node in &graph.nodes {
        let (op, reads) = match &node.op {
            NodeOp::Ir(op) => (Some(op), node.inputs.iter().flatten().position(|id| handles.contains_key(id))),
            NodeOp::Kernel(_) => (None, None),
        };
        match (op, reads) {
            (Some(Op::VarHandle { .. }), _) => {
                let output = graph.output(node)?;
                if graph.tensors[output].dtype != ElementType::Resource {
                    return Err(CompileError::UnsupportedType {
                        site: graph.site(node),
                        tensor: graph.tensors[output].name.clone(),
                        found: graph.tensors[output].dtype.to_string(),
                        accepted: "resource".into(),
                    });
                }
            }
            (Some(Op::ReadVariable | Op::AssignVariable), Some(0)) | (_, None) => {}
            (_, Some(k)) => return Err(graph.invalid(node, format!("its input {k} is the handle of a variable"))),
        }
    }
    match graph.outputs.iter().find(|id| handles.contains_key(id)) {
        Some(&id) => Err(CompileError::InvalidModel {
            site: Site::Graph,
            what: format!("output `{}` is the handle of a variable", graph.tensors[id].name),
        }),
        None => Ok(()),
    }
}

/// Returns the state tensor behind the handle that `node` uses, with the type and shape of `like`.
fn variable(
    graph: &mut Graph,
    node: &Node,
    handles: &HashMap<TensorId, String>,
    variables: &mut Named,
    initial: &HashMap<String, Tensor>,
    like: TensorId,
    limit: &Limit,
) -> Result<TensorId> {
    let handle = graph.input(node, 0)?;
    let Some(name) = handles.get(&handle) else {
        return Err(graph.unsupported(node, "a handle that VAR_HANDLE makes in the same graph"));
    };
    let like = &graph.tensors[like];
    if let Some(&id) = variables.get(name) {
        let variable = &graph.tensors[id];
        if (variable.dtype, variable.elements()) != (like.dtype, like.elements()) {
            let what = format!("variable `{name}` is {}{:?} elsewhere", variable.dtype, variable.shape);
            return Err(graph.invalid(node, what));
        }
        return Ok(id);
    }
    let mut tensor = Tensor { name: format!("{name}.state"), ..like.like() };
    let first = match initial.get(name) {
        // Zeros need no constant.
        Some(value) if (value.dtype, value.elements()) == (like.dtype, like.elements()) => {
            constant_like(graph, node, value, like)?.filter(|bytes| bytes.iter().any(|&byte| byte != 0))
        }
        Some(value) => {
            let what = format!("variable `{name}` starts as {}{:?}", value.dtype, value.shape);
            return Err(graph.invalid(node, what));
        }
        None => zero_point_fill(like, limit)?,
    };
    tensor.content = Content::State(first);
    let id = graph.add(tensor);
    variables.insert(name.clone(), id);
    Ok(id)
}

/// Returns the bytes that an int8 variable is reset to, if its zero point is not 0.
///
/// # Errors
/// They exceed `limit`.
fn zero_point_fill(tensor: &Tensor, limit: &Limit) -> Result<Option<Bytes>> {
    match (tensor.dtype, tensor.per_tensor()) {
        (ElementType::I8, Some(Quantization { zero_point, .. })) if zero_point != 0 => {
            let what = || format!("what the variable `{}` starts from", tensor.name);
            limit.make(tensor.elements() as u64, what)?;
            Ok(Some(vec![zero_point as u8; tensor.elements()].into()))
        }
        _ => Ok(None),
    }
}

/// Adds the initial values that the graph `init` assigns.
///
/// # Errors
/// It does anything else, or computes more than `limit` allows.
fn initial_values(
    graph: &Graph,
    call: &Node,
    init: Graph,
    initial: &mut HashMap<String, Tensor>,
    limit: &Limit,
) -> Result<()> {
    let init = fold(requantize(init)?, limit)?;
    let handles = handles(&init);
    for node in &init.nodes {
        match &node.op {
            NodeOp::Ir(Op::VarHandle { .. }) => {}
            NodeOp::Ir(Op::AssignVariable) => {
                let (handle, value) = (init.input(node, 0)?, &init.tensors[init.input(node, 1)?]);
                let (Some(name), true) = (handles.get(&handle), value.is_constant()) else {
                    return Err(graph.unsupported(call, "an initial graph that assigns constants to variables"));
                };
                initial.insert(name.clone(), Tensor { content: value.content.clone(), ..value.like() });
            }
            other => {
                let accepted =
                    format!("an initial graph that assigns constants to variables, without {}", other.name());
                return Err(graph.unsupported(call, accepted));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::resolve as resolve_within;
    use crate::diag::Result;
    use crate::ir::Op;
    use crate::ir::graph::{Content, ElementType, Graph, Node, Tensor};
    use crate::limit::Limit;
    use crate::options::Options;
    use crate::testing::{Builder, names, quantized};

    fn resolve(graph: Graph) -> Result<Graph> {
        let limit = Limit::of(&graph, &Options::default());
        resolve_within(graph, &limit)
    }

    fn handle(b: &mut Builder) -> usize {
        let handle = b.graph.add(Tensor::computed("handle", ElementType::Resource, vec![]));
        b.node(Op::VarHandle { name: "v".into() }, &[], &[handle]);
        handle
    }

    /// A graph that reads and assigns a variable, and one that fills it.
    fn counter() -> Graph {
        let mut init = Builder::default();
        let first = handle(&mut init);
        let value = init.weights(&[4], &[1, 2, 3, 4]);
        init.graph.tensors[value].quantization = quantized(0.5, 3);
        init.node(Op::AssignVariable, &[first, value], &[]);
        let mut b = Builder::default();
        b.node(Op::CallOnce { subgraph: 1 }, &[], &[]);
        let (x, read) = (b.input(&[4]), b.int8(&[4]));
        let variable = handle(&mut b);
        b.node(Op::ReadVariable, &[variable], &[read]);
        b.node(Op::AssignVariable, &[variable, x], &[]);
        b.graph.subgraphs.push(init.graph);
        b.output(read)
    }

    #[test]
    fn a_variable_becomes_state_with_what_the_initial_graph_assigns() {
        let graph = resolve(counter()).unwrap();
        assert_eq!(names(&graph), ["Copy", "Copy"]);
        let state = graph.nodes[0].inputs[0].unwrap();
        assert_eq!(graph.nodes[1].outputs, [state]);
        assert_eq!(graph.tensors[state].content, Content::State(Some(vec![1, 2, 3, 4].into())));
    }

    #[test]
    fn a_value_assigned_to_a_variable_is_converted_to_its_scale() {
        let mut graph = counter();
        let init = &mut graph.subgraphs[0];
        let value = init.nodes[1].inputs[1].unwrap();
        init.tensors[value].quantization = quantized(1.0, -1);
        let graph = resolve(graph).unwrap();
        let state = graph.nodes[0].inputs[0].unwrap();
        // 2, 3, 4 and 5.
        assert_eq!(graph.tensors[state].content, Content::State(Some(vec![7, 9, 11, 13].into())));
    }

    #[test]
    fn rejects_arithmetic_on_a_variable_handle() {
        let mut graph = counter();
        let handle = graph.nodes[3].inputs[0].unwrap();
        let y = graph.nodes[2].outputs[0];
        graph.nodes.push(Node { op: Op::Relu.into(), inputs: vec![Some(handle)], outputs: vec![y], origin: 4 });
        assert!(resolve(graph).unwrap_err().to_string().contains("its input 0 is the handle of a variable"));
    }

    #[test]
    fn a_variable_without_an_initial_value_starts_at_its_zero_point() {
        let mut graph = counter();
        graph.nodes.remove(0);
        let graph = resolve(graph).unwrap();
        let state = graph.nodes[0].inputs[0].unwrap();
        assert_eq!(graph.tensors[state].content, Content::State(Some(vec![3; 4].into())));
    }

    #[test]
    fn an_initial_graph_that_computes_is_refused() {
        let mut graph = counter();
        let init = &mut graph.subgraphs[0];
        let value = init.nodes[1].inputs[1].unwrap();
        init.tensors[value].content = Content::Computed;
        assert!(resolve(graph).unwrap_err().to_string().contains("CallOnce"));
    }

    #[test]
    fn an_initial_graph_that_is_called_many_times_runs_once() {
        let mut graph = counter();
        let call = graph.nodes[0].clone();
        // Each run takes a quarter of what is allowed.
        let init = &mut graph.subgraphs[0];
        let part = init.add(Tensor::constant("part", ElementType::I8, vec![1 << 20], vec![1; 1 << 20]));
        let all = init.add(Tensor::computed("all", ElementType::I8, vec![16 << 20]));
        let join = Op::Concat { axis: 0, activation: crate::ir::Activation::None };
        let inputs = vec![Some(part); 16];
        init.nodes.push(crate::ir::graph::Node { op: join.into(), inputs, outputs: vec![all], origin: 2 });
        graph.nodes.extend(std::iter::repeat_n(call, 100));
        assert_eq!(names(&resolve(graph).unwrap()), ["Copy", "Copy"]);
    }

    #[test]
    fn variables_that_start_from_more_than_is_allowed_are_refused() {
        let mut b = Builder::default();
        let (x, mut y) = (b.input(&[1]), 0);
        for _ in 0..100 {
            let state = b.state(&[1 << 20]);
            y = b.int8(&[1]);
            b.node(Op::Svdf { rank: 1, activation: crate::ir::Activation::None }, &[x, state], &[y]);
        }
        // Variables that nothing uses allocate nothing.
        for _ in 0..100 {
            b.state(&[1 << 30]);
        }
        let error = resolve(b.output(y)).unwrap_err().to_string();
        assert!(error.contains("what the variable `t129` starts from would take 68157440 bytes"), "{error}");
    }
}
