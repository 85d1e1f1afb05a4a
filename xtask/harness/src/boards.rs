//! `cargo xtask boards`: the boards, and whether this machine can run each.

use crate::board::Board;
use crate::board::LinuxBoard;
use crate::context::Context;
use crate::emulator::{self, Found};
use crate::install::has_target;
use crate::linux::OnLinux as _;
use crate::table::table;
use anyhow::Result;
use serde_json::json;

/// Lists the boards on stdout.
pub fn boards(context: &Context, as_json: bool) -> Result<()> {
    let mut rows = Vec::new();
    for board in Board::all(&context.root)? {
        let lacking = lacking(context, &board)?;
        rows.push((board, lacking));
    }
    let mut linux = Vec::new();
    for board in LinuxBoard::all(&context.root)? {
        let lacking = board.lacking(context)?;
        linux.push((board, lacking));
    }
    if as_json {
        let row = |board: serde_json::Value, emulated: bool, lacking: &[String]| {
            let runs = emulated && lacking.is_empty();
            json!({ "board": board, "emulated": emulated, "runs_here": runs, "lacking": lacking })
        };
        let mut list = Vec::new();
        for (board, lacking) in &rows {
            list.push(row(serde_json::to_value(board)?, runs(board), lacking));
        }
        for (board, lacking) in &linux {
            list.push(row(serde_json::to_value(board)?, true, lacking));
        }
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    let mut table = table(&["board", "core"], &["flash", "RAM"], &["emulated by", "runs here"]);
    for (board, lacking) in &rows {
        let emulator = match (&board.qemu, &board.chip_emulator) {
            (Some(qemu), _) => format!("{} {} -M {}", qemu.binary, qemu.version, qemu.machine),
            (None, Some(chip)) => format!("emulated chip: {}", chip.program.name()),
            (None, None) => "built only".into(),
        };
        let here = if !runs(board) && lacking.is_empty() { "no: built only".into() } else { here(lacking) };
        let size = |region: &str| board.memory.get(region).map_or("-".into(), |memory| kib(memory.length));
        table.row([&board.id, &board.core, &size("flash"), &size("ram"), &emulator, &here].map(String::clone));
    }
    for (board, lacking) in &linux {
        let emulator = format!("{} {}", board.emulator.binary, board.emulator.version);
        let here = here(lacking);
        table.row([&*board.id, &board.emulator.cpus.join(", "), "-", "-", &emulator, &here].map(String::from));
    }
    println!("{table}");
    if rows.iter().map(|(_, lacking)| lacking).chain(linux.iter().map(|(_, lacking)| lacking)).any(|l| !l.is_empty()) {
        println!("`cargo xtask setup` installs what is missing.");
    }
    Ok(())
}

/// Whether something emulates it.
fn runs(board: &Board) -> bool {
    board.qemu.is_some() || board.chip_emulator.is_some()
}

fn here(lacking: &[String]) -> String {
    if lacking.is_empty() { "yes".into() } else { format!("no: {}", lacking.join("; ")) }
}

/// What this machine lacks to run a board.
fn lacking(context: &Context, board: &Board) -> Result<Vec<String>> {
    let mut lacking = Vec::new();
    if !has_target(context, &board.target) {
        lacking.push(format!("Rust target {} is not installed", board.target));
    }
    if let Some(qemu) = &board.qemu {
        match emulator::find(context, qemu)? {
            Found::Good(_) => {}
            Found::Old(version) => lacking.push(format!("{} is {version}, needs {}", qemu.binary, qemu.version)),
            Found::Missing => lacking.push(format!("{} is not installed", qemu.binary)),
        }
    }
    Ok(lacking)
}

/// Bytes as whole KiB.
fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}
