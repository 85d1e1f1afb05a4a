//! Runs a quantized network beside the float one and compares every tensor that exists in both.

use super::Result;
use super::float_run::{FloatRun, memory, open, values_of, write_input, writers};
use super::outliers::{loud, peak};
use super::range::Activations;
use super::report::{Layer, Report, Sums, argmax};
use super::rule::{Rules, f32_inputs};
use super::samples::{Sample, Samples};
use super::sharing::Sharing;
use crate::driver::Compiled;
use crate::ir::Op;
use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use crate::limit::Limit;
use crate::names::layer_name;
use crate::options::Options;
use std::collections::HashMap;
use tealight::{Budget, Model, OwnedSession};
use tealight_format::{DType, Place};

/// The number of samples that measure a network without state, spread evenly over all samples.
const SAMPLES: usize = 200;

/// The differences between a compiled network and the float one.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Each layer, with the tensor that it writes.
    pub(super) layers: Vec<(TensorId, Layer)>,
    /// The signal-to-noise ratio, with sums over all samples.
    pub(super) snr_db: f64,
    /// The same without samples that are loud at an output.
    pub(super) ordinary_snr_db: f64,
    /// The ratio of each single sample, with the sample's index; samples whose output is 0 are left out.
    pub(super) of_samples: Vec<(usize, f64)>,
    pub(super) samples: usize,
    pub(super) agreement: Option<f64>,
    /// The share of samples whose maximum score is clearly a different one than in float.
    clearly_other: f64,
    /// The variation of each output over the samples that are not loud.
    pub(super) variations: Vec<Variation>,
}

/// The variation of an output from sample to sample: root mean squares over its elements.
#[derive(Debug, Clone)]
pub(super) struct Variation {
    /// The tensor that was compared: the output, or the scores that it is computed from.
    tensor: TensorId,
    /// The root mean square of that tensor in the float network.
    size: f64,
    /// The variation in the float network, about each element's mean.
    float: f64,
    /// The variation in the compiled network, about each element's mean.
    compiled: f64,
    /// The difference of the two networks.
    error: f64,
    /// The output.
    output: TensorId,
    /// The variation of the output itself in the float network.
    shown: f64,
}

/// The results of one compiled network. Lists are indexed like [`FloatRun::ids`].
struct Tally {
    /// For each operator, the (index of a tensor, value of the plan) of its outputs and of views of them.
    written: Vec<Vec<(usize, usize)>>,
    sums: Vec<Sums>,
    /// The results for the tensors that the outputs are judged by.
    judged: HashMap<usize, OutputSums>,
    scores: Scores,
    samples: usize,
}

/// The number of samples in which the maximum element of the first output is the same as in float.
#[derive(Default)]
struct Scores {
    same: usize,
    /// The number in which it is clearly a different one, not a near tie.
    clearly_other: usize,
}

/// The results for an output of a compiled network, or for the input of its softmax.
#[derive(Default)]
struct OutputSums {
    of_samples: Vec<Sums>,
    float: Moments,
    compiled: Moments,
    ordinary: Sums,
}

/// For each element, the sum of its values and of their squares.
#[derive(Default)]
struct Moments(Vec<[f64; 2]>);

/// Runs the float network `graph` twice, the second time with all of `compiled` beside it. They were compiled with
/// [`Options::keep_tensor_map`](crate::Options::keep_tensor_map) from graphs with the tensor indices of `graph`.
pub(super) fn measure(
    graph: &Graph,
    float: &FloatRun,
    compiled: &[&Compiled],
    samples: Samples<'_>,
    options: &Options,
) -> Result<Vec<Measured>> {
    let limit = Limit::to_run(graph, options);
    limit.make(float.memory(), || "running the float network".into())?;
    for compiled in compiled {
        limit.make(memory(compiled), || "running the float network and every quantized variant of it".into())?;
    }
    let mut sessions: Vec<_> = compiled.iter().map(|compiled| open(&compiled.bytes)).collect::<Result<_>>()?;
    let place = |id: TensorId| float.place(id);
    let score_inputs = score_inputs(graph);
    let judged =
        graph.outputs.iter().flat_map(|&id| [score_inputs.get(&id).copied(), Some(id)]).flatten().filter_map(place);
    let mut judged: Vec<usize> = judged.collect();
    judged.sort_unstable();
    judged.dedup();
    let tally =
        |(compiled, session): (&&Compiled, &OwnedSession)| Tally::new(compiled, &session.model(), float, &judged);
    let mut tallies: Vec<Tally> = compiled.iter().zip(&sessions).map(tally).collect();
    let output = graph.outputs.first().and_then(|&id| place(id));
    let run = || samples.iter().step_by(step(graph, samples));
    let loud = loud_samples(float, run(), &judged)?;
    let mut indices = Vec::new();
    float.run(run(), |sample, wanted| {
        for (session, tally) in sessions.iter_mut().zip(&mut tallies) {
            if sample.first {
                session.reset();
            }
            tally.run(session, graph.inputs.len(), wanted, output, loud[indices.len()])?;
        }
        indices.push(sample.index);
        Ok(())
    })?;
    Ok(tallies.iter().map(|tally| tally.measured(graph, float, &score_inputs, &indices)).collect())
}

