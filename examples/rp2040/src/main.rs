//! A handwritten digit beside a control loop of 1 kHz, in async tasks on a Raspberry Pi Pico: `cargo run --release` in
//! this folder, with probe-rs installed. The answer goes by UART 0 (pin 1 of the board, 115,200 baud).

#![no_std]
#![no_main]

use embassy_executor::{InterruptExecutor, Spawner};
use embassy_rp::interrupt::{self, InterruptExt as _, Priority};
use embassy_rp::uart::{self, UartTx};
use embassy_time::{Duration, Ticker, Timer};
use embedded_io::Write as _;
use panic_halt as _;
use portable_atomic::{AtomicU32, Ordering};
use static_cell::StaticCell;
use tealight::Budget;

// An invalid file is a compile error.
tealight::include_model!(mod digits = "../../../models/digits/digits.safetensors");
static ARENA: StaticCell<digits::Arena> = StaticCell::new();

/// A picture of a five: what a camera would give, as the model's int8.
static PICTURE: &[u8; 784] = include_bytes!("../../../models/digits/sample.bin");
/// How often the control loop has run.
static PERIODS: AtomicU32 = AtomicU32::new(0);
/// Runs its tasks in an interrupt that has no other use here, at any time, before those of `main`.
static URGENT: InterruptExecutor = InterruptExecutor::new();

#[embassy_rp::interrupt]
unsafe fn SPI1_IRQ() {
    // SAFETY: the executor was started for this interrupt.
    unsafe { URGENT.on_interrupt() }
}

#[embassy_executor::task]
async fn control() {
    let mut period = Ticker::every(Duration::from_millis(1));
    loop {
        PERIODS.fetch_add(1, Ordering::Relaxed); // Read sensors, move motors.
        period.next().await;
    }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    let mut serial = UartTx::new_blocking(chip.UART0, chip.PIN_0, uart::Config::default());
    interrupt::SPI1_IRQ.set_priority(Priority::P2);
    URGENT.start(interrupt::SPI1_IRQ).spawn(control().unwrap());

    let mut session = digits::Session::new(ARENA.init(digits::Arena::new()));
    loop {
        session.write_input(&PICTURE.map(u8::cast_signed)); // another type or number of elements is a compile error
        let before = PERIODS.load(Ordering::Relaxed);
        session.infer(Budget::macs(20_000)).await; // other tasks of this executor run between its slices
        let periods = PERIODS.load(Ordering::Relaxed) - before;
        let Some((digit, probability)) = session.output_tensor().argmax() else { continue };
        let _ = write!(serial, "a {digit}, probability {probability:.3}, in {periods} periods of control\r\n");
        Timer::after_secs(1).await;
    }
}
