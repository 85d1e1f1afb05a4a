//! What the instructions of an operator are a sum of.
//!
//! A term is a count that follows from the shapes of the operands. Kernels compute tiles of some pixels by some channels,
//! in vectors of some elements, and what is left over from whole tiles otherwise. So the terms of convolutions and
//! matrix products are all products of a count of pixels, one of channels and one of elements, each divided by the sizes
//! that a tile may have: which of them a core's kernels have, the fit finds.

use super::{products, windows};
use tealight_format::{DType, Model, Op, Operands, Operator, Value};
use tealight_types::Window2d;

/// The name of a term and its value, for all that are not 0.
pub type Terms = Vec<(String, f64)>;

/// Factors that are multiplied to terms, with their names.
pub(super) type Counts = [(&'static str, f64)];

/// Returns the terms of an operator.
pub fn terms(model: &Model<'_>, op: &Op) -> Terms {
    let operands = model.operands(op);
    let layer = Layer { model, op, operands: &operands, calls: calls(model, op) };
    let mut terms = Terms::new();
    layer.add_calls(&mut terms);
    let added = match op.operator {
        Operator::Conv2d(_) => products::add_convolution(&layer, &mut terms),
        Operator::FullyConnected(_) => products::add_product(&layer, &mut terms),
        Operator::Conv2dF32(conv) => {
            let window = operands.input(1).map(|weights| conv.window2d(&weights.shape));
            window.and_then(|window| products::add_whole_windows(&layer, &window, &mut terms));
            windows::add(&layer, &mut terms)
        }
        _ => windows::add(&layer, &mut terms),
    };
    layer.add_unpacked(&mut terms);
    if added.is_none() {
        layer.add_sizes(&mut terms);
    }
    terms
}

/// The calls of the kernel for all rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    rows: u64,
    /// The first rows, which one call computes.
    first: u64,
    /// The rows of each further call at most.
    held: u64,
}

impl Calls {
    fn count(&self) -> u64 {
        u64::from(self.first > 0).saturating_add(self.left().div_ceil(self.held))
    }

    /// The rows after the first.
    fn left(&self) -> u64 {
        self.rows.saturating_sub(self.first)
    }

    /// The rows of a call, and how many calls have so many.
    pub(super) fn sizes(&self) -> [(u64, u64); 3] {
        [(self.first, 1), (self.held, self.left() / self.held), (self.left() % self.held, 1)]
    }

    /// The mean number of rows of a call.
    pub(super) fn mean(&self) -> u64 {
        self.rows.div_ceil(self.count().max(1)).max(1)
    }
}

/// An operator computes all rows in one call, unless some share memory with an input: these it computes into a scratch
/// value, which may hold fewer.
fn calls(model: &Model<'_>, op: &Op) -> Calls {
    let rows = u64::from(op.rows);
    let Some(held) = scratch_rows(model, op) else { return Calls { rows, first: rows, held: rows.max(1) } };
    let output = model.value(op.output.into());
    let inputs = op.inputs.iter().flatten().map(|&index| model.value(index.into()));
    let shared = inputs.filter(|input| {
        !input.is_constant() && u64::from(input.offset) < output.end() && u64::from(output.offset) < input.end()
    });
    let before = shared.map(|input| input.offset.saturating_sub(output.offset)).min().unwrap_or(0);
    let first = u64::from(before.checked_div(model.row_bytes(op)).unwrap_or(0)).min(rows);
    Calls { rows, first, held: held.clamp(1, rows.max(1)) }
}

/// The number of rows that the scratch value holds, if rows are computed into one.
fn scratch_rows(model: &Model<'_>, op: &Op) -> Option<u64> {
    let len = model.value(op.scratch?.into()).len;
    Some(u64::from(len.checked_div(model.row_bytes(op)).unwrap_or(0)))
}

/// An operator of a model.
pub(super) struct Layer<'a> {
    pub(super) model: &'a Model<'a>,
    pub(super) op: &'a Op,
    pub(super) operands: &'a Operands,
    pub(super) calls: Calls,
}

