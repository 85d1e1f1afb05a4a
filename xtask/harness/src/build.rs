//! `cargo xtask build`: a board's firmware with a model, as a file to flash.

use crate::board::{self, Board};
use crate::context::Context;
use crate::firmware::{self, Level, Recipe};
use crate::model::{ModelFile, target_of};
use crate::on_board::{stable_copy, stable_input};
use crate::parts;
use crate::progress::Progress;
use crate::run;
use crate::{files, fit};
use anyhow::Result;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tealight_cli::grouped;

/// What to build.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Board to build for (`cargo xtask boards` lists them)
    #[arg(long)]
    pub board: String,
    /// Model: .tflite, compiled .safetensors, or the name of one of our own [default: digits]
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Inputs to build in, as `run` takes them [default for our own models: held-out ones]
    #[arg(long, requires = "model", conflicts_with = "no_input")]
    pub input: Vec<PathBuf>,
    /// Builds no inputs in: the firmware waits for them on its wire, or asks the host for `input.bin`
    #[arg(long)]
    pub no_input: bool,
    /// What the firmware logs besides its report
    #[arg(long, value_enum, default_value_t = Level::Info)]
    pub log: Level,
    /// Where the ELF image goes [default: BOARD-MODEL.elf]
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Prints one JSON value instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs the task.
pub fn build(context: &Context, args: &BuildArgs) -> Result<()> {
    let board = board::find(&context.root, &args.board)?;
    let (model, inputs) = run::model_and_inputs_for(context, target_of(&board), args.model.as_deref(), &args.input)?;
    let inputs = if args.no_input { Vec::new() } else { inputs };
    let image = image(context, &board, &model, &inputs, model.features(), args.log)?;
    let sizes = firmware::sizes(&image)?;
    let parts = parts::parts(&image, sizes.flash)?;
    let output = args.output.clone().unwrap_or_else(|| format!("{}-{}.elf", board.id, model.name).into());
    files::write_whole(&output, &image)?;
    let inferences = inputs.len() / model.input_bytes().max(1);
    if args.json {
        let json = json!({
            "board": board.id,
            "model": model.name,
            "image": output,
            "sizes": sizes,
            "parts": parts,
            "inferences": inferences,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    let output = output.display();
    println!("{output}: {} bytes of flash, {} of variables", grouped(sizes.flash), grouped(sizes.ram));
    println!("{}", parts::parts_table(&parts));
    match inferences {
        0 => println!("it waits for its inputs"),
        count => println!("with the inputs of {count} inferences built in"),
    }
    println!("`cargo xtask log {output} FILE` decodes its log from a serial port or a file");
    Ok(())
}

/// Builds firmware around a model and its inputs, if there are any, and returns its ELF image.
///
/// # Errors
/// The model does not fit, or the firmware does not build.
pub(crate) fn image(
    context: &Context,
    board: &Board,
    model: &ModelFile,
    inputs: &[u8],
    features: &[&str],
    log: Level,
) -> Result<Vec<u8>> {
    fit::check(board, model)?;
    let file = stable_copy(context, model)?;
    let input = stable_input(context, inputs)?;
    let recipe = Recipe { board, name: &model.name, model: &file, embedded_input: input.as_deref(), features, log };
    let progress = Progress::start(format!("building {} for {}", model.name, board.id));
    let image = firmware::build(context, recipe)?;
    progress.done("");
    Ok(image)
}
