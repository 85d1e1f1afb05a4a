//! `tealight compile --evaluate`: the accuracy on held-out inputs before and after.

use crate::error::{Error, Result};
use crate::inputs::read_streams;
use crate::npy::Header;
use crate::screen::Screen;
use crate::sensor::Sensors;
use crate::table::counted;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight_compiler::evaluate::{Score, Targets, evaluate};
use tealight_compiler::quantize::import_float;
use tealight_compiler::{Options, compile_network, import_network};

/// What is said about held-out inputs.
#[derive(Debug, clap::Args)]
pub(crate) struct Evaluation {
    /// Held-out inputs to measure the accuracy before and after, as for --calibrate; they must be other inputs
    #[arg(long, value_name = "INPUTS", requires = "targets")]
    pub(crate) evaluate: Vec<PathBuf>,
    /// The expected results: a .npy of one class for each input (integers, [N]), or of the first output for each
    /// (floats)
    ///
    /// Classes are numbered from 0; an input is correct if its class is the index of the largest element of the first
    /// output. With floats, the report contains the root mean squared error of the first output and the largest
    /// difference of one element.
    #[arg(long, value_name = "LABELS.npy", requires = "evaluate")]
    pub(crate) targets: Option<PathBuf>,
}

/// The accuracy before and after; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Scores {
    metric: &'static str,
    samples: usize,
    float: Option<f64>,
    compiled: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    float_worst: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compiled_worst: Option<f32>,
}

impl Evaluation {
    /// Measures the file that `source` was compiled to, and also `source` itself if it is a float network. Of
    /// `options`, the memory, the folder, inputs and outputs are used.
    ///
    /// # Errors
    /// Inputs or targets cannot be read, or do not fit the network.
    pub(crate) fn measure(
        &self,
        source: &[u8],
        compiled: &[u8],
        options: &Options,
        sensors: &Sensors,
        failed: &dyn Fn() -> Error,
    ) -> Result<Option<Scores>> {
        let Some(path) = &self.targets else { return Ok(None) };
        let targets = read_targets(path)?;
        let max_memory = options.max_memory;
        let limits = Options {
            max_memory,
            folder: options.folder.clone(),
            signature: options.signature.clone(),
            input_shapes: options.input_shapes.clone(),
            input_values: options.input_values.clone(),
            outputs: options.outputs.clone(),
            ..Options::default()
        };
        let network = import_network(source, &limits).map_err(|error| failed().cause(error))?;
        let streams = read_streams("--evaluate", &self.evaluate, &network, sensors)?;
        let score = |file: &[u8]| {
            let what = || Error::new(format!("cannot evaluate with the targets `{}`", path.display()));
            evaluate(file, &streams, &targets, max_memory).map_err(|error| what().cause(error))
        };
        let float = match import_float(source, &limits) {
            Ok(_) => {
                let float = compile_network(source, &limits).map_err(|error| failed().cause(error))?;
                Some(score(&float.bytes)?)
            }
            Err(_) => None,
        };
        Ok(Some(Scores::of(float, score(compiled)?)))
    }
}

impl Scores {
    fn of(float: Option<Score>, compiled: Score) -> Self {
        let value = |score: Score| match score {
            Score::Accuracy { right, samples } => right as f64 / samples as f64,
            Score::Error { rms, .. } => rms,
        };
        let worst = |score: Score| match score {
            Score::Accuracy { .. } => None,
            Score::Error { worst, .. } => Some(worst),
        };
        let (metric, samples) = match compiled {
            Score::Accuracy { samples, .. } => ("accuracy", samples),
            Score::Error { samples, .. } => ("rms_error", samples),
        };
        Self {
            metric,
            samples,
            float: float.map(value),
            compiled: value(compiled),
            float_worst: float.and_then(worst),
            compiled_worst: worst(compiled),
        }
    }

