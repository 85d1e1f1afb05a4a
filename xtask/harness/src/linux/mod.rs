//! Linux boards: a processor with Linux, emulated in user mode. Each is a folder of `boards/linux` with a `board.toml`.
//!
//! Nothing is flashed. One program, `tealight-linux`, takes models and inputs from files, so that one run checks
//! hundreds of models; then `tealight` itself is used on a few.

mod conformance;
mod program;
mod recurrent;

pub use conformance::{all_models, conformance};
pub use program::build as build_program;
pub(crate) use program::run_here as run_program_here;

use crate::context::{Context, try_read};
use crate::firmware::{executable, executables};
use crate::install::{self, Package};
use crate::limit;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tealight_board_spec::{Emulator, LinuxBoard, Version};
use xshell::cmd;

/// The crate and program that Linux boards run.
const PACKAGE: &str = "tealight-linux";

/// No emulated program takes longer.
pub const EMULATED: Duration = Duration::from_secs(1200);

/// What can be done with a Linux board here.
pub trait OnLinux {
    /// What this machine lacks to run it.
    fn lacking(&self, context: &Context) -> Result<Vec<String>>;

    /// Sets up what it needs.
    fn ensure(&self, context: &Context) -> Result<()>;

    /// Builds `program` of `package` for it.
    fn build(&self, context: &Context, package: &str, program: &str, options: &[&str]) -> Result<PathBuf>;

    /// Runs the tests of `package` on each of its processors, but those whose names have one of `skipped` in them.
    fn test(&self, context: &Context, package: &str, skipped: &[&str]) -> Result<()>;

    /// Runs cargo's tests of `crates` on the first of its processors, built without optimization.
    fn test_emulated(&self, context: &Context, crates: &[&str]) -> Result<()>;

    /// The command that runs `program` on the processor `cpu`.
    fn command(&self, program: &Path, cpu: &str) -> Command;
}

impl OnLinux for LinuxBoard {
    fn lacking(&self, context: &Context) -> Result<Vec<String>> {
        let mut lacking = Vec::new();
        if !install::has_target(context, &self.target) {
            lacking.push(format!("Rust target {} is not installed", self.target));
        }
        if !has_linker(self, context) {
            lacking.push(format!("{} is not installed", self.linker));
        }
        if found(context, &self.emulator)?.is_none() {
            lacking.push(format!("{} {} or newer is not installed", self.emulator.binary, self.emulator.version));
        }
        Ok(lacking)
    }

    fn ensure(&self, context: &Context) -> Result<()> {
        install::ensure_target(context, &self.target)?;
        if !has_linker(self, context) {
            let triple = self.linker.trim_end_matches("-gcc");
            install::install(context, &format!("{} is not installed", self.linker), Package::CrossToolchain(triple))?;
        }
        if found(context, &self.emulator)?.is_none() {
            let Emulator { binary, version, .. } = &self.emulator;
            let lacking = format!("{binary} {version} or newer is not installed");
            install::install(context, &lacking, Package::QemuUser)?;
            if found(context, &self.emulator)?.is_none() {
                bail!("{lacking}, and this system's package is not it; install QEMU's user mode emulators by hand");
            }
        }
        Ok(())
    }

    fn build(&self, context: &Context, package: &str, program: &str, options: &[&str]) -> Result<PathBuf> {
        let words = [&["build", "--release", "--package", package], options].concat();
        executable(&messages(self, context, &words)?, program)
            .with_context(|| format!("cargo built no {program} for {}", self.target))
    }

    fn test(&self, context: &Context, package: &str, skipped: &[&str]) -> Result<()> {
        let words = ["test", "--no-run", "--release", "--package", package];
        // Beside `tealight`, as it is built for itself: then both have the same Candle, which takes minutes to build. Of
        // tests, only those in the package's own files, because a name chooses no other's.
        let beside = ["--package", "tealight-cli", "--features", "tealight-cli/candle"];
        let names = test_names(context, package)?;
        let names = names.iter().flat_map(|name| ["--test", name]).collect::<Vec<_>>();
        let words = [&words[..], &beside, &names].concat();
        let tests = executables(&messages(self, context, &words)?, package);
        if tests.is_empty() {
            bail!("{package} has no tests");
        }
        for cpu in &self.emulator.cpus {
            println!("{package} on {}, {cpu}", self.id);
            for (test, folder) in &tests {
                let mut command = self.command(test, cpu);
                command.args(skipped.iter().flat_map(|name| ["--skip", name])).current_dir(folder);
                let said = limit::succeed(&mut command, EMULATED).with_context(|| format!("on the processor {cpu}"))?;
                print!("{}", String::from_utf8_lossy(&said));
            }
        }
        Ok(())
    }

