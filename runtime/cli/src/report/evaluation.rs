//! Runs a model on the files of a folder, one after another, and counts its answers.

use super::float::FloatNetwork;
use super::samples::{self, Sample};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scores;
use crate::sensor::Sensors;
use crate::tensor_file::{Stream, TensorKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tealight::{Model, OwnedSession};

/// The number of inputs that are listed as the worst ones.
const WORST: usize = 10;

/// The answers to all inputs; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Evaluation {
    /// The folder.
    pub(super) inputs: PathBuf,
    /// The number of files.
    pub(super) files: usize,
    /// The number of inferences: a file may hold several inputs.
    pub(super) inferences: usize,
    /// The number of classes; 0 if the first output is not a list of scores.
    pub(super) classes: usize,
    /// How many inputs had their class as the highest element; `None` if classes are not known.
    pub(super) correct: Option<usize>,
    /// The share of these.
    pub(super) accuracy: Option<f64>,
    /// How often inputs of a class were answered by each class; pairs that do not occur are left out.
    pub(super) confusion: Vec<Answers>,
    /// How often each class was the answer, without classes that never were.
    pub(super) answers: BTreeMap<usize, usize>,
    /// The inputs with the lowest margins, the lowest first.
    pub(super) worst: Vec<Worst>,
    /// The minimum of the first output's elements.
    pub(super) minimum: f32,
    /// Their mean.
    pub(super) mean: f64,
    /// Their maximum.
    pub(super) maximum: f32,
}

/// How often inputs of one class were answered by another or the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Answers {
    /// The class of the inputs.
    pub(super) class: usize,
    /// The answer.
    pub(super) answer: usize,
    /// How often.
    pub(super) count: usize,
}

/// An input with a wrong answer, or one with a low margin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Worst {
    /// Its file.
    pub(super) file: PathBuf,
    /// Its index in the file.
    pub(super) inference: usize,
    /// Its class, if it is known.
    pub(super) class: Option<usize>,
    /// The answer.
    pub(super) answer: usize,
    /// The value of the answer's element.
    pub(super) value: f32,
    /// The value of its class's element (of the answer's, if the class is not known) minus the highest of the others:
    /// negative if the answer is wrong.
    pub(super) margin: f32,
}

/// Runs `model` on the files `samples` of `folder`, one after another, and `float` beside it on the same values.
///
/// # Errors
/// The model does not have one input, a file cannot be read, or does not fit the input.
pub(super) fn evaluate(
    folder: &Path,
    model: &Model<'_>,
    samples: &[Sample],
    sensors: &Sensors,
    mut float: Option<&mut FloatNetwork>,
) -> Result<Evaluation> {
    let [input, output] = samples::ends(model)?;
    let session = OwnedSession::over(model.bytes());
    let mut session = session.map_err(|error| Error::new("cannot run the model").cause(error))?;
    let mut tally = Tally::new(samples::classes(&output));
    let mut progress = Progress::of(samples.len(), "files");
    for (number, sample) in samples.iter().enumerate() {
        let stream = sensors.read(0, &input, &sample.path)?;
        session.reset();
        if let Some(float) = &mut float {
            float.begin(number, samples.len(), &input, &stream);
        }
        for k in 0..stream.count() {
            let bytes = answer(&mut session, &stream, k)?;
            tally.add(sample, k, &output, &bytes);
            if let Some(float) = &mut float {
                float.compare(&input.to_f32(stream.get(k)), &output.to_f32(&bytes))?;
            }
        }
        progress.step();
    }
    Ok(tally.evaluation(folder, samples))
}

/// Runs input `k` of `stream` and returns the bytes of the first output.
fn answer(session: &mut OwnedSession<&[u8]>, stream: &Stream, k: usize) -> Result<Vec<u8>> {
    session.run_on(&[stream.get(k)]).map_err(|error| Error::new("cannot write input 0").cause(error))?;
    Ok(session.output(0).map_or_else(Vec::new, |output| output.as_bytes().to_vec()))
}

