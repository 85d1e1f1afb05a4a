//! Tealight on an ESP32-C3 (RV32IMC): console and inputs by the chip's own USB.

#![no_std]
#![no_main]

use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::time::Instant;
use esp_hal::usb::usb_serial_jtag::UsbSerialJtag;

esp_bootloader_esp_idf::esp_app_desc!();

#[esp_hal::main]
fn main() -> ! {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let mut led = Output::new(chip.GPIO8, Level::High, OutputConfig::default());
    let (rx, mut tx) = UsbSerialJtag::new(chip.USB_DEVICE).split();
    loop {
        tx.write(b"x");
        led.set_low();
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
