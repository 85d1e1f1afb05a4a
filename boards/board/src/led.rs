//! Status LEDs, as `embedded-hal` pins.

use core::convert::Infallible;
use embedded_hal::digital::{ErrorType, OutputPin};

/// For a board that has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLed;

impl ErrorType for NoLed {
    type Error = Infallible;
}

impl OutputPin for NoLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// An LED that one write to a register lights and another puts out: enough for most chips' ports.
///
/// High is lit, however the LED is wired.
#[derive(Debug)]
pub struct Register {
    lit: (*mut u32, u32),
    dark: (*mut u32, u32),
}

impl Register {
    /// The address and value of the write that lights it, and of the one that puts it out.
    ///
    /// # Safety
    /// Both addresses are those of registers that may be written so, and nothing else in the image writes to them.
    pub const unsafe fn new(lit: (usize, u32), dark: (usize, u32)) -> Self {
        Self { lit: (lit.0 as *mut u32, lit.1), dark: (dark.0 as *mut u32, dark.1) }
    }
}

impl ErrorType for Register {
    type Error = Infallible;
}

impl OutputPin for Register {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // SAFETY: `new` was told that it is a register.
        unsafe { self.dark.0.write_volatile(self.dark.1) };
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        // SAFETY: `new` was told that it is a register.
        unsafe { self.lit.0.write_volatile(self.lit.1) };
        Ok(())
    }
}

/// Writes registers one after another: what a port needs before its pin is an output.
///
/// # Safety
/// They are registers that may be written so.
pub unsafe fn prepare(writes: &[(usize, u32)]) {
    for &(register, value) in writes {
        // SAFETY: as the caller says.
        unsafe { (register as *mut u32).write_volatile(value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lit_led_is_a_write_to_one_register_and_a_dark_one_to_another() {
        let mut registers = [0_u32; 2];
        let [set, clear] = [0, 1].map(|i| &raw mut registers[i] as usize);
        // SAFETY: they are words that nothing else writes to.
        let mut led = unsafe { Register::new((set, 1 << 9), (clear, 1 << 9)) };
        led.set_high().unwrap();
        assert_eq!(registers, [1 << 9, 0]);
        // SAFETY: they are words that nothing else writes to.
        unsafe { prepare(&[(set, 0), (clear, 7)]) };
        assert_eq!(registers, [0, 7]);
        led.set_low().unwrap();
        assert_eq!(registers, [0, 1 << 9]);
    }
}
