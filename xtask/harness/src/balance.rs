//! `cargo xtask simulate balance --board`: the balancing robot on boards that run its simulated world by themselves, whose
//! trajectory must be that of this machine, bit for bit. With `--wire` the boards run the app alone, and this machine
//! their worlds.

use crate::board::{self, Board};
use crate::context::Context;
use crate::model::ModelFile;
use crate::on_board::{Options, TIME_LIMIT, emulate};
use crate::progress::Progress;
use crate::qemu::Input;
use crate::report;
use crate::side_by_side::on_each;
use crate::table::table;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use tealight::{Align16, AlignedBytes, AllOps, Model, Session};
use tealight_balance::run::Summary;
use tealight_balance::scenario::Scenario;
use tealight_balance::wire::{self, Link};
use tealight_cli::grouped;

/// A run on a board.
#[derive(Clone, Debug, Serialize)]
pub struct Trajectory {
    /// The board.
    pub board: String,
    /// Its core.
    pub core: String,
    /// Digest of the trajectory, in hexadecimal.
    pub trajectory: String,
    /// Control periods.
    pub periods: u32,
    /// Periods that began late.
    pub missed_periods: u64,
    /// Whether the robot has fallen.
    pub fallen: bool,
    /// Instructions of the whole run, the simulated world included; `None` without it, or on an emulator that does not
    /// count them.
    pub instructions: Option<u64>,
}

/// Runs a scenario on this machine.
///
/// # Errors
/// A model cannot be read, or the app refuses it.
pub fn on_this_machine(context: &Context, scenario: &Scenario) -> Result<Summary> {
    let [policy, second] = ["balance", "gesture"].map(|name| own_model(context, name));
    let [policy, second] = [AlignedBytes::copy_of(&policy?.bytes)?, AlignedBytes::copy_of(&second?.bytes)?];
    let [policy, second] = [Model::parse(policy.as_ref()), Model::parse(second.as_ref())];
    let (policy, second) = (policy?, second?);
    let mut memory = [&policy, &second].map(|model| vec![Align16::ZERO; Align16::count(model.arena_len())]);
    let [small, large] = &mut memory;
    let policy = Session::<AllOps>::load(&policy, Align16::bytes_mut(small))?;
    let second = Session::<AllOps>::load(&second, Align16::bytes_mut(large))?;
    Ok(scenario.run(policy, second, |_| {})?)
}

/// Bytes of stack that suffice for the app, with its world beside it or at the other end of a wire.
const STACK: u64 = 4096;

/// Whether a board keeps enough stack for the app.
pub fn fits(board: &Board) -> bool {
    board.stack >= STACK
}

/// Where the simulated world of a board is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// In its firmware.
    OnBoard,
    /// On this machine, at the other end of the board's wire.
    OverWire,
}

/// Runs a scenario on each of these boards, which are set up, and compares their trajectories with that of this machine.
///
/// # Errors
/// A board does not run it, or has another trajectory.
pub fn on_boards(context: &Context, boards: &[Board], scenario: &Scenario, world: World) -> Result<Vec<Trajectory>> {
    let expected = on_this_machine(context, scenario)?;
    on_each(boards, |context, board| {
        if !fits(board) {
            let [needed, kept] = [STACK, board.stack].map(grouped);
            bail!("the robot's app needs {needed} bytes of stack, and {} keeps {kept}; choose another board", board.id);
        }
        let progress = Progress::start(format!("balancing on {}", board.id));
        let found = match world {
            World::OnBoard => on_board(context, board, scenario)?,
            World::OverWire => over_wire(context, board, scenario)?,
        };
        let wanted = (hexadecimal(expected.digest), expected.periods, u64::from(expected.missed));
        if (found.trajectory.clone(), found.periods, found.missed_periods) != wanted {
            bail!("{} balances otherwise: {found:?}, and this machine {expected:?}", board.id);
        }
        progress.done(&format!("trajectory {}", found.trajectory));
        Ok(found)
    })
}

