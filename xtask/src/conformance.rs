//! `cargo xtask conformance`: whole models on a board, their output bytes against the golden ones.
//!
//! `tests/golden/models.json` says which models, how their inputs are made, and what must come out. A case's input is
//! made here by the same rule, and its hash compared, so that both sides are known to speak of the same input.

use crate::board::Board;
use crate::context::Context;
use crate::error::Usage;
use crate::fetch::{self, sha256};
use crate::model::ModelFile;
use crate::on_board::{Options, Run, run_on_board};
use crate::progress::Progress;
use crate::run::thousands;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Environment variable that names the folder of the MLPerf Tiny models, which no package holds.
const MLPERF: &str = "TEALIGHT_MLPERF_TINY";

/// `models.json`.
#[derive(Debug, Deserialize)]
struct Goldens {
    models: BTreeMap<String, Golden>,
}

/// A model's goldens; entries for tensors inside the network are for the host's tests.
#[derive(Debug, Deserialize)]
struct Golden {
    file: String,
    package: String,
    sha256: String,
    input_dtype: String,
    input_shape: Vec<usize>,
    #[serde(default)]
    input_scale: f32,
    #[serde(default)]
    input_zero_point: i32,
    cases: BTreeMap<String, Case>,
}

/// One input and what comes of it.
#[derive(Debug, Deserialize)]
struct Case {
    input_sha256: String,
    output_sha256: String,
}

/// Runs every golden model that is at hand, or those named, on a board.
pub fn conformance(context: &Context, board: &str, only: &[String]) -> Result<()> {
    let board = Board::find(&context.root, board)?;
    let file = context.root.join("tests/golden/models.json");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let goldens: Goldens = serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    if let Some(unknown) = only.iter().find(|id| !goldens.models.contains_key(*id)) {
        let known: Vec<_> = goldens.models.keys().map(String::as_str).collect();
        return Err(Usage(format!("there is no golden model `{unknown}`; there are: {}", known.join(", "))).into());
    }
    let mut failures = Vec::new();
    let (mut cases, mut absent) = (0, Vec::new());
    for (id, golden) in goldens.models.iter().filter(|(id, _)| only.is_empty() || only.contains(id)) {
        let Some(tflite) = find(context, id, golden)? else {
            absent.push(id.as_str());
            continue;
        };
        let progress = Progress::start(format!("{id} on {}", board.id));
        match model_conforms(context, &board, id, golden, &tflite) {
            Ok(run) => {
                cases += golden.cases.len();
                let instructions = run.report.instructions.first().copied().unwrap_or(0);
                let (arena, stack) = (run.report.arena_bytes, run.report.stack_bytes);
                progress.done(&format!(
                    "{} cases equal, {} instructions, arena {}, stack {}",
                    golden.cases.len(),
                    thousands(instructions),
                    thousands(arena),
                    thousands(stack)
                ));
            }
            Err(error) => {
                eprintln!("  FAILED {id}: {error:#}");
                failures.push(id.as_str());
            }
        }
    }
    if !absent.is_empty() {
        eprintln!("  not at hand: {} (set {MLPERF} to their folder)", absent.join(", "));
    }
    if !failures.is_empty() {
        bail!("{} of the golden models failed: {}", failures.len(), failures.join(", "));
    }
    if cases == 0 {
        bail!("no golden model was run");
    }
    eprintln!("  {cases} cases on {} equal the goldens", board.id);
    Ok(())
}

/// Runs all cases of a model in one go and compares.
fn model_conforms(context: &Context, board: &Board, id: &str, golden: &Golden, tflite: &[u8]) -> Result<Run> {
    if sha256(tflite) != golden.sha256 {
        bail!("the model is not the one that the goldens were made with");
    }
    let model = ModelFile::compile(tflite, id, golden.file.as_ref())?;
    // A model with state is started anew for each case.
    let groups: Vec<Vec<(&String, &Case)>> = if model.has_state {
        golden.cases.iter().map(|case| vec![case]).collect()
    } else {
        vec![golden.cases.iter().collect()]
    };
    let mut last = None;
    for group in groups {
        let mut inputs = Vec::new();
        for (name, case) in &group {
            let input = golden.input(name)?;
            if sha256(&input) != case.input_sha256 {
                bail!("the input of case {name} is not made as the goldens' was");
            }
            inputs.extend(input);
        }
        let run = run_on_board(context, board, &model, &inputs, Options::default())?;
        for ((name, case), output) in group.iter().zip(run.outputs.chunks(model.output_bytes().max(1))) {
            if sha256(output) != case.output_sha256 {
                bail!("the output of case {name} differs from the golden one");
            }
        }
        last = Some(run);
    }
    last.context("the golden file has no case for it")
}

/// The model's file: fetched, or from the MLPerf Tiny folder if there is one.
fn find(context: &Context, id: &str, golden: &Golden) -> Result<Option<Vec<u8>>> {
    if golden.package != "mlperf-tiny" {
        return Ok(Some(std::fs::read(fetch::model(context, id)?)?));
    }
    let beside = || Some(context.root.parent()?.join("shared/models/mlperf-tiny"));
    let folder = std::env::var_os(MLPERF).map(PathBuf::from).or_else(beside);
    Ok(folder.and_then(|folder| std::fs::read(folder.join(&golden.file)).ok()))
}

impl Golden {
    /// The input of a case, by the rule of `tests/oracle/make_models.py`.
    fn input(&self, case: &str) -> Result<Vec<u8>> {
        let count = self.input_shape.iter().product();
        let raw = raw_bytes(case, count).with_context(|| format!("`{case}` names no rule for an input"))?;
        let signed = raw.iter().map(|byte| byte ^ 0x80);
        Ok(match self.input_dtype.as_str() {
            "u8" => raw,
            "i8" => signed.collect(),
            "f32" => signed
                .map(|byte| self.input_scale * (i32::from(byte.cast_signed()) - self.input_zero_point) as f32)
                .flat_map(f32::to_le_bytes)
                .collect(),
            other => bail!("inputs of type {other} are not made"),
        })
    }
}

/// The unsigned bytes of a case: a ramp, or the high bytes of SplitMix64 started at the case's number.
fn raw_bytes(case: &str, count: usize) -> Option<Vec<u8>> {
    if case == "ramp" {
        return Some((0..count).map(|i| ((i * 37 + 11) % 256) as u8).collect());
    }
    let mut state: u64 = case.strip_prefix("rng")?.parse().ok()?;
    Some((0..count).map(|_| (splitmix64(&mut state) >> 56) as u8).collect())
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs for seed 1234567, as the reference implementation in C prints them.
        let mut state = 1_234_567;
        assert_eq!(splitmix64(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(splitmix64(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_golden_inputs_are_made_as_the_oracle_made_them() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/models.json");
        let goldens: Goldens = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for (id, golden) in &goldens.models {
            for (name, case) in &golden.cases {
                assert_eq!(sha256(&golden.input(name).unwrap()), case.input_sha256, "{id} {name}");
            }
        }
    }
}
