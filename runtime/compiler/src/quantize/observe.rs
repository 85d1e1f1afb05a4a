//! What the tensors of a float graph hold when the samples are run.

use super::calibrate::{check, check_range};
use super::float_graph::FloatRun;
use super::range::{Params, Ranges, Seen};
use super::sharing::{Rule, Sharing};
use super::{QuantizeError, Result};
use crate::graph::{Graph, Tensor, TensorId};
use crate::tflite::TfliteOp;
use std::collections::HashMap;

/// What the samples showed, by group of tensors.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) sharing: Sharing,
    seen: HashMap<TensorId, Seen>,
    input: TensorId,
    input_range: Option<[f32; 2]>,
    /// The mean over the samples of what each layer with weights reads, element by element.
    pub(super) means: HashMap<TensorId, Vec<f32>>,
    /// Tensors that always held one and the same number.
    pub(super) warnings: Vec<String>,
}

impl Observed {
    /// Checks the samples and runs them, twice: for the extremes, then for what lies between.
    pub(super) fn collect(
        graph: &Graph,
        float: &FloatRun,
        samples: &[Vec<f32>],
        input_range: Option<[f32; 2]>,
    ) -> Result<Self> {
        let input = float.ids[0];
        check(&graph.tensors[input].shape, samples)?;
        check_range(input_range)?;
        let sharing = Sharing::of(graph)?;
        let all = || samples.iter().map(Vec::as_slice).enumerate();
        let mut extremes = vec![[f32::INFINITY, f32::NEG_INFINITY]; float.ids.len()];
        float.run(all(), |sample, values| {
            for ((&id, numbers), range) in float.ids.iter().zip(values).zip(&mut extremes) {
                if let Some(&value) = numbers.iter().find(|number| !number.is_finite()) {
                    let layer = graph.tensors[id].name.clone();
                    return Err(QuantizeError::Overflow { layer, sample, value });
                }
                *range = numbers.iter().fold(*range, |[low, high], &number| [low.min(number), high.max(number)]);
            }
            Ok(())
        })?;
        if extremes[0][0] == extremes[0][1] {
            return Err(QuantizeError::Constant { value: extremes[0][0] });
        }
        let warnings = float.ids.iter().zip(&extremes).filter(|(_, [low, high])| low == high);
        let warnings = warnings.map(|(&id, [low, _])| warning(&graph.tensors[id], *low)).collect();
        let mut groups: HashMap<TensorId, [f32; 2]> = HashMap::new();
        let constants = concatenated(graph, &sharing)?;
        let computed = float.ids.iter().zip(&extremes).map(|(&id, &range)| (sharing.root(id), range));
        for (root, [low, high]) in computed.chain(constants) {
            let range = groups.entry(root).or_insert([low, high]);
            *range = [range[0].min(low), range[1].max(high)];
        }
        let mut seen: HashMap<TensorId, Seen> =
            groups.into_iter().map(|(root, [low, high])| (root, Seen::new(low, high))).collect();
        let mut sums = sums_of_layers(graph)?;
        float.run(all(), |_, values| {
            for (&id, numbers) in float.ids.iter().zip(values) {
                if let Some(seen) = seen.get_mut(&sharing.root(id)) {
                    seen.add(numbers);
                }
                if let Some(sums) = sums.get_mut(&id) {
                    sums.iter_mut().zip(*numbers).for_each(|(sum, &number)| *sum += f64::from(number));
                }
            }
            Ok(())
        })?;
        let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| (sum / samples.len() as f64) as f32).collect();
        let means = sums.into_iter().map(|(id, sums)| (id, mean(sums))).collect();
        Ok(Self { sharing, seen, input, input_range, means, warnings })
    }

    /// The quantization of a tensor.
    pub(super) fn params(&self, id: TensorId, ranges: Ranges) -> Params {
        let root = self.sharing.root(id);
        match (self.sharing.fixed(root), self.input_range, self.seen.get(&root)) {
            (Some(params), _, _) => params,
            (None, Some([low, high]), _) if root == self.sharing.root(self.input) => Params::of(low, high),
            (None, _, Some(seen)) => seen.params(ranges),
            (None, _, None) => Params::of(0.0, 0.0),
        }
    }
}

fn warning(tensor: &Tensor, value: f32) -> String {
    format!(
        "tensor `{}` is {value} throughout the calibration data; does the data show what the network will see?",
        tensor.name
    )
}

/// The ranges of the constants that are concatenated to tensors, by the group that they come into.
fn concatenated(graph: &Graph, sharing: &Sharing) -> Result<Vec<(TensorId, [f32; 2])>> {
    let mut ranges = Vec::new();
    for node in &graph.nodes {
        if let crate::graph::Op::Tflite(TfliteOp::Concatenation { .. } | TfliteOp::Pack { .. }) = node.op {
            let root = sharing.root(graph.output(node)?);
            for id in node.inputs.iter().flatten().filter(|&&id| graph.tensors[id].is_constant()) {
                let range = |[low, high]: [f32; 2], &number: &f32| [low.min(number), high.max(number)];
                ranges.push((root, floats(&graph.tensors[*id])?.iter().fold([0.0; 2], range)));
            }
        }
    }
    Ok(ranges)
}

/// A sum for each element of what a layer with weights reads.
fn sums_of_layers(graph: &Graph) -> Result<HashMap<TensorId, Vec<f64>>> {
    let mut sums = HashMap::new();
    for node in &graph.nodes {
        if Rule::of(graph, node)? == Rule::Layer {
            let input = graph.input(node, 0)?;
            sums.insert(input, vec![0.0; graph.tensors[input].elements()]);
        }
    }
    Ok(sums)
}

/// The numbers of a float32 constant.
///
/// # Errors
/// One is infinite or not a number.
pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let bytes = tensor.bytes().unwrap_or_default();
    let numbers: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
        Some((index, &value)) => Err(QuantizeError::Weight { tensor: tensor.name.clone(), index, value }),
        None => Ok(numbers),
    }
}
