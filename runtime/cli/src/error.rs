//! What a command failed at, why, and what the user can do about it.

use std::error::Error as StdError;
use std::fmt;

/// The result of a step of a command.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed command: what could not be done (with the place: a path, an operand, a byte), the cause, and a way out.
#[derive(Debug)]
pub struct Error {
    what: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    help: Option<String>,
    quiet: bool,
    usage: bool,
}

impl Error {
    /// An error that says what could not be done and where.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cause: None, help: None, quiet: false, usage: false }
    }

    /// Marks it as wrong use of the command: options that do not go together.
    pub fn of_usage(mut self) -> Self {
        self.usage = true;
        self
    }

    /// Whether it is wrong use of the command.
    pub fn is_usage(&self) -> bool {
        self.usage
    }

    /// Adds why.
    pub fn cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error of writing to standard output. A reader that went away (`tealight inspect … | head`) is no failure.
    pub fn stdout(error: std::io::Error) -> Self {
        let quiet = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { quiet, ..Self::new("cannot write to standard output").cause(error) }
    }

    /// Whether the command should end without a word and with success.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        let mut cause: Option<&dyn StdError> = self.cause.as_deref().map(|cause| cause as &dyn StdError);
        while let Some(error) = cause {
            write!(f, "\n  cause: {error}")?;
            cause = error.source();
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_why_and_what_to_do() {
        let error = Error::new("cannot read `a`").cause(std::io::Error::other("broken")).help("mend it");
        assert_eq!(error.to_string(), "error: cannot read `a`\n  cause: broken\n  help: mend it");
    }
}
