//! Cross-layer equalization: rescales the weights of neighbouring layers against each other, so that every channel of
//! the tensor between them uses its range well.
//!
//! At most a ReLU is between the two layers, and it commutes with positive factors. Dividing output channel i of the
//! first layer by s, and multiplying by s the weights of the second that read it, therefore changes no result. With s =
//! sqrt(r1 / r2), where r1 and r2 are the maximum magnitudes of the channel's weights in the two layers, both become
//! sqrt(r1 r2) (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, equation
//! 11).

use super::Result;
use super::observe::floats;
use crate::ir::graph::{Content, Graph, Node, NodeOp, TensorId};
use crate::ir::{Activation, Op};
use crate::store::rounded::Channels;
use std::collections::HashMap;

/// The number of iterations over the pairs of a chain: each pair changes its neighbours.
const SWEEPS: usize = 20;

/// Two layers, by their node indices, and the channels of the tensor between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    first: usize,
    second: usize,
    channels: usize,
}

/// Returns the same network with equalized weights; `None` if no two layers can be equalized.
pub(super) fn equalize(graph: &Graph) -> Result<Option<Graph>> {
    let pairs: Vec<Pair> = pairs(graph);
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut graph = graph.clone();
    // Each layer gets its own copy of its constants.
    for pair in &pairs {
        for (node, inputs) in [(pair.first, 1..3), (pair.second, 1..2)] {
            for k in inputs {
                if let Some(id) = graph.nodes[node].inputs.get(k).copied().flatten() {
                    let own = graph.add(graph.tensors[id].clone());
                    graph.nodes[node].inputs[k] = Some(own);
                }
            }
        }
    }
    for _ in 0..SWEEPS {
        for &pair in &pairs {
            equalize_pair(&mut graph, pair)?;
        }
    }
    Ok(Some(graph))
}

/// Returns all pairs of layers that can be equalized.
fn pairs(graph: &Graph) -> Vec<Pair> {
    // The only reader of each tensor; `None` for the graph's outputs and for tensors that several nodes read.
    let mut readers: HashMap<TensorId, Option<usize>> = graph.outputs.iter().map(|&id| (id, None)).collect();
    for (at, node) in graph.nodes.iter().enumerate() {
        for &id in node.inputs.iter().flatten() {
            let reader = readers.entry(id).or_insert(Some(at));
            *reader = reader.filter(|&reader| reader == at);
        }
    }
    (0..graph.nodes.len()).filter_map(|node| pair(graph, node, &readers)).collect()
}

/// Returns the pair of the layer `node` and the one after it, if only operators that commute with positive factors are
/// between them.
fn pair(graph: &Graph, node: usize, readers: &HashMap<TensorId, Option<usize>>) -> Option<Pair> {
    let first = &graph.nodes[node];
    let rectified = matches!(activation(&first.op)?, Activation::None | Activation::Relu);
    let channels = Channels::of(&graph.tensors[weights(graph, first)?].shape, depthwise(first))?.count;
    let mut between = *first.outputs.first()?;
    if !rectified || first.inputs.get(2).copied().flatten().is_some_and(|id| !graph.tensors[id].is_constant()) {
        return None;
    }
    loop {
        let second = readers.get(&between).copied().flatten()?;
        let reader = &graph.nodes[second];
        if reader.inputs.first() != Some(&Some(between)) {
            return None;
        }
        // After a reshape, the last dimension may no longer be the channels.
        let in_place = graph.tensors[between].shape.last() == Some(&(channels as u32));
        let any_place =
            matches!(&reader.op, NodeOp::Ir(op) if matches!(op, Op::FullyConnected(_) | Op::Relu) || moves(op));
        if !in_place && !any_place {
            return None;
        }
        if weights(graph, reader).is_some() {
            let pair = Pair { first: node, second, channels };
            let count = graph.tensors[weights(graph, reader)?].elements();
            return (0..count).all(|index| pair.channel(graph, index).is_some()).then_some(pair);
        }
        if !commutes(graph, reader) {
            return None;
        }
        between = *reader.outputs.first()?;
    }
}

/// Returns whether an operator keeps all elements and their order.
fn moves(op: &Op) -> bool {
    matches!(op, Op::Reshape { .. } | Op::Squeeze { .. } | Op::ExpandDims)
}

/// Returns whether an operator of one tensor commutes with positive factors along the last dimension.
fn commutes(graph: &Graph, node: &Node) -> bool {
    let NodeOp::Ir(op) = &node.op else { return false };
    match op {
        Op::MaxPool2d(window) | Op::AvgPool2d(window) => {
            matches!(window.activation, Activation::None | Activation::Relu)
        }
        Op::Relu => true,
        op if moves(op) => true,
        Op::Mean => {
            let rank = node.inputs.first().copied().flatten().map_or(0, |id| graph.tensors[id].shape.len()) as i64;
            let axes = graph.constant_integers(node, 1).unwrap_or_default();
            axes.iter().all(|axis| axis.rem_euclid(rank.max(1)) != rank - 1)
        }
        _ => false,
    }
}

