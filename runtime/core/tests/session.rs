//! Sessions: polling, overlapping memory, streaming state, and what is refused.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use tealight::cost_between;
use tealight::{
    Align16, AllOps, Arena, BlockType, Budget, DType, Limit, LoadError, Model, OpCode, OpSet, Operator, Ops, Paths,
    Place, Position, Progress, Session, StateError, TensorError,
};
use tealight_format::Quantization;
use tealight_format::ops::{ActivationRange, CALL_COST, Conv2d, Copy, FullyConnectedBlock};
use tealight_testing::build::{
    Parts, arena, in_rows, neuron_of_int4, neurons_in_pairs, neurons_of_bytes, overlapping, relu, value,
};

/// A file aligned to 16, as a memory map or a linker would place it.
fn aligned(file: &[u8]) -> Vec<Align16> {
    let mut blocks = vec![Align16::ZERO; Align16::count(file.len())];
    Align16::bytes_mut(&mut blocks)[..file.len()].copy_from_slice(file);
    blocks
}

fn with_session<T>(parts: &Parts, test: impl FnOnce(&mut Session<'_, AllOps>) -> T) -> T {
    let file = parts.file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    test(&mut Session::<AllOps>::load(&model, Align16::bytes_mut(&mut memory)).unwrap())
}

/// What `build::overlapping` computes, from its definition: half the sum of the 3x3 neighbourhood (twice the multiplier
/// of one half, rounded half away from zero), plus the second input.
fn expected_overlapping(image: &[i8], other: &[i8]) -> Vec<i8> {
    let pixel = |y: i32, x: i32| {
        if (0..8).contains(&y) && (0..8).contains(&x) { i32::from(image[(y * 8 + x) as usize]) } else { 0 }
    };
    (0..64)
        .map(|i| {
            let (y, x) = (i / 8, i % 8);
            let sum: i32 =
                (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))).map(|(dy, dx)| pixel(y + dy, x + dx)).sum();
            // 2^30 * 2^-31 with one more right shift: a quarter, each step rounded half away from zero (ties of the
            // first step, the doubling high product, go up).
            let half = (f64::from(sum) / 2.0 + 0.5).floor() as i32;
            let quarter = (f64::from(half) / 2.0).round() as i32;
            let conv = quarter.clamp(-128, 127);
            // Both operands are halved after a shift by 20, and the sum halved and shifted back by 18:
            // 2^20 / 2 / 2 = 2^18.
            (conv + i32::from(other[i as usize])).clamp(-128, 127) as i8
        })
        .collect()
}

fn image(seed: u8) -> Vec<i8> {
    (0..64u8).map(|i| (i.wrapping_mul(37).wrapping_add(seed)) as i8 / 4).collect()
}

/// [`overlapping`], with scratch values of these numbers of rows, above all other values.
fn with_rows(rows: [u32; 2]) -> Parts {
    let mut parts = overlapping();
    for (i, at) in [3, 5].into_iter().enumerate() {
        let old = parts.values[at];
        parts.values[at] = value(Place::Arena, DType::U8, &[8 * rows[i]], 160, (old.first, old.last));
    }
    parts
}

fn run_overlapping(parts: &Parts, budgets: impl Fn(usize) -> Budget) -> Vec<i8> {
    with_session(parts, |session| {
        session.input(0).unwrap().copy_from(&image(3)).unwrap();
        session.input(1).unwrap().copy_from(&image(99)).unwrap();
        let mut polls = 0;
        while session.poll(budgets(polls)).is_pending() {
            polls += 1;
        }
        session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
    })
}

#[test]
fn an_output_over_its_input_has_the_same_bytes_as_one_apart() {
    let expected = expected_overlapping(&image(3), &image(99));
    assert!(expected.iter().any(|&q| q != expected[0]), "the test must be able to fail");
    assert_eq!(run_overlapping(&overlapping(), |_| Budget::unlimited()), expected);
}

