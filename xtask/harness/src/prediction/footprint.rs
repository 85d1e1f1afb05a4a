//! Fits the table from which `tealight inspect` predicts the runtime's flash and the stack: firmware with small generated
//! models on a board of each kind of core.
//!
//! Only generated models go into the fit, so every network that is measured tests the table.

use super::Sample;
use super::fit::factors;
use super::generate::{Generated, Random, bytes, small};
use crate::board::Board;
use crate::context::Context;
use crate::fit::DoesNotFit;
use crate::model::ModelFile;
use crate::on_board::{Options, run_on_board};
use crate::progress::{Progress, say};
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tealight_cli::prediction::footprint::{BASE, CoreFootprint, Footprint, needs};
use tealight_format::{BlockType, Model, OpCode, OpSet};
use tealight_testing::random::{self, Choices};

/// The terms of a sum at most: more than there are needs.
const MOST_TERMS: usize = 400;

/// Larger models take longer to build and to run.
const MOST_BYTES: usize = 48 * 1024;
const MOST_COST: u64 = 500_000;

/// How often the stack of each need is chosen again.
const ROUNDS: usize = 8;

/// Cores whose kernels have different loops, and so other paths.
const LOOPS: [&str; 4] = ["Cortex-M4F", "Cortex-M3", "RV64GCV", "Cortex-A53"];

/// Operators that occur together, and how many models have some of them.
const TOGETHER: &[(usize, &[OpCode])] = &[
    (
        24,
        &[
            OpCode::Conv2d,
            OpCode::DepthwiseConv2d,
            OpCode::FullyConnected,
            OpCode::AvgPool2d,
            OpCode::MaxPool2d,
            OpCode::Add,
            OpCode::Mul,
            OpCode::Softmax,
            OpCode::Lookup,
            OpCode::Pad,
            OpCode::Mean,
            OpCode::Concat,
            OpCode::StridedSlice,
            OpCode::Transpose,
            OpCode::ResizeNearest,
            OpCode::Quantize,
            OpCode::Dequantize,
            OpCode::Svdf,
            OpCode::Copy,
        ],
    ),
    (
        8,
        &[
            OpCode::Conv2dF32,
            OpCode::DepthwiseConv2dF32,
            OpCode::FullyConnectedF32,
            OpCode::AvgPool2dF32,
            OpCode::MaxPool2dF32,
            OpCode::AddF32,
            OpCode::MulF32,
            OpCode::SoftmaxF32,
            OpCode::UnaryF32,
            OpCode::MeanF32,
            OpCode::Pad,
            OpCode::Concat,
        ],
    ),
    (
        3,
        &[
            OpCode::FullyConnectedBlock,
            OpCode::GatherBlock,
            OpCode::RmsNormF32,
            OpCode::AddF32,
            OpCode::MulF32,
            OpCode::UnaryF32,
            OpCode::SoftmaxF32,
        ],
    ),
];

/// The needs of a model on each of [`LOOPS`].
type Needs = [BTreeSet<String>; 4];

/// What firmware with a model takes.
#[derive(Clone, Debug)]
pub struct Measured {
    pub(crate) needs: BTreeSet<String>,
    pub(crate) footprint: Footprint,
}

/// Models that have each need with few others, and models of operators that occur together; first those of operators
/// that networks often have.
pub fn models() -> Vec<Generated> {
    let sizes = |one: &Generated| {
        let model = Model::parse(&one.file).ok()?;
        let runs = !one.input.is_empty() && model.outputs().any(|value| model.value(value).len > 0);
        let small = one.file.len().max(model.arena_len()) <= MOST_BYTES && model.cost() <= MOST_COST;
        (runs && small).then(|| (LOOPS.map(|core| needs(&model, core)), model.cost()))
    };
    let mut candidates: Vec<_> =
        small().into_iter().filter_map(|one| sizes(&one).map(|(needs, cost)| (one, needs, cost))).collect();
    candidates.sort_by_key(|(_, needs, cost)| (needs.iter().map(BTreeSet::len).max(), *cost));
    let (mut chosen, mut met, mut seen) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let (usual, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|(one, ..)| is_usual(one));
    let mut add = |candidates: Vec<(Generated, Needs, u64)>, chosen: &mut Vec<Generated>| {
        for (one, needs, _) in candidates {
            let all =
                needs.iter().zip(LOOPS).flat_map(|(needs, core)| needs.iter().map(move |need| (core, need.clone())));
            let new: Vec<_> = all.filter(|need| !met.contains(need)).collect();
            if !new.is_empty() {
                met.extend(new);
                chosen.push(one);
            }
        }
    };
    let largest = largest_products(&usual);
    add(usual, &mut chosen);
    chosen.extend(largest);
    chosen.extend(in_rows(4));
    for (wanted, codes) in TOGETHER {
        chosen.extend(together(*wanted, codes, &mut seen));
    }
    add(others, &mut chosen);
    chosen
}

