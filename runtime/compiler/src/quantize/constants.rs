//! Replaces constants that mean "minus infinity" by smaller ones that do not widen a range.
//!
//! Converters write a value that must never win a maximum as a number below all others: the border of a max pool as
//! -3.4e38, -1e9 or -inf, masked scores before softmax as -1e9. In float the magnitude does not matter. Quantized, the
//! constant shares a range with the data, or determines the range of a sum, and leaves no codes for anything else.
//!
//! Whether a constant never wins depends on everything that is computed from it, so this is tested by running the
//! network. The constant is clamped to the range of the data beside it, so it becomes the lowest or the highest code.
//! If the outputs are the same, bit for bit, the clamped constant replaces the original. Where equality with the data
//! is not enough, as before softmax, constants are clamped to the smallest power of two with which the outputs change
//! by less than a code.

use super::float_run::FloatRun;
use super::observe::{moved, numbers};
use super::outliers::peak;
use super::rule::{Rule, Rules, f32_inputs};
use super::samples::Samples;
use super::sharing::Sharing;
use super::{Activations, QuantizeError, Result};
use crate::ir::Op;
use crate::ir::graph::{Content, ElementType, Graph, NodeOp, TensorId};
use crate::options::Options;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// A constant this many times larger than the data beside it leaves the data one 8-bit code or none.
const DOMINATES: f32 = 256.0;

/// Returns how many times larger than the data beside it a constant may be at most, to leave the data more than one code.
fn largest_ratio(activations: Activations) -> f32 {
    match activations {
        Activations::Int8 => DOMINATES,
        Activations::Int16 => DOMINATES * 256.0,
    }
}

/// The smallest power of two that constants are clamped to: a score that is 8 below another is nearly 0 after softmax.
const SMALLEST: f32 = 8.0;

/// How many powers of two are tried, starting from a sixteenth of the data's magnitude.
const POWERS: usize = 12;

/// How many constants are tried one by one if they cannot all be clamped: each takes several runs of the network.
const MAX_SINGLE: usize = 8;

/// Returns the maximum change of an output, relative to its maximum magnitude: a quarter of a code.
fn tolerance(activations: Activations) -> f32 {
    match activations {
        Activations::Int8 => 1.0 / 1024.0,
        Activations::Int16 => 1.0 / 131_072.0,
    }
}

/// A constant that leaves the data beside it no codes, and that the outputs depend on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DominantConstant {
    site: String,
    constant: String,
    value: f32,
    /// The maximum magnitude of the data.
    data: f32,
}

impl DominantConstant {
    pub(super) fn error(&self) -> QuantizeError {
        let Self { site, constant, value, data } = self.clone();
        QuantizeError::DominantConstant { site, constant, value, data }
    }
}

/// Returns the network with its constants clamped where that does not change the results, and the constants that leave
/// the data no codes.
///
/// `ordinary` are the samples without outliers, if there are any; masks are chosen by them. The first input has the
/// range `input_range` if that is known.
///
/// # Errors
/// An infinite constant that the outputs depend on.
pub(super) fn clamp_constants(
    mut graph: Graph,
    rules: &Rules,
    samples: Samples<'_>,
    ordinary: Option<Samples<'_>>,
    input_range: Option<[f32; 2]>,
    options: &Options,
) -> Result<(Graph, Vec<DominantConstant>)> {
    let uses = uses(&mut graph, rules);
    if uses.is_empty() {
        return Ok((graph, Vec::new()));
    }
    let mut original = Original::run(&graph, samples, options)?;
    let reach = original.reach(&graph, rules, input_range);
    let mut losing = Vec::new();
    for one in &uses {
        let Some(&[low, high]) = one.group.and_then(|group| reach.get(&group)) else { continue };
        let numbers = content(&graph, one.id);
        let clamped: Vec<f32> = numbers.iter().map(|number| number.clamp(low, high)).collect();
        if clamped != numbers {
            losing.push((one.id, clamped));
        }
    }
    graph = original.with_clamped(graph, &losing, samples)?;
    if let Some(ordinary) = ordinary {
        original = Original::run(&graph, ordinary, options)?;
    }
    let beside: Vec<(&Use, f32)> = uses.iter().map(|one| (one, original.beside(&graph, one, &reach))).collect();
    let is_far = |graph: &Graph, &(one, beside): &(&Use, f32), ratio: f32| {
        let magnitude = largest(&content(graph, one.id)).abs();
        magnitude.is_infinite() || (beside > 0.0 && magnitude > ratio * beside)
    };
    let masks: Vec<(&Use, f32)> = beside.into_iter().filter(|one| is_far(&graph, one, DOMINATES)).collect();
    let tolerance = tolerance(rules.activations);
    graph = original.with_powers_of_two(graph, &masks, ordinary.unwrap_or(samples), tolerance)?;
    let mut dominant = Vec::new();
    for (one, data) in masks.into_iter().filter(|one| is_far(&graph, one, largest_ratio(rules.activations))) {
        let node = &graph.nodes[one.node];
        let (site, constant) = (graph.site(node).to_string(), graph.tensors[one.id].name.clone());
        let found = DominantConstant { site, constant, value: largest(&content(&graph, one.id)), data };
        if found.value.is_infinite() {
            return Err(found.error());
        }
        // A factor has its own range.
        if !matches!(node.op, NodeOp::Ir(Op::Mul(_))) {
            dominant.push(found);
        }
    }
    Ok((graph, dominant))
}