#[test]
fn polling_by_layers_visits_every_operator() {
    with_session(&overlapping(), |session| {
        assert_eq!(session.poll(Budget::layer()), Progress::Pending);
        assert_eq!(session.position(), Position { op: 1, row: 0, pass: 0 });
        assert_eq!(session.poll(Budget::layer()), Progress::Done);
        assert_eq!(session.position(), Position::default());
    });
}

/// Miri takes a thousand times as long: half as many as it is asked for.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if cfg!(miri) { default.cases.div_ceil(2) } else { 200 };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_budgets_and_scratch_rows_produce_the_same_bytes(
        budgets in prop::collection::vec(0u64..9000, 1..20),
        rows in [1u32..=8, 1u32..=8],
    ) {
        let expected = expected_overlapping(&image(3), &image(99));
        let parts = with_rows(rows);
        prop_assert_eq!(run_overlapping(&parts, |i| Budget::macs(budgets[i % budgets.len()])), expected);
    }

    #[test]
    fn a_poll_does_at_most_its_budget_or_one_row(budgets in prop::collection::vec(0u64..9000, 1..20)) {
        with_session(&overlapping(), |session| {
            let model = *session.model();
            for &budget in budgets.iter().cycle().take(if cfg!(miri) { 6 } else { 40 }) {
                let before = session.position();
                let progress = session.poll(Budget::macs(budget));
                let after = if progress.is_done() { Position { op: 2, row: 0, pass: 0 } } else { session.position() };
                let work = cost_between(&model, before, after);
                let row = u64::from(CALL_COST) + u64::from(model.op(before.op).row_cost);
                assert!(work > 0 && work <= budget.max(row), "{work} of {budget}, a row is {row}");
                // Nor does it stop while another row is affordable.
                let next = u64::from(CALL_COST) + u64::from(model.op(after.op).row_cost);
                assert!(progress.is_done() || work + next > budget, "{work} of {budget}, and {next} was next");
            }
        });
    }
}

/// A delay of one step: the output is the previous state, the input becomes the state.
fn delay() -> Parts {
    let mut state = value(Place::State, DType::I8, &[4], 0, (0, 2));
    state.init = Some(0);
    let mut parts = Parts {
        constants: vec![("initial", DType::I8, vec![4], vec![7, 7, 7, 7])],
        values: vec![arena(&[4], 16, (0, 1)), state, arena(&[4], 32, (0, 2))],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    parts.op(Operator::Copy(Copy), &[Some(2)], 3, None);
    parts.op(Operator::Copy(Copy), &[Some(1)], 2, None);
    parts
}

#[test]
fn state_survives_a_run_and_reset_restores_it() {
    with_session(&delay(), |session| {
        let mut step = |input: [i8; 4]| {
            session.input(0).unwrap().copy_from(&input).unwrap();
            session.run();
            session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
        };
        assert_eq!(step([1, 2, 3, 4]), [7; 4]);
        assert_eq!(step([5, 6, 7, 8]), [1, 2, 3, 4]);
        session.reset();
        session.run();
        assert_eq!(session.output(0).unwrap().as_slice::<i8>().unwrap(), [7; 4]);
    });
}

#[test]
fn a_session_goes_on_from_the_state_of_another() {
    let parts = delay();
    let step = |session: &mut Session<'_, AllOps>, input: [i8; 4]| {
        session.input(0).unwrap().copy_from(&input).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
    };
    let state = with_session(&parts, |session| {
        assert_eq!(session.state().unwrap()[..4], [7; 4]);
        step(session, [1, 2, 3, 4]);
        assert!(session.poll(Budget::layer()).is_pending());
        assert_eq!(session.state(), None, "an inference is in progress");
        session.reset();
        step(session, [1, 2, 3, 4]);
        session.state().unwrap().to_vec()
    });
    with_session(&parts, |session| {
        assert!(session.poll(Budget::layer()).is_pending());
        let error = session.set_state(&state[1..]).unwrap_err();
        assert_eq!(error, StateError { expected: state.len(), found: state.len() - 1 });
        assert_eq!(session.position().op, 1, "nothing has changed");
        session.set_state(&state).unwrap();
        assert_eq!(session.position(), Position::default());
        assert_eq!(step(session, [5, 6, 7, 8]), [1, 2, 3, 4]);
    });
}

