//! Pushes in a file: one a line as `START:NEWTONS:DURATION`, times in milliseconds. Empty lines, and what follows `#`, say
//! nothing.

use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::path::Path;
use tealight_balance::push::Push;

/// Reads a file.
///
/// # Errors
/// It cannot be read, or a line is no push.
pub(crate) fn read(file: &Path) -> Result<Vec<Push>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| format!("{}", file.display()))
}

fn parse(text: &str) -> Result<Vec<Push>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.split('#').next().unwrap_or("").trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| line.parse().with_context(|| format!("line {number}, `{line}`")))
        .collect()
}

/// The text of a file.
pub(crate) fn text(pushes: &[Push]) -> String {
    let mut text = String::from("# START:NEWTONS:DURATION, times in milliseconds\n");
    for push in pushes {
        let _ = writeln!(text, "{push}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_was_written_and_a_wrong_line_is_named() {
        let pushes = vec![Push { at_ms: 1, newtons: -0.1, ms: 2 }, Push { at_ms: 30, newtons: 4.0, ms: 100 }];
        assert_eq!(parse(&text(&pushes)).unwrap(), pushes);
        assert_eq!(parse("\n 1:-0.1:2 # the first\n30:4:100").unwrap(), pushes);
        let error = format!("{:#}", parse("# none\n1:2").unwrap_err());
        assert!(error.contains("line 2, `1:2`") && error.contains("three parts"), "{error}");
    }
}
