//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, each for some seconds.

use crate::context::{Context, run_quietly, try_read};
use crate::progress::Progress;
use crate::setup;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use xshell::cmd;

/// The version of cargo-fuzz that is installed below `target/`.
const CARGO_FUZZ: &str = "0.13.2";

/// A target of `tests/fuzz`, whether the seed models are inputs of it, and the longest input.
const TARGETS: &[(&str, bool, u32)] = &[("parse", true, 4096), ("run", true, 4096), ("plan", false, 1024)];

/// Runs every target for `seconds`. What a target finds it keeps in `tests/fuzz/artifacts`, and the task fails.
///
/// The crates under test have no unsafe code, so the sanitizer of memory is left out: overflow and bounds checks find
/// what there is to find, in a fraction of the build time.
pub fn fuzz(context: &Context, seconds: u64) -> Result<()> {
    let shell = &context.shell;
    setup::ensure_nightly(context)?;
    let tools = context.root.join("target/tools");
    let fuzz = ensure_cargo_fuzz(context, &tools)?;
    let folder = context.root.join("tests/fuzz");
    for &(target, seeded, longest) in TARGETS {
        let corpus = folder.join("corpus").join(target);
        shell.create_dir(&corpus)?;
        let seeds = seeded.then(|| folder.join("seeds"));
        let limits = [
            format!("-max_total_time={seconds}"),
            format!("-max_len={longest}"),
            "-rss_limit_mb=2048".into(),
            "-len_control=0".into(),
        ];
        let progress = Progress::start(format!("fuzzing {target} for {seconds} s"));
        let options = ["--sanitizer", "none", "--fuzz-dir"];
        run_quietly(
            cmd!(
                shell,
                "rustup run nightly {fuzz} fuzz run {options...} {folder} {target} {corpus} {seeds...} -- {limits...}"
            )
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env("CARGO_TARGET_DIR", tools.join("fuzz")),
        )
        .with_context(|| format!("the target {target} found something, or could not be built"))?;
        progress.done("nothing found");
    }
    Ok(())
}

/// Installs cargo-fuzz into the folder `tools` if it is not there, and gives its path.
fn ensure_cargo_fuzz(context: &Context, tools: &Path) -> Result<PathBuf> {
    let shell = &context.shell;
    let program = tools.join("bin/cargo-fuzz");
    if try_read(cmd!(shell, "{program} --version")).is_some_and(|text| text.contains(CARGO_FUZZ)) {
        return Ok(program);
    }
    let progress = Progress::start(format!("installing cargo-fuzz {CARGO_FUZZ}"));
    let cargo = context.cargo();
    run_quietly(cmd!(shell, "{cargo} install cargo-fuzz --version {CARGO_FUZZ} --locked --root {tools}"))?;
    progress.done("");
    Ok(program)
}
