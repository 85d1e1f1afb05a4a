//! `cargo xtask budget`: the instructions of every layer of many models on boards of every kind of core, compared with
//! those that `tests/instructions.json` holds. A layer that takes more is a failure.
//!
//! One image a board runs all models, layer by layer.

use crate::blocks::{self, Weights};
use crate::board::{self, Board};
use crate::conformance::none;
use crate::context::Context;
use crate::emulator;
use crate::files::write_whole;
use crate::footprint;
use crate::layers::{Layers, Measured, measure};
use crate::prediction;
use crate::progress::say;
use crate::side_by_side::on_each;
use crate::subject::{Subject, subjects};
use crate::table::{Table, table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tealight_cli::grouped;
use tealight_cli::prediction::{Core, Predictor};
use tealight_format::Model;

/// Where the counts lie.
const FILE: &str = "tests/instructions.json";

/// The table that `tealight inspect` predicts from.
const PREDICTION: &str = "runtime/cli/src/prediction/instructions.json";

/// A board of each kind of core, all with memory for the models.
pub const BOARDS: &[&str] = &[
    "mps2-an385",
    "mps2-an385-v6m",
    "mps2-an386",
    "mps3-an547",
    "riscv32-virt",
    "riscv32-virt-v",
    "riscv64-virt",
    "riscv64-virt-v",
    "aarch64-virt",
    "aarch64-virt-a76",
];

/// Those of them whose models are built into image after image, because sending them over a UART is slow.
pub const BY_WIRE: &[&str] = &["mps2-an385"];

/// A board whose core executes as many instructions as another of [`BOARDS`], but whose firmware has a size of its own.
const COMPILED_APART: &str = "mps2-an505";

/// A layer may take one part in so many more, and two ticks of the board's clock.
const TOLERANCE: u64 = 200;

/// Models of more multiply-accumulates take too long in an emulator.
pub(crate) const MOST_MACS: u64 = 15_000_000;

/// What to compare.
#[derive(Debug, Default, Args)]
pub struct BudgetArgs {
    /// Board to measure on; may be given more than once [default: one for each kind of core]
    #[arg(long)]
    pub board: Vec<String>,
    /// Writes the counts to the file instead of comparing them
    #[arg(long)]
    pub renew: bool,
    /// Renews only the table that instructions are predicted from, and compares it with the counts of the file
    #[arg(long, conflicts_with_all = ["renew", "json"])]
    pub prediction: bool,
    /// Renews only the table that the runtime's flash and the stack are predicted from, by building firmware of a few
    /// hundred models for each board, and the networks' sizes that it is compared with
    #[arg(long, conflicts_with_all = ["renew", "json", "prediction"])]
    pub footprint: bool,
    /// With `--footprint`: builds firmware of so many of the models, first those of operators that networks often have
    #[arg(long, requires = "footprint")]
    pub models: Option<usize>,
    /// Prints one JSON value instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The counts of the layers of a model: their names and instructions.
type Counts = Vec<(String, u64)>;

/// For each board, for each model.
type Budget = BTreeMap<String, BTreeMap<String, Counts>>;

/// A model on a board before and now.
#[derive(Debug, Serialize)]
struct Change {
    model: String,
    board: String,
    before: u64,
    instructions: u64,
    /// Layers that take more than they may, and how much.
    over: Vec<String>,
}

/// Measures, and compares or writes.
///
/// # Errors
/// A layer takes more instructions than it may, or a model has other layers than the file says.
pub fn budget(context: &Context, args: &BudgetArgs) -> Result<()> {
    let apart = args.footprint.then_some(&COMPILED_APART);
    let all = BOARDS.iter().chain(apart).map(ToString::to_string);
    let ids = if args.board.is_empty() { all.collect() } else { args.board.clone() };
    let boards = ids.iter().map(|id| board::find_emulated(&context.root, id)).collect::<Result<Vec<_>>>()?;
    boards.iter().try_for_each(|board| emulator::ensure_board(context, board))?;
    let subjects = committed_subjects(context)?;
    if args.footprint {
        return footprint::renew(context, &boards, &subjects, args.models);
    }
    if args.prediction {
        let networks: Vec<_> = subjects.iter().filter_map(Measured::first_of).collect();
        return renew_prediction(
            &boards,
            &networks,
            &recorded(&read(context)?, &boards),
            args.board.is_empty(),
            context,
        );
    }
    let layers = layers_by_weights()?;
    let networks = subjects.iter().filter(|subject| subject.model.macs <= MOST_MACS);
    let networks: Vec<_> = networks.filter_map(Measured::first_of).collect();
    let generated = layers.iter().map(|(id, file, input)| Measured { id, file, input });
    let models: Vec<Measured<'_>> = networks.iter().copied().chain(generated).collect();
    let measured = on_each(&boards, |context, board| measure(context, board, &models))?.concat();
    let path = context.root.join(FILE);
    let mut budget: Budget = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("in {FILE}"))?,
        Err(_) if args.renew => Budget::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {FILE}")),
    };
    if args.renew {
        for model in &measured {
            budget.entry(model.board.clone()).or_default().insert(model.model.clone(), counts(model));
        }
        write_whole(&path, text(&budget)?.as_bytes())?;
        let counted = recorded(&budget, &boards);
        renew_prediction(&boards, &networks, &counted, args.board.is_empty(), context)?;
        say(&format!("  {} models on {} boards: {FILE} written", models.len(), boards.len()));
        return Ok(());
    }
    say_skipped(&budget, &measured, &ids);
    let changes = measured.iter().map(|model| compare(&budget, model)).collect::<Result<Vec<_>>>()?;
    show(&changes, args.json)?;
    let over: Vec<String> = changes.iter().flat_map(|change| &change.over).cloned().collect();
    if !over.is_empty() {
        bail!(
            "{} layers take more instructions than {FILE} allows:\n  {}\n`cargo xtask budget --renew` writes the new \
             counts, if that is wanted",
            over.len(),
            over.join("\n  ")
        );
    }
    Ok(())
}