impl Layer<'_> {
    /// Adds what every operator has.
    fn add_calls(&self, terms: &mut Terms) {
        let copied = elements(&self.operands.output) * self.calls.left() as f64 / self.calls.rows.max(1) as f64;
        add(terms, "", &[("layer", 1.0), ("call", self.calls.count() as f64), ("copied", copied)], &[("", 1.0)]);
        add(terms, "", &[("row", f64::from(self.op.rows))], &[("", 1.0)]);
    }

    /// Adds the int4 weights, which each call unpacks.
    fn add_unpacked(&self, terms: &mut Terms) {
        if let Some(weights) = self.operands.input(1).filter(|weights| weights.dtype == DType::I4) {
            add(terms, "", &[("unpacked", self.calls.count() as f64 * elements(&weights))], &[("", 1.0)]);
        }
    }

    /// Adds the sizes of the operands, for operators without terms of their own.
    fn add_sizes(&self, terms: &mut Terms) {
        let Self { model, op, operands, .. } = self;
        let outputs = elements(&operands.output);
        let moving = (0..usize::from(op.count)).filter_map(|k| operands.input(k)).filter(|value| !value.is_constant());
        let rank = operands.output.shape.rank();
        let channels = f64::from(operands.output.shape.dim(rank.saturating_sub(1)).max(1));
        let weights = operands.input(1).map(|value| value.shape);
        let depth = weights.map_or(1.0, |shape| f64::from(shape.dim(shape.rank().saturating_sub(1))));
        let macs = model.op_macs(op) as f64;
        let counts = [
            ("output", outputs),
            ("mac", macs),
            ("input", moving.map(|value| elements(&value)).sum()),
            ("pixel", outputs / channels),
            ("pixel e", outputs / channels * depth),
            ("c%4 mac", macs / channels * (channels % 4.0)),
            ("e%16", outputs * (depth % 16.0)),
        ];
        add(terms, "", &counts, &[("", 1.0)]);
    }

    /// The dimensions of a tensor of rank 4.
    pub(super) fn nhwc(value: &Value) -> Option<[u64; 4]> {
        (value.shape.rank() == 4).then(|| [0, 1, 2, 3].map(|k| u64::from(value.shape.dim(k))))
    }
}

/// The number of elements of a value.
pub(super) fn elements(value: &Value) -> f64 {
    f64::from(value.shape.elements().unwrap_or(u32::MAX))
}

/// Adds the products of all `a` with all `b` that are not 0; a name is that of both.
pub(super) fn add(terms: &mut Terms, kind: &str, a: &Counts, b: &Counts) {
    for (a_name, a) in a.iter().filter(|(_, a)| *a != 0.0) {
        for (b_name, b) in b.iter().filter(|(_, b)| *b != 0.0) {
            let words = [kind, a_name, b_name].into_iter().filter(|word| !word.is_empty());
            terms.push((words.collect::<Vec<_>>().join(" "), a * b));
        }
    }
}

/// One axis of a window: sizes of the input, of the output and of the kernel, and where taps lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) kernel: u64,
    stride: u64,
    pub(super) dilation: u64,
    pub(super) pad: u64,
}

/// Outputs of an axis that are looked at one by one; further ones count as the last. A valid file may have more.
const MOST_OUTPUTS: u64 = 1 << 16;

impl Axis {
    /// The vertical and the horizontal axis, exchanged where input, output and kernel are one column wide and
    /// `exchange`, as the int8 kernels do. Returns whether they are.
    pub(super) fn pair(input: [u64; 4], output: [u64; 4], window: &Window2d, exchange: bool) -> ([Self; 2], bool) {
        let axis = |k: usize| Self {
            input: input[k + 1],
            output: output[k + 1],
            kernel: window.kernel[k] as u64,
            stride: window.stride[k] as u64,
            dilation: (window.dilation[k] as u64).max(1),
            pad: window.pad[k] as u64,
        };
        let [vertical, horizontal] = [axis(0), axis(1)];
        let Self { input, output, kernel, pad, .. } = horizontal;
        let exchanged = exchange && [input, output, kernel, pad] == [1, 1, 1, 0];
        (if exchanged { [horizontal, vertical] } else { [vertical, horizontal] }, exchanged)
    }

    /// The outputs whose windows lie inside the input.
    pub(super) fn whole(&self) -> std::ops::Range<u64> {
        let extent = self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1);
        let Some(room) = self.pad.saturating_add(self.input).checked_sub(extent) else { return 0..0 };
        let stride = self.stride.max(1);
        let range = self.pad.div_ceil(stride)..(room / stride).saturating_add(1).min(self.output);
        if range.is_empty() { 0..0 } else { range }
    }

    /// The sum of the taps of all outputs that lie inside the input.
    pub(super) fn taps(&self) -> f64 {
        let taps = |output: u64| {
            let origin = output.saturating_mul(self.stride);
            let start = self.pad.saturating_sub(origin).div_ceil(self.dilation);
            let end = self.pad.saturating_add(self.input).saturating_sub(origin).div_ceil(self.dilation);
            end.min(self.kernel).saturating_sub(start) as f64
        };
        (0..self.output.min(MOST_OUTPUTS)).map(taps).sum()
    }

    /// The inputs from the first tap of an output to the last of the one that is `outputs - 1` after it.
    pub(super) fn columns(&self, outputs: u64) -> u64 {
        let extent = self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1);
        self.stride.saturating_mul(outputs.saturating_sub(1)).saturating_add(extent)
    }

    /// Whether one output reads the input at the same place, and nothing else.
    pub(super) fn is_pointwise(&self) -> bool {
        [self.kernel, self.stride, self.pad] == [1, 1, 0] && self.input == self.output
    }
}
