//! Errors that decide the exit code.

use std::process::ExitCode;

/// The command was used wrongly: exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A program that was started has shown its error, and ended with this exit code.
#[derive(Debug, thiserror::Error)]
#[error("see above")]
pub struct Reported(pub u8);

/// Exit code of an error: 2 for wrong usage, 1 for everything else.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(Reported(code)) => *code,
        None if error.is::<Usage>() => 2,
        None => 1,
    }
}

/// Shows the error of a task, unless the program that found it has, and returns the exit code.
pub fn end(ended: &anyhow::Result<()>) -> ExitCode {
    let Err(error) = ended else { return ExitCode::SUCCESS };
    if !error.is::<Reported>() {
        eprintln!("error: {}", tealight_cli::visible_lines(&format!("{error:#}")));
    }
    ExitCode::from(exit_code(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_usage_exits_with_2_and_other_errors_with_1() {
        assert_eq!(exit_code(&Usage("x".into()).into()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("x")), 1);
        assert_eq!(exit_code(&Reported(2).into()), 2);
    }
}
