//! Maximum, minimum and sum over any dimensions, in operators that there are.
//!
//! A maximum over adjacent dimensions is a maximum pool whose window is as high as the picture, over a view of the tensor
//! as such a picture. Several such runs are reduced one after another. A minimum is the complement of the maximum of
//! complements: codes `-1 - x` in int8, `-x` in f32, both exact. A sum is the mean times the number of elements.

use super::Lowering;
use super::float::NO_BOUNDS;
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, Tensor, TensorId, TensorQuantization, count_of};
use tealight_format::Operator;
use tealight_format::ops::{ActivationRange, BinaryF32, Function, MeanF32, Pool2d, Pool2dF32, UnaryF32, UnaryFunction};

impl Lowering<'_> {
    pub(super) fn reduce_max(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        self.maximum_over(node, input, output)
    }

    pub(super) fn reduce_min(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let complement = self.complement(node, input)?;
        let maximum =
            Tensor { quantization: self.tensor(complement).quantization.clone(), ..self.tensor(output).like() };
        let maximum = self.graph.add(maximum);
        self.maximum_over(node, complement, maximum)?;
        self.emit_complement(node, maximum, output)
    }

    /// Emits the maximum of `input` over the dimensions that input 1 of `node` lists.
    fn maximum_over(&mut self, node: &Node, input: TensorId, output: TensorId) -> Result<()> {
        if self.tensor(input).dtype != self.tensor(output).dtype {
            return Err(self.type_error(node, output, "the type of its input"));
        }
        let reduced = self.reduced_dimensions(node, input)?;
        let runs = runs(&self.tensor(input).shape, reduced);
        let kept = self.tensor(input).shape.iter().enumerate().filter(|(i, _)| reduced >> i & 1 == 0);
        let kept = count_of(kept.map(|(_, dim)| dim));
        if kept != self.tensor(output).elements() {
            let what =
                format!("its output has not one element for each {kept}: {}", self.graph.describe_operands(node));
            return Err(self.graph.invalid(node, what));
        }
        let Some((&last, before)) = runs.split_last() else {
            self.make_view(output, input);
            return Ok(());
        };
        let mut from = input;
        for &run @ [outer, _, inner] in before {
            let tensor = Tensor { shape: vec![outer, 1, 1, inner], ..self.tensor(input).like() };
            let to = self.graph.add(tensor);
            self.pool_run(node, from, run, to);
            from = to;
        }
        let [outer, _, inner] = last;
        let to = self.written(output, &[outer, 1, 1, inner]);
        self.pool_run(node, from, last, to);
        Ok(())
    }

    /// Emits the maximum over `size` in a view `[outer, size, 1, inner]` of `from`.
    pub(super) fn pool_run(&mut self, node: &Node, from: TensorId, [outer, size, inner]: [u32; 3], to: TensorId) {
        let picture = self.view(from, vec![outer, size, 1, inner]);
        let (window, stride, pad) = ([size.cast_signed(), 1], [1, 1], [0, 0]);
        let operator = if self.tensor(from).dtype == ElementType::F32 {
            Operator::MaxPool2dF32(Pool2dF32 { window, stride, pad, activation: NO_BOUNDS })
        } else {
            Operator::MaxPool2d(Pool2d { window, stride, pad, activation: ActivationRange::FULL })
        };
        self.emit(node, operator, &[Some(picture)], to);
    }

    /// Emits the complement of a tensor, and returns it: the order of its values is reversed.
    pub(super) fn complement(&mut self, node: &Node, input: TensorId) -> Result<TensorId> {
        let mut tensor = self.tensor(input).like();
        if tensor.dtype != ElementType::F32 {
            let quantization = self.int8(node, input)?;
            let reversed = TensorQuantization::from(tealight_format::Quantization::new(
                quantization.scale,
                -1 - quantization.zero_point,
            ));
            tensor.quantization = Some(reversed);
        }
        let output = self.graph.add(tensor);
        self.emit_complement(node, input, output)?;
        Ok(output)
    }

    /// Emits the complement of `input`: `-x`, by codes `-1 - x` in int8.
    pub(super) fn emit_complement(&mut self, node: &Node, input: TensorId, output: TensorId) -> Result<()> {
        if self.tensor(input).dtype == ElementType::F32 {
            let negation = Operator::UnaryF32(UnaryF32 { function: UnaryFunction::Neg });
            self.emit(node, negation, &[Some(input)], output);
            return Ok(());
        }
        self.table_from(node, Function::Other, input, output, |code| -1 - code)
    }

    pub(super) fn sum_f32(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.input_f32(node, 0)?, self.output_f32(node)?);
        let reduced = self.reduced_dimensions(node, input)?;
        let dims = self.tensor(input).shape.iter().enumerate().filter(|(i, _)| reduced >> i & 1 == 1);
        let count = dims.fold(1.0, |n, (_, &dim)| n * dim as f32);
        let bytes = f32::to_le_bytes(count).to_vec();
        let count = self.add_constant(output, "count", ElementType::F32, Vec::new(), bytes)?;
        let mean = self.graph.add(self.tensor(output).like());
        self.emit(node, Operator::MeanF32(MeanF32 { reduced }), &[Some(input)], mean);
        let product = Operator::MulF32(BinaryF32 { activation: NO_BOUNDS });
        self.emit(node, product, &[Some(mean), Some(count)], output);
        Ok(())
    }
}

/// The runs of adjacent dimensions that the mask names, outermost first: the elements outside of a run, in it, and within
/// each of its indices, when the runs before it are reduced to 1. Dimensions of length 1 are in none.
fn runs(shape: &[u32], reduced: i32) -> Vec<[u32; 3]> {
    let mut runs: Vec<[u32; 3]> = Vec::new();
    let mut outer = 1u32;
    let mut is_open = false;
    for (i, &dim) in shape.iter().enumerate().filter(|(_, dim)| **dim != 1) {
        if reduced >> i & 1 == 0 {
            outer = outer.saturating_mul(dim);
            for run in &mut runs {
                run[2] = run[2].saturating_mul(dim);
            }
            is_open = false;
            continue;
        }
        for run in runs.iter_mut().rev().skip(usize::from(is_open)) {
            run[2] = run[2].saturating_mul(dim);
        }
        match runs.last_mut() {
            Some(run) if is_open => run[1] = run[1].saturating_mul(dim),
            _ => runs.push([outer, dim, 1]),
        }
        is_open = true;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn adjacent_dimensions_are_one_run() {
        assert_eq!(runs(&[2, 3, 4, 5], 0b0110), [[2, 12, 5]]);
        assert_eq!(runs(&[2, 3, 4, 5], 0b1111), [[1, 120, 1]]);
        assert_eq!(runs(&[2, 3, 4, 5], 0b1000), [[24, 5, 1]]);
        assert_eq!(runs(&[2, 3, 4, 5], 0), [[0; 3]; 0]);
        // The inner elements of the first run contain the second, which is still there when the first is reduced.
        assert_eq!(runs(&[2, 3, 4, 5], 0b0101), [[1, 2, 60], [3, 4, 5]]);
        assert_eq!(runs(&[2, 3, 4, 5], 0b1010), [[2, 3, 20], [8, 5, 1]]);
        // A dimension of length 1 does not part its neighbours.
        assert_eq!(runs(&[6, 2, 1, 3], 0b1010), [[6, 6, 1]]);
        assert_eq!(runs(&[6, 1, 3], 0b010), [[0; 3]; 0]);
    }
}
