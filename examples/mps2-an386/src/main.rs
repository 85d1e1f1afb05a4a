//! A handwritten digit in a control loop, on an emulated Cortex-M4F: `cargo run --release` in this folder.

#![no_std]
#![no_main]

use cortex_m as _; // its critical section
use cortex_m_rt::entry;
use semihosting::{println, process::ExitCode};
use static_cell::StaticCell;
use tealight::Budget;

// An invalid file is a compile error.
tealight::include_model!(mod digits = "../../../models/digits/digits.safetensors");
static ARENA: StaticCell<digits::Arena> = StaticCell::new();

/// A picture of a five: what a camera would give, as the model's int8.
static PICTURE: &[u8; 784] = include_bytes!("../../../models/digits/sample.bin");

#[entry]
fn main() -> ! {
    let mut session = digits::Session::new(ARENA.init(digits::Arena::new()));
    session.write_input(&PICTURE.map(u8::cast_signed)); // another type or number of elements is a compile error
    let mut turns = 1;
    while session.poll(Budget::macs(50_000)).is_pending() {
        turns += 1; // Read sensors, move motors: the network goes on at the next turn.
    }
    match session.output_tensor().argmax() {
        Some((digit, probability)) => println!("a {digit}, probability {probability:.3}, after {turns} turns"),
        None => println!("no answer"),
    }
    ExitCode::SUCCESS.exit_process()
}
