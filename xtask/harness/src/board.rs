//! The boards that tasks name. Everything about a board is in its `board.toml`.

use crate::error::Usage;
use anyhow::Result;
use std::path::Path;
pub use tealight_board_spec::{Board, Boot, ChipEmulator, ChipProgram, ConsoleKind, LinuxBoard, Qemu, Version};

/// The board that tasks use when none is named.
pub const DEFAULT: &str = "mps2-an386";

/// The board called `id`; if there is none, a usage error that lists those there are.
pub fn find(root: &Path, id: &str) -> Result<Board> {
    refuse_linux(root, id)?;
    let boards = Board::all(root)?;
    let linux = LinuxBoard::all(root)?.into_iter().map(|board| board.id);
    let known: Vec<_> = boards.iter().map(|board| board.id.clone()).chain(linux).collect();
    boards.into_iter().find(|board| board.id == id).ok_or_else(|| {
        let known = known.join(", ");
        Usage(format!("there is no board `{id}`; the boards are: {known}")).into()
    })
}

/// The board called `id`, for a task that counts instructions or sends files; if QEMU does not have it, a usage error
/// that says what can be done.
pub fn find_emulated(root: &Path, id: &str) -> Result<Board> {
    let board = find(root, id)?;
    if board.qemu.is_some() {
        return Ok(board);
    }
    let emulated: Vec<_> = Board::emulated(root)?.into_iter().map(|board| board.id).collect();
    let text = format!(
        "{id} is real hardware that QEMU does not have: its image is built and checked by \
         `cargo xtask layout --board {id}`, and `cargo xtask run`, `conformance`, `bench` and `faults` run it if its chip \
         is emulated; the boards that this task takes are: {}",
        emulated.join(", ")
    );
    Err(Usage(text).into())
}

/// The board called `id`, for a task that runs firmware and takes what comes out: QEMU has it, or its chip is emulated.
pub fn find_running(root: &Path, id: &str) -> Result<Board> {
    let board = find(root, id)?;
    if board.chip_emulator.is_some() { Ok(board) } else { find_emulated(root, id) }
}

/// Instructions that a board's emulator executes in a second of the clock that the board reports in; `None` if its clock
/// does not count them.
///
/// Under QEMU's `-icount shift=0` an instruction is a nanosecond.
pub fn instructions_per_second(board: &Board) -> Option<u64> {
    match &board.chip_emulator {
        Some(chip) => chip.instructions_per_second,
        None => Some(1_000_000_000),
    }
}

/// The error for a task that only firmware boards can do.
fn refuse_linux(root: &Path, id: &str) -> Result<()> {
    match LinuxBoard::find(root, id)? {
        Some(_) => {
            let text = "`cargo xtask conformance`, `cargo xtask test` and, with --to, `cargo xtask flash`";
            Err(Usage(format!("{id} runs Linux: only {text} take it")).into())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_board_is_answered_with_the_list_of_boards() {
        let root = &crate::context::root();
        let error = find(root, "toaster").unwrap_err();
        assert!(error.is::<Usage>());
        let text = error.to_string();
        assert!(text.contains("`toaster`") && text.contains(DEFAULT), "{text}");
    }

    #[test]
    fn a_task_that_counts_instructions_refuses_a_board_that_qemu_does_not_have() {
        let root = &crate::context::root();
        find_emulated(root, DEFAULT).unwrap();
        find(root, "pico").unwrap();
        find_running(root, DEFAULT).unwrap();
        find_running(root, "pico").unwrap();
        let error = find_emulated(root, "pico").unwrap_err();
        assert!(error.is::<Usage>());
        let text = error.to_string();
        assert!(text.contains("layout --board pico") && text.contains(DEFAULT), "{text}");
    }

    #[test]
    fn firmware_tasks_refuse_a_linux_board() {
        let root = &crate::context::root();
        let error = refuse_linux(root, "linux-aarch64").unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("conformance"));
        refuse_linux(root, "mps2-an386").unwrap();
    }
}
