//! Tealight on ESP32-C3 Super Mini (RV32IMC).
//!
//! Log, inputs and outputs go over the chip's own USB port.

#![no_std]
#![no_main]

use esp_hal::Blocking;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::time::Instant;
use esp_hal::usb::usb_serial_jtag::{UsbSerialJtag, UsbSerialJtagRx, UsbSerialJtagTx};
use tealight_board::led::ActiveLow;
use tealight_board::{Machine, Wire, Wired, keep, log};

// The app descriptor for the boot loader.
esp_bootloader_esp_idf::esp_app_desc!();

struct Esp32C3 {
    led: ActiveLow<Output<'static>>,
    receiver: UsbSerialJtagRx<'static, Blocking>,
}

impl Machine for Esp32C3 {
    type Led = ActiveLow<Output<'static>>;

    const ID: &'static str = env!("TEALIGHT_BOARD");
    const TICKS_PER_SECOND: u32 = 1_000_000;

    fn take() -> Self {
        let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
        let (receiver, sender) = UsbSerialJtag::new(chip.USB_DEVICE).split();
        log::start(keep!(sender => UsbSerialJtagTx<'static, Blocking>));
        let led = Output::new(chip.GPIO8, Level::High, OutputConfig::default());
        Self { led: ActiveLow(led), receiver }
    }

    fn led(&mut self) -> &mut Self::Led {
        &mut self.led
    }

    fn ticks(&mut self) -> u32 {
        // The core has no standard cycle counter; the chip's timer counts microseconds.
        Instant::now().duration_since_epoch().as_micros() as u32
    }
}

impl Wire for Esp32C3 {
    type Reader = UsbSerialJtagRx<'static, Blocking>;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        Some(&mut self.receiver)
    }
}

#[esp_hal::main]
fn main() -> ! {
    tealight_board::run!(Wired::<Esp32C3>::take())
}
