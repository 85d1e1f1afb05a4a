//! Where a command's report goes: how wide it may be, and whether it may have colours.

use crate::error::{Error, Result};
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// The width for reports that do not go to a terminal, in columns. Tables leave nothing out there.
const PIPE_WIDTH: usize = 100;

/// Narrower terminals are treated as this wide.
const LEAST_WIDTH: usize = 60;

/// Standard output, and what is known about it.
pub struct Screen {
    out: Box<dyn Write>,
    /// Columns of the terminal; `None` if it is not one.
    columns: Option<usize>,
    /// Whether colours may be used.
    pub colour: bool,
}

impl Screen {
    /// The process's standard output. Colours are used on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`.
    pub fn stdout() -> Self {
        let out = std::io::stdout();
        let terminal = out.is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let columns = terminal.then(|| console::Term::stdout().size().1.into());
        Self { out: Box::new(std::io::BufWriter::new(out)), columns, colour: terminal && !dumb && !set("NO_COLOR") }
    }

    /// What is no terminal, such as a file: no colours, and tables as wide as they are.
    pub fn plain(out: impl Write + 'static) -> Self {
        Self { out: Box::new(out), columns: None, colour: false }
    }

    /// How wide pictures are drawn.
    pub fn width(&self) -> usize {
        self.columns.unwrap_or(PIPE_WIDTH).max(LEAST_WIDTH)
    }

    /// How wide tables may be; `None` for no limit.
    pub fn table_width(&self) -> Option<usize> {
        self.columns.map(|columns| columns.max(LEAST_WIDTH))
    }

    /// Writes `text`.
    pub fn print(&mut self, text: impl Display) -> Result<()> {
        write!(self.out, "{text}").map_err(Error::stdout)
    }

    /// Writes `value` as JSON, with a line break at its end.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value).map_err(|error| Error::stdout(error.into()))?;
        self.print("\n")
    }

    /// Writes a warning to standard error, after all that was written so far: there it is seen wherever the report goes.
    pub fn warn(&mut self, text: impl Display) -> Result<()> {
        self.finish()?;
        eprintln!("warning: {text}");
        Ok(())
    }

    /// Hands over all that was written.
    pub fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::stdout)
    }

    /// `text` in bold where colours may be used.
    pub fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.into() }
    }
}
