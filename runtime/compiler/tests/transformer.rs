//! A language model built from the model file's operators, compiled, and run with one token or several at a time.
#![allow(clippy::unwrap_used)]

use tealight::{Budget, Model, OwnedSession};
use tealight_compiler::builder::{Builder, compile_kernel_graph};
use tealight_compiler::graph::ElementType::{F32, I32};
use tealight_compiler::{BlockType, Options};
use tealight_format::Operator;
use tealight_format::ops::{AttentionF32, GatherF32, Positions};
use tealight_testing::llama::{Sizes, Stored, graph, random_weights};

/// Returns the scores after each of `tokens`, with `count` tokens for each inference, polled with `budget`.
fn scores(file: &[u8], tokens: &[i32], count: usize, budget: Budget) -> Vec<Vec<f32>> {
    let mut session = OwnedSession::from_bytes(file).unwrap();
    let mut scores = Vec::new();
    for tokens in tokens.chunks(count) {
        session.input(0).unwrap().copy_from(tokens).unwrap();
        while session.poll(budget).is_pending() {}
        scores.extend(
            session
                .output(0)
                .unwrap()
                .as_slice::<f32>()
                .unwrap()
                .chunks(Sizes::SMALL.vocabulary as usize)
                .map(<[f32]>::to_vec),
        );
    }
    scores
}

#[test]
fn tokens_read_one_by_one_or_several_at_a_time_or_in_slices_give_the_same_bits() {
    let weights = random_weights(&Sizes::SMALL);
    let tokens = [3, 17, 0, 39, 39, 8, 21, 30, 2, 11, 5, 6];
    for stored in [Stored::Floats(&weights), Stored::Blocks(BlockType::Q8_0, &weights)] {
        let compile =
            |count| compile_kernel_graph(graph(Sizes::SMALL, stored, count), b"", &Options::default()).unwrap().bytes;
        let one = scores(&compile(1), &tokens, 1, Budget::unlimited());
        assert_ne!(one[3], one[4], "the same token at another position");
        for count in [2, 3, 4, 12] {
            assert_eq!(scores(&compile(count), &tokens, count as usize, Budget::unlimited()), one, "{count} at a time");
        }
        let sliced = scores(&compile(4), &tokens, 4, Budget::macs(5000));
        assert_eq!(sliced, one);
    }
}

#[test]
fn a_model_whose_caches_are_full_goes_on_without_new_positions() {
    let weights = random_weights(&Sizes::SMALL);
    let file = compile_kernel_graph(graph(Sizes::SMALL, Stored::Floats(&weights), 1), b"", &Options::default());
    let many: Vec<i32> = (0..Sizes::SMALL.capacity as i32 + 5).collect();
    let scores = scores(&file.unwrap().bytes, &many, 1, Budget::unlimited());
    assert!(scores.iter().flatten().all(|score| score.is_finite()));
}

#[test]
fn a_tied_table_is_stored_once_under_its_own_name() {
    let weights = random_weights(&Sizes::SMALL);
    let graph = graph(Sizes::SMALL, Stored::Blocks(BlockType::Q8_0, &weights), 1);
    let compiled = compile_kernel_graph(graph, b"", &Options::default()).unwrap();
    let model = Model::parse(&compiled.bytes).unwrap();
    let names: Vec<&str> = model.constant_names().collect();
    let mut expected: Vec<String> = Sizes::SMALL.weights().into_iter().map(|weight| weight.0).collect();
    expected.extend(["cos".into(), "sin".into()]);
    assert_eq!(names.len(), expected.len());
    assert!(expected.iter().all(|name| names.contains(&name.as_str())), "{names:?}");
}

#[test]
fn keeps_state_writers_whose_output_is_never_read() {
    let mut b = Builder::new();
    let x = b.input("x", F32, &[1, 2, 4]);
    let seen = b.state("seen", I32, &[1]);
    let positions = b.op("positions", Operator::Positions(Positions { capacity: 3 }), [seen], I32, &[1]);
    let cache = b.state("cache", F32, &[2, 3, 2, 4]);
    let attention = Operator::AttentionF32(AttentionF32 { heads: 2, kv_heads: 2, scale: 0.5 });
    b.op("unread", attention, [x, x, x, positions, cache], F32, &[1, 2, 4]);
    b.output(seen);
    let compiled = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap();
    let model = Model::parse(&compiled.bytes).unwrap();
    let names: Vec<&str> = (0..model.op_count()).map(|i| model.op(i).operator.code().name()).collect();
    assert_eq!(names, ["Positions", "AttentionF32", "Copy"]);

    let mut session = OwnedSession::from_bytes(&compiled.bytes).unwrap();
    for seen in [1, 2, 3, 3] {
        session.input(0).unwrap().copy_from(&[1.0f32; 8]).unwrap();
        session.run();
        assert_eq!(session.output(0).unwrap().as_slice::<i32>().unwrap(), [seen]);
    }
    session.reset();
    session.run();
    assert_eq!(session.output(0).unwrap().as_slice::<i32>().unwrap(), [1]);
}

#[test]
fn a_node_that_breaks_its_rule_is_named() {
    let mut b = Builder::new();
    let x = b.input("x", I32, &[3]);
    let table = b.floats("table", &[5, 2], &[0.0; 10]);
    let y = b.op("y", Operator::GatherF32(GatherF32), [x, table], F32, &[3, 5]);
    b.output(y);
    let error = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node 0 (GatherF32)"), "{error}");

    let mut b = Builder::new();
    b.constant("short", F32, &[5, 2], vec![0; 39]);
    let error = compile_kernel_graph(b.finish(), b"", &Options::default()).unwrap_err().to_string();
    assert!(error.contains("`short`") && error.contains("39 bytes"), "{error}");
    let mut b = Builder::new();
    let x = b.input("x", F32, &[3, 2]);
    assert!(b.view(x, &[7]).unwrap_err().to_string().contains("[7]"));
    for (shape, count) in [([1, 33], 33), ([1, 0], 0), ([2, 32], 32)] {
        assert!(b.blocks("w", BlockType::Q4_0, shape, &vec![0.0; count]).is_err());
    }
    assert!(b.blocks("w", BlockType::Q4_0, [1, 32], &[f32::NAN; 32]).unwrap_err().to_string().contains("finite"));
}
