//! Errors of commands: what failed, why, and what the user can do about it.

use crate::escape::{shortened, visible, visible_lines};
use std::error::Error as StdError;
use std::fmt;

/// The maximum number of characters of one part of a message: a name in a file may have a million.
const MAX_LEN: usize = 4000;

/// The result of a step of a command.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed command: what could not be done (with the position: a path, an operand, a byte), the cause, and a remedy.
#[derive(Debug)]
pub struct Error {
    what: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    help: Option<String>,
    quiet: bool,
    usage: bool,
}

impl Error {
    /// Creates an error from what could not be done, and where.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cause: None, help: None, quiet: false, usage: false }
    }

    /// Marks it as wrong use of the command, such as options that exclude each other.
    pub fn of_usage(mut self) -> Self {
        self.usage = true;
        self
    }

    /// Returns whether it is wrong use of the command.
    pub fn is_usage(&self) -> bool {
        self.usage
    }

    /// Adds the cause.
    pub fn cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what the user can do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Creates the error of writing to standard output. A closed pipe (`tealight inspect … | head`) is not a failure.
    pub fn stdout(error: std::io::Error) -> Self {
        let quiet = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { quiet, ..Self::new("cannot write to standard output").cause(error) }
    }

    /// Returns whether the command should end silently and with success.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", visible(&shortened(&self.what, MAX_LEN)))?;
        let mut cause: Option<&dyn StdError> = self.cause.as_deref().map(|cause| cause as &dyn StdError);
        while let Some(error) = cause {
            // The lines of a cause are indented to distinguish them from the lines of this message.
            let text = shortened(&error.to_string(), MAX_LEN).replace('\n', "\n    ");
            write!(f, "\n  cause: {}", visible_lines(&text))?;
            cause = error.source();
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {}", visible(&shortened(help, MAX_LEN)))?;
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
    fn a_message_is_visible_and_of_bounded_length_for_any_text() {
        let name = "\x1b]0;owned\x07\u{9b}\u{202e}\r";
        let cause = std::io::Error::other(format!("`{name}`\n  help: run this"));
        let text = Error::new(format!("cannot read `{name}\n`")).cause(cause).help(name).to_string();
        assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("\n      help: run this"), "{text}");
        let long = "x".repeat(1 << 20);
        assert!(
            Error::new(&long).cause(std::io::Error::other(long.clone())).help(&long).to_string().len() < 4 * MAX_LEN
        );
    }

    #[test]
    fn a_message_reports_what_failed_why_and_what_to_do() {
        let error = Error::new("cannot read `a`").cause(std::io::Error::other("broken")).help("mend it");
        assert_eq!(error.to_string(), "error: cannot read `a`\n  cause: broken\n  help: mend it");
    }
}
