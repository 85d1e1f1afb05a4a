//! UNIDIRECTIONAL_SEQUENCE_LSTM, unrolled: a step of the runtime's LSTM for each step of the sequence.
//!
//! All steps have the same weights, which are those of the gates one below the other. The cell is state, which each step
//! changes in place. The states are kept from one inference to the next, as TensorFlow Lite keeps them.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Node, NodeOp, Tensor, TensorId};
use crate::limit::MAX_STEPS;
use crate::sigmoids::{self, power_of_two};
use tealight_format::Operator;
use tealight_format::ops::{Copy, Lstm, LstmF32, Multiplier, SigmoidI16, UnaryFunction};
use tealight_kernels::quant::quantize_multiplier;

/// The least bound of a cell that leaves a step's output as it is: the hyperbolic tangent of a greater number is 1 in f32.
const LEAST_CLIP: f32 = 10.0;

/// The inputs of the operator: activations; the weights of the input, forget, cell and output gate for the activations;
/// those for the hidden state; peepholes; biases; a projection; the states; a normalization.
const WEIGHTS: [usize; 4] = [1, 2, 3, 4];
const RECURRENT: [usize; 4] = [5, 6, 7, 8];
const BIASES: [usize; 4] = [12, 13, 14, 15];
const ABSENT: [usize; 9] = [9, 10, 11, 16, 17, 20, 21, 22, 23];
const HIDDEN: usize = 18;
const CELL: usize = 19;

/// What a step of a sequence is: its operator, and the constants between the activations and the states.
struct Step {
    operator: Operator,
    constants: Vec<TensorId>,
    /// The bound of a cell that is left to another operator; 0 for none.
    clip: f32,
}

