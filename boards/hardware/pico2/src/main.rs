//! Tealight on the Raspberry Pi Pico 2 (RP2350, Cortex-M33): console and inputs by UART 0, on pins 0 and 1.

#![no_std]
#![no_main]

use embassy_rp::config::Config;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::uart::{self, Blocking, Uart, UartRx};

#[cortex_m_rt::entry]
fn main() -> ! {
    let chip = embassy_rp::init(Config::default());
    let mut led = Output::new(chip.PIN_25, Level::Low);
    let (mut tx, mut rx) = Uart::new_blocking(chip.UART0, chip.PIN_0, chip.PIN_1, uart::Config::default()).split();
    loop {
        let t = cortex_m::peripheral::DWT::cycle_count();
        let _ = tx.blocking_write(&t.to_le_bytes());
        led.set_low();
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
