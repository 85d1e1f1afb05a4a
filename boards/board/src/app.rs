//! The firmware app: runs a model on inputs from the host until they end, and reports what that cost.
//!
//! A streaming model's state is kept from one inference to the next.

use crate::bytes::write_all;
#[cfg(feature = "measure-parse")]
use crate::input;
use crate::input::{Failure, InputSource, RawInput};
use crate::log::{emit, log};
use crate::report;
use crate::sound::{AudioInput, Sound};
use crate::stack::Meter;
use crate::text::TextInput;
use crate::{Board, Outcome, calibrate};
use embedded_hal::digital::OutputPin;
use tealight::{Arena, Embedded, Ops, Session};

/// Runs `model` once for each input, then exits. The inputs are consecutive bytes in `embedded` if that is given,
/// otherwise in the board's input.
pub fn app<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    #[cfg(all(feature = "compare-arch", target_os = "none", target_arch = "arm"))]
    if crate::memory::differ() {
        end(board, Err(Failure::Memory));
    }
    #[cfg(feature = "compare-arch")]
    if tealight_kernels::compare_arch(5_000).is_some() {
        end(board, Err(Failure::Arch));
    }
    #[cfg(feature = "compare-arch")]
    if tealight_kernels::selftest::first_difference().is_some()
        || tealight_sensor::selftest::digest() != tealight_sensor::selftest::RECORDED
    {
        end(board, Err(Failure::RecordedBits));
    }
    let mut session = Session::new(model, arena);
    #[cfg(feature = "compare-arch")]
    if takes_another_type(&mut session) {
        end(board, Err(Failure::OtherType));
    }
    let result = serve(board, &mut session, &mut RawInput(embedded));
    end(board, result)
}

/// Like [`app`] for an audio model: each input is a second of sound, from which `sound` computes the model's features.
pub fn app_audio<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops, const FRAMES: usize, const BANDS: usize>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    sound: &'static mut Sound<FRAMES, BANDS>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let mut session = Session::new(model, arena);
    let result = serve(board, &mut session, &mut AudioInput { sound, embedded });
    end(board, result)
}

/// Like [`app`] for a language model: the input is a prompt, and the model continues it with its own tokens.
pub fn app_text<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let mut session = Session::new(model, arena);
    let result = serve(board, &mut session, &mut TextInput::new(embedded));
    end(board, result)
}

/// Like [`app`] for a model that is known only at run time: it is parsed, and may use any operator.
#[cfg(all(feature = "loadable", not(any(feature = "measure-parse", feature = "measure-polls"))))]
pub fn app_loadable<B: Board>(
    board: &mut B,
    file: &'static [u8],
    memory: &'static mut [u8],
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let result = load(board, file, memory, embedded);
    end(board, result)
}

/// Like [`app_loadable`] for the model in `slot`, on the slot's inputs if it has any, otherwise on those of the board.
#[cfg(all(feature = "model-slot", not(any(feature = "measure-parse", feature = "measure-polls"))))]
pub fn app_slot<B: Board>(board: &mut B, slot: &'static [u8], memory: &'static mut [u8]) -> ! {
    start(board);
    let result = match tealight_slot::read(slot) {
        Ok(found) => {
            emit!("tealight slot_model_bytes={}", found.model.len() as u32);
            load(board, found.model, memory, (!found.inputs.is_empty()).then_some(found.inputs))
        }
        Err(error) => Err(Failure::Slot(error)),
    };
    end(board, result)
}

/// The operators that firmware links which loads models.
#[cfg(all(
    feature = "loadable",
    not(any(feature = "int8-only", feature = "measure-parse", feature = "measure-polls"))
))]
type Linked = tealight::AllOps;
#[cfg(all(
    feature = "loadable",
    feature = "int8-only",
    not(any(feature = "measure-parse", feature = "measure-polls"))
))]
type Linked = tealight::Int8Ops;

/// Parses a model and runs it.
#[cfg(all(feature = "loadable", not(any(feature = "measure-parse", feature = "measure-polls"))))]
fn load<B: Board>(
    board: &mut B,
    file: &'static [u8],
    memory: &'static mut [u8],
    embedded: Option<&'static [u8]>,
) -> Result<u32, Failure> {
    let model = tealight::Model::parse(file).map_err(Failure::Parse)?;
    let mut session = Session::<Linked>::load(&model, memory).map_err(Failure::Load)?;
    emit!("tealight model_cost={}", model.cost());
    emit!("tealight longest_row={}", model.longest_row());
    serve(board, &mut session, &mut RawInput(embedded))
}

/// With `measure-parse`: parses the files in the board's input and reports the time of each. Each file is preceded by
/// its length as a `u32`. `file`, the model in the image, is not used; `memory` holds one file after another.
#[cfg(feature = "measure-parse")]
pub fn app_loadable<B: Board>(
    board: &mut B,
    file: &'static [u8],
    memory: &'static mut [u8],
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let _ = (file, embedded);
    let result = measure_parse(board, memory);
    end(board, result)
}

