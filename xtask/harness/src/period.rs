//! `cargo xtask period`: whether a control loop keeps its period while a network runs in slices beside it.
//!
//! Firmware times every poll of an inference on an emulated board. A loop that runs its control as soon as it is due, and
//! polls otherwise, is late by what is left of a slice when the time has come; the lateness of each turn follows from the
//! times of the slices. With `--interrupt` control runs in the interrupt of the board's timer, and firmware measures by how
//! much that is late: see [`crate::interrupts`].

use crate::board;
use crate::context::Context;
use crate::emulator;
use crate::interrupts::{self, Loop};
use crate::layers::Measured;
use crate::polls::{self, Job};
use crate::progress::Progress;
use crate::subject::{Subject, subjects};
use crate::table::{or_dash, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use tealight::{Budget, OwnedSession};
use tealight_cli::grouped;
use tealight_format::Model;

/// What to measure.
#[derive(Debug, Args)]
pub struct PeriodArgs {
    /// The network, by its name among our own and the golden models
    #[arg(default_value = "digits")]
    model: String,
    /// A board that QEMU emulates; may be given several times [default: one of each Cortex-M core, and RV32IMAC]
    #[arg(long = "board", value_name = "BOARD")]
    boards: Vec<String>,
    /// The budget of a poll in units of about a multiply-accumulate; may be given several times [default: 2000, 10000 and
    /// 50000; with `--interrupt` 50000]
    #[arg(long = "budget", value_name = "N")]
    budgets: Vec<u64>,
    /// The period in instructions: 64,000 are a millisecond at 64 MHz
    #[arg(long, default_value_t = 64_000, value_parser = clap::value_parser!(u64).range(1..))]
    period: u64,
    /// What the control itself takes, in instructions
    #[arg(long, default_value_t = 5_000)]
    control: u64,
    /// Control runs in the interrupt of the board's timer, and the network polls in the background
    #[arg(long)]
    interrupt: bool,
    /// With `--interrupt`: masks interrupts for about as many instructions after each poll, which must make control late
    #[arg(long, value_name = "N", default_value_t = 0, requires = "interrupt")]
    masked: u64,
    /// Prints one JSON value instead of a table
    #[arg(long)]
    json: bool,
}

/// One of each Cortex-M core, and RV32IMAC.
const BOARDS: [&str; 5] = ["mps2-an385-v6m", "mps2-an385", "mps2-an386", "mps3-an547", "riscv32-virt"];

/// The budgets of a poll.
const BUDGETS: [u64; 3] = [2_000, 10_000, 50_000];

/// The budget of a poll that may be interrupted.
const INTERRUPTED_BUDGET: u64 = 50_000;

/// The turns of the loop that are looked at.
const TURNS: usize = 10_000;

/// A loop with a network, on a board.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Figures {
    /// The network.
    pub model: String,
    /// The board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// The budget of a poll, in units of about a multiply-accumulate.
    pub budget: u64,
    /// Polls in an inference.
    pub polls: usize,
    /// The most that a poll may do, in the same units: the budget, or the longest row.
    pub bound: u64,
    /// Instructions of the longest poll.
    pub longest_poll: u64,
    /// Instructions of a period.
    pub period: u64,
    /// By how many instructions a turn of the loop is late: the median.
    pub median_lateness: u64,
    /// The same: the most.
    pub worst_lateness: u64,
    /// Of ten thousand turns, those that are late by a whole period or more.
    pub missed: usize,
    /// Periods from one answer of the network to the next; `None` if there is none in ten thousand turns.
    pub periods_an_inference: Option<u64>,
}

/// Measures, and prints a table.
///
/// # Errors
/// There is no such model or board, or the firmware does not build or run.
pub fn period(context: &Context, args: &PeriodArgs) -> Result<()> {
    let subjects = subjects(context, std::slice::from_ref(&args.model))?;
    let subject = subjects.first().with_context(|| format!("there is no model `{}`", args.model))?;
    if args.interrupt {
        return by_interrupt(context, args, subject);
    }
    let budgets = given(&args.budgets, &BUDGETS);
    let file = &subject.model.bytes;
    let calls = budgets.iter().map(|&budget| Ok((budget, calls(file, budget)?))).collect::<Result<Vec<_>>>()?;
    let mut figures = Vec::new();
    for id in given(&args.boards, &BOARDS.map(String::from)) {
        let progress = Progress::start(format!("timing polls of {} on {id}", args.model));
        figures.extend(on_board(context, &id, args, subject, &calls)?);
        progress.done("");
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        print(&figures);
    }
    Ok(())
}

/// What was given, or what is measured otherwise.
fn given<T: Clone>(given: &[T], otherwise: &[T]) -> Vec<T> {
    if given.is_empty() { otherwise.to_vec() } else { given.to_vec() }
}