#[test]
fn an_awaited_inference_yields_between_slices_and_ends_once() {
    let expected = expected_overlapping(&image(3), &image(99));
    with_session(&overlapping(), |session| {
        session.input(0).unwrap().copy_from(&image(3)).unwrap();
        session.input(1).unwrap().copy_from(&image(99)).unwrap();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        {
            let mut dropped = session.infer(Budget::macs(500));
            assert!(Pin::new(&mut dropped).poll(&mut context).is_pending());
        }
        assert_ne!(session.position(), Position::default(), "it stays where it is");
        let mut infer = session.infer(Budget::macs(500));
        let mut slices = 1;
        while Pin::new(&mut infer).poll(&mut context).is_pending() {
            slices += 1;
            assert_eq!(wakes.0.load(Ordering::Relaxed), slices, "one for each slice that was not the last");
        }
        assert!(slices > 10, "{slices}");
        assert!(Pin::new(&mut infer).poll(&mut context).is_ready(), "it does not start anew");
        assert_eq!(session.position(), Position::default());
        assert_eq!(session.output(0).unwrap().as_slice::<i8>().unwrap(), expected);
    });
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_reset_abandons_an_inference_in_progress() {
    with_session(&overlapping(), |session| {
        assert!(session.poll(Budget::macs(1)).is_pending());
        session.reset();
        assert_eq!(session.position(), Position::default());
    });
}

#[test]
fn elements_of_another_type_or_number_are_refused_and_change_nothing() {
    with_session(&relu(), |session| {
        session.input(0).unwrap().copy_from(&[1i8, 2, 3]).unwrap();
        let mut input = session.input(0).unwrap();
        assert_eq!(input.copy_from(&[1i8; 4]), Err(TensorError::Length { expected: 3, found: 4 }));
        assert_eq!(input.copy_from(&[200u8; 3]), Err(TensorError::Type { expected: DType::I8, found: DType::U8 }));
        assert_eq!(input.copy_from(&[1f32; 3]), Err(TensorError::Type { expected: DType::I8, found: DType::F32 }));
        assert_eq!(input.copy_from_bytes(&[0; 2]), Err(TensorError::Bytes { expected: 3, found: 2 }));
        assert_eq!(input.as_slice_mut::<i8>(), Some(&mut [1, 2, 3][..]));
        assert_eq!(input.as_slice_mut::<f32>(), None, "it has another type");
        input.copy_from_bytes(&[255, 4, 5]).unwrap();
        let input = input.as_slice_mut::<i8>().unwrap().to_vec();
        assert_eq!(input, [-1, 4, 5]);
        session.run();
        let output = session.output(0).unwrap();
        assert_eq!((output.as_slice::<i8>(), output.as_slice::<u8>()), (Some(&[0, 4, 5][..]), None));
        let mut copied = [0i8; 3];
        output.copy_to(&mut copied).unwrap();
        assert_eq!(copied, [0, 4, 5]);
        assert_eq!(output.copy_to(&mut [0u8; 3]), Err(TensorError::Type { expected: DType::I8, found: DType::U8 }));
        assert!(session.input(1).is_none() && session.output(1).is_none(), "there is one of each");
    });
}

#[test]
fn models_that_cannot_run_here_are_refused_with_the_reason() {
    struct OnlyConv2d;
    impl Ops for OnlyConv2d {
        const SET: OpSet = OpSet::of(&[OpCode::Conv2d]);
    }
    let file = relu().file();
    let mut blocks = aligned(&file);
    let bytes = &Align16::bytes_mut(&mut blocks)[..file.len()];
    let model = Model::parse(bytes).unwrap();
    let mut arena = Arena::<64>::new();
    let memory = arena.bytes_mut();
    let refused = |result: Result<Session<'_, AllOps>, LoadError>| result.expect_err("must be refused");
    assert_eq!(refused(Session::load(&model, &mut memory[..16])), LoadError::ArenaTooSmall { needed: 32, given: 16 });
    assert_eq!(refused(Session::load(&model, &mut memory[1..])), LoadError::MisalignedMemory);
    let other = Session::<OnlyConv2d>::load(&model, memory).err();
    assert_eq!(other, Some(LoadError::MissingOperator { operator: OpCode::Lookup }));

    let mut shifted = vec![Align16::ZERO; Align16::count(file.len() + 1)];
    let shifted = &mut Align16::bytes_mut(&mut shifted)[1..=file.len()];
    shifted.copy_from_slice(&file);
    let model = Model::parse(shifted).unwrap();
    assert_eq!(refused(Session::load(&model, memory)), LoadError::MisalignedModel);
}

#[test]
fn sums_of_i8_weights_are_scaled_and_a_session_without_them_refuses_the_model() {
    let outputs = with_session(&neurons_of_bytes(), |session| {
        session.input(0).unwrap().copy_from(&[2f32, 3.0]).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
    });
    assert_eq!(outputs, [0.5 * 8.0 + 1.0, 2.0 * 18.0 - 1.0]);

    struct WithoutI8Weights;
    impl Ops for WithoutI8Weights {
        const SET: OpSet = OpSet::of(OpCode::ALL).with_f16();
    }
    let file = neurons_of_bytes().file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let refused = Session::<WithoutI8Weights>::load(&model, Align16::bytes_mut(&mut memory)).err();
    assert_eq!(refused, Some(LoadError::MissingI8Weights));
    assert!(LoadError::MissingI8Weights.to_string().contains("i8 weights"));
}

#[test]
fn weights_in_pairs_are_read_in_place_and_a_session_without_them_refuses_the_model() {
    let outputs = with_session(&neurons_in_pairs(), |session| {
        session.input(0).unwrap().copy_from(&[2i8, 0, 4, 0, -6, 0, 0, 10]).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<i8>().unwrap().to_vec()
    });
    // Halves of 10, -10, 8 - 24 + 70 and -20.
    assert_eq!(outputs, [5, -5, 27, -10]);

    struct WithoutPairs;
    impl Ops for WithoutPairs {
        const SET: OpSet = OpSet::of(OpCode::ALL).with_i4_weights();
    }
    let file = neurons_in_pairs().file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let refused = Session::<WithoutPairs>::load(&model, Align16::bytes_mut(&mut memory)).err();
    assert_eq!(refused, Some(LoadError::MissingPairedWeights));
    assert!(LoadError::MissingPairedWeights.to_string().contains("in pairs"));
}

#[test]
fn int4_weights_are_read_in_place_and_a_session_without_them_refuses_the_model() {
    let outputs = with_session(&neuron_of_int4(), |session| {
        session.input(0).unwrap().copy_from(&[2f32, 3.0, 5.0]).unwrap();
        session.run();
        session.output(0).unwrap().as_slice::<f32>().unwrap().to_vec()
    });
    assert_eq!(outputs, [0.5 * (2.0 - 6.0 + 15.0) + 1.0]);

    struct WithoutI4Weights;
    impl Ops for WithoutI4Weights {
        const SET: OpSet = OpSet::of(OpCode::ALL).with_f16().with_i8_weights();
    }
    let file = neuron_of_int4().file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
    let refused = Session::<WithoutI4Weights>::load(&model, Align16::bytes_mut(&mut memory)).err();
    assert_eq!(refused, Some(LoadError::MissingI4Weights));
    assert!(LoadError::MissingI4Weights.to_string().contains("int4 weights"));
}

/// A convolution of a picture of 3 × 3 pixels with `channels` channels, padded to windows of 3 × 3.
fn convolution(channels: u32) -> Parts {
    let (weights, pixels) = (9 * channels as usize, 9 * channels);
    let mut parts = Parts {
        constants: vec![
            (
                "channels",
                DType::I32,
                vec![1, 3],
                [0i32, 1 << 30, -4].iter().flat_map(|word| word.to_le_bytes()).collect(),
            ),
            ("weights", DType::I8, vec![1, 3, 3, channels], vec![1; weights]),
        ],
        values: vec![
            value(Place::Arena, DType::I8, &[1, 3, 3, channels], 0, (0, 0)),
            value(Place::Arena, DType::I8, &[1, 3, 3, 1], pixels.next_multiple_of(16), (0, 1)),
        ],
        inputs: 1,
        outputs: vec![3],
        ..Parts::default()
    };
    let layer = Conv2d { stride: [1, 1], dilation: [1, 1], pad: [1, 1], activation: ActivationRange::FULL };
    parts.op(Operator::Conv2d(layer), &[Some(2), Some(1), Some(0)], 3, None);
    parts
}

#[test]
fn a_session_with_the_kernels_of_one_model_refuses_a_model_that_needs_more_of_them() {
    struct SmallWindows;
    impl Ops for SmallWindows {
        const SET: OpSet = OpSet::ALL;
        const PATHS: Paths = Paths { large_windows: false, ..Paths::ALL };
    }
    for (channels, refused) in [(64, false), (65, true)] {
        let file = convolution(channels).file();
        let mut blocks = aligned(&file);
        let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
        let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
        let found = Session::<SmallWindows>::load(&model, Align16::bytes_mut(&mut memory)).err();
        let missing = LoadError::MissingOperator { operator: OpCode::Conv2d };
        assert_eq!(found, refused.then_some(missing), "{channels} channels");
    }
}

/// One neuron of 32 inputs, its weights in blocks of the type.
fn block_layer(block: BlockType) -> Parts {
    let mut parts = Parts {
        constants: vec![(
            "weights",
            DType::U8,
            vec![1, block.bytes()],
            (0..block.bytes()).map(|i| (i * 7) as u8 & 0x3f).collect(),
        )],
        values: vec![
            value(Place::Arena, DType::F32, &[block.elements()], 0, (0, 0)),
            value(Place::Arena, DType::F32, &[1], 2048, (0, 1)),
            value(Place::Arena, DType::U8, &[block.activations().bytes()], 1024, (0, 0)),
        ],
        inputs: 1,
        outputs: vec![2],
        ..Parts::default()
    };
    let layer = FullyConnectedBlock { block, activation: [f32::NEG_INFINITY, f32::INFINITY], together: false };
    parts.op(Operator::FullyConnectedBlock(layer), &[Some(1), Some(0), None], 2, Some(3));
    parts
}

#[test]
fn a_session_with_one_type_of_blocks_runs_that_one_and_refuses_the_others() {
    struct OnlyQ8_0;
    impl Ops for OnlyQ8_0 {
        const SET: OpSet = OpSet::of(&[OpCode::FullyConnectedBlock]).with_blocks(&[BlockType::Q8_0]);
    }
    for &block in BlockType::ALL {
        let file = block_layer(block).file();
        let mut blocks = aligned(&file);
        let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
        let run = |session: &mut Session<'_, AllOps>| {
            session.input(0).unwrap().copy_from(&vec![1f32; block.elements() as usize]).unwrap();
            session.run();
            session.output(0).unwrap().as_bytes().to_vec()
        };
        let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
        let expected = run(&mut Session::load(&model, Align16::bytes_mut(&mut memory)).unwrap());
        assert_ne!(expected, [0; 4], "{block:?}: the test must be able to fail");

        let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
        match Session::<OnlyQ8_0>::load(&model, Align16::bytes_mut(&mut memory)) {
            Ok(mut session) => {
                assert_eq!(block, BlockType::Q8_0);
                session.input(0).unwrap().copy_from(&[1f32; 32]).unwrap();
                session.run();
                assert_eq!(session.output(0).unwrap().as_bytes(), expected);
            }
            Err(error) => {
                assert_ne!(block, BlockType::Q8_0);
                assert_eq!(error, LoadError::MissingBlockType { block });
            }
        }
    }
}

