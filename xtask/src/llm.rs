//! `cargo xtask llm`: a language model of 135 million weights, from its GGUF file to text.
//!
//! The same text is made by Tealight, by Tealight with Candle's kernels, and by Candle's own quantized llama, each in a
//! process of its own; then by Tealight built for Arm, under QEMU on an old core and a new one. The task fails where the
//! texts or the scores differ by more than they may, and tables speed and memory.

use crate::context::{Context, run_quietly};
use crate::linux::LinuxBoard;
use crate::progress::Progress;
use crate::run::thousands;
use crate::{fetch, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use comfy_table::CellAlignment;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use xshell::cmd;

/// What to make, and where.
#[derive(Debug, Args)]
pub struct LlmArgs {
    /// The text to continue
    #[arg(long, default_value = PROMPT)]
    pub prompt: String,
    /// Tokens to make
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..))]
    pub tokens: u32,
    /// Tokens to make on the emulated processors
    #[arg(long, default_value_t = 4)]
    pub emulated_tokens: u32,
    /// Runs of each kind, of which the fastest counts
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Prints one JSON value instead of text
    #[arg(long)]
    pub json: bool,
}

/// A text to continue.
const PROMPT: &str = "The three primary colours are red, yellow and";

/// The model, by its name in `models/data.toml`.
const MODEL: &str = "smollm2";

/// How far a score may lie from Candle's, as a share of the range of a position's scores.
///
/// Both turn the activations of each product into 8-bit numbers, 32 at a time, by their greatest. Sums before that are added
/// up in another order, so a last bit differs, and now and then tips a rounding by one of 127 steps. Through 30 layers such
/// tips add up like noise.
const TOLERANCE: f64 = 0.02;

/// Where the same program runs again, built for Arm.
const BOARD: &str = "linux-aarch64";

/// What `tealight generate --json` reports, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Generated {
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    text: String,
    prompt_rate: f64,
    answer_rate: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

/// What Candle's own program reports.
#[derive(Debug, Deserialize)]
struct Spoken {
    tokens: Vec<u32>,
    prompt_seconds: f64,
    answer_seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// How far the scores agree with Candle's.
#[derive(Debug, Deserialize, Serialize)]
struct Compared {
    positions: usize,
    worst: f64,
    same_choice: usize,
}

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    prompt: String,
    text: String,
    gguf_bytes: u64,
    model_bytes: u64,
    arena_bytes: u64,
    speeds: Vec<Speed>,
    /// Tokens a second of Tealight with Candle's kernels over those of Candle, both on all threads.
    ratio: f64,
    scores: Compared,
    emulated: Vec<Emulated>,
}

/// How fast one of them was, and what memory it took.
#[derive(Debug, Serialize)]
struct Speed {
    who: &'static str,
    threads: usize,
    /// Tokens a second.
    prompt_rate: f64,
    answer_rate: f64,
    peak_memory_bytes: Option<u64>,
}

/// A run on an emulated processor: it gave the same text.
#[derive(Debug, Serialize)]
struct Emulated {
    processor: String,
    text: String,
}

impl Default for LlmArgs {
    /// What CI makes: the defaults of the command line, once each.
    fn default() -> Self {
        Self { prompt: PROMPT.into(), tokens: 32, emulated_tokens: 4, runs: 1, json: false }
    }
}

/// What has been built and fetched.
struct Files {
    gguf: PathBuf,
    model: PathBuf,
    tealight: PathBuf,
    candle: PathBuf,
}

