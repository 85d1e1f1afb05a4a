//! The creation and the measurement of the model's files.

use super::score::{auc, score};
use super::{Anomaly, LEN, data, training};
use crate::export::{self, Compiled, Recipe};
use crate::gesture::EXERCISES;
use crate::gesture::data::{self as watch, Data, Reading, Recording};
use crate::random::Random;
use crate::{Figures, Paths, trace, weights};
use anyhow::{Context as _, Result, anyhow, bail};
use tealight::Model;
use tealight_compiler::graph::Graph;
use tealight_format::Quantization;

/// The entry of the autoencoder.
#[derive(Debug)]
pub struct Entry;

/// The name of its folder and of its files.
const NAME: &str = "anomaly";
/// The number of normal training windows for calibration.
const CALIBRATION: usize = 500;
/// The number of held-out windows in the golden vectors.
const GOLDENS: usize = 14;
/// The share of normal training windows with scores below the threshold.
const BELOW: f64 = 0.95;
/// The minimum area under the curve of both networks.
const MIN_SCORE: f64 = 0.9;
/// The maximum loss by quantization.
const MAX_LOSS: f64 = 0.01;
/// The maximum size of the compiled file in bytes.
const MAX_BYTES: u64 = 60_000;

/// The compiled file, which computes scores.
struct Scores {
    compiled: Compiled,
    /// Scale and zero point of input and output.
    quantizations: [Quantization; 2],
}

impl Scores {
    fn new(file: &[u8]) -> Result<Self> {
        let model = Model::parse(file).map_err(|error| anyhow!("not a Tealight model: {error}"))?;
        let (Some(input), Some(output)) = (model.input(0), model.output(0)) else {
            return Err(anyhow!("the model lacks an input or an output"));
        };
        let quantizations = [input, output].map(|index| model.value(index).quantization);
        Ok(Self { compiled: Compiled::new(file)?, quantizations })
    }

    fn of(&mut self, window: &[Reading]) -> Result<f64> {
        let input = data::bytes(window);
        let back = self.compiled.run(&input)?;
        let input: Vec<i8> = input.into_iter().map(u8::cast_signed).collect();
        let f32_constant = |numbers: &[i8], quantization: Quantization| -> Vec<f32> {
            numbers.iter().map(|&q| quantization.dequantize(q.into())).collect()
        };
        Ok(score(&f32_constant(&input, self.quantizations[0]), &f32_constant(&back, self.quantizations[1])))
    }

    fn all<'a>(&mut self, windows: impl Iterator<Item = &'a [Reading]>) -> Result<Vec<f64>> {
        windows.map(|window| self.of(window)).collect()
    }
}

/// Returns the windows of recordings that are normal, or of the others.
fn windows(recordings: &[Recording], normal: bool) -> impl Iterator<Item = &[Reading]> {
    recordings.iter().filter(move |one| data::is_normal(one) == normal).flat_map(Recording::windows)
}

/// Returns `count` held-out windows as inputs, spread over the data, each with its label.
fn spread(data: &Data, count: usize) -> Result<Vec<(Vec<u8>, String)>> {
    let what = |one: &Recording| {
        let known = if data::is_normal(one) { "normal" } else { "an anomaly" };
        format!("{}: {known}", EXERCISES[one.exercise])
    };
    let all: Vec<_> =
        data.held_out.iter().flat_map(|one| one.windows().map(move |window| (window, what(one)))).collect();
    if count > all.len() {
        bail!("there are {} held-out windows, not {count}", all.len());
    }
    let at = |index: usize| &all[index * all.len() / count];
    Ok((0..count).map(at).map(|(window, what)| (data::bytes(window), what.clone())).collect())
}

/// Returns the network of a checkpoint.
fn network(checkpoint: &[u8]) -> Result<Graph> {
    let model = weights::load(checkpoint, Anomaly::load)?;
    Ok(trace::trace(&[1, LEN], |x| model.forward(x))?)
}

/// Quantizes and compiles the float weights of a checkpoint.
fn compile(checkpoint: &[u8], data: &Data) -> Result<Vec<u8>> {
    let network = network(checkpoint)?;
    let mut windows: Vec<_> = windows(&data.training, true).collect();
    Random::new(1).shuffle(&mut windows);
    let samples: Vec<Vec<f32>> = windows.into_iter().take(CALIBRATION).map(data::numbers).collect();
    let input_range = watch::RANGE;
    Recipe { name: NAME, network: &network, checkpoint, samples: &samples, input_range, labels: Vec::new() }.compile()
}

