//! Sessions with several threads have the bits of sessions with one.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use std::thread::{ThreadId, current};
use tealight::{Budget, Engine, Model, OpCode, OwnedSession, Part, Threads};
use tealight_format::MAX_INPUTS;
use tealight_testing::build::overlapping;
use tealight_testing::random::{self, Choices};
use tealight_testing::rng::Rng;

/// The minimum number of random plans with each of [`cases`] that the test must meet.
const MIN_PLANS: usize = 10;

fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.next() as u8).collect()
}

/// The session's outputs, and all its state, after each of three inferences with random inputs. With `cut`, each is done
/// in slices of random cost.
fn outputs(session: &mut OwnedSession, seed: u64, cut: bool) -> Vec<Vec<u8>> {
    let (mut inputs, mut budgets) = (Rng(seed), Rng(seed ^ 0x5555));
    let mut outputs = Vec::new();
    let cost = session.model().cost();
    for _ in 0..3 {
        for i in 0..session.model().input_count() {
            let mut input = session.input(i).unwrap();
            let random = bytes(&mut inputs, input.as_bytes_mut().len());
            input.copy_from_bytes(&random).unwrap();
        }
        let mut budget = || if cut { Budget::macs(budgets.below(cost / 2 + 1)) } else { Budget::unlimited() };
        while session.poll(budget()).is_pending() {}
        let model = session.model();
        let states = (0..model.value_count()).filter(|&index| model.value(index).is_state());
        let values = model.outputs().chain(states).map(|index| bits(session, index));
        outputs.extend(values.collect::<Vec<_>>());
    }
    outputs
}

/// The bytes of a value, with one pattern for every NaN, whose bits are not specified.
fn bits(session: &OwnedSession, index: usize) -> Vec<u8> {
    let tensor = session.value(index);
    match tensor.as_slice::<f32>() {
        Some(floats) => floats.iter().flat_map(|x| if x.is_nan() { f32::NAN } else { *x }.to_le_bytes()).collect(),
        None => tensor.as_bytes().to_vec(),
    }
}

/// The names of the cases, among those that threads treat differently, that occur in a model.
fn cases(model: &Model<'_>) -> Vec<&'static str> {
    let mut cases = Vec::new();
    for index in 0..model.op_count() {
        let op = model.op(index);
        let code = op.operator.code();
        let operands = model.operands(&op);
        let (output, rows) = (operands.output, op.rows);
        let overlaps = |k: usize| {
            operands.input(k).is_some_and(|input| {
                !input.is_constant()
                    && input.offset < output.offset + output.len
                    && output.offset < input.offset + input.len
            })
        };
        let attends = code == OpCode::AttentionF32;
        if rows < 2 {
            continue;
        }
        cases.push(match (op.scratch.map(|scratch| model.value(scratch.into())), code.state_input()) {
            (_, None) if code == OpCode::FullyConnectedBlock => "a workspace",
            (Some(_), Some(_)) if attends => "a cache, and an output over its inputs",
            (None, Some(_)) if attends => "a cache",
            (_, Some(_)) => "rows that write state",
            (Some(scratch), None) if (0..MAX_INPUTS).any(overlaps) => {
                if scratch.len > output.len / rows {
                    "several rows at once over their inputs"
                } else {
                    "rows over their inputs"
                }
            }
            (Some(_), None) => "rows by way of scratch memory",
            (None, None) => "rows apart from their inputs",
        });
    }
    cases.sort_unstable();
    cases.dedup();
    cases
}

#[test]
fn any_number_of_threads_has_the_bits_of_one() {
    let mut met = BTreeMap::new();
    for seed in 0..2000 {
        let choices = bytes(&mut Rng(seed), 900);
        let file = random::plan(&mut Choices::new(&choices)).file();
        let Ok(mut one) = OwnedSession::from_bytes(&file) else { continue };
        if one.model().arena_len() > 1 << 20 || one.model().cost() > 1_000_000 {
            continue;
        }
        for case in cases(&one.model()) {
            *met.entry(case).or_insert(0) += 1;
        }
        let expected = outputs(&mut one, seed, false);
        let count = 2 + seed as usize % 4;
        let threads = Threads::new(count).min_cost(0);
        let mut session = OwnedSession::from_bytes(&file).unwrap().with_threads(threads).unwrap();
        for cut in [false, true] {
            session.reset();
            assert!(outputs(&mut session, seed, cut) == expected, "seed {seed}, {count} threads, cut: {cut}");
        }
    }
    let expected = [
        "a cache",
        "a cache, and an output over its inputs",
        "a workspace",
        "rows apart from their inputs",
        "rows by way of scratch memory",
        "rows over their inputs",
        "rows that write state",
        "several rows at once over their inputs",
    ];
    for case in expected {
        assert!(met.get(case).is_some_and(|&plans| plans >= MIN_PLANS), "{case} in too few plans: {met:?}");
    }
}

/// Fills the output of the second operator with threes, and notes the threads that it is called on.
#[derive(Default)]
struct Threes(Vec<ThreadId>);

impl Engine for Threes {
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        self.0.push(current().id());
        let computes = part.operator().code() == OpCode::Add;
        if computes {
            part.output_bytes().fill(3);
        }
        computes
    }
}

/// The threads on which the engine of a session with `threads` was called for one inference with this budget.
fn called_on(threads: Threads, budget: Budget) -> Vec<ThreadId> {
    let session = OwnedSession::from_bytes(&overlapping().file()).unwrap().with_engine(Threes::default());
    let mut session = session.with_threads(threads).unwrap();
    while session.poll(budget).is_pending() {}
    assert_eq!(session.output(0).unwrap().as_slice::<i8>(), Some(&[3; 64][..]), "the engine comes first");
    session.engine().0.clone()
}

#[test]
fn an_engine_is_kept_and_small_work_stays_on_the_calling_thread() {
    let here = [current().id(); 2];
    assert_eq!(called_on(Threads::new(1).min_cost(0), Budget::unlimited()), here, "one thread");
    assert_eq!(called_on(Threads::new(0).min_cost(0), Budget::unlimited()), here, "no thread is one");
    assert_eq!(called_on(Threads::new(2), Budget::unlimited()), here, "a small model");
    let model_cost = OwnedSession::from_bytes(&overlapping().file()).unwrap().model().cost();
    let (small, large) = (Budget::macs(model_cost - 1), Budget::macs(model_cost));
    assert!(called_on(Threads::new(2).min_cost(model_cost), small).iter().all(|id| *id == here[0]), "a small budget");
    assert!(called_on(Threads::new(2).min_cost(model_cost), large).iter().all(|id| *id != here[0]), "threads");
}
