//! Tealight on Raspberry Pi Pico 2, RISC-V cores (RV32IMAC).
//!
//! Log, inputs and outputs go over UART 0, on pins 1 and 2 of the board.

#![no_std]
#![no_main]

use core::arch::asm;
use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::{Clock, init_clocks_and_plls};
use rp235x_hal::gpio::bank0::{Gpio0, Gpio1, Gpio25};
use rp235x_hal::gpio::{FunctionSioOutput, FunctionUart, Pin, Pins, PullDown};
use rp235x_hal::pac::{Peripherals, UART0};
use rp235x_hal::uart::{Reader, UartConfig, UartPeripheral, Writer};
use rp235x_hal::{Sio, Watchdog, sio};
use tealight_board::clock::cycle;
use tealight_board::{Machine, Wire, keep, log};

/// The image definition for the boot ROM.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: ImageDef = ImageDef::secure_exe();

/// The frequency of the board's crystal in hertz.
const CRYSTAL: u32 = 12_000_000;

type Wires = (Pin<Gpio0, FunctionUart, PullDown>, Pin<Gpio1, FunctionUart, PullDown>);

struct Pico2Riscv {
    led: Pin<Gpio25, FunctionSioOutput, PullDown>,
    receiver: Reader<UART0, Wires>,
}

impl Machine for Pico2Riscv {
    type Led = Pin<Gpio25, FunctionSioOutput, PullDown>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 150_000_000;

    fn take() -> Self {
        // SAFETY: none of the spin locks is held yet.
        unsafe { sio::spinlock_reset() };
        let mut chip = Peripherals::take().expect("the peripherals are taken once");
        let mut watchdog = Watchdog::new(chip.WATCHDOG);
        let clocks = init_clocks_and_plls(
            CRYSTAL,
            chip.XOSC,
            chip.CLOCKS,
            chip.PLL_SYS,
            chip.PLL_USB,
            &mut chip.RESETS,
            &mut watchdog,
        );
        let clock = clocks.expect("the crystal frequency is that of the board").peripheral_clock.freq();
        let pins = Pins::new(chip.IO_BANK0, chip.PADS_BANK0, Sio::new(chip.SIO).gpio_bank0, &mut chip.RESETS);
        let uart =
            UartPeripheral::new(chip.UART0, (pins.gpio0.into_function(), pins.gpio1.into_function()), &mut chip.RESETS);
        let uart = uart.enable(UartConfig::default(), clock);
        let (receiver, sender) = uart.expect("this clock can produce 115,200 baud").split();
        log::start(keep!(sender => Writer<UART0, Wires>));
        // SAFETY: the register only stops counters, as it does after a reset; here it starts all of them.
        unsafe { asm!("csrw mcountinhibit, zero", options(nomem, nostack)) };
        Self { led: pins.gpio25.into_push_pull_output(), receiver }
    }

    fn led(&mut self) -> &mut Self::Led {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        cycle::ticks()
    }
}

impl Wire for Pico2Riscv {
    type Reader = Reader<UART0, Wires>;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}

tealight_board::firmware!(wired Pico2Riscv);