/// Reads the counts of the file.
fn read(context: &Context) -> Result<Budget> {
    let text = std::fs::read(context.root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    serde_json::from_slice(&text).with_context(|| format!("in {FILE}"))
}

/// Fits the table that instructions are predicted from, of all boards or these, and prints each network's count beside
/// its prediction.
fn renew_prediction(
    boards: &[Board],
    networks: &[Measured<'_>],
    counted: &[Counted],
    all: bool,
    context: &Context,
) -> Result<()> {
    let generated = prediction::generate();
    let cores = on_each(boards, |context, board| prediction::fit(context, board, &generated))?;
    let known = if all { Predictor::default() } else { Predictor::carried() };
    let text = predictor_text(known, cores)?;
    write_whole(&context.root.join(PREDICTION), text.as_bytes())?;
    println!("{}", prediction_table(&serde_json::from_str(&text)?, boards, networks, counted)?);
    Ok(())
}

/// The instructions of a model on a board.
struct Counted {
    model: String,
    board: String,
    instructions: u64,
}

/// The counts of the file on these boards.
fn recorded(budget: &Budget, boards: &[Board]) -> Vec<Counted> {
    let of = |board: &Board| {
        let models = budget.get(&board.id).into_iter().flatten();
        let counted = models.map(|(model, counts)| Counted {
            model: model.clone(),
            board: board.id.clone(),
            instructions: counts.iter().map(|(_, count)| count).sum(),
        });
        counted.collect::<Vec<_>>()
    };
    boards.iter().flat_map(of).collect()
}

/// The golden networks that are here, and our own models as they are committed.
fn committed_subjects(context: &Context) -> Result<Vec<Subject>> {
    let floats = context.float_models();
    let mut subjects = subjects(context, &[])?;
    subjects.retain(|subject| !floats.join(format!("{}.safetensors", subject.id)).is_file());
    Ok(subjects)
}

/// A layer: its name, its file, and an input.
type Generated = (String, Vec<u8>, Vec<u8>);

/// A layer with each type of weights.
fn layers_by_weights() -> Result<Vec<Generated>> {
    let mut layers = Vec::new();
    for weights in Weights::all() {
        let (file, mut input) = blocks::layer(weights)?;
        let model = tealight_format::Model::parse(&file).map_err(|error| anyhow::anyhow!("{error}"))?;
        let bytes: usize = model.inputs().map(|value| model.value(value).len as usize).sum();
        input.truncate(bytes);
        layers.push((format!("layer_{}", weights.name()), file, input));
    }
    Ok(layers)
}

fn counts(model: &Layers) -> Counts {
    model.layers.iter().map(|layer| (layer.name(), layer.instructions)).collect()
}

/// Names the models of the file that were not measured, because their files are not here.
fn say_skipped(budget: &Budget, measured: &[Layers], boards: &[String]) {
    let here: BTreeSet<&str> = measured.iter().map(|model| model.model.as_str()).collect();
    let known = boards.iter().filter_map(|board| budget.get(board)).flat_map(BTreeMap::keys);
    let absent: BTreeSet<&str> = known.map(String::as_str).filter(|id| !here.contains(id)).collect();
    if !absent.is_empty() {
        say(&format!("  skipped, their files are not here: {}", absent.into_iter().collect::<Vec<_>>().join(", ")));
    }
}

/// Compares a model on a board with the file.
fn compare(budget: &Budget, model: &Layers) -> Result<Change> {
    let Layers { model: id, board, .. } = model;
    let renew = "`cargo xtask budget --renew` writes its counts";
    let Some(before) = budget.get(board).and_then(|models| models.get(id)) else {
        bail!("{FILE} has no counts of {id} on {board}: {renew}");
    };
    let now = counts(model);
    if before.len() != now.len() || before.iter().zip(&now).any(|(before, now)| before.0 != now.0) {
        bail!("{id} on {board} has other layers than those in {FILE}: {renew}");
    }
    let over = before.iter().zip(&now).enumerate().filter_map(|(index, ((name, before), (_, now)))| {
        let allowed = before + before / TOLERANCE + 2 * model.resolution;
        let percent = 100.0 * (*now as f64 / (*before).max(1) as f64 - 1.0);
        (*now > allowed).then(|| {
            let [before, now] = [*before, *now].map(grouped);
            format!("{id} on {board}, layer {index}, {name}: {now} instructions instead of {before} (+{percent:.1} %)")
        })
    });
    let sum = |counts: &Counts| counts.iter().map(|(_, count)| count).sum();
    Ok(Change {
        over: over.collect(),
        model: id.clone(),
        board: board.clone(),
        before: sum(before),
        instructions: sum(&now),
    })
}

/// Shows the totals that changed, or all as JSON.
fn show(changes: &[Change], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(changes)?);
        return Ok(());
    }
    let mut table = table(&["model", "board"], &["before", "now", "%"], &[]);
    for change in changes.iter().filter(|change| change.before != change.instructions) {
        let percent = 100.0 * (change.instructions as f64 / change.before.max(1) as f64 - 1.0);
        let row = [change.model.clone(), change.board.clone(), grouped(change.before), grouped(change.instructions)];
        table.row([&row[..], &[format!("{percent:+.2}")]].concat());
    }
    if changes.iter().any(|change| change.before != change.instructions) {
        println!("{table}");
    }
    let layers = changes.len();
    say(&format!("  {layers} models on boards compared with {FILE}"));
    Ok(())
}