#[test]
fn outputs_can_be_read_as_f32() {
    with_session(&relu(), |session| {
        session.input(0).unwrap().copy_from(&[3i8, 9, -4]).unwrap();
        session.run();
        let output = session.output(0).unwrap();
        assert_eq!(output.argmax(), Some((1, 9.0)));
        assert_eq!((output.get_f32(0), output.get_f32(3)), (Some(3.0), None));
        assert_eq!(output.iter_f32().collect::<Vec<_>>(), [3.0, 9.0, 0.0]);
        let mut numbers = [0.0; 3];
        output.dequantize_into(&mut numbers).unwrap();
        assert_eq!(numbers, [3.0, 9.0, 0.0]);
        let short = output.dequantize_into(&mut numbers[1..]);
        assert_eq!(short, Err(TensorError::Length { expected: 3, found: 2 }));
        let mut top = [(0, 0.0); 2];
        assert_eq!(output.top_k(&mut top), [(1, 9.0), (0, 3.0)]);
        assert_eq!(output.top_k(&mut [(0, 0.0); 5]).len(), 3);
        assert!(output.top_k(&mut []).is_empty());
    });
}

/// A copy of four elements of this type and quantization.
fn copy_of(dtype: DType, scale: f32, zero_point: i32) -> Parts {
    let quantized = |offset, live| {
        let value = value(Place::Arena, dtype, &[4], offset, live);
        tealight::Value { quantization: Quantization::new(scale, zero_point), ..value }
    };
    let mut parts = Parts {
        values: vec![quantized(0, (0, 0)), quantized(16, (0, 1))],
        inputs: 1,
        outputs: vec![1],
        ..Parts::default()
    };
    parts.op(Operator::Copy(Copy), &[Some(0)], 1, None);
    parts
}

