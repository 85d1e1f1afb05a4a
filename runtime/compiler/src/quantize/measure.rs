//! Runs a quantized network beside the float one and compares every tensor that both keep.

use super::Result;
use super::float_run::{FloatRun, give, memory, open, reals_of, writers};
use super::outliers::{loud, peak};
use super::report::{Layer, Report, Sums, greatest};
use super::samples::{Sample, Samples};
use super::sharing::{Sharing, reals};
use crate::driver::Compiled;
use crate::ir::Op;
use crate::ir::graph::{Graph, Node, NodeOp, TensorId};
use crate::limit::Limit;
use crate::names::layer_name;
use crate::options::Options;
use std::collections::HashMap;
use tealight::{Budget, Model, OwnedSession};
use tealight_format::{DType, Place};

/// Samples that are run to measure a network without state, spread over all.
const SAMPLES: usize = 200;

/// How far a compiled network is from the float one.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Each layer, with the tensor that it writes.
    pub(super) layers: Vec<(TensorId, Layer)>,
    /// The ratio of the sums over all samples.
    pub(super) snr_db: f64,
    /// The same without samples that are loud at an output.
    pub(super) ordinary_snr_db: f64,
    /// The ratio of each sample by itself, with its index; samples whose output is 0 have none.
    pub(super) of_samples: Vec<(usize, f64)>,
    pub(super) samples: usize,
    pub(super) agreement: Option<f64>,
    /// The share of samples whose greatest score is clearly another one than in float.
    clearly_other: f64,
    /// How each output varies over the samples that are not loud.
    pub(super) variations: Vec<Variation>,
}

/// How an output varies from sample to sample: root mean squares over its elements.
#[derive(Debug, Clone)]
pub(super) struct Variation {
    /// The tensor that was compared: the output, or what softmax makes it of.
    tensor: TensorId,
    /// What the float network gives there.
    size: f64,
    /// Of the float network, about each element's mean.
    float: f64,
    /// Of the compiled network, about each element's mean.
    compiled: f64,
    /// The difference of the two networks.
    error: f64,
    /// The output.
    output: TensorId,
    /// How the output itself varies in the float network.
    shown: f64,
}

/// How one compiled network did; lists go by the place of a tensor in [`FloatRun::ids`].
struct Tally {
    /// For each operator the (place of a tensor, value of the plan) of what it writes, and of views of that.
    written: Vec<Vec<(usize, usize)>>,
    sums: Vec<Sums>,
    /// What decides about the outputs.
    told: HashMap<usize, Told>,
    scores: Scores,
    samples: usize,
}

/// In how many samples the greatest element of the first output is the same as in float.
#[derive(Default)]
struct Scores {
    same: usize,
    /// In how many it is clearly another one: no near tie.
    clearly_other: usize,
}

/// What is known about an output of a compiled network, or about what softmax made it of.
#[derive(Default)]
struct Told {
    of_samples: Vec<Sums>,
    float: Moments,
    compiled: Moments,
    ordinary: Sums,
}

/// The sums of each element's numbers and of their squares.
#[derive(Default)]
struct Moments(Vec<[f64; 2]>);

/// Runs the float network `graph` twice, all of `compiled` beside it the second time. They were compiled with
/// [`Options::keep_tensor_map`](crate::Options::keep_tensor_map) from graphs that number tensors as `graph` does.
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
        limit.make(memory(compiled), || "running the float network and all ways of quantizing it".into())?;
    }
    let mut sessions: Vec<_> = compiled.iter().map(|compiled| open(&compiled.bytes)).collect::<Result<_>>()?;
    let place = |id: TensorId| float.place(id);
    let telling = telling(graph);
    let told = graph.outputs.iter().flat_map(|&id| [telling.get(&id).copied(), Some(id)]).flatten().filter_map(place);
    let mut told: Vec<usize> = told.collect();
    told.sort_unstable();
    told.dedup();
    let tally = |(compiled, session): (&&Compiled, &OwnedSession)| Tally::new(compiled, &session.model(), float, &told);
    let mut tallies: Vec<Tally> = compiled.iter().zip(&sessions).map(tally).collect();
    let output = graph.outputs.first().and_then(|&id| place(id));
    let run = || samples.iter().step_by(step(graph, samples));
    let loud = loud_samples(float, run(), &told)?;
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
    Ok(tallies.iter().map(|tally| tally.measured(graph, float, &telling, &indices)).collect())
}

/// Every which sample is run to measure: with state none is left out, since it is what the samples before made it.
pub(super) fn step(graph: &Graph, samples: Samples<'_>) -> usize {
    let mut read = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    let has_state = read.any(|&id| graph.tensors[graph.base(id)].is_state());
    if has_state { 1 } else { samples.count().div_ceil(SAMPLES).max(1) }
}

