//! Progress on stderr: a spinner on a terminal, plain lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The spinners: there may be several at a time.
static SPINNERS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line above the spinners.
pub fn say(line: &str) {
    SPINNERS.suspend(|| eprintln!("{line}"));
}

/// One thing that takes a while.
#[derive(Debug)]
pub struct Progress {
    spinner: Option<ProgressBar>,
    what: String,
    start: Instant,
}

impl Progress {
    /// Announces `what` ("building the firmware").
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = SPINNERS.add(ProgressBar::new_spinner().with_style(style));
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if spinner.is_none() {
            say(&format!("  ... {what}"));
        }
        Self { spinner, what, start: Instant::now() }
    }

    /// Reports the end, with a remark ("48 kB") and the time that it took.
    pub fn done(self, remark: &str) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let gap = if remark.is_empty() { "" } else { ": " };
        say(&format!("  ok  {}{gap}{remark} ({seconds:.1} s)", self.what));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
    }
}
