//! Every model that the parser accepts runs to its end: nearly valid plans over all operators, and damaged files.
//!
//! A debug build checks every index and every sum; a panic is a failure. `tests/fuzz` does the same with a fuzzer.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use proptest::prelude::*;
use proptest::test_runner::{TestRng, TestRunner};
use std::cell::RefCell;
use tealight::{Align16, AllOps, DType, Model, OpCode, Operator, Place, Session};
use tealight_format::ops::{ActivationRange, Conv2dF32, Copy, Pool2d};
use tealight_testing::build::{self, Parts, arena, overlapping, relu, value};
use tealight_testing::exercise::{self, Limits, Outcome, aligned, exercise};
use tealight_testing::random::{self, Choices};

/// Miri takes a thousand times as long.
const LIMITS: Limits =
    if cfg!(miri) { Limits { arena: 1 << 16, cost: 30_000 } } else { Limits { arena: 1 << 20, cost: 1_000_000 } };

fn config(cases: u32) -> ProptestConfig {
    let cases = if cfg!(miri) { cases / 1000 } else { cases };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() }
}

/// The bytes from which a plan is generated, and those for its inputs and budgets.
fn choices() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let most = if cfg!(miri) { 250 } else { 900 };
    (prop::collection::vec(any::<u8>(), 0..most), prop::collection::vec(any::<u8>(), 0..most / 4))
}

/// Runs a test on choices that are the same each time: it counts what the builder reaches. The others try new ones, as the
/// fuzzer does.
fn for_choices(cases: u32, test: impl FnMut(&[u8], &[u8]) -> Result<(), TestCaseError>) {
    let config = config(cases);
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let test = RefCell::new(test);
    TestRunner::new_with_rng(config, rng).run(&choices(), |(plan, rest)| test.borrow_mut()(&plan, &rest)).unwrap();
}

/// What becomes of a plan. One that runs must have the outputs that it has when its values share no memory.
fn outcome(parts: &Parts, rest: &[u8]) -> Result<Outcome, TestCaseError> {
    let file = parts.file();
    let outcome = exercise(&file, LIMITS, &mut Choices::new(rest));
    if outcome == Outcome::Ran {
        let outputs = |file: &[u8]| exercise::outputs(file, &mut Choices::new(rest));
        let apart = random::apart(parts).file();
        prop_assert_eq!(outputs(&file), outputs(&apart), "sharing memory shows in the outputs");
    }
    Ok(outcome)
}

#[test]
fn accepted_plans_run_to_their_end() {
    // An operator is accepted in as many of them on average.
    const EACH: u32 = 60;
    const CASES: u32 = EACH * OpCode::ALL.len() as u32;
    let mut accepted = vec![0u32; OpCode::ALL.len()];
    let (mut ran, mut refused, mut shared) = (0, 0, 0);
    for_choices(CASES, |plan, rest| {
        let parts = random::plan(&mut Choices::new(plan));
        match outcome(&parts, rest)? {
            Outcome::Refused => refused += 1,
            Outcome::TooLarge => {}
            Outcome::Ran => {
                ran += 1;
                for op in &parts.ops {
                    let at = OpCode::ALL.iter().position(|&code| code == op.operator.code()).unwrap();
                    accepted[at] += 1;
                    shared += u32::from(overlaps_an_input(&parts, op));
                }
            }
        }
        Ok(())
    });
    if cfg!(miri) {
        return;
    }
    // The builder must keep reaching all of this.
    for (&code, &count) in OpCode::ALL.iter().zip(&accepted) {
        assert!(count > EACH / 2, "{} was accepted only {count} times", code.name());
    }
    assert!(
        ran > CASES / 3 && refused > CASES / 50 && shared > CASES / 50,
        "{ran} ran, {refused} not, {shared} shared"
    );
}

#[test]
fn groups_that_are_accepted_read_only_rows_that_are_in_memory() {
    const CASES: u32 = 3000;
    let (mut ran, mut in_part, mut reused) = (0, 0, 0);
    for_choices(CASES, |plan, rest| {
        let parts = random::grouped_plan(&mut Choices::new(plan));
        let Some(group) = parts.ops.iter().position(|op| !op.group.is_none()) else { return Ok(()) };
        if outcome(&parts, rest)? == Outcome::Ran {
            ran += 1;
            let last = group + usize::from(parts.ops[group].group.after);
            let shares = parts.ops[group..=last].iter().any(|op| {
                let first = tealight::Op { output: op.output, ..parts.ops[group] };
                overlaps_an_input(&parts, &first)
            });
            reused += u32::from(shares);
            in_part += u32::from(parts.values.iter().any(|v| v.len < v.whole_len()));
        }
        Ok(())
    });
    if cfg!(miri) {
        return;
    }
    // The builder must keep reaching all of this.
    assert!(
        ran > CASES / 10 && in_part > CASES / 30 && reused > CASES / 50,
        "{ran} ran, {in_part} with values in part, {reused} over an input"
    );
}

