//! RFFT2D, and what takes its result apart, as matrix products.
//!
//! A transform of `N = A · B` elements is one of `A` elements for each of `B` columns, a rotation, and one of `B` elements
//! for each of `A` rows (Cooley and Tukey, 1965): with `n = B·n₁ + n₂` and `k = k₁ + A·k₂`,
//!
//! `X[k] = Σ_n₂ e^(-2πi·n₂·k₂/B) · e^(-2πi·n₂·k₁/N) · Σ_n₁ x[n] · e^(-2πi·n₁·k₁/A)`
//!
//! Both sums are layers whose weights have about `N` elements; only the `k₂` up to `B / 2` are computed. Of several rows,
//! one more layer transforms the columns of the results by their definition.

use super::{Expansion, STEP};
use crate::diag::Result;
use crate::ir::graph::{ElementType, Node, Tensor, TensorId};
use crate::ir::{Activation, ComplexPart, Op};
use std::f64::consts::TAU;
use tealight_format::ops::UnaryFunction;

/// The maximum length of a transform that is one layer.
const DIRECT: u32 = 32;

/// The maximum length of a transform.
const LONGEST: u32 = 1 << 15;

/// The maximum number of rows of a transform, which one layer transforms.
const ROWS: u32 = 128;

/// How many operators and constants a transform makes at most.
const PARTS: u64 = 60;

