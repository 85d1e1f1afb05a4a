//! GATHER, GATHER_ND and EMBEDDING_LOOKUP.
//!
//! Constant indices name pieces of the tensor, which are joined. Computed indices name rows of a constant table, as an
//! embedding looks them up. The codes of an int8 table are float16 numbers there, which hold them exactly, and the rows
//! become codes again.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Node, NodeOp, Tensor, TensorId, dimension_of};
use crate::slice::{MAX_PIECES, dimension, runs, strides};
use tealight_format::ops::GatherF32;
use tealight_format::{Operator, Quantization};
use tealight_kernels::float::f16;

/// Returns the number of dimensions that values and indices of a GATHER have in common. Below 0 it counts from the end of
/// the indices' `rank` dimensions.
pub(crate) fn batch_dimensions(batch_dims: i32, rank: usize) -> Option<usize> {
    let batches = usize::try_from(batch_dims).ok();
    batches.or_else(|| rank.checked_sub(batch_dims.unsigned_abs() as usize))
}

impl Expansion<'_> {
    /// Replaces a node that takes elements by index; returns whether its operands allow that.
    pub(super) fn gather(&mut self, node: &Node) -> Result<bool> {
        let NodeOp::Ir(op) = &node.op else { return Ok(false) };
        let [values, indices] = if *op == Op::EmbeddingLookup { [1, 0] } else { [0, 1] };
        if !self.keeps_type(node, values) {
            return Ok(false);
        }
        let (values, indices) = (self.graph.input(node, values)?, self.graph.input(node, indices)?);
        match *op {
            Op::Gather { axis, batch_dims } => {
                let axis = dimension(&self.graph, node, axis.into(), self.graph.tensors[values].shape.len())?;
                match batch_dims {
                    0 => self.gather_along(node, values, indices, axis),
                    _ => self.gather_in_batches(node, values, indices, axis, batch_dims),
                }
            }
            Op::EmbeddingLookup if !self.graph.tensors[values].shape.is_empty() => {
                self.gather_along(node, values, indices, 0)
            }
            Op::GatherNd => self.gather_nd(node, values, indices),
            _ => Ok(false),
        }
    }

    fn gather_along(&mut self, node: &Node, values: TensorId, indices: TensorId, axis: usize) -> Result<bool> {
        let output = self.graph.output(node)?;
        let Some(list) = self.indices(node, indices)? else {
            return if axis == 0 { self.rows_of_table(node, values, indices, output) } else { Ok(false) };
        };
        let length = self.graph.tensors[values].shape[axis];
        self.check_indices(node, &list, |_| length)?;
        self.write_picked(node, values, axis, &list, output)
    }

    /// The first `batch_dims` dimensions of values and indices are the same: each batch has indices of its own.
    fn gather_in_batches(
        &mut self,
        node: &Node,
        values: TensorId,
        indices: TensorId,
        axis: usize,
        batch_dims: i32,
    ) -> Result<bool> {
        let output = self.graph.output(node)?;
        let [shape, of_indices] = [values, indices].map(|id| self.graph.tensors[id].shape.clone());
        let batches = batch_dimensions(batch_dims, of_indices.len()).filter(|&batches| {
            batches <= axis && batches <= of_indices.len() && shape[..batches] == of_indices[..batches]
        });
        let Some(batches) = batches else {
            let operands = self.graph.describe_operands(node);
            let what = format!("its batch_dims of {batch_dims} do not fit axis {axis} and the shapes of {operands}");
            return Err(self.graph.invalid(node, what));
        };
        let Some(list) = self.indices(node, indices)? else { return Ok(false) };
        let length = shape[axis];
        self.check_indices(node, &list, |_| length)?;
        let [outer, each] = [dimension_of(&shape[batches..axis]), dimension_of(&of_indices[batches..])];
        if list.is_empty() || outer == 0 {
            return Ok(false);
        }
        let count = u64::from(outer).saturating_mul(list.len() as u64);
        self.limit.make(count.saturating_mul(32), || format!("the pieces of {}", self.graph.site(node)))?;
        // All that is before the axis, and the axis, are one dimension.
        let flat = [&[dimension_of(&shape[..=axis])], &shape[axis + 1..]].concat();
        let flat = self.graph.add(Tensor { shape: flat, ..self.graph.tensors[values].like() });
        self.write(node, Op::Reshape { new_shape: None }, &[values], flat);
        let mut rows = Vec::new();
        for (batch, indices) in list.chunks_exact(each as usize).enumerate() {
            let first = batch as i64 * i64::from(outer);
            rows.extend(
                (first..first + i64::from(outer))
                    .flat_map(|at| indices.iter().map(move |index| at * i64::from(length) + index)),
            );
        }
        self.write_picked(node, flat, 0, &rows, output)
    }

    /// The last dimension of the indices holds an index for each of as many first dimensions of the values.
    fn gather_nd(&mut self, node: &Node, values: TensorId, indices: TensorId) -> Result<bool> {
        let output = self.graph.output(node)?;
        let Some(list) = self.indices(node, indices)? else { return Ok(false) };
        let shape = self.graph.tensors[values].shape.clone();
        let depth = self.graph.tensors[indices].shape.last().map_or(0, |&depth| depth as usize);
        if depth == 0 || depth > shape.len() {
            let what = format!("its indices have {depth} numbers for {}", self.graph.describe(values));
            return Err(self.graph.invalid(node, what));
        }
        self.check_indices(node, &list, |i| shape[i % depth])?;
        let steps = strides(&shape[..depth]);
        let row = |indices: &[i64]| indices.iter().zip(&steps).map(|(index, step)| index * step).sum();
        let rows: Vec<i64> = list.chunks_exact(depth).map(row).collect();
        let flat = [&[dimension_of(&shape[..depth])], &shape[depth..]].concat();
        let flat = self.graph.add(Tensor { shape: flat, ..self.graph.tensors[values].like() });
        self.write(node, Op::Reshape { new_shape: None }, &[values], flat);
        self.write_picked(node, flat, 0, &rows, output)
    }

    /// Returns the elements of constant indices.
    fn indices(&self, node: &Node, id: TensorId) -> Result<Option<Vec<i64>>> {
        let tensor = &self.graph.tensors[id];
        let Some(integers) = tensor.each_integer() else { return Ok(None) };
        self.limit.make(8 * integers.len() as u64, || format!("the indices of {}", self.graph.site(node)))?;
        Ok(Some(integers.collect()))
    }

    /// Checks that each index is inside the length that it counts in.
    fn check_indices(&self, node: &Node, list: &[i64], length: impl Fn(usize) -> u32) -> Result<()> {
        match (0..list.len()).find(|&i| !(0..i64::from(length(i))).contains(&list[i])) {
            Some(i) => {
                let what = format!("its index {} is not inside a dimension of {} elements", list[i], length(i));
                Err(self.graph.invalid(node, what))
            }
            None => Ok(()),
        }
    }

    /// Writes the elements that `list` names along a dimension; returns whether they are few enough pieces.
    fn write_picked(&mut self, node: &Node, id: TensorId, axis: usize, list: &[i64], output: TensorId) -> Result<bool> {
        let shape = self.graph.tensors[id].shape.clone();
        let runs = runs(list);
        if runs.is_empty() || runs.len() > MAX_PIECES {
            return Ok(false);
        }
        let mut parts = Vec::new();
        for [first, count, step] in runs {
            let (mut begin, mut steps, mut part) = (vec![0; shape.len()], vec![1; shape.len()], shape.clone());
            (begin[axis], steps[axis], part[axis]) = (first, step, count as u32);
            let is_whole = part == shape && step == 1;
            parts.push(if is_whole { id } else { self.strided(node, id, &begin, &steps, part)? });
        }
        let picked = self.joined(node, id, axis, &parts)?;
        self.write(node, Op::Reshape { new_shape: None }, &[picked], output);
        Ok(true)
    }

    /// Writes the rows of a constant table that computed indices name; returns whether that is possible.
    fn rows_of_table(&mut self, node: &Node, table: TensorId, indices: TensorId, output: TensorId) -> Result<bool> {
        let Tensor { name, dtype, shape, content, .. } = &self.graph.tensors[table];
        let Content::Constant(bytes) = content else { return Ok(false) };
        if self.graph.tensors[indices].dtype != ElementType::I32 {
            return Ok(false);
        }
        let (name, dtype, bytes) = (name.clone(), *dtype, bytes.clone());
        let shape = vec![shape[0], dimension_of(&shape[1..])];
        let rows = |table: TensorId, output: TensorId| Node {
            op: NodeOp::Kernel(Operator::GatherF32(GatherF32)),
            inputs: vec![Some(indices), Some(table)],
            outputs: vec![output],
            origin: node.origin,
        };
        self.limit.make(STEP + 2 * (bytes.len() + name.len()) as u64, || format!("the table `{name}`"))?;
        match (dtype, self.graph.tensors[output].per_tensor()) {
            (ElementType::F32, _) => {
                let table = self.graph.add(Tensor::constant(name, ElementType::F32, shape, bytes));
                self.nodes.push(rows(table, output));
            }
            (ElementType::I8, Some(Quantization { zero_point, .. })) => {
                let numbers = bytes.iter().map(|&code| i32::from(code.cast_signed()) - zero_point);
                let halves: Vec<u8> = numbers.flat_map(|code| f16::from_f32(code as f32).to_le_bytes()).collect();
                let table = self.graph.add(Tensor::constant(name, ElementType::F16, shape, halves));
                let like = Tensor::computed(
                    self.graph.tensors[output].name.clone(),
                    ElementType::F32,
                    self.graph.tensors[output].shape.clone(),
                );
                // Whole numbers become codes of a scale of 1, which are those of the output.
                let codes = Tensor {
                    dtype: ElementType::I8,
                    quantization: Some(Quantization::new(1.0, zero_point).into()),
                    ..like.clone()
                };
                let (numbers, codes) = (self.graph.add(like), self.graph.add(codes));
                self.nodes.push(rows(table, numbers));
                self.write(node, Op::Quantize, &[numbers], codes);
                self.write(node, Op::Reshape { new_shape: None }, &[codes], output);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