#[test]
fn an_input_in_rows_leads_to_the_outputs_of_a_whole_one() {
    const CASES: u32 = 5000;
    let (mut ran, mut in_part, mut refused) = (0, 0, 0);
    for_choices(CASES, |plan, rest| {
        let parts = random::plan_in_rows(&mut Choices::new(plan));
        let input = parts.values.iter().take(parts.inputs.into()).find(|v| v.rows.is_some());
        let Some(input) = input else { return Ok(()) };
        match outcome(&parts, rest)? {
            Outcome::Refused => refused += 1,
            Outcome::TooLarge => {}
            Outcome::Ran => {
                ran += 1;
                in_part += u32::from(input.len < input.whole_len());
            }
        }
        Ok(())
    });
    if cfg!(miri) {
        return;
    }
    // The builder must keep reaching all of this.
    assert!(
        ran > CASES / 15 && in_part > CASES / 40 && refused > CASES / 20,
        "{ran} ran, {in_part} with some rows in memory, {refused} refused"
    );
}

/// Whether the output of `op` overlaps one of its inputs.
fn overlaps_an_input(parts: &Parts, op: &tealight::Op) -> bool {
    let get = |i: u16| usize::from(i).checked_sub(parts.constants.len()).map(|i| parts.values[i]);
    let Some(output) = get(op.output) else { return false };
    op.inputs.iter().flatten().filter_map(|&i| get(i)).any(|input| {
        input.place == output.place && u64::from(input.offset) < output.end() && u64::from(output.offset) < input.end()
    })
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn damaged_files_run_to_their_end(
        (plan, rest) in choices(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        how in 0..4,
    ) {
        let mut file = random::plan(&mut Choices::new(&plan)).file();
        match how {
            // Flips a bit of the plan's records: any byte of a constant is valid anyway.
            0 | 1 => {
                let records = build::plan_at(&file)..file.len().min(build::plan_at(&file) + 1200);
                for (at, bit) in changes {
                    file[records.start + at.index(records.len())] ^= 1 << (bit % 8);
                }
            }
            2 => {
                let other = if rest.len() % 2 == 0 { relu().file() } else { overlapping().file() };
                let cut = changes[0].0.index(file.len());
                file.truncate(cut);
                file.extend(&other[cut.min(other.len())..]);
            }
            _ => {
                let (from, to) = (changes[0].0.index(file.len()), rest.len().min(file.len()));
                let part = file[from..].to_vec();
                file.truncate(to);
                file.extend(part);
            }
        }
        exercise(&file, LIMITS, &mut Choices::new(&rest));
    }

    #[test]
    fn any_constants_run_to_their_end(
        (plan, rest) in choices(),
        which in any::<prop::sample::Index>(),
        fill in prop::sample::select(&[0u8, 0x7f, 0x80, 0xff]),
    ) {
        let mut parts = random::plan(&mut Choices::new(&plan));
        if !parts.constants.is_empty() {
            let which = which.index(parts.constants.len());
            let fills = parts.constants[which].1 != DType::I32;
            for (i, byte) in parts.constants[which].3.iter_mut().enumerate() {
                // In a table of channels, only the biases: a multiplier out of range is simply refused.
                if fills || i % 12 < 4 {
                    *byte = fill;
                }
            }
        }
        exercise(&parts.file(), LIMITS, &mut Choices::new(&rest));
    }
}

/// Small models for the fuzzer to start from, with at least one for each operator. `TEALIGHT_BLESS=1` writes them
/// again.
#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn the_seeds_of_the_fuzzer_are_models() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds"));
    let runs = |file: &[u8]| exercise(file, LIMITS, &mut Choices::new(&[])) == Outcome::Ran;
    if std::env::var_os("TEALIGHT_BLESS").is_some() {
        let write = |name: &str, file: &[u8]| std::fs::write(folder.join(format!("{name}.safetensors")), file).unwrap();
        write("relu", &relu().file());
        write("overlapping", &overlapping().file());
        write("rows", &build::in_rows().file());
        let file_of = |state: u32, plan: fn(&mut Choices<'_>) -> Parts| {
            let mut state = state;
            let bytes = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let bytes: Vec<u8> = bytes.take(900).collect();
            let parts = plan(&mut Choices::new(&bytes));
            (parts.file(), parts)
        };
        // Tests of long files repeat an operator that writes not only to state.
        let writes_to_arena = |file: &[u8], code| {
            let model = Model::parse(file).unwrap();
            let mut ops = (0..model.op_count()).map(|i| model.op(i));
            ops.any(|op| op.operator.code() == code && model.value(op.output.into()).is_arena())
        };
        let in_part = |parts: &Parts| parts.values.iter().any(|v| v.len < v.whole_len());
        let mut files = (1u32..20_000).map(|seed| file_of(seed, random::grouped_plan));
        let group = files.find(|(file, parts)| in_part(parts) && file.len() < 2500 && runs(file));
        write("group", &group.unwrap().0);
        for &code in OpCode::ALL {
            // The tables of this one take 2 KiB.
            let longest = if code == OpCode::SoftmaxI16 { 4000 } else { 2500 };
            let mut files = (1u32..20_000).filter_map(|seed| {
                let (file, parts) = file_of(seed, random::plan);
                let has = parts.ops.iter().any(|op| op.operator.code() == code);
                Some(file).filter(|file| has && file.len() < longest && runs(file) && writes_to_arena(file, code))
            });
            write(code.name(), &files.next().unwrap());
        }
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            runs(&std::fs::read(&path).unwrap()),
            "{} does not run: `cargo xtask renew` makes it anew",
            path.display()
        );
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    assert!(OpCode::ALL.iter().all(|code| names.iter().any(|name| name == code.name())), "{names:?}");
    assert!(["group", "rows"].iter().all(|own| names.iter().any(|name| name == own)), "{names:?}");
}