#[test]
fn f32_values_are_quantized_into_an_input_and_dequantized_from_an_output() {
    with_session(&copy_of(DType::I8, 0.5, 3), |session| {
        let mut input = session.input(0).unwrap();
        // Halves are rounded away from zero, values out of range are clamped, NaN becomes the zero point.
        input.quantize_from(&[0.25, -0.25, 1000.0, f32::NAN]).unwrap();
        assert_eq!(input.as_slice_mut::<i8>(), Some(&mut [4, 2, 127, 3][..]));
        assert_eq!(input.quantize_from(&[0.0; 3]), Err(TensorError::Length { expected: 4, found: 3 }));
        session.run();
        assert_eq!(session.output(0).unwrap().iter_f32().collect::<Vec<_>>(), [0.5, -0.5, 62.0, 0.0]);
    });
    with_session(&copy_of(DType::U8, 0.5, 128), |session| {
        let mut input = session.input(0).unwrap();
        input.quantize_from(&[-64.0, -1000.0, 63.5, 0.0]).unwrap();
        assert_eq!(input.as_slice_mut::<u8>(), Some(&mut [0, 0, 255, 128][..]));
    });
    with_session(&copy_of(DType::F32, 0.0, 0), |session| {
        session.input(0).unwrap().quantize_from(&[0.25, -1.5, 1e9, f32::NEG_INFINITY]).unwrap();
        session.run();
        assert_eq!(session.output(0).unwrap().as_slice::<f32>(), Some(&[0.25, -1.5, 1e9, f32::NEG_INFINITY][..]));
        assert_eq!(session.output(0).unwrap().argmax(), Some((2, 1e9)));
    });
    for dtype in [DType::I8, DType::I32] {
        with_session(&copy_of(dtype, 0.0, 0), |session| {
            let refused = session.input(0).unwrap().quantize_from(&[0.0; 4]);
            assert_eq!(refused, Err(TensorError::NotQuantized { dtype }));
        });
    }
}

