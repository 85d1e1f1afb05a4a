//! Progress of a task: a bar on a terminal, an occasional line elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A task of a known number of steps.
#[derive(Debug)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Starts the task and prints its name.
    pub fn new(what: &str, steps: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("  ... {what}");
            return Self(None);
        }
        let style = ProgressStyle::with_template("  {msg} {bar:32} {percent:>3} % ({elapsed}, {eta} to go)")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(Some(ProgressBar::new(steps as u64).with_style(style).with_message(what.to_string())))
    }

    /// Sets the number of finished steps.
    pub fn step(&self, done: usize) {
        if let Some(bar) = &self.0 {
            bar.set_position(done as u64);
        }
    }

    /// Prints a line above the bar.
    pub fn print(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.println(format!("  {text}")),
            None => eprintln!("  {text}"),
        }
    }

    /// Ends the task.
    pub fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
