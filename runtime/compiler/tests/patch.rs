//! Networks compiled with groups of operators: less memory, the same bits.
#![allow(clippy::unwrap_used)]

use tealight::{Budget, Model, OwnedSession, Progress};
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::F32;
use tealight_compiler::graph::{Graph, TensorId};
use tealight_compiler::{CompileError, Compiled, Options, Patch};
use tealight_format::Operator;
use tealight_format::ops::{BinaryF32, Conv2dF32, DepthwiseConv2dF32, Pool2dF32};
use tealight_testing::rng::Rng;

const ANY: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

fn conv(stride: i32, pad: i32) -> Conv2dF32 {
    Conv2dF32 { stride: [stride; 2], dilation: [1, 1], pad: [pad; 2], activation: ANY }
}

/// A residual block in the middle of layers that make an image smaller, with weights of all sizes.
fn network() -> Graph {
    let mut b = Builder::new();
    let mut rng = Rng(7);
    let mut weights = |b: &mut Builder, name: &str, shape: [u32; 4]| -> TensorId {
        let floats: Vec<f32> = (0..shape.iter().product()).map(|_| rng.below(2000) as f32 / 1000.0 - 1.0).collect();
        b.floats(name, &shape, &floats)
    };
    let x = b.input("x", F32, &[1, 48, 20, 2]);
    let w = weights(&mut b, "w0", [8, 3, 3, 2]);
    let a = b.op("a", Operator::Conv2dF32(conv(1, 1)), [Some(x), Some(w), None], F32, &[1, 48, 20, 8]);
    let w = weights(&mut b, "w1", [1, 3, 3, 8]);
    let depthwise = Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(conv(1, 1)));
    let c = b.op("c", depthwise, [Some(a), Some(w), None], F32, &[1, 48, 20, 8]);
    let w = weights(&mut b, "w2", [8, 1, 1, 8]);
    let d = b.op("d", Operator::Conv2dF32(conv(1, 0)), [Some(c), Some(w), None], F32, &[1, 48, 20, 8]);
    let e = b.op("e", Operator::AddF32(BinaryF32 { activation: ANY }), [a, d], F32, &[1, 48, 20, 8]);
    let w = weights(&mut b, "w3", [4, 3, 3, 8]);
    let f = b.op("f", Operator::Conv2dF32(conv(2, 1)), [Some(e), Some(w), None], F32, &[1, 24, 10, 4]);
    let pool = Pool2dF32 { window: [2, 2], stride: [2, 2], pad: [0, 0], activation: ANY };
    let y = b.op("y", Operator::MaxPool2dF32(pool), [f], F32, &[1, 12, 5, 4]);
    b.output(y);
    b.finish()
}

fn compiled(patch: Patch) -> Compiled {
    compile_kernel_graph(network(), b"", &Options { patch, ..Options::default() }).unwrap()
}

fn with_rows(graph: Graph, patch: Patch) -> Result<Compiled, CompileError> {
    compile_kernel_graph(graph, b"", &Options { patch, input_rows: true, ..Options::default() })
}

fn outputs(compiled: &Compiled, budget: Budget) -> Vec<u8> {
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    let mut rng = Rng(3);
    let mut outputs = Vec::new();
    // Twice, so that the second inference runs in memory that the first has left behind.
    for _ in 0..2 {
        let input: Vec<f32> = (0..48 * 20 * 2).map(|_| rng.below(2000) as f32 / 100.0 - 10.0).collect();
        let bytes: Vec<u8> = input.iter().flat_map(|number| number.to_le_bytes()).collect();
        match session.input(0) {
            Some(mut whole) => whole.copy_from_bytes(&bytes).unwrap(),
            None => session.input_rows().unwrap().copy_from_whole(&bytes).unwrap(),
        }
        loop {
            match session.poll(budget) {
                Progress::Pending => {}
                Progress::Rows => session.input_rows().unwrap().copy_from_whole(&bytes).unwrap(),
                Progress::Done => break,
            }
        }
        outputs.extend_from_slice(session.output(0).unwrap().as_bytes());
    }
    outputs
}

#[test]
fn a_network_in_groups_needs_less_than_half_of_the_memory_and_computes_the_same_bits() {
    let (off, auto) = (compiled(Patch::Off), compiled(Patch::Auto));
    assert!(off.report.groups.is_empty() && !Model::parse(&off.bytes).unwrap().op_set().has_groups());
    let group = auto.report.groups[0];
    assert!(group.passes > 1 && group.last > group.first, "{group:?}");
    assert!(2 * auto.report.arena_len < off.report.arena_len, "{} of {}", auto.report.arena_len, off.report.arena_len);
    let expected = outputs(&off, Budget::unlimited());
    for budget in [Budget::unlimited(), Budget::layer(), Budget::macs(1), Budget::macs(20_000)] {
        assert_eq!(outputs(&auto, budget), expected, "{budget:?}");
    }
}

#[test]
fn the_stated_cost_is_no_less_than_what_a_group_adds() {
    let (off, auto) = (compiled(Patch::Off), compiled(Patch::Auto));
    let [before, after] = [&off, &auto].map(|compiled| Model::parse(&compiled.bytes).unwrap().cost());
    let stated: u64 = auto.report.groups.iter().map(|group| group.cost).sum();
    assert!(stated > 0 && after <= before + stated, "{after} instead of {before}, {stated} more were stated");
}

#[test]
fn of_the_groups_that_fit_into_a_length_the_cheapest_is_taken() {
    let auto = compiled(Patch::Auto);
    let cost = |compiled: &Compiled| compiled.report.groups.iter().map(|group| group.cost).sum::<u64>();
    let roomy = compiled(Patch::Arena(auto.report.arena_len * 3 / 2));
    assert!(roomy.report.arena_len <= auto.report.arena_len * 3 / 2 && cost(&roomy) < cost(&auto));
    assert!(compiled(Patch::Arena(u32::MAX)).report.groups.is_empty());
    assert_eq!(compiled(Patch::Arena(16)).report.arena_len, auto.report.arena_len);
}