/// Which of the samples are loud at one of the places: their numbers would be nearly all of a sum over samples.
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
    // Without a place, none is loud.
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

    /// The root of the mean variance of the elements, of this many samples.
    fn deviation(&self, samples: usize) -> f64 {
        let count = samples.max(1) as f64;
        let variance = |[sum, squares]: &[f64; 2]| (squares / count - (sum / count).powi(2)).max(0.0);
        (self.0.iter().map(variance).sum::<f64>() / self.0.len().max(1) as f64).sqrt()
    }
}

impl Scores {
    fn add(&mut self, wanted: &[f32], found: &[f32]) {
        let (Some(first), Some(other)) = (greatest(wanted), greatest(found)) else { return };
        let lowest = wanted.iter().copied().fold(f32::INFINITY, f32::min);
        self.same += usize::from(first == other);
        self.clearly_other += usize::from(wanted[first] - wanted[other] > NEAR_TIE * (wanted[first] - lowest));
    }
}

impl Told {
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

    /// How many samples were not loud.
    fn count(&self) -> usize {
        self.ordinary.count.checked_div(self.float.0.len()).unwrap_or(0)
    }

    /// The variation of `tensor`, of which this is; `output` is what becomes of it.
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
    fn new(compiled: &Compiled, model: &Model<'_>, float: &FloatRun, told: &[usize]) -> Self {
        let writers = writers(model);
        let values: HashMap<TensorId, usize> = compiled.tensors.iter().copied().collect();
        let mut written = vec![Vec::new(); model.op_count()];
        for (at, id) in float.ids.iter().enumerate() {
            let Some(&value) = values.get(id) else { continue };
            let of = model.value(value);
            let writer = writers.get(&of.alias.map_or(value, usize::from));
            // State that is read in place is assigned later, and is then no longer what was read.
            if let Some(&op) = writer.filter(|_| of.place != Place::State && matches!(of.dtype, DType::F32 | DType::I8))
            {
                written[op].push((at, value));
            }
        }
        Self {
            written,
            sums: vec![Sums::default(); float.ids.len()],
            told: told.iter().map(|&at| (at, Told::default())).collect(),
            scores: Scores::default(),
            samples: 0,
        }
    }

    /// Runs one sample, whose tensors are `wanted`, the inputs first; `output` is the place of the first output.
    fn run(
        &mut self,
        session: &mut OwnedSession,
        inputs: usize,
        wanted: &[&[f32]],
        output: Option<usize>,
        loud: bool,
    ) -> Result<()> {
        for (k, numbers) in wanted.iter().take(inputs).enumerate() {
            give(session, k, numbers)?;
        }
        for written in &self.written {
            let _ = session.poll(Budget::layer());
            for &(at, value) in written {
                let found = reals_of(session, value);
                self.sums[at].add(wanted[at], &found);
                if let Some(told) = self.told.get_mut(&at) {
                    told.add(wanted[at], &found, loud);
                }
                if Some(at) == output {
                    self.scores.add(wanted[at], &found);
                }
            }
        }
        self.samples += 1;
        Ok(())
    }

    /// What came of it; `telling` is what softmax makes outputs of.
    fn measured(
        &self,
        graph: &Graph,
        float: &FloatRun,
        telling: &HashMap<TensorId, TensorId>,
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
        let told: Vec<(usize, &Told, Variation)> = graph
            .outputs
            .iter()
            .filter_map(|&id| {
                let at = telling.get(&id).copied().and_then(place).or_else(|| place(id))?;
                let told = self.told.get(&at)?;
                let output = place(id).and_then(|at| self.told.get(&at)).unwrap_or(told);
                Some((at, told, told.variation(float.ids[at], (id, output))))
            })
            .collect();
        let lowest = |ratios: &mut dyn Iterator<Item = f64>| ratios.fold(f64::INFINITY, f64::min);
        let of_sample = |(k, &index): (usize, &usize)| {
            let with_signal = told.iter().map(|(_, told, _)| told.of_samples[k]).filter(|sums| sums.signal > 0.0);
            let ratios: Vec<f64> = with_signal.map(|sums| sums.snr_db()).collect();
            (!ratios.is_empty()).then(|| (index, lowest(&mut ratios.into_iter())))
        };
        let first = graph.outputs.first().filter(|&&id| graph.tensors[id].elements() > 1 && place(id).is_some());
        Measured {
            layers: graph.nodes.iter().filter_map(layer).collect(),
            snr_db: lowest(&mut told.iter().map(|&(at, ..)| self.sums[at].snr_db())),
            ordinary_snr_db: lowest(&mut told.iter().map(|(_, told, _)| told.ordinary.snr_db())),
            of_samples: indices.iter().enumerate().filter_map(of_sample).collect(),
            samples: self.samples,
            agreement: first.map(|_| self.scores.same as f64 / self.samples.max(1) as f64),
            clearly_other: self.scores.clearly_other as f64 / self.samples.max(1) as f64,
            variations: told.into_iter().map(|(.., variation)| variation).collect(),
        }
    }
}

