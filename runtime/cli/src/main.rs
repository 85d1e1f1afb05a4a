//! The program `tealight`; all it does is in the library.

use clap::Parser;
use std::process::ExitCode;
use tealight_cli::{Cli, Screen};

fn main() -> ExitCode {
    match Cli::parse().run(&mut Screen::stdout()) {
        Err(error) if !error.is_quiet() => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