#[test]
fn nan_never_is_the_highest_score() {
    with_session(&copy_of(DType::F32, 0.0, 0), |session| {
        let mut of = |numbers: [f32; 4]| {
            session.input(0).unwrap().copy_from(&numbers).unwrap();
            session.run();
            let output = session.output(0).unwrap();
            let mut top = [(0, 0.0); 4];
            (output.argmax().map(|(i, _)| i), output.top_k(&mut top).iter().map(|&(i, _)| i).collect::<Vec<_>>())
        };
        let (nan, low) = (f32::NAN, f32::NEG_INFINITY);
        assert_eq!(of([nan, 1.0, -nan, 2.0]), (Some(3), vec![3, 1, 0, 2]));
        assert_eq!(of([nan, low, low, nan]), (Some(1), vec![1, 2, 0, 3]));
        assert_eq!(of([-0.0, 0.0, 0.0, -1.0]), (Some(0), vec![0, 1, 2, 3]));
        assert_eq!(of([nan; 4]), (None, vec![0, 1, 2, 3]));
    });
}

/// Three batches of 32 elements, times weights of four rows in blocks.
fn batches() -> Parts {
    let mut parts = Parts {
        constants: vec![("w", DType::U8, vec![4, 34], vec![1; 4 * 34])],
        values: vec![
            value(Place::Arena, DType::F32, &[3, 32], 0, (0, 0)),
            value(Place::Arena, DType::F32, &[3, 4], 384, (0, 1)),
            value(Place::Arena, DType::U8, &[34], 432, (0, 0)),
        ],
        inputs: 1,
        outputs: vec![2],
        ..Parts::default()
    };
    let layer =
        FullyConnectedBlock { block: BlockType::Q8_0, activation: [f32::NEG_INFINITY, f32::INFINITY], together: false };
    parts.op(Operator::FullyConnectedBlock(layer), &[Some(1), Some(0), None], 2, Some(3));
    parts
}

