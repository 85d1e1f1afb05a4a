//! Tealight on ST Nucleo-F446RE (Cortex-M4F).
//!
//! Log, inputs and outputs go over USART 2, which the debugger on the board provides as a serial port.

#![no_std]
#![no_main]

use cortex_m::peripheral::DWT;
use embassy_stm32::Config;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::mode::Blocking;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllSource, Sysclk,
};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, Uart, UartRx, UartTx};
use tealight_board::{ByteReader, Machine, Wire, keep, log};

type Receiver = ByteReader<UartRx<'static, Blocking>>;

struct NucleoF446re {
    led: Output<'static>,
    receiver: Receiver,
}

impl Machine for NucleoF446re {
    type Led = Output<'static>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 168_000_000;

    fn take() -> Self {
        let chip = embassy_stm32::init(clocks());
        let mut core = cortex_m::Peripherals::take().expect("the peripherals are taken once");
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
        let uart = Uart::new_blocking(chip.USART2, chip.PA3, chip.PA2, usart::Config::default());
        let (sender, receiver) = uart.expect("this clock can produce 115,200 baud").split();
        log::start(keep!(sender => UartTx<'static, Blocking>));
        Self {
            led: Output::new(chip.PA5, Level::Low, Speed::Low),
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

/// 168 MHz from the debugger's 8 MHz clock.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Bypass });
    config.rcc.pll_src = PllSource::HSE;
    config.rcc.pll =
        Some(Pll { prediv: PllPreDiv::DIV4, mul: PllMul::MUL168, divp: Some(PllPDiv::DIV2), divq: None, divr: None });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    config.rcc.apb1_pre = APBPrescaler::DIV4;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config
}

impl Wire for NucleoF446re {
    type Reader = Receiver;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}

tealight_board::firmware!(wired NucleoF446re);
