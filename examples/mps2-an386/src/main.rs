//! A handwritten digit in a control loop, on an emulated Cortex-M4F: `cargo run --release` in this folder.

#![no_std]
#![no_main]

use cortex_m as _; // its critical section
use cortex_m_rt::entry;
use semihosting::{println, process::ExitCode};
use static_cell::StaticCell;
use tealight::{Arena, Budget, Session};

// An invalid file is a compile error.
tealight::include_model!(static DIGITS = "../../../models/digits/digits.safetensors");
static ARENA: StaticCell<Arena<{ DIGITS.arena_len() }>> = StaticCell::new();

/// A picture of a five: what a camera would give, as the model's int8.
static PICTURE: &[u8] = include_bytes!("../../../models/digits/sample.bin");

#[entry]
fn main() -> ! {
    let mut session = Session::new(&DIGITS, ARENA.init(Arena::new()));
    let copied = session.input(0).map(|mut input| input.copy_from_bytes(PICTURE));
    assert_eq!(copied, Some(Ok(())), "the picture is of another size");
    let mut turns = 1;
    while session.poll(Budget::macs(50_000)).is_pending() {
        turns += 1; // Read sensors, move motors: the network goes on at the next turn.
    }
    match session.output(0).and_then(|scores| scores.argmax()) {
        Some((digit, probability)) => println!("a {digit}, probability {probability:.3}, after {turns} turns"),
        None => println!("no answer"),
    }
    ExitCode::SUCCESS.exit_process()
}
