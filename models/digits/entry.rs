//! The creation and the measurement of the model's files.

use super::data::{self, Data, Sample};
use super::{Digits, SIZE, training};
use crate::export::{self, Compiled, Recipe, argmax};
use crate::{Figures, Paths, trace, weights};
use anyhow::{Context as _, Result, bail};
use tealight_compiler::graph::Graph;

/// The entry of the digits.
#[derive(Debug)]
pub struct Entry;

/// The name of its folder and of its files.
const NAME: &str = "digits";
/// The number of training digits for calibration.
const CALIBRATION: usize = 500;
/// The number of held-out digits in the golden vectors.
const GOLDENS: usize = 12;
/// The minimum accuracy of both networks on held-out digits.
const MIN_SCORE: f64 = 0.985;
/// The maximum loss by quantization.
const MAX_LOSS: f64 = 0.003;
/// The maximum size of the compiled file in bytes.
const MAX_BYTES: u64 = 60_000;
/// The digit of the example.
const SHOWN: &str = "5";

/// The input's bytes: 0 is -128, 255 is 127.
fn bytes(sample: &Sample) -> Vec<u8> {
    sample.pixels.iter().map(|pixel| pixel ^ 0x80).collect()
}

/// Returns the network of a checkpoint.
fn network(checkpoint: &[u8]) -> Result<Graph> {
    let model = weights::load(checkpoint, Digits::load)?;
    Ok(trace::trace(&[1, 1, SIZE, SIZE], |x| model.forward(x))?)
}

/// Quantizes and compiles the float weights of a checkpoint.
fn compile(checkpoint: &[u8], data: &Data) -> Result<Vec<u8>> {
    let network = network(checkpoint)?;
    let samples: Vec<Vec<f32>> = data.training.iter().take(CALIBRATION).map(|s| s.numbers().collect()).collect();
    let labels = (0..10).map(|digit| digit.to_string()).collect();
    // Every brightness is a byte, so the input is exact.
    let input_range = [0.0, 1.0];
    Recipe { name: NAME, network: &network, checkpoint, samples: &samples, input_range, labels }.compile()
}

/// Returns how many of `samples` the compiled file classifies correctly.
fn correct(file: &[u8], samples: &[Sample]) -> Result<usize> {
    let mut compiled = Compiled::new(file)?;
    let mut right = 0;
    for sample in samples {
        right += usize::from(argmax(&compiled.run(&bytes(sample))?) == usize::from(sample.digit));
    }
    Ok(right)
}

impl crate::Entry for Entry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()> {
        let data = data::load(&paths.cache)?;
        let float = paths.file(NAME, "digits.float.safetensors");
        if !keep_weights {
            export::write(&float, &weights::save(&training::train(&data)?)?)?;
        }
        let file = compile(&export::read(&float)?, &data)?;
        let cases: Vec<_> =
            data.held_out.iter().take(GOLDENS).map(|sample| (bytes(sample), sample.digit.to_string())).collect();
        // The example for `cargo xtask run`: a digit that is easy to see as text.
        let shown = cases.iter().position(|(_, label)| label == SHOWN);
        let shown = shown.with_context(|| format!("there is no {SHOWN} among the golden vectors"))?;
        export::write_all(paths, NAME, &file, &cases, shown)?;
        let figures = self.evaluate(paths)?;
        eprintln!(
            "  held out: {:.2} % in float, {:.2} % in int8, of {}",
            100.0 * figures.float,
            100.0 * figures.quantized,
            figures.samples
        );
        Ok(())
    }

    fn network(&self, checkpoint: &[u8]) -> Result<Graph> {
        network(checkpoint)
    }

    fn evaluate(&self, paths: &Paths) -> Result<Figures> {
        let data = data::load(&paths.cache)?;
        let model = weights::load(&export::read(&paths.file(NAME, "digits.float.safetensors"))?, Digits::load)?;
        let file = export::read(&paths.file(NAME, "digits.safetensors"))?;
        let samples = data.held_out.len();
        let figures = Figures {
            name: NAME.into(),
            metric: "accuracy".into(),
            float: training::correct(&model, &data.held_out)? as f64 / samples as f64,
            quantized: correct(&file, &data.held_out)? as f64 / samples as f64,
            samples,
            bytes: file.len() as u64,
            recordings: None,
            parts: Vec::new(),
        };
        let right = figures.float.min(figures.quantized);
        if right < MIN_SCORE || figures.float - figures.quantized > MAX_LOSS || figures.bytes > MAX_BYTES {
            bail!(
                "{figures}; required: an accuracy of at least {MIN_SCORE}, at most {MAX_LOSS} lost by quantization, \
                 at most {MAX_BYTES} bytes"
            );
        }
        Ok(figures)
    }

    fn inputs(&self, paths: &Paths, count: usize) -> Result<Vec<u8>> {
        let data = data::load(&paths.cache)?;
        if count > data.held_out.len() {
            bail!("there are {} held-out digits, not {count}", data.held_out.len());
        }
        Ok(data.held_out.iter().take(count).flat_map(bytes).collect())
    }
}
