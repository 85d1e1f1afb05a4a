//! Simulates the balancing robot on this machine: the app of `tealight-balance` with its two networks, faster than real
//! time, and records the run as a page and as an MCAP file. `cargo xtask simulate` calls it.

mod page;
mod recording;
mod trace;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tealight_balance::estimate::PERIOD_US;
use tealight_balance::push::Push;
use tealight_balance::run::Summary;
use tealight_balance::scenario::{TWO_PUSHES, periods};
use trace::Trace;

/// Simulates the balancing robot, and records the run
#[derive(Debug, Parser)]
#[command(name = "tealight-simulate")]
struct Arguments {
    /// Folder of the models: those of `balance` and `gesture` are used
    #[arg(long)]
    models: PathBuf,
    /// Simulated seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Seed of the sensors' offsets and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A push: START:NEWTONS:DURATION, times in milliseconds; may be given more than once, or separated by commas
    /// [default: 2000:6:100,5000:-9:100]
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    push: Vec<Push>,
    /// Multiply-accumulates of the second network in a control period
    #[arg(long, default_value_t = 20_000)]
    budget: u64,
    /// Folder for `balance.html` and `balance.mcap`
    #[arg(long)]
    output: Option<PathBuf>,
    /// Prints one JSON value instead of text
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match simulate(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs, writes the files, and prints the result.
fn simulate(arguments: &Arguments) -> Result<()> {
    let pushes = if arguments.push.is_empty() { TWO_PUSHES.to_vec() } else { arguments.push.clone() };
    let begun = Instant::now();
    let run = trace::Run {
        seed: arguments.seed,
        periods: periods(arguments.seconds).context("the run is too long")?,
        pushes: &pushes,
        budget: arguments.budget,
    };
    let read = |name: &str| {
        let file = arguments.models.join(name).join(format!("{name}.safetensors"));
        std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let trace = run.trace(&read("balance")?, &read("gesture")?)?;
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(folder) = &arguments.output {
        write(folder, &trace)?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&trace.summary))?);
    } else {
        print!("{}", as_text(arguments, &trace, seconds));
    }
    ensure!(!trace.summary.fallen, "the robot has fallen: push it less (`--push`)");
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
    save("balance.mcap", &recording::recording(trace)?)
}

fn as_json(summary: &Summary) -> serde_json::Value {
    json!({
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

fn as_text(arguments: &Arguments, trace: &Trace, seconds: f64) -> String {
    let summary = &trace.summary;
    let simulated = f64::from(arguments.seconds);
    let mut text = format!(
        "{simulated} s simulated in {seconds:.2} s\n{}, at most {:.1}° from upright, {:+.2} m from its start\n\
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
        text += &format!("written: balance.html and balance.mcap in {}\n", folder.display());
    }
    text
}
