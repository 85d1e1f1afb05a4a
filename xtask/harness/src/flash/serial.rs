//! By the boot loader on a chip's serial port: the program `tealight-flash-serial`, which has the library espflash.

use super::{Firmware, FlashArgs, last};
use crate::board::Board;
use crate::context::Context;
use anyhow::Result;
use std::path::{Path, PathBuf};
use tealight_board_spec::BySerial;

/// Builds firmware with the model or takes the image, flashes it, and shows its log and its answers.
///
/// # Errors
/// The firmware cannot be built, or the program failed, which has shown why.
pub(super) fn flash(context: &Context, board: &Board, by: &BySerial, args: &FlashArgs) -> Result<()> {
    let firmware = Firmware::of(context, board, args)?;
    let image = firmware.image(context, board)?;
    let mut words = words(&image, board, by, args.to.as_deref());
    words.extend(super::kept_words(context, board));
    words.extend(args.no_monitor.then(|| "--no-monitor".into()));
    words.extend(args.no_reset.then(|| "--no-reset".into()));
    let program = program(context)?;
    last::remember(context, board)?;
    let console = super::run_shown(&program, &words)?;
    print!("{}", firmware.answers(&console)?);
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