/// Returns the distance between the samples that are measured: 1 for a network with state, which depends on all samples
/// before.
pub(super) fn step(graph: &Graph, samples: Samples<'_>) -> usize {
    let mut read = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    let has_state = read.any(|&id| graph.tensors[graph.base(id)].is_state());
    if has_state { 1 } else { samples.count().div_ceil(SAMPLES).max(1) }
}

/// Returns which samples are loud at one of the places: their values would dominate a sum over samples.
fn loud_samples<'a>(
    float: &FloatRun,
    samples: impl Iterator<Item = Sample<'a>>,
    places: &[usize],
) -> Result<Vec<bool>> {
    let mut peaks = vec![Vec::new(); places.len()];
    let mut count = 0;
    float.run(samples, |_, values| {
        count += 1;
        places.iter().zip(&mut peaks).for_each(|(&at, peaks)| peaks.push(peak(values[at])));
        Ok(())
    })?;
    let loud: Vec<Vec<bool>> = peaks.iter().map(|peaks| loud(peaks)).collect();
    // If there are no places, no sample is loud.
    Ok((0..count).map(|sample| loud.iter().any(|loud| loud[sample])).collect())
}

impl Moments {
    fn add(&mut self, numbers: &[f32]) {
        self.0.resize(numbers.len(), [0.0; 2]);
        for ([sum, squares], &number) in self.0.iter_mut().zip(numbers) {
            *sum += f64::from(number);
            *squares += f64::from(number).powi(2);
        }
    }

    /// Returns the square root of the elements' mean variance over this many samples.
    fn deviation(&self, samples: usize) -> f64 {
        let count = samples.max(1) as f64;
        let variance = |[sum, squares]: &[f64; 2]| (squares / count - (sum / count).powi(2)).max(0.0);
        (self.0.iter().map(variance).sum::<f64>() / self.0.len().max(1) as f64).sqrt()
    }
}

impl Scores {
    fn add(&mut self, wanted: &[f32], found: &[f32]) {
        let (Some(first), Some(other)) = (argmax(wanted), argmax(found)) else { return };
        let lowest = wanted.iter().copied().fold(f32::INFINITY, f32::min);
        self.same += usize::from(first == other);
        self.clearly_other += usize::from(wanted[first] - wanted[other] > NEAR_TIE * (wanted[first] - lowest));
    }
}

impl OutputSums {
    fn add(&mut self, wanted: &[f32], found: &[f32], loud: bool) {
        let mut sums = Sums::default();
        sums.add(wanted, found);
        self.of_samples.push(sums);
        if !loud {
            self.ordinary.add(wanted, found);
            self.float.add(wanted);
            self.compiled.add(found);
        }
    }

    /// Returns how many samples were not loud.
    fn count(&self) -> usize {
        self.ordinary.count.checked_div(self.float.0.len()).unwrap_or(0)
    }

    /// Returns the variation of `tensor`, whose results these are; `output` is the output that is computed from it.
    fn variation(&self, tensor: TensorId, output: (TensorId, &Self)) -> Variation {
        Variation {
            tensor,
            size: self.ordinary.size(),
            float: self.float.deviation(self.count()),
            compiled: self.compiled.deviation(self.count()),
            error: self.ordinary.error(),
            output: output.0,
            shown: output.1.float.deviation(output.1.count()),
        }
    }
}

impl Tally {
    fn new(compiled: &Compiled, model: &Model<'_>, float: &FloatRun, judged: &[usize]) -> Self {
        let writers = writers(model);
        let values: HashMap<TensorId, usize> = compiled.tensors.iter().copied().collect();
        let mut written = vec![Vec::new(); model.op_count()];
        for (at, id) in float.ids.iter().enumerate() {
            let Some(&value) = values.get(id) else { continue };
            let of = model.value(value);
            let writer = writers.get(&of.alias.map_or(value, usize::from));
            // State that is read in place is assigned later, and then no longer holds what was read.
            if let Some(&op) =
                writer.filter(|_| of.place != Place::State && matches!(of.dtype, DType::F32 | DType::I8 | DType::I16))
            {
                written[op].push((at, value));
            }
        }
        Self {
            written,
            sums: vec![Sums::default(); float.ids.len()],
            judged: judged.iter().map(|&at| (at, OutputSums::default())).collect(),
            scores: Scores::default(),
            samples: 0,
        }
    }