/// A constant as one node reads it, or the initial value of a state.
#[derive(Debug)]
struct Use {
    node: usize,
    id: TensorId,
    /// A tensor that shares its range with the constant; `None` for sums and products, which have their own range.
    group: Option<TensorId>,
}

/// Returns the constants to examine: those that share a range with data and are not 0, and large ones. Each use of a
/// constant gets its own tensor, because a constant that never wins in one place may win in another.
fn uses(graph: &mut Graph, rules: &Rules) -> Vec<Use> {
    let (mut uses, mut states) = (Vec::new(), HashSet::new());
    for node in 0..graph.nodes.len() {
        let rule = rules.of[node];
        let shares_or_joins = !matches!(rule, Rule::Layer | Rule::Float);
        let Some(&output) = graph.nodes[node].outputs.first().filter(|_| shares_or_joins) else { continue };
        for input in 0..graph.nodes[node].inputs.len() {
            let Some(id) = graph.nodes[node].inputs[input] else { continue };
            let numbers = content(graph, id);
            let shares = rule == Rule::Same || graph.tensors[id].is_state();
            let min_magnitude = if shares { 0.0 } else { DOMINATES };
            if !numbers.iter().any(|number| number.abs() > min_magnitude) {
                continue;
            }
            if !graph.tensors[id].is_state() {
                let id = graph.add(graph.tensors[id].clone());
                graph.nodes[node].inputs[input] = Some(id);
                uses.push(Use { node, id, group: shares.then_some(output) });
            } else if states.insert(id) {
                uses.push(Use { node, id, group: Some(id) });
            }
        }
    }
    uses
}

/// Returns the f32 values of a constant, or of the initial value of a state; none for other tensors.
fn content(graph: &Graph, id: TensorId) -> Vec<f32> {
    let tensor = &graph.tensors[id];
    match &tensor.content {
        Content::Constant(bytes) | Content::State(Some(bytes)) if tensor.dtype == ElementType::F32 => numbers(bytes),
        _ => Vec::new(),
    }
}

fn set_content(graph: &mut Graph, id: TensorId, numbers: &[f32]) {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    match &mut graph.tensors[id].content {
        Content::State(first) => *first = Some(bytes),
        content => *content = Content::Constant(bytes),
    }
}

/// Returns the value of maximum magnitude.
fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |largest: f32, &number| if number.abs() > largest.abs() { number } else { largest })
}

/// The results of the network with its original constants.
struct Original<'a> {
    options: &'a Options,
    /// For each sample, the values of each output.
    outputs: Vec<Vec<Vec<f32>>>,
    /// The maximum magnitude of each output.
    peaks: Vec<f32>,
    /// The minimum and maximum of the finite values in each tensor.
    extremes: HashMap<TensorId, [f32; 2]>,
}

/// Returns the indices of the outputs in [`FloatRun::ids`].
fn output_places(graph: &Graph, float: &FloatRun) -> Vec<usize> {
    graph.outputs.iter().filter_map(|&id| float.place(id)).collect()
}

