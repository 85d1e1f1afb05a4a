//! Comparisons of f32, int8 and int32 tensors, logic, and choices of f32 and int32 tensors.
//!
//! Codes are compared as TensorFlow Lite Micro compares them, in a scale of 2^-8: the sign of their difference is an int8
//! tensor, and becomes f32.
//!
//! Truth values become f32 numbers, 0 or 1. Whether a difference is positive is a multiplication by 2^200, clamped to 0 and 1:
//! also the smallest subnormal number then is above 1, where the core has such numbers. The difference of two infinities is
//! none, so values that may be infinite are first clamped to the largest numbers, which they then equal. A choice is a
//! maximum of minima: where the condition holds, the minimum of the first value and ∞ is the value itself, and that of the
//! second and -∞ is -∞. A NaN in either is in the result.

use super::Expansion;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Graph, Node, NodeOp, Tensor, TensorId, TensorQuantization, broadcast_shape};
use crate::ir::{Activation, Comparison, Logic, Op};
use tealight_format::ops::{ActivationRange, AddSub, BinaryI32, IntegerFunction, Multiplier, UnaryFunction};
use tealight_format::{Operator, Quantization};
use tealight_kernels::quant::quantize_multiplier;

/// The bits that codes are shifted by before they are compared.
const SPARE_BITS: i32 = 8;

/// 2^100: the smallest number times its square is above 1.
const LARGE: f32 = 1.267_650_6e30;

