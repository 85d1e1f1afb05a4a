//! Networks compiled with groups of operators: less memory, the same bits.
#![allow(clippy::unwrap_used)]

use tealight::{Budget, Model, OwnedSession};
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::F32;
use tealight_compiler::graph::{Graph, TensorId};
use tealight_compiler::{Compiled, Options, Patch};
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

fn outputs(compiled: &Compiled, budget: Budget) -> Vec<u8> {
    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    let mut rng = Rng(3);
    let mut outputs = Vec::new();
    // Twice, so that the second inference runs in memory that the first has left behind.
    for _ in 0..2 {
        let input: Vec<f32> = (0..48 * 20 * 2).map(|_| rng.below(2000) as f32 / 100.0 - 10.0).collect();
        session.input(0).unwrap().copy_from(&input).unwrap();
        while session.poll(budget).is_pending() {}
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
