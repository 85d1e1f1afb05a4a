//! One step of a gated recurrent unit.

use super::lstm::recurrent_work;
use super::{Attrs, Fused, Input, OpFault, OpInfo, Operands, Role, Spec, Work};

/// A GRU cell (Cho et al. 2014; gates reset, update and new, as in PyTorch and candle-nn). It has no attributes. The
/// output is the new hidden state; a copy stores it for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GruF32;

impl OpInfo for GruF32 {
    const INPUTS: &'static [Input] = &[
        Input::ACTIVATION,
        Input::new(Role::FloatWeights, "weights"),
        Input::new(Role::FloatWeights, "recurrent_weights"),
        Input::new(Role::Bias, "bias"),
        Input::new(Role::Bias, "recurrent_bias"),
        Input::ACTIVATION,
    ];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "f, elements a multiple of I; weights F32 `[3·H, I]`; recurrent weights, of the same type, `[3·H, H]`; bias F32, 3·H elements, or none; recurrent bias as that; hidden: F32, as many elements as the output",
        attributes: "",
        rows: "elements / I · H",
        cost: "230 + 3·(I + H)·f",
    };
}

without_blocks!(GruF32);
output_apart!(GruF32);

impl GruF32 {
    pub(super) const fn parse<const CHECK: bool>(_: &Attrs) -> Result<Self, OpFault> {
        Ok(Self)
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(Self::INPUTS.len()));
        let (hidden, work) = tri!(recurrent_work(operands, 3, 230, 5));
        tri!(operands.f32_bias(3, 3 * hidden));
        tri!(operands.f32_bias(4, 3 * hidden));
        Ok(work)
    }
}
