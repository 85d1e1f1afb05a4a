//! Linux boards: a processor with Linux, emulated in user mode. Each is a folder of `boards/linux` with a `board.toml`.
//!
//! Nothing is flashed. One program, `tealight-linux`, takes models and inputs from files, so that one run checks hundreds of
//! models; then `tealight` itself is used on a few.

mod conformance;
mod program;
mod recurrent;

pub use conformance::{all_models, conformance};
pub(crate) use program::build as build_program;

use crate::context::{Context, try_read};
use crate::error::Usage;
use crate::firmware::{executable, executables};
use crate::limit;
use crate::setup::{self, Package};
use crate::version::Version;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xshell::cmd;

/// The crate and program that Linux boards run.
const PACKAGE: &str = "tealight-linux";

/// No emulated program takes longer.
pub(crate) const EMULATED: Duration = Duration::from_secs(1200);

/// Contents of a Linux board's `board.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LinuxBoard {
    /// Identifier: `linux-` and the name of the folder.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Rust target triple.
    pub target: String,
    /// What links its programs: `rust-lld`, or the C compiler of a cross toolchain.
    pub linker: String,
    /// The emulator.
    pub emulator: Emulator,
}

/// A QEMU in user mode.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Emulator {
    /// Program, such as `qemu-aarch64`.
    pub binary: String,
    /// Least version.
    pub version: String,
    /// The processors to emulate, as its `-cpu` names them.
    pub cpus: Vec<String>,
}

impl LinuxBoard {
    /// Reads the text of a `board.toml` that lies in the folder `folder`.
    pub fn parse(text: &str, folder: &str) -> Result<Self> {
        let board: Self = toml::from_str(text)?;
        if board.id != format!("linux-{folder}") {
            bail!("`id = \"{}\"` is not `linux-{folder}`, after the folder", board.id);
        }
        board.emulator.least_version()?;
        if board.emulator.cpus.is_empty() {
            bail!("`cpus` names no processor");
        }
        Ok(board)
    }

    /// Every Linux board, by identifier.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let folder = root.join("boards").join("linux");
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path().join("board.toml")))
            .filter(|file| file.is_file())
            .collect();
        files.sort();
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file)?;
            let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            Self::parse(&text, &folder).with_context(|| format!("in {}", file.display()))
        };
        files.iter().map(read).collect()
    }

    /// The Linux board called `id`, if there is one.
    pub fn find(root: &Path, id: &str) -> Result<Option<Self>> {
        Ok(Self::all(root)?.into_iter().find(|board| board.id == id))
    }

    /// What this machine lacks to run it.
    pub fn lacking(&self, context: &Context) -> Result<Vec<String>> {
        let mut lacking = Vec::new();
        if !setup::has_target(context, &self.target) {
            lacking.push(format!("Rust target {} is not installed", self.target));
        }
        if !self.has_linker(context) {
            lacking.push(format!("{} is not installed", self.linker));
        }
        if self.emulator.found(context)?.is_none() {
            lacking.push(format!("{} {} or newer is not installed", self.emulator.binary, self.emulator.version));
        }
        Ok(lacking)
    }

    /// Sets up what it needs.
    pub fn ensure(&self, context: &Context) -> Result<()> {
        setup::ensure_target(context, &self.target)?;
        if !self.has_linker(context) {
            let triple = self.linker.trim_end_matches("-gcc");
            setup::install(context, &format!("{} is not installed", self.linker), Package::CrossToolchain(triple))?;
        }
        if self.emulator.found(context)?.is_none() {
            let Emulator { binary, version, .. } = &self.emulator;
            let lacking = format!("{binary} {version} or newer is not installed");
            setup::install(context, &lacking, Package::QemuUser)?;
            if self.emulator.found(context)?.is_none() {
                bail!("{lacking}, and this system's package is not it; install QEMU's user mode emulators by hand");
            }
        }
        Ok(())
    }

    /// `rust-lld` comes with Rust.
    fn has_linker(&self, context: &Context) -> bool {
        let (shell, linker) = (&context.shell, &self.linker);
        linker == "rust-lld" || try_read(cmd!(shell, "{linker} --version")).is_some()
    }

    /// Builds `program` of `package` for it.
    pub(crate) fn build(&self, context: &Context, package: &str, program: &str, features: &[&str]) -> Result<PathBuf> {
        let features = features.join(",");
        let words = ["build", "--release", "--package", package, "--features", &features];
        executable(&self.messages(context, &words)?, program)
            .with_context(|| format!("cargo built no {program} for {}", self.target))
    }

    /// Runs the tests of `package` on each of its processors, but those whose names have one of `skipped` in them.
    pub(crate) fn test(&self, context: &Context, package: &str, skipped: &[&str]) -> Result<()> {
        // Beside `tealight`, as it is built for itself: then both have the same Candle, which takes minutes to build.
        let words = ["test", "--no-run", "--release", "--tests", "--package", package];
        let beside = ["--package", "tealight-cli", "--features", "tealight-cli/candle"];
        let tests = executables(&self.messages(context, &[&words[..], &beside].concat())?, package);
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

    /// Runs cargo's tests of `crates` on the first of its processors, built without optimization.
    pub(crate) fn test_emulated(&self, context: &Context, crates: &[&str]) -> Result<()> {
        let Emulator { binary, cpus, .. } = &self.emulator;
        let runner = format!("{binary} -cpu {}", cpus.first().map_or("max", String::as_str));
        let words = [&["test", "--no-fail-fast"], crates].concat();
        Ok(self.cargo(context, &words).env(self.variable("RUNNER"), runner).run()?)
    }

    /// What cargo says of what it makes.
    fn messages(&self, context: &Context, words: &[&str]) -> Result<String> {
        let command = self.cargo(context, words).arg("--message-format=json-render-diagnostics");
        let output = command.ignore_status().output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`cargo {}` for {} failed:\n{}", words.join(" "), self.target, said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A command of cargo for its target, with its linker.
    fn cargo<'a>(&self, context: &'a Context, words: &[&str]) -> xshell::Cmd<'a> {
        let shell = &context.shell;
        let (cargo, target) = (context.cargo(), &self.target);
        // Linked statically, it needs no root folder of the board.
        cmd!(shell, "{cargo} {words...} --target {target}")
            .env(self.variable("LINKER"), &self.linker)
            .env(self.variable("RUSTFLAGS"), "-C target-feature=+crt-static")
            .env_remove("RUSTFLAGS")
            .quiet()
    }

    /// Cargo's variable `name` for its target.
    fn variable(&self, name: &str) -> String {
        format!("CARGO_TARGET_{}_{name}", self.target.to_uppercase().replace(['-', '.'], "_"))
    }

    /// The command that runs `program` on the processor `cpu`.
    pub(crate) fn command(&self, program: &Path, cpu: &str) -> Command {
        let mut command = Command::new(&self.emulator.binary);
        command.args(["-cpu", cpu]).arg(program);
        // Emulated threads that wait for each other take turns on few cores.
        command.envs([("RAYON_NUM_THREADS", "1"), ("CANDLE_NUM_THREADS", "1")]);
        command
    }
}

