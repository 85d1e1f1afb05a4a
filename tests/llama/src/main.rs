//! Runs a language model with Candle, or with Candle and Tealight side by side. `cargo xtask llm` calls it.

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tealight_candle::{EngineChoice, Mapped};
use tealight_llama_tests::{Candle, argmax, read};
use tealight_tests::language::{Compared, Difference, Spoken};

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
        /// The number of tokens to generate
        #[arg(long)]
        count: usize,
    },
    /// Continues a text with Tealight and Candle's kernels; reports in JSON
    Mapped {
        model: PathBuf,
        #[arg(long, value_delimiter = ',', required = true)]
        prompt: Vec<u32>,
        #[arg(long)]
        count: usize,
    },
    /// Writes Candle's scores after each token to a file, as f32 one after another
    Scores {
        gguf: PathBuf,
        #[arg(long, value_delimiter = ',', required = true)]
        text: Vec<u32>,
        #[arg(long)]
        output: PathBuf,
    },
    /// Compares Tealight's scores with Candle's, and both with exact ones; reports in JSON
    Compare {
        model: PathBuf,
        #[arg(long, value_delimiter = ',', required = true)]
        text: Vec<u32>,
        /// Candle's scores, with its own arithmetic
        #[arg(long)]
        candle: PathBuf,
        /// Candle's scores, with all weights converted to f32 first
        #[arg(long)]
        exact: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Speak { gguf, prompt, count } => {
            let mut candle = load(&gguf)?;
            print(&speak(&prompt, count, |tokens| candle.read(tokens))?)
        }
        Task::Mapped { model, prompt, count } => {
            let mut session = Mapped::open(&model)?.session(EngineChoice::Candle)?;
            // One token at a time; for a prompt, only the last scores matter.
            let next = |tokens: &[u32]| tokens.iter().try_fold(Vec::new(), |_, &token| read(&mut session, token));
            print(&speak(&prompt, count, next)?)
        }
        Task::Scores { gguf, text, output } => {
            let mut candle = load(&gguf)?;
            let mut bytes = Vec::new();
            for token in text {
                bytes.extend(candle.read(&[token])?.iter().flat_map(|score| score.to_le_bytes()));
            }
            std::fs::write(&output, bytes).with_context(|| format!("cannot write {}", output.display()))
        }
        Task::Compare { model, text, candle, exact } => print(&compare(&model, &text, &candle, &exact)?),
    }
}

/// Continues `prompt` with the highest scores, which `read` returns after some tokens.
fn speak(prompt: &[u32], count: usize, mut read: impl FnMut(&[u32]) -> Result<Vec<f32>>) -> Result<Spoken> {
    let start = Instant::now();
    let mut tokens = vec![argmax(&read(prompt)?)];
    let prompt_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    while tokens.len() < count {
        let next = argmax(&read(&tokens[tokens.len() - 1..])?);
        tokens.push(next);
    }
    let answer_seconds = start.elapsed().as_secs_f64();
    Ok(Spoken { tokens, prompt_seconds, answer_seconds, peak_memory_bytes: peak_memory() })
}

fn compare(model: &Path, text: &[u32], candle: &Path, exact: &Path) -> Result<Compared> {
    let mut session = Mapped::open(model)?.session(EngineChoice::Tealight)?;
    let len = session.output(0).context("the model has no output")?.len();
    let [candle, exact] = [candle, exact].map(|file| read_scores(file, len, text.len()));
    let (candle, exact) = (candle?, exact?);
    let (mut same_choice, mut tealight) = (0, Vec::new());
    for (&token, candle) in text.iter().zip(candle.chunks_exact(len)) {
        let scores = read(&mut session, token)?;
        same_choice += usize::from(argmax(&scores) == argmax(candle));
        tealight.extend(scores);
    }
    Ok(Compared {
        positions: text.len(),
        same_choice,
        tealight_candle: Difference::of(&tealight, &candle, len),
        tealight_exact: Difference::of(&tealight, &exact, len),
        candle_exact: Difference::of(&candle, &exact, len),
    })
}

/// Reads `positions` lists of `len` scores.
fn read_scores(file: &Path, len: usize, positions: usize) -> Result<Vec<f32>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let scores: Vec<f32> = bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    ensure!(scores.len() == len * positions, "{} does not hold {positions} × {len} scores", file.display());
    Ok(scores)
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
