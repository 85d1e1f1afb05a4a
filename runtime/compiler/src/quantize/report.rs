//! How far the quantized network is from the float one, layer by layer.

use super::build::Built;
use super::range::Ranges;
use super::{QuantizeError, Result};
use crate::Compiled;
use crate::error::CompileError;
use crate::float::{self, Network, ValueId};
use tealight::{ALL_OPS, Block, Budget, Model, Session};

/// Samples that are run to measure, spread over all.
pub(super) const SAMPLES: usize = 200;

/// How far a quantized network is from its float one.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Each tensor that exists in both, in the order in which they are computed.
    pub layers: Vec<Layer>,
    /// Signal-to-noise ratio of the output, or of the last layer's before softmax.
    pub snr_db: f64,
    /// What was chosen.
    pub chosen: Trial,
    /// What was tried.
    pub trials: Vec<Trial>,
    /// How many samples were run.
    pub samples: usize,
    /// The share of them for which the greatest of the output's elements is the same one in both networks; of a `.tflite`
    /// whose output has several elements.
    pub agreement: Option<f64>,
    /// What in the samples looks wrong but does not forbid quantizing.
    pub warnings: Vec<String>,
}

/// A way of quantizing, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// How ranges were chosen.
    pub ranges: Ranges,
    /// Whether biases were corrected.
    pub bias_correction: bool,
    /// As [`Report::snr_db`].
    pub snr_db: f64,
}

/// A layer of the quantized network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name in the checkpoint.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// Energy of the float tensor over that of its difference from the dequantized one, in decibels.
    pub snr_db: f64,
    /// The greatest difference of one element.
    pub worst: f32,
    /// Bytes of weights.
    pub bytes: usize,
}

/// Sums over all elements of a tensor.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    signal: f64,
    noise: f64,
    pub(super) worst: f32,
    pub(super) count: usize,
}

/// Runs both networks and compares every tensor that the quantized one keeps.
pub(super) fn measure(network: &Network, built: &Built, compiled: &Compiled, samples: &[Vec<f32>]) -> Result<Report> {
    let mut file = vec![Block::ZERO; Block::count(compiled.bytes.len())];
    let file = &mut Block::bytes_mut(&mut file)[..compiled.bytes.len()];
    file.copy_from_slice(&compiled.bytes);
    let model = Model::parse(file).map_err(|error| internal(&format!("its own file is refused: {error}")))?;
    let mut arena = vec![Block::ZERO; Block::count(model.arena_len())];
    let mut session = Session::<ALL_OPS>::load(&model, Block::bytes_mut(&mut arena))
        .map_err(|error| internal(&format!("its own file does not run: {error:?}")))?;
    // (value of the float network, value of the plan)
    let pairs: Vec<(ValueId, usize)> = (0..built.tensors.len())
        .filter_map(|id| {
            let tensor = built.tensors[id]?;
            compiled.tensors.iter().find(|(of, _)| *of == tensor).map(|&(_, value)| (id, value))
        })
        .collect();
    let mut sums = vec![Sums::default(); network.values().len()];
    let step = samples.len().div_ceil(SAMPLES);
    let mut count = 0;
    for sample in samples.iter().step_by(step) {
        count += 1;
        let wanted = network.run(sample).map_err(|error| internal(&error.to_string()))?;
        let input: Vec<i8> = sample.iter().map(|&real| built.params[0].quantize(real)).collect();
        session.input(0).copy_from(&input).map_err(|error| internal(&format!("{error:?}")))?;
        for op in 0..model.op_count() {
            let _ = session.poll(Budget::layer());
            // What it wrote, and views of that.
            let written = model.op(op).output;
            for &(id, value) in &pairs {
                if model.value(value).alias.map_or(value, usize::from) == usize::from(written) {
                    let params = built.params[id];
                    let found = session.value(value).as_i8().iter().map(|&byte| params.dequantize(byte));
                    sums[id].add(&wanted[id], found);
                }
            }
        }
    }
    let layers: Vec<(ValueId, Layer)> = network
        .nodes()
        .iter()
        .filter(|node| sums[node.output].count > 0)
        .map(|node| {
            let sums = &sums[node.output];
            // A fused activation stands for the layer that applies it.
            let owner = owner(network, built, node);
            let bytes = owner.layer.weights().map_or(0, |(weights, bias)| weights.data.len() + 12 * bias.len());
            (
                node.output,
                Layer {
                    name: owner.name.clone(),
                    kind: owner.layer.kind().to_string(),
                    snr_db: sums.snr_db(),
                    worst: sums.worst,
                    bytes,
                },
            )
        })
        .collect();
    // Probabilities saturate, so softmax's input tells more.
    let last = network.nodes().iter().find(|node| node.output == network.output());
    let telling = last.map_or(network.output(), |node| match node.layer {
        float::Layer::Softmax => node.inputs[0],
        _ => node.output,
    });
    let snr_db = sums[telling].snr_db();
    let layers = layers.into_iter().map(|(_, layer)| layer).collect();
    let chosen = Trial { ranges: Ranges::MinMax, bias_correction: false, snr_db };
    Ok(Report { layers, snr_db, chosen, trials: Vec::new(), samples: count, agreement: None, warnings: Vec::new() })
}

/// The node whose operator writes what `node` writes: `node`, or the one that it was fused into.
fn owner<'a>(network: &'a Network, built: &Built, node: &'a float::Node) -> &'a float::Node {
    let before = network.nodes().iter().find(|before| node.inputs.first() == Some(&before.output));
    before.filter(|before| built.tensors[before.output].is_none()).unwrap_or(node)
}

fn internal(what: &str) -> QuantizeError {
    QuantizeError::Compile(CompileError::Internal(what.to_string()))
}

impl Sums {
    pub(super) fn add(&mut self, wanted: &[f32], found: impl Iterator<Item = f32>) {
        for (&wanted, found) in wanted.iter().zip(found) {
            let difference = found - wanted;
            self.signal += f64::from(wanted).powi(2);
            self.noise += f64::from(difference).powi(2);
            self.worst = self.worst.max(difference.abs());
            self.count += 1;
        }
    }

    /// Infinite where the two are equal.
    pub(super) fn snr_db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
    }
}
