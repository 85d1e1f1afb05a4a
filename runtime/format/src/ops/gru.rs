//! One step of a gated recurrent unit.

use super::lstm::recurrent_work;
use super::{Attrs, OpFault, Operands, Work};

/// A GRU cell (Cho et al. 2014; gates reset, update and new, as in PyTorch and candle-nn). It has no attributes. The
/// output is the new hidden state, which a copy puts where the next step reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GruF32;

impl GruF32 {
    pub(super) const fn parse(_: &Attrs) -> Self {
        Self
    }

    pub(super) const fn emit(&self) -> Attrs {
        [0; 15]
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(6));
        let (hidden, work) = tri!(recurrent_work(operands, 3, 230, 5));
        tri!(operands.real_bias(3, 3 * hidden));
        tri!(operands.real_bias(4, 3 * hidden));
        Ok(work)
    }
}
