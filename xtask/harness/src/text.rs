//! A language model on a board: it continues a prompt, and the text appears as it is generated.

use crate::board::{Board, instructions_per_second};
use crate::context::Context;
use crate::error::Usage;
use crate::model::ModelFile;
use crate::on_board::{Options, Run, emulate};
use crate::qemu::Input;
use crate::report::Report;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde::Deserialize;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use tealight::OwnedSession;
use tealight_cli::visible_lines;
use tealight_format::{Model, Operator};
use tealight_text::{Decoder, Sampler, Sampling, Tokenizer};

/// What a language model is to write; what is not given is as in the model's `demo.toml`.
#[derive(Clone, Debug, Default, Args)]
pub struct TextArgs {
    /// For a language model: the text to continue
    #[arg(long)]
    pub prompt: Option<String>,
    /// Maximum number of tokens to generate; the model's context is another limit [default: 200]
    #[arg(long)]
    pub max_tokens: Option<u32>,
    /// What scores are divided by before one is drawn; 0 for the likeliest token each time [default: 0]
    #[arg(long)]
    pub temperature: Option<f32>,
    /// Seed of the random numbers: the same seed generates the same text [default: 0]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// What a language model shows of itself, `[text]` in its `demo.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    prompt: String,
    max_tokens: u32,
    temperature: f32,
    seed: u64,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The beginning.
    pub prompt: String,
    max_tokens: u32,
    temperature: f32,
    seed: u64,
}

/// What a board wrote.
pub struct Written {
    /// The run.
    pub run: Run,
    /// The generated text, without the prompt.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<u32>,
}

impl Request {
    /// What the arguments ask for; else what the model shows of itself.
    pub fn new(args: &TextArgs, demo: Option<&Demo>) -> Result<Self> {
        let prompt = args.prompt.clone().or_else(|| demo.map(|demo| demo.prompt.clone()));
        let Some(prompt) = prompt else {
            return Err(Usage("a language model needs a --prompt".into()).into());
        };
        let temperature = args.temperature.or(demo.map(|demo| demo.temperature)).unwrap_or(0.0);
        if !temperature.is_finite() || temperature < 0.0 {
            return Err(Usage(format!("--temperature {temperature} is not 0 or more")).into());
        }
        Ok(Self {
            prompt,
            max_tokens: args.max_tokens.or(demo.map(|demo| demo.max_tokens)).unwrap_or(200),
            temperature,
            seed: args.seed.or(demo.map(|demo| demo.seed)).unwrap_or(0),
        })
    }

    /// What the firmware reads: see `tealight_board`'s module `text`.
    fn input(&self, prompt: &[u32], count: u32) -> Vec<u8> {
        let header = [&self.temperature.to_le_bytes()[..], &self.seed.to_le_bytes(), &count.to_le_bytes()].concat();
        header.into_iter().chain(prompt.iter().flat_map(|token| token.to_le_bytes())).collect()
    }
}

/// Lets the model continue the prompt on the board, and compares with the host. `show` is given the text piece by
/// piece.
pub fn write(
    context: &Context,
    board: &Board,
    model: &ModelFile,
    request: &Request,
    options: Options<'_>,
    show: bool,
) -> Result<Written> {
    let parsed = Model::parse(&model.bytes)?;
    let tokenizer = Tokenizer::read(&parsed)?;
    let prompt = tokenizer.encode(&request.prompt).with_context(|| format!("the prompt of {}", model.name))?;
    let count = room(&parsed, prompt.len())?.min(request.max_tokens);
    let decoder = Mutex::new(Decoder::default());
    let say = |line: &str| {
        let Some(token) = line.strip_prefix("tealight token=").and_then(|token| token.parse().ok()) else { return };
        let piece = decoder.lock().map(|mut decoder| decoder.push(tokenizer.bytes(token))).unwrap_or_default();
        if show {
            if std::io::stdout().is_terminal() {
                print!("{}", visible_lines(&piece));
            } else {
                print!("{piece}");
            }
            // What cannot be shown now is shown later, or not at all.
            let _ = std::io::stdout().flush();
        }
    };
    if show {
        print!("{}", request.prompt);
    }
    let options = Options { features: &["text"], ..options };
    let emulated = emulate(context, board, model, Input::Bytes(&request.input(&prompt, count)), options, &say)?;
    let report = Report::parse(&emulated.console, instructions_per_second(board))?;
    if show {
        println!();
    }
    let tokens = report.tokens.clone();
    let run = Run {
        report,
        sizes: emulated.sizes,
        seconds: emulated.seconds,
        features: Vec::new(),
        outputs: emulated.written,
    };
    let (wanted, scores) = on_host(model, &prompt, count, request)?;
    if tokens != wanted || run.outputs != scores {
        bail!("{} wrote another text than this machine, or its scores differ from the host's", board.id);
    }
    let mut decoder = Decoder::default();
    let mut text: String = tokens.iter().map(|&token| decoder.push(tokenizer.bytes(token))).collect();
    text.push_str(&decoder.finish());
    Ok(Written { run, text, tokens })
}

