//! Tealight on Nordic's nRF52840-DK (Cortex-M4F): console and inputs by RTT, through the kit's own debugger.

#![no_std]
#![no_main]

use cortex_m::peripheral::{DCB, DWT};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::config::{Config, HfclkSource};

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut config = Config::default();
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let mut led = Output::new(chip.P0_13, Level::High, OutputDrive::Standard);
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
    }
    let channels = rtt_target::rtt_init! {
        up: { 0: { size: 1024, mode: rtt_target::ChannelMode::BlockIfFull, name: "defmt" } }
        down: { 0: { size: 256, name: "input" } }
    };
    loop {
        led.set_low();
    }
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
