//! `tealight generate`: a language model continues a text.

mod chat;
mod interface;
mod memory;

use crate::engine::{EngineArgs, Session};
use crate::error::{Error, Result};
use crate::limits::{self, Limits};
use crate::model_file::ModelFile;
use crate::progress::Progress;
use crate::screen::Screen;
use crate::table::{bytes, counted};
pub(crate) use chat::{RENDER, render_chat};
use interface::Interface;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tealight::Plan;
use tealight_text::{Decoder, Message, Sampler, Sampling, TextError, Tokenizer};

/// Continue a text with a language model
///
/// The text appears on standard output as it is generated, with control characters escaped if that is a terminal; the
/// speed is reported on standard error. Generation ends when the model ends the text, after --max-tokens, or when the
/// model's context is full.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Args {
    /// A compiled language model (.safetensors), or a .gguf, which is compiled in memory
    model: PathBuf,
    /// The text to continue; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: String,
    /// Format the prompt with the model's chat template, as a question to a model that was trained for conversations
    #[arg(long)]
    chat: bool,
    /// The maximum number of tokens to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// The randomness of the choice: 0 takes the most likely token, 1 follows the model's probabilities
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    temperature: f32,
    /// Choose among the K most likely tokens only; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Choose among the most likely tokens whose probabilities add up to P
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = probability)]
    top_p: f32,
    /// The seed of the choices; the same seed repeats them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    limits: Limits,
    /// Print the report, including the text, as JSON at the end
    #[arg(long)]
    json: bool,
}

const JSON: &str = "\
Keys of --json:
  model, engine                   the model file; which kernels computed which operators, and why
  context                         the number of positions that the model keeps; null if unlimited
  prompt_tokens                   the tokens of the prompt, including those of the template
  tokens, text                    the generated tokens, and their text
  stop                            why it ended: end (the model ended it), max_tokens, or context (it is full)
  prompt_seconds, prompt_rate     time for the prompt, and tokens a second
  answer_seconds, answer_rate     the same for the generated tokens after the first; null if there are none
  peak_memory_bytes               the peak of the process's physical memory, including the mapped model's pages;
                                  null where the system does not report it";

/// The report; its fields are the keys of `--json`.
#[derive(Debug, Serialize)]
struct GenerateReport<'a> {
    model: &'a Path,
    engine: String,
    context: Option<u32>,
    prompt_tokens: &'a [u32],
    tokens: Vec<u32>,
    text: String,
    stop: Stop,
    prompt_seconds: f64,
    prompt_rate: f64,
    answer_seconds: Option<f64>,
    answer_rate: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

/// The reason why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stop {
    End,
    MaxTokens,
    Context,
}

/// A generated text.
struct Generated {
    tokens: Vec<u32>,
    text: String,
    stop: Stop,
    prompt: Duration,
    answer: Duration,
}

fn temperature(text: &str) -> std::result::Result<f32, String> {
    match text.parse::<f32>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err("give a number that is 0 or more".into()),
    }
}

fn probability(text: &str) -> std::result::Result<f32, String> {
    match text.parse::<f32>() {
        Ok(x) if x > 0.0 && x <= 1.0 => Ok(x),
        _ => Err("give a number above 0, at most 1".into()),
    }
}

/// Runs the command.
///
/// # Errors
/// The file is not a language model, or the prompt does not fit it.
pub(crate) fn run(args: &Args, screen: &mut Screen) -> Result<()> {
    let file = ModelFile::open(&args.model, args.limits.max_memory)?;
    let model = file.model()?;
    args.limits.check(&model, limits::TOKEN)?;
    let refuse = |error: &TextError| match error {
        TextError::NoTokenizer => "give a model that was compiled from a .gguf",
        TextError::NoTemplate | TextError::Template(_) => "leave out --chat",
        TextError::Character { .. } | TextError::Text { .. } => {
            "remove from the prompt the characters that the model has no token for"
        }
        _ => "compile the model again with this version of `tealight`",
    };
    let cannot = |error: TextError| {
        let help = refuse(&error);
        Error::new(format!("cannot generate with `{}`", args.model.display())).cause(error).help(help)
    };
    let tokenizer = Tokenizer::read(&model).map_err(cannot)?;
    let other = |what| Error::new(format!("`{}` is not a language model", args.model.display())).cause(what);
    let mut interface = Interface::of(&model, &tokenizer).map_err(other)?;
    if let Some(batch) = file.batch(&model)? {
        interface = interface.with_batch(&batch).map_err(other)?;
        args.limits.check_batch(&batch, limits::TOKEN, interface.batch.map_or(1, |count| count as u64))?;
    }
    let mut prompt = read_prompt(&args.prompt)?;
    if args.chat {
        let messages = [Message { role: "user".into(), content: prompt }];
        prompt = chat::render(&tokenizer.conversation(&messages).map_err(cannot)?).map_err(cannot)?;
    }
    let tokens = tokenizer.encode(&prompt).map_err(cannot)?;
    check_prompt(&tokens, &interface)?;
    let mut session = args.engine.session(&model)?;
    let generated = generate(args, &tokenizer, &interface, &tokens, &mut session, screen)?;
    let rate = |count: usize, time: Duration| (count > 0).then(|| count as f64 / time.as_secs_f64().max(1e-9));
    // The time of the prompt includes the first generated token, and the scores of all its positions.
    let after_first = generated.tokens.len().saturating_sub(1);
    let report = GenerateReport {
        model: &args.model,
        engine: args.engine.describe(&session),
        context: interface.context,
        prompt_tokens: &tokens,
        stop: generated.stop,
        prompt_seconds: generated.prompt.as_secs_f64(),
        prompt_rate: rate(tokens.len(), generated.prompt).unwrap_or_default(),
        answer_seconds: (after_first > 0).then_some(generated.answer.as_secs_f64()),
        answer_rate: rate(after_first, generated.answer),
        peak_memory_bytes: memory::peak(),
        tokens: generated.tokens,
        text: generated.text,
    };
    if args.json {
        return screen.json(&report);
    }
    screen.print("\n")?;
    screen.finish()?;
    eprint!("{}", summary(&report));
    Ok(())
}

