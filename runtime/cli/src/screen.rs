//! The destination of a command's report: its width, and whether it may have colours.

use crate::error::{Error, Result};
use crate::escape::{visible, visible_json, visible_lines};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// The width of reports that do not go to a terminal, in columns. Tables are not shortened there.
const PIPE_WIDTH: usize = 100;

/// Narrower terminals are treated as this wide.
const MIN_WIDTH: usize = 60;

/// Standard output, with its properties.
pub struct Screen {
    out: Box<dyn Write>,
    /// Columns of the terminal; `None` if it is not one.
    columns: Option<usize>,
    /// Whether colours may be used.
    pub colour: bool,
}

impl Screen {
    /// Uses the process's standard output, with colours on a terminal unless `NO_COLOR` is set or `TERM` is `dumb`.
    pub fn stdout() -> Self {
        let out = std::io::stdout();
        let terminal = out.is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let columns = terminal.then(|| console::Term::stdout().size().1.into());
        Self { out: Box::new(std::io::BufWriter::new(out)), columns, colour: terminal && !dumb && !set("NO_COLOR") }
    }

    /// Uses something other than a terminal, such as a file: no colours, and no limit of the width of tables.
    pub fn plain(out: impl Write + 'static) -> Self {
        Self { out: Box::new(out), columns: None, colour: false }
    }

    /// Returns the width of pictures.
    pub fn width(&self) -> usize {
        self.columns.unwrap_or(PIPE_WIDTH).max(MIN_WIDTH)
    }

    /// Returns the maximum width of tables; `None` for no limit.
    pub fn table_width(&self) -> Option<usize> {
        self.columns.map(|columns| columns.max(MIN_WIDTH))
    }

    /// Writes `text`, which may have several lines and may quote a file: control characters are made visible.
    pub fn print(&mut self, text: impl Display) -> Result<()> {
        self.write(&visible_lines(&text.to_string()))
    }

    /// Writes a line: `bold`, in bold where colours may be used, then `rest`. Both may quote a file.
    pub fn heading(&mut self, bold: &str, rest: &str) -> Result<()> {
        let (bold, rest) = (visible(bold), visible(rest));
        self.write(&if self.colour { format!("\x1b[1m{bold}\x1b[0m{rest}\n") } else { format!("{bold}{rest}\n") })
    }

    /// Writes a picture that was drawn for this screen. It may have colours, and must not quote a file.
    pub(crate) fn picture(&mut self, picture: &str) -> Result<()> {
        self.write(picture)
    }

    /// Writes text that a model generated, unchanged. On a terminal, control characters other than line breaks and tabs
    /// are made visible.
    #[cfg(feature = "generate")]
    pub(crate) fn generated(&mut self, text: &str) -> Result<()> {
        if self.columns.is_some() { self.print(text) } else { self.write(text) }
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(Error::stdout)
    }

    /// Writes `value` as JSON, followed by a line break.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        serde_json::to_writer_pretty(VisibleJson(&mut self.out), value).map_err(|error| Error::stdout(error.into()))?;
        self.write("\n")
    }

    /// Writes a warning to standard error, after everything written so far. It is visible there wherever the report
    /// goes.
    pub fn warn(&mut self, text: impl Display) -> Result<()> {
        self.finish()?;
        eprintln!("warning: {text}");
        Ok(())
    }

    /// Flushes everything that was written.
    pub fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::stdout)
    }
}

/// Escapes invisible characters of a JSON document while it is written.
struct VisibleJson<W>(W);

impl<W: Write> Write for VisibleJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Each call passes a piece of valid text.
        let text = std::str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.0.write_all(visible_json(text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what `write` writes to a screen, which is a terminal if it has columns.
    fn written(columns: Option<usize>, write: impl Fn(&mut Screen) -> Result<()>) -> String {
        let out = Written::default();
        let mut screen = Screen { out: Box::new(out.clone()), columns, colour: columns.is_some() };
        write(&mut screen).unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const HOSTILE: &str = "\x1b[2J\u{9b}\u{202e}";
    const SHOWN: &str = "\\u{1b}[2J\\u{9b}\\u{202e}";

    #[test]
    fn escapes_the_text_of_a_file_in_every_output_format() {
        for columns in [None, Some(80)] {
            let text = written(columns, |screen| screen.print(format!("a {HOSTILE}\n")));
            assert_eq!(text, format!("a {SHOWN}\n"));
            let text = written(columns, |screen| screen.heading(&format!("{HOSTILE}\n"), HOSTILE));
            let heading = format!("{SHOWN}\\n");
            let bold = if columns.is_some() { format!("\x1b[1m{heading}\x1b[0m") } else { heading };
            assert_eq!(text, format!("{bold}{SHOWN}\n"));
            let text = written(columns, |screen| screen.json(&[HOSTILE, "é🌍"]));
            assert!(text.contains("\\u001b[2J\\u009b\\u202e") && text.contains("é🌍"), "{text}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [HOSTILE, "é🌍"]);
        }
    }

    #[test]
    fn escapes_generated_text_only_on_a_terminal() {
        assert_eq!(written(Some(80), |screen| screen.generated(HOSTILE)), SHOWN);
        assert_eq!(written(None, |screen| screen.generated(HOSTILE)), HOSTILE);
    }
}