#[test]
fn preparation_before_a_row_counts_for_the_poll_that_does_it() {
    with_session(&batches(), |session| {
        let op = session.model().op(0);
        let (call, row, prepared) = (u64::from(CALL_COST), u64::from(op.row_cost), u64::from(op.prepare_cost));
        assert!(prepared > 4 * row);
        let mut rows_of = |budget| {
            session.reset();
            let progress = session.poll(Budget::macs(budget));
            if progress.is_done() { 12 } else { session.position().row }
        };
        assert_eq!(rows_of(0), 1);
        assert_eq!(rows_of(call + 4 * row), 1, "the first row alone is more than the budget");
        assert_eq!(rows_of(call + prepared + 3 * row), 3);
        assert_eq!(rows_of(call + prepared + 4 * row), 4);
        assert_eq!(rows_of(call + prepared + 5 * row), 4, "the next batch is prepared before its first row");
        assert_eq!(rows_of(call + 2 * prepared + 5 * row - 1), 4);
        assert_eq!(rows_of(call + 2 * prepared + 5 * row), 5);
        assert_eq!(rows_of(call + 3 * prepared + 12 * row - 1), 11);
        assert_eq!(rows_of(call + 3 * prepared + 12 * row), 12);
        // Starts within a batch, whose activations are quantized already.
        session.reset();
        let _ = session.poll(Budget::macs(call + prepared + 2 * row));
        assert_eq!(session.position().row, 2);
        let _ = session.poll(Budget::macs(call + 2 * row));
        assert_eq!(session.position().row, 4);
    });
}

#[test]
fn a_model_of_more_work_than_the_limit_is_refused_with_both_numbers() {
    let file = overlapping().file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let (cost, longest) = (model.cost(), model.longest_row());
    assert!(cost > longest);
    let load = |limit| {
        let mut memory = vec![Align16::ZERO; Align16::count(model.arena_len())];
        Session::<AllOps>::load_within(&model, Align16::bytes_mut(&mut memory), limit).map(drop)
    };
    assert_eq!(load(Limit::none()), Ok(()));
    assert_eq!(load(Limit::none().cost(cost).longest_row(longest)), Ok(()));
    assert_eq!(load(Limit::none().cost(cost - 1)), Err(LoadError::CostTooHigh { found: cost, allowed: cost - 1 }));
    let refused = load(Limit::none().longest_row(longest - 1));
    assert_eq!(refused, Err(LoadError::RowTooLong { found: longest, allowed: longest - 1 }));
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(&longest.to_string()) && text.contains(&(longest - 1).to_string()), "{text}");
}