/// Runs a model with one int8 input and returns its first output.
fn run(parts: &Parts, input: &[i8]) -> Vec<u8> {
    let file = parts.file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let mut session = Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).unwrap();
    session.input(0).unwrap().copy_from(input).unwrap();
    session.run();
    session.output(0).unwrap().as_bytes().to_vec()
}

#[test]
fn a_copy_to_another_shape_copies_everything() {
    // The two shapes have different rows: [4, 1, 1] has four rows, [4] has one.
    for (from, to) in
        [(&[4u32, 1, 1][..], &[4u32][..]), (&[4], &[4, 1, 1]), (&[2, 2], &[4, 1]), (&[1, 4, 1], &[2, 2, 1])]
    {
        let mut parts = Parts {
            values: vec![arena(from, 0, (0, 0)), value(Place::Arena, DType::I8, to, 16, (0, 1))],
            inputs: 1,
            outputs: vec![1],
            ..Parts::default()
        };
        parts.op(Operator::Copy(Copy), &[Some(0)], 1, None);
        assert_eq!(run(&parts, &[1, 2, 3, 4]), [1, 2, 3, 4], "{from:?} to {to:?}");
    }
}

#[test]
fn a_window_of_any_extent_is_checked_without_overflow() {
    // 2^48 taps of 2^20 elements: the work would exceed 64 bits if taps in the padding were counted.
    let pool = |size, width| {
        let attrs = Pool2d { window: [size; 2], stride: [1, 1], pad: [0, 0], activation: ActivationRange::FULL };
        let input = arena(&[1, 1, width, 4], 0, (0, 0));
        let output = value(Place::Arena, DType::I8, &[1, 1, width, 4], align(input.end()), (0, 1));
        let mut parts = Parts { values: vec![input, output], inputs: 1, outputs: vec![1], ..Parts::default() };
        parts.op(Operator::MaxPool2d(attrs), &[Some(0)], 1, None);
        Model::parse(&parts.file()).unwrap().cost()
    };
    // Only taps inside the input are work.
    assert!(pool(1, 1 << 18) < 1 << 26);
    assert_eq!(pool(1 << 24, 1 << 10), pool(1 << 10, 1 << 10));
}

fn align(n: u64) -> u32 {
    tealight_format::align16(n) as u32
}

#[test]
fn a_single_tap_may_have_any_dilation_and_stride_on_hosts_of_any_width() {
    // Strides of 2^31 pixels that no window position uses: in 32 bits, their products wrap.
    let odd = i32::MAX;
    for size in [[1u32, 1], [1, 2], [2, 1]] {
        let step = size.map(|size| if size == 1 { odd } else { 1 });
        let (input, output) = ([1, 3, 2, 4], [1, 1, 1, 6]);
        let weights = [6, size[0], size[1], 2];
        let zeros = |count: u32| vec![0u8; 4 * count as usize];
        let dims = |dims: &[u32]| dims.iter().product::<u32>();
        let mut parts = Parts {
            constants: vec![("w", DType::F32, weights.to_vec(), zeros(dims(&weights)))],
            values: vec![
                value(Place::Arena, DType::F32, &input, 0, (0, 0)),
                value(Place::Arena, DType::F32, &output, 96, (0, 1)),
            ],
            inputs: 1,
            outputs: vec![2],
            ..Parts::default()
        };
        let conv =
            Conv2dF32 { stride: step, dilation: step, pad: [0, 0], activation: [f32::NEG_INFINITY, f32::INFINITY] };
        parts.op(Operator::Conv2dF32(conv), &[Some(1), Some(0), None], 2, None);
        assert_eq!(exercise(&parts.file(), LIMITS, &mut Choices::new(&[])), Outcome::Ran, "{size:?}");
    }
}
