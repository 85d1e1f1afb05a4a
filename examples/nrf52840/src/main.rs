//! A handwritten digit in a control loop, on Nordic's nRF52840-DK: `cargo run --release` in this folder, with probe-rs
//! installed. Its LED 1 shines while the network computes; the answer goes by RTT. (Built in CI, not run on a board
//! yet.)

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use panic_halt as _;
use rtt_target::{rprintln, rtt_init_print};
use static_cell::StaticCell;
use tealight::Budget;

// An invalid file is a compile error.
tealight::include_model!(mod digits = "../../../models/digits/digits.safetensors");
static ARENA: StaticCell<digits::Arena> = StaticCell::new();

/// A picture of a five: what a camera would give, as the model's int8.
static PICTURE: &[u8; 784] = include_bytes!("../../../models/digits/sample.bin");

#[entry]
fn main() -> ! {
    rtt_init_print!();
    let mut config = Config::default();
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let mut led = Output::new(chip.P0_13, Level::High, OutputDrive::Standard); // low is on

    let mut session = digits::Session::new(ARENA.init(digits::Arena::new()));
    loop {
        session.write_input(&PICTURE.map(u8::cast_signed)); // another type or number of elements is a compile error
        led.set_low();
        while session.poll(Budget::macs(50_000)).is_pending() {
            // Read sensors, move motors: the network goes on at the next turn.
        }
        led.set_high();
        if let Some((digit, probability)) = session.output_tensor().argmax() {
            rprintln!("a {}, probability {}", digit, probability);
        }
        cortex_m::asm::delay(64_000_000); // a second
    }
}