impl<'a> Original<'a> {
    fn run(graph: &Graph, samples: Samples<'_>, options: &'a Options) -> Result<Self> {
        let float = FloatRun::new(graph, options)?;
        let places = output_places(graph, &float);
        let mut original =
            Self { options, outputs: Vec::new(), peaks: vec![0.0; places.len()], extremes: HashMap::new() };
        float.run(samples.iter(), |_, values| {
            for (&id, numbers) in float.ids.iter().zip(values) {
                let finite = numbers.iter().filter(|number| number.is_finite());
                let range = original.extremes.entry(id).or_insert([f32::INFINITY, f32::NEG_INFINITY]);
                *range = finite.fold(*range, |[low, high], &number| [low.min(number), high.max(number)]);
            }
            let outputs = places.iter().map(|&at| values[at]);
            original.peaks.iter_mut().zip(outputs.clone()).for_each(|(all, output)| *all = all.max(peak(output)));
            original.outputs.push(outputs.map(<[f32]>::to_vec).collect());
            Ok(())
        })?;
        Ok(original)
    }

    /// Returns the range of the data, 0 included, in the group of each tensor that shares a range with others: that of
    /// the tensors that are computed there. Other tensors of the group contain the constants too.
    fn reach(&self, graph: &Graph, rules: &Rules, input_range: Option<[f32; 2]>) -> HashMap<TensorId, [f32; 2]> {
        let sharing = Sharing::of(graph, rules);
        let moved = moved(graph, rules, &sharing);
        let mut of_roots: HashMap<TensorId, [f32; 2]> = HashMap::new();
        for (&id, [low, high]) in self.extremes.iter().filter(|(id, _)| !moved.contains(id)) {
            let range = of_roots.entry(sharing.root(id)).or_default();
            *range = [range[0].min(*low), range[1].max(*high)];
        }
        if let (Some(&input), Some([low, high])) = (graph.inputs.first(), input_range) {
            of_roots.insert(sharing.root(input), [low.min(0.0), high.max(0.0)]);
        }
        let of = |id: TensorId| {
            let root = sharing.root(id);
            let codes = rules.activations.codes();
            let fixed = sharing.fixed(root).map(|params| codes.map(|code| params.dequantize(code)));
            Some((id, fixed.or_else(|| of_roots.get(&root).copied())?))
        };
        (0..graph.tensors.len()).filter_map(of).collect()
    }

    /// Returns the maximum magnitude of the data beside a constant.
    fn beside(&self, graph: &Graph, one: &Use, reach: &HashMap<TensorId, [f32; 2]>) -> f32 {
        let of_group = one.group.and_then(|group| reach.get(&group)).copied();
        let of_inputs = || f32_inputs(graph, &graph.nodes[one.node]).filter_map(|id| self.extremes.get(&id).copied());
        let ranges = of_group.map_or_else(|| of_inputs().collect(), |range| vec![range]);
        ranges.iter().flatten().fold(0.0, |peak, bound| if bound.is_finite() { peak.max(bound.abs()) } else { peak })
    }

    /// Returns the graph with those of the clamped constants that do not change its outputs.
    fn with_clamped(&self, graph: Graph, clamped: &[(TensorId, Vec<f32>)], samples: Samples<'_>) -> Result<Graph> {
        let with = |graph: &Graph, clamped: &[(TensorId, Vec<f32>)]| {
            let mut graph = graph.clone();
            clamped.iter().for_each(|(id, numbers)| set_content(&mut graph, *id, numbers));
            graph
        };
        if clamped.is_empty() {
            return Ok(graph);
        }
        let all = with(&graph, clamped);
        if self.same_outputs(&all, samples, 0.0)? {
            return Ok(all);
        }
        let mut best = graph;
        for one in clamped.iter().take(MAX_SINGLE).filter(|_| clamped.len() > 1) {
            let next = with(&best, std::slice::from_ref(one));
            if self.same_outputs(&next, samples, 0.0)? {
                best = next;
            }
        }
        Ok(best)
    }