    fn test_emulated(&self, context: &Context, crates: &[&str]) -> Result<()> {
        let Emulator { binary, cpus, .. } = &self.emulator;
        let runner = format!("{binary} -cpu {}", cpus.first().map_or("max", String::as_str));
        let words = [&["test", "--no-fail-fast"], crates].concat();
        Ok(cargo(self, context, &words).env(variable(self, "RUNNER"), runner).run()?)
    }

    fn command(&self, program: &Path, cpu: &str) -> Command {
        let mut command = Command::new(&self.emulator.binary);
        command.args(["-cpu", cpu]).arg(program);
        // Emulated threads that wait for each other take turns on few cores.
        command.envs([("RAYON_NUM_THREADS", "1"), ("CANDLE_NUM_THREADS", "1")]);
        command
    }
}

/// The names of the package's integration tests.
fn test_names(context: &Context, package: &str) -> Result<Vec<String>> {
    let (shell, cargo) = (&context.shell, context.cargo());
    let metadata = cmd!(shell, "{cargo} metadata --no-deps --format-version 1").quiet().read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("in the metadata of cargo")?;
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let of_package = list(&metadata["packages"]).into_iter().find(|found| found["name"] == package);
    let targets = list(&of_package.with_context(|| format!("there is no package {package}"))?["targets"]);
    let tests = targets.iter().filter(|target| list(&target["kind"]).iter().any(|kind| kind == "test"));
    Ok(tests.filter_map(|test| test["name"].as_str().map(String::from)).collect())
}

/// `rust-lld` comes with Rust.
fn has_linker(board: &LinuxBoard, context: &Context) -> bool {
    let (shell, linker) = (&context.shell, &board.linker);
    linker == "rust-lld" || try_read(cmd!(shell, "{linker} --version")).is_some()
}

/// The messages of cargo about what it builds.
fn messages(board: &LinuxBoard, context: &Context, words: &[&str]) -> Result<String> {
    let command = cargo(board, context, words).arg("--message-format=json-render-diagnostics");
    let output = command.ignore_status().output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`cargo {}` for {} failed:\n{}", words.join(" "), board.target, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command of cargo for its target, with its linker.
fn cargo<'a>(board: &LinuxBoard, context: &'a Context, words: &[&str]) -> xshell::Cmd<'a> {
    let shell = &context.shell;
    let (cargo, target) = (context.cargo(), &board.target);
    let profile = if context.as_tested() { QUICK } else { &[] };
    // Linked statically, it needs no root folder of the board.
    cmd!(shell, "{cargo} {words...} --target {target} {profile...}")
        .env(variable(board, "LINKER"), &board.linker)
        .env(variable(board, "RUSTFLAGS"), "-C target-feature=+crt-static")
        .env_remove("RUSTFLAGS")
        .quiet()
}

/// Options of cargo for tests: most of a program takes longer to optimize than to run. Kernels are optimized as their users
/// build them.
const QUICK: &[&str] = &[
    "--config",
    "profile.release.opt-level=0",
    "--config",
    "profile.release.package.tealight.opt-level=1",
    "--config",
    "profile.release.package.tealight-format.opt-level=1",
    "--config",
    "profile.release.package.tealight-kernels.opt-level=3",
];

/// Cargo's variable `name` for its target.
fn variable(board: &LinuxBoard, name: &str) -> String {
    format!("CARGO_TARGET_{}_{name}", board.target.to_uppercase().replace(['-', '.'], "_"))
}

/// The emulator's version, if it is there and new enough.
fn found(context: &Context, emulator: &Emulator) -> Result<Option<Version>> {
    let (shell, binary, min) = (&context.shell, &emulator.binary, emulator.min_version()?);
    let version = try_read(cmd!(shell, "{binary} --version")).and_then(|text| Version::find(&text));
    Ok(version.filter(|&version| version >= min))
}
