//! The firmware app: runs a model on inputs from the host until they end, and reports what it cost.
//!
//! One inference after another: what a streaming model keeps from one to the next, it keeps here too.

#[cfg(feature = "measure-parse")]
use crate::feed;
use crate::feed::{Failure, Feed, Plain};
use crate::log::{fact, note};
use crate::report;
use crate::sound::{Listening, Sound};
use crate::stack::Meter;
use crate::text::Continuing;
use crate::{Board, Outcome, calibrate};
use embedded_hal::digital::OutputPin;
use embedded_io::Write;
use tealight::{Arena, Embedded, Ops, Session};

/// Runs `model` once for each input in a row, from `embedded` if given, else from the board's input; then exits.
pub fn app<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    #[cfg(feature = "compare-arch")]
    if tealight_kernels::compare_arch(5_000).is_some() {
        end(board, Err(Failure::Arch));
    }
    #[cfg(feature = "compare-arch")]
    if tealight_kernels::selftest::first_difference().is_some() {
        end(board, Err(Failure::Recorded));
    }
    let mut session = Session::new(model, arena);
    #[cfg(feature = "compare-arch")]
    if takes_another_type(&mut session) {
        end(board, Err(Failure::OtherType));
    }
    let result = serve(board, &mut session, &mut Plain(embedded));
    end(board, result)
}

/// The same for a model that listens: its inputs are seconds of sound, of which `sound` makes its features.
pub fn app_audio<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops, const FRAMES: usize, const BANDS: usize>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    sound: &'static mut Sound<FRAMES, BANDS>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let mut session = Session::new(model, arena);
    let result = serve(board, &mut session, &mut Listening { sound, embedded });
    end(board, result)
}

/// The same for a language model: the input is a prompt, and the model continues it with its own tokens.
pub fn app_text<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let mut session = Session::new(model, arena);
    let result = serve(board, &mut session, &mut Continuing::new(embedded));
    end(board, result)
}

/// The same for a model that is known only at run time: it is parsed, and may use any operator.
#[cfg(all(feature = "loadable", not(any(feature = "measure-parse", feature = "measure-polls"))))]
pub fn app_loadable<B: Board>(
    board: &mut B,
    file: &'static [u8],
    memory: &'static mut [u8],
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let result = match tealight::Model::parse(file) {
        Ok(model) => match Session::<tealight::AllOps>::load(&model, memory) {
            Ok(mut session) => {
                fact!("tealight model_cost={}", model.cost());
                fact!("tealight longest_row={}", model.longest_row());
                serve(board, &mut session, &mut Plain(embedded))
            }
            Err(error) => Err(Failure::Load(error)),
        },
        Err(error) => Err(Failure::Parse(error)),
    };
    end(board, result)
}

/// Instead: parses the files that the board's input holds, and says what each took. The length of each, as a `u32`, stands
/// before it. Of `file`, the model in the image, nothing is wanted; `memory` takes one file after another.
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

/// The same for models that come with the input, single polls of which are timed.
#[cfg(feature = "measure-polls")]
pub fn app_loadable<B: Board>(
    board: &mut B,
    file: &'static [u8],
    memory: &'static mut [u8],
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let _ = (file, embedded);
    let result = crate::polls::polls(board, memory);
    end(board, result)
}

#[cfg(feature = "measure-parse")]
fn measure_parse<B: Board>(board: &mut B, memory: &mut [u8]) -> Result<u32, Failure> {
    let mut stack = 0;
    let mut files = 0_u32;
    loop {
        let mut length = [0; 4];
        match feed::next(board, &mut None, &mut length)? {
            0 => break,
            4 => {}
            _ => return Err(Failure::InputCut),
        }
        let length = u32::from_le_bytes(length) as usize;
        let file = memory.get_mut(..length).ok_or(Failure::InputLong)?;
        if feed::next(board, &mut None, file)? != length {
            return Err(Failure::InputCut);
        }
        let meter = Meter::paint(board);
        let start = board.ticks();
        let parsed = tealight::Model::parse(core::hint::black_box(file));
        let ticks = board.ticks().wrapping_sub(start);
        stack = meter.high_water().max(stack);
        fact!("tealight parse_ticks={}", ticks);
        match core::hint::black_box(parsed) {
            Ok(_) => note!(debug, "file {}: a model", files),
            Err(error) => note!(debug, "file {}: {}", files, error),
        }
        files = files.wrapping_add(1);
    }
    fact!("tealight stack_bytes={}", stack as u32);
    Ok(files)
}

/// Opens the report and calibrates the clock.
fn start<B: Board>(board: &mut B) {
    fact!("tealight version={}", report::VERSION);
    fact!("tealight board={}", B::ID);
    fact!("tealight ticks_per_second={}", B::TICKS_PER_SECOND);
    let ticks = calibrate::ticks(board);
    fact!("tealight calibration_instructions={}", calibrate::INSTRUCTIONS);
    fact!("tealight calibration_ticks={}", ticks);
}

/// Closes the report and leaves.
fn end<B: Board>(board: &mut B, result: Result<u32, Failure>) -> ! {
    match result {
        Ok(inferences) => {
            fact!("tealight done={}", inferences);
            board.exit(Outcome::Success)
        }
        Err(failure) => {
            failure.say();
            board.exit(Outcome::Failure)
        }
    }
}

/// Runs inferences until the inputs end; says how many.
fn serve<B: Board, O: Ops>(board: &mut B, session: &mut Session<'_, O>, feed: &mut impl Feed) -> Result<u32, Failure> {
    fact!("tealight arena_bytes={}", session.model().arena_len() as u32);
    fact!("tealight state_bytes={}", session.model().state_len() as u32);
    let (inputs, outputs) = (session.model().input_count(), session.model().output_count());
    note!(info, "the model has {} inputs and {} outputs", inputs, outputs);
    let mut stack = 0;
    let mut inferences = 0_u32;
    while feed.fill(board, session)? {
        #[cfg(feature = "seed-faults")]
        let fault = crate::seeds::chosen(session);
        // An LED that does not obey is no reason to stop.
        let _ = board.led().set_high();
        let meter = Meter::paint(board);
        let start = board.ticks();
        session.run();
        let ticks = board.ticks().wrapping_sub(start);
        stack = meter.high_water().max(stack);
        let _ = board.led().set_low();
        #[cfg(feature = "seed-faults")]
        let ticks = crate::seeds::cause(fault, ticks);
        fact!("tealight inference_ticks={}", ticks);
        note!(debug, "inference {}: stack of {} bytes so far", inferences, stack);
        write_outputs(board, session)?;
        inferences = inferences.wrapping_add(1);
    }
    fact!("tealight stack_bytes={}", stack as u32);
    Ok(inferences)
}

/// Whether the model's first input takes elements of another type than its own.
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
        sink.write_all(tensor.as_bytes()).map_err(|_| Failure::OutputWrite)?;
    }
    Ok(())
}
