//! Predicts the instructions of a model on a core, without running anything.
//!
//! The instructions of an operator are a sum of terms such as its rows, its outputs and its multiply-accumulates, each
//! times a factor. The factors of each operator on each core are in a table, fitted to counts of many generated layers:
//! `cargo xtask budget --renew` measures them and writes it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tealight_format::{BlockType, DType, Model, Op, Operator, Value};
use tealight_types::Window2d;

/// The number of terms of an operator.
pub const TERMS: usize = 10;

/// The factors of every operator on every core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    cores: Vec<Core>,
}

/// The factors of the operators on cores that count alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Core {
    /// Names of the cores, as boards state them.
    pub cores: Vec<String>,
    /// For each operator and type of weights, the factors of [`terms`].
    pub operators: BTreeMap<String, [f64; TERMS]>,
}

impl Predictor {
    /// The table that the program carries.
    pub fn carried() -> Self {
        serde_json::from_str(include_str!("prediction.json")).unwrap_or_default()
    }

    /// The same table with these cores instead of those of the same names.
    #[must_use]
    pub fn with(mut self, cores: Vec<Core>) -> Self {
        for core in cores {
            let same = |known: &&mut Core| known.cores.iter().any(|name| core.cores.contains(name));
            match self.cores.iter_mut().find(same) {
                Some(known) => *known = core,
                None => self.cores.push(core),
            }
        }
        self
    }

    /// The instructions of an inference of `model` on `core`; `None` if the table has no such core, or not every
    /// operator of the model.
    pub fn instructions(&self, model: &Model<'_>, core: &str) -> Option<u64> {
        let core = self.cores.iter().find(|known| known.cores.iter().any(|name| name == core))?;
        (0..model.op_count()).map(|index| core.layer(model, &model.op(index))).sum()
    }
}

impl Core {
    /// The instructions of one operator; `None` if the table does not have it.
    pub fn layer(&self, model: &Model<'_>, op: &Op) -> Option<u64> {
        let factors = self.operators.get(&key(model, op))?;
        Some(factors.iter().zip(terms(model, op)).map(|(factor, term)| factor * term).sum::<f64>() as u64)
    }
}

/// Cycles of an instruction in the inner loops of convolutions, estimated; `None` for a core that is not known.
///
/// In-order cores: from the cycles that Arm's and SiFive's manuals state for the instructions of these loops, without
/// wait states of flash. Cortex-M7, M33 and M55: from MLPerf Tiny's published cycles beside those of a Cortex-M4 for the
/// same networks. The book's chapter on benchmarks has the derivation.
pub fn cycles_per_instruction(core: &str) -> Option<f64> {
    let cores = [
        ("Cortex-M0", 1.4),
        ("Cortex-M0+", 1.35),
        ("Cortex-M3", 1.35),
        ("Cortex-M4F", 1.2),
        ("Cortex-M7", 0.75),
        ("Cortex-M33", 1.1),
        ("Cortex-M55", 1.7),
        ("Cortex-A53", 0.9),
        ("RV32IMAC", 1.3),
        ("RV32IMC", 1.3),
    ];
    cores.iter().find(|(name, _)| *name == core).map(|(_, ratio)| *ratio)
}

/// The operator, and the type of its weights or its function if it has one: what has factors of its own.
pub fn key(model: &Model<'_>, op: &Op) -> String {
    let name = op.operator.code().name();
    let weights = op.operator.block_type().map(BlockType::name);
    let half = op.input(1).is_some_and(|value| model.value(value.into()).dtype == DType::F16);
    match (&op.operator, weights) {
        (_, Some(block)) => format!("{name} {block}"),
        (Operator::DepthwiseConv2d(_) | Operator::DepthwiseConv2dF32(_), _) if shares_inputs(model, op) => {
            format!("{name} with a multiplier")
        }
        (Operator::UnaryF32(unary), _) => format!("{name} {}", unary.function.name()),
        _ if half => format!("{name} f16"),
        _ => name.into(),
    }
}

