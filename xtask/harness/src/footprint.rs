//! `cargo xtask budget --footprint`: the table that the runtime's flash and the stack are predicted from, and what whole
//! networks take, which it is compared with.

use crate::board::Board;
use crate::budget::MOST_MACS;
use crate::conformance::none;
use crate::context::Context;
use crate::files::write_whole;
use crate::fit::DoesNotFit;
use crate::prediction::footprint::{Measured, fit, measure, measure_one, models};
use crate::progress::{Progress, say};
use crate::side_by_side::on_each;
use crate::subject::Subject;
use crate::table::{Table, table};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tealight_cli::grouped;
use tealight_cli::prediction::footprint::{CoreFootprint, Footprint, Footprints};

/// Where the networks' sizes lie.
const FILE: &str = "tests/footprint.json";

/// The table that `tealight inspect` predicts from.
const TABLE: &str = "runtime/cli/src/prediction/footprint.json";

/// What firmware with a network takes, in bytes, and what decides it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Network {
    runtime: u64,
    stack: u64,
    needs: BTreeSet<String>,
}

/// The networks on a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OnBoard {
    core: String,
    networks: BTreeMap<String, Network>,
}

/// For each board.
type Sizes = BTreeMap<String, OnBoard>;

/// Measures generated models and networks on the boards and writes both files; boards that are not named stay.
pub(crate) fn renew(
    context: &Context,
    boards: &[Board],
    subjects: &[Subject],
    most_models: Option<usize>,
) -> Result<()> {
    let mut generated = models();
    generated.truncate(most_models.unwrap_or(usize::MAX));
    let found = on_each(boards, |context, board| {
        let networks = networks(context, board, subjects)?;
        let core = fit(board, &measure(context, board, &generated)?);
        Ok((core, networks))
    })?;
    let (cores, networks): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    // As it is now, not as it was built into this program: boards may be measured one after another.
    let known = std::fs::read(context.root.join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    let known = serde_json::from_slice(&known).with_context(|| format!("in {TABLE}"))?;
    let text = table_text(known, cores)?;
    write_whole(&context.root.join(TABLE), text.as_bytes())?;
    let mut sizes = read(context)?;
    sizes.extend(boards.iter().map(|board| board.id.clone()).zip(networks));
    write_whole(&context.root.join(FILE), sizes_text(&sizes)?.as_bytes())?;
    sizes.retain(|id, _| boards.iter().any(|board| board.id == *id));
    println!("{}", comparison(&serde_json::from_str(&text)?, &sizes));
    Ok(())
}

fn read(context: &Context) -> Result<Sizes> {
    match std::fs::read(context.root.join(FILE)) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("in {FILE}")),
        Err(_) => Ok(Sizes::new()),
    }
}

/// What the networks take that fit a board.
fn networks(context: &Context, board: &Board, subjects: &[Subject]) -> Result<OnBoard> {
    let mut networks = BTreeMap::new();
    for subject in subjects.iter().filter(|subject| subject.model.macs <= MOST_MACS) {
        let Some(run) = subject.runs.first() else { continue };
        let progress = Progress::start(format!("{} on {}", subject.id, board.id));
        let model = subject.model_for(context, board)?;
        let input = run.inputs.get(..model.input_bytes()).context("the input is too short")?;
        match measure_one(context, board, &model, input) {
            Ok(Measured { needs, footprint: Footprint { runtime, stack } }) => {
                progress.done(&format!("{runtime} bytes of flash, {stack} of stack"));
                networks.insert(subject.id.clone(), Network { runtime, stack, needs });
            }
            Err(error) if error.is::<DoesNotFit>() => say(&format!("  --  {error}")),
            Err(error) => return Err(error.context(subject.id.clone())),
        }
    }
    Ok(OnBoard { core: board.core.clone(), networks })
}

/// By how many per cent a prediction is off.
fn error(predicted: u64, measured: u64) -> f64 {
    100.0 * (predicted as f64 / measured.max(1) as f64 - 1.0)
}

/// The networks' sizes beside what the table predicts for them.
fn comparison(footprints: &Footprints, sizes: &Sizes) -> Table {
    let columns = ["runtime B", "predicted", "%", "stack B", "predicted", "%"];
    let mut table = table(&["network", "board"], &columns, &[]);
    for (board, OnBoard { core, networks }) in sizes {
        for (name, Network { runtime, stack, needs }) in networks {
            let predicted = footprints.of_needs(needs, core);
            let beside = |measured: u64, of: fn(&Footprint) -> u64| {
                let predicted = predicted.as_ref().map(of);
                let percent = predicted.map_or_else(none, |found| format!("{:+.1}", error(found, measured)));
                [grouped(measured), predicted.map_or_else(none, grouped), percent]
            };
            let cells = [beside(*runtime, |found| found.runtime), beside(*stack, |found| found.stack)].concat();
            table.row([vec![name.clone(), board.clone()], cells].concat());
        }
    }
    for (board, median, most) in summary(footprints, sizes, |network| network.runtime, |found| found.runtime) {
        say(&format!("  {board}: flash within {median:.1} % in the median, {most:.1} % at most"));
    }
    for (board, median, most) in summary(footprints, sizes, |network| network.stack, |found| found.stack) {
        say(&format!("  {board}: stack within {median:.1} % in the median, {most:.1} % at most"));
    }
    table
}

