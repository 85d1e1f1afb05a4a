//! Tealight on ST's Nucleo-H743ZI (Cortex-M7): console and inputs by USART 3, which is the board's USB.

#![no_std]
#![no_main]

use cortex_m::peripheral::{DCB, DWT};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::mode::Blocking;
use embassy_stm32::rcc::{AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, Uart, UartRx};
use embassy_stm32::Config;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut config = Config::default();
    config.rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Bypass });
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSE, prediv: PllPreDiv::DIV4, mul: PllMul::MUL400, fracn: None, divp: Some(PllDiv::DIV2), divq: None, divr: None });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV2;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.apb3_pre = APBPrescaler::DIV2;
    config.rcc.apb4_pre = APBPrescaler::DIV2;
    config.rcc.voltage_scale = VoltageScale::Scale1;
    let chip = embassy_stm32::init(config);
    let mut led = Output::new(chip.PB0, Level::Low, Speed::Low);
    let (mut tx, rx) = Uart::new_blocking(chip.USART3, chip.PD9, chip.PD8, usart::Config::default()).unwrap().split();
    loop {
        tx.blocking_write(b"x");
        led.set_low();
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