    /// Runs one sample, whose float tensors are `wanted`, the inputs first; `output` is the index of the first output.
    fn run(
        &mut self,
        session: &mut OwnedSession,
        inputs: usize,
        wanted: &[&[f32]],
        output: Option<usize>,
        loud: bool,
    ) -> Result<()> {
        for (k, numbers) in wanted.iter().take(inputs).enumerate() {
            write_input(session, k, numbers)?;
        }
        for written in &self.written {
            let _ = session.poll(Budget::layer());
            for &(at, value) in written {
                let found = values_of(session, value);
                self.sums[at].add(wanted[at], &found);
                if let Some(judged) = self.judged.get_mut(&at) {
                    judged.add(wanted[at], &found, loud);
                }
                if Some(at) == output {
                    self.scores.add(wanted[at], &found);
                }
            }
        }
        self.samples += 1;
        Ok(())
    }

    /// Returns the results; `score_inputs` maps outputs that are computed from scores to these.
    fn measured(
        &self,
        graph: &Graph,
        float: &FloatRun,
        score_inputs: &HashMap<TensorId, TensorId>,
        indices: &[usize],
    ) -> Measured {
        let place = |id: TensorId| float.place(id).filter(|&at| self.sums[at].count > 0);
        let layer = |node: &Node| {
            let &output = node.outputs.first()?;
            let sums = self.sums[place(output)?];
            let (name, kind) = (layer_name(graph, node), node.op.name().to_string());
            let (snr_db, worst) = (sums.snr_db(), sums.worst);
            Some((output, Layer { name, kind, snr_db, worst, bytes: 0, weights: None, choices: Vec::new() }))
        };
        let judged: Vec<(usize, &OutputSums, Variation)> = graph
            .outputs
            .iter()
            .filter_map(|&id| {
                let at = score_inputs.get(&id).copied().and_then(place).or_else(|| place(id))?;
                let judged = self.judged.get(&at)?;
                let output = place(id).and_then(|at| self.judged.get(&at)).unwrap_or(judged);
                Some((at, judged, judged.variation(float.ids[at], (id, output))))
            })
            .collect();
        let lowest = |ratios: &mut dyn Iterator<Item = f64>| ratios.fold(f64::INFINITY, f64::min);
        let of_sample = |(k, &index): (usize, &usize)| {
            let with_signal = judged.iter().map(|(_, judged, _)| judged.of_samples[k]).filter(|sums| sums.signal > 0.0);
            let ratios: Vec<f64> = with_signal.map(|sums| sums.snr_db()).collect();
            (!ratios.is_empty()).then(|| (index, lowest(&mut ratios.into_iter())))
        };
        let first = graph.outputs.first().filter(|&&id| graph.tensors[id].elements() > 1 && place(id).is_some());
        Measured {
            layers: graph.nodes.iter().filter_map(layer).collect(),
            snr_db: lowest(&mut judged.iter().map(|&(at, ..)| self.sums[at].snr_db())),
            ordinary_snr_db: lowest(&mut judged.iter().map(|(_, judged, _)| judged.ordinary.snr_db())),
            of_samples: indices.iter().enumerate().filter_map(of_sample).collect(),
            samples: self.samples,
            agreement: first.map(|_| self.scores.same as f64 / self.samples.max(1) as f64),
            clearly_other: self.scores.clearly_other as f64 / self.samples.max(1) as f64,
            variations: judged.into_iter().map(|(.., variation)| variation).collect(),
        }
    }
}

impl Measured {
    /// Returns the same with the layers of another measurement.
    pub(super) fn with_layers_of(self, other: Self) -> Self {
        Self { layers: other.layers, ..self }
    }

