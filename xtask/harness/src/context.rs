//! What every task needs: where the workspace is, and a shell in it.

use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use tealight_compiler::Patch;
use xshell::{Cmd, Shell, cmd};

/// The workspace and how to run commands in it.
#[derive(Debug)]
pub struct Context {
    /// Root of the workspace.
    pub root: PathBuf,
    /// A shell whose directory is the root.
    pub shell: Shell,
    /// How networks from packages are compiled: whether operators may run in groups.
    pub patch: Patch,
    /// The same: whether their input comes in rows.
    pub input_rows: bool,
}

/// The environment variable by which `cargo xtask test` has programs built as its tests are.
pub const AS_TESTED: &str = "TEALIGHT_AS_TESTED";

/// Variables that put clippy in the place of the compiler. `cargo clippy` would check all dependencies, which `cargo
/// test` would then compile; this does with one build. The second holds the words that `cargo clippy` would pass.
///
/// clippy leaves out optimizations before code generation, so what is measured is never built by it.
pub const CHECKED: [(&str, &str); 2] =
    [("RUSTC_WORKSPACE_WRAPPER", "clippy-driver"), ("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings")];

/// Root of the workspace that this crate belongs to.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).into()
}

impl Context {
    /// The workspace that this xtask belongs to.
    pub fn new() -> Result<Self> {
        Self::at(root())
    }

    /// A workspace whose root is `root`.
    ///
    /// # Errors
    /// The current folder cannot be read.
    pub fn at(root: PathBuf) -> Result<Self> {
        let shell = Shell::new()?;
        shell.change_dir(&root);
        Ok(Self { root, shell, patch: Patch::Off, input_rows: false })
    }

    /// Where fetched and generated things are kept.
    pub fn cache(&self) -> PathBuf {
        self.root.join("target").join("tealight-cache")
    }

    /// Our own models compiled from their float weights, as `eval` leaves them: `NAME.f32.safetensors`.
    pub fn float_models(&self) -> PathBuf {
        self.cache().join("float")
    }

    /// Cargo's options for programs of this machine that run networks, flash or emulate: optimized. Where [`AS_TESTED`] is set, they are
    /// built with the profile of the tests, which have built most of what they depend on.
    pub fn optimized(&self) -> &'static [&'static str] {
        if self.as_tested() { &[] } else { &["--release"] }
    }

    /// Whether [`AS_TESTED`] is set.
    pub fn as_tested(&self) -> bool {
        std::env::var_os(AS_TESTED).is_some()
    }

    /// Where cargo puts the program of this name with the options [`Self::optimized`].
    pub fn program(&self, name: &str) -> PathBuf {
        self.built(if self.as_tested() { "debug" } else { "release" }, name)
    }

    /// Where cargo puts the optimized program of this name.
    pub fn release_program(&self, name: &str) -> PathBuf {
        self.built("release", name)
    }

    /// Where cargo puts the program of this name in the folder of a profile.
    fn built(&self, folder: &str, name: &str) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from);
        target.join(folder).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// Builds the program of the package of this name with the options [`Self::optimized`], and returns its path. `remark`
    /// says how long that takes the first time.
    ///
    /// # Errors
    /// It does not build.
    pub fn build_program(&self, name: &str, remark: &str) -> Result<PathBuf> {
        let progress = Progress::start(format!("building {name} ({remark} the first time)"));
        run_quietly(self.program_command(name))?;
        progress.done("");
        Ok(self.program(name))
    }

    /// With the tests, where these build it: for the program alone, cargo would choose fewer features of what both depend
    /// on, and build it again.
    fn program_command(&self, name: &str) -> Cmd<'_> {
        let (shell, cargo) = (&self.shell, self.cargo());
        if self.as_tested() {
            return cmd!(shell, "{cargo} test --no-run --package {name}").envs(CHECKED);
        }
        cmd!(shell, "{cargo} build --release --package {name}")
    }

    /// The cargo that runs this task.
    pub fn cargo(&self) -> String {
        std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
    }
}

/// Runs a command quietly; if it fails, the error holds what it printed.
pub fn run_quietly(command: Cmd<'_>) -> Result<()> {
    let line = command.to_string();
    let output = command.quiet().ignore_status().output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let said = if text.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { text };
        bail!("`{line}` failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(())
}

/// What a command prints, or `None` if it cannot be started or fails.
pub fn try_read(command: Cmd<'_>) -> Option<String> {
    command.quiet().ignore_stderr().read().ok()
}
