//! Sum, difference, product and quotient of two tensors, and rows divided by their length.

use super::Lowering;
use crate::diag::Result;
use crate::ir::Activation;
use crate::ir::graph::Node;
use tealight_format::ops::{AddSub, BinaryF32, Div, L2Norm, Mul};
use tealight_format::{Operator, Quantization};

/// Left shift of the operands before an int8 sum, for precision.
const LEFT_SHIFT: i32 = 20;

impl Lowering<'_> {
    pub(super) fn add_sub(&mut self, node: &Node, activation: Activation, kind: fn(AddSub) -> Operator) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let activation = self.activation_range(node, activation, output)?;
        let (scale_a, scale_b) = (self.int8(node, a)?.scale, self.int8(node, b)?.scale);
        let twice = 2.0 * f64::from(scale_a.max(scale_b));
        // If both scales are 0, both inputs are 0, and so is their sum.
        let share = |scale: f32| if twice > 0.0 { f64::from(scale) / twice } else { 0.0 };
        let operator = kind(AddSub {
            left_shift: LEFT_SHIFT,
            a: self.factor_below_one(node, share(scale_a))?,
            b: self.factor_below_one(node, share(scale_b))?,
            output: self
                .factor_below_one(node, self.over_scale_of(node, twice / f64::from(1 << LEFT_SHIFT), output)?)?,
            activation,
        });
        self.emit(node, operator, &[Some(a), Some(b)], output);
        Ok(())
    }

    pub(super) fn mul(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let activation = self.activation_range(node, activation, output)?;
        let (scale_a, scale_b) = (self.int8(node, a)?.scale, self.int8(node, b)?.scale);
        let mut factor = self.over_scale_of(node, self.product(scale_a, scale_b), output)?;
        if self.graph.f32_products {
            // Of a product, TensorFlow Lite also divides in f32.
            factor = f64::from(factor as f32);
        }
        let factor = self.factor(node, factor)?;
        self.emit(node, Operator::Mul(Mul { output: factor, activation }), &[Some(a), Some(b)], output);
        Ok(())
    }

    pub(super) fn div(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let activation = self.activation_range(node, activation, output)?;
        let [scale_a, scale_b, scale] =
            [self.int8(node, a)?.scale, self.int8(node, b)?.scale, self.int8(node, output)?.scale];
        // TensorFlow Lite Micro divides in f32.
        let factor = self.factor(node, f64::from(scale_a / (scale_b * scale)))?;
        if factor.shift > Div::MAX_SHIFT {
            return Err(self.graph.invalid(node, format!("its scales are too far apart: {}", self.scales(node))));
        }
        self.emit(node, Operator::Div(Div { output: factor, activation }), &[Some(a), Some(b)], output);
        Ok(())
    }

    pub(super) fn l2_norm(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.int8(node, input)?;
        if self.int8(node, output)? != Quantization::new(1.0 / 128.0, 0) || activation != Activation::None {
            let accepted = "an output of scale 1/128 and zero point 0 in int8, without an activation";
            return Err(self.graph.unsupported(node, accepted));
        }
        self.emit(node, Operator::L2Norm(L2Norm), &[Some(input)], output);
        Ok(())
    }

    pub(super) fn binary_f32(
        &mut self,
        node: &Node,
        activation: Activation,
        kind: fn(BinaryF32) -> Operator,
    ) -> Result<()> {
        let (a, b) = (self.input_f32(node, 0)?, self.input_f32(node, 1)?);
        let activation = self.range_f32(node, activation)?;
        let output = self.output_f32(node)?;
        self.emit(node, kind(BinaryF32 { activation }), &[Some(a), Some(b)], output);
        Ok(())
    }
}
