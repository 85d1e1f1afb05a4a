//! Progress on stderr: a bar on a terminal, lines elsewhere. The log goes to stdout.

use espflash::target::ProgressCallbacks;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::time::Instant;
use tealight_console::{Unit, bar, keep};

/// What is being done, and the state that the board is in.
#[derive(Default)]
pub(crate) struct Progress {
    what: String,
    begun: Option<Instant>,
    bar: Option<ProgressBar>,
    state: State,
    /// The image, and where it is to be kept once it gets into flash.
    kept: Option<(PathBuf, PathBuf)>,
}

/// The state of the board.
#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Untouched,
    Partial,
    Flashed,
}

impl Progress {
    /// Nothing is done yet. An image is copied to the second path as soon as the board's flash begins to change.
    pub(crate) fn new(kept: Option<(PathBuf, PathBuf)>) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Begins something without parts.
    pub(crate) fn begin(&mut self, what: String) {
        self.start(what, None);
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        self.clear();
        if let Some(begun) = self.begun.take() {
            eprintln!("  ok  {} ({:.1} s)", self.what, begun.elapsed().as_secs_f64());
        }
    }

    /// Removes what is drawn.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// All is in flash and verified.
    pub(crate) fn flashed(&mut self) {
        self.state = State::Flashed;
    }

    /// What state the board is in, for the user.
    pub(crate) fn state(&self) -> &'static str {
        match self.state {
            State::Untouched => "nothing in the board's flash was changed",
            State::Partial => {
                "the board's flash is written in part: it has no working firmware until it is flashed again"
            }
            State::Flashed => "the image is in flash, and verified",
        }
    }

    fn start(&mut self, what: String, total: Option<usize>) {
        self.clear();
        self.begun = Some(Instant::now());
        self.bar = bar(&what, total.map(|blocks| (blocks as u64, Unit::Blocks)));
        self.what = what;
    }
}

impl ProgressCallbacks for Progress {
    fn init(&mut self, address: u32, total: usize) {
        // The first block is erased with what follows it.
        self.state = State::Partial;
        if let Some((image, file)) = self.kept.take() {
            keep(&image, &file);
        }
        let part = match address {
            0x0 => "the boot loader".into(),
            0x8000 => "the partition table".into(),
            0x1_0000 => "the app".into(),
            other => format!("{other:#x}"),
        };
        self.start(format!("writing and verifying {part}"), Some(total));
    }

    fn update(&mut self, current: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(current as u64);
        }
    }

    fn verifying(&mut self) {}

    fn finish(&mut self, _skipped: bool) {
        self.end();
    }
}
