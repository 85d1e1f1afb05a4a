//! Whole models with inputs and what must come out: the golden networks, and our own models, whose outputs on a board
//! must be those of this machine.

use crate::board::Board;
use crate::context::Context;
use crate::golden::{GoldenModel, Group, golden_models};
use crate::model::{ModelFile, target_of};
use anyhow::{Context as _, Result, bail};
use std::borrow::Cow;
use std::path::PathBuf;
use tealight::OwnedSession;
use tealight_compiler::Target;
use tealight_tests::models::splitmix64;

/// Inferences of each of our own models.
pub(crate) const INFERENCES: usize = 8;

/// A model, and runs of it that are compared.
#[derive(Debug)]
pub struct Subject {
    /// Its key among the goldens, or its folder in `models`.
    pub id: String,
    /// `network` or `model`.
    pub kind: &'static str,
    /// Compiled, for no core in particular.
    pub model: ModelFile,
    /// What it was compiled from: a golden network.
    pub source: Option<GoldenModel>,
    /// Each starts with fresh state.
    pub runs: Vec<Run>,
}

/// Inferences one after another.
#[derive(Debug)]
pub struct Run {
    /// Their inputs in a row.
    pub inputs: Vec<u8>,
    /// How many there are.
    pub inferences: usize,
    /// What must come out.
    pub expected: Expected,
}

/// What must come out of a run.
#[derive(Debug)]
pub enum Expected {
    /// These bytes, which this machine computed.
    Bytes(Vec<u8>),
    /// Outputs of `output_bytes` each, with the digests of a group of golden cases.
    Golden(Group, usize),
}

impl Expected {
    /// Compares outputs with it.
    ///
    /// # Errors
    /// They differ: where.
    pub fn compare(&self, found: &[u8]) -> Result<()> {
        match self {
            Expected::Golden(group, output_bytes) => group.compare(found, *output_bytes),
            Expected::Bytes(expected) if found == expected => Ok(()),
            Expected::Bytes(expected) => {
                let at = found.iter().zip(expected).position(|(a, b)| a != b);
                bail!("{} bytes instead of {}, different from byte {at:?}", found.len(), expected.len())
            }
        }
    }
}

impl Subject {
    /// The model for `board`: compiled for its core, where that has a layout of weights of its own. One of our own is
    /// compiled once, for all.
    pub fn model_for(&self, context: &Context, board: &Board) -> Result<Cow<'_, ModelFile>> {
        let target = target_of(board);
        match &self.source {
            Some(source) if target != Target::Any => Ok(Cow::Owned(source.compile(context, target)?)),
            _ => Ok(Cow::Borrowed(&self.model)),
        }
    }

    /// How many inferences all runs have.
    pub fn inferences(&self) -> usize {
        self.runs.iter().map(|run| run.inferences).sum()
    }
}

/// The golden networks whose files are here and our own models; or those named.
pub fn subjects(context: &Context, only: &[String]) -> Result<Vec<Subject>> {
    let mut subjects = own_models(context, only)?;
    let rest: Vec<String> = only.iter().filter(|id| !subjects.iter().any(|own| own.id == **id)).cloned().collect();
    if only.is_empty() || !rest.is_empty() {
        for golden in golden_models(context, &rest)? {
            let (model, groups) = golden.open(context)?;
            let run = |group: Group| Run {
                inputs: group.inputs.clone(),
                inferences: group.inputs.len() / model.input_bytes().max(1),
                expected: Expected::Golden(group, model.output_bytes()),
            };
            let runs = groups.into_iter().map(run).collect();
            subjects.push(Subject { id: golden.id.clone(), kind: "network", model, source: Some(golden), runs });
        }
    }
    Ok(subjects)
}

/// The outputs of a model for each of the inputs in a row.
pub fn run_here(model: &[u8], inputs: &[u8]) -> Result<Vec<u8>> {
    let mut session = OwnedSession::from_bytes(model).map_err(|error| anyhow::anyhow!("{error}"))?;
    let (mut left, mut outputs) = (inputs, Vec::new());
    if session.model().input_count() == 0 && !left.is_empty() {
        bail!("the model has no inputs, but was given {} bytes of them", left.len());
    }
    while !left.is_empty() {
        let mut each = Vec::new();
        for i in 0..session.model().input_count() {
            let len = session.model().input_value(i).map_or(0, |input| input.whole_len() as usize);
            let (now, later) = left.split_at_checked(len).context("the input ends within an inference")?;
            each.push(now);
            left = later;
        }
        session.run_on(&each)?;
        for i in 0..session.model().output_count() {
            outputs.extend_from_slice(session.output(i).context("the model has fewer outputs")?.as_bytes());
        }
    }
    Ok(outputs)
}

/// Our own compiled models or those of them that are named, on random inputs.
pub(crate) fn own_models(context: &Context, only: &[String]) -> Result<Vec<Subject>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(context.root.join("models")).context("cannot list models")? {
        let folder = folder?.path();
        if folder.is_dir() {
            files.extend(std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    let is_compiled = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".safetensors") && !name.ends_with(".float.safetensors")
    };
    // In float too, where `eval` has compiled them.
    if let Ok(entries) = std::fs::read_dir(context.float_models()) {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.retain(is_compiled);
    files.sort();
    let mut subjects = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        // Its input is random, and so is no sound.
        let model = ModelFile { listens: false, ..ModelFile::open(&file, &[])? };
        let inputs = random_inputs(&model, INFERENCES);
        let outputs = run_here(&model.bytes, &inputs).with_context(|| format!("{name} on this machine"))?;
        let runs = vec![Run { inputs, inferences: INFERENCES, expected: Expected::Bytes(outputs) }];
        subjects.push(Subject { id: name, kind: "model", model, source: None, runs });
    }
    Ok(subjects)
}

/// Inputs for `inferences` in a row.
pub fn random_inputs(model: &ModelFile, inferences: usize) -> Vec<u8> {
    let mut state = 1;
    let tensors = (0..inferences).flat_map(|_| &model.inputs);
    tensors.flat_map(|tensor| random(tensor.dtype, tensor.bytes, &mut state)).collect()
}

/// Random elements: f32 values from -2 to 2, indices below 64, any bytes.
fn random(dtype: &str, bytes: usize, state: &mut u64) -> Vec<u8> {
    match dtype {
        "F32" => (0..bytes / 4)
            .flat_map(|_| ((splitmix64(state) >> 40) as f32 / (1 << 22) as f32 - 2.0).to_le_bytes())
            .collect(),
        "I32" => (0..bytes / 4).flat_map(|_| ((splitmix64(state) >> 58) as i32).to_le_bytes()).collect(),
        _ => (0..bytes).map(|_| (splitmix64(state) >> 56) as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_inputs_are_numbers_that_models_take() {
        let mut state = 1;
        let values = random("F32", 4000, &mut state);
        assert!(values.as_chunks().0.iter().all(|b| f32::from_le_bytes(*b).abs() <= 2.0));
        let indices = random("I32", 4000, &mut state);
        assert!(indices.as_chunks().0.iter().all(|b| (0..64).contains(&i32::from_le_bytes(*b))));
        assert_eq!(random("I8", 7, &mut state).len(), 7);
    }
}
