//! `tealight compile --calibrate`: reads the inputs, quantizes, and says how near the int8 network is to the float one.

use crate::error::{Error, Result};
use crate::screen::Screen;
use crate::table::{Table, counted, grouped};
use crate::tensor_file::TensorKind;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tealight_compiler::graph::{Graph, Tensor};
use tealight_compiler::quantize::{
    Layer, Quantize, QuantizeError, Ranges, Report, Trial, compile_float_streams, import_float,
};
use tealight_compiler::{Compiled, Options};

/// What is said about quantizing to int8.
#[derive(Debug, clap::Args)]
pub(crate) struct Calibration {
    /// Inputs to quantize a float32 network to int8 by: a file or a folder of files, float32, .npy or .bin
    ///
    /// A file holds one input or any number in a row; of a .npy, the count is the first dimension. Some hundreds that are
    /// like what the network will see are enough. A folder's files are taken in the order of their names. A network with
    /// variables is given a file's inputs one after another, and starts afresh with each file. Of several inputs, give the
    /// option once for each, in their order.
    #[arg(long, value_name = "INPUTS", required_if_eq("quantize", "int8"))]
    pub(crate) calibrate: Vec<PathBuf>,
    /// How the range of each tensor is chosen; the best by the output's error, if not given
    #[arg(long, value_name = "HOW", requires = "calibrate")]
    ranges: Option<RangesArg>,
    /// What the network takes and gives
    #[arg(long, value_name = "TYPE", default_value = "int8", requires = "calibrate")]
    io: Io,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RangesArg {
    /// From the least to the greatest number seen
    Minmax,
    /// Without one number in ten thousand at each end
    Percentile,
    /// With the least squared error
    Mse,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Io {
    /// 8-bit integers, as the network computes with
    Int8,
    /// Real numbers, converted at the network's ends
    Float,
}

/// How near the int8 network is to the float one; the fields are keys of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Fidelity {
    ranges: String,
    bias_correction: bool,
    samples: usize,
    snr_db: f64,
    agreement: Option<f64>,
    trials: Vec<TrialReport>,
    layers: Vec<LayerReport>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TrialReport {
    ranges: String,
    bias_correction: bool,
    snr_db: f64,
}

#[derive(Debug, Serialize)]
struct LayerReport {
    name: String,
    kind: String,
    snr_db: f64,
    worst: f32,
    bytes: usize,
}

impl Calibration {
    /// Compiles the float network `input`, calibrated by the inputs that are named.
    ///
    /// # Errors
    /// The inputs do not fit the network, or it cannot be quantized; `failed` starts the message.
    pub(crate) fn compile(
        &self,
        input: &[u8],
        options: &Options,
        failed: &dyn Fn() -> Error,
    ) -> Result<(Compiled, Fidelity)> {
        let refuse = |error: QuantizeError| match error {
            QuantizeError::Quantized { .. } => failed().cause(error).help("leave out --calibrate"),
            error => failed().cause(error),
        };
        let network = import_float(input).map_err(refuse)?;
        let streams = read_streams(&self.calibrate, &network)?;
        let ranges = self.ranges.map(|ranges| match ranges {
            RangesArg::Minmax => Ranges::MinMax,
            RangesArg::Percentile => Ranges::Percentile,
            RangesArg::Mse => Ranges::Mse,
        });
        let quantize = Quantize { ranges, float_io: self.io == Io::Float, ..Quantize::default() };
        let (compiled, report) =
            compile_float_streams(&network, &streams, &quantize, input, options).map_err(refuse)?;
        Ok((compiled, Fidelity::of(report)))
    }
}

impl Fidelity {
    fn of(report: Report) -> Self {
        let trial = |Trial { ranges, bias_correction, snr_db }: Trial| {
            let ranges = ranges.to_string();
            TrialReport { ranges, bias_correction, snr_db }
        };
        let layer = |Layer { name, kind, snr_db, worst, bytes }| LayerReport { name, kind, snr_db, worst, bytes };
        Self {
            ranges: report.chosen.ranges.to_string(),
            bias_correction: report.chosen.bias_correction,
            samples: report.samples,
            snr_db: report.snr_db,
            agreement: report.agreement,
            trials: report.trials.into_iter().map(trial).collect(),
            layers: report.layers.into_iter().map(layer).collect(),
            warnings: report.warnings,
        }
    }

    /// Writes it as text.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn print(&self, screen: &mut Screen) -> Result<()> {
        let bias = if self.bias_correction { "; biases corrected" } else { "" };
        let agreement = self.agreement.map_or_else(String::new, |share| {
            format!("; the same greatest output as in float for {:.1} % of the inputs", share * 100.0)
        });
        screen.print(format!(
            "\nquantized by {}: ranges by {}{bias}; {:.1} dB of signal to noise{agreement}\n",
            counted(self.samples, "input"),
            self.ranges,
            self.snr_db
        ))?;
        let mut table =
            Table::new().text("layer", 0).text("operator", 1).number("dB", 0).number("worst", 0).number("bytes", 2);
        for layer in &self.layers {
            let (snr, worst) = (format!("{:.1}", layer.snr_db), format!("{:.4}", layer.worst));
            table.row([layer.name.clone(), layer.kind.clone(), snr, worst, grouped(layer.bytes as u64)]);
        }
        screen.print(table.draw(screen.table_width()).0)?;
        self.warnings.iter().try_for_each(|warning| screen.print(format!("warning: {warning}\n")))
    }
}

/// The samples that the files at `paths` hold, one path for each of the network's inputs. A folder's files are streams of
/// their own; those of all inputs with the same place in the order of names belong together.
///
/// # Errors
/// A file cannot be read or does not fit its input, or the inputs' files do not go together.
fn read_streams(paths: &[PathBuf], network: &Graph) -> Result<Vec<Vec<Vec<f32>>>> {
    if paths.len() != network.inputs.len() {
        let names: Vec<_> = network.inputs.iter().map(|&id| format!("`{}`", network.tensors[id].name)).collect();
        let what = format!("the network has {}, but --calibrate names {}", counted(names.len(), "input"), paths.len());
        let help = format!("give --calibrate once for each input, in this order: {}", names.join(", "));
        return Err(Error::new(what).help(help));
    }
    let files: Vec<Vec<PathBuf>> = paths.iter().map(|path| files(path)).collect::<Result<_>>()?;
    let mut streams: Vec<Vec<Vec<f32>>> = Vec::new();
    for (k, (files, &id)) in files.iter().zip(&network.inputs).enumerate() {
        let kind = kind(&network.tensors[id])?;
        let read: Vec<_> = files.iter().map(|file| read_stream(&kind, file)).collect::<Result<_>>()?;
        if k == 0 {
            streams = read;
            continue;
        }
        if streams.len() != read.len() {
            let what = format!("`{}` has {}", paths[k].display(), counted(read.len(), "file"));
            let help = format!("`{}` has {}; give every input as many", paths[0].display(), streams.len());
            return Err(Error::new(what).help(help));
        }
        for ((stream, more), file) in streams.iter_mut().zip(read).zip(files) {
            if stream.len() != more.len() {
                let what = format!("`{}` holds {}", file.display(), counted(more.len(), "input"));
                let help = format!("`{}` holds {} to go with them", paths[0].display(), stream.len());
                return Err(Error::new(what).help(help));
            }
            stream.iter_mut().zip(more).for_each(|(sample, more)| sample.extend(more));
        }
    }
    Ok(streams)
}

/// What a file must hold for an input.
fn kind(input: &Tensor) -> Result<TensorKind> {
    let (name, dtype) = (format!("the network's input `{}`", input.name), input.dtype.dtype());
    let Some(dtype) = dtype else {
        return Err(Error::new(format!("{name} is {}", input.dtype)).help("compile without --calibrate"));
    };
    let len = input.elements().saturating_mul(dtype.size() as usize);
    let shape = input.shape.iter().copied().map(u64::from).collect();
    Ok(TensorKind { name, dtype, shape, scale: 0.0, zero_point: 0, len })
}

/// The inputs in a file.
fn read_stream(kind: &TensorKind, file: &Path) -> Result<Vec<Vec<f32>>> {
    let stream = kind.read(file)?;
    let sample = |k| {
        let sample: Vec<f32> = kind.numbers(stream.get(k)).map(|number| number as f32).collect();
        match sample.iter().enumerate().find(|(_, number)| !number.is_finite()) {
            Some((index, value)) => {
                let what = format!("`{}`: calibration sample {k} is {value} at index {index}", file.display());
                Err(Error::new(what).help("every number must be finite"))
            }
            None => Ok(sample),
        }
    };
    (0..stream.count()).map(sample).collect()
}

/// The file itself, or the folder's .npy and .bin files by name.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let failed = || Error::new(format!("cannot read the folder `{}`", path.display()));
    let entries = std::fs::read_dir(path).map_err(|error| failed().cause(error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| failed().cause(error))?.path();
        let wanted = |extension: &std::ffi::OsStr| ["npy", "bin"].iter().any(|own| extension.eq_ignore_ascii_case(own));
        if file.is_file() && file.extension().is_some_and(wanted) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Error::new(format!(
            "the calibration data is empty: `{}` has no .npy or .bin file",
            path.display()
        ))
        .help("put float32 inputs such as the network will see there, some hundreds if possible"));
    }
    files.sort();
    Ok(files)
}
