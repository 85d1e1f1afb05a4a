//! `cargo xtask conformance`: whole models on a board, their output bytes against the golden ones.
//!
//! Our own models must output the same bytes as on this machine.

use crate::board::LinuxBoard;
use crate::board::{self, Board};
use crate::context::Context;
use crate::files::sha256;
use crate::fit::DoesNotFit;
use crate::linux;
use crate::on_board::{Options, TIME_LIMIT, run_on_board};
use crate::peers::Peers;
use crate::progress::{Progress, say};
use crate::side_by_side::on_each;
use crate::subject::{Subject, subjects};
use crate::table::{Table, table};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tealight_cli::grouped;

/// What a model cost on a board.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Model.
    pub model: String,
    /// Board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// Inferences whose outputs were equal.
    pub cases: usize,
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// Of the first case; `None` on an emulator that does not count them.
    pub instructions: Option<u64>,
    /// Of the arena.
    pub arena_bytes: u64,
    /// Deepest stack during an inference.
    pub stack_bytes: u64,
    /// Of the model's file.
    pub model_bytes: u64,
    /// Flash without the model.
    pub runtime_bytes: u64,
    /// Variables, the arena among them, and the deepest stack.
    pub ram_bytes: u64,
    /// Of all outputs in a row.
    pub output_sha256: String,
    /// Another runtime with figures for this core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Its instructions for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_instructions: Option<u64>,
}

/// Runs every model that is here and fits, or those named, on a board, and prints a table of their costs.
pub fn conformance(context: &Context, board: &str, only: &[String], json: bool) -> Result<()> {
    if let Some(board) = LinuxBoard::find(&context.root, board)? {
        return linux::conformance(context, &board, only, json);
    }
    let board = board::find_running(&context.root, board)?;
    let subjects = subjects(context, only)?;
    let costs = on_one_board(context, &board, &subjects.iter().collect::<Vec<_>>(), !only.is_empty())?;
    if costs.is_empty() {
        bail!("no model fits {}", board.id);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&costs)?);
    } else {
        println!("{}", cost_table(&costs));
    }
    Ok(())
}

/// Runs models on a board and compares. One that does not fit is passed over, unless all must.
pub fn on_one_board(context: &Context, board: &Board, subjects: &[&Subject], all_must_fit: bool) -> Result<Vec<Cost>> {
    let (mut costs, mut failures) = (Vec::new(), Vec::new());
    for subject in subjects {
        let id = &subject.id;
        let progress = Progress::start(format!("{id} on {}", board.id));
        match model_conforms(context, board, subject) {
            Ok(cost) => {
                progress.done(&format!("{} cases equal", cost.cases));
                costs.push(cost);
            }
            Err(error) if error.is::<DoesNotFit>() && !all_must_fit => {
                drop(progress);
                say(&format!("  --  {error}"));
            }
            Err(error) => {
                say(&format!("  FAILED {id}: {error:#}"));
                failures.push(id.clone());
            }
        }
    }
    if !failures.is_empty() {
        bail!("{} of the models failed on {}: {}", failures.len(), board.id, failures.join(", "));
    }
    let outputs: usize = costs.iter().map(|cost| cost.cases).sum();
    let models = costs.len();
    say(&format!("  {models} models on {}: {outputs} outputs equal the goldens or this machine's", board.id));
    Ok(costs)
}

/// Whether to run a model on a board.
pub type Choice<'a> = &'a (dyn Fn(&Board, &Subject) -> bool + Sync);

/// Runs the chosen models on each board, as many boards at a time as this machine has cores; those that do not fit a
/// board are passed over there. All boards, which are set up, are run even if one fails.
pub fn on_boards(boards: &[Board], subjects: &[Subject], chosen: Choice<'_>) -> Result<Vec<Cost>> {
    let costs = on_each(boards, |context, board| {
        let subjects: Vec<_> = subjects.iter().filter(|subject| chosen(board, subject)).collect();
        on_one_board(context, board, &subjects, false)
    })?;
    Ok(costs.concat())
}

/// What a table shows in the place of a figure that there is not.
pub(crate) fn none() -> String {
    "-".into()
}

fn cost_table(costs: &[Cost]) -> Table {
    let mut table =
        table(&["model"], &["MACs", "instructions", "per MAC", "arena B", "stack B", "model B", "runtime B"], &[]);
    for cost in costs {
        let per_mac = |count| format!("{:.2}", count as f64 / cost.macs.max(1) as f64);
        table.row([
            cost.model.clone(),
            grouped(cost.macs),
            cost.instructions.map_or_else(none, grouped),
            cost.instructions.map_or_else(none, per_mac),
            grouped(cost.arena_bytes),
            grouped(cost.stack_bytes),
            grouped(cost.model_bytes),
            grouped(cost.runtime_bytes),
        ]);
    }
    table
}

/// Runs all cases of a model and compares.
fn model_conforms(context: &Context, board: &Board, subject: &Subject) -> Result<Cost> {
    let model = &*subject.model_for(context, board)?;
    let (mut first, mut outputs) = (None, Vec::new());
    for run in &subject.runs {
        // Emulators of chips are slow, and a machine may do other things beside.
        let options = Options { limit: 3 * TIME_LIMIT, ..Options::default() };
        let ran = run_on_board(context, board, model, &run.inputs, options)?;
        run.expected.compare(&ran.outputs)?;
        outputs.extend_from_slice(&ran.outputs);
        first.get_or_insert(ran);
    }
    let run = first.context("there is no case for it")?;
    let model_bytes = model.bytes.len() as u64;
    let peers = Peers::read(&context.root)?;
    let peer = peers.find(&board.core, &subject.id);
    Ok(Cost {
        model: subject.id.clone(),
        board: board.id.clone(),
        core: board.core.clone(),
        cases: subject.inferences(),
        macs: model.macs,
        instructions: run.report.instructions.first().copied(),
        arena_bytes: run.report.arena_bytes,
        stack_bytes: run.report.stack_bytes,
        model_bytes,
        runtime_bytes: run.sizes.flash.saturating_sub(model_bytes),
        ram_bytes: run.sizes.ram + run.report.stack_bytes,
        output_sha256: sha256(&outputs),
        peer: peer.map(|(runtime, _)| runtime.into()),
        peer_instructions: peer.map(|(_, figures)| figures.instructions),
    })
}
