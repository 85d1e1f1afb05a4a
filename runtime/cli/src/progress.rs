//! How far a long stream has come, on standard error: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Streams shorter than this say nothing where there is no terminal.
const LONG: usize = 100;

/// The state of a stream of inferences.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    count: usize,
    done: usize,
}

impl Progress {
    /// A stream of `count` inferences that starts now.
    pub(crate) fn new(count: usize) -> Self {
        let bar = (count > 1 && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("  {bar:32} {pos}/{len} inferences, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(count as u64).with_style(style)
        });
        Self { bar, count, done: 0 }
    }

    /// One inference has ended.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.count >= LONG && self.tenth() != self.tenth_before() => {
                eprintln!("  {} of {} inferences", self.done, self.count);
            }
            None => {}
        }
    }

    fn tenth(&self) -> usize {
        self.done * 10 / self.count
    }

    fn tenth_before(&self) -> usize {
        (self.done - 1) * 10 / self.count
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