/// Measures control in an interrupt, and prints a table.
fn by_interrupt(context: &Context, args: &PeriodArgs, subject: &Subject) -> Result<()> {
    let mut figures = Vec::new();
    for id in given(&args.boards, &BOARDS.map(String::from)) {
        let board = board::find_emulated(&context.root, &id)?;
        emulator::ensure_board(context, &board)?;
        for budget in given(&args.budgets, &[INTERRUPTED_BUDGET]) {
            let progress = Progress::start(format!("interrupting {} on {id}", args.model));
            let loops = Loop { period: args.period, control: args.control, masked: args.masked, budget };
            figures.push(interrupts::measure(context, &board, subject, loops)?);
            progress.done("");
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        interrupts::print(&figures);
    }
    Ok(())
}

/// Times the polls of an inference for each of the budgets, with which there are so many `calls`.
fn on_board(
    context: &Context,
    id: &str,
    args: &PeriodArgs,
    subject: &Subject,
    calls: &[(u64, usize)],
) -> Result<Vec<Figures>> {
    let board = board::find_emulated(&context.root, id)?;
    emulator::ensure_board(context, &board)?;
    let file = &subject.model.bytes;
    let model = Model::parse(file).map_err(|error| anyhow::anyhow!("{}: {error}", args.model))?;
    if !polls::has_memory_for(&board, &model) {
        bail!("{id} has no memory for {} beside firmware that loads any model", args.model);
    }
    let input = Measured::first_of(subject).context("the model has no sample input")?.input;
    let jobs = calls.iter().map(|&(budget, calls)| Job { file, input, budgets: vec![budget; calls] });
    let times = polls::time_polls(context, &board, &jobs.collect::<Vec<_>>())?;
    let figures = calls.iter().zip(times.instructions).map(|(&(budget, _), slices)| {
        let turns = turns(&slices, args.period, args.control);
        Figures {
            model: args.model.clone(),
            board: board.id.clone(),
            core: board.core.clone(),
            budget,
            polls: slices.len(),
            bound: budget.max(model.longest_row()),
            longest_poll: slices.iter().copied().max().unwrap_or(0),
            period: args.period,
            median_lateness: turns.median(),
            worst_lateness: turns.worst(),
            missed: turns.late.iter().filter(|&&late| late >= args.period).count(),
            periods_an_inference: turns.periods_an_inference(args.period),
        }
    });
    Ok(figures.collect())
}

/// The number of polls of an inference.
fn calls(file: &[u8], budget: u64) -> Result<usize> {
    let mut session = OwnedSession::from_bytes(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut calls = 1;
    while session.poll(Budget::macs(budget)).is_pending() {
        calls += 1;
    }
    Ok(calls)
}

/// What became of a loop.
#[derive(Debug, Default)]
struct Turns {
    /// By how many instructions each turn was late.
    late: Vec<u64>,
    /// Inferences that ended.
    inferences: u64,
    /// Instructions until the end of the last of them.
    elapsed: u64,
}

/// Runs [`TURNS`] turns of a loop: its control, which takes `control`, when it is due; otherwise one of the `slices`, which
/// follow each other in a circle.
fn turns(slices: &[u64], period: u64, control: u64) -> Turns {
    let mut turns = Turns::default();
    let (mut now, mut due) = (0u64, 0u64);
    let mut slice = slices.iter().enumerate().cycle();
    while turns.late.len() < TURNS {
        if now >= due {
            turns.late.push(now - due);
            (now, due) = (now + control, due + period);
            continue;
        }
        let Some((index, instructions)) = slice.next() else { break };
        now += instructions.max(&1);
        if index + 1 == slices.len() {
            (turns.inferences, turns.elapsed) = (turns.inferences + 1, now);
        }
    }
    turns
}

impl Turns {
    fn worst(&self) -> u64 {
        self.late.iter().copied().max().unwrap_or(0)
    }

    fn median(&self) -> u64 {
        median(&self.late)
    }

    fn periods_an_inference(&self, period: u64) -> Option<u64> {
        self.elapsed.checked_div(self.inferences).map(|instructions| instructions.div_ceil(period))
    }
}

/// The median of numbers; 0 if there are none.
pub(crate) fn median(numbers: &[u64]) -> u64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn print(figures: &[Figures]) {
    let numbers = ["budget", "polls", "longest poll", "late: median", "worst", "missed", "periods an inference"];
    let mut rows = table(&["board", "core"], &numbers, &[]);
    for one in figures {
        rows.row([
            one.board.clone(),
            one.core.clone(),
            grouped(one.budget),
            grouped(one.polls as u64),
            grouped(one.longest_poll),
            grouped(one.median_lateness),
            grouped(one.worst_lateness),
            grouped(one.missed as u64),
            or_dash(one.periods_an_inference),
        ]);
    }
    print!("{}", rows.draw(None).0);
    if let Some(first) = figures.first() {
        let period = grouped(first.period);
        println!(
            "({}; instructions; a period has {period}; missed: late by a period or more, of {TURNS} turns)",
            first.model
        );
    }
    for one in figures.iter().filter(|one| one.missed > 0) {
        let (board, budget, bound) = (&one.board, grouped(one.budget), grouped(one.bound));
        if one.bound > one.budget {
            println!(
                "{board} misses the period with any budget: a row alone is {bound} units; run control in an interrupt (--interrupt)"
            );
        } else {
            println!(
                "{board} misses the period with a budget of {budget}: give polls less, or run control in an interrupt (--interrupt)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_late_by_the_rest_of_a_slice() {
        // Slices at 10 to 40, 40 to 70, 70 to 100 and so on: the control is due at 100.
        let turns = turns(&[30], 100, 10);
        assert_eq!(turns.late[..3], [0, 0, 0]);
        // Slices at 10 to 50, 50 to 90, 90 to 130.
        let turns = super::turns(&[40], 100, 10);
        assert_eq!(turns.late[..2], [0, 30]);
        assert!(turns.worst() < 40, "{}", turns.worst());
        assert_eq!(turns.late.len(), TURNS);
    }

    #[test]
    fn a_slice_that_is_longer_than_the_period_makes_turns_miss_it() {
        let turns = turns(&[250, 10], 100, 10);
        assert!(turns.worst() >= 100 && turns.median() > 0);
        assert!(turns.late.iter().filter(|&&late| late >= 100).count() > 0);
        let good = super::turns(&[25, 10], 100, 10);
        assert!(good.worst() < 25);
        // 35 instructions of the network, where each period has 90 for it and loses some at its end.
        assert_eq!(good.periods_an_inference(100), Some(1));
        assert!(good.inferences > TURNS as u64 * 2);
    }
}
