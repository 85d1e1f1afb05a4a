//! Inputs for a model, from files: raw little-endian values in the model's own type, NumPy arrays, pictures, or sound.

use crate::files::read;
use crate::model::{ModelFile, Tensor};
use crate::picture::Picture;
use anyhow::{Context as _, Result, anyhow, bail};
use std::path::Path;
use tealight_format::Model;

/// Reads a file of inputs: `.pgm` is one picture, `.npy` one or several inputs of a model that has one, anything else
/// is the inputs of one inference after another. A model that listens takes `.wav`, or raw 16 kHz samples.
pub fn load(file: &Path, model: &ModelFile) -> Result<Vec<u8>> {
    let bytes = read(file)?;
    let inputs = match file.extension().and_then(|extension| extension.to_str()) {
        Some("pgm") => {
            let picture = Picture::from_pgm(&bytes).map_err(|error| anyhow!("{}: {error}", file.display()))?;
            from_picture(&picture, model).with_context(|| format!("{} does not fit", file.display()))?
        }
        Some("wav") => from_sound(file, model)?,
        Some("npy") if !model.listens => from_array(file, model)?,
        _ => bytes,
    };
    let wanted = model.input_bytes();
    if inputs.is_empty() || wanted == 0 || !inputs.len().is_multiple_of(wanted) {
        bail!(
            "{} has {} bytes; {} takes {wanted} bytes an inference ({}), so the file must hold a multiple of that",
            file.display(),
            inputs.len(),
            model.name,
            if model.listens { "a second of 16 kHz samples".into() } else { describe(&model.inputs) }
        );
    }
    Ok(inputs)
}

/// A NumPy array as the model's only input, or several in a row.
fn from_array(file: &Path, model: &ModelFile) -> Result<Vec<u8>> {
    if model.inputs.len() != 1 {
        bail!("{} has {} inputs, an array is one; pass raw bytes", model.name, model.inputs.len());
    }
    let parsed = Model::parse(&model.bytes)?;
    Ok(tealight_cli::read_inputs(&parsed, 0, file)?)
}

/// A WAV file's samples, seconds in a row; the last is filled up with silence.
fn from_sound(file: &Path, model: &ModelFile) -> Result<Vec<u8>> {
    if !model.listens {
        bail!("{} takes no sound: its file names no front end", model.name);
    }
    let reader = hound::WavReader::open(file).with_context(|| format!("{} is no WAV file", file.display()))?;
    let spec = reader.spec();
    let found = (spec.sample_rate as usize, spec.channels, spec.bits_per_sample, spec.sample_format);
    if found != (tealight_audio::SAMPLE_RATE, 1, 16, hound::SampleFormat::Int) {
        bail!(
            "{} has {} channels of {} bits at {} Hz; the front end takes one of 16 bits at {} Hz. \
             `sox IN.wav -c 1 -b 16 -r {} OUT.wav` converts it",
            file.display(),
            spec.channels,
            spec.bits_per_sample,
            spec.sample_rate,
            tealight_audio::SAMPLE_RATE,
            tealight_audio::SAMPLE_RATE
        );
    }
    let mut samples =
        reader.into_samples().collect::<Result<Vec<i16>, _>>().with_context(|| file.display().to_string())?;
    samples.resize(samples.len().next_multiple_of(tealight_audio::SAMPLE_RATE), 0);
    Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect())
}

/// A grey picture as the model's only input: black is the minimum of the type, white the maximum.
fn from_picture(picture: &Picture, model: &ModelFile) -> Result<Vec<u8>> {
    let [tensor] = &model.inputs[..] else {
        bail!("{} has {} inputs, a picture is one", model.name, model.inputs.len());
    };
    let shape = [1, picture.height as u32, picture.width as u32, 1];
    if tensor.shape != shape {
        bail!("the picture is {shape:?}, {} takes {}", model.name, describe(&model.inputs));
    }
    match tensor.dtype {
        "U8" => Ok(picture.pixels.clone()),
        "I8" => Ok(picture.pixels.iter().map(|pixel| pixel ^ 0x80).collect()),
        other => bail!("{} takes {other}, a picture is accepted for I8 and U8", model.name),
    }
}

/// Types and shapes in words.
pub fn describe(tensors: &[Tensor]) -> String {
    let one = |tensor: &Tensor| format!("{} {:?}", tensor.dtype, tensor.shape);
    tensors.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(dtype: &'static str, shape: &[u32]) -> ModelFile {
        let bytes = shape.iter().product::<u32>() as usize;
        ModelFile {
            name: "net".into(),
            bytes: Vec::new(),
            labels: Vec::new(),
            macs: 0,
            arena_bytes: 0,
            has_state: false,
            listens: false,
            speaks: false,
            inputs: vec![Tensor { dtype, shape: shape.to_vec(), scale: 1.0, zero_point: 0, bytes }],
            outputs: Vec::new(),
        }
    }

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        (folder, file)
    }

    #[test]
    fn a_picture_becomes_signed_or_unsigned_brightness() {
        let (_folder, picture) = file("x.pgm", b"P5\n2 1\n255\n\x00\xFF");
        assert_eq!(load(&picture, &model("I8", &[1, 1, 2, 1])).unwrap(), [0x80, 0x7F]);
        assert_eq!(load(&picture, &model("U8", &[1, 1, 2, 1])).unwrap(), [0x00, 0xFF]);
    }

    #[test]
    fn an_input_of_the_wrong_size_is_told_the_right_one() {
        let (_folder, raw) = file("x.bin", &[0; 7]);
        let text = format!("{:#}", load(&raw, &model("I8", &[1, 4])).unwrap_err());
        assert!(text.contains("x.bin") && text.contains("7 bytes") && text.contains("I8 [1, 4]"), "{text}");
        let (_folder, picture) = file("x.pgm", b"P5\n2 1\n255\n\x00\xFF");
        let text = format!("{:#}", load(&picture, &model("I8", &[1, 4, 4, 1])).unwrap_err());
        assert!(text.contains("[1, 1, 2, 1]") && text.contains("[1, 4, 4, 1]"), "{text}");
    }

    #[test]
    fn several_inferences_in_a_row_are_taken() {
        let (_folder, raw) = file("x.bin", &[0; 12]);
        assert_eq!(load(&raw, &model("I8", &[1, 4])).unwrap().len(), 12);
    }
}
