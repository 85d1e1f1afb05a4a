//! The progress of long work, on standard error. A stream of inferences is a bar on a terminal and an occasional line
//! elsewhere; stages of unknown length are shown by name, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Shorter streams show no progress if there is no terminal.
const LONG: usize = 100;

/// The state of a stream of inferences, or of a series of files.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// What is counted: "inferences".
    what: &'static str,
    count: usize,
    done: usize,
}

impl Progress {
    /// Starts a stream of `count` inferences.
    pub(crate) fn new(count: usize) -> Self {
        Self::of(count, "inferences")
    }

    /// Starts a series of `count` parts, whose plural is `what`.
    pub(crate) fn of(count: usize, what: &'static str) -> Self {
        let bar = (count > 1 && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template(&format!("  {{bar:32}} {{pos}}/{{len}} {what}, {{eta}} left"))
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(count as u64).with_style(style)
        });
        Self { bar, what, count, done: 0 }
    }

    /// Counts an inference or a part that has ended.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.count >= LONG && self.tenth() != self.tenth_before() => {
                // A closed standard error does not stop the run.
                let _ = writeln!(std::io::stderr(), "  {} of {} {}", self.done, self.count, self.what);
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

/// Work in stages.
#[derive(Debug)]
pub(crate) struct Stages(Option<ProgressBar>);

impl Stages {
    /// Starts the work.
    pub(crate) fn start() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        }))
    }

    /// Marks the end of the stage `name`.
    pub(crate) fn next(&mut self, name: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("after {name}"));
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
