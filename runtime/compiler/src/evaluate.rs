//! Measures a compiled file on held-out inputs, in the same way for a float network and its quantized version.

use crate::diag::CompileError;
use crate::limit::Limit;
use crate::session::input_bytes;
use tealight::{Model, OwnedSession};

/// The expected first output for each held-out input.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// The index of the maximum element, for each input.
    Classes(Vec<u32>),
    /// The elements, for each input.
    Outputs(Vec<Vec<f32>>),
}

/// The result of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// For class targets.
    Accuracy {
        /// How many inputs had the expected class; of equal elements the first counts.
        right: usize,
        /// How many inputs were run.
        samples: usize,
    },
    /// For output targets.
    Error {
        /// The root of the mean squared difference.
        rms: f64,
        /// The maximum difference of one element.
        worst: f32,
        /// How many inputs were run.
        samples: usize,
    },
}

/// Why a file cannot be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// The bytes are not a Tealight model.
    #[error("not a Tealight model: {0}")]
    Model(String),
    /// It needs too much memory.
    #[error(transparent)]
    Memory(CompileError),
    /// There are no inputs.
    #[error("there are no inputs to evaluate with")]
    Empty,
    /// The numbers of inputs and targets differ.
    #[error("there are {samples} inputs, but {targets} targets; give one target for each input")]
    Count {
        /// The number of inputs.
        samples: usize,
        /// The number of targets.
        targets: usize,
    },
    /// An input has the wrong size.
    #[error("input {sample} has {found} numbers; the network takes {expected}")]
    Shape {
        /// The input's index.
        sample: usize,
        /// The number of values in it.
        found: usize,
        /// The number of values that the network takes.
        expected: usize,
    },
    /// A class is not the index of an output element.
    #[error("target {sample} is class {class}, but the output has {scores} scores; classes count from 0")]
    Class {
        /// The target's index.
        sample: usize,
        /// The class.
        class: u32,
        /// The number of elements of the output.
        scores: usize,
    },
    /// A target has another size than the output.
    #[error("target {sample} has {found} numbers; the output has {expected}")]
    Target {
        /// The target's index.
        sample: usize,
        /// The number of values in it.
        found: usize,
        /// The number of elements of the output.
        expected: usize,
    },
}

/// Runs the inputs through the model file `file` and compares its first output with the targets, one for each input.
///
/// `streams` are as for [`compile_float_streams`](crate::quantize::compile_float_streams): samples of f32 values, which
/// are quantized for an int8 input with its scale. The arena of the model may have up to `max_memory` bytes; the
/// default is eight times the file, and at least 512 MiB.
///
/// # Errors
/// [`EvaluateError`] names the sample or target that does not fit.
pub fn evaluate(
    file: &[u8],
    streams: &[Vec<Vec<f32>>],
    targets: &Targets,
    max_memory: Option<u64>,
) -> Result<Score, EvaluateError> {
    let model = Model::parse(file).map_err(|error| EvaluateError::Model(error.to_string()))?;
    let sizes: Vec<usize> = model.inputs().map(|input| elements(&model, input)).collect();
    let output = model.output(0).map_or(0, |output| elements(&model, output));
    check(streams, targets, sizes.iter().sum(), output)?;
    Limit::to_run_held(file.len() as u64, max_memory)
        .make(model.arena_len() as u64, || "the arena of the compiled network".into())
        .map_err(EvaluateError::Memory)?;
    let mut session = OwnedSession::from_bytes(file).map_err(|error| EvaluateError::Model(error.to_string()))?;
    let (mut right, mut squares, mut worst, mut samples) = (0, 0f64, 0f32, 0);
    for stream in streams {
        session.reset();
        for sample in stream {
            let mut rest = &sample[..];
            let mut inputs = Vec::new();
            for (k, &size) in sizes.iter().enumerate() {
                let (numbers, after) = rest.split_at(size);
                rest = after;
                inputs.push(input_bytes(&model, k, numbers).map_err(EvaluateError::Model)?);
            }
            let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            session.run_on(&inputs).map_err(|error| EvaluateError::Model(error.to_string()))?;
            let found = session.output(0);
            match targets {
                Targets::Classes(classes) => {
                    let highest = found.and_then(|found| found.argmax());
                    right += usize::from(highest.is_some_and(|(index, _)| index == classes[samples] as usize));
                }
                Targets::Outputs(outputs) => {
                    for (i, wanted) in outputs[samples].iter().enumerate() {
                        let difference = found.and_then(|found| found.get_f32(i)).unwrap_or(f32::NAN) - wanted;
                        squares += f64::from(difference).powi(2);
                        worst = worst.max(difference.abs());
                    }
                }
            }
            samples += 1;
        }
    }
    Ok(match targets {
        Targets::Classes(_) => Score::Accuracy { right, samples },
        Targets::Outputs(_) => {
            Score::Error { rms: (squares / (samples * output).max(1) as f64).sqrt(), worst, samples }
        }
    })
}

