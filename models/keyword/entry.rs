//! The creation and the measurement of the model's files.

use super::data::{self, Example, Group, HeldOut, Second};
use super::voices::Engine;
use super::{BANDS, FRAMES, Keyword, LABELS, RANGE, UNKNOWN, training};
use crate::export::{self, Compiled, Recipe, argmax};
use crate::random::Random;
use crate::{Figures, OfType, PartFigures, Paths, layout, trace, weights};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use tealight_audio::SAMPLE_RATE;
use tealight_compiler::evaluate::{Score, Targets, evaluate};
use tealight_compiler::graph::Graph;

/// The entry of the keywords.
#[derive(Debug)]
pub struct Entry;

/// The name of its folder and of its files.
const NAME: &str = "keyword";
/// The number of training seconds for calibration.
const CALIBRATION: usize = 500;
/// The minimum accuracy of both networks on held-out seconds.
const MIN_SCORE: f64 = 0.82;
/// The maximum loss by quantization.
const MAX_LOSS: f64 = 0.01;
/// The maximum size of the compiled file in bytes.
const MAX_BYTES: u64 = 60_000;
/// The class of the example.
const SHOWN: usize = 0;

/// The input's bytes.
fn bytes(features: &[i8]) -> Vec<u8> {
    features.iter().map(|x| x.cast_unsigned()).collect()
}

/// Returns samples as a WAV file.
fn wav(samples: &[i16]) -> Result<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    samples.iter().try_for_each(|&sample| writer.write_sample(sample))?;
    writer.finalize()?;
    Ok(file.into_inner())
}

/// Candle's dimensions of the input.
const DIMS: [usize; 4] = [1, BANDS, 1, FRAMES];

/// Returns the network of a checkpoint.
fn network(checkpoint: &[u8]) -> Result<Graph> {
    let model = weights::load(checkpoint, Keyword::load)?;
    Ok(trace::trace(&DIMS, |x| model.forward(x))?)
}

/// Returns a second's features as the compiled network takes them.
fn elements(features: &[i8]) -> Vec<f32> {
    layout::elements(&training::numbers(features), &DIMS)
}

/// Returns the samples to calibrate with.
fn samples(data: &[Example]) -> Vec<Vec<f32>> {
    let mut order: Vec<&Example> = data.iter().collect();
    Random::new(1).shuffle(&mut order);
    order.iter().take(CALIBRATION).map(|one| elements(&one.features)).collect()
}

/// Returns the recipe of a network.
fn recipe<'a>(network: &'a Graph, checkpoint: &'a [u8], samples: &'a [Vec<f32>]) -> Recipe<'a> {
    let labels = LABELS.map(String::from).to_vec();
    Recipe { name: NAME, network, checkpoint, samples, input_range: RANGE, labels }
}

/// Quantizes and compiles the float weights of a checkpoint.
fn compile(checkpoint: &[u8], data: &[Example]) -> Result<Vec<u8>> {
    recipe(&network(checkpoint)?, checkpoint, &samples(data)).compile_behind(Some(tealight_audio::LOG_MEL))
}

/// How many held-out seconds a board runs to compare types.
const ON_BOARD: usize = 20;

/// Returns the first held-out second of each class that is noisy and is classified correctly.
fn examples(held_out: &[HeldOut], file: &[u8]) -> Result<Vec<HeldOut>> {
    let mut compiled = Compiled::new(file)?;
    let mut found = Vec::new();
    for (class, label) in LABELS.iter().enumerate() {
        let mut of_class = held_out.iter().filter(|one| one.class == class && one.group.noisy);
        let mut right = |one: &&HeldOut| {
            compiled.run(&bytes(&data::features(&one.samples))).is_ok_and(|scores| argmax(&scores) == class)
        };
        let one = of_class.find(|one| right(one));
        found.push(one.with_context(|| format!("no held-out `{label}` is recognized"))?.clone());
    }
    Ok(found)
}

/// Returns the answers of both networks for each held-out second.
struct Answers {
    float: Vec<usize>,
    quantized: Vec<usize>,
}

fn answers(paths: &Paths, held_out: &[HeldOut]) -> Result<Answers> {
    let model = weights::load(&export::read(&paths.file(NAME, "keyword.float.safetensors"))?, Keyword::load)?;
    let mut compiled = Compiled::new(&export::read(&paths.file(NAME, "keyword.safetensors"))?)?;
    let seconds: Vec<Second> = held_out.iter().map(|one| data::features(&one.samples)).collect();
    let quantized = seconds.iter().map(|second| Ok(argmax(&compiled.run(&bytes(second))?))).collect::<Result<_>>()?;
    Ok(Answers { float: training::answers(&model, &seconds)?, quantized })
}

/// Returns the share of the seconds selected by `belongs` whose answer is `right`.
fn part(
    name: &str,
    held_out: &[HeldOut],
    answers: &Answers,
    belongs: impl Fn(&HeldOut) -> bool,
    right: impl Fn(&HeldOut, usize) -> bool,
) -> PartFigures {
    let chosen = |answers: &[usize]| -> Vec<bool> {
        held_out.iter().zip(answers).filter(|(one, _)| belongs(one)).map(|(one, &answer)| right(one, answer)).collect()
    };
    let share = |right: &[bool]| right.iter().filter(|&&right| right).count() as f64 / right.len().max(1) as f64;
    let [float, quantized] = [chosen(&answers.float), chosen(&answers.quantized)];
    PartFigures { name: name.into(), float: share(&float), quantized: share(&quantized), samples: quantized.len() }
}

