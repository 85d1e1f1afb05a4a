//! The QEMU program that a board needs: this system's where it is new enough, else a newer one unpacked beside it.
//!
//! What the system has is never replaced, so the boards that ran before run in the same QEMU as before.

use crate::backports;
use crate::board::Version;
use crate::board::{Board, Qemu};
use crate::chip;
use crate::context::{Context, try_read};
use crate::install::{self, Package};
use crate::progress::Progress;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;
use xshell::{Cmd, cmd};

/// A QEMU that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    /// Where an unpacked program finds its libraries and modules.
    variables: Vec<(&'static str, OsString)>,
}

/// What there is, against what a board needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// New enough.
    Good(Program),
    /// Too old.
    Old(Version),
    /// None.
    Missing,
}

/// A board that this system's QEMU is too old for; tasks for all boards pass over it.
#[derive(Debug, Error)]
#[error("{binary} is {version}, and the board needs {least} or newer, which could not be installed: {reason}")]
pub struct TooOld {
    binary: String,
    version: Version,
    least: Version,
    reason: String,
}

impl Program {
    /// The system's program of this name.
    fn of_system(binary: &str) -> Self {
        Self { path: binary.into(), variables: Vec::new() }
    }

    /// A program below a folder that packages were unpacked into.
    fn unpacked(root: &Path, binary: &str) -> Self {
        let mut libraries = Vec::new();
        for folder in [root.join("usr/lib"), root.join("lib")] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            libraries.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-gnu"))),
            );
        }
        let mut variables = Vec::new();
        if let Some(modules) = libraries.iter().map(|folder| folder.join("qemu")).find(|folder| folder.is_dir()) {
            variables.push(("QEMU_MODULE_DIR", modules.into()));
        }
        if let Ok(joined) = std::env::join_paths(&libraries) {
            variables.push(("LD_LIBRARY_PATH", joined));
        }
        Self { path: root.join("usr/bin").join(binary), variables }
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Its version, if it starts.
    fn version(&self, context: &Context) -> Option<Version> {
        let (shell, path) = (&context.shell, &self.path);
        let command: Cmd<'_> = cmd!(shell, "{path} --version");
        let command = self.variables.iter().fold(command, |command, (name, value)| command.env(name, value));
        try_read(command).and_then(|text| Version::find(&text))
    }
}

/// Where a newer program of this name is unpacked.
fn beside(context: &Context, binary: &str) -> PathBuf {
    context.cache().join("unpacked").join(binary)
}

/// Looks for the QEMU that a board needs.
pub fn find(context: &Context, qemu: &Qemu) -> Result<Found> {
    let least = qemu.min_version()?;
    let system = Program::of_system(&qemu.binary);
    let version = system.version(context);
    if version.is_some_and(|version| version >= least) {
        return Ok(Found::Good(system));
    }
    let unpacked = Program::unpacked(&beside(context, &qemu.binary), &qemu.binary);
    if unpacked.version(context).is_some_and(|version| version >= least) {
        return Ok(Found::Good(unpacked));
    }
    Ok(version.map_or(Found::Missing, Found::Old))
}

/// The QEMU that a board needs: installed if the system has none, and unpacked beside it if the system's is too old.
///
/// # Errors
/// [`TooOld`] if no newer one can be installed.
pub fn ensure(context: &Context, qemu: &Qemu) -> Result<Program> {
    let binary = &qemu.binary;
    let mut found = find(context, qemu)?;
    if found == Found::Missing {
        install::install(context, &format!("{binary} is not installed"), Package::Qemu(binary))?;
        found = find(context, qemu)?;
    }
    let (version, least) = match found {
        Found::Good(program) => return Ok(program),
        Found::Old(version) => (version, qemu.min_version()?),
        Found::Missing => bail!("{binary} is not in this system's package of QEMU; install it by hand"),
    };
    let too_old = |reason: String| TooOld { binary: binary.clone(), version, least, reason };
    let by_hand = format!("install {binary} {least} or newer by hand");
    // Another process may have unpacked it meanwhile.
    let _lock = install::lock(context)?;
    if let Found::Good(program) = find(context, qemu)? {
        return Ok(program);
    }
    let progress = Progress::start(format!("unpacking a newer {binary} than {version} beside it"));
    backports::unpack(&context.shell, &install::package_of_apt(Package::Qemu(binary)), &beside(context, binary))
        .map_err(|error| too_old(format!("{error:#}\n{by_hand}")))?;
    let Found::Good(program) = find(context, qemu)? else {
        return Err(too_old(format!("that of the backports is not newer\n{by_hand}")).into());
    };
    progress.done("");
    Ok(program)
}

/// Sets up what one board needs.
pub fn ensure_board(context: &Context, board: &Board) -> Result<()> {
    install::ensure_target(context, &board.target)?;
    if let Some(qemu) = &board.qemu {
        ensure(context, qemu)?;
    }
    if let Some(emulated) = &board.chip_emulator {
        chip::ensure(context, emulated.program)?;
    }
    Ok(())
}

/// The boards that can be emulated here, set up. A board that QEMU is too old for is left out, with the reason on
/// stderr.
pub fn boards_here(context: &Context) -> Result<Vec<Board>> {
    let mut here = Vec::new();
    for board in Board::emulated(&context.root)? {
        match ensure_board(context, &board) {
            Ok(()) => here.push(board),
            Err(error) if error.is::<TooOld>() => eprintln!("  --  {} is left out: {error}", board.id),
            Err(error) => return Err(error),
        }
    }
    Ok(here)
}
