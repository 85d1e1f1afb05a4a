//! Tealight on the Raspberry Pi Pico 2 (RP2350, Hazard3): console and inputs by UART 0, on pins 0 and 1.

#![no_std]
#![no_main]

use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::{Clock, init_clocks_and_plls};
use rp235x_hal::fugit::RateExtU32;
use rp235x_hal::gpio::Pins;
use rp235x_hal::uart::{DataBits, StopBits, UartConfig, UartPeripheral};
use rp235x_hal::{Sio, Watchdog, pac};

/// What the boot ROM looks for.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: ImageDef = ImageDef::secure_exe();

#[rp235x_hal::entry]
fn main() -> ! {
    let mut chip = pac::Peripherals::take().unwrap();
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let clocks = init_clocks_and_plls(12_000_000, chip.XOSC, chip.CLOCKS, chip.PLL_SYS, chip.PLL_USB, &mut chip.RESETS, &mut watchdog).ok().unwrap();
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
    let mut led = pins.gpio25.into_push_pull_output();
    let wires = (pins.gpio0.into_function(), pins.gpio1.into_function());
    let config = UartConfig::new(115_200.Hz(), DataBits::Eight, None, StopBits::One);
    let uart = UartPeripheral::new(chip.UART0, wires, &mut chip.RESETS);
    let (rx, tx) = uart.enable(config, clocks.peripheral_clock.freq()).unwrap().split();
    loop {
        tx.write_full_blocking(b"x");
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