#[test]
fn an_input_in_rows_needs_less_memory_and_the_outputs_have_the_same_bits() {
    let (off, auto) = (compiled(Patch::Off), compiled(Patch::Auto));
    for patch in [Patch::Off, Patch::Auto, Patch::Arena(auto.report.arena_len)] {
        let rows = with_rows(network(), patch).unwrap();
        let model = Model::parse(&rows.bytes).unwrap();
        let input = model.input_value(0).unwrap();
        assert!(model.has_row_input() && input.len < input.whole_len() / 2, "{} bytes", input.len);
        let len = rows.report.arena_len;
        assert!(len < auto.report.arena_len, "{len} of {}, {patch:?}", auto.report.arena_len);
        let expected = outputs(&off, Budget::unlimited());
        for budget in [Budget::unlimited(), Budget::layer(), Budget::macs(1), Budget::macs(20_000)] {
            assert_eq!(outputs(&rows, budget), expected, "{patch:?}, {budget:?}");
        }
    }
}

#[test]
fn a_network_whose_input_cannot_come_in_rows_is_refused_with_the_reason() {
    let reason = |graph| with_rows(graph, Patch::Auto).unwrap_err().to_string();
    let dense = |inputs: usize, shape: &[u32]| {
        let mut b = Builder::new();
        let inputs: Vec<TensorId> = (0..inputs).map(|i| b.input(&format!("x{i}"), F32, shape)).collect();
        let softmax = Operator::SoftmaxF32(tealight_format::ops::SoftmaxF32 { beta: 1.0 });
        for input in inputs {
            let y = b.op("y", softmax, [input], F32, shape);
            b.output(y);
        }
        b.finish()
    };
    assert!(reason(dense(1, &[1, 8])).contains("it is no image"), "{}", reason(dense(1, &[1, 8])));
    assert!(reason(dense(2, &[1, 8, 8, 2])).contains("has 2 inputs"), "{}", reason(dense(2, &[1, 8, 8, 2])));
    assert!(reason(dense(1, &[1, 8, 8, 2])).contains("begins with SoftmaxF32"), "{}", reason(dense(1, &[1, 8, 8, 2])));
}

/// Layers as those at the beginning of a MobileNet: a convolution with a stride of 2 and padding below alone, then depthwise
/// ones and those of 1 × 1 in turn, which make the image smaller and deeper.
fn mobile() -> Graph {
    let mut b = Builder::new();
    let mut rng = Rng(9);
    let mut weights = |b: &mut Builder, name: &str, shape: [u32; 4]| -> TensorId {
        let floats: Vec<f32> = (0..shape.iter().product()).map(|_| rng.below(2000) as f32 / 1000.0 - 1.0).collect();
        b.floats(name, &shape, &floats)
    };
    let depthwise = |conv| Operator::DepthwiseConv2dF32(DepthwiseConv2dF32(conv));
    let x = b.input("x", F32, &[1, 48, 20, 2]);
    let w = weights(&mut b, "w0", [4, 3, 3, 2]);
    let mut y = b.op("a", Operator::Conv2dF32(conv(2, 0)), [Some(x), Some(w), None], F32, &[1, 24, 10, 4]);
    let w = weights(&mut b, "w1", [1, 3, 3, 4]);
    y = b.op("b", depthwise(conv(1, 1)), [Some(y), Some(w), None], F32, &[1, 24, 10, 4]);
    let w = weights(&mut b, "w2", [8, 1, 1, 4]);
    y = b.op("c", Operator::Conv2dF32(conv(1, 0)), [Some(y), Some(w), None], F32, &[1, 24, 10, 8]);
    let w = weights(&mut b, "w3", [1, 3, 3, 8]);
    y = b.op("d", depthwise(conv(2, 0)), [Some(y), Some(w), None], F32, &[1, 12, 5, 8]);
    let w = weights(&mut b, "w4", [32, 1, 1, 8]);
    y = b.op("e", Operator::Conv2dF32(conv(1, 0)), [Some(y), Some(w), None], F32, &[1, 12, 5, 32]);
    let w = weights(&mut b, "w5", [1, 3, 3, 32]);
    y = b.op("f", depthwise(conv(1, 1)), [Some(y), Some(w), None], F32, &[1, 12, 5, 32]);
    let w = weights(&mut b, "w6", [1, 3, 3, 32]);
    y = b.op("g", depthwise(conv(2, 0)), [Some(y), Some(w), None], F32, &[1, 6, 2, 32]);
    b.output(y);
    b.finish()
}

#[test]
fn groups_that_follow_each_other_compute_the_same_bits() {
    let compile = |patch, input_rows| {
        compile_kernel_graph(mobile(), b"", &Options { patch, input_rows, ..Options::default() }).unwrap()
    };
    let (off, auto, rows) = (compile(Patch::Off, false), compile(Patch::Auto, false), compile(Patch::Auto, true));
    let groups =
        |compiled: &Compiled| compiled.report.groups.iter().map(|group| [group.first, group.last]).collect::<Vec<_>>();
    assert!(groups(&rows).windows(2).any(|pair| pair[0][1] + 1 == pair[1][0]), "{:?}", groups(&rows));
    let expected = outputs(&off, Budget::unlimited());
    for budget in [Budget::unlimited(), Budget::macs(1)] {
        assert_eq!(outputs(&auto, budget), expected, "{budget:?}");
        assert_eq!(outputs(&rows, budget), expected, "{budget:?}");
    }
}
