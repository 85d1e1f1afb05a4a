//! Functions of one 8-bit value, as tables; and conversions between float and 8 bits.

use super::Lowering;
use crate::diag::{CompileError, Result};
use crate::ir::graph::{Content, ElementType, Node, Tensor, TensorId, TensorQuantization};
use crate::pass::requantize::{LARGEST_FACTOR, nearest, rescale};
use tealight_format::ops::{Dequantize, Function, Lookup, Quantize, UnaryF32, UnaryFunction};
use tealight_format::{Operator, Quantization};
use tealight_kernels::float;
use tealight_kernels::unary::{self, HardSwish, LeakyRelu, Rescale, Rsqrt, Sigmoid};

impl Lowering<'_> {
    pub(super) fn relu(&mut self, node: &Node) -> Result<()> {
        let [from, to] = self.int8_ends(node)?;
        self.table_factor(node, 1.0)?;
        let p = Rescale::from_scales(from, to, [to.zero_point.max(-128), 127]);
        self.table(node, Function::Relu, |x| unary::relu(&p, x))
    }

    /// RELU6 as TensorFlow Lite Micro computes it: it clamps codes in the input's quantization, whatever the output's
    /// is.
    pub(super) fn relu6(&mut self, node: &Node) -> Result<()> {
        let range = self.codes_between(node, [0.0, 6.0], self.graph.input(node, 0)?)?;
        let [from, to] = self.int8_ends(node)?;
        if from != to {
            let (site, scales) = (self.graph.site(node), self.scales(node));
            let note = format!("{site}: {scales}, but its codes are copied unchanged, as TensorFlow Lite Micro does");
            self.graph.notes.push(note);
        }
        self.table(node, Function::Relu, |x| unary::relu6(range, x))
    }

    /// Converts to the output's quantization, then clamps, as TensorFlow Lite does. TensorFlow Lite Micro does not support
    /// this operator.
    pub(super) fn relu_0_to_1(&mut self, node: &Node) -> Result<()> {
        let range = self.codes_between(node, [0.0, 1.0], self.graph.output(node)?)?;
        let [from, to] = self.int8_ends(node)?;
        self.table_factor(node, 1.0)?;
        let p = Rescale::from_scales(from, to, range.bounds());
        self.table(node, Function::Relu, |x| unary::requantize(&p, x))
    }

    /// Clamps, then converts to the output's quantization. TensorFlow Lite Micro does not support this operator.
    pub(super) fn relu_n1_to_1(&mut self, node: &Node) -> Result<()> {
        let range = self.codes_between(node, [-1.0, 1.0], self.graph.input(node, 0)?)?;
        let [from, to] = self.int8_ends(node)?;
        if from == to {
            return self.table(node, Function::Relu, |x| unary::relu_n1_to_1(range, x));
        }
        self.table_factor(node, 1.0)?;
        let p = Rescale::from_scales(from, to, [-128, 127]);
        self.table(node, Function::Relu, |x| unary::requantize(&p, unary::relu_n1_to_1(range, x)))
    }

    pub(super) fn leaky_relu(&mut self, node: &Node, alpha: f32) -> Result<()> {
        let [from, to] = self.int8_ends(node)?;
        self.table_factor(node, 1.0)?;
        self.table_factor(node, f64::from(alpha.abs()))?;
        let p = LeakyRelu::from_scales(alpha, from, to);
        self.table(node, Function::LeakyRelu, |x| unary::leaky_relu(&p, x))
    }

    pub(super) fn hard_swish(&mut self, node: &Node) -> Result<()> {
        let [from, to] = self.int8_ends(node)?;
        let p = HardSwish::from_scales(from, to);
        // The last step can only shift right; TensorFlow Lite Micro refuses such scales too.
        if p.output_exponent > 0 {
            let what = format!("its input's scale is 128 times its output's, or more: {}", self.scales(node));
            return Err(self.graph.invalid(node, what));
        }
        self.table(node, Function::HardSwish, |x| unary::hard_swish(&p, x))
    }

    pub(super) fn logistic(&mut self, node: &Node) -> Result<()> {
        let [from, _] = self.int8_ends(node)?;
        self.output_is(node, Quantization::new(1.0 / 256.0, -128), "1/256")?;
        let p = Sigmoid::from_scale(from);
        self.table(node, Function::Logistic, |x| unary::logistic(&p, x))
    }

    pub(super) fn tanh(&mut self, node: &Node) -> Result<()> {
        let [from, _] = self.int8_ends(node)?;
        self.output_is(node, Quantization::new(1.0 / 128.0, 0), "1/128")?;
        let p = Sigmoid::from_scale(from);
        self.table(node, Function::Tanh, |x| unary::tanh(&p, x))
    }

    /// Converts float to 8 bits, or 8 bits to another quantization or 8-bit type, as TensorFlow Lite Micro computes it.
    pub(super) fn quantize(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        match [self.tensor(input).dtype, self.tensor(output).dtype] {
            [ElementType::F32, ElementType::I16] => return self.quantize_to_i16(node),
            [ElementType::I16, ElementType::I16 | ElementType::I8] | [ElementType::I8, ElementType::I16] => {
                return self.convert_i16(node);
            }
            _ => {}
        }
        self.quantization(node, output)?;
        if self.tensor(input).dtype == ElementType::F32 {
            self.emit(node, Operator::Quantize(Quantize), &[Some(input)], output);
            return Ok(());
        }
        if self.tensor(output).dtype.range_8_bit().is_none() {
            return Err(self.type_error(node, output, "int8 or uint8"));
        }
        if self.tensor(input).dtype.range_8_bit().is_none() {
            return Err(self.type_error(node, input, "int8, uint8 or float32"));
        }
        self.quantization(node, input)?;
        let Some(p) = self.ends(input, output).and_then(|(from, to, dtype)| rescale(from, to, dtype)) else {
            return Err(self.too_far_apart(node));
        };
        self.table_from(node, Function::Requantize, input, output, |x| unary::requantize(&p, x))
    }

    /// Emits the conversion of 8-bit codes to the nearest codes in the quantization of `output`, clamped to `range`.
    pub(super) fn convert(&mut self, node: &Node, input: TensorId, output: TensorId, range: [i32; 2]) -> Result<()> {
        let Some(code) = self.ends(input, output).and_then(|(from, to, dtype)| nearest(from, to, dtype)) else {
            return Err(self.too_far_apart(node));
        };
        let [low, high] = range;
        self.table_from(node, Function::Requantize, input, output, |x| code(x).clamp(low, high))
    }

    /// A conversion that `pass::requantize` inserted.
    pub(super) fn convert_codes(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let Some(range) = self.tensor(output).dtype.range_8_bit() else {
            return Err(self.type_error(node, output, "int8 or uint8"));
        };
        self.convert(node, input, output, range)
    }

    /// Returns the quantizations of a conversion's input and output, and the output's type.
    fn ends(
        &self,
        input: TensorId,
        output: TensorId,
    ) -> Option<(&TensorQuantization, &TensorQuantization, ElementType)> {
        let (from, to) = (self.tensor(input), self.tensor(output));
        Some((from.quantization.as_ref()?, to.quantization.as_ref()?, to.dtype))
    }

    fn too_far_apart(&self, node: &Node) -> CompileError {
        let what = format!("its scales are too far apart to convert one to the other: {}", self.scales(node));
        self.graph.invalid(node, what)
    }

    /// Checks that the factor from the input's scale to the output's, times `slope`, is not too large.
    fn table_factor(&self, node: &Node, slope: f64) -> Result<()> {
        let [Quantization { scale, .. }, _] = self.int8_ends(node)?;
        let factor = self.over_scale_of(node, slope * f64::from(scale), self.graph.output(node)?)?;
        if factor <= LARGEST_FACTOR {
            return Ok(());
        }
        let what = format!("its scales are too far apart, by a factor of {factor:.3e}: {}", self.scales(node));
        Err(self.graph.invalid(node, what))
    }

    /// Checks that the output has the only quantization that the operator can produce.
    pub(super) fn output_is(&self, node: &Node, expected: Quantization, scale: &str) -> Result<()> {
        let output = self.graph.output(node)?;
        if self.int8(node, output)? == expected {
            return Ok(());
        }
        let Tensor { name, quantization, .. } = self.tensor(output);
        let found = quantization.as_ref().map_or("no scale".to_string(), ToString::to_string);
        let what =
            format!("its output `{name}` has {found}; accepted: scale {scale} and zero point {}", expected.zero_point);
        Err(self.graph.invalid(node, what))
    }

    pub(super) fn dequantize(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        if self.tensor(input).dtype == ElementType::I16 {
            return self.dequantize_i16(node);
        }
        let Quantization { scale, zero_point } = self.quantization(node, input)?;
        if self.tensor(output).dtype != ElementType::F32 {
            return Err(self.type_error(node, output, "float32"));
        }
        let mut from = input;
        if scale == 0.0 {
            // With scale 0 every code represents 0, so all codes are replaced by the zero point.
            let zeros = Tensor { alias: None, content: Content::Computed, ..self.tensor(input).clone() };
            from = self.graph.add(zeros);
            self.table_from(node, Function::Requantize, input, from, |_| zero_point)?;
        }
        self.emit(node, Operator::Dequantize(Dequantize), &[Some(from)], output);
        Ok(())
    }

    /// Returns the quantizations of an int8 input and of an int8 output.
    fn int8_ends(&self, node: &Node) -> Result<[Quantization; 2]> {
        Ok([self.int8(node, self.graph.input(node, 0)?)?, self.int8(node, self.graph.output(node)?)?])
    }

    /// Emits a lookup in the table of `function`, which maps codes to codes.
    fn table(&mut self, node: &Node, name: Function, function: impl Fn(i32) -> i32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.table_from(node, name, input, output, function)
    }

    /// Like [`Self::table`], from any tensor to another.
    pub(super) fn table_from(
        &mut self,
        node: &Node,
        name: Function,
        input: TensorId,
        output: TensorId,
        function: impl Fn(i32) -> i32,
    ) -> Result<()> {
        let signed = self.tensor(input).dtype == ElementType::I8;
        let value = |byte: u8| if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
        // The table holds the low byte of the result, signed or not.
        let table: Vec<u8> = (0..=255u8).map(|byte| function(value(byte)) as u8).collect();
        let table = self.add_constant(output, "table", ElementType::U8, vec![256], table)?;
        let lookup = Operator::Lookup(Lookup { function: name });
        self.emit(node, lookup, &[Some(input), Some(table)], output);
        Ok(())
    }

    /// A function computed in f32, to the nearest code: `round(f(scale * (x - zero point)) / scale)`, as TensorFlow Lite
    /// computes ELU, EXP, GELU and LOG (`LUTPopulate`). It has no right int8 form of the others: NEG negates the codes
    /// whatever their zero points, SQRT rounds down. Outside of its domain, a function has the value at the domain's end.
    pub(super) fn function(&mut self, node: &Node, function: UnaryFunction) -> Result<()> {
        let [from, to] = self.int8_ends(node)?;
        let domain_start = match function {
            UnaryFunction::Log | UnaryFunction::Sqrt => 0.0,
            _ => f32::NEG_INFINITY,
        };
        self.table(node, Function::Other, |code| {
            let (real, mut value) = ([from.dequantize(code).max(domain_start)], [0.0]);
            float::unary(function, &real, &mut value);
            let steps = (value[0] * (1.0 / to.scale)).round();
            // The conversion saturates; an output of scale 0 has only its zero point.
            if to.scale > 0.0 { (steps as i32).saturating_add(to.zero_point).clamp(-128, 127) } else { to.zero_point }
        })
    }

    /// ABS as TensorFlow Lite Micro computes it.
    pub(super) fn abs(&mut self, node: &Node) -> Result<()> {
        let [from, to] = self.int8_ends(node)?;
        self.table_factor(node, 1.0)?;
        let p = Rescale::from_scales(from, to, [-128, 127]);
        let magnitude = |code: i32| from.zero_point + (code - from.zero_point).abs();
        self.table(node, Function::Other, |code| unary::requantize(&p, magnitude(code)))
    }

    /// RSQRT as TensorFlow Lite Micro computes it.
    pub(super) fn rsqrt(&mut self, node: &Node) -> Result<()> {
        let [from, to] = self.int8_ends(node)?;
        let p = Rsqrt::from_scales(from, to);
        // From 20 bits after the point, the result can shift left by 30.
        if !(from.scale > 0.0 && to.scale > 0.0 && p.shift <= 50) {
            let what = format!("its scales are too far apart: {}", self.scales(node));
            return Err(self.graph.invalid(node, what));
        }
        self.table(node, Function::Other, |code| unary::rsqrt(&p, code))
    }

    pub(super) fn unary_f32(&mut self, node: &Node, function: UnaryFunction) -> Result<()> {
        let (input, output) = (self.input_f32(node, 0)?, self.output_f32(node)?);
        self.emit(node, Operator::UnaryF32(UnaryF32 { function }), &[Some(input)], output);
        Ok(())
    }
}