impl Expansion<'_> {
    /// Replaces a node that has to do with truth values, and returns whether it did.
    pub(super) fn logic(&mut self, node: &Node) -> Result<bool> {
        let NodeOp::Ir(op) = &node.op else { return Ok(false) };
        let Ok(output) = self.graph.output(node) else { return Ok(false) };
        // What the network returns stays bool, which is refused. An importer may have made truth values f32 itself.
        let is_inside = !self.graph.outputs.contains(&output) || self.graph.tensors[output].dtype == ElementType::F32;
        match op {
            Op::Compare(comparison) if is_inside && self.compares_f32(node) => {
                let operands = [self.graph.input(node, 0)?, self.graph.input(node, 1)?];
                self.compare(node, *comparison, operands, output)?;
            }
            Op::Compare(comparison) if is_inside && self.compares_i32(node) => {
                self.compare_integers(node, *comparison, output)?;
            }
            Op::Compare(comparison) if is_inside => return self.compare_codes(node, *comparison, output),
            Op::Cast if is_inside && self.graph.tensors[output].dtype == ElementType::Bool => {
                let input = self.graph.input(node, 0)?;
                let dtype = self.graph.tensors[input].dtype;
                match dtype {
                    // A byte, as an input has it.
                    ElementType::U8 if self.is_plain_byte(input) => {
                        self.hold_truths(output);
                        let number = self.apply(node, Op::Dequantize, &[input], output);
                        self.write(node, Op::Unary(UnaryFunction::Clamp([0.0, 1.0])), &[number], output);
                    }
                    ElementType::F32 => {
                        let zero = self.constant("logic.zero", ElementType::F32, 0f32.to_le_bytes())?;
                        self.compare(node, Comparison::NotEqual, [input, zero], output)?;
                    }
                    _ => return Ok(false),
                }
            }
            // A byte, as an output has it.
            Op::Cast if self.is_truth(node) && self.graph.tensors[output].dtype == ElementType::U8 => {
                if !self.is_plain_byte(output) {
                    return Ok(false);
                }
                let input = self.graph.input(node, 0)?;
                self.write(node, Op::Quantize, &[input], output);
            }
            Op::ReduceLogic { any } if is_inside && self.is_truth(node) => {
                let (input, axes) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
                self.hold_truths(output);
                self.write(node, if *any { Op::ReduceMax } else { Op::ReduceMin }, &[input, axes], output);
            }
            Op::Concat { .. } | Op::Pack { .. } if is_inside && self.any_truth(node) => {
                let Some(operands) = self.truth_values(node, node.inputs.len())? else { return Ok(false) };
                self.hold_truths(output);
                self.write(node, op.clone(), &operands, output);
            }
            // The elements move as those of f32 tensors do.
            Op::BroadcastTo | Op::Gather { .. } | Op::GatherNd | Op::MirrorPad { .. } | Op::Reverse | Op::Tile
                if is_inside && self.is_truth(node) =>
            {
                self.hold_truths(output);
                return Ok(false);
            }
            Op::Logic(logic) if is_inside => {
                let Some(operands) = self.truth_values(node, node.inputs.len())? else { return Ok(false) };
                self.combine(node, *logic, &operands, output)?;
            }
            Op::Select { broadcast } => {
                let is_f32 = |graph: &Graph, id: TensorId| graph.tensors[id].dtype == ElementType::F32;
                let mut condition = self.graph.input(node, 0)?;
                if !is_f32(&self.graph, condition) {
                    let Some(truths) = self.truth_values(node, 1)? else { return Ok(false) };
                    condition = truths[0];
                }
                let (a, b) = (self.graph.input(node, 1)?, self.graph.input(node, 2)?);
                let shape = &self.graph.tensors[condition].shape;
                let fits =
                    *broadcast || *shape == self.graph.tensors[output].shape || shape.iter().all(|&dim| dim == 1);
                if fits && self.graph.tensors[output].dtype == ElementType::I32 {
                    return self.select_integers(node, condition, [a, b], output);
                }
                if fits && self.graph.tensors[output].dtype == ElementType::I8 {
                    return self.select_codes(node, condition, [a, b]);
                }
                if !fits || ![a, b, output].into_iter().all(|id| is_f32(&self.graph, id)) {
                    return Ok(false);
                }
                self.select(node, condition, [a, b], output)?;
            }
            Op::Cast if self.is_truth(node) && self.graph.tensors[output].dtype == ElementType::F32 => {
                let input = self.graph.input(node, 0)?;
                self.write(node, Op::Reshape { new_shape: None }, &[input], output);
            }
            Op::Reshape { .. }
            | Op::Squeeze { .. }
            | Op::ExpandDims
            | Op::Transpose
            | Op::Slice
            | Op::StridedSlice(_)
                if is_inside && self.is_truth(node) =>
            {
                self.hold_truths(output);
                self.nodes.push(node.clone());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Makes a tensor one of truth values.
    fn hold_truths(&mut self, id: TensorId) {
        self.graph.tensors[id].dtype = ElementType::F32;
        self.truths.insert(id);
    }

    /// Returns whether the first input holds truth values.
    fn is_truth(&self, node: &Node) -> bool {
        node.inputs.first().copied().flatten().is_some_and(|id| self.truths.contains(&id))
    }

    /// Returns whether the codes of a tensor are numbers themselves, and makes that its quantization.
    fn is_plain_byte(&mut self, id: TensorId) -> bool {
        let plain = TensorQuantization::from(Quantization::new(1.0, 0));
        *self.graph.tensors[id].quantization.get_or_insert_with(|| plain.clone()) == plain
    }

    /// Returns whether any input holds truth values that are computed here.
    fn any_truth(&self, node: &Node) -> bool {
        node.inputs.iter().flatten().any(|id| self.truths.contains(id))
    }

    fn compares_f32(&self, node: &Node) -> bool {
        let is_f32 = |id: &TensorId| self.graph.tensors[*id].dtype == ElementType::F32;
        node.inputs.len() == 2 && node.inputs.iter().all(|input| input.as_ref().is_some_and(is_f32))
    }

    /// Returns the first `count` inputs as f32; `None` if one is neither computed here nor a constant.
    fn truth_values(&mut self, node: &Node, count: usize) -> Result<Option<Vec<TensorId>>> {
        let mut found = Vec::new();
        for k in 0..count {
            let id = self.graph.input(node, k)?;
            if self.truths.contains(&id) {
                found.push(id);
                continue;
            }
            let tensor = &self.graph.tensors[id];
            let (ElementType::Bool, Some(bytes)) = (tensor.dtype, tensor.bytes()) else { return Ok(None) };
            let floats: Vec<[u8; 4]> = bytes.iter().map(|&byte| f32::from(u8::from(byte != 0)).to_le_bytes()).collect();
            let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
            found.push(self.list(&name, ElementType::F32, shape, &floats)?);
        }
        Ok(Some(found))
    }

    /// Adds a constant like `like`.
    fn computed(&mut self, like: TensorId, values: impl Iterator<Item = f32>) -> Result<TensorId> {
        let Tensor { name, shape, .. } = &self.graph.tensors[like];
        let (name, shape) = (name.clone(), shape.clone());
        let values: Vec<[u8; 4]> = values.map(f32::to_le_bytes).collect();
        self.list(&name, ElementType::F32, shape, &values)
    }

    /// Returns ∞ where truth values hold and -∞ elsewhere, and the opposite.
    fn masks(&mut self, node: &Node, condition: TensorId) -> Result<[TensorId; 2]> {
        if let Some(truths) = self.graph.tensors[condition].f32_values() {
            let mask = |infinity: f32| {
                let truths = truths.clone();
                truths.into_iter().map(move |holds| if holds != 0.0 { infinity } else { -infinity })
            };
            let [mask, opposite] = [f32::INFINITY, f32::NEG_INFINITY].map(mask);
            return Ok([self.computed(condition, mask)?, self.computed(condition, opposite)?]);
        }
        let half = self.with_number(node, Op::Sub(Activation::None), condition, 0.5)?;
        let mask = self.with_number(node, Op::Mul(Activation::None), half, f32::INFINITY)?;
        Ok([mask, self.apply(node, Op::Unary(UnaryFunction::Neg), &[mask], mask)])
    }

    /// Returns the minimum of two constants of one shape, or of one and a single number; `None` of others.
    fn minimum_of_constants(&mut self, a: TensorId, b: TensorId) -> Result<Option<TensorId>> {
        let (like, other) =
            if self.graph.tensors[a].elements() >= self.graph.tensors[b].elements() { (a, b) } else { (b, a) };
        let [of_like, of_other] = [like, other].map(|id| &self.graph.tensors[id]);
        let (Some(first), Some(second)) = (of_like.f32_values(), of_other.f32_values()) else { return Ok(None) };
        let is_number = second.len() == 1 && of_other.shape.len() <= of_like.shape.len();
        if of_like.shape != of_other.shape && !is_number {
            return Ok(None);
        }
        // As the kernel: a number that is not one stays.
        let least = |(a, b): (f32, f32)| if a.is_nan() || a < b { a } else { b };
        Ok(Some(self.computed(like, first.into_iter().zip(second.into_iter().cycle()).map(least))?))
    }

    /// Adds an operator of `node` with a number as its last operand, and returns its output.
    fn with_number(&mut self, node: &Node, op: Op, input: TensorId, number: f32) -> Result<TensorId> {
        let number = self.constant("logic.number", ElementType::F32, number.to_le_bytes())?;
        Ok(self.apply(node, op, &[input, number], input))
    }

    fn compare(
        &mut self,
        node: &Node,
        comparison: Comparison,
        mut operands: [TensorId; 2],
        output: TensorId,
    ) -> Result<()> {
        use Comparison as C;
        self.hold_truths(output);
        let is_finite = |id: &TensorId| {
            self.graph.tensors[*id].f32_values().is_some_and(|values| values.iter().all(|value| value.is_finite()))
        };
        // The difference of two infinities is no number.
        if !operands.iter().any(is_finite) {
            for id in &mut operands {
                *id = match self.graph.tensors[*id].f32_values() {
                    Some(values) => self.computed(*id, values.into_iter().map(|x| x.clamp(f32::MIN, f32::MAX)))?,
                    None => self.apply(node, Op::Unary(UnaryFunction::Clamp([f32::MIN, f32::MAX])), &[*id], *id),
                };
            }
        }
        let [a, b] = operands;
        let (first, second, negated) = match comparison {
            C::Greater | C::NotEqual => (a, b, false),
            C::Less => (b, a, false),
            C::LessEqual | C::Equal => (a, b, true),
            C::GreaterEqual => (b, a, true),
        };
        let mut difference = self.apply(node, Op::Sub(Activation::None), &[first, second], output);
        if matches!(comparison, C::Equal | C::NotEqual) {
            difference = self.apply(node, Op::Unary(UnaryFunction::Abs), &[difference], output);
        }
        let large = self.with_number(node, Op::Mul(Activation::None), difference, LARGE)?;
        let large = self.with_number(node, Op::Mul(Activation::None), large, LARGE)?;
        let step = Op::Unary(UnaryFunction::Clamp([0.0, 1.0]));
        if !negated {
            self.write(node, step, &[large], output);
            return Ok(());
        }
        let above = self.apply(node, step, &[large], output);
        self.negate(node, above, output)
    }

    /// Returns whether two tensors are int32, or one is and the other is a constant that can be.
    fn compares_i32(&self, node: &Node) -> bool {
        let is_i32 = |id: &TensorId| self.graph.tensors[*id].dtype == ElementType::I32;
        let fits = |id: &TensorId| is_i32(id) || self.graph.tensors[*id].narrowed().is_some();
        let &[Some(a), Some(b)] = &node.inputs[..] else { return false };
        [a, b].iter().any(is_i32) && [a, b].iter().all(fits)
    }

    /// Returns an int32 tensor: itself, or an int64 constant as such a one; `None` of any other.
    fn as_i32(&mut self, id: TensorId) -> Result<Option<TensorId>> {
        let tensor = &self.graph.tensors[id];
        if tensor.dtype == ElementType::I32 {
            return Ok(Some(id));
        }
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        match tensor.narrowed() {
            Some(bytes) => self.list(&name, ElementType::I32, shape, bytes.as_chunks::<4>().0).map(Some),
            None => Ok(None),
        }
    }

    /// Compares int32 tensors.
    fn compare_integers(&mut self, node: &Node, comparison: Comparison, output: TensorId) -> Result<()> {
        use {Comparison as C, IntegerFunction as F};
        let (a, b) = (self.graph.input(node, 0)?, self.graph.input(node, 1)?);
        let (Some(a), Some(b)) = (self.as_i32(a)?, self.as_i32(b)?) else { return Ok(()) };
        let (function, operands) = match comparison {
            C::Equal => (F::Equal, [a, b]),
            C::NotEqual => (F::NotEqual, [a, b]),
            C::Less => (F::Less, [a, b]),
            C::LessEqual => (F::LessEqual, [a, b]),
            C::Greater => (F::Less, [b, a]),
            C::GreaterEqual => (F::LessEqual, [b, a]),
        };
        let truths = self.integers_like(output);
        let op = NodeOp::Kernel(Operator::BinaryI32(BinaryI32 { function }));
        let inputs = operands.map(Some).to_vec();
        self.nodes.push(Node { op, inputs, outputs: vec![truths], origin: node.origin });
        self.hold_truths(output);
        self.write(node, Op::Cast, &[truths], output);
        Ok(())
    }

    /// Writes elements of `a` where truth values hold, else of `b`: `b + (a - b) * condition`, all modulo 2^32. Returns
    /// whether both are int32.
    pub(super) fn select_integers(
        &mut self,
        node: &Node,
        condition: TensorId,
        [a, b]: [TensorId; 2],
        output: TensorId,
    ) -> Result<bool> {
        let (Some(a), Some(b)) = (self.as_i32(a)?, self.as_i32(b)?) else { return Ok(false) };
        let taken = self.integers_like(condition);
        self.write(node, Op::Cast, &[condition], taken);
        let difference = self.apply(node, Op::Sub(Activation::None), &[a, b], output);
        let step = self.apply(node, Op::Mul(Activation::None), &[difference, taken], output);
        self.write(node, Op::Add(Activation::None), &[b, step], output);
        Ok(true)
    }

    /// Compares int8 tensors; returns whether they are that, with scales below 1.
    fn compare_codes(&mut self, node: &Node, comparison: Comparison, output: TensorId) -> Result<bool> {
        use Comparison as C;
        let &[Some(a), Some(b)] = &node.inputs[..] else { return Ok(false) };
        let [Some(of_a), Some(of_b)] = [a, b].map(|id| self.factor_of_codes(id)) else { return Ok(false) };
        let Tensor { name, shape, .. } = &self.graph.tensors[output];
        if broadcast_shape(&self.graph.tensors[a].shape, &self.graph.tensors[b].shape).as_ref() != Some(shape) {
            let what = format!("its shapes do not fit together: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        // What the sign of the first less the second is where the comparison, or its opposite, holds.
        let (swapped, signs, negated) = match comparison {
            C::NotEqual => (false, [-1, 1], false),
            C::Equal => (false, [-1, 1], true),
            C::Greater => (false, [0, 1], false),
            C::LessEqual => (false, [0, 1], true),
            C::Less => (true, [0, 1], false),
            C::GreaterEqual => (true, [0, 1], true),
        };
        let sign = Tensor {
            quantization: Some(Quantization::new(1.0, 0).into()),
            ..Tensor::computed(name.clone(), ElementType::I8, shape.clone())
        };
        let sign = self.graph.add(sign);
        let [min, max] = signs;
        let difference = Operator::Sub(AddSub {
            left_shift: SPARE_BITS,
            a: if swapped { of_b } else { of_a },
            b: if swapped { of_a } else { of_b },
            // The difference is below 2^18, so it is the same after a multiplication by 1 - 2^-31.
            output: Multiplier::new(i32::MAX, 0),
            activation: ActivationRange::new(min, max).unwrap_or(ActivationRange::FULL),
        });
        let inputs = if swapped { vec![Some(b), Some(a)] } else { vec![Some(a), Some(b)] };
        self.nodes.push(Node { op: NodeOp::Kernel(difference), inputs, outputs: vec![sign], origin: node.origin });
        self.hold_truths(output);
        let mut truths = output;
        if negated || min < 0 {
            truths = self.apply(node, Op::Dequantize, &[sign], output);
        } else {
            self.write(node, Op::Dequantize, &[sign], output);
        }
        if min < 0 {
            let size = Op::Unary(UnaryFunction::Abs);
            if negated {
                truths = self.apply(node, size, &[truths], output);
            } else {
                self.write(node, size, &[truths], output);
            }
        }
        if negated {
            self.negate(node, truths, output)?;
        }
        Ok(true)
    }

    /// Returns the factor from codes with spare bits to the scale of 2^-8 in which they are compared; `None` if the tensor
    /// is not int8 with one scale below 1.
    fn factor_of_codes(&self, id: TensorId) -> Option<Multiplier> {
        let tensor = &self.graph.tensors[id];
        let scale = tensor.per_tensor().filter(|_| tensor.dtype == ElementType::I8)?.scale;
        let (multiplier, shift) = quantize_multiplier(f64::from(scale));
        (scale > 0.0 && scale.is_finite() && shift <= 0).then_some(Multiplier { multiplier, shift })
    }

    /// Writes the opposite of truth values.
    fn negate(&mut self, node: &Node, truths: TensorId, output: TensorId) -> Result<()> {
        let one = self.constant("logic.one", ElementType::F32, 1f32.to_le_bytes())?;
        self.write(node, Op::Sub(Activation::None), &[one, truths], output);
        Ok(())
    }

    fn combine(&mut self, node: &Node, logic: Logic, operands: &[TensorId], output: TensorId) -> Result<()> {
        self.hold_truths(output);
        match (logic, operands) {
            (Logic::Not, &[a]) => self.negate(node, a, output)?,
            (Logic::And, &[a, b]) => self.write(node, Op::Minimum, &[a, b], output),
            (Logic::Or, &[a, b]) => self.write(node, Op::Maximum, &[a, b], output),
            _ => return Err(self.graph.invalid(node, format!("it has {} inputs", operands.len()))),
        }
        Ok(())
    }

    fn select(&mut self, node: &Node, condition: TensorId, values: [TensorId; 2], output: TensorId) -> Result<()> {
        let masks = self.masks(node, condition)?;
        let mut chosen = values;
        for (value, mask) in chosen.iter_mut().zip(masks) {
            if let Some(smaller) = self.minimum_of_constants(*value, mask)? {
                *value = smaller;
                continue;
            }
            let [a, b] = [*value, mask].map(|id| &self.graph.tensors[id].shape[..]);
            let Some(shape) = broadcast_shape(a, b) else {
                return Err(self.graph.invalid(node, format!("the shapes {a:?} and {b:?} do not fit together")));
            };
            let smaller = Tensor { shape, ..self.graph.tensors[*value].like() };
            let smaller = self.graph.add(smaller);
            self.write(node, Op::Minimum, &[*value, mask], smaller);
            *value = smaller;
        }
        self.write(node, Op::Maximum, &chosen, output);
        Ok(())
    }
}
