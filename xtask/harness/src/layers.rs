//! The instructions of each layer of models on a board, counted by firmware that polls layer by layer.

use crate::board::Board;
use crate::context::Context;
use crate::polls::{Job, LAYER, has_memory_for, time_polls};
use crate::progress::Progress;
use crate::subject::Subject;
use crate::table::{Table, or_dash, table};
use anyhow::{Result, ensure};
use serde::Serialize;
use tealight_cli::grouped;
use tealight_cli::prediction::cycles_per_instruction;
use tealight_format::Model;

/// A layer of a model on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its operator.
    pub operator: String,
    /// The shape of its output.
    pub output: Vec<u32>,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Its instructions in the first inference.
    pub instructions: u64,
    /// The cycles that these take on silicon, estimated by [`cycles_per_instruction`]; `None` for a core that is not known.
    pub estimated_cycles: Option<u64>,
}

impl Layer {
    /// Its operator and shape, as `Conv2d 1x25x5x64`.
    pub fn name(&self) -> String {
        let dims: Vec<String> = self.output.iter().map(u32::to_string).collect();
        format!("{} {}", self.operator, dims.join("x"))
    }
}

/// The layers of a model on a board.
#[derive(Clone, Debug, Serialize)]
pub struct Layers {
    /// Model.
    pub model: String,
    /// Board.
    pub board: String,
    /// In the order in which they run.
    pub layers: Vec<Layer>,
    /// By how many instructions a layer's count may be off: the length of a tick of the board's clock.
    pub resolution: u64,
}

/// A model and one input for it.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// Its name.
    pub id: &'a str,
    /// Compiled.
    pub file: &'a [u8],
    /// The inputs of one inference.
    pub input: &'a [u8],
}

impl<'a> Measured<'a> {
    /// The first inference of `subject`.
    pub fn first_of(subject: &'a Subject) -> Option<Self> {
        let input = subject.runs.first()?.inputs.get(..subject.model.input_bytes())?;
        Some(Self { id: &subject.id, file: &subject.model.bytes, input })
    }
}

/// Counts the layers of those `models` that fit the memory of `board`, all through one image.
///
/// # Errors
/// A model is refused, or the firmware fails.
pub fn measure(context: &Context, board: &Board, models: &[Measured<'_>]) -> Result<Vec<Layers>> {
    let mut parsed = Vec::new();
    for measured in models {
        let model = Model::parse(measured.file).map_err(|error| anyhow::anyhow!("{}: {error}", measured.id))?;
        if has_memory_for(board, &model) {
            parsed.push((measured, model));
        }
    }
    let jobs: Vec<Job<'_>> = parsed
        .iter()
        .map(|(measured, model)| Job {
            file: measured.file,
            input: measured.input,
            budgets: vec![LAYER; model.op_count()],
        })
        .collect();
    let progress = Progress::start(format!("layers of {} models on {}", jobs.len(), board.id));
    let times = time_polls(context, board, &jobs)?;
    progress.done("counted");
    let layers = parsed.iter().zip(times.instructions).map(|((measured, model), counts)| Layers {
        model: measured.id.into(),
        board: board.id.clone(),
        layers: counts.iter().enumerate().map(|(index, &count)| layer(model, index, count, &board.core)).collect(),
        resolution: times.resolution,
    });
    let layers: Vec<Layers> = layers.collect();
    let empty = layers.iter().find(|model| model.layers.is_empty());
    ensure!(empty.is_none(), "{} has no layers", empty.map_or("", |model| &model.model));
    Ok(layers)
}

fn layer(model: &Model<'_>, index: usize, instructions: u64, core: &str) -> Layer {
    let op = model.op(index);
    let shape = model.value(op.output.into()).shape;
    Layer {
        operator: op.operator.code().name().into(),
        output: (0..shape.rank()).map(|i| shape.dim(i)).collect(),
        macs: model.op_macs(&op),
        instructions,
        estimated_cycles: cycles_per_instruction(core).map(|ratio| (instructions as f64 * ratio) as u64),
    }
}

/// The layers with their share of the model's instructions.
pub fn layers_table(model: &Layers) -> Table {
    let total = model.layers.iter().map(|layer| layer.instructions).sum::<u64>().max(1);
    let mut table = table(&["layer"], &["MACs", "instructions", "per MAC", "%", "cycles, estimated"], &[]);
    for layer in &model.layers {
        let per_mac = layer.instructions as f64 / layer.macs as f64;
        table.row([
            layer.name(),
            grouped(layer.macs),
            grouped(layer.instructions),
            if layer.macs == 0 { String::new() } else { format!("{per_mac:.2}") },
            format!("{:.1}", 100.0 * layer.instructions as f64 / total as f64),
            or_dash(layer.estimated_cycles),
        ]);
    }
    table
}