/// Whether a depthwise convolution has several outputs for each input channel.
fn shares_inputs(model: &Model<'_>, op: &Op) -> bool {
    let operands = model.operands(op);
    operands.input(0).is_some_and(|input| input.shape.dim(3) != operands.output.shape.dim(3))
}

/// What the instructions of an operator are a sum of: 1; rows; outputs; multiply-accumulates; input elements; elements
/// of all windows; pixels; multiply-accumulates that would fill up the outputs to whole fours; outputs times the
/// elements that are left over from whole sixteens of a window; and outputs whose windows are clipped.
pub fn terms(model: &Model<'_>, op: &Op) -> [f64; TERMS] {
    let operands = model.operands(op);
    let output = operands.output;
    let outputs = elements(&output);
    let channels = f64::from(output.shape.dim(output.shape.rank().saturating_sub(1)).max(1));
    let macs = model.op_macs(op) as f64;
    let moving = (0..usize::from(op.count)).filter_map(|k| operands.input(k)).filter(|value| !value.is_constant());
    let pixels = outputs / channels;
    let (window, depth) = window(&operands, op);
    let taps = window.map_or(1.0, |window| (window.kernel[0] * window.kernel[1]) as f64);
    let len = taps * depth;
    let clipped = window.map_or(0.0, |window| clipped(&operands.input(0), &output, &window));
    [
        1.0,
        f64::from(op.rows),
        outputs,
        macs,
        moving.map(|value| elements(&value)).sum(),
        pixels * len,
        pixels,
        macs / channels * ((4.0 - channels % 4.0) % 4.0),
        outputs * (len % 16.0),
        outputs * clipped,
    ]
}

fn elements(value: &Value) -> f64 {
    f64::from(value.shape.elements().unwrap_or(u32::MAX))
}

/// The window of an output, if the operator has one, and how many elements of each of its taps belong to one output.
fn window(operands: &tealight_format::Operands, op: &Op) -> (Option<Window2d>, f64) {
    let weights = operands.input(1).map(|value| value.shape);
    let depth = weights.map_or(1.0, |shape| f64::from(shape.dim(shape.rank().saturating_sub(1))));
    match (&op.operator, weights) {
        (Operator::Conv2d(conv), Some(shape)) => (Some(conv.window2d(&shape)), depth),
        (Operator::Conv2dF32(conv), Some(shape)) => (Some(conv.window2d(&shape)), depth),
        (Operator::DepthwiseConv2d(conv), Some(shape)) => (Some(conv.0.window2d(&shape)), 1.0),
        (Operator::DepthwiseConv2dF32(conv), Some(shape)) => (Some(conv.0.window2d(&shape)), 1.0),
        (Operator::AvgPool2d(pool) | Operator::MaxPool2d(pool), _) => (Some(pool.window2d()), 1.0),
        _ => (None, depth),
    }
}

/// The part of the outputs whose windows are not wholly inside the input.
fn clipped(input: &Option<Value>, output: &Value, window: &Window2d) -> f64 {
    let Some(input) = input else { return 0.0 };
    let whole: f64 = [0, 1]
        .map(|axis| {
            let (size, outputs) = (input.shape.dim(axis + 1) as usize, output.shape.dim(axis + 1) as usize);
            let extent =
                (window.kernel[axis].saturating_sub(1)).saturating_mul(window.dilation[axis]).saturating_add(1);
            let inside = |out: &usize| {
                let start = out.saturating_mul(window.stride[axis]);
                start >= window.pad[axis] && start.saturating_add(extent) <= size.saturating_add(window.pad[axis])
            };
            // Work is bounded by the file: an output's row has an element at least.
            (0..outputs.min(1 << 16)).filter(inside).count() as f64 / outputs.max(1) as f64
        })
        .iter()
        .product();
    1.0 - whole
}