    /// Returns the median of the samples' ratios.
    pub(super) fn median_snr_db(&self) -> Option<f64> {
        let mut ratios: Vec<f64> = self.of_samples.iter().map(|(_, ratio)| *ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let (&low, &high) = (ratios.get(ratios.len().checked_sub(1)? / 2)?, ratios.get(ratios.len() / 2)?);
        Some(if low == high { low } else { f64::midpoint(low, high) })
    }

    /// Returns the sample with the lowest ratio, and the ratio.
    pub(super) fn worst(&self) -> Option<(usize, f64)> {
        self.of_samples.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Returns the report, except for the trials; `with_choices` adds the possible weight types to its layers.
    pub(super) fn report(
        self,
        warnings: Vec<String>,
        with_choices: impl FnOnce(Vec<(TensorId, Layer)>) -> Vec<Layer>,
    ) -> Report {
        let (median_snr_db, worst) = (self.median_snr_db(), self.worst());
        Report {
            layers: with_choices(self.layers),
            snr_db: self.snr_db,
            median_snr_db,
            worst_snr_db: worst.map(|(_, ratio)| ratio),
            worst_sample: worst.map(|(sample, _)| sample),
            activations: None,
            in_float: Vec::new(),
            chosen: None,
            trials: Vec::new(),
            samples: self.samples,
            agreement: self.agreement,
            warnings,
        }
    }

    /// Returns warnings about suspicious outputs.
    ///
    /// `ordinary` is the same network measured on samples without outliers.
    pub(super) fn warnings(&self, graph: &Graph, ordinary: &Self) -> Vec<String> {
        let mut warnings = Vec::new();
        let scores = |id: &&TensorId| {
            graph.tensors[**id].shape.split_last().is_some_and(|(_, dims)| dims.iter().all(|&dim| dim == 1))
        };
        let share = self.agreement.filter(|&share| share < MIN_AGREEMENT && self.clearly_other > MAX_CLEARLY_OTHER);
        if let (Some(share), Some(&id)) = (share, graph.outputs.first().filter(scores)) {
            warnings.push(format!(
                "the largest element of output `{}` is the same as in float for only {:.1} % of the inputs",
                graph.tensors[id].name,
                share * 100.0
            ));
        }
        // Which outputs have a fixed range does not depend on the type of activations.
        let sharing = Sharing::of(graph, &Rules::of(graph, Activations::Int8));
        let variations = ordinary.variations.iter();
        warnings.extend(variations.filter_map(|variation| variation.warning(graph, &sharing)));
        warnings
    }
}

/// Below this share of inputs with the same maximum score, a warning is given.
const MIN_AGREEMENT: f64 = 0.9;

/// Up to this share of inputs may clearly have a different maximum score without a warning. The rest are near ties,
/// which may be frequent in an output that does not hold scores of classes.
const MAX_CLEARLY_OTHER: f64 = 0.05;

/// A score is clearly below the maximum if the difference is more than this part of the range of the sample's scores.
const NEAR_TIE: f32 = 0.05;

/// The minimum variation of a compiled network, relative to that of the float network.
const MIN_VARIATION: f64 = 0.25;

/// The maximum error, relative to the variation of the float network.
const MAX_ERROR: f64 = 0.5;

/// An output between -1 and 1 that varies less than this, one step of its codes, counts as constant.
const SATURATED: f64 = 1.0 / 128.0;

/// Another output that varies less than this part of its size counts as constant.
const UNCHANGING: f64 = 1e-5;

impl Variation {
    /// Returns a warning if the compiled network hardly varies where the float one does, or its errors are as large as
    /// that variation.
    fn warning(&self, graph: &Graph, sharing: &Sharing) -> Option<String> {
        let Self { tensor, size, float, compiled, error, output, shown } = *self;
        let name = &graph.tensors[tensor].name;
        // An output with the fixed range -1 to 1 that hardly varies is saturated in both networks.
        let fixed = sharing.fixed(sharing.root(output)).is_some();
        if float <= UNCHANGING * size || (fixed && shown <= SATURATED) {
            return None;
        }
        let advice = "check the data for outliers, or keep the network in float32";
        if compiled < MIN_VARIATION * float {
            return Some(format!(
                "`{name}` hardly varies over ordinary inputs: by {compiled:.3e}, in float by {float:.3e} (root mean square); {advice}"
            ));
        }
        (error > MAX_ERROR * float).then(|| {
            format!(
                "the errors of `{name}` over ordinary inputs are {error:.3e}, where it varies by {float:.3e} in float (root mean \
                 square); {advice}"
            )
        })
    }
}

/// Maps each output of a softmax, or of an ArgMax or ArgMin, to its input. Probabilities saturate and indices are no
/// numbers to compare, so their scores show more.
fn score_inputs(graph: &Graph) -> HashMap<TensorId, TensorId> {
    let of_scores = |op: &NodeOp| matches!(op, NodeOp::Ir(Op::Softmax { .. } | Op::ArgMinMax { .. }));
    let pair = |node: &Node| Some((*node.outputs.first()?, f32_inputs(graph, node).next()?));
    graph.nodes.iter().filter(|node| of_scores(&node.op)).filter_map(pair).collect()
}