    /// Returns the graph with its masks clamped to powers of two. Each mask comes with the magnitude of the data beside
    /// it.
    fn with_powers_of_two(
        &self,
        graph: Graph,
        masks: &[(&Use, f32)],
        samples: Samples<'_>,
        tolerance: f32,
    ) -> Result<Graph> {
        if masks.is_empty() {
            return Ok(graph);
        }
        if let Some(found) = self.smallest_power(&graph, masks, samples, tolerance)? {
            return Ok(found);
        }
        let mut best = graph;
        for one in masks.iter().take(MAX_SINGLE).filter(|_| masks.len() > 1) {
            best = self.smallest_power(&best, std::slice::from_ref(one), samples, tolerance)?.unwrap_or(best);
        }
        Ok(best)
    }

    /// Returns the graph with all of these masks clamped to the smallest power of two that keeps the outputs within the
    /// tolerance.
    fn smallest_power(
        &self,
        graph: &Graph,
        masks: &[(&Use, f32)],
        samples: Samples<'_>,
        tolerance: f32,
    ) -> Result<Option<Graph>> {
        for power in 0..POWERS {
            let mut clamped = graph.clone();
            for (one, beside) in masks {
                let first = SMALLEST.max((beside / 16.0).log2().floor().exp2());
                let limit = first * (power as f32).exp2();
                let numbers = content(&clamped, one.id).into_iter().map(|number| number.clamp(-limit, limit));
                set_content(&mut clamped, one.id, &numbers.collect::<Vec<_>>());
            }
            if self.same_outputs(&clamped, samples, tolerance)? {
                return Ok(Some(clamped));
            }
        }
        Ok(None)
    }

    /// Returns whether a graph has the same outputs within `tolerance`, relative to the output's maximum magnitude.
    fn same_outputs(&self, graph: &Graph, samples: Samples<'_>, tolerance: f32) -> Result<bool> {
        let float = FloatRun::new(graph, self.options)?;
        let places = output_places(graph, &float);
        let same = Cell::new(!places.is_empty());
        float.run(samples.iter().take_while(|_| same.get()), |sample, values| {
            for ((&at, wanted), peak) in places.iter().zip(&self.outputs[sample.index]).zip(&self.peaks) {
                // With an infinite peak, any finite difference would be within the tolerance.
                let within_tolerance =
                    |(found, wanted): (&f32, &f32)| found == wanted || (found - wanted).abs() <= tolerance * peak;
                let all = peak.is_finite() && values[at].iter().zip(wanted).all(within_tolerance);
                same.set(same.get() && all);
            }
            Ok(())
        })?;
        Ok(same.get())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Build, numbers as ramp, window};
    use super::*;
    use crate::driver::Compiled;
    use crate::ir::{Activation, Padding};
    use crate::quantize::{Quantize, Ranges, Report, compile_float};

    const FAR: [f32; 4] = [-3.4e38, -1e9, -65504.0, f32::NEG_INFINITY];

