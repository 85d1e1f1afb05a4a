//! The folders of `examples`: workspaces of their own, to be copied. Each is built as its reader would build it.

use crate::board;
use crate::context::Context;
use crate::{emulator, limit};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What an example that an emulator runs must print; without this file in its folder, an example is only built.
const EXPECTED: &str = "expected.txt";

/// Checks formatting and lints of every example, builds it, and runs those that an emulator can run.
pub(crate) fn examples(context: &Context) -> Result<()> {
    // Its emulator and its target are the examples', too.
    let board = board::find(&context.root, board::DEFAULT)?;
    emulator::ensure_board(context, &board)?;
    let (mut built, mut run) = (0, 0);
    for folder in folders(&context.root.join("examples"))? {
        cargo(context, &folder, &["fmt", "--check"])?;
        // clippy in the place of the compiler: `cargo clippy` would compile a HAL once more.
        cargo(context, &folder, &["rustc", "--quiet", "--release", "--locked", "--", "-D", "warnings"])?;
        built += 1;
        let Ok(expected) = std::fs::read_to_string(folder.join(EXPECTED)) else { continue };
        let printed = cargo(context, &folder, &["run", "--quiet", "--release", "--locked"])?;
        if printed.trim() != expected.trim() {
            bail!("{} prints\n{printed}\ninstead of\n{expected}", folder.display());
        }
        run += 1;
    }
    if run == 0 {
        bail!("no example was run");
    }
    println!("{built} examples built, {run} of them run");
    Ok(())
}

/// The examples, in the order of their names.
fn folders(examples: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(examples).with_context(|| format!("cannot read {}", examples.display()))?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}

/// Runs cargo in an example's folder, whose `.cargo/config.toml` it takes. Returns what it printed.
fn cargo(context: &Context, folder: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(context.cargo());
    command.args(words).current_dir(folder).env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    // Its own profile decides.
    command.env_remove("CARGO_PROFILE_RELEASE_LTO");
    let printed = limit::succeed(&mut command, LIMIT).with_context(|| format!("in {}", folder.display()))?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// Enough to build a HAL on a slow machine. An example that never ends is stopped.
const LIMIT: Duration = Duration::from_secs(900);
