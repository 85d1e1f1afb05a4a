//! What the tensors of a float graph hold when the samples are run.

use super::float_run::FloatRun;
use super::range::{Params, Ranges, Seen};
use super::samples::{Samples, check_range};
use super::sharing::{Rule, Sharing, reals};
use super::{QuantizeError, Result};
use crate::graph::{Content, Graph, Op, Tensor, TensorId};
use crate::tflite::TfliteOp;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// What the samples showed, by group of tensors.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) sharing: Sharing,
    seen: HashMap<TensorId, Seen>,
    /// What was chosen already: choosing takes time.
    chosen: RefCell<HashMap<(TensorId, Ranges), Params>>,
    input: Option<TensorId>,
    input_range: Option<[f32; 2]>,
    /// The mean over the samples of what each layer with weights reads, element by element.
    pub(super) means: HashMap<TensorId, Vec<f32>>,
    /// Tensors that always held one and the same number.
    pub(super) warnings: Vec<String>,
}

impl Observed {
    /// Runs the samples twice: for the extremes, then for what lies between.
    ///
    /// `input_range` is that of the first input, if it is known better than from the samples.
    pub(super) fn collect(
        graph: &Graph,
        float: &FloatRun,
        samples: Samples<'_>,
        input_range: Option<[f32; 2]>,
    ) -> Result<Self> {
        check_range(input_range)?;
        let sharing = Sharing::of(graph)?;
        let mut extremes = vec![[f32::INFINITY, f32::NEG_INFINITY]; float.ids.len()];
        float.run(samples.iter(), |sample, values| {
            for ((&id, numbers), range) in float.ids.iter().zip(values).zip(&mut extremes) {
                if let Some(&value) = numbers.iter().find(|number| !number.is_finite()) {
                    let layer = graph.tensors[id].name.clone();
                    return Err(QuantizeError::Overflow { layer, sample: sample.index, value });
                }
                *range = numbers.iter().fold(*range, |[low, high], &number| [low.min(number), high.max(number)]);
            }
            Ok(())
        })?;
        let warnings = float.ids.iter().zip(&extremes).filter(|(_, [low, high])| low == high);
        let warnings = warnings.map(|(&id, [low, _])| warning(&graph.tensors[id], *low)).collect();
        let mut groups: HashMap<TensorId, [f32; 2]> = HashMap::new();
        let constants = constants(graph, &sharing)?;
        let computed = float.ids.iter().zip(&extremes).map(|(&id, &range)| (sharing.root(id), range));
        for (root, [low, high]) in computed.chain(constants) {
            let range = groups.entry(root).or_insert([low, high]);
            *range = [range[0].min(low), range[1].max(high)];
        }
        let mut seen: HashMap<TensorId, Seen> =
            groups.into_iter().map(|(root, [low, high])| (root, Seen::new(low, high))).collect();
        let moved = moved(graph, &sharing)?;
        let mut sums = sums_of_layers(graph)?;
        float.run(samples.iter(), |_, values| {
            for (&id, numbers) in float.ids.iter().zip(values) {
                if let Some(seen) = seen.get_mut(&sharing.root(id)).filter(|_| !moved.contains(&id)) {
                    seen.add(numbers);
                }
                if let Some(sums) = sums.get_mut(&id) {
                    sums.iter_mut().zip(*numbers).for_each(|(sum, &number)| *sum += f64::from(number));
                }
            }
            Ok(())
        })?;
        let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| (sum / samples.count() as f64) as f32).collect();
        let means = sums.into_iter().map(|(id, sums)| (id, mean(sums))).collect();
        let chosen = RefCell::default();
        Ok(Self { sharing, seen, chosen, input: graph.inputs.first().copied(), input_range, means, warnings })
    }

    /// The quantization of a tensor.
    pub(super) fn params(&self, id: TensorId, ranges: Ranges) -> Params {
        let root = self.sharing.root(id);
        let is_input = self.input.is_some_and(|input| self.sharing.root(input) == root);
        match (self.sharing.fixed(root), self.input_range, self.seen.get(&root)) {
            (Some(params), _, _) => params,
            (None, Some([low, high]), _) if is_input => Params::of(low, high),
            (None, _, Some(seen)) => {
                *self.chosen.borrow_mut().entry((root, ranges)).or_insert_with(|| seen.params(ranges))
            }
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

/// The ranges of the constants that are put into tensors, and of what state starts from, by the group that they come into.
fn constants(graph: &Graph, sharing: &Sharing) -> Result<Vec<(TensorId, [f32; 2])>> {
    let range = |numbers: Vec<f32>| {
        numbers.iter().fold([0.0f32; 2], |[low, high], &number| [low.min(number), high.max(number)])
    };
    let mut ranges = Vec::new();
    for node in &graph.nodes {
        if let Op::Tflite(TfliteOp::Concatenation { .. } | TfliteOp::Pack { .. }) = node.op {
            let root = sharing.root(graph.output(node)?);
            for id in node.inputs.iter().flatten().filter(|&&id| graph.tensors[id].is_constant()) {
                ranges.push((root, range(floats(&graph.tensors[*id])?)));
            }
        }
        for id in reals(graph, node) {
            if let Content::State(Some(bytes)) = &graph.tensors[id].content {
                ranges.push((sharing.root(id), range(numbers(bytes))));
            }
        }
    }
    Ok(ranges)
}

/// Tensors that hold nothing but numbers of their group's other tensors, which are counted there.
fn moved(graph: &Graph, sharing: &Sharing) -> Result<HashSet<TensorId>> {
    let mut moved = HashSet::new();
    for node in &graph.nodes {
        if Rule::of(graph, node)? == Rule::Same {
            let within = |id: &TensorId| reals(graph, node).all(|input| sharing.root(input) == sharing.root(*id));
            moved.extend(node.outputs.iter().copied().filter(within));
        }
    }
    Ok(moved)
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
    let numbers = numbers(tensor.bytes().unwrap_or_default());
    match numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
        Some((index, &value)) => Err(QuantizeError::Weight { tensor: tensor.name.clone(), index, value }),
        None => Ok(numbers),
    }
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