/// What `build::in_rows` computes, from its definition: a quarter of the sum of each 3x3 neighbourhood, at every second pixel,
/// where it is not negative. See [`expected_overlapping`].
fn expected_in_rows(image: &[i8]) -> Vec<i8> {
    let pixel = |y: i32, x: i32| match ((0..8).contains(&y), (0..4).contains(&x)) {
        (true, true) => f64::from(image[(y * 4 + x) as usize]),
        _ => 0.0,
    };
    let outputs = (0..8).map(|i| {
        let (y, x) = (i / 2 * 2, i % 2 * 2);
        let sum: f64 = (0..9).map(|k| pixel(y + k / 3 - 1, x + k % 3 - 1)).sum();
        let half = (sum / 2.0 + 0.5).floor();
        (half / 2.0).round().clamp(0.0, 127.0) as i8
    });
    outputs.collect()
}

#[test]
fn an_inference_waits_for_the_rows_of_its_input() {
    let image: Vec<i8> = (0..32u8).map(|i| i.wrapping_mul(61).wrapping_add(7) as i8).collect();
    let bytes: Vec<u8> = image.iter().map(|&pixel| pixel as u8).collect();
    let expected = expected_in_rows(&image);
    assert!(expected.contains(&0) && expected.iter().any(|&q| q > 0), "{expected:?}");
    with_session(&in_rows(), |session| {
        assert!(session.input(0).is_none(), "there is no memory for the whole input");
        for budget in [Budget::unlimited(), Budget::layer(), Budget::macs(1), Budget::macs(4000)] {
            let mut ranges = Vec::new();
            loop {
                assert_eq!(session.wants_rows(), !ranges.is_empty() && session.position() != Position::default());
                let mut rows = session.input_rows().unwrap();
                ranges.push(rows.range.clone());
                let height = rows.range.len() as u32;
                assert_eq!(rows.tensor.shape().dims(), [1, height, 4, 1]);
                let short = rows.copy_from_whole(&bytes[..4 * rows.range.end as usize - 1]).unwrap_err();
                assert!(matches!(short, TensorError::Bytes { .. }), "{short:?}");
                rows.copy_from_whole(&bytes).unwrap();
                // Asking again moves nothing again.
                assert_eq!(session.input_rows().unwrap().range, *ranges.last().unwrap());
                let mut progress = session.poll(budget);
                while progress.is_pending() {
                    assert!(session.input_rows().is_none(), "no rows are missing within a pass");
                    progress = session.poll(budget);
                }
                if progress.is_done() {
                    break;
                }
                assert!(progress.wants_rows() && session.wants_rows());
                let waits = session.position();
                // Without its rows, it goes no further.
                assert_eq!((session.poll(budget), session.position()), (Progress::Rows, waits));
            }
            assert_eq!(ranges, [0..2, 2..4, 4..6, 6..8]);
            assert_eq!(session.output(0).unwrap().as_slice::<i8>(), Some(&expected[..]), "{budget:?}");
        }
        // Whole inputs, rows of which are written as they are wanted; also after an inference that was left.
        let _ = session.poll(Budget::macs(1));
        session.run_on(&[&bytes]).unwrap();
        assert_eq!(session.output(0).unwrap().as_slice::<i8>(), Some(&expected[..]));
        let wrong = session.run_on(&[&bytes[1..]]).unwrap_err();
        assert_eq!(wrong, TensorError::Bytes { expected: 32, found: 31 });
        assert_eq!(session.run_on(&[]).unwrap_err(), TensorError::Bytes { expected: 32, found: 0 });
    });
}

#[test]
fn a_set_without_inputs_in_rows_refuses_a_model_that_takes_them() {
    struct Whole;

    impl Ops for Whole {
        const SET: OpSet = OpSet::of(&[OpCode::Conv2d, OpCode::Lookup]).with_groups();
    }

    let file = in_rows().file();
    let mut blocks = aligned(&file);
    let model = Model::parse(&Align16::bytes_mut(&mut blocks)[..file.len()]).unwrap();
    let mut arena = Arena::<64>::new();
    let error = Session::<Whole>::load(&model, arena.bytes_mut()).unwrap_err();
    assert_eq!(error, LoadError::MissingRowInput);
    assert!(error.to_string().contains("--input-rows"), "{error}");
}
