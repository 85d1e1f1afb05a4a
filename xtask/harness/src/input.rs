//! Inputs for a model, from files: those that `tealight run` takes; for a model that listens, sound.

use crate::files::read;
use crate::model::{ModelFile, Tensor};
use anyhow::{Result, bail};
use std::path::Path;
use tealight_cli::{input_files, is_raw, read_inputs, read_samples};
use tealight_format::Model;

/// Reads a file of inputs, or the files of a folder in the order of their names: each is one input or several in a row.
///
/// The front end that the model's file declares computes its input; but of a model that listens, the firmware computes
/// it, and takes `.wav`, or raw 16 kHz samples.
pub fn load(path: &Path, model: &ModelFile) -> Result<Vec<u8>> {
    let mut inputs = Vec::new();
    for file in input_files(path)? {
        inputs.extend(load_file(&file, model)?);
    }
    Ok(inputs)
}

fn load_file(file: &Path, model: &ModelFile) -> Result<Vec<u8>> {
    let is_sound = || file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav"));
    let inputs = match model.listens {
        true if is_sound() => seconds(read_samples(file)?),
        false if !is_raw(file) => {
            if model.inputs.len() != 1 {
                bail!("{} has {} inputs, {} is one; pass raw bytes", model.name, model.inputs.len(), file.display());
            }
            read_inputs(&Model::parse(&model.bytes)?, 0, file)?
        }
        _ => read(file)?,
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

/// Samples as whole seconds in a row; the last is filled up with silence.
fn seconds(mut samples: Vec<i16>) -> Vec<u8> {
    samples.resize(samples.len().next_multiple_of(tealight_audio::SAMPLE_RATE), 0);
    samples.into_iter().flat_map(i16::to_le_bytes).collect()
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
    fn pictures_and_folders_are_taken_as_by_the_command_line() {
        let root = crate::context::Context::new().unwrap().root;
        let digits = ModelFile::open(&root.join("models/digits/digits.safetensors"), &[]).unwrap();
        let (folder, picture) = file("b.pgm", b"P5\n2 1\n255\n\x00\xFF");
        let pixels = load(&picture, &digits).unwrap();
        assert_eq!((pixels.len(), pixels[0], pixels[27]), (28 * 28, 0x80, 0x7F));
        std::fs::write(folder.path().join("a.bin"), [3; 28 * 28]).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no input").unwrap();
        assert_eq!(load(folder.path(), &digits).unwrap(), [vec![3; 28 * 28], pixels].concat());
    }

    #[test]
    fn an_input_of_the_wrong_size_is_told_the_right_one() {
        let (_folder, raw) = file("x.bin", &[0; 7]);
        let text = format!("{:#}", load(&raw, &model("I8", &[1, 4])).unwrap_err());
        assert!(text.contains("x.bin") && text.contains("7 bytes") && text.contains("I8 [1, 4]"), "{text}");
    }

    #[test]
    fn several_inferences_in_a_row_are_taken() {
        let (_folder, raw) = file("x.bin", &[0; 12]);
        assert_eq!(load(&raw, &model("I8", &[1, 4])).unwrap().len(), 12);
    }
}
