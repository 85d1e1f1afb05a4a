//! Sums, squares and choices of int8 tensors, by way of int32, with the roundings of TensorFlow Lite Micro.
//!
//! An input is widened to multiples of a finer step, all arithmetic between is exact in int32, and the result is narrowed to
//! the codes of the output. A sum of elements is a fully connected layer whose weights are 1.

use super::Expansion;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, NodeOp, Tensor, TensorId, TensorQuantization};
use crate::ir::{Activation, Op};
use crate::slice::dimension;
use tealight_format::ops::{ActivationRange, Multiplier, RescaleI32};
use tealight_format::{Operator, Quantization};
use tealight_kernels::quant::quantize_multiplier;

/// Left shift of the terms of a sum, in TensorFlow Lite Micro before a multiplication by 1/2.
const SUM_SHIFT: i32 = 20;

/// Left shift of the operands of a squared difference.
const DIFFERENCE_SHIFT: i32 = 7;

/// Returns a factor as multiplier and shift; `None` if a kernel does not take it.
fn factor(factor: f64) -> Option<Multiplier> {
    let (multiplier, shift) = quantize_multiplier(factor);
    (factor.is_finite() && factor >= 0.0 && shift <= 30).then_some(Multiplier { multiplier, shift })
}

impl Expansion<'_> {
    /// Returns the quantization of an int8 tensor that is quantized as a whole, with a scale above 0.
    fn codes(&self, id: TensorId) -> Option<Quantization> {
        let tensor = &self.graph.tensors[id];
        let quantization = tensor.per_tensor().filter(|_| tensor.dtype == ElementType::I8)?;
        (quantization.scale > 0.0 && quantization.scale.is_finite()).then_some(quantization)
    }

    /// Adds an operator between codes and int32.
    fn rescale(&mut self, node: &Node, [from, to]: [TensorId; 2], left_shift: i32, factor: Multiplier) {
        let op = RescaleI32 { left_shift, factor, activation: ActivationRange::FULL };
        let op = NodeOp::Kernel(Operator::RescaleI32(op));
        self.nodes.push(Node { op, inputs: vec![Some(from)], outputs: vec![to], origin: node.origin });
    }

    /// Adds an int32 tensor of the shape of `id`.
    pub(super) fn integers_like(&mut self, id: TensorId) -> TensorId {
        let Tensor { name, shape, .. } = &self.graph.tensors[id];
        let tensor = Tensor::computed(name.clone(), ElementType::I32, shape.clone());
        self.graph.add(tensor)
    }

    /// Adds `(code - zero point) * 2^left_shift * factor` as an int32 tensor.
    fn widened(&mut self, node: &Node, id: TensorId, left_shift: i32, factor: Multiplier) -> TensorId {
        let wide = self.integers_like(id);
        self.rescale(node, [id, wide], left_shift, factor);
        wide
    }

    /// Returns the factor from sums of terms of scale `scale`, shifted as such terms are, to codes of `output`.
    fn factor_of_sum(&self, scale: f32, output: TensorId) -> Option<Multiplier> {
        let twice = 2.0 * f64::from(scale);
        factor(twice / (f64::from(1 << SUM_SHIFT) * f64::from(self.codes(output)?.scale)))
    }

    /// Returns the number that TensorFlow Lite Micro's sums begin with: the code 0, whatever number that is. `None` if that
    /// is 0.
    fn first_term(&mut self, quantization: Quantization) -> Result<Option<TensorId>> {
        // Half of it, as of each term.
        let code = quantization.zero_point.wrapping_neg() << (SUM_SHIFT - 1);
        if code == 0 {
            return Ok(None);
        }
        self.constant("sum.first", ElementType::I32, code.to_le_bytes()).map(Some)
    }

    /// Replaces the sum of several int8 tensors of one quantization; returns whether they are that.
    pub(super) fn add_n_codes(&mut self, node: &Node) -> Result<bool> {
        let output = self.graph.output(node)?;
        let inputs: Vec<TensorId> = node.inputs.iter().copied().flatten().collect();
        let Some(quantization) = inputs.first().and_then(|&first| self.codes(first)) else { return Ok(false) };
        let alike = |&id: &TensorId| {
            self.codes(id) == Some(quantization) && self.graph.tensors[id].shape == self.graph.tensors[output].shape
        };
        if inputs.len() != node.inputs.len() || !inputs.iter().all(alike) {
            return Ok(false);
        }
        let Some(factor) = self.factor_of_sum(quantization.scale, output) else { return Ok(false) };
        let mut sum = self.first_term(quantization)?;
        for id in inputs {
            let term = self.widened(node, id, SUM_SHIFT, Multiplier::new(1 << 30, 0));
            sum = Some(match sum {
                None => term,
                Some(sum) => self.apply(node, Op::Add(Activation::None), &[term, sum], term),
            });
        }
        if let Some(sum) = sum {
            self.rescale(node, [sum, output], 0, factor);
        }
        Ok(true)
    }

    /// Replaces sums of the int8 elements up to each; returns whether they are that.
    pub(super) fn cum_sum_codes(&mut self, node: &Node, exclusive: bool, reverse: bool) -> Result<bool> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let Some(quantization) = self.codes(input) else { return Ok(false) };
        let Some(factor) = self.factor_of_sum(quantization.scale, output) else { return Ok(false) };
        let terms = self.widened(node, input, SUM_SHIFT, Multiplier::new(1 << 30, 0));
        let mut sums = self.integers_like(terms);
        let mut inputs = node.inputs.clone();
        inputs[0] = Some(terms);
        let of_integers = Node { inputs, outputs: vec![sums], ..node.clone() };
        self.cum_sum(&of_integers, exclusive, reverse)?;
        if let Some(first) = self.first_term(quantization)? {
            sums = self.apply(node, Op::Add(Activation::None), &[sums, first], terms);
        }
        self.rescale(node, [sums, output], 0, factor);
        Ok(true)
    }

    /// Replaces the squared difference of two int8 tensors; returns whether they are that.
    pub(super) fn squared_difference_codes(&mut self, node: &Node) -> Result<bool> {
        let (a, b, output) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?, self.graph.output(node)?);
        let (Some(of_a), Some(of_b), Some(to)) = (self.codes(a), self.codes(b), self.codes(output)) else {
            return Ok(false);
        };
        let twice = 2.0 * f64::from(of_a.scale.max(of_b.scale));
        let square = twice * twice / f64::from((1 << (2 * DIFFERENCE_SHIFT)) as f32 * to.scale);
        let factors = [of_a, of_b].map(|of| factor(f64::from(of.scale) / twice));
        let ([Some(factor_a), Some(factor_b)], Some(square)) = (factors, factor(square)) else { return Ok(false) };
        let a = self.widened(node, a, DIFFERENCE_SHIFT, factor_a);
        let b = self.widened(node, b, DIFFERENCE_SHIFT, factor_b);
        let like = self.integers_like(output);
        let difference = self.apply(node, Op::Sub(Activation::None), &[a, b], like);
        let squares = self.apply(node, Op::Mul(Activation::None), &[difference, difference], like);
        self.rescale(node, [squares, output], 0, square);
        Ok(true)
    }

    /// Replaces the sum of int8 elements along some dimensions; returns whether they are that.
    pub(super) fn sum_codes(&mut self, node: &Node) -> Result<bool> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        if self.codes(input).is_none() || self.codes(output).is_none() {
            return Ok(false);
        }
        let Ok(axes) = self.graph.constant_integers(node, 1) else { return Ok(false) };
        let Tensor { shape, name, .. } = &self.graph.tensors[input];
        let (shape, name) = (shape.clone(), name.clone());
        let mut summed = vec![false; shape.len()];
        for axis in axes {
            summed[dimension(&self.graph, node, axis, shape.len())?] = true;
        }
        let (kept, last): (Vec<usize>, Vec<usize>) = (0..shape.len()).partition(|&axis| !summed[axis]);
        let order: Vec<usize> = kept.iter().chain(&last).copied().collect();
        let count = last.iter().try_fold(1u32, |count, &axis| count.checked_mul(shape[axis]));
        let Some(count) = count.filter(|&count| count > 0) else { return Ok(false) };
        let rows = self.graph.tensors[output].elements() as u32;
        self.limit.make(u64::from(count), || format!("{} as a layer", self.graph.site(node)))?;
        let mut x = input;
        let long: Vec<usize> = order.iter().copied().filter(|&axis| shape[axis] != 1).collect();
        if !long.is_sorted() {
            let moves: Vec<[u8; 4]> = order.iter().map(|&axis| (axis as u32).to_le_bytes()).collect();
            let moves = self.list("sum.order", ElementType::I32, vec![order.len() as u32], &moves)?;
            let turned = order.iter().map(|&axis| shape[axis]).collect();
            let turned = Tensor { shape: turned, ..self.graph.tensors[input].like() };
            let turned = self.graph.add(turned);
            self.write(node, Op::Transpose, &[x, moves], turned);
            x = turned;
        }
        let view = Tensor { shape: vec![rows, count], ..self.graph.tensors[input].like() };
        let view = self.graph.add(view);
        self.write(node, Op::Reshape { new_shape: None }, &[x], view);
        let ones = Tensor {
            quantization: Some(TensorQuantization::from(Quantization::new(1.0, 0))),
            ..Tensor::constant(format!("{name}.ones"), ElementType::I8, vec![1, count], vec![1; count as usize])
        };
        let ones = self.graph.add(ones);
        let sums = Tensor { shape: vec![rows, 1], ..self.graph.tensors[output].like() };
        let sums = self.graph.add(sums);
        self.write(node, Op::FullyConnected(Activation::None), &[view, ones], sums);
        self.write(node, Op::Reshape { new_shape: None }, &[sums], output);
        Ok(true)
    }

    /// Replaces the choice between int8 tensors of one quantization; returns whether they are that.
    pub(super) fn select_codes(&mut self, node: &Node, condition: TensorId, [a, b]: [TensorId; 2]) -> Result<bool> {
        let output = self.graph.output(node)?;
        let Some(quantization) = self.codes(output) else { return Ok(false) };
        if [a, b].into_iter().any(|id| self.codes(id) != Some(quantization)) {
            return Ok(false);
        }
        let [mut wide_a, mut wide_b] = [a, b];
        for (id, wide) in [(a, &mut wide_a), (b, &mut wide_b)] {
            *wide = self.integers_like(id);
            self.write(node, Op::Cast, &[id], *wide);
        }
        let chosen = self.integers_like(output);
        self.select_integers(node, condition, [wide_a, wide_b], chosen)?;
        self.write(node, Op::Cast, &[chosen], output);
        Ok(true)
    }
}
