//! Firmware that times single polls of any models, one after another through one image: see `tealight_board::polls`.

use crate::board::{Board, ConsoleKind};
use crate::context::Context;
use crate::model::ModelFile;
use crate::on_board::{self, Options};
use crate::qemu::Input;
use crate::report;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::time::Duration;
use tealight_format::{Model, align16};
use tealight_testing::build;

/// The features of the firmware.
const FEATURES: &[&str] = &["measure-polls"];

/// Represents a budget to the end of an operator.
pub const LAYER: u64 = u64::MAX;

/// The time limit of a run of all jobs.
const TIME_LIMIT: Duration = Duration::from_secs(900);

/// One inference, and the budgets of its polls.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The compiled model.
    pub file: &'a [u8],
    /// Its inputs in a row.
    pub input: &'a [u8],
    /// The budget of each poll, or [`LAYER`].
    pub budgets: Vec<u64>,
}

/// The instructions of polls.
#[derive(Clone, Debug)]
pub struct Times {
    /// Those of each job's polls.
    pub instructions: Vec<Vec<u64>>,
    /// Length of a tick of the board's clock in instructions, rounded up: a count may be off by one.
    pub resolution: u64,
}

/// Whether the firmware on `board` has the memory for a model: for its file and its arena.
pub fn has_memory_for(board: &Board, model: &Model<'_>) -> bool {
    align16(model.bytes().len() as u64) + model.arena_len() as u64 <= board.loadable_arena()
}

/// What the program takes of the flash at most, where the jobs are built into its image.
const PROGRAM: u64 = 1 << 20;

impl Job<'_> {
    /// Its length among the firmware's inputs.
    fn len(&self) -> usize {
        12 + self.file.len() + self.input.len() + 8 * self.budgets.len()
    }
}

/// Does all jobs on a board that QEMU emulates. Where they would be sent over a serial port, which is slow, they are built
/// into the image, as many at a time as the flash holds.
///
/// # Errors
/// The firmware cannot be built, or did not do all jobs.
pub fn time_polls(context: &Context, board: &Board, jobs: &[Job<'_>]) -> Result<Times> {
    if board.console.kind != ConsoleKind::Uart {
        return time_some(context, board, jobs, false);
    }
    let room = board.length("flash").saturating_sub(PROGRAM) as usize;
    let mut all = Times { instructions: Vec::new(), resolution: 0 };
    let mut left = jobs;
    while !left.is_empty() {
        let lens = left.iter().scan(0, |len: &mut usize, job| {
            *len += job.len();
            Some(*len)
        });
        // At least one, which is refused if it does not fit.
        let count = lens.take_while(|len| *len <= room).count().max(1);
        let (now, later) = left.split_at(count);
        let Times { instructions, resolution } = time_some(context, board, now, true)?;
        all.instructions.extend(instructions);
        all.resolution = resolution;
        left = later;
    }
    Ok(all)
}

/// Does jobs through one image.
fn time_some(context: &Context, board: &Board, jobs: &[Job<'_>], embed_input: bool) -> Result<Times> {
    let mut bundle = Vec::new();
    for job in jobs {
        for count in [job.file.len(), job.input.len(), job.budgets.len()] {
            bundle.extend(u32::try_from(count)?.to_le_bytes());
        }
        bundle.extend(job.file);
        bundle.extend(job.input);
        bundle.extend(job.budgets.iter().flat_map(|budget| budget.to_le_bytes()));
    }
    // The firmware embeds a model as all do, which nothing reads.
    let model = ModelFile::from_compiled(build::relu().file(), "relu", Path::new("relu"))?;
    let options = Options { features: FEATURES, embed_input, limit: TIME_LIMIT, ..Options::default() };
    let run = on_board::emulate(context, board, &model, Input::Bytes(&bundle), options, &|_| {})?;
    let done = report::number(&run.console, "done");
    if done != Some(jobs.len() as u64) {
        bail!("the firmware did not do all of the {} inferences:\n{}", jobs.len(), run.console);
    }
    let per_second =
        report::number(&run.console, "ticks_per_second").context("the report has no speed of the clock")?.max(1);
    let (ticks, _) = run.written.as_chunks::<4>();
    let polls: usize = jobs.iter().map(|job| job.budgets.len()).sum();
    if ticks.len() != polls {
        bail!("the firmware timed {} polls of {polls}", ticks.len());
    }
    let mut ticks = ticks.iter().map(|ticks| u64::from(u32::from_le_bytes(*ticks)) * 1_000_000_000 / per_second);
    let instructions = jobs.iter().map(|job| ticks.by_ref().take(job.budgets.len()).collect()).collect();
    Ok(Times { instructions, resolution: 1_000_000_000_u64.div_ceil(per_second) })
}
