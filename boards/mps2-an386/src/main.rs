//! Tealight on the MPS2 board with the AN386 image (Cortex-M4F): wires the board to the app.
//!
//! `TEALIGHT_MODEL` names the compiled model to embed; `TEALIGHT_INPUT`, if set, a file of inputs to embed.

#![no_std]
#![no_main]

mod board;

use board::Mps2An386;
use cortex_m_rt::{ExceptionFrame, exception};
use tealight_board::semihosting;

#[cfg(embedded_input)]
static INPUT: Option<&[u8]> = Some(include_bytes!(env!("TEALIGHT_INPUT")));
#[cfg(not(embedded_input))]
static INPUT: Option<&[u8]> = None;

#[cfg(not(any(feature = "audio", feature = "loadable", feature = "text")))]
mod embedded;
#[cfg(feature = "audio")]
mod listening;
#[cfg(all(feature = "loadable", not(any(feature = "audio", feature = "text"))))]
mod loadable;
#[cfg(all(feature = "text", not(feature = "audio")))]
mod writing;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    match info.location() {
        Some(place) => semihosting::fail("panic", place.file(), place.line()),
        None => semihosting::fail("panic", "unknown", 0),
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    semihosting::fail("hard-fault", "pc", frame.pc())
}
