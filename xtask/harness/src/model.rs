//! The model that a task works on: its compiled file, and what its inputs and outputs mean.

use crate::board::Board;
use crate::context::Context;
use crate::error::Usage;
use crate::files::read;
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::path::Path;
use tealight_cli::FrontEnd;
use tealight_compiler::{Options, Target, compile_tflite};
use tealight_format::{DType, Model, ModelError, Quantization, Value};

/// A compiled model.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Name for people.
    pub name: String,
    /// The compiled file.
    pub bytes: Vec<u8>,
    /// What each element of the first output represents; empty if unknown.
    pub labels: Vec<String>,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of RAM that it needs, state included.
    pub arena_bytes: u64,
    /// Whether it keeps something from one inference to the next.
    pub has_state: bool,
    /// Whether its input is sound: the firmware takes seconds of sound, and computes the model's input from them.
    pub listens: bool,
    /// Whether it continues texts: its file holds a tokenizer.
    pub speaks: bool,
    /// Model inputs.
    pub inputs: Vec<Tensor>,
    /// Model outputs.
    pub outputs: Vec<Tensor>,
}

/// A model input or output.
#[derive(Clone, Debug, Serialize)]
pub struct Tensor {
    /// Element type, as safetensors names it.
    pub dtype: &'static str,
    /// Dimensions.
    pub shape: Vec<u32>,
    /// real = scale * (q - zero_point); scale 0 where it is not quantized.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
    /// Length in bytes.
    pub bytes: usize,
}

/// The target that a board's core is.
pub fn target_of(board: &Board) -> Target {
    Target::of_core(&board.core).unwrap_or_default()
}

impl ModelFile {
    /// Reads a model: a compiled `.safetensors` as it is, a `.tflite` through the compiler. `labels` are used if the
    /// file has none.
    pub fn open(file: &Path, labels: &[String]) -> Result<Self> {
        Self::open_for(Target::Any, file, labels)
    }

    /// The same; a `.tflite` is compiled for `target`.
    pub fn open_for(target: Target, file: &Path, labels: &[String]) -> Result<Self> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = tealight_cli::visible(&name);
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("tflite") => {
                let options =
                    Options { name: Some(name.into_owned()), labels: labels.to_vec(), target, ..Options::default() };
                Self::compile(&read(file)?, &options, file)
            }
            Some("safetensors") => Self::from_compiled(read(file)?, &name, file),
            _ => {
                let text = format!("{} is neither a .tflite nor a compiled .safetensors model", file.display());
                Err(Usage(text).into())
            }
        }
    }

    /// Compiles a TFLite file's bytes.
    pub fn compile(tflite: &[u8], options: &Options, file: &Path) -> Result<Self> {
        let compiled =
            compile_tflite(tflite, options).with_context(|| format!("{} does not compile", file.display()))?;
        Self::from_compiled(compiled.bytes, options.name.as_deref().unwrap_or_default(), file)
    }

    /// Takes a compiled model; `file` names it in errors.
    pub fn from_compiled(bytes: Vec<u8>, name: &str, file: &Path) -> Result<Self> {
        let model = match Model::parse(&bytes) {
            Ok(model) => model,
            Err(error @ ModelError::Version { .. }) => bail!("{} was {error}", file.display()),
            Err(error) => bail!("{} is not a Tealight model: {error}", file.display()),
        };
        let listens = match model.metadata("front_end") {
            None => false,
            // The others' inputs are computed on this machine.
            Some(front_end) => FrontEnd::declared(front_end)? == FrontEnd::LogMel,
        };
        let tensors =
            |values: &mut dyn Iterator<Item = usize>| values.map(|value| Tensor::of(&model.value(value))).collect();
        let (inputs, outputs) = (tensors(&mut model.inputs()), tensors(&mut model.outputs()));
        Ok(Self {
            name: name.to_string(),
            labels: labels(model.metadata("labels")),
            macs: model.macs(),
            arena_bytes: model.arena_len() as u64,
            has_state: model.state_len() > 0,
            listens,
            speaks: model.metadata("tokenizer").is_some(),
            inputs,
            outputs,
            bytes,
        })
    }

    /// Features of a board's crate by which its firmware runs such a model.
    pub fn features(&self) -> &'static [&'static str] {
        match (self.listens, self.speaks) {
            (true, _) => &["audio"],
            (false, true) => &["text"],
            (false, false) => &[],
        }
    }

    /// Bytes that firmware takes for one inference: all inputs, or a second of sound.
    pub fn input_bytes(&self) -> usize {
        if self.listens { 2 * tealight_audio::SAMPLE_RATE } else { self.tensor_bytes() }
    }

    /// Bytes of all input tensors of one inference.
    fn tensor_bytes(&self) -> usize {
        self.inputs.iter().map(|tensor| tensor.bytes).sum()
    }

    /// Bytes of the features that firmware writes before the outputs of an inference.
    pub fn feature_bytes(&self) -> usize {
        if self.listens { self.tensor_bytes() } else { 0 }
    }

    /// Bytes of all outputs of one inference.
    pub fn output_bytes(&self) -> usize {
        self.outputs.iter().map(|tensor| tensor.bytes).sum()
    }
}

