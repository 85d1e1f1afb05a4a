//! `cargo xtask simulate`: a robot in a simulated world, by the program of `xtask/simulate`, which is built when it is
//! needed.

use crate::Context;
use crate::balance::World;
use crate::error::Reported;
use crate::{balance, board, emulator};
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::Command;
use tealight_balance::push::Push;
use tealight_balance::scenario::{Scenario, TWO_PUSHES, periods};

/// What to simulate.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[command(subcommand)]
    robot: Robot,
}

#[derive(Debug, Subcommand)]
enum Robot {
    /// A robot that balances on two wheels, with two networks: its policy, and `gesture` in slices beside it
    Balance(BalanceArgs),
}

/// How to run the balancing robot.
#[derive(Debug, Args)]
struct BalanceArgs {
    /// Simulated seconds [default: 10, or with `--live` an hour]
    #[arg(long)]
    seconds: Option<u32>,
    /// Seed of the sensors' offsets and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pushes: START:NEWTONS:DURATION, times in milliseconds, separated by commas [default: 2000:6:100,5000:-9:100; none
    /// with `--live` or `--pushes`]
    #[arg(long, value_name = "SCRIPT", allow_hyphen_values = true)]
    push: Option<String>,
    /// A file of pushes, one a line as for `--push`
    #[arg(long, value_name = "FILE", conflicts_with = "boards")]
    pushes: Option<PathBuf>,
    /// Multiply-accumulates of the second network in a control period
    #[arg(long, default_value_t = 20_000)]
    budget: u64,
    /// Shows the run in the terminal as it happens, and takes pushes by the arrow keys
    #[arg(long, conflicts_with_all = ["json", "boards"])]
    live: bool,
    /// With `--live`: how many times real time [default: 1]
    #[arg(long, value_name = "TIMES", requires = "live")]
    speed: Option<f64>,
    /// With `--live`: the force of a key's push in N [default: 4]
    #[arg(long, value_name = "N", requires = "live")]
    newtons: Option<f32>,
    /// Folder for the page `balance.html`, the recording `balance.mcap` and the script `pushes.txt`
    #[arg(long)]
    output: Option<PathBuf>,
    /// Runs the same on these emulated boards, world and all, and compares the trajectories
    #[arg(long = "board", value_name = "BOARD", conflicts_with = "output")]
    boards: Vec<String>,
    /// With `--board`: the boards run the app alone, and this machine the world, at the other end of each board's wire
    #[arg(long, requires = "boards")]
    wire: bool,
    /// Prints one JSON value instead of text
    #[arg(long)]
    json: bool,
}

/// The run that all boards repeat in tests: three seconds with a push, in which the second network runs for one of its
/// windows.
pub fn tested() -> Result<Scenario> {
    scenario(3, 1, 20_000, &[Push { at_ms: 1_000, newtons: 6.0, ms: 100 }])
}

fn scenario(seconds: u32, seed: u64, budget: u64, pushes: &[Push]) -> Result<Scenario> {
    let periods = periods(seconds).context("the run is too long")?;
    Scenario::new(seed, periods, budget, pushes).context("there are too many pushes")
}

/// Simulates a robot.
///
/// # Errors
/// The program does not build, or it has reported an error: among others, that the robot has fallen.
pub fn simulate(context: &Context, args: &SimulateArgs) -> Result<()> {
    let Robot::Balance(args) = &args.robot;
    if !args.boards.is_empty() {
        return on_boards(context, args);
    }
    let program = context.build_program("tealight-simulate", "two minutes")?;
    let mut command = Command::new(program);
    command.arg("--models").arg(context.root.join("models"));
    command.args(["--seed", &args.seed.to_string(), "--budget", &args.budget.to_string()]);
    let options = [
        ("seconds", args.seconds.map(|seconds| seconds.to_string())),
        ("push", args.push.clone()),
        ("speed", args.speed.map(|times| times.to_string())),
        ("newtons", args.newtons.map(|newtons| newtons.to_string())),
    ];
    for (name, value) in options {
        command.args(value.map(|value| format!("--{name}={value}")));
    }
    if let Some(pushes) = &args.pushes {
        command.arg("--pushes").arg(pushes);
    }
    if args.live {
        command.arg("--live");
    }
    if let Some(output) = &args.output {
        command.arg("--output").arg(output);
    }
    if args.json {
        command.arg("--json");
    }
    let status = command.status().context("cannot start the simulation")?;
    if status.success() { Ok(()) } else { Err(Reported(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)).into()) }
}

/// Runs the robot on boards.
fn on_boards(context: &Context, args: &BalanceArgs) -> Result<()> {
    let pushes = match &args.push {
        Some(script) => script.split(',').map(str::parse).collect::<Result<Vec<Push>, _>>()?,
        None => TWO_PUSHES.to_vec(),
    };
    let scenario = scenario(args.seconds.unwrap_or(10), args.seed, args.budget, &pushes)?;
    let find = |id: &String| {
        let board = board::find_running(&context.root, id)?;
        emulator::ensure_board(context, &board)?;
        anyhow::Ok(board)
    };
    let boards = args.boards.iter().map(find).collect::<Result<Vec<_>>>()?;
    let world = if args.wire { World::OverWire } else { World::OnBoard };
    let runs = balance::on_boards(context, &boards, &scenario, world)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&runs)?);
    } else {
        balance::print(&runs, world);
    }
    Ok(())
}
