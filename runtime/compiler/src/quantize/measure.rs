//! Runs a quantized network beside the float one and compares every tensor that both keep.

use super::float_run::{FloatRun, aligned, arena, give, internal, load, parse};
use super::network::{is_layer, kind};
use super::observe::Observed;
use super::range::Params;
use super::report::{Layer, Sums, greatest};
use super::samples::Samples;
use super::sharing::reals;
use super::{Ranges, Report, Result, Trial};
use crate::Compiled;
use crate::graph::{ElementType, Graph, Node, Op, Tensor, TensorId};
use crate::names::layer_name;
use crate::tflite::TfliteOp;
use tealight::{ALL_OPS, Budget, Model, Session};
use tealight_format::{DType, Place};

/// Samples that are run to measure a network without state, spread over all.
const SAMPLES: usize = 200;

/// A way of quantizing, compiled.
pub(super) struct Candidate {
    pub(super) graph: Graph,
    pub(super) compiled: Compiled,
    pub(super) ranges: Ranges,
    pub(super) correct: bool,
}

/// How one candidate did; lists go by the place of a tensor in [`FloatRun::ids`].
struct Tally {
    /// (place of a tensor, value of the plan)
    pairs: Vec<(usize, usize)>,
    params: Vec<Params>,
    sums: Vec<Sums>,
    agreed: usize,
    samples: usize,
}

/// Runs the float network `graph` once, all candidates beside it.
pub(super) fn measure(
    graph: &Graph,
    float: &FloatRun,
    observed: &Observed,
    candidates: &[Candidate],
    samples: Samples<'_>,
) -> Result<Vec<Report>> {
    let mut files: Vec<_> = candidates.iter().map(|candidate| aligned(&candidate.compiled.bytes)).collect();
    let models = files.iter_mut().zip(candidates);
    let models: Vec<Model<'_>> =
        models.map(|(file, candidate)| parse(file, candidate.compiled.bytes.len())).collect::<Result<_>>()?;
    let mut arenas: Vec<_> = models.iter().map(arena).collect();
    let sessions = models.iter().zip(&mut arenas);
    let mut sessions: Vec<_> = sessions.map(|(model, arena)| load(model, arena)).collect::<Result<_>>()?;
    let tallies = candidates.iter().zip(&models);
    let mut tallies: Vec<Tally> =
        tallies.map(|(candidate, model)| Tally::new(candidate, model, observed, float)).collect();
    // State is what the samples before made it, so with it none is left out.
    let step = if has_state(graph) { 1 } else { samples.count().div_ceil(SAMPLES).max(1) };
    let output = graph.outputs.first().and_then(|id| float.ids.iter().position(|of| of == id));
    float.run(samples.iter().step_by(step), |sample, wanted| {
        for (session, tally) in sessions.iter_mut().zip(&mut tallies) {
            if sample.first {
                session.reset();
            }
            tally.run(session, graph.inputs.len(), wanted, output)?;
        }
        Ok(())
    })?;
    Ok(candidates.iter().zip(&tallies).map(|(candidate, tally)| report(graph, float, candidate, tally)).collect())
}

/// Whether the network keeps something from one sample to the next.
pub(super) fn has_state(graph: &Graph) -> bool {
    let mut read = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    read.any(|&id| graph.tensors[id].is_state())
}

impl Tally {
    fn new(candidate: &Candidate, model: &Model<'_>, observed: &Observed, float: &FloatRun) -> Self {
        let pair = |(at, &id): (usize, &TensorId)| {
            let (_, value) = *candidate.compiled.tensors.iter().find(|(tensor, _)| *tensor == id)?;
            // State that is read in place is assigned later, and is then no longer what was read.
            (model.value(value).place != Place::State).then_some((at, value))
        };
        Self {
            pairs: float.ids.iter().enumerate().filter_map(pair).collect(),
            params: float.ids.iter().map(|&id| observed.params(id, candidate.ranges)).collect(),
            sums: vec![Sums::default(); float.ids.len()],
            agreed: 0,
            samples: 0,
        }
    }

