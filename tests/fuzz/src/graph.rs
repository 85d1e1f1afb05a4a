//! A hand-made plan as a graph, for the compiler to plan anew.

use crate::build::Parts;
use tealight_compiler::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor};
use tealight_format::{Operator, Value};

/// Gives values between which an operator moves codes one scale and zero point: else the compiler converts between
/// them, and the plan by hand does not.
pub fn share_scales(parts: &mut Parts) {
    let constants = parts.constants.len();
    let index = |i: u16| usize::from(i).checked_sub(constants).filter(|&i| i < parts.values.len());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for op in &parts.ops {
        if moves_codes(&op.operator) {
            let operands = op.inputs.iter().flatten().chain([&op.output]);
            groups.push(operands.filter_map(|&i| index(i)).collect());
        }
    }
    for (i, value) in parts.values.iter().enumerate() {
        groups.extend(value.alias.and_then(index).map(|base| vec![base, i]));
    }
    // Each value's leader is the first of all that it is connected with.
    let mut leaders: Vec<usize> = (0..parts.values.len()).collect();
    loop {
        let before = leaders.clone();
        for group in &groups {
            let first = group.iter().map(|&i| leaders[i]).min().unwrap_or(0);
            group.iter().for_each(|&i| leaders[i] = first);
        }
        if leaders == before {
            break;
        }
    }
    for (i, leader) in leaders.into_iter().enumerate() {
        let Value { dtype, quantization, .. } = parts.values[leader];
        let value = &mut parts.values[i];
        if value.dtype == dtype {
            value.quantization = quantization;
        }
    }
}

fn moves_codes(operator: &Operator) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::AvgPool2d(_)
            | O::AvgPool2dI16(_)
            | O::Concat(_)
            | O::Copy(_)
            | O::MaxPool2d(_)
            | O::MaxPool2dI16(_)
            | O::Pad(_)
            | O::ResizeBilinear(_)
            | O::ResizeNearest(_)
            | O::StridedSlice(_)
            | O::Transpose(_)
    )
}

/// The network of `parts`, a plan that the parser takes, without what the planner decides: offsets, live ranges,
/// scratch.
pub fn of(parts: &Parts) -> Graph {
    let mut graph = Graph::default();
    for (i, (name, dtype, dims, bytes)) in parts.constants.iter().enumerate() {
        let name = format!("{name}.{i}");
        graph.add(Tensor::constant(name, ElementType::from(*dtype), dims.clone(), bytes.clone()));
    }
    for (i, value) in parts.values.iter().enumerate() {
        let mut tensor = Tensor::computed(format!("v{i}"), value.dtype.into(), value.shape.dims().to_vec());
        if value.quantization.scale > 0.0 {
            tensor.quantization = Some(value.quantization.into());
        }
        tensor.alias = listed(value.alias);
        if value.is_state() {
            tensor.content = Content::State(Some(initial(parts, value).into()));
        }
        graph.add(tensor);
    }
    for (origin, op) in parts.ops.iter().enumerate() {
        let inputs = op.inputs.iter().take(op.count.into()).map(|&input| listed(input)).collect();
        graph.nodes.push(Node { op: NodeOp::Kernel(op.operator), inputs, outputs: vec![op.output.into()], origin });
    }
    let constants = parts.constants.len();
    graph.inputs = (constants..constants + usize::from(parts.inputs)).collect();
    graph.outputs = parts.outputs.iter().copied().map(usize::from).collect();
    graph
}

/// An index as the file has it, where the largest stands for none.
fn listed(index: Option<u16>) -> Option<usize> {
    index.filter(|&index| index != u16::MAX).map(usize::from)
}

/// What a state starts from. Without bytes, the compiler would take real zeros, which are not zero bytes where it is
/// quantized.
fn initial(parts: &Parts, value: &Value) -> Vec<u8> {
    let base = listed(value.alias).map_or(*value, |base| parts.values[base - parts.constants.len()]);
    let bytes = listed(base.init).map(|init| parts.constants[init].3.clone());
    bytes.unwrap_or_else(|| vec![0; base.len as usize])
}
