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
}

impl Progress {
    /// Shows one.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Stage(stage) => self.begin(*stage),
            Event::Total(stage, bytes) => *self.totals.entry(name(*stage)).or_default() += bytes,
            Event::Done(_, bytes) => {
                self.bytes += bytes;
                if let Some(bar) = &self.bar {
                    bar.inc(*bytes);
                }
            }
            Event::Ended(stage) => self.end(*stage),
            Event::Fact(text) => self.above(|| eprintln!("      {text}")),
            Event::Line(text) => self.above(|| println!("{text}")),
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
        (self.begun, self.bytes) = (Some(Instant::now()), 0);
        let total = self.totals.get(name(stage)).map(|&bytes| (bytes, Unit::Bytes));
        self.bar = bar(name(stage), total);
    }

    fn end(&mut self, stage: Stage) {
        self.finish();
        let seconds = self.begun.take().map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        match self.bytes {
            0 => eprintln!("  ok  {} ({seconds:.1} s)", name(stage)),
            bytes => {
                let rate = bytes as f64 / 1024.0 / seconds.max(0.001);
                eprintln!("  ok  {}: {bytes} bytes ({seconds:.1} s, {rate:.0} KiB/s)", name(stage));
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
