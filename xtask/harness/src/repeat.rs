//! Checks that a run is the same each time: instruction counts to the last digit, and answers in each kind of firmware.
//! One kind compares its kernels first: inner loops with portable ones, all f32 and block kernels with their recorded
//! bits.

use crate::board::{self, Board};
use crate::context::Context;
use crate::firmware;
use crate::model::ModelFile;
use crate::on_board::{Options, Run, run_on_board};
use crate::progress::Progress;
use crate::run;
use anyhow::{Result, anyhow, bail};
use tealight_format::Model;

/// Runs the demonstration twice as it is, once with its inputs built in, once with the model loaded at run time.
pub fn repeat(context: &Context, board: &str) -> Result<()> {
    let board = board::find_emulated(&context.root, board)?;
    let (model, inputs) = run::demonstration(context)?;
    let once = |what: &str, options: Options<'_>| once(context, &board, &model, &inputs, what, options);
    let first = once("first run", Options::default())?;
    let second = once("second run", Options::default())?;
    if first.report != second.report {
        bail!("two runs of the same image differ:\n{:?}\n{:?}", first.report, second.report);
    }
    let embedded = once("inputs built in", Options { embed_input: true, ..Options::default() })?;
    let loaded = once("model loaded at run time", Options { features: &["loadable"], ..Options::default() })?;
    let parsed = Model::parse(&model.bytes).map_err(|error| anyhow!("{}: {error}", model.name))?;
    if loaded.report.model_cost != Some([parsed.cost(), parsed.longest_row()]) {
        bail!("firmware that loads a model finds other costs than this machine: {:?}", loaded.report.model_cost);
    }
    let compared = once(COMPARED, Options { features: COMPARING, ..Options::default() })?;
    for (what, other) in [
        ("a second run", second),
        ("inputs built in", embedded),
        ("a loaded model", loaded),
        ("loops compared", compared),
    ] {
        if other.outputs != first.outputs {
            bail!("the outputs with {what} differ from those of the first run");
        }
    }
    Ok(())
}

/// Only compares the kernels.
pub fn compare(context: &Context, board: &Board) -> Result<()> {
    let (model, inputs) = run::demonstration(context)?;
    once(context, board, &model, &inputs, COMPARED, Options { features: COMPARING, ..Options::default() }).map(drop)
}

const COMPARING: &[&str] = &[firmware::COMPARE];
const COMPARED: &str = "after comparing its kernels with the portable and the recorded ones";

fn once(
    context: &Context,
    board: &Board,
    model: &ModelFile,
    inputs: &[u8],
    what: &str,
    options: Options<'_>,
) -> Result<Run> {
    let progress = Progress::start(format!("{} on {}, {what}", model.name, board.id));
    let run = run_on_board(context, board, model, inputs, options)?;
    progress.done("");
    Ok(run)
}
