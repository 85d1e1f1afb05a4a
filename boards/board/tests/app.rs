//! The firmware app on a board of memory: what it writes for a small model and good or bad inputs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use tealight::{Arena, DType, TensorError};
use tealight_audio::{Features, HOP, LogMel, SAMPLE_RATE};
use tealight_board::{Board, Outcome, Sound, app, app_audio, app_text, log};
use tealight_text::{Sampler, Sampling};

tealight::include_model!(
    /// Three numbers in, the same numbers without the negative ones out.
    static RELU = "../../../runtime/core/tests/relu.safetensors"
);

tealight::include_model!(
    /// A language model: a character in, a score for each that may come next out.
    static CHARLM = "../../../models/charlm/charlm.safetensors"
);

/// A sink that the test can look into after the app has left.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl embedded_io::ErrorType for Sink {
    type Error = embedded_io::ErrorKind;
}

impl embedded_io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.lock().expect("nothing panicked under the lock").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A status LED that counts how often it was lit.
#[derive(Clone, Default)]
struct Led(Arc<Mutex<(bool, usize)>>);

impl embedded_hal::digital::ErrorType for Led {
    type Error = std::convert::Infallible;
}

impl embedded_hal::digital::OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.lock().expect("nothing panicked under the lock").0 = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        let mut led = self.0.lock().expect("nothing panicked under the lock");
        *led = (true, led.1 + usize::from(!led.0));
        Ok(())
    }
}

struct Memory {
    led: Led,
    input: Option<&'static [u8]>,
    output: Option<Sink>,
    ticks: u32,
}

impl Board for Memory {
    type Led = Led;
    type Input = &'static [u8];
    type Output = Sink;

    const ID: &'static str = "memory";
    const TICKS_PER_SECOND: u32 = 500_000_000;

    fn led(&mut self) -> &mut Led {
        &mut self.led
    }

    fn input(&mut self) -> Option<&mut &'static [u8]> {
        self.input.as_mut()
    }

    fn output(&mut self) -> Option<&mut Sink> {
        self.output.as_mut()
    }

    /// A clock of which every reading takes ten ticks.
    fn ticks(&mut self) -> u32 {
        self.ticks = self.ticks.wrapping_add(10);
        self.ticks
    }

    /// No stack of its own that could be painted.
    fn stack(&self) -> (usize, usize) {
        (usize::MAX, usize::MAX)
    }

    fn spin(&mut self, instructions: u32) {
        self.ticks = self.ticks.wrapping_add(instructions / 2);
    }

    /// Leaves the app with the outcome as a panic's payload.
    fn exit(&mut self, outcome: Outcome) -> ! {
        std::panic::resume_unwind(Box::new(outcome))
    }
}

/// What [`RELU`] needs.
type ReluArena = Arena<{ RELU.arena_len() }>;

