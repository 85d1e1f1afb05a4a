//! Goldens of whole models: `tests/golden/models.json`.
//!
//! The models themselves are third parties' and come out of packages; `cargo xtask fetch` puts them into a cache. A
//! case's input is made here by the rule that the oracle used, and its hash compared.

use crate::root;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
pub use tealight_testing::rng::splitmix64;

/// Environment variable that names the folder of the MLPerf Tiny models, which no package holds.
pub const MLPERF_TINY: &str = "TEALIGHT_MLPERF_TINY";

/// Where fetched models are, below the repository's folder: `ID.tflite` each.
pub const CACHE: &str = "target/tealight-cache/models";

#[derive(Deserialize)]
struct Goldens {
    models: BTreeMap<String, Golden>,
}

/// A model's goldens.
#[derive(Debug, Deserialize)]
pub struct Golden {
    /// File name of the model.
    pub file: String,
    /// Where it comes from: `mlperf-tiny`, or a package.
    pub package: String,
    /// SHA-256 of the `.tflite` file.
    pub sha256: String,
    /// `i8`, `u8` or `f32`.
    pub input_dtype: String,
    /// Dimensions of the one input.
    pub input_shape: Vec<usize>,
    /// Scale of float inputs.
    #[serde(default)]
    pub input_scale: f32,
    /// Zero point of float inputs.
    #[serde(default)]
    pub input_zero_point: i32,
    /// Index of the tensor before the last softmax.
    pub logits: Option<String>,
    /// Whether the network computes in f32: what comes of an input is compared under a tolerance.
    #[serde(default)]
    pub float: bool,
    /// Inputs and what comes of them, by the name of the rule that makes the input.
    pub cases: BTreeMap<String, Case>,
}

/// One input and what comes of it.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// SHA-256 of the input's bytes.
    pub input_sha256: String,
    /// SHA-256 of the output's bytes; empty for a float network.
    #[serde(default)]
    pub output_sha256: String,
    /// The output's elements.
    pub output: Vec<f32>,
    /// The elements of the tensor before the softmax of a float network that has one.
    #[serde(default)]
    pub logits: Vec<f32>,
    /// Every computed tensor of a quantized network, by its index in the `.tflite` file.
    #[serde(default)]
    pub tensors: BTreeMap<usize, Tensor>,
}

/// A tensor inside the network.
#[derive(Debug, Deserialize)]
pub struct Tensor {
    /// Its name in the `.tflite` file.
    pub name: String,
    /// The first 16 hexadecimal digits of the SHA-256 of its bytes.
    pub sha256: String,
}

/// All golden models, by id.
///
/// # Errors
/// If the file cannot be read or is not as the oracle writes it.
pub fn goldens() -> std::io::Result<BTreeMap<String, Golden>> {
    let text = std::fs::read_to_string(root().join("tests/golden/models.json"))?;
    Ok(serde_json::from_str::<Goldens>(&text)?.models)
}

impl Golden {
    /// Whether the model comes from a package, so that `cargo xtask fetch` can get it.
    pub fn is_packaged(&self) -> bool {
        self.package != "mlperf-tiny"
    }

    /// Where the model is if it is here. `id` is its key among the goldens.
    pub fn path(&self, id: &str) -> Option<PathBuf> {
        let path = if self.is_packaged() {
            root().join(CACHE).join(format!("{id}.tflite"))
        } else {
            mlperf_tiny()?.join(&self.file)
        };
        path.is_file().then_some(path)
    }

    /// The input of a case, by the rule of `tests/oracle/make_models.py`; `None` if `case` names no rule.
    pub fn input(&self, case: &str) -> Option<Vec<u8>> {
        let raw = raw_bytes(case, self.input_shape.iter().product())?;
        let signed = raw.iter().map(|byte| byte ^ 0x80);
        Some(match self.input_dtype.as_str() {
            "i8" => signed.collect(),
            "f32" => signed
                .map(|byte| self.input_scale * (i32::from(byte.cast_signed()) - self.input_zero_point) as f32)
                .flat_map(f32::to_le_bytes)
                .collect(),
            _ => raw,
        })
    }
}

/// The folder of the MLPerf Tiny models, which `TEALIGHT_MLPERF_TINY` names; `None` if it is not set.
pub fn mlperf_tiny() -> Option<PathBuf> {
    std::env::var_os(MLPERF_TINY).map(PathBuf::from)
}

/// The unsigned bytes of a case: a ramp, or the high bytes of SplitMix64 started at the case's number.
pub fn raw_bytes(case: &str, count: usize) -> Option<Vec<u8>> {
    if case == "ramp" {
        return Some((0..count).map(|i| ((i * 37 + 11) % 256) as u8).collect());
    }
    let mut state: u64 = case.strip_prefix("rng")?.parse().ok()?;
    Some((0..count).map(|_| (splitmix64(&mut state) >> 56) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_inputs_are_generated_as_by_the_oracle() {
        for (id, golden) in goldens().unwrap() {
            for (name, case) in &golden.cases {
                let input = golden.input(name).unwrap();
                assert_eq!(crate::sha256(&input), case.input_sha256, "{id} {name}");
            }
        }
    }
}
