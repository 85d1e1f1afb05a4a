//! `cargo run` in the folder of a board on a HAL flashes what it builds: its runner is `cargo xtask flash`. That each board
//! has such a runner is a test of `tealight-board-spec`; here it is run, once for each way in that needs no hardware.

use crate::board::{self, Board};
use crate::context::{CHECKED, Context};
use crate::subject::run_here;
use crate::{emulator, flash_check, install, limit, report, run};
use anyhow::{Context as _, Result, ensure};
use std::process::Command;
use std::time::Duration;

/// Enough to build a HAL, and what talks to probes, on a slow machine.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs it for a board behind a simulated probe, for one that takes a UF2 file, and, without flashing, for one in the
/// workspace of Espressif's chips.
pub fn runners(context: &Context) -> Result<()> {
    by_probe(context, "microbit-embassy")?;
    by_uf2(context, "pico")?;
    let picture = cargo_run(context, "esp32-c3", &[], &["--dry-run"])?;
    ensure!(picture.contains("esp32-c3 on esp32c3"), "esp32-c3: the picture is\n{picture}");
    println!("`cargo run` flashes 2 boards, and proves that the image of another fits");
    Ok(())
}

/// An emulated board: its network must answer as this machine.
fn by_probe(context: &Context, id: &str) -> Result<()> {
    let board = prepared(context, id)?;
    emulator::ensure_board(context, &board)?;
    let probe = flash_check::simulated(context, &board)?;
    let words = ["--probe", &probe.selector()];
    let console = cargo_run(context, id, &["--features", "tealight-board/rtt"], &words)?;
    let (model, input) = run::demonstration(context)?;
    let (found, expected) = (report::outputs(&console)?, run_here(&model.bytes, &input)?);
    ensure!(found == expected, "{id} answers {found:?}, and this machine {expected:?}");
    Ok(())
}

/// A file in a folder, which is no drive of a board.
fn by_uf2(context: &Context, id: &str) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let file = folder.path().join("firmware.uf2");
    cargo_run(context, id, &[], &["--to", &file.display().to_string()])?;
    let bytes = std::fs::read(&file).with_context(|| format!("`cargo run` of {id} has not written the file"))?;
    let begins = bytes.starts_with(b"UF2\n");
    ensure!(begins && bytes.len().is_multiple_of(512), "{id}: {} bytes that are no UF2 file", bytes.len());
    Ok(())
}

/// The board of this name, whose target is installed.
fn prepared(context: &Context, id: &str) -> Result<Board> {
    let board = board::find(&context.root, id)?;
    install::ensure_target(context, &board.target)?;
    Ok(board)
}

/// `cargo run` as a user types it in the board's folder, but with the profile in which HALs are built already. Returns what
/// it printed.
fn cargo_run(context: &Context, id: &str, options: &[&str], words: &[&str]) -> Result<String> {
    let board = prepared(context, id)?;
    let mut command = Command::new(context.cargo());
    command.args(["run", "--quiet", "--profile", "firmware"]).args(options).arg("--").args(words);
    command.current_dir(context.root.join(&board.folder));
    if context.as_tested() {
        // As its crates are built for other steps.
        command.envs(CHECKED);
        // This program is what the runner would build.
        command.env("TEALIGHT_XTASK", std::env::current_exe().context("cannot find this program's own file")?);
    }
    let printed = limit::succeed(&mut command, LIMIT).with_context(|| format!("`cargo run` in the folder of {id}"))?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}
