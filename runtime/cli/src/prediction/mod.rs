//! Predicts the instructions of a model on a core, without running anything.
//!
//! The instructions of an operator are a sum of terms such as its rows, its outputs and its multiply-accumulates, each
//! times a factor. The factors of each operator on each core are in a table, fitted to counts of many generated layers:
//! `cargo xtask budget --renew` measures them and writes it.

pub mod footprint;
mod products;
mod terms;
mod windows;

use terms::{Axis, Layer};
pub use terms::{Terms, terms};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tealight_format::ops::Conv2d;
use tealight_format::{BlockType, Model, Op, Operands, Operator, Value};

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
    /// For each kind of layer, the factors of [`terms`] by their names, except those that are 0.
    pub operators: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Predictor {
    /// The table that the program carries.
    pub fn carried() -> Self {
        serde_json::from_str(include_str!("instructions.json")).unwrap_or_default()
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
        Some(self.layers(model, core)?.into_iter().sum())
    }

    /// The instructions of each operator of `model` on `core`; `None` as in [`instructions`](Self::instructions).
    pub fn layers(&self, model: &Model<'_>, core: &str) -> Option<Vec<u64>> {
        let core = self.cores.iter().find(|known| known.cores.iter().any(|name| name == core))?;
        (0..model.op_count()).map(|index| core.layer(model, &model.op(index))).collect()
    }
}

impl Core {
    /// The instructions of one operator; `None` if the table does not have it.
    pub fn layer(&self, model: &Model<'_>, op: &Op) -> Option<u64> {
        let factors = self.operators.get(&key(model, op))?;
        let part = |(name, term): (String, f64)| factors.get(&name).map_or(0.0, |factor| factor * term);
        Some(terms(model, op).into_iter().map(part).sum::<f64>() as u64)
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

/// The kind of a layer, which has factors of its own: the operator, the type of its weights or its function if it has one,
/// whether it has too few output channels for the kernels' tiles, or few input channels, as first layers have,
/// whether a convolution is pointwise, and whether windows are adjacent, so that kernels may share what they load.
pub fn key(model: &Model<'_>, op: &Op) -> String {
    let name = op.operator.code().name();
    let weights = op.operator.block_type().map(BlockType::name);
    let operands = model.operands(op);
    let needs = op.operator.needs(&operands);
    match (&op.operator, weights) {
        (_, Some(block)) => format!("{name} {block}"),
        (Operator::DepthwiseConv2d(_) | Operator::DepthwiseConv2dF32(_) | Operator::DepthwiseConv2dI16(_), _)
            if shares_inputs(model, op) =>
        {
            format!("{name} with a multiplier")
        }
        (Operator::UnaryF32(unary), _) => format!("{name} {}", unary.function.name()),
        _ if needs.has_i4_weights() => format!("{name} int4"),
        _ if needs.has_paired_weights() => format!("{name} in pairs"),
        (Operator::Conv2d(_) | Operator::FullyConnected(_), _) if channels(model, op) < 4 => format!("{name} few"),
        (Operator::Conv2d(_), _) if operands.input(1).is_some_and(|weights| last(&weights) < 4) => {
            format!("{name} shallow")
        }
        (Operator::Conv2d(conv), _) if is_pointwise(conv, &operands) => format!("{name} pointwise"),
        (Operator::DepthwiseConv2d(_), _) if channels(model, op) < 8 => format!("{name} few"),
        (Operator::DepthwiseConv2d(conv), _) if conv.0.stride == [1, 1] => format!("{name} adjacent"),
        _ if needs.has_f16() => format!("{name} f16"),
        _ if needs.has_i8_weights() => format!("{name} i8"),
        _ => name.into(),
    }
}

/// The output channels of a layer, or of one of its groups.
fn channels(model: &Model<'_>, op: &Op) -> u32 {
    let operands = model.operands(op);
    let outputs = last(&operands.output);
    let (Operator::Conv2d(_), Some(input), Some(weights)) = (op.operator, operands.input(0), operands.input(1)) else {
        return outputs;
    };
    let groups = last(&input).checked_div(last(&weights)).unwrap_or(1);
    outputs / groups.max(1)
}

/// Whether each output of a convolution is of one pixel, and each pixel has one.
fn is_pointwise(conv: &Conv2d, operands: &Operands) -> bool {
    let (Some(input), Some(weights)) = (operands.input(0), operands.input(1)) else { return false };
    let (Some(input), Some(output)) = (Layer::nhwc(&input), Layer::nhwc(&operands.output)) else { return false };
    let (axes, _) = Axis::pair(input, output, &conv.window2d(&weights.shape), false);
    axes.iter().all(Axis::is_pointwise)
}

/// The last dimension of a tensor.
fn last(value: &Value) -> u32 {
    value.shape.dim(value.shape.rank().saturating_sub(1))
}

/// Whether a depthwise convolution has several outputs for each input channel.
fn shares_inputs(model: &Model<'_>, op: &Op) -> bool {
    let operands = model.operands(op);
    operands.input(0).is_some_and(|input| input.shape.dim(3) != operands.output.shape.dim(3))
}
