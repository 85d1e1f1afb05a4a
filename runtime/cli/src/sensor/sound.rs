//! Inputs from files of sound.

use super::{FrontEnd, does_not_fit};
use crate::error::{Error, Result};
use crate::tensor_file::{Stream, TensorKind};
use hound::{SampleFormat, WavReader};
use std::path::Path;
use tealight_audio::{LogMel, SAMPLE_RATE, quantized};
use tealight_format::DType;

/// Reads sound and computes the input from each second of it, as firmware does; without a front end, an input of
/// floating-point numbers takes the samples themselves, from -1 to 1. The last input is filled up with silence.
pub(super) fn read(kind: &TensorKind, front_end: Option<&FrontEnd>, path: &Path) -> Result<Stream> {
    match front_end {
        Some(FrontEnd::LogMel) => {
            let samples = read_samples(path)?;
            let seconds: Vec<Vec<i16>> = parts(&samples, SAMPLE_RATE);
            let (frames, bands) = frames_and_bands(kind).ok_or_else(|| {
                does_not_fit(path, kind).cause("log-mel features are I8, frame by frame, with 1 to 80 bands in a frame")
            })?;
            let features = |second: &Vec<i16>| features_of(bands, frames, second);
            let data = seconds.iter().map(features).collect::<Option<Vec<_>>>();
            let data = data.ok_or_else(|| {
                let bands = format!("its frames have {bands} bands, which this program does not compute");
                does_not_fit(path, kind).cause(bands).help("compute the features by `tealight-audio`, and give a .bin")
            })?;
            Ok(Stream::new(data.concat(), kind.len))
        }
        Some(other) => {
            Err(does_not_fit(path, kind).cause(format!("the model's front end is `{other}`, which takes no sound")))
        }
        None if kind.dtype == DType::F32 && kind.shape.iter().filter(|dim| **dim != 1).count() <= 1 => {
            let samples = parts(&read_samples(path)?, kind.len / size_of::<f32>()).concat();
            let data = samples.into_iter().flat_map(|sample| (f32::from(sample) / 32_768.0).to_le_bytes());
            Ok(Stream::new(data.collect(), kind.len))
        }
        None => Err(does_not_fit(path, kind)
            .cause("it is sound, and the model declares no front end for sound")
            .help("`--front-end log-mel` computes the features of the crate tealight-audio")),
    }
}

/// Which inputs hold log-mel features.
pub(super) const TAKES: &str = "inputs of frames of bands, of I8: [1, 1, frames, bands] or [1, frames, bands, 1]";

/// Whether log-mel features are such an input.
pub(super) fn fits(kind: &TensorKind) -> bool {
    frames_and_bands(kind).is_some_and(|(frames, bands)| features_of(bands, frames, &[]).is_some())
}

/// Divides samples into parts of `len`, the last filled up with silence.
fn parts(samples: &[i16], len: usize) -> Vec<Vec<i16>> {
    let mut parts: Vec<Vec<i16>> = samples.chunks(len.max(1)).map(<[i16]>::to_vec).collect();
    if let Some(last) = parts.last_mut() {
        last.resize(len, 0);
    }
    parts
}

/// Frames and bands of an input of features.
fn frames_and_bands(kind: &TensorKind) -> Option<(usize, usize)> {
    let dims: Vec<usize> = kind.shape.iter().filter(|dim| **dim != 1).map(|dim| *dim as usize).collect();
    match dims[..] {
        [frames, bands] if kind.dtype == DType::I8 => Some((frames, bands)),
        _ => None,
    }
}

/// The last `frames` frames of `samples`, silence before them; `None` for a number of bands that is not computed here.
fn features_of(bands: usize, frames: usize, samples: &[i16]) -> Option<Vec<u8>> {
    macro_rules! of_bands {
        ($($bands:literal)+) => {
            match bands {
                $($bands => Some(features::<$bands>(frames, samples)),)+
                _ => None,
            }
        };
    }
    of_bands!(8 10 12 13 16 20 24 26 30 32 40 48 64 80)
}

fn features<const BANDS: usize>(frames: usize, samples: &[i16]) -> Vec<u8> {
    let mut computed = Vec::new();
    LogMel::<BANDS>::new().push(samples, |frame| computed.extend(frame.map(|band| quantized(band).cast_unsigned())));
    let wanted = frames * BANDS;
    let silence = vec![i8::MIN.cast_unsigned(); wanted.saturating_sub(computed.len())];
    let skipped = computed.len().saturating_sub(wanted);
    [silence, computed.split_off(skipped)].concat()
}

/// Reads the samples of a WAV file: 16 kHz; more channels than one are mixed down, and other numbers of bits become 16.
///
/// # Errors
/// The file cannot be read, is no WAV file, or has another sample rate.
pub fn read_samples(path: &Path) -> Result<Vec<i16>> {
    let failed = || Error::new(format!("cannot read the sound `{}`", path.display()));
    let help = "give a WAV file of integers of 8 to 32 bits, or of floating-point numbers";
    let refuse = |error: hound::Error| failed().cause(error).help(help);
    let reader = WavReader::open(path).map_err(refuse)?;
    let spec = reader.spec();
    if spec.sample_rate as usize != SAMPLE_RATE {
        let help = format!("`sox IN.wav -r {SAMPLE_RATE} OUT.wav` converts it");
        let rate = format!("its sample rate is {} Hz, not {SAMPLE_RATE} Hz", spec.sample_rate);
        return Err(failed().cause(rate).help(help));
    }
    let samples: Vec<f64> = match spec.sample_format {
        SampleFormat::Int => {
            let full = f64::from(1_u32 << (spec.bits_per_sample.clamp(1, 32) - 1));
            let samples = reader.into_samples::<i32>().map(|sample| sample.map(|sample| f64::from(sample) / full));
            samples.collect::<std::result::Result<_, _>>().map_err(refuse)?
        }
        SampleFormat::Float => {
            let samples = reader.into_samples::<f32>().map(|sample| sample.map(f64::from));
            samples.collect::<std::result::Result<_, _>>().map_err(refuse)?
        }
    };
    if samples.is_empty() {
        return Err(failed().cause("it has no samples"));
    }
    let channels = usize::from(spec.channels).max(1);
    // The cast saturates.
    let mixed = |frame: &[f64]| (frame.iter().sum::<f64>() / frame.len() as f64 * 32_768.0).round() as i16;
    Ok(samples.chunks(channels).map(mixed).collect())
}