/// Returns the summary that follows a text.
fn summary(report: &GenerateReport<'_>) -> String {
    let why = match report.stop {
        Stop::End => "",
        Stop::MaxTokens => "; stopped at --max-tokens",
        Stop::Context => "; stopped because the context is full: compile the model with a larger --context for more",
    };
    let rate = |rate: Option<f64>| rate.map_or(String::new(), |rate| format!(", {rate:.1} a second"));
    let peak = report.peak_memory_bytes.map_or(String::new(), |peak| format!("peak memory {}\n", bytes(peak)));
    format!(
        "\nprompt: {}{}\nanswer: {}{}{why}\n{peak}{}\n",
        counted(report.prompt_tokens.len(), "token"),
        rate(Some(report.prompt_rate)),
        counted(report.tokens.len(), "token"),
        rate(report.answer_rate),
        report.engine,
    )
}

fn read_prompt(prompt: &str) -> Result<String> {
    if prompt != "-" {
        return Ok(prompt.into());
    }
    std::io::read_to_string(std::io::stdin())
        .map_err(|error| Error::new("cannot read the prompt from standard input").cause(error).help("give UTF-8 text"))
}

fn check_prompt(tokens: &[u32], interface: &Interface) -> Result<()> {
    if tokens.is_empty() {
        return Err(Error::new("the prompt is empty").help("give a text to continue"));
    }
    match interface.context {
        Some(context) if tokens.len() > context as usize => {
            Err(Error::new(format!("the prompt has {} tokens, but the model keeps {context} positions", tokens.len()))
                .help("shorten the prompt, or compile the model with a larger --context"))
        }
        _ => Ok(()),
    }
}

/// Reads the prompt into the model and generates tokens until a limit or an end token is reached.
fn generate(
    args: &Args,
    tokenizer: &Tokenizer,
    interface: &Interface,
    prompt: &[u32],
    session: &mut Session<'_>,
    screen: &mut Screen,
) -> Result<Generated> {
    let mut sampler =
        Sampler::new(Sampling { temperature: args.temperature, top_k: args.top_k, top_p: args.top_p, seed: args.seed });
    let start = Instant::now();
    let mut progress = Progress::new(prompt.len());
    let (last, before) = prompt.split_last().map_or((None, prompt), |(last, before)| (Some(last), before));
    let batch = interface.batch.unwrap_or(1);
    for tokens in before.chunks(batch) {
        // A batch takes its time however few tokens are in it.
        if tokens.len() > batch / WORTHWHILE && session.select(Plan::Batch) {
            read_batch(session, tokens);
            session.select(Plan::First);
        } else {
            tokens.iter().for_each(|&token| read(session, token));
        }
        tokens.iter().for_each(|_| progress.step());
    }
    if let Some(&token) = last {
        read(session, token);
        progress.step();
    }
    drop(progress);
    let answering = Instant::now();
    let prompt_time = answering - start;
    let room = interface.context.map_or(usize::MAX, |context| context as usize - prompt.len());
    let mut generated = Generated {
        tokens: Vec::new(),
        text: String::new(),
        stop: Stop::End,
        prompt: prompt_time,
        answer: Duration::ZERO,
    };
    let mut decoder = Decoder::default();
    let mut emit = |text: String, whole: &mut String| {
        whole.push_str(&text);
        if args.json || text.is_empty() { Ok(()) } else { screen.generated(&text).and_then(|()| screen.finish()) }
    };
    while let Some(token) = sampler.next(scores(session)).filter(|&token| !tokenizer.ends(token)) {
        generated.tokens.push(token);
        emit(decoder.push(tokenizer.bytes(token)), &mut generated.text)?;
        if generated.tokens.len() >= args.max_tokens as usize {
            generated.stop = Stop::MaxTokens;
            break;
        }
        if generated.tokens.len() > room {
            generated.stop = Stop::Context;
            break;
        }
        read(session, token);
    }
    emit(decoder.finish(), &mut generated.text)?;
    generated.answer = answering.elapsed();
    Ok(generated)
}

/// A batch of fewer tokens than this part of it is read token by token.
const WORTHWHILE: usize = 4;

/// Reads `tokens` into the model, at most as many as its plan for batches takes.
fn read_batch(session: &mut Session<'_>, tokens: &[u32]) {
    // Two inputs of I32, as was checked.
    if let Some(input) = session.input(0).as_mut().and_then(|input| input.as_slice_mut::<i32>()) {
        input.fill(0);
        input.iter_mut().zip(tokens).for_each(|(input, &token)| *input = token.cast_signed());
    }
    if let Some(input) = session.input(1).as_mut().and_then(|input| input.as_slice_mut::<i32>()) {
        input.fill(tokens.len().min(i32::MAX as usize) as i32);
    }
    session.run();
}

/// Reads `token` into the model, whose output is then the scores of the next token.
fn read(session: &mut Session<'_>, token: u32) {
    if let Some(input) = session.input(0).as_mut().and_then(|input| input.as_slice_mut()) {
        // The input is one I32, as was checked.
        input.fill(token.cast_signed());
    }
    session.run();
}

/// Returns a score for each token: the output is f32, as was checked.
fn scores<'s>(session: &'s Session<'_>) -> &'s [f32] {
    session.output(0).and_then(|output| output.as_slice()).unwrap_or(&[])
}
