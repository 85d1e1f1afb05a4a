//! A spoken word that starts a second network, both in one memory, on an emulated Cortex-M4F: `cargo run --release` in
//! this folder.

#![no_std]
#![no_main]

use cortex_m as _; // its critical section
use cortex_m_rt::entry;
use semihosting::{println, process::ExitCode};
use static_cell::{ConstStaticCell, StaticCell};
use tealight::{Arena, Budget, shared_arena_len};
use tealight_audio::{Features, LogMel};

// An invalid file is a compile error.
tealight::include_model!(mod keyword = "../../../models/keyword/keyword.safetensors");
tealight::include_model!(mod gesture = "../../../models/gesture/gesture.safetensors");

/// For one network at a time: while it has a session, the compiler refuses another. What a network with streaming state
/// remembers is kept outside, from `read_state` to `write_state`.
static MEMORY: StaticCell<Arena<{ shared_arena_len(&[keyword::ARENA_LEN, gesture::ARENA_LEN]) }>> = StaticCell::new();
static LOG_MEL: ConstStaticCell<LogMel<40>> = ConstStaticCell::new(LogMel::new());
static FEATURES: ConstStaticCell<Features<49, 40>> = ConstStaticCell::new(Features::new());

/// A second of sound at 16 kHz behind 44 bytes of header, and 2.56 seconds of motion: what sensors would give.
static SOUND: &[u8; 32044] = include_bytes!("../../../models/keyword/sample.wav");
static MOTION: &[u8; 768] = include_bytes!("../../../models/gesture/sample.bin");

#[entry]
fn main() -> ! {
    let (memory, log_mel, features) = (MEMORY.init(Arena::new()), LOG_MEL.take(), FEATURES.take());
    let samples = SOUND[44..].chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]]));
    samples.for_each(|sample| log_mel.push(&[sample], |frame| features.push(frame)));

    let mut keyword_net = keyword::Session::new(memory);
    let _ = keyword_net.input(0).map(|mut input| input.copy_from(features.as_slice()));
    while keyword_net.poll(Budget::macs(50_000)).is_pending() {
        // Read sensors, move motors: the network goes on at the next turn.
    }
    match keyword_net.output_tensor().argmax() {
        Some((0, probability @ 0.5..)) => println!("a yes, probability {probability:.3}: look at the motion"),
        _ => ExitCode::FAILURE.exit_process(),
    }

    let mut gesture_net = gesture::Session::new(memory);
    gesture_net.write_input(&MOTION.map(u8::cast_signed)); // another type or number of elements is a compile error
    gesture_net.run();
    if let Some((exercise, probability)) = gesture_net.output_tensor().argmax() {
        println!("exercise {exercise}, probability {probability:.3}");
    }
    ExitCode::SUCCESS.exit_process()
}
