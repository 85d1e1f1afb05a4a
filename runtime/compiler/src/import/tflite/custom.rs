//! Operators that are not TensorFlow Lite's own, by the name that a file calls them: those of MediaPipe's networks.
//!
//! Their options are bytes in a form that each defines itself.

use crate::diag::{CompileError, Result};
use crate::ir::graph::{Content, ElementType, Graph, Node, NodeOp, Tensor};
use crate::ir::{Activation, Op, Padding, Window};

/// One operator.
pub(super) struct Row {
    /// Its name in a file.
    pub(super) name: &'static str,
    /// Turns the node into one of a neutral operator.
    pub(super) build: fn(&mut Graph, &mut Node, &[u8]) -> Result<()>,
}

const OPERATORS: &[Row] = &[Row { name: "Convolution2DTransposeBias", build: conv_transpose2d_with_bias }];

/// Returns the row of the operator `name`.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    OPERATORS.iter().find(|row| row.name == name)
}

/// The names of all rows.
#[cfg(test)]
pub(super) fn names() -> String {
    OPERATORS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

/// Word `i` of the options.
fn word(options: &[u8], i: usize) -> Option<i32> {
    options.get(4 * i..)?.first_chunk().map(|bytes| i32::from_le_bytes(*bytes))
}

fn options_missing(graph: &Graph, node: &Node) -> CompileError {
    graph.invalid(node, "its options are missing or cut off")
}

/// A transposed convolution. Options: padding (1 same, 2 valid), horizontal stride, vertical stride. Inputs: activations,
/// weights OHWI, bias.
fn conv_transpose2d_with_bias(graph: &mut Graph, node: &mut Node, options: &[u8]) -> Result<()> {
    let words = word(options, 0).zip(word(options, 1)).zip(word(options, 2));
    let ((padding, horizontal), vertical) = words.ok_or_else(|| options_missing(graph, node))?;
    let padding = match padding {
        1 => Padding::Same,
        2 => Padding::Valid,
        other => return Err(graph.invalid(node, format!("its padding is {other}"))),
    };
    let (&[input, weights, bias], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
        return Err(graph.invalid(node, "it does not have three inputs and one output"));
    };
    // TensorFlow Lite's own operator states the output's shape as its first input.
    let target = &graph.tensors[output];
    let dims: Vec<u8> = target.shape.iter().flat_map(|dim| dim.to_le_bytes()).collect();
    let rank = u32::try_from(target.shape.len()).unwrap_or(u32::MAX);
    let mut shape = Tensor::computed(format!("{}/shape", target.name), ElementType::I32, vec![rank]);
    shape.content = Content::Constant(dims.into());
    let shape = graph.add(shape);
    node.op = NodeOp::Ir(Op::ConvTranspose2d(Window {
        padding,
        stride: [vertical, horizontal],
        dilation: [1, 1],
        size: [0, 0],
        explicit: [0; 4],
        activation: Activation::None,
    }));
    node.inputs = vec![Some(shape), weights, input, bias];
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Builder, lower};
    use tealight_format::Operator;

    /// A network of one `Convolution2DTransposeBias` with these options, as it is read.
    fn imported(options: &[i32]) -> Result<Graph> {
        let mut b = Builder::default();
        let (x, y) = (b.f32(&[1, 2, 3, 1]), b.f32(&[1, 4, 9, 2]));
        b.graph.inputs.push(x);
        let (weights, bias) = (b.f32_constant(&[2, 2, 3, 1], &[0.5; 12]), b.f32_constant(&[2], &[1.0, 2.0]));
        b.node(Op::Unknown { name: "CUSTOM Convolution2DTransposeBias".into() }, &[x, weights, bias], &[y]);
        let mut graph = b.output(y);
        let mut node = graph.nodes.remove(0);
        let options: Vec<u8> = options.iter().flat_map(|word| word.to_le_bytes()).collect();
        (row("Convolution2DTransposeBias").unwrap().build)(&mut graph, &mut node, &options)?;
        graph.nodes.push(node);
        Ok(graph)
    }

    #[test]
    fn a_transposed_convolution_has_its_bias_and_the_strides_of_its_options() {
        let graph = lower(imported(&[1, 3, 2]).unwrap()).unwrap();
        let node = &graph.nodes[0];
        let NodeOp::Kernel(Operator::ConvTranspose2dF32(conv)) = node.op else { panic!("{:?}", node.op) };
        assert_eq!((conv.stride, conv.pad), ([2, 3], [0, 0]));
        let names: Vec<_> = node.inputs.iter().map(|id| graph.tensors[id.unwrap()].shape.clone()).collect();
        assert_eq!(names, [vec![1, 2, 3, 1], vec![2, 2, 3, 1], vec![2]]);
    }

    #[test]
    fn options_that_are_cut_off_or_unknown_are_refused() {
        for (options, expected) in [(&[1, 3][..], "cut off"), (&[0, 3, 2], "its padding is 0"), (&[], "missing")] {
            let error = imported(options).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("Convolution2DTransposeBias"), "{error}");
        }
    }
}