/// Returns whether the answer is the second's class.
fn is_right(one: &HeldOut, answer: usize) -> bool {
    answer == one.class
}

/// Returns figures for every class, for every group, and for how often no keyword is detected where there is none.
fn parts(held_out: &[HeldOut], answers: &Answers) -> Vec<PartFigures> {
    let of_class = |class| part(LABELS[class], held_out, answers, |one| one.class == class, is_right);
    let mut parts: Vec<PartFigures> = (0..LABELS.len()).map(of_class).collect();
    for (engine, name) in [(Engine::Espeak, "espeak-ng"), (Engine::Flite, "flite")] {
        for (noisy, noise) in [(false, "clean"), (true, "noisy")] {
            let group = Group { engine: Some(engine), noisy };
            parts.push(part(&format!("{name}, {noise}"), held_out, answers, |one| one.group == group, is_right));
        }
    }
    let none = |one: &HeldOut| one.class >= UNKNOWN;
    parts.push(part("no keyword in none", held_out, answers, none, |_, answer| answer >= UNKNOWN));
    parts
}

impl crate::Entry for Entry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn train(&self, paths: &Paths, keep_weights: bool) -> Result<()> {
        let data = data::training(&paths.cache)?;
        let float = paths.file(NAME, "keyword.float.safetensors");
        if !keep_weights {
            export::write(&float, &weights::save(&training::train(&data)?)?)?;
        }
        let file = compile(&export::read(&float)?, &data)?;
        let examples = examples(&data::held_out(&paths.cache)?, &file)?;
        let case = |one: &HeldOut| (bytes(&data::features(&one.samples)), LABELS[one.class].to_string());
        let cases: Vec<_> = examples.iter().map(case).collect();
        export::write_model(paths, NAME, &file, &cases)?;
        export::write_demo(paths, NAME, "sample.wav", &wav(&examples[SHOWN].samples)?, LABELS[SHOWN])?;
        eprintln!("  held out: {}", self.evaluate(paths)?);
        Ok(())
    }

    fn network(&self, checkpoint: &[u8]) -> Result<Graph> {
        network(checkpoint)
    }

    fn evaluate(&self, paths: &Paths) -> Result<Figures> {
        let held_out = data::held_out(&paths.cache)?;
        let answers = answers(paths, &held_out)?;
        let all = part("", &held_out, &answers, |_| true, is_right);
        let figures = Figures {
            name: NAME.into(),
            metric: "accuracy".into(),
            float: all.float,
            quantized: all.quantized,
            samples: all.samples,
            bytes: export::read(&paths.file(NAME, "keyword.safetensors"))?.len() as u64,
            recordings: None,
            parts: parts(&held_out, &answers),
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

    fn types(&self, paths: &Paths, folder: &Path) -> Result<Vec<OfType>> {
        let checkpoint = export::read(&paths.file(NAME, "keyword.float.safetensors"))?;
        let (network, samples) = (network(&checkpoint)?, samples(&data::training(&paths.cache)?));
        let recipe = recipe(&network, &checkpoint, &samples);
        let held_out = data::held_out(&paths.cache)?;
        let classes: Vec<u32> = held_out.iter().map(|one| one.class as u32).collect();
        let seconds: Vec<Vec<f32>> = held_out.iter().map(|one| elements(&data::features(&one.samples))).collect();
        let targets = Targets::Classes(classes);
        let of_type = |&(name, activations, weights): &(&'static str, _, _)| {
            let bytes = recipe.compile_as(activations, weights)?;
            let Score::Accuracy { right, samples } = evaluate(&bytes, std::slice::from_ref(&seconds), &targets, None)?
            else {
                bail!("classes are measured by accuracy");
            };
            let file = |ending: &str| folder.join(format!("{NAME}.{name}.{ending}"));
            let [model, inputs, outputs] = ["safetensors", "inputs.bin", "outputs.bin"].map(file);
            let first = seconds.iter().take(ON_BOARD).map(|second| export::input_bytes(&bytes, second));
            let first = first.collect::<Result<Vec<_>>>()?;
            export::write(&model, &bytes)?;
            export::write(&inputs, &first.concat())?;
            export::write(&outputs, &export::answers(&bytes, first.iter().map(Vec::as_slice))?.concat())?;
            Ok(OfType { name, accuracy: right as f64 / samples as f64, samples, file: model, inputs, outputs })
        };
        export::TYPES.iter().map(of_type).collect()
    }

    fn inputs(&self, paths: &Paths, count: usize) -> Result<Vec<u8>> {
        let held_out = data::held_out(&paths.cache)?;
        if count > held_out.len() {
            bail!("there are {} held-out seconds, not {count}", held_out.len());
        }
        Ok(held_out.iter().take(count).flat_map(|one| &one.samples).flat_map(|sample| sample.to_le_bytes()).collect())
    }

    fn features(&self, input: &[u8]) -> Option<Vec<u8>> {
        let samples: Vec<i16> = input.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
        Some(bytes(&data::features(&samples)))
    }
}