/// How many tokens a model can generate after a prompt of `len`: the last one is not read any more.
fn room(model: &Model<'_>, len: usize) -> Result<u32> {
    let capacity = |index| match model.op(index).operator {
        Operator::Positions(positions) => u32::try_from(positions.capacity).ok(),
        _ => None,
    };
    let context = (0..model.op_count()).filter_map(capacity).min().unwrap_or(u32::MAX);
    match u32::try_from(len).ok().and_then(|len| context.checked_sub(len)) {
        _ if len == 0 => Err(Usage("the prompt is empty; the model needs a token to begin with".into()).into()),
        Some(left) => Ok(left + 1),
        None => Err(Usage(format!("the prompt has {len} tokens; the model's context holds {context}")).into()),
    }
}

/// The tokens that this machine generates, and all scores on the way.
fn on_host(model: &ModelFile, prompt: &[u32], count: u32, request: &Request) -> Result<(Vec<u32>, Vec<u8>)> {
    let mut session = OwnedSession::from_bytes(&model.bytes).map_err(|error| anyhow!("{error}"))?;
    let Request { temperature, seed, .. } = *request;
    let mut sampler = Sampler::new(Sampling { temperature, seed, ..Sampling::default() });
    let mut scores = Vec::new();
    let mut step = |token: u32| {
        let mut input = session.input(0).with_context(|| format!("{} has no input", model.name))?;
        input.copy_from(&[token.cast_signed()]).map_err(|error| anyhow!("{}: {error}", model.name))?;
        session.run();
        let output = session.output(0).with_context(|| format!("{} has no output", model.name))?;
        scores.extend_from_slice(output.as_bytes());
        let scores = output.as_slice::<f32>().with_context(|| format!("{} has no f32 scores", model.name))?;
        anyhow::Ok(scores.to_vec())
    };
    let mut last = Vec::new();
    for &token in prompt {
        last = step(token)?;
    }
    let mut tokens = Vec::new();
    while tokens.len() < count as usize {
        let token = sampler.next(&last).context("the model returns no scores")?;
        tokens.push(token);
        if tokens.len() < count as usize {
            last = step(token)?;
        }
    }
    Ok((tokens, scores))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_before_what_the_model_shows_of_itself() {
        let demo = Demo { prompt: "a".into(), max_tokens: 9, temperature: 0.5, seed: 3 };
        let args = TextArgs { prompt: Some("b".into()), seed: Some(4), ..TextArgs::default() };
        let wanted = Request { prompt: "b".into(), max_tokens: 9, temperature: 0.5, seed: 4 };
        assert_eq!(Request::new(&args, Some(&demo)).unwrap(), wanted);
        assert!(Request::new(&TextArgs::default(), None).unwrap_err().is::<Usage>());
        let args = TextArgs { temperature: Some(f32::NAN), ..args };
        assert!(Request::new(&args, None).unwrap_err().to_string().contains("--temperature NaN"));
    }

    #[test]
    fn the_firmware_is_told_temperature_seed_count_and_prompt() {
        let request = Request { prompt: String::new(), max_tokens: 0, temperature: 1.0, seed: 2 };
        let wanted = [0, 0, 128, 63, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0];
        assert_eq!(request.input(&[5], 7), wanted);
    }
}
