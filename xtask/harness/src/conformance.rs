//! `cargo xtask conformance`: whole models on a board, their output bytes against the golden ones.
//!
//! `tests/golden/models.json` lists the models, the rules that generate their inputs, and the digests of their outputs.
//! The digest of an input is compared first, which shows that both sides run the same input. A float network must
//! output the same bits as on the host (`tests/golden/f32.json`).

use crate::board::LinuxBoard;
use crate::board::{self, Board};
use crate::context::Context;
use crate::error::Usage;
use crate::fetch::{self, sha256};
use crate::fit::DoesNotFit;
use crate::linux;
use crate::model::ModelFile;
use crate::on_board::{self, Options, run_on_board};
use crate::progress::{Progress, say};
use crate::side_by_side::on_each;
use crate::subject::{Subject, subjects};
use crate::table;
use anyhow::{Context as _, Result, bail};
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use tealight_cli::grouped;
use tealight_tests::digests::Digests;
use tealight_tests::models::{self, Golden, MLPERF_TINY};

/// What a model cost on a board.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Model.
    pub model: String,
    /// Board.
    pub board: String,
    /// Inferences whose outputs were equal.
    pub cases: usize,
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// Of the first case.
    pub instructions: u64,
    /// Of the arena.
    pub arena_bytes: u64,
    /// Deepest stack during an inference.
    pub stack_bytes: u64,
    /// Of the model's file.
    pub model_bytes: u64,
    /// Flash without the model.
    pub runtime_bytes: u64,
    /// Variables, the arena among them, and the deepest stack.
    pub ram_bytes: u64,
    /// Of all outputs in a row.
    pub output_sha256: String,
}

/// A golden model whose file is here.
#[derive(Debug)]
pub struct GoldenModel {
    /// Its key among the goldens.
    pub id: String,
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
            Some(file) => found.push(GoldenModel { tflite: on_board::read(&file)?, id, golden }),
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

impl GoldenModel {
    /// Compiles it, and groups its cases: a model with state restarts for each.
    pub fn open(&self) -> Result<(ModelFile, Vec<Group>)> {
        let (id, golden) = (&self.id, &self.golden);
        if sha256(&self.tflite) != golden.sha256 {
            bail!("{id} is not the model that the goldens were recorded with");
        }
        let model = ModelFile::compile(&self.tflite, id, &[], golden.file.as_ref())?;
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

/// Runs every model that is here and fits, or those named, on a board, and prints a table of their costs.
pub fn conformance(context: &Context, board: &str, only: &[String], json: bool) -> Result<()> {
    if let Some(board) = LinuxBoard::find(&context.root, board)? {
        return linux::conformance(context, &board, only, json);
    }
    let board = board::find_emulated(&context.root, board)?;
    let subjects = subjects(context, only)?;
    let costs = on_one_board(context, &board, &subjects.iter().collect::<Vec<_>>(), !only.is_empty())?;
    if costs.is_empty() {
        bail!("no model fits {}", board.id);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&costs)?);
    } else {
        println!("{}", cost_table(&costs));
    }
    Ok(())
}

/// Runs models on a board and compares. One that does not fit is passed over, unless all must.
pub fn on_one_board(context: &Context, board: &Board, subjects: &[&Subject], all_must_fit: bool) -> Result<Vec<Cost>> {
    let (mut costs, mut failures) = (Vec::new(), Vec::new());
    for subject in subjects {
        let id = &subject.id;
        let progress = Progress::start(format!("{id} on {}", board.id));
        match model_conforms(context, board, subject) {
            Ok(cost) => {
                progress.done(&format!("{} cases equal", cost.cases));
                costs.push(cost);
            }
            Err(error) if error.is::<DoesNotFit>() && !all_must_fit => {
                drop(progress);
                say(&format!("  --  {error}"));
            }
            Err(error) => {
                say(&format!("  FAILED {id}: {error:#}"));
                failures.push(id.clone());
            }
        }
    }
    if !failures.is_empty() {
        bail!("{} of the models failed on {}: {}", failures.len(), board.id, failures.join(", "));
    }
    let outputs: usize = costs.iter().map(|cost| cost.cases).sum();
    let models = costs.len();
    say(&format!("  {models} models on {}: {outputs} outputs equal the goldens or this machine's", board.id));
    Ok(costs)
}

/// Whether to run a model on a board.
pub type Choice<'a> = &'a (dyn Fn(&Board, &Subject) -> bool + Sync);

/// Runs the chosen models on each board, as many boards at a time as this machine has cores; those that do not fit a
/// board are passed over there. All boards, which are set up, are run even if one fails.
pub fn on_boards(boards: &[Board], subjects: &[Subject], chosen: Choice<'_>) -> Result<Vec<Cost>> {
    let costs = on_each(boards, |context, board| {
        let subjects: Vec<_> = subjects.iter().filter(|subject| chosen(board, subject)).collect();
        on_one_board(context, board, &subjects, false)
    })?;
    Ok(costs.concat())
}

fn cost_table(costs: &[Cost]) -> Table {
    let mut table = table::table();
    table.set_header(["model", "MACs", "instructions", "per MAC", "arena B", "stack B", "model B", "runtime B"]);
    for cost in costs {
        let per_mac = format!("{:.2}", cost.instructions as f64 / cost.macs.max(1) as f64);
        table.add_row([
            cost.model.clone(),
            grouped(cost.macs),
            grouped(cost.instructions),
            per_mac,
            grouped(cost.arena_bytes),
            grouped(cost.stack_bytes),
            grouped(cost.model_bytes),
            grouped(cost.runtime_bytes),
        ]);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
}

/// Runs all cases of a model and compares.
fn model_conforms(context: &Context, board: &Board, subject: &Subject) -> Result<Cost> {
    let model = &subject.model;
    let (mut first, mut outputs) = (None, Vec::new());
    for run in &subject.runs {
        let ran = run_on_board(context, board, model, &run.inputs, Options::default())?;
        run.expected.compare(&ran.outputs)?;
        outputs.extend_from_slice(&ran.outputs);
        first.get_or_insert(ran);
    }
    let run = first.context("there is no case for it")?;
    let model_bytes = model.bytes.len() as u64;
    Ok(Cost {
        model: subject.id.clone(),
        board: board.id.clone(),
        cases: subject.inferences(),
        macs: model.macs,
        instructions: run.report.instructions.first().copied().unwrap_or(0),
        arena_bytes: run.report.arena_bytes,
        stack_bytes: run.report.stack_bytes,
        model_bytes,
        runtime_bytes: run.sizes.flash.saturating_sub(model_bytes),
        ram_bytes: run.sizes.ram + run.report.stack_bytes,
        output_sha256: sha256(&outputs),
    })
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
