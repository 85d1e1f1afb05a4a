//! Sessions that own their model's bytes and memory.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight::{
    Align16, Budget, DType, Engine, LoadError, Model, ModelError, OpenError, Operator, OwnedSession, Part, Place,
    Position,
};
use tealight_format::ops::Copy;
use tealight_testing::build::{Parts, value};

/// A delay of one step over four rows: the output is the previous state, initially sevens, and the input becomes the
/// state.
fn delay() -> Vec<u8> {
    let of = |place, offset, live| value(place, DType::I8, &[4, 4], offset, live);
    let mut state = of(Place::State, 0, (0, 2));
    state.init = Some(0);
    let mut parts = Parts {
        constants: vec![("initial", DType::I8, vec![4, 4], vec![7; 16])],
        values: vec![of(Place::Arena, 16, (0, 1)), state, of(Place::Arena, 32, (0, 2))],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    parts.op(Operator::Copy(Copy), &[Some(2)], 3, None);
    parts.op(Operator::Copy(Copy), &[Some(1)], 2, None);
    parts.file()
}

fn step<B: AsRef<[u8]>, E: Engine>(session: &mut OwnedSession<B, E>, input: i8, budget: Budget) -> Vec<i8> {
    session.input(0).unwrap().copy_from(&[input; 16]).unwrap();
    while session.poll(budget).is_pending() {}
    session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
}

#[test]
fn state_and_position_survive_between_calls_and_reset_restores_them() {
    let file = delay();
    let mut session = OwnedSession::from_bytes(&file).unwrap();
    // The session has its own copy of the file.
    drop(file);
    for budget in [Budget::unlimited(), Budget::macs(1), Budget::layer()] {
        session.reset();
        assert_eq!(step(&mut session, 1, budget), [7; 16], "{budget:?}");
        assert_eq!(step(&mut session, 2, budget), [1; 16], "{budget:?}");
    }
    assert!(session.poll(Budget::macs(1)).is_pending());
    assert_eq!(session.position(), Position { op: 0, row: 1, pass: 0 });
    session.run();
    assert_eq!(session.position(), Position::default());
    assert!(session.input(1).is_none() && session.output(1).is_none());
    assert_eq!(session.model().op_count(), 2);
    assert_eq!(session.value(0).as_slice::<i8>(), Some(&[7; 16][..]), "a constant, in the file");
}

#[test]
fn aligned_bytes_are_used_in_place() {
    struct Borrowed<'a>(&'a [u8]);
    impl AsRef<[u8]> for Borrowed<'_> {
        fn as_ref(&self) -> &[u8] {
            self.0
        }
    }
    let file = delay();
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len() + 1)];
    let memory = Align16::bytes_mut(&mut blocks);
    memory[..file.len()].copy_from_slice(&file);
    let mut session = OwnedSession::over(Borrowed(&memory[..file.len()])).unwrap();
    assert_eq!(session.model().bytes().as_ptr(), memory.as_ptr());
    assert_eq!(step(&mut session, 1, Budget::unlimited()), [7; 16]);

    memory[1..=file.len()].copy_from_slice(&file);
    let refused = OwnedSession::over(Borrowed(&memory[1..=file.len()])).err();
    assert_eq!(refused, Some(OpenError::Load(LoadError::MisalignedModel)));
}

#[test]
fn bytes_that_are_not_a_model_are_refused_with_the_reason() {
    assert_eq!(OwnedSession::from_bytes(b"no model").err(), Model::parse(b"no model").err().map(OpenError::Model));
    let mut file = delay();
    let at = file.windows(8).position(|bytes| bytes == tealight_format::MAGIC).unwrap();
    file[at + 8] ^= 0x40;
    let refused = OwnedSession::from_bytes(&file).err();
    assert!(matches!(refused, Some(OpenError::Model(ModelError::Version { .. }))), "{refused:?}");
}

/// Fills the output of every operator that writes no state with threes.
#[derive(Default)]
struct Threes(usize);

impl Engine for Threes {
    fn compute(&mut self, part: &mut Part<'_>) -> bool {
        self.0 += 1;
        if part.output().is_state() {
            return false;
        }
        part.output_bytes().fill(3);
        true
    }
}

#[test]
fn an_engine_is_offered_operators_and_kept() {
    let mut session = OwnedSession::from_bytes(&delay()).unwrap().with_engine(Threes::default());
    assert_eq!(step(&mut session, 1, Budget::unlimited()), [3; 16]);
    assert_eq!(session.engine().0, 2);
}
