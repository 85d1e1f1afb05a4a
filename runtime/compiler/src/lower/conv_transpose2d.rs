//! Transposed convolutions: the convolution in the opposite direction, of each input pixel with the weights.
//!
//! In f32 there is a kernel. In int8 it is an ordinary convolution with the weights in reverse, of an image in which
//! pixels of zeros stand between those of the input, as many as the stride is larger than 1. Zeros add nothing to the
//! sums, so these are those of TensorFlow Lite Micro's kernel.

use super::Lowering;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, NodeOp, Tensor, TensorId};
use crate::ir::{Op, Padding, Window};
use tealight_format::ops::{ConvTranspose2dF32, Pad};
use tealight_format::{MAX_RANK, Operator};

/// The operands of a TRANSPOSE_CONV.
struct Operands {
    weights: TensorId,
    input: TensorId,
    bias: Option<TensorId>,
    output: TensorId,
    /// The padding above and to the left of the output.
    pad: [i32; 2],
}

impl Lowering<'_> {
    pub(super) fn conv_transpose2d(&mut self, node: &Node, window: &Window) -> Result<()> {
        let input = self.graph.input(node, 2)?;
        if self.tensor(input).dtype == ElementType::I8 {
            self.conv_transpose2d_int8(node, window)
        } else {
            self.conv_transpose2d_f32(node, window)
        }
    }

    /// TRANSPOSE_CONV reads the output's shape, weights OHWI, the activations, and an optional bias. Its padding is
    /// that of the convolution in the opposite direction: TensorFlow Lite's `ComputePaddingHeightWidth` of the output.
    fn transposed(&self, node: &Node, window: &Window) -> Result<Operands> {
        self.graph.input(node, 0)?;
        let (weights, input, output) =
            (self.graph.input(node, 1)?, self.graph.input(node, 2)?, self.graph.output(node)?);
        let (&[_, height, width, _], &[_, rows, columns, _]) =
            (&self.tensor(weights).shape[..], &self.tensor(output).shape[..])
        else {
            return Err(self.wrong_rank(node, "weights and an output of 4 dimensions"));
        };
        let shape: Vec<i64> = self.tensor(output).shape.iter().map(|&dim| i64::from(dim)).collect();
        if self.graph.constant_integers(node, 0)? != shape {
            let what = format!("its first input states another output shape: {}", self.graph.describe_operands(node));
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
        Ok(Operands { weights, input, bias: node.inputs.get(3).copied().flatten(), output, pad })
    }

    fn conv_transpose2d_f32(&mut self, node: &Node, window: &Window) -> Result<()> {
        self.graph.input(node, 1)?;
        self.input_f32(node, 2)?;
        self.output_f32(node)?;
        self.constant(node, 1, ElementType::F32)?;
        let Operands { weights, input, bias, output, pad } = self.transposed(node, window)?;
        if bias.is_some() {
            self.constant(node, 3, ElementType::F32)?;
        }
        let activation = self.range_f32(node, window.activation)?;
        let conv = ConvTranspose2dF32 { stride: window.stride, dilation: [1, 1], pad, activation };
        self.emit(node, Operator::ConvTranspose2dF32(conv), &[Some(input), Some(weights), bias], output);
        Ok(())
    }

    fn conv_transpose2d_int8(&mut self, node: &Node, window: &Window) -> Result<()> {
        let Operands { weights, input, bias, output, pad } = self.transposed(node, window)?;
        let zero_point = self.int8(node, input)?.zero_point;
        self.int8(node, output)?;
        let (&[n, h, w, c], &[_, height, width, _], &[_, rows, columns, _]) =
            (&self.tensor(input).shape[..], &self.tensor(weights).shape[..], &self.tensor(output).shape[..])
        else {
            return Err(self.wrong_rank(node, "an input, weights and an output of 4 dimensions"));
        };
        let flipped = self.flipped(node, weights)?;
        let mut stretched = [h, w];
        let mut explicit = [0; 4];
        let sides = [(height, rows), (width, columns)];
        for (axis, (size, side)) in sides.into_iter().enumerate() {
            // A stride is at least 1.
            let sides = stretched[axis].checked_mul(window.stride[axis].cast_unsigned());
            stretched[axis] = sides.ok_or_else(|| self.graph.invalid(node, "its strides are too large"))?;
            let before = i64::from(size) - 1 - i64::from(pad[axis]);
            let after = i64::from(side) - i64::from(stretched[axis]) - before + i64::from(size) - 1;
            let (Ok(before), Ok(after)) = (u32::try_from(before), u32::try_from(after)) else {
                let accepted = "int8 outputs of the input's size times the stride, or larger";
                return Err(self.graph.unsupported(node, accepted));
            };
            (explicit[axis], explicit[axis + 2]) = (before, after);
        }
        let mut image = input;
        if window.stride != [1, 1] {
            let [down, right] = window.stride.map(i32::cast_unsigned);
            let before = self.view(input, vec![n, h, 1, w, 1, c]);
            let shape = vec![n, h, down, w, right, c];
            let after = Tensor { shape, ..self.tensor(input).like() };
            let after = self.graph.add(after);
            let zeros = Pad { before: [0; MAX_RANK], value: zero_point & 0xff };
            self.emit(node, Operator::Pad(zeros), &[Some(before)], after);
            image = self.view(after, vec![n, stretched[0], stretched[1], c]);
        }
        let forward = Window { padding: Padding::Valid, stride: [1, 1], explicit, ..*window };
        let inputs = vec![Some(image), Some(flipped), bias];
        let op = NodeOp::Ir(Op::Conv2d(forward));
        self.conv2d(&Node { op, inputs, outputs: vec![output], origin: node.origin }, &forward)
    }

    /// Adds the weights with the order of their taps reversed.
    fn flipped(&mut self, node: &Node, weights: TensorId) -> Result<TensorId> {
        let bytes = self.constant(node, 1, ElementType::I8)?;
        let tensor = self.tensor(weights);
        let (depth, taps) = (tensor.shape[3] as usize, tensor.shape[1] as usize * tensor.shape[2] as usize);
        let filters = bytes.chunks_exact((taps * depth).max(1));
        let flipped = filters.flat_map(|filter| filter.rchunks_exact(depth.max(1)).flatten().copied()).collect();
        let (shape, quantization) = (tensor.shape.clone(), tensor.quantization.clone());
        let flipped = self.add_constant(weights, "flipped", ElementType::I8, shape, flipped)?;
        self.graph.tensors[flipped].quantization = quantization;
        Ok(flipped)
    }
}
