//! `cargo xtask period --interrupt`: by how much a control is late that runs in the interrupt of a board's timer while a
//! network runs in slices beside it: the longest stretch with interrupts masked.
//!
//! See `tealight_board::interrupts` for the firmware. It measures by the timer itself or by the counter of cycles, and the
//! number of interrupts in the time by the board's clock shows that none was lost.

use crate::board::{self, Board};
use crate::context::Context;
use crate::error::Usage;
use crate::layers::Measured;
use crate::on_board::{Options, emulate};
use crate::period::median;
use crate::progress::Progress;
use crate::qemu::Input;
use crate::report;
use crate::subject::{Subject, subjects};
use crate::table::{or_dash, table};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tealight_cli::grouped;

/// The model of the check.
const MODEL: &str = "digits";

/// The shortest period in instructions. The handler itself takes some hundred.
const SHORTEST: u64 = 1_000;

/// The features of the firmware.
const FEATURES: &[&str] = &["measure-interrupts"];

/// A loop in an interrupt, and what is beside it; in instructions but for the budget.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// From one turn to the next.
    pub period: u64,
    /// What a turn takes.
    pub control: u64,
    /// For how long interrupts are masked after each poll.
    pub masked: u64,
    /// The budget of a poll, in units of about a multiply-accumulate.
    pub budget: u64,
}

/// A loop in an interrupt, on a board.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Jitter {
    /// The network.
    pub model: String,
    /// The board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// The budget of a poll, in units of about a multiply-accumulate.
    pub budget: u64,
    /// Instructions of a period.
    pub period: u64,
    /// Instructions for which interrupts were masked after each poll.
    pub masked: u64,
    /// The turns whose lateness was measured.
    pub turns: usize,
    /// By how many instructions a turn is late: the median.
    pub median_lateness: u64,
    /// The same: the most.
    pub worst_lateness: u64,
    /// A tick of the clock of the measurement in instructions, rounded up.
    pub resolution: u64,
    /// Periods from one answer of the network to the next; `None` if there is none in these turns.
    pub periods_an_inference: Option<u64>,
}

/// Measures on a board, which is set up.
///
/// # Errors
/// The board has no timer that the firmware knows, the loop leaves no time for the network, or the firmware does not build
/// or run.
pub fn measure(context: &Context, board: &Board, subject: &Subject, each: Loop) -> Result<Jitter> {
    check(board, each)?;
    let rate = board::instructions_per_second(board).context("the board's emulator counts no instructions")?;
    let mut input = Vec::new();
    for number in [each.period, each.control, each.masked, each.budget, rate] {
        let number = u32::try_from(number).map_err(|_| Usage(format!("{number} is more than 32 bits hold")))?;
        input.extend(number.to_le_bytes());
    }
    input.extend(Measured::first_of(subject).context("the model has no sample input")?.input);
    let options = Options { features: FEATURES, ..Options::default() };
    let run = emulate(context, board, &subject.model, Input::Bytes(&input), options, &|_| {})?;
    if let Some(error) = run.console.lines().find_map(|line| line.strip_prefix("tealight error=")) {
        bail!("the firmware stopped: {error}");
    }
    let number =
        |key: &str| report::number(&run.console, key).with_context(|| format!("the board's report has no `{key}`"));
    let per_second = number("ticks_per_second")?.max(1);
    let (period, turns, elapsed) = (number("period_ticks")?.max(1), number("turns")?, number("elapsed_ticks")?);
    if (elapsed / period).abs_diff(turns) > 1 {
        bail!("{}: {turns} interrupts in {elapsed} ticks, one every {period}: some were lost", board.id);
    }
    let (late, _) = run.written.as_chunks::<4>();
    let instructions = |ticks: u64| ticks * rate / per_second;
    let late: Vec<u64> = late.iter().map(|ticks| instructions(u64::from(u32::from_le_bytes(*ticks)))).collect();
    if late.is_empty() || late.len() as u64 > turns {
        bail!("{} noted {} turns of {turns}", board.id, late.len());
    }
    let (inferences, until) = (number("done")?, number("turns_of_inferences")?);
    Ok(Jitter {
        model: subject.id.clone(),
        board: board.id.clone(),
        core: board.core.clone(),
        budget: each.budget,
        period: instructions(period),
        masked: each.masked,
        turns: late.len(),
        median_lateness: median(&late),
        worst_lateness: late.iter().copied().max().unwrap_or(0),
        resolution: rate.div_ceil(per_second),
        periods_an_inference: (inferences > 0).then(|| until.div_ceil(inferences)),
    })
}