impl Expansion<'_> {
    /// Replaces a transform by the operators that compute its real and its imaginary part.
    pub(super) fn rfft2d(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let lengths = self.graph.constant_integers(node, 1)?;
        let accepted = match lengths[..] {
            [height, length] => u32::try_from(height)
                .ok()
                .filter(|height| (1..=ROWS).contains(height))
                .zip(u32::try_from(length).ok().filter(|n| n.is_power_of_two() && *n <= LONGEST)),
            _ => None,
        };
        let Some((height, length)) = accepted else {
            let accepted = format!("1 to {ROWS} rows, of a power of 2 up to {LONGEST} elements, not {lengths:?}");
            return Err(self.graph.unsupported(node, accepted));
        };
        let bytes = PARTS * (STEP + self.graph.tensors[input].name.len() as u64);
        self.limit.make(bytes, || format!("{} as layers", self.graph.site(node)))?;
        let shape = self.graph.tensors[input].shape.clone();
        let &[ref outer @ .., rows, columns] = &shape[..] else {
            return Err(self.graph.invalid(node, "its input has fewer than two dimensions"));
        };
        // Rows that are not there are zeros.
        let taken = rows.min(height);
        let frames = outer.iter().try_fold(1u32, |count, &dim| count.checked_mul(dim)).filter(|frames| {
            let size = frames.checked_mul(height).and_then(|lines| lines.checked_mul(2 * length));
            size.is_some() && rows > 0 && columns > 0
        });
        let Some(frames) = frames else {
            return Err(self.graph.invalid(node, "its output is too large, or its input empty"));
        };
        let bins = length / 2 + 1;
        if self.graph.tensors[output].shape != [outer, &[height, bins]].concat() {
            let what = format!("its output has the shape {:?}", self.graph.tensors[output].shape);
            return Err(self.graph.invalid(node, what));
        }
        let mut x = if rows > taken { self.part(node, input, outer.len(), 0, taken)? } else { input };
        if columns > length {
            x = self.part(node, x, outer.len() + 1, 0, length)?;
        }
        let lines = frames * taken;
        let mut x = self.viewed(node, x, vec![lines, columns.min(length)]);
        if columns < length {
            let pads = [0, 0, 0, length - columns].map(u32::to_le_bytes);
            let pads = self.list("rfft.pads", ElementType::I32, vec![2, 2], &pads)?;
            let padded = Tensor { shape: vec![lines, length], ..self.graph.tensors[x].like() };
            let padded = self.graph.add(padded);
            self.write(node, Op::Pad, &[x, pads], padded);
            x = padded;
        }
        let mut parts = if length <= DIRECT {
            let both = self.layer(node, x, 2 * bins, |k, n| factor(k, bins, f64::from(n) / f64::from(length)))?;
            [self.part(node, both, 1, 0, bins)?, self.part(node, both, 1, bins, bins)?]
        } else {
            self.in_two_steps(node, x, lines, length)?
        };
        if height > 1 {
            parts = self.of_columns(node, parts, [frames, taken, bins], height)?;
        }
        let shape = self.graph.tensors[output].shape.clone();
        let parts = parts.map(|part| self.viewed(node, part, shape.clone()));
        self.complex.insert(output, parts);
        Ok(())
    }

    /// Adds the transform of the columns of parts `[frames · rows, bins]` to `height` rows, and returns its parts.
    fn of_columns(
        &mut self,
        node: &Node,
        parts: [TensorId; 2],
        [frames, rows, bins]: [u32; 3],
        height: u32,
    ) -> Result<[TensorId; 2]> {
        let mut turned = [0; 2];
        for (turned, part) in turned.iter_mut().zip(parts) {
            let part = self.viewed(node, part, vec![frames, rows, bins]);
            *turned = self.turned(node, part)?;
        }
        let both = self.joined(node, turned[0], 2, &turned)?;
        let columns = self.layer(node, both, 2 * height, |k, n| {
            let angle = TAU * f64::from(k % height * (n % rows) % height) / f64::from(height);
            match (k < height, n < rows) {
                (true, true) | (false, false) => angle.cos(),
                (true, false) => angle.sin(),
                (false, true) => -angle.sin(),
            }
        })?;
        for (turned, start) in turned.iter_mut().zip([0, height]) {
            let part = self.part(node, columns, 2, start, height)?;
            *turned = self.turned(node, part)?;
        }
        Ok(turned)
    }

    /// Adds a transform of rows `[frames, length]`, and returns its parts `[frames, length / 2 + 1]`.
    fn in_two_steps(&mut self, node: &Node, x: TensorId, frames: u32, length: u32) -> Result<[TensorId; 2]> {
        let a = 1 << (length.ilog2() / 2);
        let b = length / a;
        let x = self.viewed(node, x, vec![frames, a, b]);
        let x = self.turned(node, x)?;
        // [frames, B, 2·A]: sums over n₁, then their imaginary parts.
        let columns = self.layer(node, x, 2 * a, |k, n| factor(k, a, f64::from(n) / f64::from(a)))?;
        let [re_cos, im_cos] = self.rotated(node, columns, [a, b], f64::cos)?;
        let [re_sin, im_sin] = self.rotated(node, columns, [a, b], |angle| -angle.sin())?;
        let re = self.apply(node, Op::Sub(Activation::None), &[re_cos, im_sin], re_cos);
        let im = self.apply(node, Op::Add(Activation::None), &[re_sin, im_cos], re_cos);
        let both = self.joined(node, re, 1, &[re, im])?;
        let both = self.turned(node, both)?;
        // [frames, A, 2·(B/2 + 1)]: sums over n₂, whose real parts come first in both.
        let half = b / 2 + 1;
        let rows = self.layer(node, both, 2 * half, |k, n| {
            let turn = f64::from(n % b) / f64::from(b);
            match (k < half, n < b) {
                (true, true) | (false, false) => (TAU * f64::from(k % half) * turn).cos(),
                (true, false) => (TAU * f64::from(k) * turn).sin(),
                (false, true) => -(TAU * f64::from(k - half) * turn).sin(),
            }
        })?;
        let rows = self.turned(node, rows)?;
        let rows = self.viewed(node, rows, vec![frames, 2 * half * a]);
        let bins = length / 2 + 1;
        Ok([self.part(node, rows, 1, 0, bins)?, self.part(node, rows, 1, half * a, bins)?])
    }

    /// Adds the product of both parts `[frames, B, 2·A]` with a function of their angles `2π·n₂·k₁/N`, and returns its
    /// real and imaginary part.
    fn rotated(&mut self, node: &Node, x: TensorId, [a, b]: [u32; 2], of: fn(f64) -> f64) -> Result<[TensorId; 2]> {
        let angle = |at: u32| TAU * f64::from(at / (2 * a)) * f64::from(at % a) / f64::from(a * b);
        let numbers: Vec<[u8; 4]> = (0..2 * a * b).map(|at| (of(angle(at)) as f32).to_le_bytes()).collect();
        let by = self.list("rfft.rotation", ElementType::F32, vec![b, 2 * a], &numbers)?;
        let product = self.apply(node, Op::Mul(Activation::None), &[x, by], x);
        Ok([self.part(node, product, 2, 0, a)?, self.part(node, product, 2, a, a)?])
    }

    /// Adds a layer without bias whose weights are a function of the output and the input, and returns its output.
    fn layer(&mut self, node: &Node, x: TensorId, outputs: u32, weight: impl Fn(u32, u32) -> f64) -> Result<TensorId> {
        let mut shape = self.graph.tensors[x].shape.clone();
        let Some(last) = shape.last_mut() else { return Err(self.graph.invalid(node, "its input has no dimension")) };
        let inputs = std::mem::replace(last, outputs);
        let pairs = (0..outputs).flat_map(|k| (0..inputs).map(move |n| (k, n)));
        let weights: Vec<[u8; 4]> = pairs.map(|(k, n)| (weight(k, n) as f32).to_le_bytes()).collect();
        let weights = self.list("rfft.weights", ElementType::F32, vec![outputs, inputs], &weights)?;
        let product = Tensor { shape, ..self.graph.tensors[x].like() };
        let product = self.graph.add(product);
        self.write(node, Op::FullyConnected(Activation::None), &[x, weights], product);
        Ok(product)
    }

    /// Adds the operator that exchanges the last two of three dimensions, and returns its output.
    fn turned(&mut self, node: &Node, id: TensorId) -> Result<TensorId> {
        let order = self.list("rfft.order", ElementType::I32, vec![3], &[0, 2, 1].map(u32::to_le_bytes))?;
        let tensor = &self.graph.tensors[id];
        let &[frames, rows, columns] = &tensor.shape[..] else {
            return Err(self.graph.invalid(node, "it does not have three dimensions"));
        };
        let turned = Tensor { shape: vec![frames, columns, rows], ..tensor.like() };
        let turned = self.graph.add(turned);
        self.write(node, Op::Transpose, &[id, order], turned);
        Ok(turned)
    }

    /// Adds a view of a tensor with another shape, and returns it.
    fn viewed(&mut self, node: &Node, id: TensorId, shape: Vec<u32>) -> TensorId {
        let view = Tensor { shape, dtype: ElementType::F32, ..self.graph.tensors[id].like() };
        let view = self.graph.add(view);
        self.write(node, Op::Reshape { new_shape: None }, &[id], view);
        view
    }

    /// Replaces what takes a complex tensor apart, if a transform has computed that. Returns whether it has.
    pub(super) fn complex_part(&mut self, node: &Node, part: ComplexPart) -> Result<bool> {
        let (input, output) = (self.graph.input(node, 0)?, self.graph.output(node)?);
        let Some(&[re, im]) = self.complex.get(&input) else { return Ok(false) };
        match part {
            ComplexPart::Real => self.write(node, Op::Reshape { new_shape: None }, &[re], output),
            ComplexPart::Imaginary => self.write(node, Op::Reshape { new_shape: None }, &[im], output),
            ComplexPart::Magnitude => {
                let [re, im] = [re, im].map(|part| self.apply(node, Op::Unary(UnaryFunction::Square), &[part], output));
                let sum = self.apply(node, Op::Add(Activation::None), &[re, im], output);
                self.write(node, Op::Unary(UnaryFunction::Sqrt), &[sum], output);
            }
        }
        Ok(true)
    }
}

