//! Product of two int8 tensors, and the broadcasting rule that it shares with Add and Sub.

use super::{Attrs, OUTPUT, OpFault, Operands, Work, attrs_of, check_activation, check_multiplier, words};
use crate::MAX_RANK;

/// Attributes of Mul.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mul {
    /// Multiplier and shift from the product of the input scales to the output scale.
    pub output: [i32; 2],
    /// Least and greatest output value (the fused activation), within -128..=127.
    pub activation: [i32; 2],
}

impl Mul {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self { output: words(attrs, 0), activation: words(attrs, 2) }
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.output[0], self.output[1], self.activation[0], self.activation[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands));
        tri!(check_multiplier(self.output[0], self.output[1], 0));
        tri!(check_activation(self.activation, 2));
        broadcast_work(operands, 13)
    }
}

/// Two int8 inputs that broadcast to an int8 output.
pub(super) const fn check_broadcast(operands: &Operands) -> Result<(), OpFault> {
    tri!(operands.count_is(2));
    tri!(operands.quantized_output());
    tri!(operands.quantized(0));
    tri!(operands.quantized(1));
    check_shapes(operands)
}

/// The work of two inputs that broadcast, at `each` for an element.
pub(super) const fn broadcast_work(operands: &Operands, each: u64) -> Result<Work, OpFault> {
    let (Some(a), Some(b)) = (operands.input(0), operands.input(1)) else { return Err(OpFault::Inputs) };
    Work::broadcast(&operands.output, &a.shape, &b.shape, each)
}

/// Two inputs whose dimensions, aligned at the last, are the output's or 1.
pub(super) const fn check_shapes(operands: &Operands) -> Result<(), OpFault> {
    let output = operands.output.shape.padded();
    let mut k = 0;
    while k < 2 {
        let Some(input) = operands.input(k) else { return Err(OpFault::Inputs) };
        ensure!(input.shape.rank() <= operands.output.shape.rank(), OpFault::Shape { operand: OUTPUT });
        let dims = input.shape.padded();
        let mut i = 0;
        while i < MAX_RANK {
            ensure!(dims[i] == 1 || dims[i] == output[i], OpFault::Shape { operand: k as u8 });
            i += 1;
        }
        k += 1;
    }
    Ok(())
}
