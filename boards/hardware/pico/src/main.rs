//! Tealight on Raspberry Pi Pico (Cortex-M0+).
//!
//! Log, inputs and outputs go over UART 0, on pins 1 and 2 of the board.

#![no_std]
#![no_main]

use cortex_m_rt as _;
use embassy_rp::config::Config;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::uart::{self, Blocking, Uart, UartRx, UartTx};
use embassy_time::Instant;
use tealight_board::{ByteReader, Machine, Wire, keep, log};

type Receiver = ByteReader<UartRx<'static, Blocking>>;

struct Pico {
    led: Output<'static>,
    receiver: Receiver,
}

impl Machine for Pico {
    type Led = Output<'static>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000;

    fn take() -> Self {
        let chip = embassy_rp::init(Config::default());
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
        // The core has no cycle counter; the chip's timer counts microseconds.
        Instant::now().as_micros() as u32
    }
}

impl Wire for Pico {
    type Reader = Receiver;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}

tealight_board::firmware!(wired Pico);