impl Measured {
    /// The same with the layers of another measurement.
    pub(super) fn with_layers_of(self, other: Self) -> Self {
        Self { layers: other.layers, ..self }
    }

    /// The median of the samples' ratios.
    pub(super) fn median_snr_db(&self) -> Option<f64> {
        let mut ratios: Vec<f64> = self.of_samples.iter().map(|(_, ratio)| *ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let (&low, &high) = (ratios.get(ratios.len().checked_sub(1)? / 2)?, ratios.get(ratios.len() / 2)?);
        Some(if low == high { low } else { f64::midpoint(low, high) })
    }

    /// The sample with the lowest ratio, and the ratio.
    pub(super) fn worst(&self) -> Option<(usize, f64)> {
        self.of_samples.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The report, but for what was tried; `with_choices` adds to its layers what their weights may be.
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
            chosen: None,
            trials: Vec::new(),
            samples: self.samples,
            agreement: self.agreement,
            warnings,
        }
    }

    /// What looks wrong in the outputs.
    ///
    /// `ordinary` is the same network measured on samples without outliers.
    pub(super) fn warnings(&self, graph: &Graph, ordinary: &Self) -> Vec<String> {
        let mut warnings = Vec::new();
        let scores = |id: &&TensorId| {
            graph.tensors[**id].shape.split_last().is_some_and(|(_, dims)| dims.iter().all(|&dim| dim == 1))
        };
        let share = self.agreement.filter(|&share| share < LEAST_AGREEMENT && self.clearly_other > MOST_OTHERS);
        if let (Some(share), Some(&id)) = (share, graph.outputs.first().filter(scores)) {
            warnings.push(format!(
                "the greatest element of output `{}` is the same as in float for {:.1} % of the inputs only",
                graph.tensors[id].name,
                share * 100.0
            ));
        }
        let sharing = Sharing::of(graph).ok();
        let variations = ordinary.variations.iter();
        warnings.extend(variations.filter_map(|variation| variation.warning(graph, sharing.as_ref())));
        warnings
    }
}

/// Below this share of inputs with the same greatest score there is a warning.
const LEAST_AGREEMENT: f64 = 0.9;

/// Up to this share of inputs may have clearly another greatest score without a warning: the others are near ties, of which
/// an output that is no scores of classes may have many.
const MOST_OTHERS: f64 = 0.05;

/// By more than this part of what a sample's scores span, a score is clearly less than the greatest.
const NEAR_TIE: f32 = 0.05;

/// Which part of the float network's variation a compiled one must have.
const LEAST_VARIATION: f64 = 0.25;

/// Which part of the float network's variation the errors may have.
const MOST_ERROR: f64 = 0.5;

/// By less than this an output between -1 and 1 does not vary: a step of its codes.
const SATURATED: f64 = 1.0 / 128.0;

/// By less than this part of its size another output does not vary.
const UNCHANGING: f64 = 1e-5;

impl Variation {
    /// Says so if the compiled network hardly varies where the float one does, or is as far from it as that varies.
    fn warning(&self, graph: &Graph, sharing: Option<&Sharing>) -> Option<String> {
        let Self { tensor, size, float, compiled, error, output, shown } = *self;
        let name = &graph.tensors[tensor].name;
        // An output that is known to lie between -1 and 1, and hardly moves there, is saturated in both networks.
        let fixed = sharing.is_some_and(|sharing| sharing.fixed(sharing.root(output)).is_some());
        if float <= UNCHANGING * size || (fixed && shown <= SATURATED) {
            return None;
        }
        let advice = "look for outliers in the data, or keep the network in float32";
        if compiled < LEAST_VARIATION * float {
            return Some(format!(
                "`{name}` hardly varies over ordinary inputs: by {compiled:.3e}, in float by {float:.3e} (root mean square); {advice}"
            ));
        }
        (error > MOST_ERROR * float).then(|| {
            format!(
                "the errors of `{name}` over ordinary inputs are {error:.3e}, where it varies by {float:.3e} in float (root mean \
                 square); {advice}"
            )
        })
    }
}

/// The inputs of softmax by its outputs: probabilities saturate, so that what they are made of tells more.
fn telling(graph: &Graph) -> HashMap<TensorId, TensorId> {
    let softmax = graph.nodes.iter().filter(|node| matches!(node.op, NodeOp::Ir(Op::Softmax { .. })));
    let pair = |node: &Node| Some((*node.outputs.first()?, reals(graph, node).next()?));
    softmax.filter_map(pair).collect()
}
