//! `cargo xtask llm`: a language model of 135 million weights, from its GGUF file to text.
//!
//! The same text is made by Tealight, by Tealight with Candle's kernels, and by Candle's own quantized llama, each in a
//! process of its own; then by Tealight built for Arm, under QEMU on an old core and a new one. The task fails where the
//! texts or the scores differ by more than they may, and tables speed and memory.

use crate::board::LinuxBoard;
use crate::context::{Context, run_quietly};
use crate::limit;
use crate::linux::{self, OnLinux as _};
use crate::progress::Progress;
use crate::{fetch, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use comfy_table::CellAlignment;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use tealight_cli::grouped;
use tealight_tests::language::{Compared, Spoken};
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
    /// Threads of Candle's kernels
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub threads: usize,
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
/// Tealight and Candle both turn the activations of each product into 8-bit numbers, 32 at a time. That alone moves scores
/// by up to 3.6 % of their range, 0.6 % in the mean square, away from what the same weights give with exact activations
/// (Candle's, with all weights turned to f32). Sums before a rounding are added up in another order, so a last bit tips one
/// now and then, and 30 layers make another noise of it, of the same size. So the two engines may lie as far apart as each
/// lies from the exact scores, and Tealight must lie as near to those as Candle does.
const TOLERANCE: f64 = 0.06;
/// How much farther from the exact scores than Candle's, in the mean square, Tealight's may be, and from Candle's.
const SAME_NOISE: f64 = 1.25;

/// Tokens that all must choose alike at the start. Further on, a text comes to two tokens whose scores lie nearer to each
/// other than that noise, and from there on the texts differ.
const ALIKE: usize = 16;

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

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    prompt: String,
    text: String,
    gguf_bytes: u64,
    model_bytes: u64,
    arena_bytes: u64,
    speeds: Vec<Speed>,
    /// Tokens a second of Tealight with Candle's kernels over those of Candle, on as many threads.
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
    /// Tokens before the first that differs from Tealight's.
    same_tokens: usize,
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
        Self { prompt: PROMPT.into(), tokens: 32, emulated_tokens: 4, threads: 1, runs: 1, json: false }
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
    let scores = scores(args, &files, &generated)?;
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

/// Builds `tealight`, and the program that runs Candle's llama, and Tealight with Candle's kernels.
fn build(context: &Context) -> Result<()> {
    let (shell, cargo) = (&context.shell, context.cargo());
    let progress = Progress::start("building tealight and Candle's llama, which takes minutes the first time");
    // One after the other: together they would share features, and Candle would be built once more for these.
    for package in ["tealight-cli", "tealight-llama-tests"] {
        run_quietly(cmd!(shell, "{cargo} build --release --package {package}"))?;
    }
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
    let progress = Progress::start(format!("making {} tokens, alone and beside Candle", args.tokens));
    let generated = generate(args, files)?;
    let prompt = &list(&generated.prompt_tokens);
    let mut speeds = vec![generated.speed(TEALIGHT, 1)];
    // In turns, so that what slows the machine down for a while slows all of them down.
    for _ in 0..args.runs {
        speeds.push(generate(args, files)?.speed(TEALIGHT, 1));
        for who in [WITH_CANDLE, CANDLE] {
            let spoken = speak(args, files, who, prompt)?;
            let speed = speed(&spoken, who, args.threads, &generated);
            if speed.same_tokens < ALIKE.min(generated.tokens.len()) {
                let (theirs, ours) = (&spoken.tokens, &generated.tokens);
                bail!("{who} made {theirs:?} instead of {ours:?}, {:?}", generated.text);
            }
            speeds.push(speed);
        }
    }
    progress.done(&format!("the same text, for {ALIKE} tokens at least"));
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

/// Compares the scores after each token of the text with Candle's.
fn scores(args: &LlmArgs, files: &Files, generated: &Generated) -> Result<Compared> {
    let progress = Progress::start("comparing scores with Candle's");
    // The last token is not read: it would be the next position.
    let tokens = &generated.tokens[..generated.tokens.len().saturating_sub(1)];
    let text = list(&[&generated.prompt_tokens, tokens].concat());
    let folder = tempfile::tempdir()?;
    let [candle, exact] = ["candle", "exact"].map(|name| folder.path().join(name));
    for (output, dequantize) in [(&candle, "0"), (&exact, "1")] {
        let mut command = on_threads(&files.candle, args.threads);
        command.arg("scores").arg(&files.gguf).args(["--text", &text]).arg("--output").arg(output);
        succeed(command.env("CANDLE_DEQUANTIZE_ALL", dequantize))?;
    }
    let mut command = Command::new(&files.candle);
    command.arg("compare").arg(&files.model).args(["--text", &text]);
    let compared: Compared = read(command.arg("--candle").arg(candle).arg("--exact").arg(exact))?;
    let Compared { tealight_candle, tealight_exact, candle_exact, .. } = compared;
    if tealight_candle.worst > TOLERANCE {
        let [worst, allowed] = [tealight_candle.worst, TOLERANCE].map(|share| 100.0 * share);
        bail!("a score differs from Candle's by {worst:.1} % of their range; {allowed:.1} % is allowed");
    }
    let allowed = SAME_NOISE * candle_exact.rms;
    if tealight_exact.rms > allowed || tealight_candle.rms > allowed {
        bail!("the scores are farther from the exact ones than Candle's: {compared:?}");
    }
    progress.done("as near to the exact ones as Candle's");
    Ok(compared)
}

/// Tokens as Candle's program takes them.
fn list(tokens: &[u32]) -> String {
    tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn generate(args: &LlmArgs, files: &Files) -> Result<Generated> {
    let mut command = Command::new(&files.tealight);
    command.arg("generate").arg(&files.model).args(["--prompt", &args.prompt, "--json"]);
    read(command.args(["--max-tokens", &args.tokens.to_string()]))
}

fn speak(args: &LlmArgs, files: &Files, who: &'static str, prompt: &str) -> Result<Spoken> {
    let mut command = on_threads(&files.candle, args.threads);
    match who {
        CANDLE => command.arg("speak").arg(&files.gguf),
        _ => command.arg("mapped").arg(&files.model),
    };
    read(command.args(["--prompt", prompt, "--count", &args.tokens.to_string()]))
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
        let same_tokens = self.tokens.len();
        Speed { who, threads, prompt_rate, answer_rate, peak_memory_bytes: self.peak_memory_bytes, same_tokens }
    }
}

fn speed(spoken: &Spoken, who: &'static str, threads: usize, tealight: &Generated) -> Speed {
    // The first token comes with the prompt.
    let answer_rate = (spoken.tokens.len() - 1) as f64 / spoken.answer_seconds;
    let prompt_rate = tealight.prompt_tokens.len() as f64 / spoken.prompt_seconds;
    let same_tokens = spoken.tokens.iter().zip(&tealight.tokens).take_while(|(a, b)| a == b).count();
    Speed { who, threads, prompt_rate, answer_rate, peak_memory_bytes: spoken.peak_memory_bytes, same_tokens }
}

/// Runs the same program, built for Arm, under QEMU: the text must begin in the same way.
fn emulate(context: &Context, args: &LlmArgs, files: &Files, generated: &Generated) -> Result<Vec<Emulated>> {
    let board = LinuxBoard::find(&context.root, BOARD)?.with_context(|| format!("there is no board {BOARD}"))?;
    board.ensure(context)?;
    let tealight = linux::build_program(context, &board)?;
    let count = args.emulated_tokens.clamp(1, args.tokens).to_string();
    let mut emulated = Vec::new();
    for processor in &board.emulator.cpus {
        let progress = Progress::start(format!("making {count} tokens on an emulated {processor}"));
        let mut command = board.command(&tealight, processor);
        command.arg("generate").arg(&files.model).args(["--prompt", &args.prompt, "--max-tokens", &count, "--json"]);
        let made: Generated = serde_json::from_slice(&limit::succeed(&mut command, linux::EMULATED)?)
            .with_context(|| format!("`{command:?}` printed no report"))?;
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
    serde_json::from_slice(&succeed(command)?).with_context(|| format!("`{command:?}` printed no report"))
}

/// Runs a command; gives what it printed.
fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start `{command:?}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(output.stdout)
}

fn print(report: &Report) {
    println!("{}{}\n", report.prompt, report.text);
    let mut table = table::table();
    table.set_header(["", "threads", "prompt tokens/s", "tokens/s", "peak memory B", "same tokens"]);
    for speed in &report.speeds {
        let memory = speed.peak_memory_bytes.map_or_else(|| "unknown".into(), grouped);
        let [prompt, answer] = [speed.prompt_rate, speed.answer_rate].map(|rate| format!("{rate:.1}"));
        table.add_row([
            speed.who.to_string(),
            speed.threads.to_string(),
            prompt,
            answer,
            memory,
            speed.same_tokens.to_string(),
        ]);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    println!("{table}\n");
    println!("with Candle's kernels, Tealight is {:.2} times as fast as Candle's own", report.ratio);
    let Compared { positions, same_choice, tealight_candle, tealight_exact, candle_exact } = report.scores;
    println!("scores at {positions} positions, as shares of their range (worst, root of mean square):");
    for (what, difference) in [
        ("Tealight to Candle", tealight_candle),
        ("Tealight to exact", tealight_exact),
        ("Candle to exact", candle_exact),
    ] {
        println!("  {what:<20} {:.2} %  {:.2} %", 100.0 * difference.worst, 100.0 * difference.rms);
    }
    println!("  the same choice of Tealight and Candle at {same_choice}");
    for Emulated { processor, text } in &report.emulated {
        println!("{processor} (QEMU): the same text, \"{}\"", text.trim());
    }
    let [gguf, model, arena] = [report.gguf_bytes, report.model_bytes, report.arena_bytes].map(grouped);
    println!("the GGUF file has {gguf} B, the compiled file {model} B, its memory {arena} B");
}
