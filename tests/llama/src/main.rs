//! Runs a language model with Candle, or with Candle and Tealight side by side. `cargo xtask llm` calls it.

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tealight::{ALL_OPS, Block, Model, Session};
use tealight_llama_tests::{Candle, difference, greatest, read};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Continues a text with Candle alone; reports in JSON
    Speak {
        gguf: PathBuf,
        /// The tokens of the text
        #[arg(long, value_delimiter = ',', required = true)]
        prompt: Vec<u32>,
        /// Tokens to make
        #[arg(long)]
        count: usize,
    },
    /// Compares the scores after each token with those of the compiled model; reports in JSON
    Compare {
        gguf: PathBuf,
        model: PathBuf,
        #[arg(long, value_delimiter = ',', required = true)]
        prompt: Vec<u32>,
        /// Tokens that Candle makes, and both read
        #[arg(long)]
        count: usize,
    },
}

/// A text that Candle made.
#[derive(Serialize)]
struct Spoken {
    tokens: Vec<u32>,
    prompt_seconds: f64,
    answer_seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// How far two engines agree.
#[derive(Serialize)]
struct Compared {
    positions: usize,
    /// The greatest difference of a score, as a share of the range of the position's scores.
    worst: f32,
    /// Positions at which both would have gone on with the same token.
    same_choice: usize,
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Speak { gguf, prompt, count } => {
            let mut candle = load(&gguf)?;
            let start = Instant::now();
            let mut scores = candle.read(&prompt)?;
            let prompt_seconds = start.elapsed().as_secs_f64();
            let start = Instant::now();
            let mut tokens = vec![greatest(&scores)];
            while tokens.len() < count {
                scores = candle.read(&tokens[tokens.len() - 1..])?;
                tokens.push(greatest(&scores));
            }
            let answer_seconds = start.elapsed().as_secs_f64();
            print(&Spoken { tokens, prompt_seconds, answer_seconds, peak_memory_bytes: peak_memory() })
        }
        Task::Compare { gguf, model, prompt, count } => print(&compare(load(&gguf)?, &model, prompt, count)?),
    }
}

fn compare(mut candle: Candle, model: &Path, mut text: Vec<u32>, count: usize) -> Result<Compared> {
    let file = std::fs::read(model).with_context(|| format!("cannot read {}", model.display()))?;
    let mut bytes = vec![Block::ZERO; Block::count(file.len())];
    let bytes = &mut Block::bytes_mut(&mut bytes)[..file.len()];
    bytes.copy_from_slice(&file);
    let model = Model::parse(bytes)?;
    let mut memory = vec![Block::ZERO; Block::count(model.arena_len())];
    let mut session = Session::<ALL_OPS>::load(&model, Block::bytes_mut(&mut memory))?;
    let mut compared = Compared { positions: 0, worst: 0.0, same_choice: 0 };
    let end = text.len() + count;
    while compared.positions < end {
        let token = text[compared.positions];
        let (theirs, ours) = (candle.read(&[token])?, read(&mut session, token)?);
        compared.positions += 1;
        compared.worst = compared.worst.max(difference(&theirs, &ours));
        compared.same_choice += usize::from(greatest(&theirs) == greatest(&ours));
        if compared.positions == text.len() {
            text.push(greatest(&theirs));
        }
    }
    Ok(compared)
}

fn load(gguf: &Path) -> Result<Candle> {
    let file = File::open(gguf).with_context(|| format!("cannot read {}", gguf.display()))?;
    Candle::load(BufReader::new(file))
}

/// Linux's `VmHWM` of this process, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn print(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}