    /// The operator between the constant and the maximum.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Between {
        Nothing,
        Relu,
        Leaky,
        Transpose,
        Reshape,
        Sum,
    }

    /// An image with a border of `pad`, the operator `between`, the pool, and a matrix after it.
    fn padded_pool(pad: f32, between: Between, pool: fn(crate::ir::Window) -> Op) -> Graph {
        let mut b = Build::default();
        let x = b.input(&[1, 4, 4, 2]);
        let w = b.weights("conv", 1, &[2, 1, 1, 2]);
        let y = b.node(Op::Conv2d(window(Padding::Same, 1, 0)), &[x, w], "conv", &[1, 4, 4, 2]);
        let pads = b.ints(&[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
        let value = b.constant(&[], &[pad]);
        let y = b.node(Op::PadWith, &[y, pads, value], "pad", &[1, 6, 6, 2]);
        let shape = [1, 6, 6, 2];
        let y = match between {
            Between::Nothing => y,
            Between::Relu => b.node(Op::Relu, &[y], "relu", &shape),
            Between::Leaky => b.node(Op::LeakyRelu { alpha: 0.25 }, &[y], "leaky", &shape),
            Between::Transpose => {
                let perm = b.ints(&[4], &[0, 2, 1, 3]);
                b.node(Op::Transpose, &[y, perm], "transpose", &shape)
            }
            Between::Reshape => b.node(Op::Reshape { new_shape: None }, &[y], "reshape", &[1, 6, 6, 2]),
            Between::Sum => {
                let more = b.constant(&[1, 1, 1, 2], &[0.5, -0.5]);
                b.node(Op::Add(Activation::None), &[y, more], "sum", &shape)
            }
        };
        let y = b.node(pool(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 3, 3, 2]);
        let y = b.node(Op::Reshape { new_shape: None }, &[y], "flat", &[1, 18]);
        let w = b.weights("matrix", 2, &[3, 18]);
        let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "matrix", &[1, 3]);
        b.network(y)
    }

    fn compile(network: &Graph, ranges: Option<Ranges>) -> (Compiled, Report) {
        let size = network.inputs.iter().map(|&id| network.tensors[id].elements()).sum();
        let samples: Vec<Vec<f32>> = (0..40).map(|seed| ramp(seed * 77 + 5, size)).collect();
        compile_float(network, &samples, &Quantize { ranges, ..Quantize::default() }, b"", &Options::default()).unwrap()
    }

    fn refused(network: &Graph) -> String {
        let size = network.inputs.iter().map(|&id| network.tensors[id].elements()).sum();
        let samples: Vec<Vec<f32>> = (0..40).map(|seed| ramp(seed * 77 + 5, size)).collect();
        compile_float(network, &samples, &Quantize::default(), b"", &Options::default()).err().unwrap().to_string()
    }

    #[test]
    fn a_border_that_never_wins_a_maximum_becomes_the_lowest_code() {
        use Between::{Leaky, Nothing, Relu, Reshape, Sum, Transpose};
        for between in [Nothing, Relu, Leaky, Transpose, Reshape, Sum] {
            for ranges in Ranges::ALL.map(Some) {
                // A border just below all data, which hardly widens the range.
                let within_tolerance = compile(&padded_pool(-2.5, between, Op::MaxPool2d), ranges);
                assert!(within_tolerance.1.snr_db > 30.0, "{between:?}: {:#?}", within_tolerance.1);
                for pad in FAR {
                    let (compiled, report) = compile(&padded_pool(pad, between, Op::MaxPool2d), ranges);
                    assert!(report.warnings.is_empty(), "{pad} {between:?}: {:?}", report.warnings);
                    assert!(report.median_snr_db > Some(30.0), "{pad} {between:?}: {report:#?}");
                    assert!(
                        compiled.bytes == within_tolerance.0.bytes,
                        "{pad} {between:?} is not as a border that is near"
                    );
                }
            }
        }
    }

    #[test]
    fn a_pool_border_becomes_the_lowest_code_of_the_range() {
        let mut b = Build::default();
        let x = b.input(&[1, 2, 2, 1]);
        let pads = b.ints(&[4, 2], &[0, 0, 1, 1, 1, 1, 0, 0]);
        let value = b.constant(&[], &[-1e9]);
        let y = b.node(Op::PadWith, &[x, pads, value], "pad", &[1, 4, 4, 1]);
        let y = b.node(Op::MaxPool2d(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 2, 2, 1]);
        let network = b.network(y);
        let mut samples: Vec<Vec<f32>> = (0..40).map(|seed| ramp(seed * 77 + 5, 4)).collect();
        let border = |samples: &[Vec<f32>], quantize: &Quantize| {
            let compiled = compile_float(&network, samples, quantize, b"", &Options::default()).unwrap().0;
            let model = tealight_format::Model::parse(&compiled.bytes).unwrap();
            let tealight_format::Operator::Pad(pad) = model.op(0).operator else { panic!("{:?}", model.op(0)) };
            pad.value as u8 as i8
        };
        let known = Quantize { input_range: Some([-10.0, 10.0]), ..Quantize::default() };
        assert_eq!(border(&samples, &known), -128);
        // An outlier below everything else, with ranges that include it and ranges that do not.
        samples[3][1] = -500.0;
        for ranges in Ranges::ALL.map(Some) {
            assert_eq!(border(&samples, &Quantize { ranges, ..Quantize::default() }), -128);
        }
    }

    #[test]
    fn rejects_an_infinite_constant_that_the_output_depends_on() {
        for op in [Op::Mul(Activation::None), Op::Add(Activation::None)] {
            let mut b = Build::default();
            let x = b.input(&[1, 4]);
            let far = b.constant(&[], &[f32::INFINITY]);
            let y = b.node(op, &[x, far], "far", &[1, 4]);
            let error = refused(&b.network(y));
            assert!(error.contains("node 0") && error.contains("is inf, but the data beside it reach"), "{error}");
        }
    }

    #[test]
    fn a_border_that_the_output_depends_on_is_kept_or_reported() {
        // The mean of a window includes the border.
        let report = compile(&padded_pool(-1.5, Between::Nothing, Op::AvgPool2d), None).1;
        assert!(report.snr_db > 30.0 && report.warnings.is_empty(), "{report:#?}");
        let report = compile(&padded_pool(-1e4, Between::Nothing, Op::AvgPool2d), None).1;
        let warning = "constant `constant_4` of node 1 (PadWith) is -10000.0, but the data beside it reach";
        assert!(report.warnings.iter().any(|one| one.starts_with(warning)), "{:?}", report.warnings);
        let error = refused(&padded_pool(f32::NEG_INFINITY, Between::Nothing, Op::AvgPool2d));
        assert!(error.contains("node 1 (PadWith) is -inf, but the data beside it reach"), "{error}");
        let error = refused(&padded_pool(-3.4e38, Between::Nothing, Op::AvgPool2d));
        assert!(
            error.contains("node 1 (PadWith) is -3.4e38") && error.contains("that is nearer to the data"),
            "{error}"
        );
    }

    /// A constant part is concatenated with the data; `maximum` decides whether it can affect the result.
    fn joined(value: f32, maximum: bool) -> Graph {
        let mut b = Build::default();
        let x = b.input(&[1, 4, 1, 2]);
        let part = b.constant(&[1, 4, 1, 2], &[value; 8]);
        let join = Op::Concat { axis: 2, activation: Activation::None };
        let y = b.node(join, &[part, x], "join", &[1, 4, 2, 2]);
        let pool = if maximum { Op::MaxPool2d } else { Op::AvgPool2d };
        let y = b.node(pool(window(Padding::Valid, 2, 2)), &[y], "pool", &[1, 2, 1, 2]);
        b.network(y)
    }

    #[test]
    fn a_concatenated_constant_that_never_wins_does_not_widen_the_range() {
        let within_tolerance = compile(&joined(-1.0, true), Some(Ranges::MinMax)).0.bytes;
        for value in FAR {
            let (compiled, report) = compile(&joined(value, true), Some(Ranges::MinMax));
            assert!(compiled.bytes == within_tolerance && report.snr_db > 35.0, "{value}: {report:#?}");
        }
        let kept = compile(&joined(-3.0, false), Some(Ranges::MinMax)).1;
        assert!(kept.snr_db > 30.0 && kept.warnings.is_empty(), "{kept:#?}");
    }

    /// The input clamped by constants from below and above, then a matrix.
    fn clamped(low: Option<&[f32]>, high: Option<&[f32]>) -> Graph {
        let mut b = Build::default();
        let mut y = b.input(&[1, 4]);
        for (op, bound, name) in [(Op::Maximum, low, "maximum"), (Op::Minimum, high, "minimum")] {
            if let Some(bound) = bound {
                let bound = b.constant(&[bound.len() as u32], bound);
                // The constant may be either operand.
                let inputs = if name == "maximum" { [y, bound] } else { [bound, y] };
                y = b.node(op, &inputs, name, &[1, 4]);
            }
        }
        let w = b.weights("matrix", 2, &[3, 4]);
        let y = b.node(Op::FullyConnected(Activation::None), &[y, w], "matrix", &[1, 3]);
        b.network(y)
    }

    fn operators(compiled: &Compiled) -> usize {
        tealight_format::Model::parse(&compiled.bytes).unwrap().op_count()
    }

    #[test]
    fn minimum_and_maximum_with_a_constant_become_clamps() {
        let plain = compile(&clamped(None, None), Some(Ranges::MinMax)).0;
        for far in FAR {
            let of_each = [far, far * 2.0, far, far];
            for (low, high) in [(Some(&[far][..]), Some(&[-far][..])), (Some(&of_each[..]), None)] {
                let (compiled, report) = compile(&clamped(low, high), Some(Ranges::MinMax));
                assert!(report.snr_db > 35.0 && report.warnings.is_empty(), "{far}: {report:#?}");
                assert_eq!(operators(&compiled), operators(&plain), "{far}");
            }
        }
        // Bounds that clamp some of the data.
        let report = compile(&clamped(Some(&[-0.25]), Some(&[0.5])), None).1;
        assert!(report.snr_db > 30.0, "{report:#?}");
        let error = refused(&clamped(Some(&[-0.25, 0.0, 0.1, 0.2]), None));
        assert!(error.contains("node 0 (Maximum)") && error.contains("one number"), "{error}");
    }

    /// Scores, some of them masked, then softmax.
    fn masked(mask: &[f32]) -> Graph {
        let mut b = Build::default();
        let x = b.input(&[1, 4]);
        let w = b.weights("scores", 1, &[4, 4]);
        let y = b.node(Op::FullyConnected(Activation::None), &[x, w], "scores", &[1, 4]);
        let mask = b.constant(&[1, 4], mask);
        let y = b.node(Op::Add(Activation::None), &[y, mask], "masked", &[1, 4]);
        let y = b.node(Op::Softmax { beta: 1.0 }, &[y], "softmax", &[1, 4]);
        b.network(y)
    }

    #[test]
    fn a_mask_before_softmax_does_not_widen_the_range_of_the_scores() {
        for far in [-1e4, -1e9, -3.4e38, f32::NEG_INFINITY] {
            let report = compile(&masked(&[0.0, far, 0.0, far]), None).1;
            assert!(report.warnings.is_empty(), "{far}: {:?}", report.warnings);
            // The softmax outputs are relative to each other, so this measures those that are not masked.
            let softmax = report.layers.iter().find(|layer| layer.name == "softmax").unwrap();
            assert!(softmax.snr_db > 28.0 && softmax.worst < 0.04, "{far}: {report:#?}");
            assert!(report.agreement > Some(0.95), "{far}: {report:#?}");
        }
    }

    #[test]
    fn the_factor_of_a_computed_mask_is_clamped() {
        let mut b = Build::default();
        let (x, which) = (b.input(&[1, 4]), b.input(&[1, 4]));
        let far = b.constant(&[], &[-1e9]);
        let mask = b.node(Op::Mul(Activation::None), &[which, far], "mask", &[1, 4]);
        let y = b.node(Op::Add(Activation::None), &[x, mask], "masked", &[1, 4]);
        let y = b.node(Op::Softmax { beta: 1.0 }, &[y], "softmax", &[1, 4]);
        let network = b.network(y);
        let which = |seed: u32| (0..4).map(move |k| if k == seed % 4 { 1.0 } else { 0.0 });
        let samples: Vec<Vec<f32>> =
            (0..40).map(|seed| ramp(seed + 1, 4).into_iter().chain(which(seed)).collect()).collect();
        let report = compile_float(&network, &samples, &Quantize::default(), b"", &Options::default()).unwrap().1;
        let softmax = report.layers.iter().find(|layer| layer.name == "softmax").unwrap();
        assert!(softmax.snr_db > 28.0 && report.warnings.is_empty(), "{report:#?}");
    }

    #[test]
    fn an_initial_value_of_state_that_never_wins_does_not_widen_the_range() {
        let mut b = Build::default();
        let x = b.input(&[1, 1, 1, 2]);
        let [state, old] = ["state", "old"].map(|name| b.real(name, &[1, 1, 1, 2]));
        b.0.tensors[state].content = Content::State(Some([-1e9f32; 2].iter().flat_map(|x| x.to_le_bytes()).collect()));
        let copy = |from: TensorId, to| crate::ir::graph::Node {
            op: NodeOp::Kernel(tealight_format::Operator::Copy(tealight_format::ops::Copy)),
            inputs: vec![Some(from)],
            outputs: vec![to],
            origin: 0,
        };
        b.0.nodes.push(copy(state, old));
        let join = Op::Concat { axis: 2, activation: Activation::None };
        let y = b.node(join, &[old, x], "join", &[1, 1, 2, 2]);
        let pool = crate::ir::Window { size: [1, 2], ..window(Padding::Valid, 1, 1) };
        let y = b.node(Op::MaxPool2d(pool), &[y], "max", &[1, 1, 1, 2]);
        b.0.nodes.push(copy(x, state));
        let report = compile(&b.network(y), Some(Ranges::MinMax)).1;
        assert!(report.snr_db > 35.0 && report.warnings.is_empty(), "{report:#?}");
    }
}