    /// Runs one sample, whose tensors are `wanted`, the inputs first; `output` is the place of the first output.
    fn run(
        &mut self,
        session: &mut Session<'_, ALL_OPS>,
        inputs: usize,
        wanted: &[&[f32]],
        output: Option<usize>,
    ) -> Result<()> {
        let model = *session.model();
        for (k, numbers) in wanted.iter().take(inputs).enumerate() {
            if model.value(model.input(k)).dtype == DType::I8 {
                let input: Vec<i8> = numbers.iter().map(|&real| self.params[k].quantize(real)).collect();
                session.input(k).copy_from(&input).map_err(|error| internal(&format!("{error:?}")))?;
            } else {
                give(session, k, numbers)?;
            }
        }
        for op in 0..model.op_count() {
            let _ = session.poll(Budget::layer());
            let written = usize::from(model.op(op).output);
            for &(at, value) in &self.pairs {
                // What it wrote, and views of that.
                if model.value(value).alias.map_or(value, usize::from) == written {
                    let params = self.params[at];
                    let found: Vec<f32> =
                        session.value(value).as_i8().iter().map(|&byte| params.dequantize(byte)).collect();
                    self.sums[at].add(wanted[at], &found);
                    if Some(at) == output {
                        self.agreed += usize::from(greatest(wanted[at]) == greatest(&found));
                    }
                }
            }
        }
        self.samples += 1;
        Ok(())
    }
}

fn report(graph: &Graph, float: &FloatRun, candidate: &Candidate, tally: &Tally) -> Report {
    let sums_of = |id: TensorId| {
        let at = float.ids.iter().position(|&of| of == id)?;
        Some(tally.sums[at]).filter(|sums| sums.count > 0)
    };
    let layer = |node: &Node| {
        let sums = sums_of(*node.outputs.first()?)?;
        let (name, kind) = (layer_name(graph, node), kind(node.op.name()));
        Some(Layer { name, kind, snr_db: sums.snr_db(), worst: sums.worst, bytes: bytes_of(graph, node) })
    };
    let told = graph.outputs.iter().filter_map(|&id| telling(graph, id).and_then(sums_of).or_else(|| sums_of(id)));
    let snr_db = told.map(|sums| sums.snr_db()).fold(f64::INFINITY, f64::min);
    let first = graph.outputs.first().filter(|&&id| graph.tensors[id].elements() > 1 && sums_of(id).is_some());
    Report {
        layers: graph.nodes.iter().filter_map(layer).collect(),
        snr_db,
        chosen: Trial { ranges: candidate.ranges, bias_correction: candidate.correct, snr_db },
        trials: Vec::new(),
        samples: tally.samples,
        agreement: first.map(|_| tally.agreed as f64 / tally.samples.max(1) as f64),
        warnings: Vec::new(),
    }
}

/// Softmax's input where softmax writes the output `id`: probabilities saturate, so that tells more.
fn telling(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let last = graph.nodes.iter().find(|node| node.outputs.contains(&id))?;
    let softmax = matches!(last.op, Op::Tflite(TfliteOp::Softmax { .. }));
    reals(graph, last).next().filter(|_| softmax)
}

/// Bytes of a layer's constants in int8: one for a weight, twelve for a channel (bias, multiplier, shift).
fn bytes_of(graph: &Graph, node: &Node) -> usize {
    let constants = node.inputs.iter().flatten().map(|&id| &graph.tensors[id]);
    let constants = constants.filter(|tensor| tensor.is_constant() && tensor.dtype == ElementType::F32);
    let sizes = constants.map(Tensor::elements);
    if is_layer(node) { sizes.zip([1, 12]).map(|(count, each)| count * each).sum() } else { sizes.sum() }
}
