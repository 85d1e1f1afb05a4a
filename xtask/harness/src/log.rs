//! `cargo xtask log`: the console of a board that something else runs.

use crate::error::Usage;
use crate::files::read;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;
pub use tealight_console::{Reader, Texts};

/// What to show.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The ELF image that the board runs, as `cargo xtask build` writes it
    pub image: PathBuf,
    /// A serial port, set to the board's rate, or a file [default: standard input]
    pub source: Option<PathBuf>,
}

/// Shows the log of a board, up to the end of its report or of the source.
///
/// # Errors
/// Something cannot be read, or the board reports an error.
pub fn log(args: &LogArgs) -> Result<()> {
    let texts = Texts::of(&read(&args.image)?).with_context(|| format!("{}", args.image.display()))?;
    let mut source: Box<dyn Read> = match &args.source {
        Some(file) => Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?),
        None if std::io::stdin().is_terminal() => {
            return Err(Usage("name the serial port or the file to read, or pipe it in".into()).into());
        }
        None => Box::new(std::io::stdin()),
    };
    match show(&texts, &mut source, |line| println!("{line}"))? {
        Some(error) => bail!("the firmware stopped: {error}"),
        None => Ok(()),
    }
}

/// Passes on every line of a source, up to the report's end. Returns the error that ended the report, if one did.
fn show(texts: &Texts, source: &mut dyn Read, mut line: impl FnMut(&str)) -> Result<Option<String>> {
    let mut reader = texts.reader();
    let mut piece = [0; 4096];
    loop {
        let count = source.read(&mut piece).context("the board can no longer be heard")?;
        if count == 0 {
            return Ok(None);
        }
        if let Some(ended) = reader.push_report(&piece[..count], &mut line) {
            return Ok(ended.err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three texts, at the addresses 1 to 3 of an image.
    fn texts() -> Texts {
        let table = r#"{ "timestamp": null, "encoding": "Rzcobs", "bitflags": {}, "entries": {
            "1": { "string": { "tag": "Println", "string": "tealight done=1" }, "raw_symbol": "a" },
            "2": { "string": { "tag": "Warn", "string": "{=u8} left" }, "raw_symbol": "b" },
            "3": { "string": { "tag": "Println", "string": "tealight error=panic" }, "raw_symbol": "c" } } }"#;
        serde_json::from_str(table).unwrap()
    }

    #[test]
    fn a_log_is_shown_to_the_end_of_its_report() {
        let mut seen = Vec::new();
        let mut shown = |mut bytes: &[u8]| show(&texts(), &mut bytes, |line| seen.push(line.to_string())).unwrap();
        assert_eq!(shown(&[0, 0x02, 0x07, 0x7A, 0, 0x01, 0x7E, 0]), None);
        assert_eq!(shown(&[0x03, 0x7E, 0]), Some("panic".into()));
        assert_eq!(shown(&[]), None);
        assert_eq!(seen, ["WARN 7 left", "tealight done=1", "tealight error=panic"]);
    }
}