/// The counts so far. Their memory does not depend on the number of inputs.
struct Tally {
    classes: usize,
    inferences: usize,
    /// Elements of all outputs so far.
    elements: usize,
    confusion: BTreeMap<(usize, usize), usize>,
    answers: BTreeMap<usize, usize>,
    worst: Vec<Worst>,
    minimum: f32,
    sum: f64,
    maximum: f32,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self {
            classes,
            inferences: 0,
            elements: 0,
            confusion: BTreeMap::new(),
            answers: BTreeMap::new(),
            worst: Vec::new(),
            minimum: f32::INFINITY,
            sum: 0.0,
            maximum: f32::NEG_INFINITY,
        }
    }

    /// Adds the output `bytes` for input `inference` of a file.
    fn add(&mut self, sample: &Sample, inference: usize, output: &TensorKind, bytes: &[u8]) {
        self.inferences += 1;
        let values = output.to_f32(bytes);
        self.elements += values.len();
        for &value in &values {
            self.minimum = self.minimum.min(value);
            self.maximum = self.maximum.max(value);
            self.sum += f64::from(value);
        }
        if self.classes == 0 {
            return;
        }
        let top = scores::top(output, bytes, &[], 2);
        let [first, second] = &top[..] else { return };
        *self.answers.entry(first.index).or_default() += 1;
        if let Some(class) = sample.class {
            *self.confusion.entry((class, first.index)).or_default() += 1;
        }
        let own = sample.class.unwrap_or(first.index);
        let other = if own == first.index { second.value } else { first.value };
        let (file, class, margin) = (sample.path.clone(), sample.class, values[own] - other);
        self.keep(Worst { file, inference, class, answer: first.index, value: first.value, margin });
    }

    /// Keeps an input if it is among the worst; of equals, the first ones stay.
    fn keep(&mut self, worst: Worst) {
        // A margin that is not a number is the worst.
        let order = |worst: &Worst| if worst.margin.is_nan() { f32::NEG_INFINITY } else { worst.margin };
        let at = self.worst.partition_point(|kept| order(kept) <= order(&worst));
        if at < WORST {
            self.worst.insert(at, worst);
            self.worst.truncate(WORST);
        }
    }

    fn evaluation(self, folder: &Path, samples: &[Sample]) -> Evaluation {
        let has_classes = samples.iter().all(|sample| sample.class.is_some());
        let right =
            || self.confusion.iter().filter(|((class, answer), _)| class == answer).map(|(_, count)| count).sum();
        let correct: Option<usize> = has_classes.then(right);
        let pair = |(&(class, answer), &count): (&(usize, usize), &usize)| Answers { class, answer, count };
        Evaluation {
            inputs: folder.to_path_buf(),
            files: samples.len(),
            inferences: self.inferences,
            classes: self.classes,
            correct,
            accuracy: correct.map(|correct| correct as f64 / self.inferences.max(1) as f64),
            confusion: self.confusion.iter().map(pair).collect(),
            mean: self.sum / self.elements.max(1) as f64,
            answers: self.answers,
            worst: self.worst,
            minimum: self.minimum,
            maximum: self.maximum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tealight_format::{DType, Quantization};

    fn output() -> TensorKind {
        let quantization = Quantization::new(1.0, 0);
        TensorKind { name: "output 0".into(), dtype: DType::I8, shape: vec![1, 3], quantization, len: 3 }
    }

    fn sample(name: &str, class: Option<usize>) -> Sample {
        Sample { path: name.into(), class }
    }

    #[test]
    fn answers_are_counted_and_the_lowest_margins_kept() {
        let (a, b) = (sample("a", Some(0)), sample("b", Some(2)));
        let mut tally = Tally::new(3);
        tally.add(&a, 0, &output(), &[9, 1, 2]);
        tally.add(&b, 0, &output(), &[5, 1, 2]);
        tally.add(&b, 1, &output(), &[1, 1, 2]);
        let evaluation = tally.evaluation(Path::new("f"), &[a, b]);
        assert_eq!((evaluation.correct, evaluation.inferences, evaluation.files), (Some(2), 3, 2));
        assert_eq!(evaluation.answers, BTreeMap::from([(0, 2), (2, 1)]));
        let pairs: Vec<_> = evaluation.confusion.iter().map(|pair| (pair.class, pair.answer, pair.count)).collect();
        assert_eq!(pairs, [(0, 0, 1), (2, 0, 1), (2, 2, 1)]);
        let worst: Vec<_> =
            evaluation.worst.iter().map(|w| (w.file.to_str().unwrap(), w.inference, w.answer, w.margin)).collect();
        assert_eq!(worst, [("b", 0, 0, -3.0), ("b", 1, 2, 1.0), ("a", 0, 0, 7.0)]);
        assert_eq!((evaluation.minimum, evaluation.maximum), (1.0, 9.0));
        assert!((evaluation.mean - 24.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn without_classes_the_margin_is_that_of_the_answer() {
        let file = sample("a", None);
        let mut tally = Tally::new(3);
        tally.add(&file, 0, &output(), &[1, 4, 2]);
        let evaluation = tally.evaluation(Path::new("f"), &[file]);
        assert_eq!((evaluation.correct, evaluation.accuracy), (None, None));
        assert!(evaluation.confusion.is_empty());
        assert_eq!((evaluation.worst[0].answer, evaluation.worst[0].margin), (1, 2.0));
    }

    #[test]
    fn few_inputs_are_kept_of_many_and_nan_is_the_worst() {
        let mut tally = Tally::new(3);
        let worst =
            |margin: f32, inference| Worst { file: "a".into(), inference, class: None, answer: 0, value: 0.0, margin };
        (0..1000).for_each(|k| tally.keep(worst(((k * 7919) % 1000) as f32, k)));
        tally.keep(worst(f32::NAN, 1000));
        assert_eq!(tally.worst.len(), WORST);
        assert_eq!(tally.worst[0].inference, 1000);
        assert_eq!(tally.worst[1..].iter().map(|w| w.margin as usize).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    }
}
