//! Tealight on ST's Nucleo-F446RE (Cortex-M4F): console and inputs by USART 2, which is the board's USB.

#![no_std]
#![no_main]

use cortex_m::peripheral::{DCB, DWT};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::mode::Blocking;
use embassy_stm32::rcc::{AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllSource, Sysclk};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, Uart, UartRx};
use embassy_stm32::Config;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut config = Config::default();
    config.rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Bypass });
    config.rcc.pll_src = PllSource::HSE;
    config.rcc.pll =
        Some(Pll { prediv: PllPreDiv::DIV4, mul: PllMul::MUL168, divp: Some(PllPDiv::DIV2), divq: None, divr: None });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    config.rcc.apb1_pre = APBPrescaler::DIV4;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    let chip = embassy_stm32::init(config);
    let mut led = Output::new(chip.PA5, Level::Low, Speed::Low);
    let (mut tx, rx) = Uart::new_blocking(chip.USART2, chip.PA3, chip.PA2, usart::Config::default()).unwrap().split();
    loop {
        tx.blocking_write(b"x");
        led.set_low();
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
