//! Singular value decomposition filter: one step of a recurrent layer.

use super::work::{ROW, product, sum};
use super::{
    ActivationRange, Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, Role, Spec, Work, activation,
    attrs_of, multiplier,
};
use crate::DType;

/// Attributes of Svdf (Nakkiran et al., "Compressing deep neural networks using a rank-constrained topology", 2015,
/// as TensorFlow Lite computes it). Filters = units * rank; the state holds `memory` past results of each filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Svdf {
    /// The number of filters of one unit (at least 1).
    pub rank: i32,
    /// Multiplier and shift from the feature product to the state.
    pub feature: Multiplier,
    /// Multiplier and shift from the time product to the output.
    pub output: Multiplier,
    /// The range of the output (the fused activation).
    pub activation: ActivationRange,
}

impl OpInfo for Svdf {
    const INPUTS: &'static [Input] = &[
        Input::ACTIVATION,
        Input::new(Role::Weights, "weights_feature"),
        Input::new(Role::Weights, "weights_time"),
        Input::new(Role::Bias, "bias"),
        Input::STATE,
    ];
    const FUSED: Fused = Fused::Int8(5);
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, length a multiple of I, not state; feature weights I8 `[F, I]`; time weights I16 or I8 `[F, M]`; bias I32 `[F / rank]` or none; state of the time weights' type, batches·F·M elements",
        attributes: "rank; m, s to the state; m, s to the output; act",
        rows: "batches·F / rank",
        cost: "20 + rank·(40 + 2·I + 3·M)",
    };
}

without_blocks!(Svdf);
output_apart!(Svdf);

impl Svdf {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let rank = attrs[0];
        ensure!(!CHECK || rank >= 1, OpFault::Attribute { index: 0 });
        let (feature, output) = (tri!(multiplier::<CHECK>(attrs, 1)), tri!(multiplier::<CHECK>(attrs, 3)));
        Ok(Self { rank, feature, output, activation: tri!(activation::<CHECK>(attrs, 5)) })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (f, o, a) = (self.feature, self.output, self.activation.bounds());
        attrs_of(&[self.rank, f.multiplier, f.shift, o.multiplier, o.shift, a[0], a[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let input = tri!(operands.quantized(0));
        let feature = tri!(operands.constant(1, DType::I8));
        let Some(time) = operands.input(2) else { return Err(OpFault::Inputs) };
        let Some(state) = operands.input(4) else { return Err(OpFault::Inputs) };
        let output = tri!(operands.quantized_output());
        // The state is written while the input is read.
        ensure!(!input.is_state(), OpFault::Place { operand: 0 });
        ensure!(time.is_constant(), OpFault::Place { operand: 2 });
        ensure!(time.dtype.is(DType::I16) || time.dtype.is(DType::I8), OpFault::Type { operand: 2 });
        ensure!(state.is_state(), OpFault::Place { operand: 4 });
        ensure!(state.dtype.is(time.dtype), OpFault::Type { operand: 4 });
        ensure!(feature.shape.rank() == 2, OpFault::Shape { operand: 1 });
        let (filters, depth) = (feature.shape.dim(0), feature.shape.dim(1));
        ensure!(filters > 0 && depth > 0, OpFault::Shape { operand: 1 });
        ensure!(filters.is_multiple_of(self.rank as u32), OpFault::Attribute { index: 0 });
        let units = filters / self.rank as u32;
        ensure!(time.shape.rank() == 2 && time.shape.dim(0) == filters, OpFault::Shape { operand: 2 });
        let memory = time.shape.dim(1);
        ensure!(memory > 0, OpFault::Shape { operand: 2 });
        ensure!(input.len.is_multiple_of(depth), OpFault::Shape { operand: 0 });
        let batches = (input.len / depth) as u64;
        ensure!(output.len as u64 == batches * units as u64, OpFault::Shape { operand: OUTPUT });
        // The time weights hold filters * memory elements, so that product fits in 32 bits.
        let history = (filters * memory) as u64;
        ensure!(
            state.len as u64 / state.dtype.size() as u64 == batches.saturating_mul(history),
            OpFault::Shape { operand: 4 }
        );
        if operands.inputs[3].is_some() {
            let bias = tri!(operands.constant(3, DType::I32));
            ensure!(bias.len as u64 == units as u64 * 4, OpFault::Shape { operand: 3 });
        }
        let (rank, depth, memory) = (self.rank as u64, depth as u64, memory as u64);
        let row_cost = sum(&[ROW, product(&[rank, 40 + 2 * depth + 3 * memory])]);
        Work::new(output.len as u64, 1, row_cost, product(&[rank, depth + memory]))
    }
}