/// The largest of the models that have one operator with weights and the same needs: they take the paths of the kernels
/// that need the most stack.
fn largest_products(candidates: &[(Generated, Needs, u64)]) -> Vec<Generated> {
    let mut largest: BTreeMap<&Needs, (&Generated, u64)> = BTreeMap::new();
    for (one, needs, cost) in candidates {
        let Ok(model) = Model::parse(&one.file) else { continue };
        let products = ["int8 products", "f32 products"];
        if model.op_set().operators() == 1 && needs.iter().any(|needs| products.iter().any(|has| needs.contains(*has)))
        {
            let known = largest.entry(needs).or_insert((one, *cost));
            if *cost > known.1 {
                *known = (one, *cost);
            }
        }
    }
    largest.into_values().map(|(one, _)| one.clone()).collect()
}

/// Whether networks often have the operators and the types of weights of a model.
fn is_usual(one: &Generated) -> bool {
    let Ok(model) = Model::parse(&one.file) else { return false };
    let usual = TOGETHER.iter().fold(OpSet::INT8, |set, (_, codes)| set.union(OpSet::of(codes)));
    let usual = usual.with_blocks(&[BlockType::Q8_0, BlockType::Q4_0]).with_f16().with_groups();
    model.op_set().without(usual).is(&OpSet::EMPTY)
}

/// Models whose input comes in rows.
fn in_rows(wanted: usize) -> Vec<Generated> {
    let mut random = Random(7);
    let plans = (0..5000).filter_map(|seed| {
        let bytes = bytes(&mut random, 2500);
        let file = random::plan_in_rows(&mut Choices::new(&bytes)).file();
        let model = Model::parse(&file).ok().filter(Model::has_row_input)?;
        let small = model.arena_len() <= MOST_BYTES && model.cost() <= MOST_COST;
        let input = model.input_value(0).map_or(0, |value| value.whole_len());
        small.then(|| Generated { id: format!("rows {seed}"), input: vec![0; input as usize], file })
    });
    plans.take(wanted).collect()
}

/// Models of at least three operators of some of `codes`, without int4 weights, which few networks have.
fn together(wanted: usize, codes: &[OpCode], seen: &mut BTreeSet<Needs>) -> Vec<Generated> {
    let mut random = Random(codes.len() as u64);
    let mut models = Vec::new();
    for seed in 0..5000 {
        if models.len() == wanted {
            break;
        }
        let some: Vec<OpCode> = codes.iter().copied().filter(|_| random.below(codes.len() as u32) < 6).collect();
        if some.is_empty() {
            continue;
        }
        let bytes = bytes(&mut random, 2500);
        let file = random::plan_among(&mut Choices::new(&bytes), 1, &some).file();
        let Ok(model) = Model::parse(&file) else { continue };
        let input: u32 = model.inputs().map(|value| model.value(value).len).sum();
        let runs = input > 0 && model.outputs().any(|value| model.value(value).len > 0);
        let usual = model.op_set().operators() >= 3 && !model.op_set().has_i4_weights();
        let small = model.arena_len() <= MOST_BYTES && model.cost() <= MOST_COST;
        if runs && usual && small && seen.insert(LOOPS.map(|core| needs(&model, core))) {
            models.push(Generated {
                id: format!("{} and others {seed}", codes[0].name()),
                input: vec![0; input as usize],
                file,
            });
        }
    }
    models
}

/// Builds and runs firmware with each model.
///
/// # Errors
/// Firmware cannot be built or fails.
pub fn measure(context: &Context, board: &Board, models: &[Generated]) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (index, one) in models.iter().enumerate() {
        let progress = Progress::start(format!("{} of {} on {}: {}", index + 1, models.len(), board.id, one.id));
        let model = ModelFile::from_compiled(one.file.clone(), "generated", Path::new(&one.id))?;
        let found = match measure_one(context, board, &model, &one.input) {
            Err(error) if error.is::<DoesNotFit>() => continue,
            found => found.with_context(|| one.id.clone())?,
        };
        progress.done(&format!("{} bytes of flash, {} of stack", found.footprint.runtime, found.footprint.stack));
        measured.push(found);
    }
    Ok(measured)
}

/// Builds and runs firmware with one model, on one input.
///
/// # Errors
/// Firmware cannot be built or fails, or the model does not fit.
pub fn measure_one(context: &Context, board: &Board, model: &ModelFile, input: &[u8]) -> Result<Measured> {
    let ran = run_on_board(context, board, model, input, Options::default())?;
    let parsed = Model::parse(&model.bytes).map_err(|error| anyhow::anyhow!("{error}"))?;
    let runtime = ran.sizes.flash.saturating_sub(model.bytes.len() as u64);
    let footprint = Footprint { runtime, stack: ran.report.stack_bytes };
    Ok(Measured { needs: needs(&parsed, &board.core), footprint })
}

