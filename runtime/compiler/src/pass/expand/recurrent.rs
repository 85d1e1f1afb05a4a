//! UNIDIRECTIONAL_SEQUENCE_LSTM, unrolled: a step of the runtime's LSTM for each step of the sequence.
//!
//! All steps have the same weights, which are those of the gates one below the other. The cell is state, which each step
//! changes in place. The states are kept from one inference to the next, as TensorFlow Lite keeps them.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{ElementType, Node, NodeOp, Tensor, TensorId};
use crate::limit::MAX_STEPS;
use tealight_format::Operator;
use tealight_format::ops::{Copy, LstmF32, UnaryFunction};

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

impl Expansion<'_> {
    /// Replaces the node, and returns whether it did: it has another form otherwise, which is not supported.
    pub(super) fn sequence_lstm(&mut self, node: &Node, clip: f32, time_major: bool) -> Result<bool> {
        let operand = |k: usize| node.inputs.get(k).copied().flatten();
        let (Some(input), Some(hidden), Some(cell)) = (operand(0), operand(HIDDEN), operand(CELL)) else {
            return Ok(false);
        };
        let output = self.graph.output(node)?;
        let is_f32 = |id: TensorId| self.graph.tensors[id].dtype == ElementType::F32;
        let is_state = |id: TensorId| is_f32(id) && self.graph.tensors[id].is_state();
        let is_clip = clip == 0.0 || clip >= LEAST_CLIP;
        if !is_clip || ABSENT.iter().any(|&k| operand(k).is_some()) || !is_state(hidden) || !is_state(cell) {
            return Ok(false);
        }
        let &[first, second, depth] = &self.graph.tensors[input].shape[..] else { return Ok(false) };
        let (steps, batch) = if time_major { (first, second) } else { (second, first) };
        let units = self.graph.tensors[output].shape.last().copied().unwrap_or(0);
        let fits = |id: TensorId| self.graph.tensors[id].elements() as u64 == u64::from(batch) * u64::from(units);
        let of_output = self.graph.tensors[output].shape == [first, second, units];
        if steps == 0 || units == 0 || !is_f32(input) || !is_f32(output) || !of_output || !fits(hidden) || !fits(cell) {
            return Ok(false);
        }
        self.steps = self.steps.saturating_add(steps as usize);
        if self.steps > MAX_STEPS {
            return Ok(false);
        }
        let weights = self.stacked(node, WEIGHTS, &[units, depth])?;
        let recurrent = self.stacked(node, RECURRENT, &[units, units])?;
        let bias = self.stacked(node, BIASES, &[units])?;
        let (Some(weights), Some(recurrent), Some(bias)) = (weights, recurrent, bias) else { return Ok(false) };
        let axis = usize::from(!time_major);
        let state = Tensor { content: crate::ir::graph::Content::Computed, ..self.graph.tensors[hidden].like() };
        let mut before = self.graph.add(state);
        self.copy(node, hidden, before);
        let mut outputs = Vec::new();
        for step in 0..steps {
            let bytes = 4 * (STEP + self.graph.tensors[input].name.len() as u64);
            self.limit.make(bytes, || format!("{} as steps", self.graph.site(node)))?;
            let x = if steps == 1 { input } else { self.part(node, input, axis, step, 1)? };
            let mut shape = [first, second, units];
            shape[axis] = 1;
            let after = Tensor { shape: shape.to_vec(), ..self.graph.tensors[output].like() };
            let after = self.graph.add(after);
            self.nodes.push(Node {
                op: NodeOp::Kernel(Operator::LstmF32(LstmF32)),
                inputs: [x, weights, recurrent, bias, cell, before].map(Some).to_vec(),
                outputs: vec![after],
                origin: node.origin,
            });
            if clip > 0.0 {
                let clipped = Tensor::computed(
                    self.graph.tensors[cell].name.clone(),
                    ElementType::F32,
                    self.graph.tensors[cell].shape.clone(),
                );
                let clipped = self.graph.add(clipped);
                self.write(node, Op::Unary(UnaryFunction::Clamp([-clip, clip])), &[cell], clipped);
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

    /// Adds an operator that copies a tensor to or from a state.
    fn copy(&mut self, node: &Node, from: TensorId, to: TensorId) {
        self.nodes.push(Node {
            op: NodeOp::Kernel(Operator::Copy(Copy)),
            inputs: vec![Some(from)],
            outputs: vec![to],
            origin: node.origin,
        });
    }

    /// Returns the f32 constants of the gates, one below the other; `None` if one has another type or shape.
    fn stacked(&mut self, node: &Node, inputs: [usize; 4], shape: &[u32]) -> Result<Option<TensorId>> {
        let mut bytes = Vec::new();
        for k in inputs {
            let Some(id) = node.inputs.get(k).copied().flatten() else { return Ok(None) };
            let Tensor { name, dtype, shape: found, .. } = &self.graph.tensors[id];
            let Some(gate) = self.graph.tensors[id].bytes().filter(|_| *dtype == ElementType::F32 && found == shape)
            else {
                return Ok(None);
            };
            self.limit.make(gate.len() as u64, || format!("the constants up to `{name}`"))?;
            bytes.extend_from_slice(gate);
        }
        let name = node.inputs[inputs[1]].map(|id| self.graph.tensors[id].name.clone()).unwrap_or_default();
        let shape = [&[4 * shape[0]], &shape[1..]].concat();
        Ok(Some(self.graph.add(Tensor::constant(name, ElementType::F32, shape, bytes))))
    }
}
