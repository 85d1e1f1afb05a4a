//! The APB UART of Arm's Cortex-M System Design Kit, on the MPS2 and MPS3 boards.
//!
//! Registers in the CMSDK Technical Reference Manual (ARM DDI 0479), section 4.2.

use core::convert::Infallible;
use core::ptr::{read_volatile, write_volatile};
use embedded_io::{ErrorType, Read, Write};

const DATA: usize = 0;
const STATE: usize = 1;
const CTRL: usize = 2;
const BAUDDIV: usize = 4;
const STATE_TX_FULL: u32 = 1;
const STATE_RX_FULL: u32 = 2;
const CTRL_TX_AND_RX: u32 = 3;

/// The transmitter.
#[derive(Debug)]
pub struct Sender(*mut u32);

/// The receiver.
#[derive(Debug)]
pub struct Receiver(*mut u32);

/// Starts a UART with `divisor` (at least 16) ticks of its clock per bit.
///
/// # Safety
/// `address` must be the base of a CMSDK APB UART that nothing else uses.
pub unsafe fn start(address: usize, divisor: u32) -> (Sender, Receiver) {
    let registers = address as *mut u32;
    // SAFETY: the caller guarantees the UART's registers.
    unsafe {
        write_volatile(registers.add(BAUDDIV), divisor);
        write_volatile(registers.add(CTRL), CTRL_TX_AND_RX);
    }
    (Sender(registers), Receiver(registers))
}

/// Waits for bits of the state to be clear, or set.
fn wait(registers: *mut u32, bits: u32, set: bool) {
    // SAFETY: the caller of `start` guarantees the registers; reading the state has no effect.
    while (unsafe { read_volatile(registers.add(STATE)) } & bits != 0) != set {}
}

impl ErrorType for Sender {
    type Error = Infallible;
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            wait(self.0, STATE_TX_FULL, false);
            // SAFETY: the caller of `start` guarantees the registers, and the buffer has room for a byte.
            unsafe { write_volatile(self.0.add(DATA), u32::from(byte)) };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        wait(self.0, STATE_TX_FULL, false);
        Ok(())
    }
}

impl ErrorType for Receiver {
    type Error = Infallible;
}

/// How often the state is read while a byte is awaited, with the feature `balance-wire`: a minute or more. Each request over
/// a wire has an answer, so one that does not arrive is the end.
#[cfg(feature = "balance-wire")]
const POLLS: u32 = 1 << 28;

/// Waits for a byte; returns false if none arrives.
#[cfg(feature = "balance-wire")]
fn arrives(registers: *mut u32) -> bool {
    // SAFETY: the caller of `start` guarantees the registers; reading the state has no effect.
    (0..POLLS).any(|_| unsafe { read_volatile(registers.add(STATE)) } & STATE_RX_FULL != 0)
}

/// Waits for a byte.
#[cfg(not(feature = "balance-wire"))]
fn arrives(registers: *mut u32) -> bool {
    wait(registers, STATE_RX_FULL, true);
    true
}

impl Read for Receiver {
    /// Waits for a byte.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first_mut() else { return Ok(0) };
        if !arrives(self.0) {
            return Ok(0);
        }
        // SAFETY: the caller of `start` guarantees the registers, and the buffer has a byte.
        *byte = unsafe { read_volatile(self.0.add(DATA)) } as u8;
        Ok(1)
    }
}
