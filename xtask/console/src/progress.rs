//! Progress on stderr: a bar on a terminal, a line elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// What progress is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Blocks of a protocol.
    Blocks,
}

/// Announces `what`, whose end is `total` of a unit if that is known. Returns the bar; without a terminal there is none,
/// and a line has been printed.
pub fn bar(what: &str, total: Option<(u64, Unit)>) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        eprintln!("  ... {what}");
        return None;
    }
    let template = match total {
        Some((_, Unit::Bytes)) => "  {spinner} {msg} [{bar:32}] {bytes} of {total_bytes} ({elapsed})",
        Some((_, Unit::Blocks)) => "  {spinner} {msg} [{bar:32}] {pos} of {len} blocks ({elapsed})",
        None => "  {spinner} {msg} ({elapsed})",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let length = total.map_or(0, |(length, _)| length);
    let bar = ProgressBar::new(length).with_style(style).with_message(what.to_string());
    bar.enable_steady_tick(Duration::from_millis(100));
    Some(bar)
}