impl Expansion<'_> {
    /// Replaces the node, and returns whether it did: it has another form otherwise, which is not supported.
    pub(super) fn sequence_lstm(&mut self, node: &Node, clip: f32, time_major: bool) -> Result<bool> {
        let operand = |k: usize| node.inputs.get(k).copied().flatten();
        let (Some(input), Some(hidden), Some(cell)) = (operand(0), operand(HIDDEN), operand(CELL)) else {
            return Ok(false);
        };
        let output = self.graph.output(node)?;
        let dtype = |id: TensorId| self.graph.tensors[id].dtype;
        let of_cell = match dtype(input) {
            ElementType::F32 => ElementType::F32,
            ElementType::I8 => ElementType::I16,
            _ => return Ok(false),
        };
        let are_states = [hidden, cell].into_iter().all(|id| self.graph.tensors[id].is_state());
        let of_input = [hidden, output].into_iter().all(|id| dtype(id) == dtype(input));
        if ABSENT.iter().any(|&k| operand(k).is_some()) || !are_states || !of_input || dtype(cell) != of_cell {
            return Ok(false);
        }
        let &[first, second, depth] = &self.graph.tensors[input].shape[..] else { return Ok(false) };
        let (steps, batch) = if time_major { (first, second) } else { (second, first) };
        let units = self.graph.tensors[output].shape.last().copied().unwrap_or(0);
        let fits = |id: TensorId| self.graph.tensors[id].elements() as u64 == u64::from(batch) * u64::from(units);
        let of_output = self.graph.tensors[output].shape == [first, second, units];
        if steps == 0 || units == 0 || !of_output || !fits(hidden) || !fits(cell) {
            return Ok(false);
        }
        self.steps = self.steps.saturating_add(steps as usize);
        if self.steps > MAX_STEPS {
            return Ok(false);
        }
        let step = match of_cell {
            ElementType::F32 => self.step_f32(node, clip, [units, depth])?,
            _ => self.step_int8(node, clip, [units, depth])?,
        };
        let Some(step) = step else { return Ok(false) };
        let axis = usize::from(!time_major);
        let state = Tensor { content: Content::Computed, ..self.graph.tensors[hidden].like() };
        let mut before = self.graph.add(state);
        self.copy(node, hidden, before);
        let mut outputs = Vec::new();
        for at in 0..steps {
            let bytes = 4 * (STEP + self.graph.tensors[input].name.len() as u64);
            self.limit.make(bytes, || format!("{} as steps", self.graph.site(node)))?;
            let x = if steps == 1 { input } else { self.part(node, input, axis, at, 1)? };
            let mut shape = [first, second, units];
            shape[axis] = 1;
            let after = Tensor { shape: shape.to_vec(), ..self.graph.tensors[output].like() };
            let after = self.graph.add(after);
            let inputs = [&[x], &step.constants[..], &[cell, before]].concat();
            self.nodes.push(Node {
                op: NodeOp::Kernel(step.operator),
                inputs: inputs.into_iter().map(Some).collect(),
                outputs: vec![after],
                origin: node.origin,
            });
            if step.clip > 0.0 {
                let clipped = Tensor::computed(
                    self.graph.tensors[cell].name.clone(),
                    ElementType::F32,
                    self.graph.tensors[cell].shape.clone(),
                );
                let clipped = self.graph.add(clipped);
                self.write(node, Op::Unary(UnaryFunction::Clamp([-step.clip, step.clip])), &[cell], clipped);
                self.copy(node, clipped, cell);
            }
            outputs.push(after);
            before = after;
        }
        self.copy(node, before, hidden);
        let all = self.joined(node, outputs[0], axis, &outputs)?;
        self.write(node, Op::Reshape { new_shape: None }, &[all], output);
        Ok(true)
    }

    fn step_f32(&mut self, node: &Node, clip: f32, [units, depth]: [u32; 2]) -> Result<Option<Step>> {
        let is_clip = clip == 0.0 || clip >= LEAST_CLIP;
        if !is_clip {
            return Ok(None);
        }
        let weights = self.stacked(node, WEIGHTS, &[units, depth], ElementType::F32)?;
        let recurrent = self.stacked(node, RECURRENT, &[units, units], ElementType::F32)?;
        let bias = self.stacked(node, BIASES, &[units], ElementType::F32)?;
        let (Some(weights), Some(recurrent), Some(bias)) = (weights, recurrent, bias) else { return Ok(None) };
        Ok(Some(Step { operator: Operator::LstmF32(LstmF32), constants: vec![weights, recurrent, bias], clip }))
    }

    /// As TensorFlow Lite Micro: the sums of gates have a scale of 2^-12, their functions one of 2^-15.
    fn step_int8(&mut self, node: &Node, clip: f32, [units, depth]: [u32; 2]) -> Result<Option<Step>> {
        const UNIT: f64 = 1.0 / 32_768.0;
        let (hidden, cell, output) =
            (self.graph.input(node, HIDDEN)?, self.graph.input(node, CELL)?, self.graph.output(node)?);
        let of_hidden = self.graph.tensors[hidden].per_tensor();
        if of_hidden.is_none() || of_hidden != self.graph.tensors[output].per_tensor() {
            let [state, output] = [hidden, output].map(|id| self.graph.describe(id));
            let what = format!("its state {state} and output {output} must have one scale and zero point in common");
            return Err(self.graph.invalid(node, what));
        }
        let of_cell = self.graph.tensors[cell].per_tensor();
        let power = of_cell.filter(|of| of.zero_point == 0).and_then(|of| power_of_two(of.scale));
        let (Some(of_hidden), Some(of_cell), Some(power)) =
            (of_hidden, of_cell, power.filter(|power| (-43..=1).contains(power)))
        else {
            let what = format!(
                "its cell {} has another scale than a power of two from 2^-43 to 2, or a zero point other than 0",
                self.graph.describe(cell)
            );
            return Err(self.graph.invalid(node, what));
        };
        let clip = f64::from(clip) / f64::from(of_cell.scale);
        if !(clip == 0.0 || clip >= 1.0) {
            return Ok(None);
        }
        let weights = self.stacked(node, WEIGHTS, &[units, depth], ElementType::I8)?;
        let recurrent = self.stacked(node, RECURRENT, &[units, units], ElementType::I8)?;
        let bias = self.stacked(node, BIASES, &[units], ElementType::I32)?;
        let (Some(weights), Some(recurrent), Some(bias)) = (weights, recurrent, bias) else { return Ok(None) };
        let biases = self.graph.tensors[bias].integers().unwrap_or_default();
        let input = self.graph.input(node, 0)?;
        let mut channels = self.gate_channels(node, input, WEIGHTS, depth, &biases)?;
        channels.extend(self.gate_channels(node, hidden, RECURRENT, units, &[])?);
        let scale = f64::from(of_cell.scale);
        let operator = Operator::Lstm(Lstm {
            forget: self.gate_factor(node, UNIT)?,
            input: self.gate_factor(node, UNIT * UNIT / scale)?,
            output: self.gate_factor(node, UNIT * UNIT / f64::from(of_hidden.scale))?,
            tanh: SigmoidI16 { multiplier: 3 << (power + 12).max(0), shift: (-12 - power).max(0) },
            clip: clip.min(f64::from(i16::MAX)) as i32,
        });
        let name = self.graph.tensors[weights].name.clone();
        let rows = vec![8 * units, 3];
        self.limit.make(4 * channels.len() as u64 + u64::from(2 * SigmoidI16::TABLE), || {
            format!("the channels of `{name}`")
        })?;
        let bytes: Vec<u8> = channels.into_iter().flat_map(i32::to_le_bytes).collect();
        let channels = self.graph.add(Tensor::constant(format!("{name}.channels"), ElementType::I32, rows, bytes));
        let table = vec![SigmoidI16::TABLE];
        let table =
            self.graph.add(Tensor::constant(format!("{name}.table"), ElementType::I16, table, sigmoids::bytes()));
        Ok(Some(Step { operator, constants: vec![weights, recurrent, channels, table], clip: 0.0 }))
    }

    /// Returns the (bias, multiplier, shift) rows of the sums of activations `x`, `depth` for each unit, of the four gates.
    fn gate_channels(
        &self,
        node: &Node,
        x: TensorId,
        gates: [usize; 4],
        depth: u32,
        biases: &[i64],
    ) -> Result<Vec<i32>> {
        const SUMS: f64 = 1.0 / 4096.0;
        let Some(of_x) = self.graph.tensors[x].per_tensor() else {
            return Err(self.graph.invalid(node, format!("{} has no scale", self.graph.describe(x))));
        };
        let mut rows = Vec::new();
        for k in gates {
            let id = self.graph.input(node, k)?;
            let weights = &self.graph.tensors[id];
            let Some(scale) = weights.per_tensor().filter(|of| of.zero_point == 0).map(|of| of.scale) else {
                let what = format!("its weights {} do not have one scale, and zero point 0", self.graph.describe(id));
                return Err(self.graph.invalid(node, what));
            };
            let factor = self.gate_factor(node, f64::from(of_x.scale) * f64::from(scale) / SUMS)?;
            for unit in weights.bytes().unwrap_or_default().chunks_exact(depth as usize) {
                let sum = unit.iter().fold(0i32, |sum, &code| sum.wrapping_add(i32::from(code.cast_signed())));
                let bias = biases.get(rows.len() / 3).map_or(0, |&bias| bias as i32);
                let folded = bias.wrapping_sub(of_x.zero_point.wrapping_mul(sum));
                rows.extend([folded, factor.multiplier, factor.shift]);
            }
        }
        Ok(rows)
    }

    /// Returns a factor of a gate.
    fn gate_factor(&self, node: &Node, factor: f64) -> Result<Multiplier> {
        let (multiplier, shift) = quantize_multiplier(factor);
        if factor > 0.0 && factor.is_finite() && shift <= 30 {
            return Ok(Multiplier { multiplier, shift });
        }
        Err(self.graph.invalid(node, format!("its scales give the factor {factor:.3e}; accepted: above 0, below 2^30")))
    }

    /// Adds an operator that copies a tensor to or from a state.
    fn copy(&mut self, node: &Node, from: TensorId, to: TensorId) {
        self.nodes.push(Node {
            op: NodeOp::Kernel(Operator::Copy(Copy)),
            inputs: vec![Some(from)],
            outputs: vec![to],
            origin: node.origin,
        });
    }

    /// Returns the constants of the gates, one below the other; `None` if one has another type or shape.
    fn stacked(&mut self, node: &Node, inputs: [usize; 4], shape: &[u32], of: ElementType) -> Result<Option<TensorId>> {
        let mut bytes = Vec::new();
        for k in inputs {
            let Some(id) = node.inputs.get(k).copied().flatten() else { return Ok(None) };
            let Tensor { name, dtype, shape: found, .. } = &self.graph.tensors[id];
            let Some(gate) = self.graph.tensors[id].bytes().filter(|_| *dtype == of && found == shape) else {
                return Ok(None);
            };
            self.limit.make(gate.len() as u64, || format!("the constants up to `{name}`"))?;
            bytes.extend_from_slice(gate);
        }
        let name = node.inputs[inputs[1]].map(|id| self.graph.tensors[id].name.clone()).unwrap_or_default();
        let shape = [&[4 * shape[0]], &shape[1..]].concat();
        Ok(Some(self.graph.add(Tensor::constant(name, of, shape, bytes))))
    }
}