/// For how many instructions the check masks interrupts.
const MASKED: u64 = 10_000;

/// What a lateness may be above what masked it, in instructions: those of the handler's entry, and what the time of a timer
/// is known to.
const ENTRY: u64 = 60;

/// Checks on boards, which are set up, that nothing makes an interrupt late while a network runs, and that the measurement
/// sees interrupts that are masked.
///
/// # Errors
/// One is late, or is in time although it was masked; or as for [`measure`].
pub fn check_boards(context: &Context, boards: &[Board]) -> Result<()> {
    let subjects = subjects(context, &[MODEL.to_string()])?;
    let subject = subjects.first().with_context(|| format!("there is no model `{MODEL}`"))?;
    for board in boards {
        let progress = Progress::start(format!("interrupting {MODEL} on {}", board.id));
        let late = |masked| {
            let each = Loop { period: 64_000, control: 5_000, masked, budget: 50_000 };
            anyhow::Ok(measure(context, board, subject, each)?.worst_lateness)
        };
        let (free, masked) = (late(0)?, late(MASKED)?);
        if free > ENTRY {
            bail!("{}: something masked interrupts for {free} instructions while {MODEL} ran", board.id);
        }
        if !(MASKED * 9 / 10..MASKED + 5 * ENTRY).contains(&masked) {
            bail!("{}: interrupts were masked for {MASKED} instructions, and one was late by {masked}", board.id);
        }
        progress.done(&format!("late by {free} instructions at most, and masked by {masked}"));
    }
    Ok(())
}

/// Refuses what cannot be measured.
fn check(board: &Board, each: Loop) -> Result<()> {
    let has_timer = board.core.starts_with("Cortex-M") || board.core == "RV32IMAC";
    if !has_timer || board.is_on_hal() {
        let text = format!(
            "the firmware of {} ({}) takes no interrupt of a timer: choose a board with a Cortex-M or RV32IMAC core that \
             is not on a HAL, such as {}",
            board.id,
            board.core,
            board::DEFAULT
        );
        return Err(Usage(text).into());
    }
    let Loop { period, control, masked, .. } = each;
    if period < SHORTEST {
        return Err(
            Usage(format!("a period of {period} instructions leaves no time: give it {SHORTEST} or more")).into()
        );
    }
    // Two interrupts that are due while they are masked are one.
    if control.saturating_add(masked) >= period {
        let text =
            format!("control takes {control} instructions and {masked} are masked: less than the period, {period}");
        return Err(Usage(text).into());
    }
    Ok(())
}

/// Prints a table.
pub fn print(figures: &[Jitter]) {
    let numbers = ["budget", "late: median", "worst", "a tick", "periods an inference"];
    let mut rows = table(&["board", "core"], &numbers, &[]);
    for one in figures {
        rows.row([
            one.board.clone(),
            one.core.clone(),
            grouped(one.budget),
            grouped(one.median_lateness),
            grouped(one.worst_lateness),
            grouped(one.resolution),
            or_dash(one.periods_an_inference),
        ]);
    }
    print!("{}", rows.draw(None).0);
    if let Some(first) = figures.first() {
        let (period, turns, masked) = (grouped(first.period), first.turns, grouped(first.masked));
        println!(
            "({}; instructions; a period has {period}; {turns} turns; masked after each poll: {masked}; a lateness is exact \
             to a tick, and on RISC-V to a few instructions)",
            first.model
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(id: &str, each: Loop) -> String {
        let board = board::find(&crate::context::root(), id).unwrap();
        check(&board, each).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_board_without_a_known_timer_and_a_loop_without_time_are_refused() {
        let each = Loop { period: 64_000, control: 5_000, masked: 10_000, budget: 50_000 };
        for id in ["mps2-an386", "mps3-an547", "microbit", "riscv32-virt"] {
            assert_eq!(refusal(id, each), "");
        }
        for id in ["aarch64-virt", "riscv64-virt-v", "riscv32-virt-v", "microbit-embassy"] {
            assert!(refusal(id, each).contains("takes no interrupt of a timer"), "{id}");
        }
        assert!(refusal("riscv32-virt", Loop { period: 999, control: 0, ..each }).contains("1000 or more"));
        assert!(refusal("mps2-an386", Loop { masked: 59_000, ..each }).contains("less than the period, 64000"));
    }
}
