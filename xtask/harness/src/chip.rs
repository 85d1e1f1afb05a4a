//! The programs that emulate the chips of boards which QEMU does not have. They are started, and not linked, so that
//! building xtask does not build them.

use crate::board::ChipProgram;
use crate::context::Context;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A program that can be started.
#[derive(Clone, Debug)]
pub enum Program {
    /// `tealight-chip-emulator`.
    RpEmu(PathBuf),
    /// A script, and the folder of its package.
    Unicorn {
        /// The script.
        script: PathBuf,
        /// What goes into `PYTHONPATH`.
        package: PathBuf,
    },
}

impl Program {
    /// The command that runs an image on a chip.
    pub fn command(&self, chip: &str, image: &Path) -> Command {
        match self {
            Self::RpEmu(path) => {
                let mut command = Command::new(path);
                command.arg(chip).arg(image);
                command
            }
            Self::Unicorn { script, package } => {
                let mut command = Command::new("python3");
                // No files beside the script.
                command.env("PYTHONPATH", package).env("PYTHONDONTWRITEBYTECODE", "1");
                command.arg(script).arg(chip).arg(image);
                command
            }
        }
    }
}

/// The program with the emulators as libraries, once this process has built it.
static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A program, built or fetched if it is not there.
///
/// # Errors
/// It does not build, or cannot be fetched.
pub fn ensure(context: &Context, program: ChipProgram) -> Result<Program> {
    match program {
        ChipProgram::RpEmu => {
            let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let program = match built.take() {
                Some(program) => program,
                None => context.build_program("tealight-chip-emulator", "a minute")?,
            };
            *built = Some(program.clone());
            Ok(Program::RpEmu(program))
        }
        #[cfg(not(feature = "all"))]
        ChipProgram::Unicorn => anyhow::bail!("this program was built without what fetches Unicorn"),
        #[cfg(feature = "all")]
        ChipProgram::Unicorn => {
            let package = crate::fetch::python_tool(context, "unicorn")
                .map_err(|error| error.context("Unicorn emulates this board's chip"))?;
            let script = context.root.join("xtask/chip-emulator/unicorn/run.py");
            Ok(Program::Unicorn { script, package })
        }
    }
}
