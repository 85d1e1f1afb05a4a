//! Sum and difference of two int8 tensors.

use super::{
    Attrs, OpFault, Operands, Work, attrs_of, check_activation, check_multiplier,
    mul::{broadcast_work, check_broadcast},
    words,
};

/// Attributes of Add and Sub: both inputs are scaled to twice the larger of their scales with `left_shift` extra
/// bits, added or subtracted, and scaled to the output (TensorFlow Lite's `AddParams`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddSub {
    /// Extra bits of precision (20).
    pub left_shift: i32,
    /// Multiplier and shift of input a; the shift is at most 0.
    pub a: [i32; 2],
    /// Multiplier and shift of input b; the shift is at most 0.
    pub b: [i32; 2],
    /// Multiplier and shift of the output; the shift is at most 0.
    pub output: [i32; 2],
    /// Least and greatest output value (the fused activation), within -128..=127.
    pub activation: [i32; 2],
}

impl AddSub {
    pub(super) const fn parse(attrs: &Attrs) -> Self {
        Self {
            left_shift: attrs[0],
            a: words(attrs, 1),
            b: words(attrs, 3),
            output: words(attrs, 5),
            activation: words(attrs, 7),
        }
    }

    pub(super) const fn emit(&self) -> Attrs {
        let (a, b, o, r) = (self.a, self.b, self.output, self.activation);
        attrs_of(&[self.left_shift, a[0], a[1], b[0], b[1], o[0], o[1], r[0], r[1]])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        tri!(check_broadcast(operands));
        ensure!(0 <= self.left_shift && self.left_shift <= 22, OpFault::Attribute { index: 0 });
        tri!(check_multiplier(self.a[0], self.a[1], 1));
        tri!(check_multiplier(self.b[0], self.b[1], 3));
        tri!(check_multiplier(self.output[0], self.output[1], 5));
        ensure!(self.a[1] <= 0, OpFault::Attribute { index: 2 });
        ensure!(self.b[1] <= 0, OpFault::Attribute { index: 4 });
        tri!(check_activation(self.activation, 7));
        broadcast_work(operands, 24)
    }
}
