//! The positions of the elements that this inference reads of a sequence.
//!
//! A network that reads a sequence step by step needs its position in the sequence. One state counts the positions read
//! so far; rotary embeddings, position tables and attention read the numbers of the new positions from this operator.

use super::work::{ROW, sum};
use super::{Attrs, Fused, Input, OUTPUT, OpFault, OpInfo, Operands, Spec, Work, attrs_of};
use crate::DType;

/// Attributes of Positions. The input is the state, I32 of one element: positions read so far. The output is I32: with
/// `s` the state clamped to `0..=capacity`, element `i` is `min(s + i, capacity)`. Afterwards the state is
/// `min(s + elements, capacity)`.
///
/// A second input, I32 of one element, states how many of the elements are there; the others are filled up. It counts
/// instead of the number of elements, clamped to `0..=elements`, and each further element is -1: no position, at which
/// nothing is rotated, stored or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The maximum number of positions (at least 1): the length of the caches and tables.
    pub capacity: i32,
}

impl OpInfo for Positions {
    const INPUTS: &'static [Input] = &[Input::STATE, Input::ACTIVATION];
    const FUSED: Fused = Fused::No;
    const PREPARES: bool = false;
    const SPEC: Spec = Spec {
        inputs: "I32 state of one element; optionally count I32 of one element; output I32",
        attributes: "capacity (≥ 1)",
        rows: "1",
        cost: "20 + 4 an element",
    };
}

without_blocks!(Positions);
output_apart!(Positions);

impl Positions {
    pub(super) const fn parse<const CHECK: bool>(attrs: &Attrs) -> Result<Self, OpFault> {
        ensure!(!CHECK || attrs[0] >= 1, OpFault::Attribute { index: 0 });
        Ok(Self { capacity: attrs[0] })
    }

    pub(super) const fn emit(&self) -> Attrs {
        attrs_of(&[self.capacity])
    }

    pub(super) const fn check(&self, operands: &Operands) -> Result<Work, OpFault> {
        if operands.count != 1 {
            tri!(operands.count_is(Self::INPUTS.len()));
            let count = tri!(operands.typed(1, DType::I32));
            ensure!(count.len == 4, OpFault::Shape { operand: 1 });
        }
        let state = tri!(operands.typed(0, DType::I32));
        ensure!(state.is_state(), OpFault::Place { operand: 0 });
        ensure!(state.len == 4, OpFault::Shape { operand: 0 });
        let output = operands.output;
        ensure!(output.dtype.is(DType::I32), OpFault::Type { operand: OUTPUT });
        Work::new(1, output.len as u64, sum(&[ROW, output.len as u64]), 0)
    }
}