/// Runs an app; gives its outcome, console and output.
fn run_app<const N: usize>(
    input: Option<&'static [u8]>,
    app: impl FnOnce(&mut Memory, &'static mut Arena<N>),
) -> (Outcome, String, Vec<u8>) {
    let (led, output) = (Led::default(), Sink::default());
    let mut board = Memory { led: led.clone(), input, output: Some(output.clone()), ticks: u32::MAX - 20 };
    log::take();
    let left = catch_unwind(AssertUnwindSafe(|| app(&mut board, Box::leak(Box::new(Arena::new())))));
    let outcome = *left.expect_err("the app never returns").downcast::<Outcome>().expect("only exit unwinds");
    let console = log::take();
    let inferences = console.matches("tealight inference_ticks=").count();
    assert_eq!(*led.0.lock().expect("nothing panicked under the lock"), (false, inferences), "{console}");
    let output = output.0.lock().expect("nothing panicked under the lock").clone();
    (outcome, console, output)
}

/// The app whose inputs are the model's.
fn run(input: Option<&'static [u8]>, embedded: Option<&'static [u8]>) -> (Outcome, String, Vec<u8>) {
    run_app(input, |board, arena: &'static mut ReluArena| app(board, &RELU, arena, embedded))
}

/// The app that listens; the model takes one frame of three bands.
fn run_audio(samples: &[i16], built_in: bool) -> (Outcome, String, Vec<u8>) {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let bytes: &'static [u8] = bytes.leak();
    let (input, embedded) = if built_in { (None, Some(bytes)) } else { (Some(bytes), None) };
    let sound = Box::leak(Box::new(Sound::<1, 3>::new()));
    run_app(input, |board, arena: &'static mut ReluArena| app_audio(board, &RELU, arena, sound, embedded))
}

/// Seconds of a tone that grows.
fn tone(seconds: usize) -> Vec<i16> {
    (0..seconds * SAMPLE_RATE).map(|n| (n / 8) as i16 * if n / 10 % 2 == 0 { 1 } else { -1 }).collect()
}

#[test]
fn a_second_of_sound_becomes_features_and_an_output() {
    let samples = tone(2);
    let mut wanted = Vec::new();
    for second in samples.chunks(SAMPLE_RATE) {
        let mut features = Features::<1, 3>::new();
        LogMel::<3>::new().push(second, |frame| features.push(frame));
        wanted.extend(features.as_slice().iter().map(|x| x.cast_unsigned()));
        wanted.extend(features.as_slice().iter().map(|x| x.max(&0).cast_unsigned()));
    }
    assert!(wanted.iter().any(|&byte| byte != 0));
    for built_in in [false, true] {
        let (outcome, console, output) = run_audio(&samples, built_in);
        assert_eq!((outcome, &output), (Outcome::Success, &wanted));
        // Fifty pieces, each timed by two readings of the clock.
        assert_eq!(console.matches(&format!("tealight front_end_ticks={}\n", 10 * SAMPLE_RATE / HOP)).count(), 2);
        assert!(console.ends_with("tealight done=2\n"), "{console}");
    }
}

#[test]
fn incomplete_sound_is_an_error_after_the_complete_seconds() {
    for samples in [SAMPLE_RATE + 1, SAMPLE_RATE + HOP, 2 * SAMPLE_RATE - 1] {
        let (outcome, console, output) = run_audio(&tone(2)[..samples], false);
        assert_eq!((outcome, output.len()), (Outcome::Failure, 6), "{samples} samples");
        assert!(console.ends_with("tealight error=input-ends-within-an-inference\n"), "{console}");
    }
}

#[test]
fn a_model_that_takes_other_features_is_refused() {
    let sound = Box::leak(Box::new(Sound::<2, 3>::new()));
    let input: &'static [u8] = vec![0; 2 * SAMPLE_RATE].leak();
    let (outcome, console, _) =
        run_app(Some(input), |board, arena: &'static mut ReluArena| app_audio(board, &RELU, arena, sound, None));
    assert_eq!(outcome, Outcome::Failure);
    assert!(console.ends_with("tealight error=model-takes-other-features\n"), "{console}");
}

#[test]
fn elements_of_another_type_are_refused() {
    let mut arena = ReluArena::new();
    let mut session = tealight::Session::new(&RELU, &mut arena);
    let mut input = session.input(0).expect("the model has an input");
    let refused = input.copy_from(&[200u8, 0, 5]);
    assert_eq!(refused, Err(TensorError::Type { expected: DType::I8, found: DType::U8 }));
    assert_eq!(input.as_slice_mut::<i8>(), Some(&mut [0, 0, 0][..]), "nothing was written");
}

#[test]
fn inputs_in_a_row_become_outputs_in_a_row() {
    let (outcome, console, output) = run(Some(&[251, 0, 5, 128, 127, 1]), None);
    assert_eq!(outcome, Outcome::Success);
    assert_eq!(output, [0, 0, 5, 0, 127, 1]);
    assert_eq!(console.matches("tealight inference_ticks=10\n").count(), 2, "{console}");
    assert!(console.starts_with("tealight version=4\ntealight board=memory\ntealight ticks_per_second=500000000\n"));
    assert!(console.ends_with("tealight done=2\n"));
}

#[test]
fn the_clock_may_wrap() {
    let (_, console, _) = run(Some(&[]), None);
    assert!(console.contains("tealight calibration_ticks=500000\n"), "{console}");
}

#[test]
fn built_in_inputs_are_taken_before_the_boards() {
    let (outcome, _, output) = run(None, Some(&[1, 255, 3]));
    assert_eq!((outcome, &output[..]), (Outcome::Success, &[1, 0, 3][..]));
}

#[test]
fn an_incomplete_input_is_an_error_after_the_complete_ones() {
    let (outcome, console, output) = run(Some(&[1, 2, 3, 4]), None);
    assert_eq!((outcome, &output[..]), (Outcome::Failure, &[1, 2, 3][..]));
    assert!(console.ends_with("tealight error=input-ends-within-an-inference\n"));
}

#[test]
fn a_missing_input_is_an_error() {
    let (outcome, console, _) = run(None, None);
    assert_eq!(outcome, Outcome::Failure);
    assert!(console.ends_with("tealight error=input-not-found\n"));
}

/// What the app that continues texts is given.
fn request(temperature: f32, seed: u64, count: u32, prompt: &[i32]) -> &'static [u8] {
    let header = [&temperature.to_le_bytes()[..], &seed.to_le_bytes(), &count.to_le_bytes()].concat();
    header.into_iter().chain(prompt.iter().flat_map(|token| token.to_le_bytes())).collect::<Vec<u8>>().leak()
}

/// Runs `test` where the stack has room for the language model's memory, which is made there first.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(test).expect("cannot start a thread");
    thread.join().expect("the test holds");
}

/// The app that continues texts.
fn continue_text(input: &'static [u8], built_in: bool) -> (Outcome, String, Vec<u8>) {
    let (input, embedded) = if built_in { (None, Some(input)) } else { (Some(input), None) };
    run_app(input, |board, arena: &'static mut Arena<{ CHARLM.arena_len() }>| app_text(board, &CHARLM, arena, embedded))
}

#[test]
fn a_text_is_continued_with_the_models_own_tokens() {
    with_room(continued);
}

fn continued() {
    let prompt = [45, 70, 63];
    for (temperature, seed, built_in) in [(0.0, 0, false), (0.8, 1, false), (0.8, 2, true)] {
        // The same by hand, on the host.
        let mut arena = Box::new(Arena::<{ CHARLM.arena_len() }>::new());
        let mut session = tealight::Session::new(&CHARLM, &mut *arena);
        let how = Sampling { temperature, seed, ..Sampling::default() };
        let (mut sampler, mut scores, mut tokens) = (Sampler::new(how), Vec::new(), Vec::new());
        for step in 0..prompt.len() + 4 {
            let token = match prompt.get(step) {
                Some(&token) => token,
                None => tokens[step - prompt.len()],
            };
            session.input(0).expect("there is an input").copy_from(&[token]).expect("the model takes a token");
            session.run();
            scores.extend_from_slice(session.output(0).expect("there is an output").as_bytes());
            if step + 1 >= prompt.len() {
                tokens.push(
                    sampler
                        .next(session.output(0).expect("there is one").as_slice::<f32>().expect("there is one"))
                        .expect("there are scores")
                        .cast_signed(),
                );
            }
        }
        let (outcome, console, output) = continue_text(request(temperature, seed, 5, &prompt), built_in);
        assert_eq!((outcome, output == scores), (Outcome::Success, true), "{console}");
        let printed = console.lines().filter_map(|line| line.strip_prefix("tealight token=")?.parse().ok());
        assert_eq!(printed.collect::<Vec<i32>>(), tokens, "temperature {temperature}, seed {seed}");
        assert!(console.ends_with("tealight done=7\n"), "{console}");
    }
}

#[test]
fn a_text_without_a_prompt_or_a_language_model_is_an_error() {
    with_room(refused);
}

fn refused() {
    for (input, error) in [
        (request(0.0, 0, 5, &[]), "input-not-found"),
        (&request(0.0, 0, 5, &[45])[..18], "input-ends-within-an-inference"),
        (&request(0.0, 0, 5, &[])[..15], "input-ends-within-an-inference"),
    ] {
        let (outcome, console, _) = continue_text(input, false);
        assert_eq!(outcome, Outcome::Failure);
        assert!(console.ends_with(&format!("tealight error={error}\n")), "{console}");
    }
    let input = request(0.0, 0, 5, &[1]);
    let (outcome, console, _) = run_app(Some(input), |board, arena: &'static mut ReluArena| {
        app_text(board, &RELU, arena, None);
    });
    assert_eq!(outcome, Outcome::Failure);
    assert!(console.ends_with("tealight error=model-continues-no-text\n"), "{console}");
}
