//! `cargo xtask setup`: everything that the boards need. The other tasks ask for what they need themselves, so running
//! it first is optional.

use crate::board::{Board, LinuxBoard};
use crate::context::Context;
use crate::emulator;
use crate::install;
use crate::linux::OnLinux as _;
use anyhow::Result;

/// Sets up everything that the boards need.
pub fn setup(context: &Context) -> Result<()> {
    for board in emulator::boards_here(context)? {
        eprintln!("  ok  {} can run here", board.id);
    }
    for board in Board::all(&context.root)?.into_iter().filter(|board| board.qemu.is_none()) {
        install::ensure_target(context, &board.target)?;
        eprintln!("  ok  {} can be built here", board.id);
    }
    for board in LinuxBoard::all(&context.root)? {
        board.ensure(context)?;
        eprintln!("  ok  {} can run here", board.id);
    }
    Ok(())
}