fn elements(model: &Model<'_>, value: usize) -> usize {
    model.value(value).shape.dims().iter().map(|&dim| dim as usize).product()
}

fn check(streams: &[Vec<Vec<f32>>], targets: &Targets, inputs: usize, output: usize) -> Result<(), EvaluateError> {
    let samples: Vec<&Vec<f32>> = streams.iter().flatten().collect();
    let targets_count = match targets {
        Targets::Classes(classes) => classes.len(),
        Targets::Outputs(outputs) => outputs.len(),
    };
    if samples.is_empty() {
        return Err(EvaluateError::Empty);
    }
    if samples.len() != targets_count {
        return Err(EvaluateError::Count { samples: samples.len(), targets: targets_count });
    }
    if let Some((sample, numbers)) = samples.iter().enumerate().find(|(_, numbers)| numbers.len() != inputs) {
        return Err(EvaluateError::Shape { sample, found: numbers.len(), expected: inputs });
    }
    match targets {
        Targets::Classes(classes) => match classes.iter().enumerate().find(|(_, class)| **class as usize >= output) {
            Some((sample, &class)) => Err(EvaluateError::Class { sample, class, scores: output }),
            None => Ok(()),
        },
        Targets::Outputs(outputs) => match outputs.iter().enumerate().find(|(_, target)| target.len() != output) {
            Some((sample, target)) => Err(EvaluateError::Target { sample, found: target.len(), expected: output }),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::compile_kernel_graph;
    use crate::ir::builder::Builder;
    use crate::ir::graph::ElementType::F32;
    use crate::options::Options;
    use tealight_format::Operator;
    use tealight_format::ops::{UnaryF32, UnaryFunction};

    /// A model that negates three values.
    fn negative() -> Vec<u8> {
        let mut b = Builder::new();
        let x = b.input("x", F32, &[1, 3]);
        let negate = Operator::UnaryF32(UnaryF32 { function: UnaryFunction::Neg });
        let y = b.op("y", negate, [x], F32, &[1, 3]);
        b.output(y);
        compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap().bytes
    }

    fn streams() -> Vec<Vec<Vec<f32>>> {
        vec![vec![vec![1.0, 2.0, -3.0], vec![-1.0, 0.0, 0.0]], vec![vec![5.0, 4.0, 4.0]]]
    }

    #[test]
    fn classes_are_counted_and_of_equal_scores_the_first_is_taken() {
        let classes = |classes: [u32; 3]| evaluate(&negative(), &streams(), &Targets::Classes(classes.to_vec()), None);
        assert_eq!(classes([2, 0, 1]), Ok(Score::Accuracy { right: 3, samples: 3 }));
        assert_eq!(classes([2, 1, 2]), Ok(Score::Accuracy { right: 1, samples: 3 }));
    }

    #[test]
    fn elements_are_compared() {
        let mut outputs = vec![vec![-1.0, -2.0, 3.0], vec![1.0, 0.0, 0.0], vec![-5.0, -4.0, -4.0]];
        let score = |outputs: &[Vec<f32>]| evaluate(&negative(), &streams(), &Targets::Outputs(outputs.to_vec()), None);
        assert_eq!(score(&outputs), Ok(Score::Error { rms: 0.0, worst: 0.0, samples: 3 }));
        outputs[1][2] = 6.0;
        assert_eq!(score(&outputs), Ok(Score::Error { rms: 2.0, worst: 6.0, samples: 3 }));
    }

    #[test]
    fn rejects_inputs_and_targets_that_do_not_fit() {
        let refused = |streams: &[Vec<Vec<f32>>], targets: Targets| {
            evaluate(&negative(), streams, &targets, None).unwrap_err().to_string()
        };
        let classes = |count: usize| Targets::Classes(vec![0; count]);
        assert!(refused(&[], classes(0)).contains("no inputs"));
        assert!(refused(&streams(), classes(2)).contains("3 inputs, but 2 targets"));
        assert!(refused(&[vec![vec![1.0]]], classes(1)).contains("input 0 has 1 numbers; the network takes 3"));
        let error = refused(&streams(), Targets::Classes(vec![0, 3, 0]));
        assert!(error.contains("target 1 is class 3, but the output has 3 scores"), "{error}");
        let error = refused(&streams(), Targets::Outputs(vec![vec![0.0; 2]; 3]));
        assert!(error.contains("target 0 has 2 numbers; the output has 3"), "{error}");
        assert!(evaluate(b"nonsense", &streams(), &classes(3), None).is_err());
    }

    #[test]
    fn a_file_that_needs_more_memory_than_is_allowed_is_refused_with_both_sizes() {
        let score = |max_memory| evaluate(&negative(), &streams(), &Targets::Classes(vec![2, 0, 1]), Some(max_memory));
        let error = score(15).unwrap_err().to_string();
        assert!(error.contains("the arena of the compiled network would take 32 bytes"), "{error}");
        assert!(error.contains("is 15") && error.contains("--max-memory"), "{error}");
        assert!(score(32).is_ok());
    }
}
