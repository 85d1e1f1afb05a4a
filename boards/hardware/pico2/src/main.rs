//! Tealight on Raspberry Pi Pico 2, Arm cores (Cortex-M33).
//!
//! Log, inputs and outputs go over UART 0, on pins 1 and 2 of the board.

#![no_std]
#![no_main]

use cortex_m::peripheral::DWT;
use embassy_rp::config::Config;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::uart::{self, Blocking, Uart, UartRx, UartTx};
use tealight_board::{ByteReader, Machine, Wire, keep, log};

type Receiver = ByteReader<UartRx<'static, Blocking>>;

struct Pico2 {
    led: Output<'static>,
    receiver: Receiver,
}

impl Machine for Pico2 {
    type Led = Output<'static>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 150_000_000;

    fn take() -> Self {
        let chip = embassy_rp::init(Config::default());
        let mut core = cortex_m::Peripherals::take().expect("the peripherals are taken once");
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
        let uart = Uart::new_blocking(chip.UART0, chip.PIN_0, chip.PIN_1, uart::Config::default());
        let (sender, receiver) = uart.split();
        log::start(keep!(sender => UartTx<'static, Blocking>));
        Self {
            led: Output::new(chip.PIN_25, Level::Low),
            receiver: ByteReader::new(receiver, |port, byte| port.blocking_read(byte).is_ok()),
        }
    }

    fn led(&mut self) -> &mut Self::Led {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        DWT::cycle_count()
    }
}

impl Wire for Pico2 {
    type Reader = Receiver;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}

tealight_board::firmware!(wired Pico2);