    /// Prints them as text.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn print(&self, screen: &mut Screen) -> Result<()> {
        let accuracy = self.metric == "accuracy";
        let value = |value: f64, worst: Option<f32>| match worst {
            _ if accuracy => format!("{:.2} %", value * 100.0),
            Some(worst) => format!("{value:.6} (at most {worst:.6})"),
            None => format!("{value:.6}"),
        };
        let float =
            self.float.map_or_else(String::new, |float| format!("{} in float, ", value(float, self.float_worst)));
        let what = if accuracy { "right" } else { "root mean squared error" };
        let compiled = value(self.compiled, self.compiled_worst);
        let inputs = counted(self.samples, "held-out input");
        screen.print(format!("\n{what}: {float}{compiled} compiled, of {inputs}\n"))
    }
}

/// Reads the targets from a `.npy` file.
fn read_targets(path: &Path) -> Result<Targets> {
    let failed = || Error::new(format!("cannot read the targets `{}`", path.display()));
    let help = "save a .npy: integers [N], or floats with N as the first dimension";
    let data = std::fs::read(path).map_err(|error| failed().cause(error).help(help))?;
    let header = Header::parse(&data).map_err(|error| failed().cause(error).help(help))?;
    let (count, each) = match header.shape[..] {
        [] => (1, 1),
        [count, ref rest @ ..] => (count, rest.iter().fold(1u64, |n, &dim| n.saturating_mul(dim))),
    };
    let elements = &data[header.data_at..];
    let reordered = element_size(&header.descr).and_then(|size| header.in_c_order(elements, size));
    let elements = reordered.as_deref().unwrap_or(elements);
    let classes = integers(&header.descr, elements);
    let found = classes.as_ref().map(Vec::len).or_else(|| floats(&header.descr, elements).map(|floats| floats.len()));
    match found {
        None => Err(failed().cause(format!("it holds '{}'", header.descr)).help(help)),
        Some(found) if count.checked_mul(each) != Some(found as u64) => {
            Err(failed().cause(format!("its shape {:?} is not that of its {found} elements", header.shape)).help(help))
        }
        Some(0) => Err(failed().cause("it is empty").help(help)),
        Some(_) => match classes {
            Some(classes) if each == 1 => {
                let class = |(sample, class): (usize, i64)| {
                    let what = || format!("target {sample} is class {class}");
                    u32::try_from(class).map_err(|_| failed().cause(what()).help("classes count from 0"))
                };
                Ok(Targets::Classes(classes.into_iter().enumerate().map(class).collect::<Result<_>>()?))
            }
            Some(_) => Err(failed().cause(format!("integers of shape {:?}", header.shape)).help(help)),
            None => {
                let floats = floats(&header.descr, elements).unwrap_or_default();
                if let Some(index) = floats.iter().position(|float| !float.is_finite()) {
                    return Err(failed().cause(format!("element {index} is {}", floats[index])).help(help));
                }
                Ok(Targets::Outputs(floats.chunks(each.max(1) as usize).map(<[f32]>::to_vec).collect()))
            }
        },
    }
}

/// Returns the bytes of an element of the types below.
fn element_size(descr: &str) -> Option<usize> {
    Some(match descr {
        "|i1" | "|u1" => 1,
        "<i2" | "<u2" => 2,
        "<i4" | "<u4" | "<f4" => 4,
        "<i8" | "<u8" | "<f8" => 8,
        _ => return None,
    })
}

/// Returns the elements of an integer type, by its NumPy name.
fn integers(descr: &str, bytes: &[u8]) -> Option<Vec<i64>> {
    Some(match descr {
        "|i1" => bytes.iter().map(|&byte| i64::from(byte.cast_signed())).collect(),
        "|u1" => bytes.iter().map(|&byte| i64::from(byte)).collect(),
        "<i2" => bytes.as_chunks().0.iter().map(|b| i64::from(i16::from_le_bytes(*b))).collect(),
        "<u2" => bytes.as_chunks().0.iter().map(|b| i64::from(u16::from_le_bytes(*b))).collect(),
        "<i4" => bytes.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect(),
        "<u4" => bytes.as_chunks().0.iter().map(|b| i64::from(u32::from_le_bytes(*b))).collect(),
        // A value that does not fit is not a valid class.
        "<i8" | "<u8" => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        _ => return None,
    })
}

/// Returns the elements of a float type.
fn floats(descr: &str, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match descr {
        "<f4" => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        "<f8" => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        _ => return None,
    })
}
