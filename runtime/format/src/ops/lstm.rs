//! One step of a long short-term memory, int8 and f32, and the checks that it shares with a gated recurrent unit.

use super::work::{product, sum, weight_cost};
use super::{
    Attrs, Fused, Input, Multiplier, OUTPUT, OpFault, OpInfo, Operands, Role, SigmoidI16, Spec, Work, attrs_of,
    multiplier, words,
};
use crate::{DType, Value};

/// Attributes of Lstm, an LSTM cell as [`LstmF32`] of int8 activations and weights and an int16 cell.
///
/// Sums of a gate are int16 numbers of scale 2^-12, and its result has scale 2^-15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lstm {
    /// Multiplier and shift from the product of forget gate and cell to the cell.
    pub forget: Multiplier,
    /// Multiplier and shift from the product of input gate and cell gate to the cell.
    pub input: Multiplier,
    /// Multiplier and shift from the product of output gate and the cell's hyperbolic tangent to the output.
    pub output: Multiplier,
    /// How a cell is scaled to units of 1/12288, for its hyperbolic tangent.
    pub tanh: SigmoidI16,
    /// The maximum magnitude of a cell, 1 to 32767; 0 for none.
    pub clip: i32,
}

impl OpInfo for Lstm {
    const INPUTS: &'static [Input] = &[
        Input::ACTIVATION,
        Input::new(Role::Weights, "weights"),
        Input::new(Role::Weights, "recurrent_weights"),
        Input::new(Role::Channels, "channels"),
        Input::new(Role::Table, "table"),
        Input::STATE,
        Input::ACTIVATION,
    ];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "q, elements a multiple of I; weights I8 `[4·H, I]`; recurrent weights I8 `[4·H, H]`; channels `[8·H, 3]`; table I16 `[256]`; cell: h, state, as many elements as the output; hidden: q, as many",
        attributes: "m, s of forget gate and cell; of input gate and cell gate; of the output; multiplier (0 to 32767) and right shift (0 to 31) of a cell's tanh; clip (0 to 32767)",
        rows: "elements / I · H",
        cost: "300 + 10·(I + H)",
    };
}

without_blocks!(Lstm);
output_apart!(Lstm);

impl Lstm {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        let [tanh_multiplier, tanh_shift, clip] = words(attrs, 6);
        ensure!(!CHECK || (0 <= tanh_multiplier && tanh_multiplier <= 32_767), OpFault::Attribute { index: 6 });
        ensure!(!CHECK || (0 <= tanh_shift && tanh_shift <= 31), OpFault::Attribute { index: 7 });
        ensure!(!CHECK || (0 <= clip && clip <= 32_767), OpFault::Attribute { index: 8 });
        Ok(Self {
            forget: tri!(multiplier::<CHECK>(attrs, 0)),
            input: tri!(multiplier::<CHECK>(attrs, 2)),
            output: tri!(multiplier::<CHECK>(attrs, 4)),
            tanh: SigmoidI16 { multiplier: tanh_multiplier, shift: tanh_shift },
            clip,
        })
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (f, i, o, t) = (self.forget, self.input, self.output, self.tanh);
        attrs_of(&[
            f.multiplier,
            f.shift,
            i.multiplier,
            i.shift,
            o.multiplier,
            o.shift,
            t.multiplier,
            t.shift,
            self.clip,
        ])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (input, hidden) = (tri!(operands.quantized(0)), tri!(operands.quantized(6)));
        let (weights, recurrent) = (tri!(operands.constant(1, DType::I8)), tri!(operands.constant(2, DType::I8)));
        let output = tri!(operands.quantized_output());
        let (units, row_macs) = tri!(recurrent_sizes(&input, &weights, &recurrent, &hidden, &output, 4, 6));
        let Some(channels) = units.checked_mul(8) else { return Err(OpFault::TooLarge) };
        tri!(operands.channels(3, channels));
        let table = tri!(operands.constant(4, DType::I16));
        ensure!(table.len == SigmoidI16::TABLE * table.dtype.size(), OpFault::Shape { operand: 4 });
        let cell = tri!(operands.quantized_as(5, DType::I16));
        ensure!(cell.is_state(), OpFault::Place { operand: 5 });
        ensure!(cell.len as u64 == 2 * output.len as u64, OpFault::Shape { operand: 5 });
        let row_cost = sum(&[300, 10 * weights.shape.dim(1) as u64, 10 * units as u64]);
        Work::new(output.len as u64, 1, row_cost, row_macs)
    }
}

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
    let (units, row_macs) = tri!(recurrent_sizes(&input, &weights, &recurrent, &hidden, &output, gates, state));
    let row_cost = sum(&[fixed, product(&[weight_cost(weights.dtype), row_macs])]);
    let rows = (output.len / 4) as u64;
    Ok((units, tri!(Work::new(rows, 4, row_cost, row_macs))))
}

/// Checks the shapes of the operands of a recurrent layer with `gates` gates, whose hidden state is input `state`:
/// activations, hidden state and output are of one type. Returns the number of hidden units, and of the
/// multiply-accumulates of each of these.
const fn recurrent_sizes(
    input: &Value,
    weights: &Value,
    recurrent: &Value,
    hidden: &Value,
    output: &Value,
    gates: u32,
    state: u8,
) -> Result<(u32, u64), OpFault> {
    ensure!(weights.shape.rank() == 2, OpFault::Shape { operand: 1 });
    ensure!(recurrent.shape.rank() == 2, OpFault::Shape { operand: 2 });
    let (depth, units) = (weights.shape.dim(1), recurrent.shape.dim(1));
    ensure!(depth > 0 && is_gates(weights, gates, units), OpFault::Shape { operand: 1 });
    ensure!(units > 0 && is_gates(recurrent, gates, units), OpFault::Shape { operand: 2 });
    let size = output.dtype.size();
    let elements = input.len / size;
    ensure!(elements.is_multiple_of(depth), OpFault::Shape { operand: 0 });
    let rows = (elements / depth) as u64 * units as u64;
    ensure!((output.len / size) as u64 == rows, OpFault::Shape { operand: OUTPUT });
    ensure!(hidden.len == output.len, OpFault::Shape { operand: state });
    Ok((units, product(&[gates as u64, depth as u64 + units as u64])))
}

const fn is_gates(weights: &Value, gates: u32, units: u32) -> bool {
    weights.shape.dim(0) as u64 == gates as u64 * units as u64
}