/// Returns the constant weights of a layer.
fn weights(graph: &Graph, node: &Node) -> Option<TensorId> {
    activation(&node.op)?;
    node.inputs.get(1).copied().flatten().filter(|&id| graph.tensors[id].is_constant())
}

/// Returns the activation of a layer with weights.
fn activation(op: &NodeOp) -> Option<Activation> {
    match op {
        NodeOp::Ir(Op::Conv2d(window) | Op::DepthwiseConv2d(window)) => Some(window.activation),
        NodeOp::Ir(Op::FullyConnected(activation)) => Some(*activation),
        _ => None,
    }
}

fn depthwise(node: &Node) -> bool {
    matches!(node.op, NodeOp::Ir(Op::DepthwiseConv2d(_)))
}

impl Pair {
    /// Returns the channel, of the tensor between the layers, that weight `index` of the second layer is multiplied by.
    fn channel(&self, graph: &Graph, index: usize) -> Option<usize> {
        let node = &graph.nodes[self.second];
        let shape = &graph.tensors[weights(graph, node)?].shape;
        match (&node.op, &shape[..]) {
            // 1HWO: `multiplier` outputs for each input.
            (NodeOp::Ir(Op::DepthwiseConv2d(_)), &[_, _, _, o]) => {
                let multiplier =
                    (o as usize).checked_div(self.channels).filter(|&m| m * self.channels == o as usize)?;
                (index % o as usize).checked_div(multiplier)
            }
            // OHWI: with groups, an output reads only the channels of its group.
            (NodeOp::Ir(Op::Conv2d(_)), &[o, h, w, i]) => {
                let [o, h, w, i] = [o, h, w, i].map(|dim| dim as usize);
                let groups = self.channels.checked_div(i).filter(|&groups| groups * i == self.channels)?;
                let output = index.checked_div(h * w * i)?;
                Some(output.checked_div(o.checked_div(groups)?)? * i + index % i)
            }
            // OI: a flattened image has its channels last.
            (NodeOp::Ir(Op::FullyConnected(_)), &[_, depth]) => {
                (depth as usize).is_multiple_of(self.channels).then(|| index % self.channels)
            }
            _ => None,
        }
    }
}

fn equalize_pair(graph: &mut Graph, pair: Pair) -> Result<()> {
    let [first, second] = [pair.first, pair.second].map(|node| weights(graph, &graph.nodes[node]));
    let (Some(first), Some(second)) = (first, second) else { return Ok(()) };
    let bias = graph.nodes[pair.first].inputs.get(2).copied().flatten();
    let Some(channels) = Channels::of(&graph.tensors[first].shape, depthwise(&graph.nodes[pair.first])) else {
        return Ok(());
    };
    let (mut before, mut after) = (floats(&graph.tensors[first])?, floats(&graph.tensors[second])?);
    let met: Vec<usize> = (0..after.len()).filter_map(|index| pair.channel(graph, index)).collect();
    let mut maxima = vec![[0f32; 2]; pair.channels];
    for (index, weight) in before.iter().enumerate() {
        let [r1, _] = &mut maxima[channels.of_weight(index)];
        *r1 = r1.max(weight.abs());
    }
    for (&channel, weight) in met.iter().zip(&after) {
        let [_, r2] = &mut maxima[channel];
        *r2 = r2.max(weight.abs());
    }
    let factor = |&[r1, r2]: &[f32; 2]| {
        let factor = (r1 / r2).sqrt();
        // A channel that one of the layers does not use stays unchanged.
        if factor.is_normal() { factor } else { 1.0 }
    };
    let factors: Vec<f32> = maxima.iter().map(factor).collect();
    before.iter_mut().enumerate().for_each(|(index, weight)| *weight /= factors[channels.of_weight(index)]);
    after.iter_mut().zip(met).for_each(|(weight, channel)| *weight *= factors[channel]);
    put(graph, first, &before);
    put(graph, second, &after);
    if let Some(id) = bias {
        let mut bias = floats(&graph.tensors[id])?;
        bias.iter_mut().zip(&factors).for_each(|(bias, factor)| *bias /= factor);
        put(graph, id, &bias);
    }
    Ok(())
}

