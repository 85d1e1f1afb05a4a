//! Runs a quantized network beside the float one and compares every tensor that both keep.

use super::Result;
use super::float_run::{FloatRun, aligned, arena, give, load, parse, reals_of};
use super::network::kind;
use super::report::{Layer, Sums, greatest};
use super::samples::Samples;
use super::sharing::reals;
use crate::Compiled;
use crate::graph::{Graph, Node, Op, TensorId};
use crate::names::layer_name;
use crate::tflite::TfliteOp;
use tealight::{ALL_OPS, Budget, Model, Session};
use tealight_format::{DType, Place};

/// Samples that are run to measure a network without state, spread over all.
const SAMPLES: usize = 200;

/// How far a compiled network is from the float one.
pub(super) struct Measured {
    /// Each layer, with the tensor that it writes.
    pub(super) layers: Vec<(TensorId, Layer)>,
    pub(super) snr_db: f64,
    pub(super) samples: usize,
    pub(super) agreement: Option<f64>,
}

/// How one compiled network did; lists go by the place of a tensor in [`FloatRun::ids`].
struct Tally {
    /// (place of a tensor, value of the plan)
    pairs: Vec<(usize, usize)>,
    sums: Vec<Sums>,
    agreed: usize,
    samples: usize,
}

/// Runs the float network `graph` once, all of `compiled` beside it. They were compiled with
/// [`Options::keep_tensor_map`](crate::Options::keep_tensor_map) from graphs that number tensors as `graph` does.
pub(super) fn measure(
    graph: &Graph,
    float: &FloatRun,
    compiled: &[&Compiled],
    samples: Samples<'_>,
) -> Result<Vec<Measured>> {
    let mut files: Vec<_> = compiled.iter().map(|compiled| aligned(&compiled.bytes)).collect();
    let models = files.iter_mut().zip(compiled);
    let models: Vec<Model<'_>> =
        models.map(|(file, compiled)| parse(file, compiled.bytes.len())).collect::<Result<_>>()?;
    let mut arenas: Vec<_> = models.iter().map(arena).collect();
    let sessions = models.iter().zip(&mut arenas);
    let mut sessions: Vec<_> = sessions.map(|(model, arena)| load(model, arena)).collect::<Result<_>>()?;
    let tallies = compiled.iter().zip(&models);
    let mut tallies: Vec<Tally> = tallies.map(|(compiled, model)| Tally::new(compiled, model, float)).collect();
    let output = graph.outputs.first().and_then(|id| float.ids.iter().position(|of| of == id));
    float.run(samples.iter().step_by(step(graph, samples)), |sample, wanted| {
        for (session, tally) in sessions.iter_mut().zip(&mut tallies) {
            if sample.first {
                session.reset();
            }
            tally.run(session, graph.inputs.len(), wanted, output)?;
        }
        Ok(())
    })?;
    Ok(tallies.iter().map(|tally| tally.measured(graph, float)).collect())
}

/// Every which sample is run to measure: with state none is left out, since it is what the samples before made it.
pub(super) fn step(graph: &Graph, samples: Samples<'_>) -> usize {
    let mut read = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
    let has_state = read.any(|&id| graph.tensors[graph.base(id)].is_state());
    if has_state { 1 } else { samples.count().div_ceil(SAMPLES).max(1) }
}

impl Tally {
    fn new(compiled: &Compiled, model: &Model<'_>, float: &FloatRun) -> Self {
        let pair = |(at, &id): (usize, &TensorId)| {
            let (_, value) = *compiled.tensors.iter().find(|(tensor, _)| *tensor == id)?;
            // State that is read in place is assigned later, and is then no longer what was read.
            (model.value(value).place != Place::State).then_some((at, value))
        };
        Self {
            pairs: float.ids.iter().enumerate().filter_map(pair).collect(),
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
            give(session, k, numbers)?;
        }
        for op in 0..model.op_count() {
            let _ = session.poll(Budget::layer());
            let written = usize::from(model.op(op).output);
            for &(at, value) in &self.pairs {
                // What it wrote, and views of that.
                let Some(found) = Some(model.value(value))
                    .filter(|of| of.alias.map_or(value, usize::from) == written)
                    .filter(|of| matches!(of.dtype, DType::F32 | DType::I8))
                    .map(|_| reals_of(session, value))
                else {
                    continue;
                };
                self.sums[at].add(wanted[at], &found);
                if Some(at) == output {
                    self.agreed += usize::from(greatest(wanted[at]) == greatest(&found));
                }
            }
        }
        self.samples += 1;
        Ok(())
    }

    fn measured(&self, graph: &Graph, float: &FloatRun) -> Measured {
        let sums_of = |id: TensorId| {
            let at = float.ids.iter().position(|&of| of == id)?;
            Some(self.sums[at]).filter(|sums| sums.count > 0)
        };
        let layer = |node: &Node| {
            let &output = node.outputs.first()?;
            let sums = sums_of(output)?;
            let (name, kind) = (layer_name(graph, node), kind(node.op.name()));
            let (snr_db, worst) = (sums.snr_db(), sums.worst);
            Some((output, Layer { name, kind, snr_db, worst, bytes: 0, weights: None, choices: Vec::new() }))
        };
        let told = graph.outputs.iter().filter_map(|&id| telling(graph, id).and_then(sums_of).or_else(|| sums_of(id)));
        let first = graph.outputs.first().filter(|&&id| graph.tensors[id].elements() > 1 && sums_of(id).is_some());
        Measured {
            layers: graph.nodes.iter().filter_map(layer).collect(),
            snr_db: told.map(|sums| sums.snr_db()).fold(f64::INFINITY, f64::min),
            samples: self.samples,
            agreement: first.map(|_| self.agreed as f64 / self.samples.max(1) as f64),
        }
    }
}

/// Softmax's input where softmax writes the output `id`: probabilities saturate, so that tells more.
fn telling(graph: &Graph, id: TensorId) -> Option<TensorId> {
    let last = graph.nodes.iter().find(|node| node.outputs.contains(&id))?;
    let softmax = matches!(last.op, Op::Tflite(TfliteOp::Softmax { .. }));
    reals(graph, last).next().filter(|_| softmax)
}
