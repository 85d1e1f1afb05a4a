//! Engines: they can read an operator's inputs, and what they write becomes its output.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::{Align16, AllOps, Budget, Engine, Kernels, Model, Operator, Part, Session};
use tealight_testing::build::{Parts, overlapping};

/// Computes additions itself: the test's inputs and output have the same scale, so it adds int8 values. `seen` counts
/// the rows.
#[derive(Default)]
struct Adder {
    seen: Vec<usize>,
}

impl Engine for Adder {
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        let Operator::Add(_) = part.operator() else { return false };
        let [a, b] = [0, 1].map(|k| part.input(k).unwrap().as_slice::<i8>().unwrap());
        let row = a.len() / part.row_count();
        assert!(part.input(2).is_none() && part.output().len as usize == a.len());
        let elements = part.rows().start * row..part.rows().end * row;
        let sum: Vec<u8> = elements.map(|i| a[i].saturating_add(b[i]) as u8).collect();
        part.output_bytes().copy_from_slice(&sum);
        self.seen.extend(part.rows());
        true
    }
}

/// Fills each output row of every operator with the number of the row.
struct Numbering;

impl Engine for Numbering {
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        let row_len = part.output().len as usize / part.row_count();
        let rows = part.rows();
        let bytes = part.output_bytes();
        assert_eq!(bytes.len(), rows.len() * row_len, "the bytes are those of the rows");
        for (row, bytes) in rows.zip(bytes.chunks_exact_mut(row_len)) {
            bytes.fill(row as u8);
        }
        true
    }
}

fn with_session<E: Engine, T>(engine: E, test: impl FnOnce(&mut Session<'_, AllOps, E>) -> T) -> T {
    let file = Parts::file(&overlapping());
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(&file);
    let model = Model::parse(&Align16::bytes(&blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let session = Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).unwrap();
    test(&mut session.with_engine(engine))
}

fn image(seed: u8) -> Vec<i8> {
    (0..64u8).map(|i| (i.wrapping_mul(37).wrapping_add(seed)) as i8 / 4).collect()
}

fn infer<E: Engine>(session: &mut Session<'_, AllOps, E>, budget: Budget) -> Vec<i8> {
    session.input(0).unwrap().copy_from(&image(3)).unwrap();
    session.input(1).unwrap().copy_from(&image(99)).unwrap();
    while session.poll(budget).is_pending() {}
    session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
}

#[test]
fn an_engine_may_compute_an_operator_that_works_in_place() {
    let expected = with_session(Kernels, |session| infer(session, Budget::unlimited()));
    let budgets = [Budget::macs(5000), Budget::unlimited(), Budget::layer(), Budget::macs(1)];
    // Miri takes a thousand times as long.
    for &budget in &budgets[..if cfg!(miri) { 2 } else { 4 }] {
        with_session(Adder::default(), |session| {
            assert_eq!(infer(session, budget), expected, "{budget:?}");
            let rows = session.model().op(1).rows as usize;
            assert_eq!(session.engine().seen, (0..rows).collect::<Vec<_>>(), "every row once and in order");
        });
    }
}

#[test]
fn an_engine_writes_the_rows_that_it_is_asked_for_and_no_others() {
    for budget in [Budget::unlimited(), Budget::macs(1)] {
        with_session(Numbering, |session| {
            let (rows, len) = (session.model().op(1).rows as usize, session.output(0).unwrap().len());
            let expected: Vec<i8> = (0..len).map(|i| (i / (len / rows)) as i8).collect();
            assert!(rows > 1);
            assert_eq!(infer(session, budget), expected, "{budget:?}");
        });
    }
}
