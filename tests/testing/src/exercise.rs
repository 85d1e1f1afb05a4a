//! Runs any model that the parser accepts, and checks what must hold for it.

use crate::random::Choices;
use tealight::{Align16, AllOps, Budget, DType, Model, Position, Progress, Session, cost_between};

/// Bytes of canary before and after the arena.
const CANARY: usize = 64;
const CANARY_BYTE: u8 = 0xa5;

/// The result for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Refused,
    /// Accepted, but too large to run in a test.
    TooLarge,
    Ran,
}

/// The maximum size of a model to run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub arena: usize,
    pub cost: u64,
}

/// Copies a file to a multiple of 16, as a memory map or a linker would place it.
pub fn aligned(file: &[u8]) -> Vec<Align16> {
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(file);
    blocks
}

/// Parses `file`. If it is a model, reads all of it, and runs it with random inputs and random slicing.
///
/// # Panics
/// If anything panics, the slicing changes a bit, an inference depends on the previous contents of its memory, or a
/// byte outside the arena changes.
pub fn exercise(file: &[u8], limits: Limits, choose: &mut Choices<'_>) -> Outcome {
    let mut blocks = aligned(file);
    let bytes: &[u8] = &Align16::bytes_mut(&mut blocks)[..file.len()];
    let Ok(model) = Model::parse(bytes) else { return Outcome::Refused };
    read_all(&model);
    // It reads every byte, which takes longer than everything else for a large file.
    if file.len() < 4096 {
        let _ = format!("{model:?}");
    }
    if model.arena_len() > limits.arena || model.cost() > limits.cost {
        return Outcome::TooLarge;
    }
    let (first, second) = (random_inputs(&model, choose), random_inputs(&model, choose));
    let mut state = Vec::new();
    let whole = with_session(&model, |session| {
        let one = infer(session, &first, Session::run);
        state = session.state().unwrap().to_vec();
        let two = infer(session, &second, Session::run);
        (one, two)
    });
    let resumed = with_session(&model, |session| {
        session.set_state(&state).unwrap();
        infer(session, &second, Session::run)
    });
    assert_eq!(resumed, whole.1, "an inference must depend on its inputs and its state only");
    if !state.is_empty() {
        // As one who does not know the model might set it.
        with_session(&model, |session| {
            state.fill_with(|| choose.word() as u8);
            session.set_state(&state).unwrap();
            infer(session, &first, Session::run)
        });
    }
    let again = with_session(&model, |session| {
        let one = infer(session, &first, |session| poll(session, choose));
        let two = infer(session, &second, |session| poll(session, choose));
        assert_eq!((&one, &two), (&whole.0, &whole.1), "the slicing shows in the outputs");
        // Stops half-way and starts again, in the memory that this leaves behind.
        let _ = session.poll(Budget::macs(model.cost() / 2));
        session.reset();
        infer(session, &first, |session| poll(session, choose))
    });
    assert_eq!(again, whole.0, "an inference must depend on its inputs and its state only");
    Outcome::Ran
}

/// Returns the outputs of one inference with random inputs; `None` if the file is refused.
pub fn outputs(file: &[u8], choose: &mut Choices<'_>) -> Option<Vec<Vec<u8>>> {
    let mut blocks = aligned(file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).ok()?;
    let inputs = random_inputs(&model, choose);
    Some(with_session(&model, |session| infer(session, &inputs, Session::run)))
}

/// Calls every accessor, with indices inside and outside.
fn read_all(model: &Model<'_>) {
    let past = [usize::MAX, usize::MAX / 2, 65_534, 65_535];
    for i in (0..=model.value_count()).chain(past) {
        let value = model.value(i);
        let constant = model.constant(&value);
        assert!(constant.is_empty() || constant.len() == value.len as usize);
    }
    let names = model.constant_names();
    assert_eq!((names.len(), names.count()), (model.constant_count(), model.constant_count()));
    assert!(model.constant_names().is_sorted_by(|a, b| a < b));
    for i in (0..=model.op_count()).chain(past) {
        let op = model.op(i);
        let _ = (model.operands(&op), model.row_bytes(&op), model.period(&op), model.op_macs(&op));
    }
    for i in (0..=model.input_count().max(model.output_count())).chain(past) {
        let known =
            [model.input(i), model.output(i)].map(|index| index.is_some_and(|index| index < model.value_count()));
        assert_eq!(known, [i < model.input_count(), i < model.output_count()]);
    }
    let whole = cost_between(model, Position::default(), Position { op: model.op_count(), row: 0, pass: 0 });
    assert_eq!(model.cost(), whole);
    let _ = (model.metadata("name"), model.metadata(""), model.macs());
}