/// Returns the real part of `e^(-2πi·k·turn)` for output `k` of `half`, and the imaginary part for output `half + k`.
fn factor(k: u32, half: u32, turn: f64) -> f64 {
    let angle = TAU * f64::from(k % half) * turn;
    if k < half { angle.cos() } else { -angle.sin() }
}

#[cfg(test)]
mod tests {
    use super::super::expand;
    use crate::driver::compile_graph;
    use crate::ir::graph::{ElementType, Graph, Tensor};
    use crate::ir::{ComplexPart, Op};
    use crate::limit::Limit;
    use crate::options::Options;
    use crate::testing::Builder;
    use std::f64::consts::TAU;
    use tealight::OwnedSession;

    /// A transform of the given lengths of rows `[frames, rows, columns]`, and one part of its result.
    fn transform(shape: [u32; 3], lengths: [i32; 2], part: ComplexPart) -> Graph {
        let mut b = Builder::default();
        let bins = [shape[0], lengths[0].cast_unsigned(), (lengths[1] / 2 + 1).cast_unsigned()];
        let (x, y) = (b.f32(&shape), b.f32(&bins));
        let bytes = lengths.map(i32::to_le_bytes).concat();
        let lengths = b.graph.add(Tensor::constant("lengths", ElementType::I32, vec![2], bytes));
        let complex = Tensor { dtype: ElementType::Other(8), ..b.graph.tensors[y].like() };
        let complex = b.graph.add(complex);
        b.graph.inputs.push(x);
        b.node(Op::Rfft2d, &[x, lengths], &[complex]);
        b.node(Op::Complex(part), &[complex], &[y]);
        b.output(y)
    }