impl Emulator {
    fn least_version(&self) -> Result<Version> {
        self.version.parse().map_err(anyhow::Error::msg).context("in `[emulator]`")
    }

    /// Its version, if it is there and new enough.
    fn found(&self, context: &Context) -> Result<Option<Version>> {
        let (shell, binary, least) = (&context.shell, &self.binary, self.least_version()?);
        let version = try_read(cmd!(shell, "{binary} --version")).and_then(|text| Version::find(&text));
        Ok(version.filter(|&version| version >= least))
    }
}

/// The error for a task that only firmware boards can do.
pub fn refuse(root: &Path, id: &str) -> Result<()> {
    match LinuxBoard::find(root, id)? {
        Some(_) => {
            Err(Usage(format!("{id} runs Linux: only `cargo xtask conformance` and `cargo xtask test` take it")).into())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        id = "linux-x"
        name = "X"
        target = "x-unknown-linux-gnu"
        linker = "x-linux-gnu-gcc"
        [emulator]
        binary = "qemu-x"
        version = "7.2"
        cpus = ["max"]
    "#;

    #[test]
    fn a_wrong_description_is_refused_by_the_name_of_what_is_wrong() {
        LinuxBoard::parse(GOOD, "x").unwrap();
        let refusal = |text: &str| format!("{:#}", LinuxBoard::parse(text, "x").unwrap_err());
        assert!(refusal(&GOOD.replace("linux-x\"", "linux-y\"")).contains("linux-y"));
        assert!(refusal(&GOOD.replace("\"7.2\"", "\"new\"")).contains("`new`"));
        assert!(refusal(&GOOD.replace("\"max\"", "")).contains("cpus"));
        assert!(refusal(&GOOD.replace("linker", "joiner")).contains("joiner"));
    }

    #[test]
    fn every_linux_board_is_well_described_and_firmware_tasks_refuse_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(LinuxBoard::all(root).unwrap().len() >= 2);
        let error = refuse(root, "linux-aarch64").unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("conformance"));
        refuse(root, "mps2-an386").unwrap();
    }
}
