//! `tealight compile --calibrate`: reads inputs, quantizes the network or stores its weights in smaller types, and
//! reports the loss.

use crate::error::{Error, Result};
use crate::fidelity::Fidelity;
use crate::inputs::read_streams;
use crate::sensor::Sensors;
use crate::weights::QuantizeTo;
use std::path::PathBuf;
use tealight_compiler::quantize::{
    Activations, Quantize, QuantizeError, Ranges, compile_float_streams, compile_weights, import_float,
};
use tealight_compiler::{Compiled, Options};

/// What is said about inputs to quantize and to measure by.
#[derive(Debug, clap::Args)]
pub(crate) struct Calibration {
    /// Inputs to calibrate a float32 network with: a file or a folder of files
    ///
    /// A file is what `tealight run` takes for the float32 network: a .npy or .bin of float32, or a picture, sound or .csv
    /// for the --front-end. It holds one or more inputs; for a .npy, the first dimension is their number. A few hundred inputs similar
    /// to those in use are enough. The files in a folder are read in the order of their names. If the network has
    /// variables, the inputs of one file are run in sequence, and the state is reset before each file. If the network
    /// has several inputs, give the option once for each, in their order. The network becomes int8 unless --quantize or
    /// --min-snr selects another type; the inputs of a network that stays float32 measure the error of the smaller weights.
    #[arg(long, value_name = "INPUTS", required_if_eq_any([("quantize", "int8"), ("quantize", "16x8")]))]
    pub(crate) calibrate: Vec<PathBuf>,
    /// How the range of each tensor is chosen for int8 and 16x8; by default all methods are tried, and the one with the smallest
    /// output error is used
    ///
    /// An outlier is a value that is more than four times as far from 0 as all others, if it is at most one value in a
    /// thousand or belongs to at most one input in a hundred. Outliers are reported, and do not affect the choice.
    #[arg(long, value_name = "HOW", requires = "calibrate", conflicts_with = "min_snr")]
    ranges: Option<RangesArg>,
    /// The type of a quantized network's inputs and outputs; by default int8, or int16 with --quantize 16x8
    ///
    /// Inputs that only operators in float32 read, and outputs that they write, are float32 in any case.
    #[arg(long, value_name = "TYPE", requires = "calibrate", conflicts_with = "min_snr")]
    io: Option<Io>,
    /// Store the weights of each float32 layer in the smallest type that keeps this signal-to-noise ratio, in decibels
    ///
    /// The ratio is measured at the layer's own output, with the layer's inputs taken from the float network. The types
    /// are f32, f16 and, for fully connected layers and tables, the block types. --layer takes precedence.
    #[arg(long, value_name = "DB", requires = "calibrate", conflicts_with = "quantize", value_parser = decibels)]
    min_snr: Option<f64>,
}

fn decibels(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("give a number of decibels, such as 30".into()),
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RangesArg {
    /// From the observed minimum to the maximum, outliers included
    Minmax,
    /// Without outliers, and without one value in ten thousand at each end
    Percentile,
    /// With the minimum squared error, without outliers
    Mse,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Io {
    /// 8-bit integers, as inside an int8 network
    Int8,
    /// 16-bit integers, as inside a 16x8 network
    Int16,
    /// float32, converted inside the network
    Float,
}

impl Calibration {
    /// Returns the type of activations if the network becomes one of integers, given the value of `--quantize`.
    pub(crate) fn activations(&self, quantize: Option<QuantizeTo>) -> Option<Activations> {
        match quantize {
            None => (!self.calibrate.is_empty() && self.min_snr.is_none()).then_some(Activations::Int8),
            Some(QuantizeTo::Activations(activations)) => Some(activations),
            Some(_) => None,
        }
    }

    /// Returns the name of an option that was given and that does not apply to a network with these activations, and why.
    pub(crate) fn refused(&self, activations: Option<Activations>) -> Option<(&'static str, &'static str)> {
        const ONLY_INTEGERS: &str = "it applies to int8 and 16x8 networks only";
        match (activations, self.io) {
            (None, _) if self.ranges.is_some() => Some(("--ranges", ONLY_INTEGERS)),
            (None, Some(_)) => Some(("--io", ONLY_INTEGERS)),
            (Some(Activations::Int16), Some(Io::Int8)) => {
                Some(("--io int8", "inputs and outputs of a 16x8 network are int16 or float"))
            }
            (Some(Activations::Int8), Some(Io::Int16)) => {
                Some(("--io int16", "inputs and outputs of an int8 network are int8 or float"))
            }
            _ => None,
        }
    }

    /// Compiles the float network `input`, quantized or measured with the inputs that the options name.
    ///
    /// # Errors
    /// The inputs do not fit the network, or it cannot be quantized; `failed` starts the message.
    pub(crate) fn compile(
        &self,
        input: &[u8],
        activations: Option<Activations>,
        options: &Options,
        sensors: &Sensors,
        failed: &dyn Fn() -> Error,
    ) -> Result<(Compiled, Fidelity)> {
        let refuse = |error: QuantizeError| match error {
            QuantizeError::Quantized { .. } => failed().cause(error).help("leave out --calibrate"),
            error => failed().cause(error),
        };
        let network = import_float(input, options).map_err(refuse)?;
        let streams = read_streams("--calibrate", &self.calibrate, &network, sensors)?;
        let ranges = self.ranges.map(|ranges| match ranges {
            RangesArg::Minmax => Ranges::MinMax,
            RangesArg::Percentile => Ranges::Percentile,
            RangesArg::Mse => Ranges::Mse,
        });
        let (compiled, report) = if let Some(activations) = activations {
            let quantize =
                Quantize { activations, ranges, float_io: self.io == Some(Io::Float), ..Quantize::default() };
            compile_float_streams(&network, &streams, &quantize, input, options)
        } else {
            compile_weights(&network, &streams, self.min_snr, input, options)
        }
        .map_err(refuse)?;
        Ok((compiled, Fidelity::of(report)))
    }
}
