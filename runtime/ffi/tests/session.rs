//! The C interface, called as C calls it.

use std::ptr::{null, null_mut};
use tealight_ffi::{
    TEALIGHT_UNLIMITED, TealightError, TealightLimits, TealightPlace, TealightRows, TealightSession, TealightStatus,
    TealightTensor, TealightType, tealight_close, tealight_get_output, tealight_input, tealight_input_info,
    tealight_input_rows, tealight_open, tealight_output_count, tealight_poll, tealight_position, tealight_reset,
    tealight_run, tealight_set_input, tealight_set_input_f32, tealight_status_text,
};

#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

/// Three int8 numbers in, the same numbers without the negative ones out.
static RELU: &Aligned<[u8]> = &Aligned(*include_bytes!("../../core/tests/relu.safetensors"));

/// An image of 8 × 4 int8 pixels in, in rows; 4 × 2 out.
static ROWS: &Aligned<[u8]> = &Aligned(*include_bytes!("../../core/tests/rows.safetensors"));

/// A network of several operators and rows.
static DIGITS: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../models/digits/digits.safetensors"));

/// The number of bytes of an arena here.
const ARENA: usize = 16384;

/// Memory for a session and its arena, reached by pointers alone, as a program in C reaches it.
struct Memory {
    session: *mut TealightSession,
    arena: *mut Aligned<[u8; ARENA]>,
}

impl Memory {
    fn new() -> Self {
        let session = Box::into_raw(Box::new(TealightSession::CLOSED));
        Self { session, arena: Box::into_raw(Box::new(Aligned([0xAA; ARENA]))) }
    }

    /// With an open session of `model`.
    fn opened(model: &'static [u8]) -> Self {
        let memory = Self::new();
        assert_eq!(memory.open(model, ARENA, null(), null_mut()), TealightStatus::Ok);
        memory
    }