fn put(graph: &mut Graph, id: TensorId, numbers: &[f32]) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    graph.tensors[id].content = Content::Constant(bytes.into());
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Build, numbers, window};
    use super::*;
    use crate::ir::Padding;
    use crate::quantize::float_run::FloatRun;
    use crate::quantize::samples::Samples;

    /// A convolution, a depthwise one with two outputs for each channel, one with two groups, then a flattened image
    /// and a matrix.
    fn chain() -> Graph {
        let mut b = Build::default();
        let x = b.input(&[1, 6, 6, 2]);
        let conv = Op::Conv2d(crate::ir::Window { activation: Activation::Relu, ..window(Padding::Same, 1, 0) });
        let (w, bias) = (b.weights("a", 1, &[4, 3, 3, 2]), b.weights("a/bias", 2, &[4]));
        let y = b.node(conv, &[x, w, bias], "a", &[1, 6, 6, 4]);
        let w = b.weights("b", 3, &[1, 3, 3, 8]);
        let y = b.node(Op::DepthwiseConv2d(window(Padding::Same, 1, 0)), &[y, w], "b", &[1, 6, 6, 8]);
        let y = b.node(Op::MaxPool2d(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 3, 3, 8]);
        let (w, bias) = (b.weights("c", 4, &[6, 1, 1, 4]), b.weights("c/bias", 5, &[6]));
        let y = b.node(Op::Conv2d(window(Padding::Same, 1, 0)), &[y, w, bias], "c", &[1, 3, 3, 6]);
        let y = b.node(Op::Relu, &[y], "relu", &[1, 3, 3, 6]);
        let y = b.node(Op::Reshape { new_shape: None }, &[y], "flat", &[1, 54]);
        let w = b.weights("d", 6, &[3, 54]);
        let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "d", &[1, 3]);
        b.network(y)
    }

    fn outputs(graph: &Graph) -> Vec<f32> {
        let streams = [(0..5).map(|seed| numbers(seed, 72)).collect::<Vec<_>>()];
        let mut all = Vec::new();
        let samples = Samples::new(graph, &streams).unwrap();
        FloatRun::new(graph, &crate::Options::default())
            .unwrap()
            .run(samples.iter(), |_, values| {
                all.extend_from_slice(values.last().unwrap());
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn an_equalized_network_computes_the_same_outputs() {
        let graph = chain();
        let found = pairs(&graph);
        let places: Vec<[usize; 3]> = found.iter().map(|pair| [pair.first, pair.second, pair.channels]).collect();
        assert_eq!(places, [[0, 1, 4], [1, 3, 8], [3, 6, 6]]);
        let equalized = equalize(&graph).unwrap().unwrap();
        assert_ne!(equalized.nodes[0].inputs[1], graph.nodes[0].inputs[1]);
        for (found, wanted) in outputs(&equalized).iter().zip(outputs(&graph)) {
            assert!((found - wanted).abs() < 1e-4 * wanted.abs().max(1.0), "{found} instead of {wanted}");
        }
    }

    #[test]
    fn equalizes_the_maximum_weights_of_each_channel() {
        let mut b = Build::default();
        let x = b.input(&[1, 2]);
        let w = b.constant(&[2, 2], &[100.0, 50.0, 0.25, 0.125]);
        let y = b.node(Op::FullyConnected(Activation::Relu), &[x, w], "a", &[1, 2]);
        let v = b.constant(&[1, 2], &[1.0, 4.0]);
        let y = b.node(Op::FullyConnected(Activation::None), &[y, v], "b", &[1, 1]);
        let equalized = equalize(&b.network(y)).unwrap().unwrap();
        let weights = [0, 1].map(|node| floats(&equalized.tensors[equalized.nodes[node].inputs[1].unwrap()]).unwrap());
        assert_eq!(weights, [vec![10.0, 5.0, 1.0, 0.5], vec![10.0, 1.0]]);
    }

    #[test]
    fn does_not_fuse_what_does_not_commute_or_is_read_twice() {
        for (op, read_twice) in [(Op::Relu6, false), (Op::Tanh, false), (Op::HardSwish, false), (Op::Relu, true)] {
            let mut b = Build::default();
            let x = b.input(&[1, 2]);
            let w = b.weights("a", 1, &[2, 2]);
            let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "a", &[1, 2]);
            let y = b.node(op, &[y], "between", &[1, 2]);
            let w = b.weights("b", 2, &[2, 2]);
            let mut z = b.node(Op::FullyConnected(Activation::None), &[y, w], "b", &[1, 2]);
            if read_twice {
                z = b.node(Op::Add(Activation::None), &[y, z], "sum", &[1, 2]);
            }
            assert_eq!(equalize(&b.network(z)).unwrap(), None);
        }
    }

    #[test]
    fn does_not_equalize_across_a_reshape_between_images() {
        let mut b = Build::default();
        let x = b.input(&[1, 2, 2, 4]);
        let w = b.weights("a", 1, &[4, 1, 1, 4]);
        let y = b.node(Op::Conv2d(window(Padding::Same, 1, 0)), &[x, w], "a", &[1, 2, 2, 4]);
        let y = b.node(Op::Reshape { new_shape: None }, &[y], "other", &[1, 4, 4, 1]);
        let w = b.weights("b", 2, &[2, 1, 1, 1]);
        let y = b.node(Op::Conv2d(window(Padding::Same, 1, 0)), &[y, w], "b", &[1, 4, 4, 2]);
        assert_eq!(equalize(&b.network(y)).unwrap(), None);
    }
}
