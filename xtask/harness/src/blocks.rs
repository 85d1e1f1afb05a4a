//! `cargo xtask blocks`: a fully connected layer with its weights in blocks, on a board and on the host.
//!
//! The layer is one of the operator goldens. Both must return the same bits; the table shows what each type costs.
//! Weights stored as f16 can be compared too.

use crate::board::{self, Board};
use crate::context::Context;
use crate::error::Usage;
use crate::model::ModelFile;
use crate::on_board::{Options, run_on_board};
use crate::progress::Progress;
use crate::table::table;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::path::Path;
use tealight::OwnedSession;
use tealight_cli::grouped;
use tealight_compiler::{BlockType, compile_tflite};
use tealight_tests::ops::{Case, cases};

/// The golden file and the case: 512 inputs, so that the blocks of 256 fit too, 16 neurons, two batches.
const LAYER: (&str, &str) = ("fully_connected_f32", "fully_connected_f32.007");

/// What a type cost on a board.
#[derive(Debug, Serialize)]
struct Cost {
    weights: &'static str,
    board: String,
    macs: u64,
    instructions: u64,
    arena_bytes: u64,
    stack_bytes: u64,
    model_bytes: u64,
    /// Flash without the model.
    runtime_bytes: u64,
}

/// How the weights are stored.
#[derive(Clone, Copy, Debug)]
pub enum Weights {
    /// As they are.
    F32,
    /// In half precision.
    F16,
    /// In blocks.
    Block(BlockType),
}

impl Weights {
    /// Every way.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::F32, Self::F16].into_iter().chain(BlockType::ALL.iter().copied().map(Self::Block))
    }

    /// Its name, as the command takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Block(block) => block.name(),
        }
    }
}

/// The layer as the goldens have it.
pub fn golden_layer() -> Result<Case> {
    cases(LAYER.0).remove(LAYER.1).context("the golden layer is gone")
}

/// The compiled layer, and an input for it.
pub fn layer(weights: Weights) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut case = golden_layer()?;
    let input = case.steps.first_mut().and_then(|step| step.inputs.pop()).context("the golden layer has no input")?;
    let options = tealight_compiler::Options {
        quantize: if let Weights::Block(block) = weights { Some(block) } else { None },
        f16: matches!(weights, Weights::F16),
        ..Default::default()
    };
    let compiled = compile_tflite(&case.model, &options).context("the golden layer does not compile")?;
    Ok((compiled.bytes, input))
}

/// Runs the layer with float32 weights and with those of each type in `names` (all types if it is `all`).
pub fn blocks(context: &Context, board: &str, names: &[String], json: bool) -> Result<()> {
    let board = board::find_emulated(&context.root, board)?;
    let all = || Weights::all().filter(|weights| !matches!(weights, Weights::F32));
    let mut types = vec![Weights::F32];
    for name in names {
        match all().find(|weights| weights.name() == name) {
            Some(weights) => types.push(weights),
            None if name == "all" => types.extend(all()),
            None => {
                let known: Vec<_> = all().map(Weights::name).collect();
                return Err(Usage(format!(
                    "there is no type `{name}` of weights; there are: all, {}",
                    known.join(", ")
                ))
                .into());
            }
        }
    }
    let mut costs = Vec::new();
    for weights in types {
        costs.push(cost(context, &board, weights)?);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&costs)?);
        return Ok(());
    }
    let mut table =
        table(&["weights"], &["MACs", "instructions", "per MAC", "arena B", "stack B", "model B", "runtime B"], &[]);
    for cost in &costs {
        let mut row = vec![cost.weights.to_string(), grouped(cost.macs), grouped(cost.instructions)];
        row.push(format!("{:.2}", cost.instructions as f64 / cost.macs.max(1) as f64));
        row.extend([cost.arena_bytes, cost.stack_bytes, cost.model_bytes, cost.runtime_bytes].map(grouped));
        table.row(row);
    }
    println!("{table}");
    Ok(())
}

fn cost(context: &Context, board: &Board, weights: Weights) -> Result<Cost> {
    let progress = Progress::start(format!("{} on {}", weights.name(), board.id));
    let (compiled, input) = layer(weights)?;
    let weights = weights.name();
    let mut session = OwnedSession::from_bytes(&compiled).map_err(|error| anyhow::anyhow!("{error}"))?;
    session.input(0).context("the layer has no input")?.copy_from_bytes(&input)?;
    session.run();
    let expected = session.output(0).context("the layer has no output")?.as_bytes();
    let model = ModelFile::from_compiled(compiled, LAYER.1, Path::new(LAYER.1))?;
    let run = run_on_board(context, board, &model, &input, Options::default())?;
    if run.outputs != expected {
        bail!("{weights} returns other bits on {} than on this machine", board.id);
    }
    progress.done("the same bits as here");
    let model_bytes = model.bytes.len() as u64;
    Ok(Cost {
        weights,
        board: board.id.clone(),
        macs: model.macs,
        instructions: run.report.instructions.first().copied().unwrap_or(0),
        arena_bytes: run.report.arena_bytes,
        stack_bytes: run.report.stack_bytes,
        model_bytes,
        runtime_bytes: run.sizes.flash.saturating_sub(model_bytes),
    })
}
