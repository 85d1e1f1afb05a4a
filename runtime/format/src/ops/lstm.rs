//! One step of a long short-term memory, and the checks that it shares with a gated recurrent unit.

use super::work::{product, sum, weight_cost};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Role, Spec, Work};
use crate::{DType, Value};

/// An LSTM cell (Hochreiter and Schmidhuber 1997; gates input, forget, cell and output, as in PyTorch and candle-nn).
/// It has no attributes. The cell is state and is updated in place; the output is the new hidden state, and a copy
/// stores it for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LstmF32;

impl OpInfo for LstmF32 {
    const INPUTS: &'static [Input] = &[
        Input::ACTIVATION,
        Input::new(Role::FloatWeights, "weights"),
        Input::new(Role::FloatWeights, "recurrent_weights"),
        Input::new(Role::Bias, "bias"),
        Input::STATE,
        Input::ACTIVATION,
    ];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, elements a multiple of I; weights F32 `[4·H, I]`; recurrent weights, of the same type, `[4·H, H]`; bias F32, 4·H elements, or none; cell: F32 state, as many elements as the output; hidden: F32, as many",
        attributes: "",
        rows: "elements / I · H",
        cost: "300 + 4·(I + H)·f",
    };
}

without_blocks!(LstmF32);
output_apart!(LstmF32);

impl LstmF32 {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (hidden, work) = tri!(recurrent_work(operands, 4, 300, 5));
        tri!(operands.f32_bias(3, 4 * hidden));
        let cell = tri!(operands.typed(4, DType::F32));
        ensure!(cell.is_state(), OpFault::Place { operand: 4 });
        ensure!(cell.len == operands.output.len, OpFault::Shape { operand: 4 });
        Ok(work)
    }
}

/// Checks the operands that recurrent layers with `gates` gates have in common: activations, weights in inputs 1 and 2,
/// the hidden state in input `state`, the output. Returns the number of hidden units and the work. A row is one unit of
/// one batch; its activation functions cost `fixed`.
pub(super) const fn recurrent_work(
    operands: &Operands,
    gates: u32,
    fixed: u64,
    state: u8,
) -> Result<(u32, Work), OpFault> {
    let input = tri!(operands.typed(0, DType::F32));
    let (weights, recurrent) = (tri!(operands.f32_weights(1)), tri!(operands.f32_weights(2)));
    let hidden = tri!(operands.typed(state as usize, DType::F32));
    let output = tri!(operands.f32_output());
    ensure!(recurrent.dtype.is(weights.dtype), OpFault::Type { operand: 2 });
    ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
    ensure!(recurrent.shape.rank() == 2, OpFault::Shape { operand: 2 });
    let (depth, units) = (weights.shape.dim(1), recurrent.shape.dim(1));
    ensure!(depth > 0 && is_gates(&weights, gates, units), OpFault::Shape { operand: 1 });
    ensure!(units > 0 && is_gates(&recurrent, gates, units), OpFault::Shape { operand: 2 });
    let elements = input.len / 4;
    ensure!(elements.is_multiple_of(depth), OpFault::Shape { operand: 0 });
    let rows = (elements / depth) as u64 * units as u64;
    ensure!((output.len / 4) as u64 == rows, OpFault::Shape { operand: OUTPUT });
    ensure!(hidden.len == output.len, OpFault::Shape { operand: state });
    let row_macs = product(&[gates as u64, depth as u64 + units as u64]);
    let row_cost = sum(&[fixed, product(&[weight_cost(weights.dtype), row_macs])]);
    Ok((units, tri!(Work::new(rows, 4, row_cost, row_macs))))
}

const fn is_gates(weights: &Value, gates: u32, units: u32) -> bool {
    weights.shape.dim(0) as u64 == gates as u64 * units as u64
}
