//! Goldens of single operators: `tests/golden/ops/*.safetensors`.
//!
//! Each file holds cases: a `.tflite` model of one operator (or a few that belong together), and the outputs of
//! TensorFlow Lite Micro for one or more consecutive invocations.

use crate::root;
use crate::tolerance::{Tolerance, floats, near};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;
use tealight::{Budget, OwnedSession};

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

impl Case {
    /// Runs `model`, which is compiled from it, on the inputs of the first invocation, each poll with the next budget.
    /// Returns the bytes of the first output.
    ///
    /// # Panics
    /// If the model is invalid, or has other inputs.
    pub fn run(&self, model: &[u8], mut budget: impl FnMut() -> Budget) -> Vec<u8> {
        let mut session = OwnedSession::from_bytes(model).unwrap_or_else(|error| panic!("{}: {error}", self.about));
        for (i, input) in self.steps.iter().take(1).flat_map(|step| &step.inputs).enumerate() {
            let copied = session.input(i).map(|mut tensor| tensor.copy_from_bytes(input));
            assert!(copied.is_some_and(|copied| copied.is_ok()), "{}: input {i} is another", self.about);
        }
        while session.poll(budget()).is_pending() {}
        let output = session.output(0).unwrap_or_else(|| panic!("{}: it has no output", self.about));
        output.as_bytes().to_vec()
    }
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

/// The files of the ONNX networks in `tests/golden/onnx.safetensors` and `onnx_quantized.safetensors`, by name; see
/// `tests/oracle/make_onnx.py` and `make_onnx_quantized.py`.
///
/// # Panics
/// If a file is missing or not as the oracle writes it.
pub fn onnx_networks() -> BTreeMap<String, Vec<u8>> {
    let mut networks = BTreeMap::new();
    for name in ["onnx", "onnx_quantized"] {
        let path = root().join(format!("tests/golden/{name}.safetensors"));
        let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tensors = SafeTensors::deserialize(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (key, tensor) in tensors.tensors() {
            if let Some(case) = key.strip_suffix("/model") {
                networks.insert(format!("{name}.{case}"), tensor.data().to_vec());
            }
        }
    }
    networks
}

/// Runs every golden case and compares: integers by their bytes, floats within the tolerance of their operator. `run`
/// returns the outputs of each of the case's steps.
///
/// # Panics
/// If a case cannot be run or differs, with all that do; or if hardly any were found.
pub fn check_all(mut run: impl FnMut(&Case) -> Result<Vec<Vec<Vec<u8>>>, String>) {
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in files() {
        for (name, case) in cases(&file) {
            count += 1;
            let compared = run(&case).and_then(|found| compare(&case, &found, Tolerance::of_operator(&file)));
            if let Err(error) = compared {
                failures.push(format!("{name} ({}): {error}", case.about));
            }
        }
    }
    assert!(count > 500, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn compare(case: &Case, found: &[Vec<Vec<u8>>], tolerance: Tolerance) -> Result<(), String> {
    if found.len() != case.steps.len() {
        return Err(format!("{} steps were run of {}", found.len(), case.steps.len()));
    }
    for (k, (step, found)) in case.steps.iter().zip(found).enumerate() {
        if found.len() != step.outputs.len() {
            return Err(format!("step {k} has {} outputs, expected {}", found.len(), step.outputs.len()));
        }
        for (i, (expected, found)) in step.outputs.iter().zip(found).enumerate() {
            if tolerance != Tolerance::Exact {
                near(&floats(found), &floats(expected), tolerance, 1.0)
                    .map_err(|error| format!("step {k}, output {i} {error}"))?;
            } else if found != expected {
                let at = found.iter().zip(expected).position(|(a, b)| a != b);
                let bytes = |x: &[u8]| x.iter().skip(at.unwrap_or(0)).take(8).copied().collect::<Vec<_>>();
                return Err(format!(
                    "step {k}, output {i} ({} of {} bytes) differs from byte {at:?}: {:?}, expected {:?}",
                    found.len(),
                    expected.len(),
                    bytes(found),
                    bytes(expected)
                ));
            }
        }
    }
    Ok(())
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
