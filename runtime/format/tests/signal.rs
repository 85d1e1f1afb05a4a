//! The rules of the operators that make features of sound.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use tealight_format::ops::{
    OUTPUT, SignalEnergy, SignalFftAutoScale, SignalFilterBank, SignalLog, SignalNoiseEstimate, SignalPcan, SignalRfft,
    SignalSpectralSubtraction, SignalWindow,
};
use tealight_format::{DType, OpCode, OpFault, Operands, Operator, Place, Value, Work};
use tealight_testing::build::value;

type Of<'a> = (Place, DType, &'a [u32]);

const fn arena(dtype: DType, dims: &[u32]) -> Of<'_> {
    (Place::Arena, dtype, dims)
}

const fn table(dims: &[u32]) -> Of<'_> {
    (Place::Constant, DType::I16, dims)
}

const fn words(dims: &[u32]) -> Of<'_> {
    arena(DType::I32, dims)
}

fn check(operator: Operator, inputs: &[Of<'_>], output: Of<'_>) -> Result<Work, OpFault> {
    let of = |(place, dtype, dims): Of<'_>| -> Value { value(place, dtype, dims, 0, (0, 0)) };
    let mut operands = Operands { inputs: [None; 8], count: inputs.len(), output: of(output) };
    for (to, &input) in operands.inputs.iter_mut().zip(inputs) {
        *to = Some(of(input));
    }
    operator.check(&operands)
}

/// The rows, the bytes of a row, and its cost.
fn work(operator: Operator, inputs: &[Of<'_>], output: Of<'_>) -> (u32, u32, u32) {
    let work = check(operator, inputs, output).unwrap();
    (work.rows, work.row_bytes, work.row_cost)
}

fn shape(operand: u8) -> Option<OpFault> {
    Some(OpFault::Shape { operand })
}

#[test]
fn windows_are_as_long_as_lines() {
    let operator = Operator::SignalWindow(SignalWindow { shift: 12 });
    let lines = arena(DType::I16, &[2, 3, 20]);
    assert_eq!(work(operator, &[lines, table(&[20])], lines), (6, 40, 20 + 4 * 20));
    for (inputs, output, fault) in [
        (&[lines, table(&[19])][..], lines, shape(1)),
        (&[lines, table(&[20, 1])], lines, shape(1)),
        (&[lines, lines], lines, Some(OpFault::Place { operand: 1 })),
        (&[lines, table(&[20])], arena(DType::I16, &[6, 20]), shape(OUTPUT)),
        (&[arena(DType::I16, &[]), table(&[1])], arena(DType::I16, &[]), shape(0)),
        (&[lines, table(&[20])], arena(DType::I32, &[2, 3, 20]), Some(OpFault::Type { operand: OUTPUT })),
        (&[lines], lines, Some(OpFault::Inputs)),
    ] {
        assert_eq!(check(operator, inputs, output).err(), fault);
    }
}

#[test]
fn a_scale_is_of_all_samples_or_one_number() {
    let operator = Operator::SignalFftAutoScale(SignalFftAutoScale);
    let samples = arena(DType::I16, &[2, 30]);
    assert_eq!(work(operator, &[samples], samples), (1, 120, 60 + 5 * 60));
    assert_eq!(work(operator, &[samples], words(&[])), (1, 4, 60 + 5 * 60));
    assert_eq!(check(operator, &[samples], words(&[2])).err(), shape(OUTPUT));
    assert_eq!(check(operator, &[samples], arena(DType::I16, &[60])).err(), shape(OUTPUT));
    let other = check(operator, &[samples], arena(DType::U8, &[4]));
    assert_eq!(other.err(), Some(OpFault::Type { operand: OUTPUT }));
}

#[test]
fn transforms_have_the_length_of_their_twiddles() {
    let operator = Operator::SignalRfft(SignalRfft { length: 64 });
    let (samples, twiddles, output) = (arena(DType::I16, &[3, 50]), table(&[48, 2]), arena(DType::I16, &[3, 66]));
    // 32 complex numbers: two passes of four and one of two.
    assert_eq!(work(operator, &[samples, twiddles], output), (3, 132, 100 + 64 * (20 + 8 * 3)));
    for (inputs, output, fault) in [
        ([arena(DType::I16, &[3, 65]), twiddles], output, shape(0)),
        ([arena(DType::I16, &[]), twiddles], output, shape(0)),
        ([samples, table(&[96])], output, shape(1)),
        ([samples, table(&[47, 2])], output, shape(1)),
        ([samples, twiddles], arena(DType::I16, &[3, 33]), shape(OUTPUT)),
        ([samples, twiddles], arena(DType::I16, &[2, 66]), shape(OUTPUT)),
        ([samples, twiddles], arena(DType::I16, &[3, 66, 1]), shape(OUTPUT)),
    ] {
        assert_eq!(check(operator, &inputs, output).err(), fault);
    }
    for length in [0, -4, 2, 48, 65_536, i32::MIN] {
        let mut attrs = operator.emit();
        attrs[0] = length;
        let parsed = Operator::parse(OpCode::SignalRfft, &attrs);
        assert_eq!(parsed, Err(OpFault::Attribute { index: 0 }), "{length}");
    }
    // 2 numbers are one pass, and so are 4.
    for (length, cost) in [(4u32, 100 + 4 * 28), (8, 100 + 8 * 28)] {
        let operator = Operator::SignalRfft(SignalRfft { length: length as i32 });
        let (twiddles, output) = ([length / 4 * 3, 2], [length + 2]);
        let inputs = [arena(DType::I16, &[1]), table(&twiddles)];
        assert_eq!(work(operator, &inputs, arena(DType::I16, &output)), (1, 2 * length + 4, cost));
    }
}

#[test]
fn energies_are_of_numbers_that_are_there() {
    let operator = |start, end| Operator::SignalEnergy(SignalEnergy { start, end });
    let spectrum = arena(DType::I16, &[66]);
    assert_eq!(work(operator(3, 33), &[spectrum], words(&[33])), (1, 132, 20 + 5 * 33));
    let end = Some(OpFault::Attribute { index: 1 });
    assert_eq!(check(operator(3, 34), &[spectrum], words(&[33])).err(), end);
    assert_eq!(check(operator(3, 2), &[spectrum], words(&[33])).err(), end);
    assert_eq!(check(operator(-1, 2), &[spectrum], words(&[33])).err(), Some(OpFault::Attribute { index: 0 }));
    assert_eq!(check(operator(0, 9), &[spectrum], words(&[32])).err(), shape(OUTPUT));
    assert_eq!(check(operator(0, 9), &[arena(DType::I16, &[33, 2])], words(&[33])).err(), shape(0));
}

#[test]
fn a_filter_bank_has_a_band_more_than_channels() {
    let operator = Operator::SignalFilterBank(SignalFilterBank);
    let inputs = [words(&[33]), table(&[50, 2]), table(&[9, 2]), words(&[])];
    assert_eq!(work(operator, &inputs, words(&[8])), (1, 32, 20 + 8 * 50 + 200 * 8));
    for (k, input) in [(1, table(&[100])), (1, table(&[50, 3])), (2, table(&[18])), (3, words(&[2]))] {
        let mut inputs = inputs;
        inputs[k] = input;
        assert_eq!(check(operator, &inputs, words(&[8])).err(), shape(k as u8));
    }
    assert_eq!(check(operator, &inputs, words(&[9])).err(), shape(OUTPUT));
    assert_eq!(check(operator, &inputs, words(&[8, 1])).err(), shape(OUTPUT));
    let mut computed = inputs;
    computed[2] = arena(DType::I16, &[9, 2]);
    assert_eq!(check(operator, &computed, words(&[8])).err(), Some(OpFault::Place { operand: 2 }));
}

#[test]
fn an_estimate_is_kept_in_the_state() {
    let attrs = SignalNoiseEstimate { weights: [[1, 2], [3, -4]], smoothing_bits: 10, bits: 14, clamped: true };
    let operator = Operator::SignalNoiseEstimate(attrs);
    assert_eq!(Operator::parse(OpCode::SignalNoiseEstimate, &operator.emit()), Ok(operator));
    let (signal, state) = (words(&[9]), (Place::State, DType::I32, &[9][..]));
    assert_eq!(work(operator, &[signal, state], signal), (1, 36, 20 + 16 * 9));
    assert_eq!(check(operator, &[signal, signal], signal).err(), Some(OpFault::Place { operand: 1 }));
    assert_eq!(check(operator, &[state, state], signal).err(), Some(OpFault::Place { operand: 0 }));
    let other = (Place::State, DType::I32, &[8][..]);
    assert_eq!(check(operator, &[signal, other], signal).err(), shape(1));
    assert_eq!(check(operator, &[signal, state], words(&[9, 1])).err(), shape(OUTPUT));
    for (word, value) in [(4, 32), (5, -1), (6, 2)] {
        let mut attrs = operator.emit();
        attrs[word] = value;
        let fault = OpFault::Attribute { index: word as u8 };
        assert_eq!(Operator::parse(OpCode::SignalNoiseEstimate, &attrs), Err(fault));
    }
}

#[test]
fn channels_have_one_shape_and_their_tables_all_numbers() {
    let subtraction = SignalSpectralSubtraction { remaining: -1, smoothing_bits: 31, bits: 0 };
    let subtraction = Operator::SignalSpectralSubtraction(subtraction);
    let pcan = Operator::SignalPcan(SignalPcan { shift: 6 });
    let log = Operator::SignalLog(SignalLog { shift: 3, scale: -5 });
    let x = words(&[2, 9]);
    assert_eq!(work(subtraction, &[x, x], x), (2, 36, 2 + 10 * 9));
    assert_eq!(work(pcan, &[x, x, table(&[125])], x), (2, 36, 2 + 16 * 9));
    assert_eq!(work(log, &[x, table(&[129])], arena(DType::I16, &[2, 9])), (2, 18, 2 + 16 * 9));
    assert_eq!(check(subtraction, &[x, words(&[9])], x).err(), shape(1));
    assert_eq!(check(pcan, &[words(&[18]), x, table(&[125])], x).err(), shape(0));
    assert_eq!(check(pcan, &[x, x, table(&[124])], x).err(), shape(2));
    assert_eq!(check(log, &[x, table(&[128])], arena(DType::I16, &[2, 9])).err(), shape(1));
    assert_eq!(check(log, &[x, table(&[129])], x).err(), Some(OpFault::Type { operand: OUTPUT }));
    for (operator, word) in [(subtraction, 1), (subtraction, 2), (pcan, 0), (log, 0)] {
        let mut attrs = operator.emit();
        assert_eq!(Operator::parse(operator.code(), &attrs), Ok(operator));
        attrs[word] = 32;
        let fault = OpFault::Attribute { index: word as u8 };
        assert_eq!(Operator::parse(operator.code(), &attrs), Err(fault));
    }
}
