//! `cargo xtask`: runs one of our own networks on an emulated board itself; for everything else it builds and starts xtask.
//!
//! Most of the time of a first `cargo xtask run` is building what runs it. So this program has no more than that needs.

use clap::Parser;
use std::ffi::OsString;
use std::process::{Command, ExitCode};
use tealight_harness::run::{self, RunArgs};
use tealight_harness::{Context, context, error};

/// What this program does itself, as xtask words it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Runs a network on an emulated board and shows its answer and what it cost
    Run(RunArgs),
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let ended = match (Task::try_parse(), Context::new()) {
        (Ok(Task::Run(args)), Ok(context)) if run::is_simple(&context, &args) => run::run(&context, &args),
        // Help and wrong options, too.
        _ => return start(&words),
    };
    error::end(&ended)
}

/// Options of cargo for xtask: without, building its compiler takes longer than what xtask compiles. Its kernels are
/// optimized, because it runs networks.
const OPTIONS: [&str; 2] = ["--config", "profile.dev.package.tealight-compiler.opt-level=0"];

/// Builds xtask and becomes it.
fn start(words: &[OsString]) -> ExitCode {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet"]).args(OPTIONS).arg("--manifest-path").arg(context::root().join("Cargo.toml"));
    command.args(["--package", "xtask", "--"]).args(words);
    let failed = |error| {
        eprintln!("error: cannot start cargo: {error}");
        ExitCode::FAILURE
    };
    #[cfg(unix)]
    return failed(std::os::unix::process::CommandExt::exec(&mut command));
    #[cfg(not(unix))]
    return match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1)),
        Err(error) => failed(error),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_worded_as_xtask_words_it() {
        assert!(Task::try_parse_from(["cargo xtask", "run", "--board", "microbit", "--json"]).is_ok());
        for words in [&["cargo xtask", "run", "--help"][..], &["cargo xtask", "test"], &["cargo xtask"]] {
            assert!(Task::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
