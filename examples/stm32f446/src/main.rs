//! A handwritten digit beside a control loop of 1 kHz, in async tasks on ST's Nucleo-F446RE: `cargo run --release` in
//! this folder, with probe-rs installed, which shows the log. (Built in CI, not run on a board yet.)

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m as _; // its critical section
use embassy_executor::{InterruptExecutor, Spawner};
use embassy_stm32::Config;
use embassy_stm32::interrupt::{self, InterruptExt as _, Priority};
use embassy_time::{Duration, Instant, Ticker, Timer};
use static_cell::StaticCell;
use tealight::Budget;
use {defmt_rtt as _, panic_probe as _};

// An invalid file is a compile error.
tealight::include_model!(mod digits = "../../../models/digits/digits.safetensors");
static ARENA: StaticCell<digits::Arena> = StaticCell::new();

/// A picture of a five: what a camera would give, as the model's int8.
static PICTURE: &[u8; 784] = include_bytes!("../../../models/digits/sample.bin");
/// How often the control loop has run.
static PERIODS: AtomicU32 = AtomicU32::new(0);
/// Runs its tasks in an interrupt that has no other use here, at any time, before those of `main`.
static URGENT: InterruptExecutor = InterruptExecutor::new();

#[embassy_stm32::interrupt]
unsafe fn UART5() {
    // SAFETY: the executor was started for this interrupt.
    unsafe { URGENT.on_interrupt() }
}

#[embassy_executor::task]
async fn control() {
    let mut period = Ticker::every(Duration::from_hz(1000));
    loop {
        PERIODS.fetch_add(1, Ordering::Relaxed); // Read sensors, move motors.
        period.next().await;
    }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    embassy_stm32::init(Config::default()); // 16 MHz: set the chip's clocks here
    interrupt::UART5.set_priority(Priority::P6);
    URGENT.start(interrupt::UART5).spawn(control().unwrap());

    let mut session = digits::Session::new(ARENA.init(digits::Arena::new()));
    loop {
        session.write_input(&PICTURE.map(u8::cast_signed)); // another type or number of elements is a compile error
        let (start, before) = (Instant::now(), PERIODS.load(Ordering::Relaxed));
        session.infer(Budget::macs(20_000)).await; // other tasks of this executor run between its slices
        let (millis, periods) = (start.elapsed().as_millis(), PERIODS.load(Ordering::Relaxed) - before);
        let Some((digit, probability)) = session.output_tensor().argmax() else { continue };
        defmt::info!("a {}, probability {}, in {} ms, {} periods", digit, probability, millis, periods);
        Timer::after_secs(1).await;
    }
}
