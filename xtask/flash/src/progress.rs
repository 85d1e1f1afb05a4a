//! Progress on stderr: bars on a terminal, lines elsewhere. The log goes to stdout.

use indicatif::ProgressBar;
use std::collections::HashMap;
use std::time::Instant;
use tealight_console::{Unit, bar};
use tealight_flash::supervise::{Event, Stage};

/// Shows events.
#[derive(Default)]
pub(crate) struct Progress {
    totals: HashMap<&'static str, u64>,
    bar: Option<ProgressBar>,
    begun: Option<Instant>,
    bytes: u64,
    /// Lines of the log; each is one of its frames.
    lines: u64,
}

impl Progress {
    /// Shows one.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Stage(stage) => self.begin(*stage),
            Event::Total(stage, bytes) => *self.totals.entry(name(*stage)).or_default() += bytes,
            Event::Done(stage, bytes) => {
                // The log begins with its first bytes, whenever the firmware gets there.
                if *stage == Stage::Log && self.bytes == 0 {
                    self.begun = Some(Instant::now());
                }
                self.bytes += bytes;
                if let Some(bar) = &self.bar {
                    bar.inc(*bytes);
                }
            }
            Event::Ended(stage) => self.end(*stage),
            Event::Fact(text) => self.above(|| eprintln!("      {text}")),
            Event::Line(text) => {
                self.lines += 1;
                self.above(|| println!("{text}"));
            }
            Event::Alive | Event::Finished | Event::Failed { .. } => {}
        }
    }

    /// Removes what is drawn.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn begin(&mut self, stage: Stage) {
        self.finish();
        (self.begun, self.bytes, self.lines) = (Some(Instant::now()), 0, 0);
        let total = self.totals.get(name(stage)).map(|&bytes| (bytes, Unit::Bytes));
        self.bar = bar(name(stage), total);
    }

    fn end(&mut self, stage: Stage) {
        self.finish();
        let seconds = self.begun.take().map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        let per_second = |count: u64| count as f64 / seconds.max(0.001);
        let (bytes, rate) = (self.bytes, per_second(self.bytes) / 1024.0);
        match (bytes, self.lines) {
            (0, _) => eprintln!("  ok  {} ({seconds:.1} s)", name(stage)),
            (_, 0) => eprintln!("  ok  {}: {bytes} bytes ({seconds:.1} s, {rate:.0} KiB/s)", name(stage)),
            (_, lines) => {
                let lines_rate = per_second(lines);
                eprintln!(
                    "  ok  {}: {bytes} bytes, {lines} lines ({seconds:.1} s, {rate:.0} KiB/s, {lines_rate:.0} lines/s)",
                    name(stage)
                );
            }
        }
    }

    fn above(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Attach => "attaching, and comparing the chip with the board",
        Stage::Compare => "comparing the firmware in flash with its image",
        Stage::Erase => "erasing",
        Stage::Program => "programming",
        Stage::Verify => "verifying",
        Stage::Header => "writing the header of the model slot",
        Stage::Start => "starting the firmware",
        Stage::Log => "reading the log",
    }
}