    /// Opens the session in the first `length` bytes of the arena.
    fn open(
        &self,
        model: &[u8],
        length: usize,
        limits: *const TealightLimits,
        error: *mut TealightError,
    ) -> TealightStatus {
        let (bytes, arena) = (model.as_ptr(), self.arena.cast());
        // SAFETY: session and arena are there until the end of the test, the model as long as the session is used.
        unsafe { tealight_open(self.session, bytes, model.len(), arena, length, limits, error) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: both come from boxes, and nothing uses them any more.
        unsafe {
            drop(Box::from_raw(self.session));
            drop(Box::from_raw(self.arena));
        }
    }
}

const NO_ERROR: TealightError = TealightError {
    status: TealightStatus::Ok,
    place: TealightPlace::None,
    index: 0,
    reserved: 0,
    expected: 0,
    found: 0,
};

#[test]
fn a_session_runs_whatever_the_slices_are() {
    let memory = Memory::opened(&RELU.0);
    let session = memory.session;
    let input = [251u8, 0, 5];
    let mut output = [0u8; 3];
    for budget in [0, 1, 1000, TEALIGHT_UNLIMITED] {
        // SAFETY: the session is open, and the arrays have the lengths that are passed.
        unsafe {
            assert_eq!(tealight_set_input(session, 0, input.as_ptr(), 3), TealightStatus::Ok);
            while tealight_poll(session, budget) == TealightStatus::Pending {}
            assert_eq!(tealight_get_output(session, 0, output.as_mut_ptr(), 3), TealightStatus::Ok);
        }
        assert_eq!(output, [0, 0, 5], "budget {budget}");
        output.fill(9);
    }
}

#[test]
fn an_input_is_described_and_can_be_written_in_place_or_as_numbers() {
    let memory = Memory::opened(&RELU.0);
    let session = memory.session;
    // SAFETY: the session is open, and all pointers are those of variables.
    unsafe {
        let mut info = std::mem::zeroed::<TealightTensor>();
        assert_eq!(tealight_input_info(session, 0, &raw mut info), TealightStatus::Ok);
        assert_eq!((info.dtype, info.elements, info.length), (TealightType::I8, 3, 3));
        let mut count = 0;
        assert_eq!(tealight_output_count(session, &raw mut count), TealightStatus::Ok);
        assert_eq!(count, 1);
        let mut bytes = null_mut();
        assert_eq!(tealight_input(session, 0, &raw mut bytes), TealightStatus::Ok);
        bytes.copy_from_nonoverlapping([1u8, 255, 3].as_ptr(), 3);
        assert_eq!(tealight_run(session), TealightStatus::Ok);
        let mut output = [0u8; 3];
        assert_eq!(tealight_get_output(session, 0, output.as_mut_ptr(), 3), TealightStatus::Ok);
        assert_eq!(output, [1, 0, 3]);
        let numbers = [2.0 * info.scale, -info.scale, 0.0];
        let expected = if info.scale > 0.0 { TealightStatus::Ok } else { TealightStatus::NotQuantized };
        assert_eq!(tealight_set_input_f32(session, 0, numbers.as_ptr(), 3), expected);
    }
}

#[test]
fn a_call_in_the_middle_of_another_is_refused() {
    let memory = Memory::opened(&RELU.0);
    let session = memory.session;
    // An interrupt finds the guard that a call sets. Here the guard is set as `tealight_poll` sets it, by its address.
    let open = 0x7EA1_1607 ^ session.addr() as u32;
    let busy = 0x7EA1_B051 ^ session.addr() as u32;
    // SAFETY: the guard is the first word of a session.
    unsafe {
        assert_eq!(session.cast::<u32>().read(), open);
        session.cast::<u32>().write(busy);
        assert_eq!(tealight_poll(session, 1), TealightStatus::Busy);
        assert_eq!(tealight_close(session), TealightStatus::Busy);
    }
    assert_eq!(memory.open(&RELU.0, ARENA, null(), null_mut()), TealightStatus::Busy);
    // SAFETY: as above.
    unsafe {
        session.cast::<u32>().write(open);
        assert_eq!(tealight_run(session), TealightStatus::Ok);
    }
}

#[test]
fn a_refusal_names_status_place_and_numbers() {
    let memory = Memory::new();
    let mut error = NO_ERROR;
    let status = memory.open(&RELU.0, 16, null(), &raw mut error);
    assert_eq!((status, error.status), (TealightStatus::ArenaTooSmall, TealightStatus::ArenaTooSmall));
    assert_eq!((error.expected, error.found), (32, 16));

    let limits = TealightLimits { cost: TEALIGHT_UNLIMITED, longest_row: 0 };
    let status = memory.open(&RELU.0, ARENA, &raw const limits, &raw mut error);
    assert_eq!(status, TealightStatus::RowTooLong);
    assert!(error.expected == 0 && error.found > 0);

    let mut damaged = Box::new(Aligned([0u8; 4096]));
    damaged.0[..RELU.0.len()].copy_from_slice(&RELU.0);
    damaged.0[8] = b'?';
    let status = memory.open(&damaged.0[..RELU.0.len()], ARENA, null(), &raw mut error);
    assert_eq!((status, error.place), (TealightStatus::NotSafetensors, TealightPlace::Byte));

    let plan = RELU.0.windows(8).position(|window| window == b"TEALIGHT").unwrap();
    damaged.0[8] = RELU.0[8];
    damaged.0[plan + 8] = 1;
    let status = memory.open(&damaged.0[..RELU.0.len()], ARENA, null(), &raw mut error);
    assert_eq!((status, error.found), (TealightStatus::FormatVersion, 1));
    // SAFETY: the session is not open.
    assert_eq!(unsafe { tealight_run(memory.session) }, TealightStatus::NotOpen);
}

#[test]
fn every_damaged_byte_is_refused_with_a_code_or_runs() {
    let memory = Memory::new();
    let mut damaged = Box::new(Aligned([0u8; 4096]));
    let length = RELU.0.len();
    let (mut refused, mut run) = (0, 0);
    for at in (0..length).step_by(if cfg!(miri) { 97 } else { 1 }) {
        for bit in 0..8 {
            damaged.0[..length].copy_from_slice(&RELU.0);
            damaged.0[at] ^= 1 << bit;
            let mut error = NO_ERROR;
            let status = memory.open(&damaged.0[..length], ARENA, null(), &raw mut error);
            assert_eq!(status, error.status);
            if status == TealightStatus::Ok {
                // SAFETY: the session is open.
                assert_eq!(unsafe { tealight_run(memory.session) }, TealightStatus::Ok);
                run += 1;
            } else {
                assert!((status as i32) < 0);
                refused += 1;
            }
        }
    }
    assert!(refused > run, "{refused} refused, {run} run");
}

#[test]
fn a_reset_starts_anew() {
    let memory = Memory::opened(&DIGITS.0);
    let session = memory.session;
    // SAFETY: the session is open, and the position a variable.
    unsafe {
        let mut position = std::mem::zeroed();
        assert_eq!(tealight_poll(session, 0), TealightStatus::Pending);
        assert_eq!(tealight_position(session, &raw mut position), TealightStatus::Ok);
        assert!(position.row > 0 || position.operator_index > 0);
        assert_eq!(tealight_reset(session), TealightStatus::Ok);
        assert_eq!(tealight_position(session, &raw mut position), TealightStatus::Ok);
        assert_eq!((position.operator_index, position.row), (0, 0));
        assert!(position.operators > 1);
        assert_eq!(tealight_close(session), TealightStatus::Ok);
        assert_eq!(tealight_position(session, &raw mut position), TealightStatus::NotOpen);
    }
}

#[test]
fn every_status_has_a_text_of_its_own() {
    let text = |status: i32| {
        // SAFETY: the text is constant, and ends with a zero.
        unsafe { std::ffi::CStr::from_ptr(tealight_status_text(status)) }.to_str().unwrap()
    };
    let unknown = text(99);
    let texts: Vec<&str> = (-40..=9).map(text).filter(|text| *text != unknown).collect();
    let mut different = texts.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(texts.len(), different.len());
    // As many as the header declares.
    let header = include_str!("../../../include/tealight.h");
    let declared = header.lines().filter(|line| line.starts_with("  TEALIGHT_STATUS_") && line.contains(" = ")).count();
    assert_eq!(texts.len(), declared);
}

#[test]
fn rows_of_an_input_are_written_where_the_library_says() {
    let memory = Memory::opened(&ROWS.0);
    let image: Vec<u8> = (0..32).map(|i: u8| i.wrapping_mul(29)).collect();
    let expected = {
        let model = tealight::Model::parse(&ROWS.0).expect("the model is valid");
        let mut arena = tealight::Arena::<64>::new();
        let session = tealight::Session::<tealight::AllOps>::load(&model, arena.bytes_mut());
        let mut session = session.expect("the arena is long enough");
        session.run_on(&[&image]).expect("the image has its length");
        session.output(0).expect("there is an output").as_bytes().to_vec()
    };
    let mut rows = TealightRows { first: 0, count: 0, bytes: null_mut(), length: 0 };
    let mut seen = Vec::new();
    // SAFETY: the session is open, the pointers are valid, and rows are written within their length.
    unsafe {
        let mut address = null_mut();
        assert_eq!(tealight_input(memory.session, 0, &raw mut address), TealightStatus::InputInRows);
        let refused = tealight_set_input(memory.session, 0, image.as_ptr(), image.len());
        assert_eq!(refused, TealightStatus::InputInRows);
        loop {
            assert_eq!(tealight_input_rows(memory.session, &raw mut rows), TealightStatus::Ok);
            assert_eq!(rows.length, 4 * rows.count as usize);
            seen.push((rows.first, rows.count));
            let from = image.as_ptr().add(4 * rows.first as usize);
            rows.bytes.copy_from_nonoverlapping(from, rows.length);
            match tealight_run(memory.session) {
                TealightStatus::Rows => assert_eq!(tealight_run(memory.session), TealightStatus::Rows),
                status => break assert_eq!(status, TealightStatus::Ok),
            }
        }
        let mut output = [0; 8];
        assert_eq!(tealight_get_output(memory.session, 0, output.as_mut_ptr(), 8), TealightStatus::Ok);
        assert_eq!(output[..], expected[..]);
        // Other models want no rows.
        let other = Memory::opened(&RELU.0);
        assert_eq!(tealight_input_rows(other.session, &raw mut rows), TealightStatus::Ok);
        assert!(rows.count == 0 && rows.bytes.is_null());
    }
    assert_eq!(seen, [(0, 2), (2, 2), (4, 2), (6, 2)]);
}
