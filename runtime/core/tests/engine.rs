//! Engines: they see what an operator reads, and what they give is the operator's output.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::{ALL_OPS, Align16, Budget, Engine, Kernels, Model, Operator, Part, Session};
use tealight_testing::build::{Parts, overlapping};

/// Adds by its own arithmetic: the test's addition is a sum of int8 numbers with no other scale. `seen` counts its rows.
#[derive(Default)]
struct Adder {
    seen: Vec<usize>,
    output: Vec<u8>,
}

impl Engine for Adder {
    fn run(&mut self, part: &Part<'_>) -> Option<&[u8]> {
        let Operator::Add(_) = part.operator() else { return None };
        let [a, b] = [0, 1].map(|k| part.input(k).unwrap().as_slice::<i8>().unwrap());
        let row = a.len() / part.row_count();
        assert!(part.input(2).is_none() && part.output().len as usize == a.len());
        let elements = part.rows().start * row..part.rows().end * row;
        let sum = elements.map(|i| a[i].saturating_add(b[i]) as u8);
        self.output.clear();
        self.output.extend(sum);
        self.seen.extend(part.rows());
        Some(&self.output)
    }
}

/// Gives too few bytes for everything.
struct Silent;

impl Engine for Silent {
    fn run(&mut self, _: &Part<'_>) -> Option<&[u8]> {
        Some(&[])
    }
}

fn with_session<E: Engine, T>(engine: E, test: impl FnOnce(&mut Session<'_, ALL_OPS, E>) -> T) -> T {
    let file = Parts::file(&overlapping());
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(&file);
    let model = Model::parse(&Align16::bytes(&blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let session = Session::<ALL_OPS>::load(&model, Align16::bytes_mut(&mut memory)).unwrap();
    test(&mut session.with_engine(engine))
}

fn image(seed: u8) -> Vec<i8> {
    (0..64u8).map(|i| (i.wrapping_mul(37).wrapping_add(seed)) as i8 / 4).collect()
}

fn infer<E: Engine>(session: &mut Session<'_, ALL_OPS, E>, budget: Budget) -> Vec<i8> {
    session.input(0).unwrap().copy_from(&image(3)).unwrap();
    session.input(1).unwrap().copy_from(&image(99)).unwrap();
    while session.poll(budget).is_pending() {}
    session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
}

#[test]
fn an_engine_may_compute_an_operator_that_works_in_place() {
    let expected = with_session(Kernels, |session| infer(session, Budget::unlimited()));
    for budget in [Budget::unlimited(), Budget::layer(), Budget::macs(1), Budget::macs(5000)] {
        with_session(Adder::default(), |session| {
            assert_eq!(infer(session, budget), expected, "{budget:?}");
            let rows = session.model().op(1).rows as usize;
            assert_eq!(session.engine().seen, (0..rows).collect::<Vec<_>>(), "every row once and in order");
        });
    }
}

#[test]
fn an_engine_that_gives_too_little_leaves_what_was_there() {
    with_session(Silent, |session| {
        // The output lies over the first input, 16 bytes before it.
        let expected = [&[0; 16], &image(3)[..48]].concat();
        assert_eq!(infer(session, Budget::unlimited()), expected);
    });
}