/// Returns the score that [`BELOW`] of the normal training windows are below.
fn threshold(scores: &mut Scores, data: &Data) -> Result<f64> {
    let mut normal = scores.all(windows(&data.training, true))?;
    normal.sort_by(f64::total_cmp);
    let at = (normal.len() as f64 * BELOW) as usize;
    normal.get(at).copied().context("there is no normal window in training")
}

/// Writes the example for `cargo xtask run`: one normal window and one anomaly.
fn show(paths: &Paths, cases: &[(Vec<u8>, String)], threshold: f64) -> Result<()> {
    let mut demo = format!(
        "model = \"{NAME}.safetensors\"\n\n[reconstruction]\nchannels = [\"ax\", \"ay\", \"az\", \"wx\", \"wy\", \"wz\"]\n\
         threshold = {threshold:.3}\n"
    );
    for (file, end) in [("normal.bin", ": normal"), ("anomaly.bin", ": an anomaly")] {
        let case = cases.iter().find(|(_, what)| what.ends_with(end));
        let (input, what) = case.with_context(|| format!("no golden vector is {end}"))?;
        export::write(&paths.file(NAME, file), input)?;
        demo.push_str(&format!("\n[[input]]\nfile = \"{file}\"\nis = \"{what}\"\n"));
    }
    export::write(&paths.file(NAME, "demo.toml"), demo.as_bytes())
}

impl crate::Entry for Entry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()> {
        let data = watch::load(&paths.cache)?;
        let float = paths.file(NAME, "anomaly.float.safetensors");
        if !keep_weights {
            let normal: Vec<&Recording> = data.training.iter().filter(|one| data::is_normal(one)).collect();
            export::write(&float, &weights::save(&training::train(&normal)?)?)?;
        }
        let file = compile(&export::read(&float)?, &data)?;
        let cases = spread(&data, GOLDENS)?;
        export::write_model(paths, NAME, &file, &cases)?;
        let mut scores = Scores::new(&file)?;
        let threshold = threshold(&mut scores, &data)?;
        show(paths, &cases, threshold)?;
        let mut above = |normal: bool| {
            let scores = scores.all(windows(&data.held_out, normal))?;
            let above = scores.iter().filter(|score| **score > threshold).count();
            anyhow::Ok(format!("{above} of {}", scores.len()))
        };
        eprintln!(
            "  held out, above the threshold {threshold:.3}: {} normal windows, {} others",
            above(true)?,
            above(false)?
        );
        eprintln!("  held out: {}", self.evaluate(paths)?);
        Ok(())
    }

    fn network(&self, checkpoint: &[u8]) -> Result<Graph> {
        network(checkpoint)
    }

    fn evaluate(&self, paths: &Paths) -> Result<Figures> {
        let data = watch::load(&paths.cache)?;
        let model = weights::load(&export::read(&paths.file(NAME, "anomaly.float.safetensors"))?, Anomaly::load)?;
        let file = export::read(&paths.file(NAME, "anomaly.safetensors"))?;
        let mut scores = Scores::new(&file)?;
        let float = |normal: bool| {
            let returned = training::returned(&model, windows(&data.held_out, normal))?;
            anyhow::Ok(returned.iter().map(|(window, back)| score(window, back)).collect::<Vec<_>>())
        };
        let mut int8 = |normal: bool| scores.all(windows(&data.held_out, normal));
        let figures = Figures {
            name: NAME.into(),
            metric: "AUC".into(),
            float: auc(&float(true)?, &float(false)?),
            quantized: auc(&int8(true)?, &int8(false)?),
            samples: windows(&data.held_out, true).chain(windows(&data.held_out, false)).count(),
            bytes: file.len() as u64,
            recordings: None,
            parts: Vec::new(),
        };
        let least = figures.float.min(figures.quantized);
        if least < MIN_SCORE || figures.float - figures.quantized > MAX_LOSS || figures.bytes > MAX_BYTES {
            bail!(
                "{figures}; required: an AUC of at least {MIN_SCORE}, at most {MAX_LOSS} lost by quantization, \
                 at most {MAX_BYTES} bytes"
            );
        }
        Ok(figures)
    }

    fn inputs(&self, paths: &Paths, count: usize) -> Result<Vec<u8>> {
        let data = watch::load(&paths.cache)?;
        Ok(spread(&data, count)?.into_iter().flat_map(|(input, _)| input).collect())
    }
}
