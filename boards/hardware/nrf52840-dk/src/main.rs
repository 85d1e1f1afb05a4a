//! Tealight on Nordic nRF52840-DK (Cortex-M4F).
//!
//! Log, inputs and outputs go over RTT, through the debugger on the board.

#![no_std]
#![no_main]

use core::convert::Infallible;
use cortex_m::peripheral::DWT;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embedded_io::{ErrorType, Read, Write};
use rtt_target::{DownChannel, UpChannel, rtt_init};
use tealight_board::led::ActiveLow;
use tealight_board::{Machine, Wire, keep, log};

struct Nrf52840Dk {
    led: ActiveLow<Output<'static>>,
    receiver: Receiver,
}

impl Machine for Nrf52840Dk {
    type Led = ActiveLow<Output<'static>>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 64_000_000;

    fn take() -> Self {
        let mut config = Config::default();
        config.hfclk_source = HfclkSource::ExternalXtal;
        let chip = embassy_nrf::init(config);
        let mut core = cortex_m::Peripherals::take().expect("the peripherals are taken once");
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
        let channels = rtt_init! {
            up: { 0: { size: 1024, name: "defmt" } }
            down: { 0: { size: 256, name: "input" } }
        };
        log::start(keep!(Sender(channels.up.0) => Sender));
        let led = Output::new(chip.P0_13, Level::High, OutputDrive::Standard);
        Self { led: ActiveLow(led), receiver: Receiver(channels.down.0) }
    }

    fn led(&mut self) -> &mut Self::Led {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        DWT::cycle_count()
    }
}

impl Wire for Nrf52840Dk {
    type Reader = Receiver;

    fn reader(&mut self) -> Option<&mut Receiver> {
        Some(&mut self.receiver)
    }
}

/// The channel that the debugger reads. While a debugger reads it, the channel blocks when it is full; without one,
/// data that does not fit is lost.
struct Sender(UpChannel);

impl ErrorType for Sender {
    type Error = Infallible;
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let _ = self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The channel that the debugger writes.
struct Receiver(DownChannel);

impl ErrorType for Receiver {
    type Error = Infallible;
}

impl Read for Receiver {
    /// Waits for at least one byte.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        while !bytes.is_empty() {
            let read = self.0.read(bytes);
            if read > 0 {
                return Ok(read);
            }
        }
        Ok(0)
    }
}

tealight_board::firmware!(wired Nrf52840Dk);
