//! The program `tealight`; all of its code is in the library.

use clap::Parser;
use std::process::ExitCode;
use tealight_cli::{Cli, Screen, clean_up_when_interrupted};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match clean_up_when_interrupted().and_then(|()| cli.run(&mut Screen::stdout())) {
        Err(error) if !error.is_quiet() => {
            eprintln!("{error}");
            if error.is_usage() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
        _ => ExitCode::SUCCESS,
    }
}
