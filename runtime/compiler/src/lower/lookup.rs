//! Functions of one 8-bit value, as tables; and the change between float and 8 bits.

use super::Lowering;
use super::scale::quantize;
use crate::error::Result;
use crate::graph::{ElementType, Node};
use tealight_format::Operator;
use tealight_format::ops::{Dequantize, Function, Lookup, Quantize};
use tealight_kernels::unary::{self, HardSwish, LeakyRelu, Rescale, Sigmoid};

impl Lowering<'_> {
    pub(super) fn relu(&mut self, node: &Node) -> Result<()> {
        let [(scale, zero), (out_scale, out_zero)] = self.int8_ends(node)?;
        let p = Rescale::from_scales(scale, zero, out_scale, out_zero, [out_zero.max(-128), 127]);
        self.table(node, Function::Relu, |x| unary::relu(&p, x))
    }

    /// A clamp that keeps the quantization, as TensorFlow Lite Micro's RELU6 does.
    pub(super) fn clamp(&mut self, node: &Node, low: f32, high: f32) -> Result<()> {
        let [(scale, zero), _] = self.int8_ends(node)?;
        let range = [low, high].map(|bound| quantize(bound, scale, zero).clamp(-128, 127));
        self.table(node, Function::Relu, |x| unary::relu6(range, x))
    }

    pub(super) fn leaky_relu(&mut self, node: &Node, alpha: f32) -> Result<()> {
        let [(scale, zero), (out_scale, out_zero)] = self.int8_ends(node)?;
        let p = LeakyRelu::from_scales(alpha, scale, zero, out_scale, out_zero);
        self.table(node, Function::LeakyRelu, |x| unary::leaky_relu(&p, x))
    }

    pub(super) fn hard_swish(&mut self, node: &Node) -> Result<()> {
        let [(scale, zero), (out_scale, out_zero)] = self.int8_ends(node)?;
        let p = HardSwish::from_scales(scale, zero, out_scale, out_zero);
        self.table(node, Function::HardSwish, |x| unary::hard_swish(&p, x))
    }

    pub(super) fn logistic(&mut self, node: &Node) -> Result<()> {
        let [(scale, zero), output] = self.int8_ends(node)?;
        if output != (1.0 / 256.0, -128) {
            return Err(self.graph.unsupported(node, "an output with scale 1/256 and zero point -128"));
        }
        let p = Sigmoid::from_scale(scale, zero);
        self.table(node, Function::Logistic, |x| unary::logistic(&p, x))
    }

    pub(super) fn tanh(&mut self, node: &Node) -> Result<()> {
        let [(scale, zero), output] = self.int8_ends(node)?;
        if output != (1.0 / 128.0, 0) {
            return Err(self.graph.unsupported(node, "an output with scale 1/128 and zero point 0"));
        }
        let p = Sigmoid::from_scale(scale, zero);
        self.table(node, Function::Tanh, |x| unary::tanh(&p, x))
    }

    /// Float to 8 bits, or 8 bits to 8 bits of another quantization or type.
    pub(super) fn quantize(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let (out_scale, out_zero) = self.quantization(node, output)?;
        if self.tensor(input).dtype == ElementType::F32 {
            self.emit(node, Operator::Quantize(Quantize), &[Some(input)], output);
            return Ok(());
        }
        let Some(range) = self.tensor(output).dtype.range_8_bit() else {
            return Err(self.type_error(node, output, "int8 or uint8"));
        };
        if self.tensor(input).dtype.range_8_bit().is_none() {
            return Err(self.type_error(node, input, "int8, uint8 or float32"));
        }
        let (scale, zero) = self.quantization(node, input)?;
        let p = Rescale::from_scales(scale, zero, out_scale, out_zero, range);
        self.table(node, Function::Requantize, |x| unary::requantize(&p, x))
    }

    pub(super) fn dequantize(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.quantization(node, input)?;
        if self.tensor(output).dtype != ElementType::F32 {
            return Err(self.type_error(node, output, "float32"));
        }
        self.emit(node, Operator::Dequantize(Dequantize), &[Some(input)], output);
        Ok(())
    }

    /// Scale and zero point of an int8 input and an int8 output.
    fn int8_ends(&self, node: &Node) -> Result<[(f32, i32); 2]> {
        Ok([self.int8(node, self.graph.input(node, 0)?)?, self.int8(node, self.graph.output(node)?)?])
    }

    /// Emits a lookup in the table of `function`, which maps raw values to raw values.
    fn table(&mut self, node: &Node, name: Function, function: impl Fn(i32) -> i32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let signed = self.tensor(input).dtype == ElementType::I8;
        let value = |byte: u8| if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
        // The result's low byte is it, signed or not.
        let table: Vec<u8> = (0..=255u8).map(|byte| function(value(byte)) as u8).collect();
        let table = self.add_constant(output, "table", ElementType::U8, vec![256], table)?;
        let lookup = Operator::Lookup(Lookup { function: name as i32 });
        self.emit(node, lookup, &[Some(input), Some(table)], output);
        Ok(())
    }
}
