//! Golden networks: `tests/golden/models.json` lists the models, the rules that generate their inputs, and the digests
//! of their outputs. The digest of an input is compared first, which shows that both sides run the same input. A float
//! network must output the same bits as on the host (`tests/golden/f32.json`).

use crate::context::Context;
use crate::error::Usage;
use crate::fetch;
use crate::files::{self, sha256};
use crate::model::ModelFile;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use tealight_compiler::{Options, Target};
use tealight_tests::digests::Digests;
use tealight_tests::models::{self, Golden, MLPERF_TINY};

/// A golden model whose file is here.
#[derive(Debug)]
pub struct GoldenModel {
    /// Its key among the goldens.
    pub id: String,
    /// Where it is.
    pub file: PathBuf,
    golden: Golden,
    tflite: Vec<u8>,
}

/// Golden cases that are run one after another.
#[derive(Debug)]
pub struct Group {
    /// Their inputs in a row.
    pub inputs: Vec<u8>,
    /// The name and the digest of the output of each.
    cases: Vec<(String, String)>,
}

/// The golden models whose files are here, or those named.
pub fn golden_models(context: &Context, only: &[String]) -> Result<Vec<GoldenModel>> {
    let goldens = models::goldens().context("cannot read tests/golden/models.json")?;
    if let Some(unknown) = only.iter().find(|id| !goldens.contains_key(*id)) {
        let known: Vec<_> = goldens.keys().map(String::as_str).collect();
        return Err(Usage(format!("there is no golden model `{unknown}`; there are: {}", known.join(", "))).into());
    }
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for (id, golden) in goldens.into_iter().filter(|(id, _)| only.is_empty() || only.contains(id)) {
        if golden.is_packaged() {
            fetch::model(context, &id)?;
        }
        match golden.path(&id) {
            Some(file) => found.push(GoldenModel { tflite: files::read(&file)?, id, file, golden }),
            None => absent.push(id),
        }
    }
    if !absent.is_empty() {
        eprintln!("  missing: {} (set {MLPERF_TINY} to their folder)", absent.join(", "));
    }
    if found.is_empty() {
        bail!("there is no golden model to run");
    }
    Ok(found)
}

/// The names of MLPerf Tiny's models, if their folder is known; otherwise none.
pub fn mlperf_models() -> Result<Vec<String>> {
    if models::mlperf_tiny().is_none() {
        return Ok(Vec::new());
    }
    let goldens = models::goldens().context("cannot read tests/golden/models.json")?;
    Ok(goldens.into_iter().filter(|(_, golden)| !golden.is_packaged()).map(|(id, _)| id).collect())
}

impl GoldenModel {
    /// Compiles it.
    pub fn compile(&self, context: &Context, target: Target) -> Result<ModelFile> {
        let &Context { patch, input_rows, .. } = context;
        let options = Options { name: Some(self.id.clone()), patch, input_rows, target, ..Options::default() };
        ModelFile::compile(&self.tflite, &options, self.golden.file.as_ref())
    }

    /// Compiles it, and groups its cases: a model with state restarts for each.
    pub fn open(&self, context: &Context) -> Result<(ModelFile, Vec<Group>)> {
        let (id, golden) = (&self.id, &self.golden);
        if sha256(&self.tflite) != golden.sha256 {
            bail!("{id} is not the model that the goldens were recorded with");
        }
        let model = self.compile(context, Target::Any)?;
        // Of a float network the goldens hold what is near; its bits must be those of the host.
        let digests = if golden.float {
            let mut digests = Digests::read().context("cannot read tests/golden/f32.json")?;
            Some(digests.models.remove(id).with_context(|| format!("tests/golden/f32.json has no digests of {id}"))?)
        } else {
            None
        };
        let mut groups: Vec<Group> = Vec::new();
        for (name, case) in &golden.cases {
            let input = golden.input(name).with_context(|| format!("`{name}` names no rule for an input"))?;
            if sha256(&input) != case.input_sha256 {
                bail!("the input of case {name} of {id} differs from the goldens' input");
            }
            let digest = match &digests {
                Some(digests) => digests.get(name).with_context(|| format!("no digest of case {name} of {id}"))?,
                None => &case.output_sha256,
            };
            if groups.is_empty() || model.has_state {
                groups.push(Group { inputs: Vec::new(), cases: Vec::new() });
            }
            if let Some(group) = groups.last_mut() {
                group.inputs.extend(input);
                group.cases.push((name.clone(), digest.clone()));
            }
        }
        Ok((model, groups))
    }
}

impl Group {
    /// Compares outputs of `output_bytes` each with the golden ones.
    pub fn compare(&self, outputs: &[u8], output_bytes: usize) -> Result<()> {
        if outputs.len() != self.cases.len() * output_bytes {
            bail!("{} bytes of output instead of {} times {output_bytes}", outputs.len(), self.cases.len());
        }
        for ((name, digest), output) in self.cases.iter().zip(outputs.chunks(output_bytes.max(1))) {
            if sha256(output) != *digest {
                bail!("the output of case {name} differs from the golden one");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_not_the_golden_one_is_told_by_its_case() {
        let cases = vec![("one".to_string(), sha256(&[1, 2])), ("two".to_string(), sha256(&[3, 4]))];
        let group = Group { inputs: vec![], cases };
        group.compare(&[1, 2, 3, 4], 2).unwrap();
        assert!(group.compare(&[1, 2, 3, 5], 2).unwrap_err().to_string().contains("case two"));
        assert!(group.compare(&[1, 2], 2).unwrap_err().to_string().contains("2 bytes"));
    }
}
