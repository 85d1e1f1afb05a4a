//! The machines that C programs are compiled for and run on: this one, and emulated boards.

use crate::board;
use crate::context::{Context, try_read};
use crate::emulator;
use crate::install::{self, Package};
use crate::limit;
use crate::progress;
use crate::qemu::{self, Input, Job};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xshell::cmd;

/// A machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Its name for people.
    pub(super) name: &'static str,
    /// The Rust target of the library; `None` for that of this machine.
    target: Option<&'static str>,
    /// The compiler flags of Rust for its core.
    pub(super) rust_flags: &'static [&'static str],
    /// The C compiler.
    pub(super) compiler: &'static str,
    /// Its flags for the core.
    flags: &'static [&'static str],
    /// What only programs for this machine consist of, in `runtime/ffi/tests/c`.
    pub(super) sources: &'static [&'static str],
    /// The linker's script there.
    script: Option<&'static str>,
    /// The board whose emulator runs programs; `None` for this machine.
    board: Option<&'static str>,
}

/// This machine.
pub(super) const HOST: Machine = Machine {
    name: "this machine",
    target: None,
    rust_flags: &[],
    compiler: "gcc",
    flags: &["-g"],
    sources: &["platform_host.c"],
    script: None,
    board: None,
};

/// An emulated Cortex-M4F.
pub(super) const ARM: Machine = Machine {
    name: "Cortex-M4F",
    target: Some("thumbv7em-none-eabihf"),
    rust_flags: &["-Ctarget-cpu=cortex-m4"],
    compiler: "arm-none-eabi-gcc",
    flags: &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffreestanding"],
    sources: &["platform_arm.c", "semihosting.c"],
    script: Some("arm.ld"),
    board: Some("mps2-an386"),
};

/// An emulated 32-bit RISC-V.
pub(super) const RISCV: Machine = Machine {
    name: "RV32IMAC",
    target: Some("riscv32imac-unknown-none-elf"),
    rust_flags: &[],
    compiler: "riscv64-unknown-elf-gcc",
    flags: &["-march=rv32imac_zicsr", "-mabi=ilp32", "-mcmodel=medany", "-ffreestanding"],
    sources: &["platform_riscv.c", "semihosting.c"],
    script: Some("riscv.ld"),
    board: Some("riscv32-virt"),
};

/// The most that a program may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A program in C.
#[derive(Debug)]
pub(super) struct Program<'a> {
    /// Its sources.
    pub(super) sources: Vec<PathBuf>,
    /// Where its headers are.
    pub(super) includes: Vec<PathBuf>,
    /// The library that it is linked with.
    pub(super) library: &'a Path,
    /// Whether it is compiled as C++.
    pub(super) cpp: bool,
    /// Where it goes.
    pub(super) output: PathBuf,
}

/// What all programs are compiled with.
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Werror", "-pedantic", "-Os", "-ffunction-sections", "-fdata-sections"];

impl Machine {
    /// Installs what the machine's programs need.
    pub(super) fn ensure(&self, context: &Context) -> Result<()> {
        ensure_program(context, self.compiler)?;
        if let Some(board) = self.board {
            emulator::ensure_board(context, &board::find(&context.root, board)?)?;
        }
        Ok(())
    }

    /// Whether it is this machine.
    pub(super) const fn is_host(&self) -> bool {
        self.board.is_none()
    }

    /// The Rust target of its library.
    ///
    /// # Errors
    /// The compiler cannot be asked.
    pub(super) fn target(&self, context: &Context) -> Result<String> {
        self.target.map_or_else(|| host(context), |target| Ok(target.into()))
    }

    /// The compiler flags of Rust for its core.
    pub(super) fn flags_of_rust(&self) -> Vec<String> {
        self.rust_flags.iter().map(ToString::to_string).collect()
    }

    /// Compiles and links a program.
    ///
    /// # Errors
    /// The compiler's.
    pub(super) fn compile(&self, context: &Context, program: &Program<'_>) -> Result<()> {
        let mut command = Command::new(self.compiler);
        let language: &[&str] = if program.cpp { &["-x", "c++", "-std=c++11"] } else { &["-std=c99"] };
        command.args(language).args(STRICT).args(self.flags);
        command.args(program.includes.iter().map(|folder| format!("-I{}", folder.display())));
        command.args(&program.sources).args(["-x", "none", "-Wl,--gc-sections"]);
        if let Some(script) = self.script {
            command.arg("-nostdlib").arg("-T").arg(tests(context).join(script));
        }
        command.arg(program.library);
        if self.board.is_some() {
            command.arg("-lgcc");
        }
        command.arg("-o").arg(&program.output);
        limit::succeed(&mut command, LIMIT)?;
        Ok(())
    }

    /// Runs a program and returns what it printed.
    ///
    /// # Errors
    /// It fails, does not end, or cannot be started.
    pub(super) fn run(&self, context: &Context, program: &Path) -> Result<String> {
        let mut command = match self.board {
            None => self.on_host(context, program),
            Some(board) => on_board(context, board, program)?,
        };
        let output = limit::output(&mut command, LIMIT)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} on {} failed ({}):\n{printed}{errors}", program.display(), self.name, output.status);
        }
        Ok(printed)
    }

    /// Under valgrind, which reports every access of memory that is not the program's.
    fn on_host(&self, context: &Context, program: &Path) -> Command {
        if let Err(error) = ensure_program(context, "valgrind") {
            progress::say(&format!("  without valgrind: {error:#}"));
            return Command::new(program);
        }
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=9"]).arg(program);
        command
    }
}

/// The Rust target of this machine.
///
/// # Errors
/// The compiler cannot be asked.
pub(super) fn host(context: &Context) -> Result<String> {
    let shell = &context.shell;
    let answer =
        try_read(cmd!(shell, "rustc --print host-tuple")).context("rustc does not name this machine's target")?;
    Ok(answer.trim().into())
}

/// The folder of the tests' sources.
pub(super) fn tests(context: &Context) -> PathBuf {
    context.root.join("runtime").join("ffi").join("tests").join("c")
}

/// Installs a program that the package manager has.
pub(super) fn ensure_program(context: &Context, program: &'static str) -> Result<()> {
    let shell = &context.shell;
    let starts = || try_read(cmd!(shell, "{program} --version")).is_some();
    if !starts() {
        install::install(context, &format!("{program} is not installed"), Package::Program(program))?;
        if !starts() {
            bail!("{program} is not in this system's package; install it by hand");
        }
    }
    Ok(())
}

/// A program in the emulator of a board.
fn on_board(context: &Context, id: &str, program: &Path) -> Result<Command> {
    let board = board::find_emulated(&context.root, id)?;
    let emulated = board.qemu.as_ref().with_context(|| format!("{id} is not emulated"))?;
    let (console, input) = (board.console.kind, Input::Bytes(&[]));
    let job = Job { image: program, folder: &context.root, console, input, limit: LIMIT };
    Ok(qemu::command(emulator::ensure(context, emulated)?.command(), emulated, job))
}