    /// What a transform computes by its definition.
    fn expected(row: &[f32], length: usize, k: usize) -> [f64; 2] {
        let of = |n: usize| f64::from(row.get(n).copied().unwrap_or(0.0));
        let angle = |n: usize| TAU * (k * n % length) as f64 / length as f64;
        let sum = |part: fn(f64) -> f64| (0..length).map(|n| of(n) * part(angle(n))).sum::<f64>();
        [sum(f64::cos), -sum(f64::sin)]
    }

    #[test]
    fn transforms_of_all_lengths_are_those_of_their_definition() {
        let parts = [ComplexPart::Real, ComplexPart::Imaginary, ComplexPart::Magnitude];
        for (length, columns) in (0..=11).map(|k| (1u32 << k, 1u32 << k)).chain([(64, 50), (16, 20), (512, 480)]) {
            let (frames, rows) = (3usize, 2usize);
            let floats: Vec<f32> =
                (0..frames * rows * columns as usize).map(|i| ((i * 7919 % 1009) as f32 / 504.0) - 1.0).collect();
            for part in parts {
                let graph = transform([3, 2, columns], [1, length.cast_signed()], part);
                let compiled = compile_graph(graph, "test", b"", &Options::default(), &mut |_, _| {}).unwrap();
                let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
                let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
                session.input(0).unwrap().copy_from_bytes(&bytes).unwrap();
                session.run();
                let found = session.output(0).unwrap().as_bytes().as_chunks().0.to_vec();
                let bins = length as usize / 2 + 1;
                assert_eq!(found.len(), frames * bins);
                for (at, bytes) in found.into_iter().enumerate() {
                    let row = &floats[at / bins * rows * columns as usize..][..columns as usize];
                    let row = &row[..row.len().min(length as usize)];
                    let [re, im] = expected(row, length as usize, at % bins);
                    let wanted = match part {
                        ComplexPart::Real => re,
                        ComplexPart::Imaginary => im,
                        ComplexPart::Magnitude => re.hypot(im),
                    };
                    let apart = (f64::from(f32::from_le_bytes(bytes)) - wanted).abs();
                    assert!(apart < 2e-6 * f64::from(length), "{length} {part:?} bin {}: {apart}", at % bins);
                }
            }
        }
    }

    #[test]
    fn transforms_of_several_rows_are_those_of_their_definition() {
        let parts = [ComplexPart::Real, ComplexPart::Imaginary, ComplexPart::Magnitude];
        for (height, rows, length) in [(2usize, 2u32, 8usize), (5, 5, 64), (6, 4, 16), (3, 7, 4), (4, 1, 8)] {
            let floats: Vec<f32> =
                (0..2 * rows as usize * length).map(|i| ((i * 7919 % 1009) as f32 / 504.0) - 1.0).collect();
            for part in parts {
                let graph = transform([2, rows, length as u32], [height as i32, length as i32], part);
                let compiled = compile_graph(graph, "test", b"", &Options::default(), &mut |_, _| {}).unwrap();
                let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
                let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
                session.input(0).unwrap().copy_from_bytes(&bytes).unwrap();
                session.run();
                let found = session.output(0).unwrap().as_bytes().as_chunks().0.to_vec();
                let bins = length / 2 + 1;
                assert_eq!(found.len(), 2 * height * bins);
                for (at, bytes) in found.into_iter().enumerate() {
                    let (frame, row, bin) = (at / bins / height, at / bins % height, at % bins);
                    let (mut re, mut im) = (0.0, 0.0);
                    for line in 0..height.min(rows as usize) {
                        let x = &floats[(frame * rows as usize + line) * length..][..length];
                        let [a, b] = expected(x, length, bin);
                        let (sin, cos) = (-TAU * (row * line) as f64 / height as f64).sin_cos();
                        (re, im) = (re + a * cos - b * sin, im + a * sin + b * cos);
                    }
                    let wanted = match part {
                        ComplexPart::Real => re,
                        ComplexPart::Imaginary => im,
                        ComplexPart::Magnitude => f64::hypot(re, im),
                    };
                    let apart = (f64::from(f32::from_le_bytes(bytes)) - wanted).abs();
                    assert!(apart < 1e-4, "{height}x{length} {part:?} {row} {bin}: {apart}");
                }
            }
        }
    }

    #[test]
    fn other_transforms_are_refused() {
        for lengths in [[129, 8], [0, 8], [1, 24], [1, 1 << 16], [1, 0]] {
            let graph = transform([1, 1, 8], lengths, ComplexPart::Real);
            let error = expand(graph, &Limit::new(1 << 30, &Options::default())).unwrap_err().to_string();
            assert!(error.contains("1 to 128 rows, of a power of 2"), "{error}");
        }
    }
}
