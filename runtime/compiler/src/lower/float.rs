//! Layers of f32 tensors.
//!
//! They need no derived quantities: weights and biases go to the model file as they are, and a fused activation is a
//! range. A node is one of these if its first input is float32 and it does not convert or only move elements.

use super::Lowering;
use crate::cut::dimension;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, TensorId};
use crate::ir::{Activation, Op, Padding, Window};
use tealight_format::Operator;
use tealight_format::ops::{
    BinaryF32, Conv2dF32, ConvTranspose2dF32, DepthwiseConv2dF32, FullyConnectedF32, MeanF32, Pool2dF32, SoftmaxF32,
    UnaryF32, UnaryFunction,
};

/// What is accepted instead of quantized weights for float activations.
const HYBRID: &str = "float32 weights for float32 activations (this is a network of dynamic-range quantization; export it in \
    float32, and quantize it here: `tealight compile --calibrate` or `--quantize`)";

const NO_BOUNDS: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl Lowering<'_> {
    /// Lowers `node` if it is an operator of f32 tensors; tells whether it is.
    pub(super) fn float(&mut self, node: &Node, op: &Op) -> Result<bool> {
        let Some(&Some(input)) = node.inputs.first() else { return Ok(false) };
        if let Op::ConvTranspose2d(ref window) = *op {
            self.conv_transpose_2d_f32(node, window)?;
            return Ok(true);
        }
        let of_reals = self.tensor(input).dtype == ElementType::F32;
        if let Op::Unary(function) = *op {
            self.unary_f32(node, function, [0.0; 2])?;
            return Ok(true);
        }
        if !of_reals {
            return Ok(false);
        }
        match *op {
            Op::Add(activation) => self.binary_f32(node, activation, Operator::AddF32)?,
            Op::Sub(activation) => self.binary_f32(node, activation, Operator::SubF32)?,
            Op::Mul(activation) => self.binary_f32(node, activation, Operator::MulF32)?,
            Op::Div(activation) => self.binary_f32(node, activation, Operator::DivF32)?,
            Op::Minimum => self.binary_f32(node, Activation::None, Operator::MinimumF32)?,
            Op::Maximum => self.binary_f32(node, Activation::None, Operator::MaximumF32)?,
            Op::AvgPool2d(ref window) => self.pool_f32(node, window, Operator::AvgPool2dF32)?,
            Op::MaxPool2d(ref window) => self.pool_f32(node, window, Operator::MaxPool2dF32)?,
            Op::Conv2d(ref window) => self.conv_2d_f32(node, window, Operator::Conv2dF32)?,
            Op::DepthwiseConv2d(ref window) => {
                self.conv_2d_f32(node, window, |conv| Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(conv)))?;
            }
            Op::FullyConnected(activation) => self.fully_connected_f32(node, activation)?,
            Op::Softmax { beta } => self.softmax_f32(node, beta)?,
            Op::Relu => self.unary_f32(node, UnaryFunction::Clamp, [0.0, f32::INFINITY])?,
            Op::Relu6 => self.unary_f32(node, UnaryFunction::Clamp, [0.0, 6.0])?,
            Op::ReluN1To1 => self.unary_f32(node, UnaryFunction::Clamp, [-1.0, 1.0])?,
            Op::LeakyRelu { alpha } => self.unary_f32(node, UnaryFunction::LeakyRelu, [alpha, 0.0])?,
            Op::Elu => self.unary_f32(node, UnaryFunction::Elu, [1.0, 0.0])?,
            Op::HardSwish => self.unary_f32(node, UnaryFunction::HardSwish, [0.0; 2])?,
            Op::Logistic => self.unary_f32(node, UnaryFunction::Logistic, [0.0; 2])?,
            Op::Tanh => self.unary_f32(node, UnaryFunction::Tanh, [0.0; 2])?,
            Op::Mean => self.mean_f32(node)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn conv_2d_f32(&mut self, node: &Node, window: &Window, kind: fn(Conv2dF32) -> Operator) -> Result<()> {
        let weights = self.graph.input(node, 1)?;
        let &[_, height, width, _] = &self.tensor(weights).shape[..] else {
            return Err(self.wrong_rank(node, "weights of 4 dimensions"));
        };
        let conv = Conv2dF32 {
            stride: window.stride,
            dilation: window.dilation,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.real_range(node, window.activation)?,
        };
        self.emit_layer_f32(node, kind(conv))
    }

    /// TRANSPOSE_CONV reads the output's shape, weights OHWI, the activations, and a bias or none. Its padding is that of the
    /// convolution which goes the other way: TensorFlow Lite's `ComputePaddingHeightWidth` of the output.
    fn conv_transpose_2d_f32(&mut self, node: &Node, window: &Window) -> Result<()> {
        let (weights, input, output) = (self.graph.input(node, 1)?, self.real(node, 2)?, self.real_output(node)?);
        self.constant(node, 1, ElementType::F32)?;
        let bias = node.inputs.get(3).copied().flatten();
        if bias.is_some() {
            self.constant(node, 3, ElementType::F32)?;
        }
        let (&[_, height, width, _], &[_, rows, columns, _]) =
            (&self.tensor(weights).shape[..], &self.tensor(output).shape[..])
        else {
            return Err(self.wrong_rank(node, "weights and an output of 4 dimensions"));
        };
        let shape: Vec<i64> = self.tensor(output).shape.iter().map(|&dim| i64::from(dim)).collect();
        if self.graph.constant_integers(node, 0)? != shape {
            let what = format!("its first input says another shape: {}", self.graph.operands_in_words(node));
            return Err(self.graph.invalid(node, what));
        }
        let mut pad = [0; 2];
        for (axis, (size, side)) in [(height, rows), (width, columns)].into_iter().enumerate() {
            let (size, side, stride) = (i64::from(size), i64::from(side), i64::from(window.stride[axis]));
            if stride < 1 {
                return Err(self.graph.invalid(node, "a stride is below 1"));
            }
            if window.padding == Padding::Same {
                let windows = (side + stride - 1) / stride;
                let around = ((windows - 1) * stride + size - side).max(0) / 2;
                pad[axis] = i32::try_from(around).map_err(|_| self.graph.invalid(node, "its window is too large"))?;
            }
        }
        let activation = self.real_range(node, window.activation)?;
        let conv = ConvTranspose2dF32 { stride: window.stride, dilation: [1, 1], pad, activation };
        self.emit(node, Operator::ConvTranspose2dF32(conv), &[Some(input), Some(weights), bias], output);
        Ok(())
    }

    fn fully_connected_f32(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let activation = self.real_range(node, activation)?;
        self.emit_layer_f32(node, Operator::FullyConnectedF32(FullyConnectedF32 { activation }))
    }

    /// Emits a layer of constant weights and a bias or none.
    fn emit_layer_f32(&mut self, node: &Node, operator: Operator) -> Result<()> {
        let (input, weights) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        if matches!(self.tensor(weights).dtype, ElementType::I8 | ElementType::U8 | ElementType::Other(_)) {
            return Err(self.type_error(node, weights, HYBRID));
        }
        self.constant(node, 1, ElementType::F32)?;
        let bias = self.real_bias(node)?;
        let output = self.real_output(node)?;
        self.emit(node, operator, &[Some(input), Some(weights), bias], output);
        Ok(())
    }

    /// Input 2, a constant, if there is one.
    pub(super) fn real_bias(&self, node: &Node) -> Result<Option<TensorId>> {
        let bias = node.inputs.get(2).copied().flatten();
        if bias.is_some() {
            self.constant(node, 2, ElementType::F32)?;
        }
        Ok(bias)
    }

    fn pool_f32(&mut self, node: &Node, window: &Window, kind: fn(Pool2dF32) -> Operator) -> Result<()> {
        let input = self.graph.input(node, 0)?;
        let [height, width] = window.size.map(|size| u32::try_from(size).unwrap_or(0));
        let pool = Pool2dF32 {
            window: window.size,
            stride: window.stride,
            pad: self.window_pad(node, window, [height, width])?,
            activation: self.real_range(node, window.activation)?,
        };
        let output = self.real_output(node)?;
        self.emit(node, kind(pool), &[Some(input)], output);
        Ok(())
    }

    fn binary_f32(&mut self, node: &Node, activation: Activation, kind: fn(BinaryF32) -> Operator) -> Result<()> {
        let (a, b) = (self.graph.input(node, 0)?, self.real(node, 1)?);
        let activation = self.real_range(node, activation)?;
        let output = self.real_output(node)?;
        self.emit(node, kind(BinaryF32 { activation }), &[Some(a), Some(b)], output);
        Ok(())
    }

    fn softmax_f32(&mut self, node: &Node, beta: f32) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.real_output(node)?);
        self.emit(node, Operator::SoftmaxF32(SoftmaxF32 { beta }), &[Some(input)], output);
        Ok(())
    }

    fn unary_f32(&mut self, node: &Node, function: UnaryFunction, parameters: [f32; 2]) -> Result<()> {
        let (input, output) = (self.real(node, 0)?, self.real_output(node)?);
        let unary = UnaryF32 { function: function as i32, parameters };
        self.emit(node, Operator::UnaryF32(unary), &[Some(input)], output);
        Ok(())
    }

    fn mean_f32(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.real_output(node)?);
        let reduced = self.reduced_dimensions(node, input)?;
        self.emit(node, Operator::MeanF32(MeanF32 { reduced }), &[Some(input)], output);
        Ok(())
    }

    /// The mask of the dimensions that input 1 of `node` names.
    pub(super) fn reduced_dimensions(&self, node: &Node, input: TensorId) -> Result<i32> {
        let rank = self.tensor(input).shape.len();
        let mut reduced = 0;
        for axis in self.graph.constant_integers(node, 1)? {
            reduced |= 1i32.checked_shl(dimension(&self.graph, node, axis, rank)? as u32).unwrap_or(0);
        }
        Ok(reduced)
    }

    /// Input `k`, which must be float32.
    fn real(&self, node: &Node, k: usize) -> Result<TensorId> {
        let id = self.graph.input(node, k)?;
        if self.tensor(id).dtype == ElementType::F32 { Ok(id) } else { Err(self.type_error(node, id, "float32")) }
    }

    /// The only output, which must be float32.
    pub(super) fn real_output(&self, node: &Node) -> Result<TensorId> {
        let id = self.graph.output(node)?;
        if self.tensor(id).dtype == ElementType::F32 { Ok(id) } else { Err(self.type_error(node, id, "float32")) }
    }

    /// The range that a fused activation leaves.
    fn real_range(&self, node: &Node, activation: Activation) -> Result<[f32; 2]> {
        match activation {
            Activation::None => Ok(NO_BOUNDS),
            Activation::Relu => Ok([0.0, f32::INFINITY]),
            Activation::Relu6 => Ok([0.0, 6.0]),
            Activation::ReluN1To1 => Ok([-1.0, 1.0]),
            Activation::Other(code) => Err(self.unknown_activation(node, code)),
        }
    }
}
