//! Tealight on the BBC micro:bit (Cortex-M0), on the HAL `embassy-nrf`.
//!
//! The HAL starts the chip and its clocks, and owns the timer and the LED. It has no driver for the nRF51's UART, so the
//! console is the host's: semihosting, or RTT under `cargo xtask flash`.

#![no_std]
#![no_main]

use cortex_m_rt as _;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::timer::{Frequency, Timer};
use tealight_board::Machine;

struct MicrobitEmbassy {
    timer: Timer<'static>,
    /// The row of the LED at the top left of the matrix, which is on while its row is high and its column is low.
    row: Output<'static>,
    /// Its column, which stays low as long as this is not dropped.
    _column: Output<'static>,
}

impl Machine for MicrobitEmbassy {
    type Led = Output<'static>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 16_000_000;

    fn take() -> Self {
        let mut config = Config::default();
        config.hfclk_source = HfclkSource::ExternalXtal;
        let chip = embassy_nrf::init(config);
        // The timer with a 32-bit mode (nRF51 Series Reference Manual, chapter 18).
        let timer = Timer::new(chip.TIMER0);
        timer.set_frequency(Frequency::F16MHz);
        timer.start();
        let row = Output::new(chip.P0_13, Level::Low, OutputDrive::Standard);
        let column = Output::new(chip.P0_04, Level::Low, OutputDrive::Standard);
        Self { timer, row, _column: column }
    }

    fn led(&mut self) -> &mut Self::Led {
        &mut self.row
    }

    fn ticks(&mut self) -> u32 {
        self.timer.cc(0).capture()
    }
}

tealight_board::firmware!(MicrobitEmbassy);
