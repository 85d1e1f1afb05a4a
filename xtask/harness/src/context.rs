//! What every task needs: where the workspace is, and a shell in it.

use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use xshell::{Cmd, Shell, cmd};

/// The workspace and how to run commands in it.
#[derive(Debug)]
pub struct Context {
    /// Root of the workspace.
    pub root: PathBuf,
    /// A shell whose directory is the root.
    pub shell: Shell,
}

/// Root of the workspace that this crate belongs to.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).into()
}

impl Context {
    /// The workspace that this xtask belongs to.
    pub fn new() -> Result<Self> {
        let root = root();
        let shell = Shell::new()?;
        shell.change_dir(&root);
        Ok(Self { root, shell })
    }

    /// Where fetched and generated things are kept.
    pub fn cache(&self) -> PathBuf {
        self.root.join("target").join("tealight-cache")
    }

    /// Our own models compiled from their float weights, as `eval` leaves them: `NAME.f32.safetensors`.
    pub fn float_models(&self) -> PathBuf {
        self.cache().join("float")
    }

    /// Where cargo puts the optimized program of this name.
    pub fn release_program(&self, name: &str) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from);
        target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// Builds the optimized program of the package of this name, and returns its path. `remark` says how long that takes
    /// the first time.
    ///
    /// # Errors
    /// It does not build.
    pub fn build_program(&self, name: &str, remark: &str) -> Result<PathBuf> {
        let (shell, cargo) = (&self.shell, self.cargo());
        let progress = Progress::start(format!("building {name} ({remark} the first time)"));
        run_quietly(cmd!(shell, "{cargo} build --release --package {name}"))?;
        progress.done("");
        Ok(self.release_program(name))
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
