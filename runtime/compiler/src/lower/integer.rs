//! Functions of int32 tensors, and conversions of numbers between types.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, TensorId};
use crate::ir::{Activation, Op};
use tealight_format::Operator;
use tealight_format::ops::{BinaryI32, Cast, Copy, IntegerFunction, UnaryFunction};

/// Returns the function of two integers that an operator is for int32 tensors.
pub(crate) fn integer_function(op: &Op) -> Option<IntegerFunction> {
    use IntegerFunction as F;
    Some(match op {
        Op::Add(_) => F::Add,
        Op::Sub(_) => F::Sub,
        Op::Mul(_) => F::Mul,
        Op::Div(_) => F::Div,
        Op::FloorDiv => F::FloorDiv,
        Op::Remainder(UnaryFunction::Trunc) => F::Rem,
        Op::Remainder(_) => F::FloorMod,
        Op::Minimum => F::Minimum,
        Op::Maximum => F::Maximum,
        _ => return None,
    })
}

impl Lowering<'_> {
    /// Returns whether the node computes in int32: all its outputs are of that type, and an input is.
    pub(super) fn of_i32(&self, node: &Node) -> bool {
        let is_i32 = |&id: &TensorId| self.tensor(id).dtype == ElementType::I32;
        node.outputs.iter().all(is_i32) && node.inputs.iter().flatten().any(is_i32)
    }

    pub(super) fn binary_i32(&mut self, node: &Node, op: &Op, function: IntegerFunction) -> Result<()> {
        if let Op::Add(activation) | Op::Sub(activation) | Op::Mul(activation) | Op::Div(activation) = op
            && *activation != Activation::None
        {
            return Err(self.graph.unsupported(node, "no activation of int32 tensors"));
        }
        let (a, b, output) = (self.input_i32(node, 0)?, self.input_i32(node, 1)?, self.graph.output(node)?);
        self.emit(node, Operator::BinaryI32(BinaryI32 { function }), &[Some(a), Some(b)], output);
        Ok(())
    }

    /// Returns input `k`, which must be int32, or a constant of int64 whose numbers are.
    fn input_i32(&mut self, node: &Node, k: usize) -> Result<TensorId> {
        let id = self.graph.input(node, k)?;
        if self.tensor(id).dtype == ElementType::I32 {
            return Ok(id);
        }
        let tensor = self.tensor(id);
        match tensor.narrowed() {
            Some(bytes) => self.add_constant(id, "int32", ElementType::I32, tensor.shape.clone(), bytes),
            None => Err(self.type_error(node, id, "int32")),
        }
    }

    /// Takes each element as a number of the output's type.
    pub(super) fn cast(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let same = self.tensor(input).dtype == self.tensor(output).dtype;
        self.emit(node, if same { Operator::Copy(Copy) } else { Operator::Cast(Cast) }, &[Some(input)], output);
        Ok(())
    }
}
