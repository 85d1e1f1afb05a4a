//! Simulates the balancing robot on this machine: the app of `tealight-balance` with its two networks, faster than real
//! time, and records the run as a page and as an MCAP file. `cargo xtask simulate` calls it.

mod live;
mod page;
mod recording;
mod script;
mod terminal;
mod trace;
mod view;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use live::Live;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tealight_balance::estimate::PERIOD_US;
use tealight_balance::push::Push;
use tealight_balance::scenario::{TWO_PUSHES, periods};
use terminal::Terminal;
use trace::{Models, Trace};

/// Simulates the balancing robot, and records the run
#[derive(Debug, Parser)]
#[command(name = "tealight-simulate")]
struct Arguments {
    /// Folder of the models: those of `balance` and `gesture` are used
    #[arg(long)]
    models: PathBuf,
    /// Simulated seconds [default: 10, or with `--live` an hour]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=HOUR))]
    seconds: Option<u32>,
    /// Seed of the sensors' offsets and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A push: START:NEWTONS:DURATION, times in milliseconds; may be given more than once, or separated by commas
    /// [default: 2000:6:100,5000:-9:100, or none with `--live` or `--pushes`]
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    push: Vec<Push>,
    /// A file of pushes, one a line
    #[arg(long, value_name = "FILE")]
    pushes: Option<PathBuf>,
    /// Multiply-accumulates of the second network in a control period
    #[arg(long, default_value_t = 20_000)]
    budget: u64,
    /// Shows the run in the terminal as it happens, and takes pushes by the arrow keys
    #[arg(long, conflicts_with = "json")]
    live: bool,
    /// With `--live`: how many times real time
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = times, requires = "live")]
    speed: f64,
    /// With `--live`: the force of a key's push in N
    #[arg(long, value_name = "N", default_value_t = 4.0, value_parser = force, requires = "live")]
    newtons: f32,
    /// Folder for `balance.html`, `balance.mcap` and `pushes.txt`
    #[arg(long)]
    output: Option<PathBuf>,
    /// Prints one JSON value instead of text
    #[arg(long)]
    json: bool,
}

/// The most simulated seconds.
const HOUR: i64 = 3_600;

fn times(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.01..=1000.0).contains(number));
    number.ok_or_else(|| "not a number from 0.01 to 1000".into())
}

fn force(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|number| *number > 0.0 && *number <= 100.0);
    number.ok_or_else(|| "not a number of newtons from 0 to 100".into())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = match arguments.live.then(Terminal::take).transpose() {
        Ok(terminal) => terminal,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match simulate(&arguments, terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs, writes the files, and prints the result.
fn simulate(arguments: &Arguments, terminal: Option<Terminal>) -> Result<()> {
    let mut pushes = arguments.push.clone();
    if let Some(file) = &arguments.pushes {
        pushes.extend(script::read(file)?);
    } else if pushes.is_empty() && !arguments.live {
        pushes = TWO_PUSHES.to_vec();
    }
    let seconds = arguments.seconds.unwrap_or(if arguments.live { HOUR as u32 } else { 10 });
    let run = trace::Run {
        seed: arguments.seed,
        periods: periods(seconds).context("the run is too long")?,
        pushes,
        budget: arguments.budget,
    };
    let models = Models::read(&arguments.models)?;
    let begun = Instant::now();
    let trace = match terminal {
        Some(terminal) => Live { speed: arguments.speed, newtons: arguments.newtons }.run(&run, &models, terminal)?,
        None => run.trace(&models)?,
    };
    let taken = begun.elapsed().as_secs_f64();
    if let Some(folder) = &arguments.output {
        write(folder, &trace)?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&trace))?);
    } else {
        print!("{}", as_text(arguments, &trace, taken));
    }
    ensure!(!trace.summary.fallen, "the robot has fallen: push it less");
    Ok(())
}

/// Writes the page and the recording.
fn write(folder: &Path, trace: &Trace) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let save = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    };
    save("balance.html", page::page(trace).as_bytes())?;
    save("pushes.txt", script::text(&trace.pushes).as_bytes())?;
    save("balance.mcap", &recording::recording(trace)?)
}

/// Simulated seconds.
fn simulated(trace: &Trace) -> f64 {
    f64::from(trace.summary.periods) * PERIOD_US as f64 / 1e6
}

fn as_json(trace: &Trace) -> serde_json::Value {
    let summary = &trace.summary;
    json!({
        "seconds": simulated(trace),
        "seed": trace.seed,
        "pushes": trace.pushes.iter().map(Push::to_string).collect::<Vec<_>>(),
        "periods": summary.periods,
        "fallen": summary.fallen,
        "largest_angle": summary.largest_angle,
        "position": summary.position,
        "missed_periods": summary.missed,
        "longest_busy_us": summary.longest_busy,
        "inferences": summary.inferences,
        "digest": format!("{:016x}", summary.digest),
    })
}

fn as_text(arguments: &Arguments, trace: &Trace, taken: f64) -> String {
    let summary = &trace.summary;
    let simulated = simulated(trace);
    let mut text = format!(
        "{simulated} s simulated in {taken:.2} s\n{}, at most {:.1}° from upright, {:+.2} m from its start\n\
         {} periods of {} ms, {} of them began late, at most {:.2} ms of work in one\n\
         {} inferences of the second network beside them\ntrajectory {:016x}\n",
        if summary.fallen { "fallen" } else { "upright" },
        summary.largest_angle.to_degrees(),
        summary.position,
        summary.periods,
        PERIOD_US / 1000,
        summary.missed,
        f64::from(summary.longest_busy) / 1000.0,
        summary.inferences,
        summary.digest,
    );
    if summary.missed > 0 {
        text += "the loop misses its period: give the second network a smaller `--budget`\n";
    }
    if let Some(folder) = &arguments.output {
        text += &format!("written: balance.html, balance.mcap and pushes.txt in {}\n", folder.display());
    }
    if arguments.live {
        let pushes = trace.pushes.iter().map(Push::to_string).collect::<Vec<_>>().join(",");
        // A push that does nothing, where there was none: without any, the run has its usual ones.
        let pushes = if pushes.is_empty() { "0:0:0".into() } else { pushes };
        let (seed, budget) = (arguments.seed, arguments.budget);
        text += &format!(
            "the same again: cargo xtask simulate balance --seconds {simulated} --seed {seed} --budget {budget} \
             --push={pushes}\n"
        );
    }
    text
}
