//! `tealight plan`: the memory that several models need on one device.

use crate::error::Result;
use crate::model_file::{self, ModelFile};
use crate::screen::Screen;
use crate::table::{Table, bytes, grouped};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight::shared_arena_len;

/// Show the memory that several models need together on one device
///
/// Each model has an arena of its own, or, with --shared, all use one arena in turn; then the streaming state of each
/// model is kept outside of it (`Session::state`).
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Args {
    /// Compiled models (.safetensors), or .tflite or .onnx files, which are compiled in memory
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// One arena for all, which run in turn
    #[arg(long)]
    shared: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

const JSON: &str = "\
Keys of --json (lengths in bytes):
  models           [{model, name, arena_bytes, state_bytes, kept_bytes}]:
                   state is a part of the arena; kept is what is stored of a
                   model besides a shared arena, its state
  shared           whether all use one arena
  arena_bytes      the arenas together, or the shared one
  kept_bytes       the states outside of it
  total_bytes      both";

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    models: Vec<Part<'a>>,
    shared: bool,
    arena_bytes: u64,
    kept_bytes: u64,
    total_bytes: u64,
}

/// A model of the set.
#[derive(Debug, Serialize)]
struct Part<'a> {
    model: &'a Path,
    name: Option<String>,
    arena_bytes: u64,
    state_bytes: u64,
    kept_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// A model cannot be read.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Result<()> {
    let models = args.models.iter().map(|path| part(path, args.shared)).collect::<Result<Vec<_>>>()?;
    let arenas: Vec<usize> = models.iter().map(|part| part.arena_bytes as usize).collect();
    let arena_bytes =
        if args.shared { shared_arena_len(&arenas) as u64 } else { arenas.iter().map(|&len| len as u64).sum() };
    let kept_bytes = models.iter().map(|part| part.kept_bytes).sum();
    let total_bytes = arena_bytes + kept_bytes;
    let report = Report { models, shared: args.shared, arena_bytes, kept_bytes, total_bytes };
    if args.json { screen.json(&report) } else { print(&report, screen) }
}

fn part(path: &Path, shared: bool) -> Result<Part<'_>> {
    let file = ModelFile::open(path, None)?;
    let model = file.model()?;
    let state_bytes = model.state_len() as u64;
    Ok(Part {
        model: path,
        name: model_file::name(&model),
        arena_bytes: model.arena_len() as u64,
        state_bytes,
        kept_bytes: if shared { state_bytes } else { 0 },
    })
}

fn print(report: &Report<'_>, screen: &mut Screen) -> Result<()> {
    let mut table = Table::new().text("model", 0).number("arena", 0).number("of it state", 0);
    for part in &report.models {
        let name = part.name.clone().unwrap_or_else(|| part.model.display().to_string());
        table.row([name, grouped(part.arena_bytes), grouped(part.state_bytes)]);
    }
    let (text, _) = table.draw(screen.table_width());
    let (title, rows) = text.split_once('\n').unwrap_or((&text, ""));
    screen.heading(title, "")?;
    screen.print(rows)?;
    let apart: u64 = report.models.iter().map(|part| part.arena_bytes).sum();
    let total = bytes(report.total_bytes);
    screen.print(match (report.shared, report.kept_bytes) {
        (false, _) => format!("together: {total}, an arena for each\n"),
        (true, 0) => format!("together: {total}, one arena for all\n"),
        (true, kept) => {
            format!(
                "together: {total}, one arena of {} for all and {} of state outside\n",
                bytes(report.arena_bytes),
                bytes(kept)
            )
        }
    })?;
    if report.total_bytes > apart {
        screen.print(format!(
            "(more than an arena for each, {}: a model with much state keeps it twice)\n",
            bytes(apart)
        ))?;
    }
    Ok(())
}
