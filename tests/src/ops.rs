//! Goldens of single operators: `tests/golden/ops/*.safetensors`.
//!
//! Each file holds cases: a `.tflite` model of one operator (or a few that belong together), and what TensorFlow Lite
//! Micro answers to one or more invocations in a row.

use crate::root;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;

/// One case.
#[derive(Debug, Default)]
pub struct Case {
    /// What is special about it.
    pub about: String,
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// Invocations in a row, state kept between them.
    pub steps: Vec<Step>,
}

/// One invocation: the bytes of all inputs and of all outputs.
#[derive(Debug, Default)]
pub struct Step {
    /// Little-endian, row-major, in the model's own type.
    pub inputs: Vec<Vec<u8>>,
    /// The same.
    pub outputs: Vec<Vec<u8>>,
}

/// The names of all golden files, in order.
///
/// # Panics
/// If the folder cannot be read.
pub fn files() -> Vec<String> {
    let folder = root().join("tests/golden/ops");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".safetensors")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The cases of a file, by name.
///
/// # Panics
/// If the file is missing or not as the oracle writes it.
pub fn cases(name: &str) -> BTreeMap<String, Case> {
    let path = root().join(format!("tests/golden/ops/{name}.safetensors"));
    read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The float networks of `tests/golden/float.safetensors`, by name; see `tests/oracle/make_float.py`.
///
/// # Panics
/// As [`cases`].
pub fn float_networks() -> BTreeMap<String, Case> {
    let path = root().join("tests/golden/float.safetensors");
    let mut networks = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    networks.retain(|_, case| !case.model.is_empty());
    networks
}

fn read(path: &Path) -> Result<BTreeMap<String, Case>, Box<dyn std::error::Error>> {
    let file = std::fs::read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&file)?;
    let about = metadata.metadata().clone().unwrap_or_default();
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for (key, tensor) in SafeTensors::deserialize(&file)?.tensors() {
        let (name, part) = key.split_once('/').ok_or("a tensor without a case")?;
        let case = cases.entry(name.to_owned()).or_default();
        case.about = about.get(name).cloned().unwrap_or_default();
        let parts: Vec<&str> = part.split('.').collect();
        let bytes = tensor.data().to_vec();
        match parts[..] {
            ["model"] => case.model = bytes,
            [side @ ("input" | "output"), index, step] => {
                let (index, step): (usize, usize) = (index.parse()?, step.parse()?);
                case.steps.resize_with(case.steps.len().max(step + 1), Step::default);
                let step = &mut case.steps[step];
                let tensors = if side == "input" { &mut step.inputs } else { &mut step.outputs };
                tensors.resize(tensors.len().max(index + 1), Vec::new());
                tensors[index] = bytes;
            }
            _ => return Err(format!("a tensor of unknown kind: {key}").into()),
        }
    }
    Ok(cases)
}