/// Runs the task.
///
/// # Errors
/// Something is missing and cannot be had, or the texts or scores differ.
pub fn llm(context: &Context, args: &LlmArgs) -> Result<()> {
    let gguf = fetch::gguf(context, MODEL)?;
    let release = context.root.join("target/release");
    let model = context.cache().join("models").join(format!("{MODEL}.safetensors"));
    let files = Files { gguf, model, tealight: release.join("tealight"), candle: release.join("candle-llama") };
    build(context)?;
    let arena_bytes = compile(&files)?;

    let (mut speeds, generated) = speeds(args, &files)?;
    let list = list(&generated.prompt_tokens);
    let progress = Progress::start("comparing scores with Candle's");
    let mut compare = Command::new(&files.candle);
    compare.arg("compare").args([&files.gguf, &files.model]);
    let scores: Compared = read(compare.args(["--prompt", &list, "--count", &args.tokens.to_string()]))?;
    if scores.worst > TOLERANCE {
        let worst = 100.0 * scores.worst;
        bail!("a score differs from Candle's by {worst:.2} % of their range; {:.2} % is allowed", 100.0 * TOLERANCE);
    }
    progress.done(&format!("at most {:.3} % of their range apart", 100.0 * scores.worst));
    let emulated = emulate(context, args, &files, &generated)?;

    let rate = |who: &str| speeds.iter().filter(|speed| speed.who == who).map(|s| s.answer_rate).fold(0.0, f64::max);
    let ratio = rate(WITH_CANDLE) / rate(CANDLE);
    speeds.sort_by(|a, b| (a.threads, a.who).cmp(&(b.threads, b.who)));
    let len = |file: &Path| std::fs::metadata(file).map(|metadata| metadata.len());
    let report = Report {
        prompt: args.prompt.clone(),
        text: generated.text,
        gguf_bytes: len(&files.gguf)?,
        model_bytes: len(&files.model)?,
        arena_bytes,
        speeds,
        ratio,
        scores,
        emulated,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

/// Builds `tealight` with Candle's kernels, and Candle's own program.
fn build(context: &Context) -> Result<()> {
    let (shell, cargo) = (&context.shell, context.cargo());
    let progress = Progress::start("building tealight and Candle's llama, which takes minutes the first time");
    let packages = ["--package", "tealight-cli", "--package", "tealight-llama-tests"];
    run_quietly(cmd!(shell, "{cargo} build --release {packages...} --features tealight-cli/candle"))?;
    progress.done("");
    Ok(())
}

/// Compiles the model; gives the bytes of its arena.
fn compile(files: &Files) -> Result<u64> {
    #[derive(Deserialize)]
    struct Compiled {
        arena_bytes: u64,
    }
    let progress = Progress::start("compiling the GGUF file");
    let mut compile = Command::new(&files.tealight);
    compile.arg("compile").arg(&files.gguf).arg("--output").arg(&files.model).args(["--name", MODEL, "--json"]);
    let compiled: Compiled = read(&mut compile)?;
    progress.done("");
    Ok(compiled.arena_bytes)
}

const TEALIGHT: &str = "Tealight";
const WITH_CANDLE: &str = "Tealight, Candle's kernels";
const CANDLE: &str = "Candle's quantized llama";

/// Lets each of them make the text, which must be the same.
fn speeds(args: &LlmArgs, files: &Files) -> Result<(Vec<Speed>, Generated)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Progress::start(format!("making {} tokens, alone and beside Candle", args.tokens));
    let generated = generate(args, files, "tealight", 1)?;
    let prompt = &list(&generated.prompt_tokens);
    let mut speeds = vec![generated.speed(TEALIGHT, 1)];
    // In turns, so that what slows the machine down for a while slows all of them down.
    for _ in 0..args.runs {
        speeds.push(generate(args, files, "tealight", 1)?.speed(TEALIGHT, 1));
        for threads in if cores == 1 { vec![1] } else { vec![1, cores] } {
            let other = generate(args, files, "candle", threads)?;
            let own = speak(args, files, prompt, threads)?;
            for (who, tokens) in [(WITH_CANDLE, &other.tokens), (CANDLE, &own.tokens)] {
                if *tokens != generated.tokens {
                    bail!("{who} made {tokens:?} instead of {:?}, {:?}", generated.tokens, generated.text);
                }
            }
            speeds.push(other.speed(WITH_CANDLE, threads));
            speeds.push(own.speed(CANDLE, threads, generated.prompt_tokens.len()));
        }
    }
    progress.done("all made the same text");
    // The fastest run of each, and the memory of any: it hardly differs.
    speeds.sort_by(|a, b| b.answer_rate.total_cmp(&a.answer_rate));
    let mut kept: Vec<Speed> = Vec::new();
    for speed in speeds {
        if !kept.iter().any(|other| (other.who, other.threads) == (speed.who, speed.threads)) {
            kept.push(speed);
        }
    }
    Ok((kept, generated))
}

/// Tokens as Candle's program takes them.
fn list(tokens: &[u32]) -> String {
    tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn generate(args: &LlmArgs, files: &Files, engine: &str, threads: usize) -> Result<Generated> {
    let mut command = on_threads(&files.tealight, threads);
    command.arg("generate").arg(&files.model).args(["--prompt", &args.prompt, "--engine", engine, "--json"]);
    read(command.args(["--max-tokens", &args.tokens.to_string()]))
}

fn speak(args: &LlmArgs, files: &Files, prompt: &str, threads: usize) -> Result<Spoken> {
    let mut command = on_threads(&files.candle, threads);
    command.arg("speak").arg(&files.gguf).args(["--prompt", prompt, "--count", &args.tokens.to_string()]);
    read(&mut command)
}

/// Candle has a pool of threads of its own and rayon's; this sets both.
fn on_threads(program: &Path, threads: usize) -> Command {
    let mut command = Command::new(program);
    for pool in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        command.env(pool, threads.to_string());
    }
    command
}

impl Generated {
    fn speed(&self, who: &'static str, threads: usize) -> Speed {
        let (prompt_rate, answer_rate) = (self.prompt_rate, self.answer_rate.unwrap_or_default());
        Speed { who, threads, prompt_rate, answer_rate, peak_memory_bytes: self.peak_memory_bytes }
    }
}

impl Spoken {
    fn speed(&self, who: &'static str, threads: usize, prompt: usize) -> Speed {
        // The first token comes with the prompt.
        let answer_rate = (self.tokens.len() - 1) as f64 / self.answer_seconds;
        let prompt_rate = prompt as f64 / self.prompt_seconds;
        Speed { who, threads, prompt_rate, answer_rate, peak_memory_bytes: self.peak_memory_bytes }
    }
}

/// Runs the same program, built for Arm, under QEMU: the text must begin in the same way.
fn emulate(context: &Context, args: &LlmArgs, files: &Files, generated: &Generated) -> Result<Vec<Emulated>> {
    let board = LinuxBoard::find(&context.root, BOARD)?.with_context(|| format!("there is no board {BOARD}"))?;
    board.ensure(context)?;
    let progress = Progress::start(format!("building tealight for {}", board.target));
    let tealight = board.build(context, "tealight-cli", "tealight")?;
    progress.done("");
    let count = args.emulated_tokens.clamp(1, args.tokens).to_string();
    let mut emulated = Vec::new();
    for processor in &board.emulator.cpus {
        let progress = Progress::start(format!("making {count} tokens on an emulated {processor}"));
        let mut command = board.command(&tealight, processor);
        command.arg("generate").arg(&files.model).args(["--prompt", &args.prompt, "--max-tokens", &count, "--json"]);
        let made: Generated = read(&mut command)?;
        if !generated.tokens.starts_with(&made.tokens) {
            bail!("{processor} made {:?}, this machine {:?}", made.text, generated.text);
        }
        progress.done("the same text");
        emulated.push(Emulated { processor: processor.clone(), text: made.text });
    }
    Ok(emulated)
}

/// Runs a command that prints one JSON value.
fn read<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.output().with_context(|| format!("cannot start `{command:?}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}):\n{}", output.status, said.trim_end());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("`{command:?}` printed no report"))
}

fn print(report: &Report) {
    println!("{}{}\n", report.prompt, report.text);
    let mut table = table::table();
    table.set_header(["", "threads", "prompt tokens/s", "tokens/s", "peak memory B"]);
    for speed in &report.speeds {
        let memory = speed.peak_memory_bytes.map_or_else(|| "unknown".into(), thousands);
        let [prompt, answer] = [speed.prompt_rate, speed.answer_rate].map(|rate| format!("{rate:.1}"));
        table.add_row([speed.who.to_string(), speed.threads.to_string(), prompt, answer, memory]);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    println!("{table}\n");
    println!("with Candle's kernels, Tealight is {:.2} times as fast as Candle's own", report.ratio);
    let Compared { positions, worst, same_choice } = report.scores;
    let worst = 100.0 * worst;
    println!(
        "scores: at most {worst:.3} % of their range from Candle's; the same choice at {same_choice} of {positions}"
    );
    for Emulated { processor, text } in &report.emulated {
        println!("{processor} (QEMU): the same text, \"{}\"", text.trim());
    }
    let [gguf, model, arena] = [report.gguf_bytes, report.model_bytes, report.arena_bytes].map(thousands);
    println!("the GGUF file has {gguf} B, the compiled file {model} B, its memory {arena} B");
}
