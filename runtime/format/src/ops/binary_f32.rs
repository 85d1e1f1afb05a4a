//! Two f32 tensors, element by element: sum, difference, product, quotient, the lesser and the greater.

use super::mul::{broadcast_work, check_shapes};
use super::{Attrs, OpFault, Operands, Work, attrs_of, bits, check_range, reals};
use crate::DType;

/// Attributes of AddF32, SubF32, MulF32, DivF32, MinimumF32 and MaximumF32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryF32 {
    /// Least and greatest output value (the fused activation); infinities for none.
    pub activation: [f32; 2],
}

impl BinaryF32 {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { activation: reals(attrs, 0) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&bits(self.activation))
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(operands.count_is(2));
        tri!(operands.typed(0, DType::F32));
        tri!(operands.typed(1, DType::F32));
        tri!(operands.real_output());
        tri!(check_shapes(operands));
        tri!(check_range(self.activation, 0));
        broadcast_work(operands, 6)
    }
}