/// Labels from the metadata entry: a JSON list in a JSON string, or names separated by commas or line ends.
fn labels(entry: Option<&str>) -> Vec<String> {
    let Some(entry) = entry else { return Vec::new() };
    let text: String = serde_json::from_str(&format!("\"{entry}\"")).unwrap_or_else(|_| entry.into());
    serde_json::from_str(&text)
        .unwrap_or_else(|_| text.split(['\n', ',']).map(|label| label.trim().to_string()).collect())
}

impl Tensor {
    fn of(value: &Value) -> Self {
        Self {
            dtype: value.dtype.name(),
            shape: value.shape.dims().to_vec(),
            scale: value.quantization.scale,
            zero_point: value.quantization.zero_point,
            bytes: value.whole_len() as usize,
        }
    }

    /// The real values of the tensor's bytes.
    pub fn real(&self, bytes: &[u8]) -> Vec<f32> {
        let dequantize = |q: i32| match self.scale {
            0.0 => q as f32,
            scale => Quantization::new(scale, self.zero_point).dequantize(q),
        };
        let is = |dtype: DType| dtype.name() == self.dtype;
        if is(DType::F32) {
            bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        } else if is(DType::I32) {
            bytes.as_chunks().0.iter().map(|b| dequantize(i32::from_le_bytes(*b))).collect()
        } else if is(DType::I16) {
            bytes.as_chunks().0.iter().map(|b| dequantize(i16::from_le_bytes(*b).into())).collect()
        } else if is(DType::I8) {
            bytes.iter().map(|b| dequantize(b.cast_signed().into())).collect()
        } else {
            bytes.iter().map(|b| dequantize((*b).into())).collect()
        }
    }

    /// The tensor's bytes as brightness 0 to 255, if it has one byte an element.
    pub fn brightness(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.dtype {
            "U8" => Some(bytes.to_vec()),
            "I8" => Some(bytes.iter().map(|byte| byte ^ 0x80).collect()),
            _ => None,
        }
    }
}

/// The names of our own models: folders of `models` with a card, sorted.
pub fn own_models(context: &Context) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(context.root.join("models"))? {
        let entry = entry?;
        if entry.path().join("README.md").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;

    fn tensor(dtype: &'static str, scale: f32, zero_point: i32) -> Tensor {
        Tensor { dtype, shape: vec![], scale, zero_point, bytes: 0 }
    }

    #[test]
    fn quantized_bytes_become_real_values() {
        assert_eq!(tensor("I8", 0.5, -128).real(&[0x80, 0x00, 0x7F]), [0.0, 64.0, 127.5]);
        assert_eq!(tensor("U8", 0.5, 2).real(&[0, 4]), [-1.0, 1.0]);
        assert_eq!(tensor("I16", 2.0, 0).real(&[0xFF, 0xFF, 1, 0]), [-2.0, 2.0]);
        assert_eq!(tensor("F32", 0.0, 0).real(&1.5_f32.to_le_bytes()), [1.5]);
    }

    #[test]
    fn labels_are_read_in_each_way_they_are_written() {
        assert_eq!(labels(Some(r#"[\"a\",\"b, c\"]"#)), ["a", "b, c"]);
        assert_eq!(labels(Some("a,b")), ["a", "b"]);
        assert!(labels(None).is_empty());
    }

    #[test]
    fn a_model_of_an_older_format_is_refused_with_what_to_do() {
        let file = Context::new().unwrap().root.join("runtime/core/tests/relu.safetensors");
        let mut bytes = read(&file).unwrap();
        let plan = bytes.windows(8).position(|window| window == b"TEALIGHT").unwrap();
        bytes[plan + 8] = 1;
        let error = ModelFile::from_compiled(bytes, "old", Path::new("old.safetensors")).unwrap_err().to_string();
        assert!(error.starts_with("old.safetensors was compiled for format version 1,"), "{error}");
        assert!(error.contains("compile it again with this version's `tealight compile`"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_model_is_refused_by_name() {
        let error = ModelFile::open(Path::new("photo.png"), &[]).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("photo.png"));
        let error = ModelFile::open(Path::new("nowhere.tflite"), &[]).unwrap_err();
        assert!(format!("{error:#}").contains("nowhere.tflite"));
    }
}
