//! By the boot loader on a chip's serial port: the program `tealight-flash-serial`, which has the library espflash.

use super::FlashArgs;
use crate::board::Board;
use crate::context::Context;
use crate::run;
use anyhow::Result;
use std::path::{Path, PathBuf};
use tealight_board_spec::BySerial;

/// Builds firmware with the model, flashes it, and shows its log and its answers.
///
/// # Errors
/// The firmware cannot be built, or the program failed, which has shown why.
pub(super) fn flash(context: &Context, board: &Board, by: &BySerial, args: &FlashArgs) -> Result<()> {
    let (model, inputs) = run::model_and_inputs(context, args.model.as_deref(), &args.input)?;
    let image = super::image(context, board, &model, &inputs, args.into())?;
    let mut words = words(&image, board, by, args.to.as_deref());
    words.extend(args.no_monitor.then(|| "--no-monitor".into()));
    words.extend(args.no_reset.then(|| "--no-reset".into()));
    let console = super::run_shown(&program(context)?, &words)?;
    print!("{}", super::answers(&model, &console)?);
    Ok(())
}

/// The words for the program.
pub(super) fn words(image: &Path, board: &Board, by: &BySerial, port: Option<&str>) -> Vec<String> {
    let flash = board.length("flash").to_string();
    let mut words = [&image.display().to_string(), "--chip", &by.chip, "--flash", &flash].map(String::from).to_vec();
    words.extend(port.into_iter().flat_map(|port| ["--port".into(), port.into()]));
    words
}

/// Builds the program and returns its path.
///
/// # Errors
/// It does not build.
pub(super) fn program(context: &Context) -> Result<PathBuf> {
    context.build_program("tealight-flash-serial", "espflash takes a minute")
}