fn on_board(context: &Context, board: &Board, scenario: &Scenario) -> Result<Trajectory> {
    let policy = own_model(context, "balance")?;
    let options = Options { features: &["balance"], embed_input: true, ..Options::default() };
    let console = emulate(context, board, &policy, Input::Bytes(&scenario.to_bytes()), options, &|_| {})?.console;
    error_of(&console)?;
    let number = |key: &str| fact(&console, key);
    let (ticks, rate) = (number("run_ticks")?, number("ticks_per_second")?);
    let instructions = |per_second: u64| (u128::from(ticks) * u128::from(per_second) / u128::from(rate.max(1))) as u64;
    Ok(Trajectory {
        board: board.id.clone(),
        core: board.core.clone(),
        trajectory: hexadecimal(number("trajectory")?),
        periods: u32::try_from(number("done")?).context("the board ran too many periods")?,
        missed_periods: number("missed_periods")?,
        fallen: number("fallen")? != 0,
        instructions: board::instructions_per_second(board).map(instructions),
    })
}

/// Returns the error that a board's report ends with.
fn error_of(console: &str) -> Result<()> {
    match console.lines().find_map(|line| line.strip_prefix("tealight error=")) {
        Some(error) => bail!("the firmware stopped: {error}"),
        None => Ok(()),
    }
}

/// A number of a board's report.
fn fact(console: &str, key: &str) -> Result<u64> {
    report::number(console, key).with_context(|| format!("the board's report has no `{key}`"))
}

/// Runs the app on a board, and its world here.
fn over_wire(context: &Context, board: &Board, scenario: &Scenario) -> Result<Trajectory> {
    let policy = own_model(context, "balance")?;
    // A UART carries an answer in milliseconds.
    let options = Options { features: &["balance-wire"], limit: 3 * TIME_LIMIT, ..Options::default() };
    let served = Mutex::new(None);
    let partner = |records: &Receiver<Vec<u8>>, answers: &mut dyn Write| {
        let summary = wire::serve(scenario, &mut Here { records, rest: VecDeque::new(), answers });
        let is_done = summary.is_ok();
        *served.lock().unwrap_or_else(PoisonError::into_inner) = Some(summary);
        is_done
    };
    let console = emulate(context, board, &policy, Input::Partner(&partner), options, &|_| {})?.console;
    let served = served.into_inner().unwrap_or_else(PoisonError::into_inner);
    // If the wire is broken because the board has stopped, its report tells why.
    error_of(&console)?;
    let summary = served.context("the world was not run")??;
    let periods = fact(&console, "done")?;
    if periods != u64::from(summary.periods) {
        bail!("{} says that it ran {periods} periods of {}", board.id, summary.periods);
    }
    Ok(Trajectory {
        board: board.id.clone(),
        core: board.core.clone(),
        trajectory: hexadecimal(summary.digest),
        periods: summary.periods,
        missed_periods: u64::from(summary.missed),
        fallen: summary.fallen,
        instructions: None,
    })
}

/// This machine's end of a board's wire.
struct Here<'a> {
    records: &'a Receiver<Vec<u8>>,
    /// What has arrived and is not read yet.
    rest: VecDeque<u8>,
    answers: &'a mut dyn Write,
}

impl Link for Here<'_> {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.answers.write_all(bytes).and_then(|()| self.answers.flush()).is_ok()
    }

    fn receive(&mut self, bytes: &mut [u8]) -> bool {
        while self.rest.len() < bytes.len() {
            let Ok(more) = self.records.recv() else { return false };
            self.rest.extend(more);
        }
        self.rest.drain(..bytes.len()).zip(bytes).for_each(|(from, to)| *to = from);
        true
    }
}

fn own_model(context: &Context, name: &str) -> Result<ModelFile> {
    ModelFile::open(&context.root.join("models").join(name).join(format!("{name}.safetensors")), &[])
}

fn hexadecimal(digest: u64) -> String {
    format!("{digest:016x}")
}

/// Prints the runs as a table.
pub fn print(trajectories: &[Trajectory], world: World) {
    let numbers: &[&str] = match world {
        World::OnBoard => &["late periods", "instructions a period"],
        World::OverWire => &["late periods"],
    };
    let mut rows = table(&["board", "core", "trajectory"], numbers, &[]);
    for run in trajectories {
        let mut row = vec![run.board.clone(), run.core.clone(), run.trajectory.clone(), grouped(run.missed_periods)];
        if world == World::OnBoard {
            let each = run.instructions.map(|count| grouped(count / u64::from(run.periods.max(1))));
            row.push(each.unwrap_or_else(|| "-".into()));
        }
        rows.row(row);
    }
    print!("{}", rows.draw(None).0);
    let parts = match world {
        World::OnBoard => "the simulated world, the control loop and the slices of the second network",
        World::OverWire => "the control loop and the second network; the simulated world ran on this machine",
    };
    println!("({parts})");
}
