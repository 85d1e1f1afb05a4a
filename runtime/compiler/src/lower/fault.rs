//! Describes a broken operator rule in the terms of the source file: its operator, its tensors and their shapes.

use crate::diag::CompileError;
use crate::ir::graph::{Graph, Node, TensorId};
use tealight_format::ops::OUTPUT;
use tealight_format::{OpFault, Operator};

/// Returns the error that `lowered`, which the file's `node` became, breaks the rule of `operator`.
pub(super) fn describe(
    graph: &Graph,
    node: &Node,
    lowered: &Node,
    operator: &Operator,
    fault: OpFault,
) -> CompileError {
    let operand = |operand: u8| match operand {
        OUTPUT => lowered.outputs.first().copied(),
        _ => lowered.inputs.get(usize::from(operand)).copied().flatten(),
    };
    // Tensors that the compiler added are not named: the user does not know them.
    let named = |at: u8| operand(at).filter(|&id| is_of(graph, node, id));
    let subject = |at: u8| named(at).map_or("one of its tensors".to_string(), |id| graph.describe(id));
    let what = match fault {
        OpFault::Inputs => format!("it has the wrong number of inputs, {}", node.inputs.len()),
        OpFault::Type { operand } => format!("{} has a type that the operator does not accept there", subject(operand)),
        OpFault::Shape { operand } => match named(operand) {
            Some(id) => format!("the shape of {} does not fit", graph.describe(id)),
            None => "its shapes do not fit together".to_string(),
        },
        OpFault::Quantization { operand } => {
            let id = named(operand);
            let quantization = id.and_then(|id| graph.tensors[id].quantization.as_ref());
            let found = quantization.map_or("no scale".to_string(), ToString::to_string);
            format!("{} has {found}, which the operator does not accept", subject(operand))
        }
        OpFault::Place { operand } => {
            let constant = operand_is_constant(graph, lowered, operand);
            format!("{} must{} be a constant", subject(operand), if constant { " not" } else { "" })
        }
        OpFault::Attribute { index } => format!("its {} is not accepted", attribute(operator, index)),
        OpFault::TooLarge => "it is too large: one row of its output takes 2^32 steps or more".to_string(),
        _ => "its operands do not fit together".to_string(),
    };
    graph.invalid(node, format!("{what}: {}", graph.describe_operands(node)))
}

/// Returns whether `id` is an operand of `node`, or a view of one.
fn is_of(graph: &Graph, node: &Node, id: TensorId) -> bool {
    let base = graph.base(id);
    node.inputs.iter().flatten().chain(&node.outputs).any(|&other| graph.base(other) == base)
}

fn operand_is_constant(graph: &Graph, node: &Node, at: u8) -> bool {
    let id =
        if at == OUTPUT { node.outputs.first().copied() } else { node.inputs.get(usize::from(at)).copied().flatten() };
    id.is_some_and(|id| graph.tensors[graph.base(id)].is_constant())
}

/// Returns the name of the attribute in word `index` of an operator.
fn attribute(operator: &Operator, index: u8) -> &'static str {
    use Operator as O;
    match (operator, index) {
        (O::Conv2d(_) | O::DepthwiseConv2d(_) | O::Conv2dF32(_) | O::DepthwiseConv2dF32(_), 0..=5)
        | (O::Conv2dI16(_) | O::DepthwiseConv2dI16(_), 0..=5) => "window (stride, dilation, padding)",
        (O::AvgPool2d(_) | O::MaxPool2d(_) | O::AvgPool2dF32(_) | O::MaxPool2dF32(_), 0..=5)
        | (O::AvgPool2dI16(_) | O::MaxPool2dI16(_), 0..=5) => "window (size, stride, padding)",
        (O::ConvTranspose2dF32(_), 0..=5) => "window (stride, padding)",
        (O::Add(_) | O::Sub(_), 0..=6) | (O::Mul(_), 0..=1) => "quantization (the factors between its scales)",
        (O::Transpose(_), _) => "permutation",
        (O::Concat(_) | O::ArgMinMax(_) | O::ArgMinMaxF32(_), _) => "axis",
        (O::Mean(_) | O::MeanI16(_) | O::MeanF32(_), 0) => "list of axes",
        (O::Mean(_), _) => "quantization (the factors between its scales)",
        (O::Pad(_), _) => "padding",
        (O::StridedSlice(_), _) => "slice (begin, size, stride)",
        (O::Svdf(_), 0) => "rank",
        (O::Svdf(_), 1..=4) => "quantization (the factors between its scales)",
        (O::Softmax(_) | O::SoftmaxF32(_), _) => "beta",
        (O::UnaryF32(_), _) => "parameter",
        (O::LayerNormF32(_) | O::RmsNormF32(_), _) => "epsilon",
        (O::AttentionF32(_), _) => "number of heads or scale",
        (O::RopeF32(_), _) => "number of heads",
        (O::Positions(_), _) => "capacity",
        _ => "range or option",
    }
}