fn with_session<T>(model: &Model<'_>, work: impl FnOnce(&mut Session<'_, AllOps>) -> T) -> T {
    let arena = model.arena_len();
    let mut memory = vec![Align16::ZERO; Align16::count(arena + 2 * CANARY)];
    let memory = Align16::bytes_mut(&mut memory);
    memory.fill(CANARY_BYTE);
    let result = {
        let part = &mut memory[CANARY..CANARY + arena];
        work(&mut Session::<AllOps>::load(model, part).unwrap())
    };
    let mut canary = memory[..CANARY].iter().chain(&memory[CANARY + arena..]);
    assert!(canary.all(|&byte| byte == CANARY_BYTE), "a byte outside the arena has changed");
    result
}

fn random_inputs(model: &Model<'_>, choose: &mut Choices<'_>) -> Vec<Vec<u8>> {
    (0..model.input_count())
        .map(|i| {
            let len = model.value(model.input(i).unwrap()).whole_len() as usize;
            let (step, start) = (choose.word() | 1, choose.word());
            (0..len as u32).map(|at| (at.wrapping_mul(step).wrapping_add(start) >> 13) as u8).collect()
        })
        .collect()
}

/// Writes the inputs, runs, and returns the bytes of all outputs. Rows of an input are written as they are wanted.
fn infer<'m>(
    session: &mut Session<'m, AllOps>,
    inputs: &[Vec<u8>],
    mut run: impl FnMut(&mut Session<'m, AllOps>),
) -> Vec<Vec<u8>> {
    for (i, bytes) in inputs.iter().enumerate() {
        if !session.model().has_row_input() {
            session.input(i).unwrap().copy_from_bytes(bytes).unwrap();
        }
    }
    loop {
        if let Some(mut rows) = session.input_rows() {
            rows.copy_from_whole(&inputs[0]).unwrap();
        }
        run(session);
        if !session.wants_rows() {
            break;
        }
        let waits = session.position();
        assert_eq!(session.poll(Budget::unlimited()), Progress::Rows, "an inference must not go on without its rows");
        assert_eq!(session.position(), waits);
    }
    (0..session.model().output_count())
        .map(|i| {
            let output = session.output(i).unwrap();
            let _ = output.argmax();
            match output.dtype() {
                // Which NaN results from an operation on two depends on the processor, and the compiler may swap the
                // operands.
                DType::F32 => output
                    .as_slice::<f32>()
                    .unwrap()
                    .iter()
                    .flat_map(|x| if x.is_nan() { f32::NAN } else { *x }.to_le_bytes())
                    .collect(),
                _ => output.as_bytes().to_vec(),
            }
        })
        .collect()
}

/// Polls with random budgets, to the end or to where rows are missing.
///
/// # Panics
/// If a poll does more than its budget, or than the longest row.
fn poll(session: &mut Session<'_, AllOps>, choose: &mut Choices<'_>) {
    let max = (session.model().cost() / 16 + 2).min(u64::from(u32::MAX)) as u32;
    loop {
        let (budget, units) = match choose.below(4) {
            0 => (Budget::layer(), u64::MAX),
            1 => {
                let units = choose.below(max).into();
                (Budget::macs(units), units)
            }
            2 => (Budget::macs(0), 0),
            _ => (Budget::macs(max.into()), max.into()),
        };
        let from = session.position();
        let progress = session.poll(budget);
        let done = progress.is_done();
        let model = session.model();
        let to = if done { Position { op: model.op_count(), row: 0, pass: 0 } } else { session.position() };
        let work = cost_between(model, from, to);
        assert!(work <= units.max(model.longest_row()), "{work} of a budget of {units}");
        if !progress.is_pending() {
            return;
        }
    }
}
