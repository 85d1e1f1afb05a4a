//! `cargo xtask bench`: what each model costs on each board that it fits, side by side.
//!
//! A model's outputs have one digest, whatever the board: two that differ are a failure. Beside the counts stand those
//! of another runtime where there are some (see [`peers`](crate::peers)).

use crate::board::{self, Board};
use crate::conformance::{Cost, none, on_boards};
use crate::context::Context;
use crate::emulator;
use crate::error::Usage;
use crate::host::bench_host;
use crate::layers::{Measured, layers_table, measure};
use crate::side_by_side::on_each;
use crate::subject::{Subject, subjects};
use crate::table::{Table, table};
use anyhow::{Result, bail};
use clap::Args;
use std::collections::BTreeMap;
use tealight_cli::grouped;

/// What to measure, and where.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Board to measure on; may be given more than once
    #[arg(long, required_unless_present_any = ["all", "host"], conflicts_with = "all")]
    pub board: Vec<String>,
    /// Measures on every board that QEMU emulates here
    #[arg(long)]
    pub all: bool,
    /// Times models on this machine, beside LiteRT, instead of measuring on boards
    #[arg(long, conflicts_with_all = ["board", "all", "layers"])]
    pub host: bool,
    /// Counts the instructions of each layer
    #[arg(long)]
    pub layers: bool,
    /// Prints one JSON value instead of a table
    #[arg(long)]
    pub json: bool,
    /// Models to measure [default: all]; with `--host` those of MLPerf Tiny, or `.tflite` files
    pub models: Vec<String>,
}

/// Runs models on boards, compares their outputs and tables what each cost.
pub fn bench(context: &Context, args: &BenchArgs) -> Result<()> {
    if args.host {
        return bench_host(context, &args.models, args.json);
    }
    let boards = if args.all {
        emulator::boards_here(context)?
    } else {
        let named = args.board.iter().map(|id| board::find_running(&context.root, id)).collect::<Result<Vec<_>>>()?;
        named.iter().try_for_each(|board| emulator::ensure_board(context, board))?;
        named
    };
    let subjects = subjects(context, &args.models)?;
    if args.layers {
        return by_layer(&boards, &subjects, args.json);
    }
    let mut costs = on_boards(&boards, &subjects, &|_, _| true)?;
    if costs.is_empty() {
        return Err(Usage("no model fits these boards".into()).into());
    }
    let place = |cost: &Cost| boards.iter().position(|board| board.id == cost.board);
    costs.sort_by(|a, b| (&a.model, place(a)).cmp(&(&b.model, place(b))));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&costs)?);
    } else {
        println!("{}", as_table(&costs));
    }
    same_digests(&costs)
}

/// Counts the layers of the models that fit each board.
fn by_layer(boards: &[Board], subjects: &[Subject], json: bool) -> Result<()> {
    if let Some(board) = boards.iter().find(|board| board.qemu.is_none()) {
        return Err(Usage(format!("--layers counts on boards that QEMU emulates, which {} is not", board.id)).into());
    }
    let layers = on_each(boards, |context, board| {
        let files = subjects.iter().map(|subject| subject.model_for(context, board)).collect::<Result<Vec<_>>>()?;
        let models = subjects
            .iter()
            .zip(&files)
            .filter_map(|(subject, file)| Some(Measured { file: &file.bytes, ..Measured::first_of(subject)? }));
        measure(context, board, &models.collect::<Vec<_>>())
    })?
    .concat();
    if layers.is_empty() {
        return Err(Usage("no model fits these boards".into()).into());
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&layers)?);
        return Ok(());
    }
    for model in &layers {
        println!("{} on {}\n{}", model.model, model.board, layers_table(model));
    }
    Ok(())
}

/// Refuses outputs of a model that differ between boards.
fn same_digests(costs: &[Cost]) -> Result<()> {
    let mut first: BTreeMap<&str, &Cost> = BTreeMap::new();
    for cost in costs {
        let before = *first.entry(&cost.model).or_insert(cost);
        if before.output_sha256 != cost.output_sha256 {
            bail!("the outputs of {} on {} differ from those on {}", cost.model, cost.board, before.board);
        }
    }
    Ok(())
}

/// The columns of numbers.
const COLUMNS: [&str; 8] = ["instructions", "per MAC", "peer's", "ratio", "arena B", "stack B", "RAM B", "flash B"];

/// A quotient with two places, if there are both numbers.
fn ratio(count: Option<u64>, of: Option<u64>) -> String {
    match (count, of) {
        (Some(count), Some(of)) => format!("{:.2}", count as f64 / of.max(1) as f64),
        _ => none(),
    }
}

fn as_table(costs: &[Cost]) -> Table {
    let mut table = table(&["model", "board"], &COLUMNS, &["outputs"]);
    for cost in costs {
        let digest: String = cost.output_sha256.chars().take(12).collect();
        table.row([
            cost.model.clone(),
            cost.board.clone(),
            cost.instructions.map_or_else(none, grouped),
            ratio(cost.instructions, Some(cost.macs)),
            cost.peer_instructions.map_or_else(none, grouped),
            ratio(cost.instructions, cost.peer_instructions),
            grouped(cost.arena_bytes),
            grouped(cost.stack_bytes),
            grouped(cost.ram_bytes),
            grouped(cost.model_bytes + cost.runtime_bytes),
            digest,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(model: &str, board: &str, digest: &str) -> Cost {
        Cost {
            model: model.into(),
            board: board.into(),
            core: String::new(),
            cases: 1,
            macs: 0,
            instructions: None,
            arena_bytes: 0,
            stack_bytes: 0,
            model_bytes: 0,
            runtime_bytes: 0,
            ram_bytes: 0,
            output_sha256: digest.into(),
            peer: None,
            peer_instructions: None,
        }
    }

    #[test]
    fn outputs_that_differ_between_boards_are_told_by_both() {
        same_digests(&[cost("m", "a", "1"), cost("m", "b", "1"), cost("n", "b", "2")]).unwrap();
        let error = same_digests(&[cost("m", "a", "1"), cost("n", "a", "2"), cost("m", "b", "2")]).unwrap_err();
        assert_eq!(error.to_string(), "the outputs of m on b differ from those on a");
    }
}
