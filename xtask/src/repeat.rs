//! Checks that a run is the same each time: instruction counts to the last digit, and answers in each kind of firmware. One
//! kind compares its kernels first: inner loops with portable ones, all f32 and block kernels with their recorded bits.

use crate::board::Board;
use crate::context::Context;
use crate::on_board::{Options, run_on_board};
use crate::progress::Progress;
use crate::run;
use anyhow::{Result, bail};

/// Runs the demonstration twice as it is, once with its inputs built in, once with the model loaded at run time.
pub fn repeat(context: &Context, board: &str) -> Result<()> {
    let board = Board::find_emulated(&context.root, board)?;
    let (model, inputs) = run::demonstration(context)?;
    let once = |what: &str, options: Options<'_>| {
        let progress = Progress::start(format!("{} on {}, {what}", model.name, board.id));
        let run = run_on_board(context, &board, &model, &inputs, options)?;
        progress.done("");
        anyhow::Ok(run)
    };
    let first = once("first run", Options::default())?;
    let second = once("second run", Options::default())?;
    if first.report != second.report {
        bail!("two runs of the same image differ:\n{:?}\n{:?}", first.report, second.report);
    }
    let embedded = once("inputs built in", Options { embed_input: true, ..Options::default() })?;
    let loaded = once("model loaded at run time", Options { features: &["loadable"], ..Options::default() })?;
    let compared = Options { features: &["compare-arch"], ..Options::default() };
    let compared = once("after comparing its kernels with the portable and the recorded ones", compared)?;
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