/// Fits the bytes of each need on the core of `board`.
pub fn fit(board: &Board, measured: &[Measured]) -> CoreFootprint {
    let sample = |one: &Measured| Sample {
        terms: one.needs.iter().map(|need| (need.clone(), 1.0)).collect(),
        instructions: one.footprint.runtime as f64,
    };
    let samples: Vec<Sample> = measured.iter().map(sample).collect();
    let flash = factors(&samples, MOST_TERMS);
    let flash = flash.into_iter().map(|(need, bytes)| (need, bytes.round())).filter(|(_, bytes)| *bytes > 0.0);
    let mut stack = stacks(measured);
    let known = stack.keys().cloned().collect();
    let base = stack.get(BASE).copied().unwrap_or(0);
    stack.retain(|need, bytes| need == BASE || *bytes > base);
    let fitted = CoreFootprint { cores: vec![board.core.clone()], known, flash: flash.collect(), stack };
    say(&format!("  {}: {}", board.id, errors(&fitted, measured)));
    fitted
}

/// The stack of each need, so that the maximum of a model's needs is near its stack: each in turn the best of those that
/// were measured with it.
fn stacks(measured: &[Measured]) -> BTreeMap<String, u64> {
    let mut with: BTreeMap<&String, Vec<&Measured>> = BTreeMap::new();
    for one in measured {
        one.needs.iter().for_each(|need| with.entry(need).or_default().push(one));
    }
    let stacks = |models: &[&Measured]| models.iter().map(|one| one.footprint.stack).collect::<BTreeSet<u64>>();
    // At first what the stack of a need is at most: that of a model is at least those of its needs.
    let least = |models: &[&Measured]| stacks(models).first().copied().unwrap_or(0);
    let mut fitted: BTreeMap<String, u64> =
        with.iter().map(|(need, models)| ((*need).clone(), least(models))).collect();
    for _ in 0..ROUNDS {
        for (need, models) in &with {
            let others = |one: &Measured| {
                let others = one.needs.iter().filter(|other| other != need).filter_map(|other| fitted.get(other));
                others.max().copied().unwrap_or(0)
            };
            let all: Vec<(u64, u64)> = models.iter().map(|one| (others(one), one.footprint.stack)).collect();
            let cost = |bytes: u64| {
                let of = |&(others, stack): &(u64, u64)| {
                    let (found, stack) = (bytes.max(others) as f64, stack.max(1) as f64);
                    // Too little is worse than too much.
                    if found < stack { 2.0 * (1.0 - found / stack) } else { found / stack - 1.0 }
                };
                all.iter().map(of).sum::<f64>()
            };
            let best = stacks(models).into_iter().min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
            fitted.insert((*need).clone(), best.unwrap_or(0));
        }
    }
    fitted
}

/// How far the table is from what it is fitted to.
fn errors(fitted: &CoreFootprint, measured: &[Measured]) -> String {
    let percent = |found: u64, expected: u64| 100.0 * (found as f64 / expected.max(1) as f64 - 1.0).abs();
    let both = measured.iter().filter_map(|one| Some((fitted.footprint(&one.needs)?, one.footprint)));
    let (mut flash, mut stack): (Vec<f64>, Vec<f64>) = both
        .map(|(found, expected)| (percent(found.runtime, expected.runtime), percent(found.stack, expected.stack)))
        .unzip();
    flash.sort_by(f64::total_cmp);
    stack.sort_by(f64::total_cmp);
    let of = |errors: &[f64]| match (errors.get(errors.len() / 2), errors.last()) {
        (Some(median), Some(most)) => format!("{median:.1} % in the median, {most:.1} % at most"),
        _ => "nothing".into(),
    };
    format!("fitted to {} models; flash within {}; stack within {}", measured.len(), of(&flash), of(&stack))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_every_operator_and_path_with_few_others() {
        let models = models();
        assert!(models.len() < 300, "{} models take too long to build", models.len());
        for core in LOOPS {
            let mut all = BTreeSet::new();
            for one in &models {
                all.extend(needs(&Model::parse(&one.file).unwrap(), core));
            }
            let absent: Vec<&str> =
                OpCode::ALL.iter().map(|code| code.name()).filter(|name| !all.contains(*name)).collect();
            assert!(absent.is_empty(), "no {absent:?}");
            for path in ["tiles", "rows", "zero point of weights", "large windows", "depthwise, any windows"] {
                assert!(core == "RV64GCV" || all.contains(path), "no {path} on {core}");
            }
        }
    }
}
