//! Collects the values of the tensors of a float graph while the samples are run.

use super::float_run::FloatRun;
use super::outliers::loud;
use super::range::{Activations, Histogram, Params, Ranges};
use super::rule::{Rule, Rules, f32_inputs};
use super::samples::{Samples, check_range};
use super::sharing::Sharing;
use super::{QuantizeError, Result};
use crate::ir::Op;
use crate::ir::graph::{Content, Graph, NodeOp, Tensor, TensorId};
use crate::limit::Limit;
use crate::options::Options;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// The values that were observed, by group of tensors.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) sharing: Sharing,
    histograms: HashMap<TensorId, Histogram>,
    /// Parameters that were already chosen: choosing takes time.
    chosen: RefCell<HashMap<(TensorId, Ranges), Params>>,
    activations: Activations,
    input: Option<TensorId>,
    input_range: Option<[f32; 2]>,
    /// The mean over the samples of the input of each layer with weights, element by element.
    pub(super) means: HashMap<TensorId, Vec<f32>>,
    /// Warnings of tensors that never change, and of those that are far larger in a few samples.
    pub(super) warnings: Vec<String>,
}

/// The minimum and maximum of each tensor in each sample: a list of samples, each indexed like [`FloatRun::ids`].
type Extremes = Vec<Vec<[f32; 2]>>;