/// The networks' counts beside what the table predicts for them.
fn prediction_table(
    predictor: &Predictor,
    boards: &[Board],
    networks: &[Measured<'_>],
    counted: &[Counted],
) -> Result<Table> {
    let mut table = table(&["network", "board"], &["counted", "predicted", "%"], &[]);
    let mut errors = Vec::new();
    for Counted { model: id, board, instructions: counted } in counted {
        let counted = *counted;
        let network = networks.iter().find(|network| network.id == id);
        let core = boards.iter().find(|known| known.id == *board).map(|board| &board.core);
        let (Some(network), Some(core)) = (network, core) else { continue };
        let model = Model::parse(network.file).map_err(|error| anyhow::anyhow!("{id}: {error}"))?;
        let predicted = predictor.instructions(&model, core);
        let percent = predicted.map(|predicted| 100.0 * (predicted as f64 / counted.max(1) as f64 - 1.0));
        errors.extend(percent.map(f64::abs));
        table.row([
            id.clone(),
            board.clone(),
            grouped(counted),
            predicted.map_or_else(none, grouped),
            percent.map_or_else(none, |percent| format!("{percent:+.1}")),
        ]);
    }
    errors.sort_by(f64::total_cmp);
    if let (Some(median), Some(most)) = (errors.get(errors.len() / 2), errors.last()) {
        say(&format!("  predicted within {median:.1} % in the median, {most:.1} % at most"));
    }
    Ok(table)
}

/// Cores that execute the code of another one, whose factors are theirs.
const SAME_CODE: &[(&str, &[&str])] =
    &[("Cortex-M0+", &["Cortex-M0"]), ("Cortex-M4F", &["Cortex-M7", "Cortex-M33"]), ("RV32IMAC", &["RV32IMC"])];

/// The table's text: a line for each operator.
fn predictor_text(known: Predictor, mut cores: Vec<Core>) -> Result<String> {
    for core in &mut cores {
        let others = SAME_CODE.iter().filter(|(name, _)| core.cores.iter().any(|core| core == name));
        let others: Vec<String> = others.flat_map(|(_, others)| others.iter().map(ToString::to_string)).collect();
        core.cores.extend(others);
    }
    // Cores that were not measured stay as they are.
    let text = serde_json::to_string(&known.with(cores))?;
    Ok(text.replace("\"],\"operators\":{", "\"],\"operators\":{\n").replace("},\"", "},\n\"").replace("}}}", "}}}\n"))
}

/// The file's text: a line for each model.
fn text(budget: &Budget) -> Result<String> {
    let mut boards = Vec::new();
    for (board, models) in budget {
        let mut lines = Vec::new();
        for (model, counts) in models {
            lines.push(format!("    {}: {}", serde_json::to_string(model)?, serde_json::to_string(counts)?));
        }
        boards.push(format!("  {}: {{\n{}\n  }}", serde_json::to_string(board)?, lines.join(",\n")));
    }
    Ok(format!("{{\n{}\n}}\n", boards.join(",\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;

    fn layers(counts: &[u64]) -> Layers {
        let layer = |&instructions: &u64| Layer {
            operator: "Conv2d".into(),
            output: vec![1, 2, 3],
            macs: 10,
            instructions,
            estimated_cycles: None,
        };
        Layers { model: "m".into(), board: "b".into(), layers: counts.iter().map(layer).collect(), resolution: 10 }
    }

    fn budget_of(model: &Layers) -> Budget {
        Budget::from([(model.board.clone(), BTreeMap::from([(model.model.clone(), counts(model))]))])
    }

    #[test]
    fn a_layer_that_takes_more_is_named() {
        let budget = budget_of(&layers(&[10_000, 20_000]));
        let change = compare(&budget, &layers(&[10_070, 20_121])).unwrap();
        let expected = "m on b, layer 1, Conv2d 1x2x3: 20,121 instructions instead of 20,000 (+0.6 %)";
        assert_eq!(change.over, [expected]);
        assert_eq!((change.before, change.instructions), (30_000, 30_191));
        assert!(compare(&budget, &layers(&[5_000, 20_120])).unwrap().over.is_empty());
    }

    #[test]
    fn a_model_without_counts_or_with_other_layers_is_an_error() {
        let budget = budget_of(&layers(&[10_000]));
        assert!(compare(&budget, &layers(&[10_000, 1])).unwrap_err().to_string().contains("other layers"));
        assert!(compare(&Budget::new(), &layers(&[1])).unwrap_err().to_string().contains("no counts"));
    }

    /// The networks of `models` are not among the layers that the table is made from.
    #[test]
    fn the_table_predicts_our_own_networks() {
        let root = crate::context::root();
        let budget: Budget = serde_json::from_slice(&std::fs::read(root.join(FILE)).unwrap()).unwrap();
        let boards = Board::emulated(&root).unwrap();
        let predictor = Predictor::carried();
        let mut errors = Vec::new();
        for (id, models) in &budget {
            let board = boards.iter().find(|board| board.id == *id).unwrap();
            let core = &board.core;
            for name in ["anomaly", "digits", "gesture", "keyword"] {
                let file = std::fs::read(root.join(format!("models/{name}/{name}.safetensors"))).unwrap();
                let counted: u64 = models[name].iter().map(|(_, count)| count).sum();
                let predicted = predictor.instructions(&Model::parse(&file).unwrap(), core).unwrap();
                errors.push((100.0 * (predicted as f64 / counted as f64 - 1.0).abs(), name, id));
            }
        }
        errors.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (median, most) = (errors[errors.len() / 2], errors.last().unwrap());
        assert!(errors.len() >= 4 * BOARDS.len(), "{errors:?}");
        assert!(median.0 <= MEDIAN_ERROR, "{median:?}");
        assert!(most.0 <= LARGEST_ERROR, "{most:?}");
    }

    /// Per cent; `docs/src/benchmarks.md` states them.
    const MEDIAN_ERROR: f64 = 1.0;
    const LARGEST_ERROR: f64 = 7.5;

    #[test]
    fn the_text_is_read_back_as_it_was() {
        let budget = budget_of(&layers(&[10_000, 5]));
        assert_eq!(serde_json::from_str::<Budget>(&text(&budget).unwrap()).unwrap(), budget);
    }
}
