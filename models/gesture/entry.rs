//! The creation and the measurement of the model's files.

use super::data::{self, Data, Reading, Recording};
use super::{CHANNELS, EXERCISES, Gesture, WINDOW, training};
use crate::export::{self, Compiled, Recipe, argmax};
use crate::random::Random;
use crate::{Figures, Paths, Recordings, layout, trace, weights};
use anyhow::{Context as _, Result, bail};
use tealight_compiler::graph::Graph;

/// The entry of the exercises.
#[derive(Debug)]
pub struct Entry;

/// The name of its folder and of its files.
const NAME: &str = "gesture";
/// The number of training windows for calibration.
const CALIBRATION: usize = 500;
/// The number of held-out windows in the golden vectors.
const GOLDENS: usize = 14;
/// The minimum accuracy of both networks on held-out windows.
const MIN_SCORE: f64 = 0.89;
/// The maximum loss by quantization.
const MAX_LOSS: f64 = 0.01;
/// The maximum size of the compiled file in bytes.
const MAX_BYTES: u64 = 40_000;

/// The input's bytes.
fn bytes(window: &[Reading]) -> Vec<u8> {
    window.iter().flat_map(|&reading| data::quantized(reading)).map(i8::cast_unsigned).collect()
}

/// Returns every window with its label.
fn windows(recordings: &[Recording]) -> Vec<(&[Reading], usize)> {
    recordings.iter().flat_map(|one| one.windows().map(|window| (window, one.exercise))).collect()
}

/// Returns `count` held-out windows as inputs, spread over the data, each with its label.
fn spread(data: &Data, count: usize) -> Result<Vec<(Vec<u8>, usize)>> {
    let windows = windows(&data.held_out);
    if count > windows.len() {
        bail!("there are {} held-out windows, not {count}", windows.len());
    }
    let at = |index: usize| windows[index * windows.len() / count];
    Ok((0..count).map(at).map(|(window, exercise)| (bytes(window), exercise)).collect())
}

/// Candle's dimensions of the input.
const DIMS: [usize; 4] = [1, CHANNELS, 1, WINDOW];

/// Returns the network of a checkpoint.
fn network(checkpoint: &[u8]) -> Result<Graph> {
    let model = weights::load(checkpoint, Gesture::load)?;
    Ok(trace::trace(&DIMS, |x| model.forward(x))?)
}

/// Quantizes and compiles the float weights of a checkpoint.
fn compile(checkpoint: &[u8], data: &Data) -> Result<Vec<u8>> {
    let network = network(checkpoint)?;
    let mut windows = windows(&data.training);
    Random::new(1).shuffle(&mut windows);
    let samples: Vec<Vec<f32>> =
        windows.iter().take(CALIBRATION).map(|(window, _)| layout::elements(&data::numbers(window), &DIMS)).collect();
    let labels = EXERCISES.map(String::from).to_vec();
    let input_range = data::RANGE;
    Recipe { name: NAME, network: &network, checkpoint, samples: &samples, input_range, labels }
        .compile_behind(Some(&data::front_end()?.to_string()))
}

/// Returns the class of each window by the compiled file.
fn answers<'a>(compiled: &mut Compiled, windows: impl Iterator<Item = &'a [Reading]>) -> Result<Vec<usize>> {
    windows.map(|window| Ok(argmax(&compiled.run(&bytes(window))?))).collect()
}

/// The number of correct answers on held-out data.
#[derive(Default)]
struct Tally {
    windows: usize,
    right_windows: usize,
    recordings: usize,
    right_recordings: usize,
}

impl Tally {
    /// Counts a recording with these answers for its windows; its own answer is their majority, or the first of equals.
    fn add(&mut self, exercise: usize, answers: &[usize]) {
        let votes = |of: usize| answers.iter().filter(|&&answer| answer == of).count();
        let all = std::array::from_fn::<_, { EXERCISES.len() }, _>(votes);
        self.windows += answers.len();
        self.right_windows += all[exercise];
        self.recordings += 1;
        let most = all.iter().max();
        self.right_recordings += usize::from(all.iter().position(|votes| Some(votes) == most) == Some(exercise));
    }
}

impl crate::Entry for Entry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()> {
        let data = data::load(&paths.cache)?;
        let float = paths.file(NAME, "gesture.float.safetensors");
        if !keep_weights {
            export::write(&float, &weights::save(&training::train(&data)?)?)?;
        }
        let file = compile(&export::read(&float)?, &data)?;
        let cases: Vec<_> =
            spread(&data, GOLDENS)?.into_iter().map(|(input, exercise)| (input, EXERCISES[exercise].into())).collect();
        export::write_all(paths, NAME, &file, &cases, 0)?;
        eprintln!("  held out: {}", self.evaluate(paths)?);
        Ok(())
    }

    fn network(&self, checkpoint: &[u8]) -> Result<Graph> {
        network(checkpoint)
    }

    fn evaluate(&self, paths: &Paths) -> Result<Figures> {
        let data = data::load(&paths.cache)?;
        let model = weights::load(&export::read(&paths.file(NAME, "gesture.float.safetensors"))?, Gesture::load)?;
        let file = export::read(&paths.file(NAME, "gesture.safetensors"))?;
        let mut compiled = Compiled::new(&file)?;
        let [mut float, mut quantized] = [Tally::default(), Tally::default()];
        for one in &data.held_out {
            float.add(one.exercise, &training::answers(&model, one.windows())?);
            quantized.add(one.exercise, &answers(&mut compiled, one.windows())?);
        }
        let share = |right: usize, of: usize| right as f64 / of as f64;
        let figures = Figures {
            name: NAME.into(),
            metric: "accuracy".into(),
            float: share(float.right_windows, float.windows),
            quantized: share(quantized.right_windows, quantized.windows),
            samples: quantized.windows,
            bytes: file.len() as u64,
            recordings: Some(Recordings {
                float: share(float.right_recordings, float.recordings),
                quantized: share(quantized.right_recordings, quantized.recordings),
                samples: quantized.recordings,
            }),
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
        let data = data::load(&paths.cache).context("the recordings")?;
        Ok(spread(&data, count)?.into_iter().flat_map(|(input, _)| input).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_recording_is_right_if_most_of_its_windows_are() {
        let mut tally = Tally::default();
        tally.add(2, &[2, 2, 5]);
        tally.add(5, &[2, 5, 2]);
        tally.add(5, &[5, 2]);
        assert_eq!((tally.windows, tally.right_windows), (8, 4));
        assert_eq!((tally.recordings, tally.right_recordings), (3, 1));
    }
}