impl Observed {
    /// Runs the samples twice: for the extremes, then for the distribution between them.
    ///
    /// `ordinary` are the samples without outliers, if there are any; outliers count for the extremes only.
    /// `input_range` is that of the first input, if it is known better than from the samples.
    pub(super) fn collect(
        graph: &Graph,
        rules: &Rules,
        float: &FloatRun,
        samples: Samples<'_>,
        ordinary: Option<Samples<'_>>,
        input_range: Option<[f32; 2]>,
        options: &Options,
    ) -> Result<Self> {
        check_range(input_range)?;
        let sharing = Sharing::of(graph, rules);
        let moved = moved(graph, rules, &sharing);
        let constants = constants(graph, &sharing)?;
        let all = extremes(graph, float, samples)?;
        let mut warnings = unchanging(graph, float, &all);
        let clipped = ordinary.map(|ordinary| extremes(graph, float, ordinary)).transpose()?;
        let (samples, extremes) = (ordinary.unwrap_or(samples), clipped.as_ref().unwrap_or(&all));
        let loud = loud_samples(float, &sharing, &moved, extremes);
        warnings.extend(warning_of_loud(graph, float, &sharing, &loud));
        let groups: HashSet<TensorId> = float.ids.iter().map(|&id| sharing.root(id)).collect();
        let limit = Limit::to_run(graph, options);
        limit.make(float.memory(), || "running the float network".into())?;
        limit
            .make(groups.len() as u64 * Histogram::BYTES, || format!("observing {} groups of tensors", groups.len()))?;
        let whole = ranges(float, &sharing, &constants, &all, &HashMap::new());
        let ordinary = ranges(float, &sharing, &constants, extremes, &loud);
        let range =
            |(root, all): (TensorId, [f32; 2])| (root, Histogram::new(all, *ordinary.get(&root).unwrap_or(&all)));
        let mut histograms: HashMap<TensorId, Histogram> = whole.into_iter().map(range).collect();
        let mut sums = sums_of_layers(graph, rules)?;
        float.run(samples.iter(), |sample, values| {
            for (&id, numbers) in float.ids.iter().zip(values) {
                let root = sharing.root(id);
                let counts = !moved.contains(&id) && !is_loud(&loud, root, sample.index);
                if let Some(histogram) = histograms.get_mut(&root).filter(|_| counts) {
                    histogram.add(numbers);
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
        let (input, activations) = (graph.inputs.first().copied(), rules.activations);
        Ok(Self { sharing, histograms, chosen, activations, input, input_range, means, warnings })
    }

    /// Returns the quantization of a tensor.
    pub(super) fn params(&self, id: TensorId, ranges: Ranges) -> Params {
        let root = self.sharing.root(id);
        let is_input = self.input.is_some_and(|input| self.sharing.root(input) == root);
        match (self.sharing.fixed(root), self.input_range, self.histograms.get(&root)) {
            (Some(params), _, _) => params,
            (None, Some([low, high]), _) if is_input => Params::of(low, high, self.activations),
            (None, _, Some(histogram)) => *self
                .chosen
                .borrow_mut()
                .entry((root, ranges))
                .or_insert_with(|| histogram.params(ranges, self.activations)),
            (None, _, None) => Params::of(0.0, 0.0, self.activations),
        }
    }
}

/// Runs the samples and returns the extremes of each tensor.
///
/// # Errors
/// A tensor overflows.
fn extremes(graph: &Graph, float: &FloatRun, samples: Samples<'_>) -> Result<Extremes> {
    let mut extremes = Vec::new();
    float.run(samples.iter(), |sample, values| {
        let range = |(&id, numbers): (&TensorId, &&[f32])| match numbers.iter().find(|number| !number.is_finite()) {
            Some(&value) => {
                let layer = graph.tensors[id].name.clone();
                Err(QuantizeError::Overflow { layer, sample: sample.index, value })
            }
            None => Ok(numbers.iter().fold(NOTHING, |range, &number| widened(range, [number; 2]))),
        };
        extremes.push(float.ids.iter().zip(values).map(range).collect::<Result<_>>()?);
        Ok(())
    })?;
    Ok(extremes)
}

/// The range of an empty set of values.
const NOTHING: [f32; 2] = [f32::INFINITY, f32::NEG_INFINITY];

fn widened([low, high]: [f32; 2], by: [f32; 2]) -> [f32; 2] {
    [low.min(by[0]), high.max(by[1])]
}

/// Returns warnings of tensors that always held the same value.
fn unchanging(graph: &Graph, float: &FloatRun, extremes: &Extremes) -> Vec<String> {
    let range = |at: usize| extremes.iter().fold(NOTHING, |range, sample| widened(range, sample[at]));
    let tensors = float.ids.iter().enumerate().map(|(at, &id)| (id, range(at)));
    let warning = |(id, [low, _]): (TensorId, [f32; 2])| {
        let name = &graph.tensors[id].name;
        format!(
            "tensor `{name}` is {low} throughout the calibration data; does the data show what the network will see?"
        )
    };
    tensors.filter(|(_, [low, high])| low == high).map(warning).collect()
}

/// Returns the range of each group: of its constants, and of its tensors in the samples that are not loud there.
fn ranges(
    float: &FloatRun,
    sharing: &Sharing,
    constants: &[(TensorId, [f32; 2])],
    extremes: &Extremes,
    loud: &HashMap<TensorId, Vec<bool>>,
) -> HashMap<TensorId, [f32; 2]> {
    let mut groups: HashMap<TensorId, [f32; 2]> = HashMap::new();
    let mut add = |root: TensorId, range: [f32; 2]| {
        let group = groups.entry(root).or_insert(range);
        *group = widened(*group, range);
    };
    constants.iter().for_each(|&(root, range)| add(root, range));
    for (sample, ranges) in extremes.iter().enumerate() {
        for (&id, &range) in float.ids.iter().zip(ranges) {
            let root = sharing.root(id);
            if !is_loud(loud, root, sample) {
                add(root, range);
            }
        }
    }
    groups
}

/// Returns which samples are loud in a group of tensors, for the groups that have any. These samples do not count for
/// ranges that leave out outliers. This finds the effects that an outlier in a quiet input channel has within the
/// network.
fn loud_samples(
    float: &FloatRun,
    sharing: &Sharing,
    moved: &HashSet<TensorId>,
    extremes: &Extremes,
) -> HashMap<TensorId, Vec<bool>> {
    let mut peaks: HashMap<TensorId, Vec<f32>> = HashMap::new();
    for (sample, ranges) in extremes.iter().enumerate() {
        for (&id, [low, high]) in float.ids.iter().zip(ranges).filter(|(id, _)| !moved.contains(id)) {
            let peaks = peaks.entry(sharing.root(id)).or_insert_with(|| vec![0.0; extremes.len()]);
            peaks[sample] = peaks[sample].max(low.abs()).max(high.abs());
        }
    }
    let loud = peaks.into_iter().map(|(root, peaks)| (root, loud(&peaks)));
    loud.filter(|(_, loud)| loud.contains(&true)).collect()
}

fn is_loud(loud: &HashMap<TensorId, Vec<bool>>, root: TensorId, sample: usize) -> bool {
    loud.get(&root).is_some_and(|loud| loud[sample])
}

/// Returns a warning that names the first tensor that is loud in some sample.
fn warning_of_loud(
    graph: &Graph,
    float: &FloatRun,
    sharing: &Sharing,
    loud: &HashMap<TensorId, Vec<bool>>,
) -> Option<String> {
    let of = |&id: &TensorId| Some((id, loud.get(&sharing.root(id))?.iter().position(|&loud| loud)?));
    let (id, sample) = float.ids.iter().find_map(of)?;
    Some(format!(
        "tensor `{}` is far larger in calibration sample {sample} than in the others; check whether that sample is like what \
         the network will see",
        graph.tensors[id].name
    ))
}

/// Returns the ranges of constants that are copied into tensors, and of initial values of state, by the group that they
/// belong to.
fn constants(graph: &Graph, sharing: &Sharing) -> Result<Vec<(TensorId, [f32; 2])>> {
    let range = |numbers: Vec<f32>| {
        numbers.iter().fold([0.0f32; 2], |[low, high], &number| [low.min(number), high.max(number)])
    };
    let mut ranges = Vec::new();
    for node in &graph.nodes {
        if let NodeOp::Ir(Op::Concat { .. } | Op::Pack { .. }) = node.op {
            let root = sharing.root(graph.output(node)?);
            for id in node.inputs.iter().flatten().filter(|&&id| graph.tensors[id].is_constant()) {
                ranges.push((root, range(floats(&graph.tensors[*id])?)));
            }
        }
        for id in f32_inputs(graph, node) {
            if let Content::State(Some(bytes)) = &graph.tensors[id].content {
                ranges.push((sharing.root(id), range(numbers(bytes))));
            }
        }
    }
    Ok(ranges)
}

/// Returns the tensors that hold only constants and values of other tensors of their group, where they are already
/// counted.
pub(super) fn moved(graph: &Graph, rules: &Rules, sharing: &Sharing) -> HashSet<TensorId> {
    let mut moved = HashSet::new();
    for (node, rule) in graph.nodes.iter().zip(&rules.of) {
        if *rule == Rule::Same {
            let within = |id: &TensorId| f32_inputs(graph, node).all(|input| sharing.root(input) == sharing.root(*id));
            moved.extend(node.outputs.iter().copied().filter(within));
        }
    }
    moved
}

/// Returns a sum of zero for each input element of a layer with weights.
fn sums_of_layers(graph: &Graph, rules: &Rules) -> Result<HashMap<TensorId, Vec<f64>>> {
    let mut sums = HashMap::new();
    for (node, rule) in graph.nodes.iter().zip(&rules.of) {
        if *rule == Rule::Layer {
            let input = graph.input(node, 0)?;
            sums.insert(input, vec![0.0; graph.tensors[input].elements()]);
        }
    }
    Ok(sums)
}

/// Returns the values of a float32 constant.
///
/// # Errors
/// A value is infinite or NaN.
pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let numbers = numbers(tensor.bytes().unwrap_or_default());
    match numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
        Some((index, &value)) => Err(QuantizeError::Weight { tensor: tensor.name.clone(), index, value }),
        None => Ok(numbers),
    }
}

pub(super) fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
