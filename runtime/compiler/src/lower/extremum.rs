//! Maximum and minimum of two int8 tensors of one scale and zero point: of their codes.
//!
//! With one constant number they are a table. Otherwise both tensors are placed side by side, and pooled.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{Node, Tensor, TensorId, dimension_of};
use tealight_format::Operator;
use tealight_format::ops::{Concat, Function};

impl Lowering<'_> {
    pub(super) fn maximum(&mut self, node: &Node) -> Result<()> {
        let operands = self.of_one_quantization(node)?;
        if let Some((input, number)) = self.one_number(operands) {
            let output = self.graph.output(node)?;
            return self.table_from(node, Function::Relu, input, output, |code| code.max(number));
        }
        let output = self.graph.output(node)?;
        self.larger(node, operands, output)
    }

    pub(super) fn minimum(&mut self, node: &Node) -> Result<()> {
        let operands = self.of_one_quantization(node)?;
        let output = self.graph.output(node)?;
        if let Some((input, number)) = self.one_number(operands) {
            return self.table_from(node, Function::Relu, input, output, |code| code.min(number));
        }
        let [a, b] = operands;
        let complements = [self.complement(node, a)?, self.complement(node, b)?];
        let larger =
            Tensor { quantization: self.tensor(complements[0]).quantization.clone(), ..self.tensor(output).like() };
        let larger = self.graph.add(larger);
        self.larger(node, complements, larger)?;
        self.emit_complement(node, larger, output)
    }

    /// Returns the two inputs, which must have the quantization of the output.
    fn of_one_quantization(&self, node: &Node) -> Result<[TensorId; 2]> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let of_output = self.int8(node, output)?;
        if self.int8(node, a)? != of_output || self.int8(node, b)? != of_output {
            return Err(self.graph.invalid(node, format!("its tensors need one scale: {}", self.scales(node))));
        }
        Ok([a, b])
    }

    /// Returns the other input and the code, if one of two inputs is a constant of one element.
    fn one_number(&self, [a, b]: [TensorId; 2]) -> Option<(TensorId, i32)> {
        let number = |id: TensorId| match self.tensor(id).integers()?[..] {
            [code] => i32::try_from(code).ok(),
            _ => None,
        };
        number(b).map(|code| (a, code)).or_else(|| number(a).map(|code| (b, code)))
    }

    /// Emits the larger of the codes of two tensors of the output's shape.
    fn larger(&mut self, node: &Node, [a, b]: [TensorId; 2], output: TensorId) -> Result<()> {
        let shape = self.tensor(output).shape.clone();
        if self.tensor(a).shape != shape || self.tensor(b).shape != shape {
            let accepted =
                format!("int8 tensors of one shape, or one constant number: {}", self.graph.describe_operands(node));
            return Err(self.graph.unsupported(node, accepted));
        }
        let (inner, outer) = shape.split_last().map_or((1, &shape[..]), |(&last, outer)| (last, outer));
        let outer = dimension_of(outer);
        let [first, second] = [a, b].map(|id| self.view(id, vec![outer, 1, inner]));
        let beside = Tensor { shape: vec![outer, 2, inner], ..self.tensor(a).like() };
        let beside = self.graph.add(beside);
        self.emit(node, Operator::Concat(Concat { axis: 1 }), &[Some(first), Some(second)], beside);
        let to = self.written(output, &[outer, 1, 1, inner]);
        self.pool_run(node, beside, [outer, 2, inner], to);
        Ok(())
    }
}