/// For each board, the median and the largest error in per cent over the networks that are predicted.
fn summary(
    footprints: &Footprints,
    sizes: &Sizes,
    measured: fn(&Network) -> u64,
    predicted: fn(&Footprint) -> u64,
) -> Vec<(String, f64, f64)> {
    let of = |(board, on): (&String, &OnBoard)| {
        let found = |network: &Network| {
            let footprint = footprints.of_needs(&network.needs, &on.core)?;
            Some(error(predicted(&footprint), measured(network)).abs())
        };
        let mut errors: Vec<f64> = on.networks.values().filter_map(found).collect();
        errors.sort_by(f64::total_cmp);
        Some((board.clone(), *errors.get(errors.len() / 2)?, *errors.last()?))
    };
    sizes.iter().filter_map(of).collect()
}

/// Cores whose firmware is compiled to the code of another one, which takes what that takes.
const SAME_CODE: &[(&str, &[&str])] =
    &[("Cortex-M0+", &["Cortex-M0"]), ("Cortex-M4F", &["Cortex-M7"]), ("RV32IMAC", &["RV32IMC"])];

/// The table's text: a line for each list.
fn table_text(known: Footprints, mut cores: Vec<CoreFootprint>) -> Result<String> {
    for core in &mut cores {
        let others = SAME_CODE.iter().filter(|(name, _)| core.cores.iter().any(|core| core == name));
        let others: Vec<String> = others.flat_map(|(_, others)| others.iter().map(ToString::to_string)).collect();
        core.cores.extend(others);
    }
    let text = serde_json::to_string(&known.with(cores))?;
    Ok(["\"cores\":[\"", "\"known\":", "\"flash\":", "\"stack\":"]
        .iter()
        .fold(text, |text, key| text.replace(key, &format!("\n{key}")))
        + "\n")
}

/// The file's text: a line for each network.
fn sizes_text(sizes: &Sizes) -> Result<String> {
    let mut boards = Vec::new();
    for (board, OnBoard { core, networks }) in sizes {
        let line = |(name, network): (&String, &Network)| {
            anyhow::Ok(format!("{}: {}", serde_json::to_string(name)?, serde_json::to_string(network)?))
        };
        let lines = networks.iter().map(line).collect::<Result<Vec<_>>>()?;
        let [board, core] = [board, core].map(|name| serde_json::to_string(name).unwrap_or_default());
        boards.push(format!("{board}: {{\"core\": {core}, \"networks\": {{\n{}\n}}}}", lines.join(",\n")));
    }
    Ok(format!("{{\n{}\n}}\n", boards.join(",\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tealight_cli::prediction::footprint::needs;
    use tealight_format::Model;

    fn recorded() -> Sizes {
        serde_json::from_slice(&std::fs::read(crate::context::root().join(FILE)).unwrap()).unwrap()
    }

    /// No network is among the models that the table is fitted to.
    #[test]
    fn the_table_predicts_the_sizes_of_whole_networks() {
        let (sizes, footprints) = (recorded(), Footprints::carried());
        let flash = summary(&footprints, &sizes, |network| network.runtime, |found| found.runtime);
        let stack = summary(&footprints, &sizes, |network| network.stack, |found| found.stack);
        assert_eq!((flash.len(), stack.len()), (sizes.len(), sizes.len()));
        // Their stack is a buffer for copied inputs, of several sizes, and they have megabytes of it.
        let is_large = |board: &str| sizes[board].core.starts_with("Cortex-A");
        for (board, median, most) in flash {
            let largest = if is_large(&board) { LARGEST_FLASH_ARM64 } else { LARGEST_FLASH };
            assert!(median <= MEDIAN_FLASH && most <= largest, "{board}: {median} in the median, {most} at most");
        }
        for (board, median, most) in stack {
            let largest = if is_large(&board) { LARGEST_STACK_ARM64 } else { LARGEST_STACK };
            let middle = if is_large(&board) { MEDIAN_STACK_ARM64 } else { MEDIAN_STACK };
            assert!(median <= middle && most <= largest, "{board}: {median} in the median, {most} at most");
        }
        for (board, OnBoard { core, networks }) in &sizes {
            for name in ["anomaly", "digits", "gesture", "keyword"] {
                assert!(footprints.of_needs(&networks[name].needs, core).is_some(), "{name} on {board}");
            }
        }
    }

    /// Per cent; `docs/src/benchmarks.md` states them.
    const MEDIAN_FLASH: f64 = 1.5;
    const LARGEST_FLASH: f64 = 14.0;
    const LARGEST_FLASH_ARM64: f64 = 16.4;
    const MEDIAN_STACK: f64 = 14.0;
    const MEDIAN_STACK_ARM64: f64 = 14.5;
    const LARGEST_STACK: f64 = 31.0;
    const LARGEST_STACK_ARM64: f64 = 58.0;

    #[test]
    fn what_our_own_networks_need_is_what_was_recorded() {
        for (board, OnBoard { core, networks }) in recorded() {
            for name in ["anomaly", "digits", "gesture", "keyword"] {
                let file = crate::context::root().join(format!("models/{name}/{name}.safetensors"));
                let file = std::fs::read(file).unwrap();
                assert_eq!(needs(&Model::parse(&file).unwrap(), &core), networks[name].needs, "{name} on {board}");
            }
        }
    }

    #[test]
    fn the_texts_are_read_back_as_they_were() {
        let sizes = recorded();
        assert_eq!(serde_json::from_str::<Sizes>(&sizes_text(&sizes).unwrap()).unwrap(), sizes);
        let table = table_text(Footprints::carried(), Vec::new()).unwrap();
        assert_eq!(serde_json::from_str::<Footprints>(&table).unwrap(), Footprints::carried());
    }
}
