//! A handwritten digit in a control loop of 1 kHz, on an ESP32-C3 Super Mini: `cargo run --release` in this folder, with
//! espflash installed, which shows the answer. (Built in CI, not run on a board yet.)

#![no_std]
#![no_main]

use core::fmt::Write as _;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::time::{Duration, Instant};
use esp_hal::usb::usb_serial_jtag::UsbSerialJtag;
use panic_halt as _;
use static_cell::StaticCell;
use tealight::Budget;

// The app descriptor for the boot loader.
esp_bootloader_esp_idf::esp_app_desc!();

// An invalid file is a compile error.
tealight::include_model!(mod digits = "../../../models/digits/digits.safetensors");
static ARENA: StaticCell<digits::Arena> = StaticCell::new();

/// A picture of a five: what a camera would give, as the model's int8.
static PICTURE: &[u8; 784] = include_bytes!("../../../models/digits/sample.bin");
const PERIOD: Duration = Duration::from_millis(1);

#[esp_hal::main]
fn main() -> ! {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let mut serial = UsbSerialJtag::new(chip.USB_DEVICE);
    let mut pin = Output::new(chip.GPIO8, Level::Low, OutputConfig::default());

    let mut session = digits::Session::new(ARENA.init(digits::Arena::new()));
    session.write_input(&PICTURE.map(u8::cast_signed)); // another type or number of elements is a compile error
    let (mut next, mut periods) = (Instant::now(), 0);
    loop {
        pin.toggle(); // Read sensors, move motors. An oscilloscope on this pin shows the period.
        next += PERIOD;
        periods += 1;
        // The network has the rest of the period, in slices that are shorter than what control can wait.
        while Instant::now() + Duration::from_micros(300) < next {
            if session.poll(Budget::macs(10_000)).is_pending() {
                continue;
            }
            if let Some((digit, probability)) = session.output_tensor().argmax() {
                let _ = writeln!(serial, "a {digit}, probability {probability:.3}, in {periods} periods\r");
            }
            session.write_input(&PICTURE.map(u8::cast_signed));
            periods = 0;
        }
        while Instant::now() < next {}
    }
}
