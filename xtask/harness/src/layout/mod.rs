//! `cargo xtask layout`: boards of real hardware are built, and their images are checked as the chip would read them.
//!
//! Nothing here runs on such a board. What can be known without it is whether the chip would find what it starts from:
//! every section in a memory that there is, the stack in RAM, a vector table or entry point that leads into code, and
//! what the boot loader looks for. `board.toml` lists the memory; the rest are the chips' own rules.

mod boot;
mod image;
mod memory;
mod start;
#[cfg(test)]
mod tests;

use crate::Usage;
use crate::board::{self, Board};
use crate::context::Context;
use crate::firmware::{self, Level, Recipe};
use crate::fit::{self, DoesNotFit};
use crate::flash;
use crate::model::ModelFile;
use crate::on_board::{receives, stable_copy, stable_input};
use crate::progress::Progress;
use crate::run::model_and_inputs;
use crate::table::{Table, table};
use anyhow::{Result, bail};
use clap::Args;
use image::Image;
use serde::Serialize;
use std::path::PathBuf;
use tealight_cli::grouped;

/// What to look at.
#[derive(Debug, Default, Args)]
pub struct LayoutArgs {
    /// Only this board; may be given more than once [default: all on the HALs of their chips]
    #[arg(long, value_name = "BOARD")]
    pub board: Vec<String>,
    /// Model: .tflite, compiled .safetensors, or the name of one of our own [default: digits]
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Prints one JSON value instead of a table
    #[arg(long)]
    pub json: bool,
}

/// An image and what was found in it.
#[derive(Debug, Serialize)]
struct Layout {
    board: String,
    model: String,
    /// Bytes that are stored: code, constants, the model, first values of variables.
    flash: u64,
    flash_length: u64,
    /// Bytes of variables, the arena among them.
    ram: u64,
    /// Bytes kept for the stack.
    stack: u64,
    ram_length: u64,
    /// What is wrong with it.
    findings: Vec<String>,
}

/// Builds the boards and checks their images.
pub fn layout(context: &Context, args: &LayoutArgs) -> Result<()> {
    let boards = if args.board.is_empty() {
        Board::on_hals(&context.root)?
    } else {
        args.board.iter().map(|id| board::find(&context.root, id)).collect::<Result<_>>()?
    };
    let (model, inputs) = model_and_inputs(context, args.model.as_deref(), &[])?;
    let asks = args.model.is_some() && args.board.is_empty();
    let mut layouts = Vec::new();
    for board in &boards {
        match of_board(context, board, &model, &inputs) {
            Ok(layout) => layouts.push(layout),
            // A model that somebody asks about may fit some boards; the smallest fits all.
            Err(error) if asks && error.is::<DoesNotFit>() => eprintln!("  --  {error}"),
            Err(error) => return Err(error),
        }
    }
    if layouts.is_empty() {
        return Err(Usage(format!("{} fits none of these boards", model.name)).into());
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&layouts)?);
    } else {
        println!("{}", as_table(&layouts));
    }
    let wrong =
        layouts.iter().flat_map(|layout| layout.findings.iter().map(|text| format!("{}: {text}", layout.board)));
    let wrong: Vec<String> = wrong.collect();
    if !wrong.is_empty() {
        bail!("these images would not start:\n    {}", wrong.join("\n    "));
    }
    Ok(())
}

/// Builds a board around a model, as `cargo xtask run` does, and looks at the image.
fn of_board(context: &Context, board: &Board, model: &ModelFile, inputs: &[u8]) -> Result<Layout> {
    let progress = Progress::start(format!("building {} for {} and looking at its layout", model.name, board.id));
    fit::check(board, model)?;
    let features = model.features();
    let file = stable_copy(context, model)?;
    let input = stable_input(context, if receives(board) { &[] } else { inputs })?;
    let embedded_input = input.as_deref();
    let recipe = Recipe { board, name: &model.name, model: &file, embedded_input, features, log: Level::Info };
    let image = firmware::build(context, recipe)?;
    let mut layout = look(board, &model.name, &Image::parse(&image)?);
    // A boot loader that takes UF2 gets all of it.
    layout.findings.extend(flash::uf2_file(board, &image).and_then(|file| Some(format!("{:#}", file.err()?))));
    progress.done(&match layout.findings.len() {
        0 => "nothing wrong".into(),
        count => format!("{count} things wrong"),
    });
    Ok(layout)
}

/// Looks at one image.
fn look(board: &Board, model: &str, image: &Image) -> Layout {
    let checks = [memory::check, start::check, boot::check];
    Layout {
        board: board.id.clone(),
        model: model.into(),
        flash: image.stored(),
        flash_length: board.length("flash"),
        ram: memory::variables(board, image),
        stack: image.stack().map_or(0, |stack| stack.end.saturating_sub(stack.start)),
        ram_length: board.length("ram"),
        findings: checks.iter().flat_map(|check| check(board, image)).collect(),
    }
}

fn as_table(layouts: &[Layout]) -> Table {
    let mut table = table(&["board", "model"], &["flash in use", "of", "RAM: variables", "stack", "of"], &["layout"]);
    for layout in layouts {
        table.row([
            layout.board.clone(),
            layout.model.clone(),
            grouped(layout.flash),
            grouped(layout.flash_length),
            grouped(layout.ram),
            grouped(layout.stack),
            grouped(layout.ram_length),
            if layout.findings.is_empty() { "good".into() } else { format!("{} wrong", layout.findings.len()) },
        ]);
    }
    table
}