/// With `measure-polls`: reads models from the input and measures the time of single polls.
#[cfg(feature = "measure-polls")]
pub fn app_loadable<B: Board>(
    board: &mut B,
    file: &'static [u8],
    memory: &'static mut [u8],
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let _ = file;
    let result = crate::polls::polls(board, memory, embedded);
    end(board, result)
}

#[cfg(feature = "measure-parse")]
fn measure_parse<B: Board>(board: &mut B, memory: &mut [u8]) -> Result<u32, Failure> {
    let mut stack = 0;
    let mut files = 0_u32;
    loop {
        let mut length = [0; 4];
        match input::next(board, &mut None, &mut length)? {
            0 => break,
            4 => {}
            _ => return Err(Failure::InputTruncated),
        }
        let length = u32::from_le_bytes(length) as usize;
        let file = memory.get_mut(..length).ok_or(Failure::InputTooLong)?;
        if input::next(board, &mut None, file)? != length {
            return Err(Failure::InputTruncated);
        }
        let meter = Meter::paint(board);
        let start = board.ticks();
        let parsed = tealight::Model::parse(core::hint::black_box(file));
        let ticks = board.ticks().wrapping_sub(start);
        stack = meter.high_water().max(stack);
        emit!("tealight parse_ticks={}", ticks);
        match core::hint::black_box(parsed) {
            Ok(_) => log!(debug, "file {}: a model", files),
            Err(error) => log!(debug, "file {}: {}", files, error),
        }
        files = files.wrapping_add(1);
    }
    emit!("tealight stack_bytes={}", stack as u32);
    Ok(files)
}

/// Writes the first lines of the report and calibrates the clock.
pub(crate) fn start<B: Board>(board: &mut B) {
    emit!("tealight version={}", report::VERSION);
    emit!("tealight board={}", B::ID);
    emit!("tealight ticks_per_second={}", B::TICKS_PER_SECOND);
    let ticks = calibrate::ticks(board);
    emit!("tealight calibration_instructions={}", calibrate::INSTRUCTIONS);
    emit!("tealight calibration_ticks={}", ticks);
}

/// Writes the last line of the report and exits.
pub(crate) fn end<B: Board>(board: &mut B, result: Result<u32, Failure>) -> ! {
    match result {
        Ok(inferences) => {
            emit!("tealight done={}", inferences);
            board.exit(Outcome::Success)
        }
        Err(failure) => {
            failure.report();
            board.exit(Outcome::Failure)
        }
    }
}

/// Runs inferences until the inputs end; returns their number.
fn serve<B: Board, O: Ops>(
    board: &mut B,
    session: &mut Session<'_, O>,
    source: &mut impl InputSource,
) -> Result<u32, Failure> {
    emit!("tealight arena_bytes={}", session.model().arena_len() as u32);
    emit!("tealight state_bytes={}", session.model().state_len() as u32);
    let (inputs, outputs) = (session.model().input_count(), session.model().output_count());
    log!(info, "the model has {} inputs and {} outputs", inputs, outputs);
    let mut stack = 0;
    let mut inferences = 0_u32;
    while source.fill(board, session)? {
        #[cfg(feature = "seed-faults")]
        let fault = crate::seeds::chosen(session);
        // An error of the LED does not stop the app.
        let _ = board.led().set_high();
        let mut ticks = 0;
        loop {
            let meter = Meter::paint(board);
            let start = board.ticks();
            session.run();
            ticks = board.ticks().wrapping_sub(start).wrapping_add(ticks);
            stack = meter.high_water().max(stack);
            if !session.wants_rows() {
                break;
            }
            if !source.fill(board, session)? {
                return Err(Failure::InputTruncated);
            }
        }
        let _ = board.led().set_low();
        #[cfg(feature = "seed-faults")]
        let ticks = crate::seeds::cause(fault, ticks);
        emit!("tealight inference_ticks={}", ticks);
        log!(debug, "inference {}: stack of {} bytes so far", inferences, stack);
        write_outputs(board, session)?;
        inferences = inferences.wrapping_add(1);
    }
    emit!("tealight stack_bytes={}", stack as u32);
    Ok(inferences)
}

/// Returns whether the model's first input accepts elements of another type than its own.
#[cfg(feature = "compare-arch")]
fn takes_another_type<O: Ops>(session: &mut Session<'_, O>) -> bool {
    let Some(mut input) = session.input(0) else { return false };
    let copied = match input.dtype() {
        tealight::DType::U8 => input.copy_from(&[-56_i8]),
        _ => input.copy_from(&[200_u8]),
    };
    !matches!(copied, Err(tealight::TensorError::Type { .. }))
}

/// Writes the model's outputs one after another.
fn write_outputs<B: Board, O: Ops>(board: &mut B, session: &Session<'_, O>) -> Result<(), Failure> {
    let sink = board.output().ok_or(Failure::NoOutput)?;
    for index in 0..session.model().output_count() {
        let Some(tensor) = session.output(index) else { break };
        if !write_all(sink, tensor.as_bytes()) {
            return Err(Failure::OutputWrite);
        }
    }
    Ok(())
}
