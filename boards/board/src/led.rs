//! Status LEDs, as `embedded-hal` pins.

use core::convert::Infallible;
use embedded_hal::digital::{ErrorType, OutputPin};

/// The LED of a board that has none.
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

/// An LED that is switched on by one register write and off by another, which covers most chips' ports.
///
/// `set_high` switches it on, however the LED is wired.
#[derive(Debug)]
pub struct RegisterLed {
    lit: (*mut u32, u32),
    dark: (*mut u32, u32),
}

impl RegisterLed {
    /// Creates it from the address and value of the write that switches it on, and of the one that switches it off.
    ///
    /// # Safety
    /// Both must be addresses of registers that may be written with these values, and nothing else in the image may
    /// write to them.
    pub const unsafe fn new(lit: (usize, u32), dark: (usize, u32)) -> Self {
        Self { lit: (lit.0 as *mut u32, lit.1), dark: (dark.0 as *mut u32, dark.1) }
    }
}

impl ErrorType for RegisterLed {
    type Error = Infallible;
}

impl OutputPin for RegisterLed {
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

/// An LED that is on while its pin is low, as one between the supply and the pin is. `set_high` switches it on.
#[derive(Clone, Copy, Debug)]
pub struct ActiveLow<P>(pub P);

impl<P: OutputPin> ErrorType for ActiveLow<P> {
    type Error = P::Error;
}

impl<P: OutputPin> OutputPin for ActiveLow<P> {
    fn set_low(&mut self) -> Result<(), P::Error> {
        self.0.set_high()
    }

    fn set_high(&mut self) -> Result<(), P::Error> {
        self.0.set_low()
    }
}

/// Writes registers one after another, to configure a pin as an output.
///
/// # Safety
/// They must be registers that may be written with these values.
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
    fn writes_the_registers_of_an_led() {
        let mut registers = [0_u32; 2];
        let [set, clear] = [0, 1].map(|i| &raw mut registers[i] as usize);
        // SAFETY: they are words that nothing else writes to.
        let mut led = unsafe { RegisterLed::new((set, 1 << 9), (clear, 1 << 9)) };
        led.set_high().unwrap();
        assert_eq!(registers, [1 << 9, 0]);
        // SAFETY: they are words that nothing else writes to.
        unsafe { prepare(&[(set, 0), (clear, 7)]) };
        assert_eq!(registers, [0, 7]);
        led.set_low().unwrap();
        assert_eq!(registers, [0, 1 << 9]);
    }

    #[test]
    fn an_active_low_led_is_lit_by_a_low_pin() {
        struct Pin(bool);
        impl ErrorType for Pin {
            type Error = Infallible;
        }
        impl OutputPin for Pin {
            fn set_low(&mut self) -> Result<(), Infallible> {
                self.0 = false;
                Ok(())
            }
            fn set_high(&mut self) -> Result<(), Infallible> {
                self.0 = true;
                Ok(())
            }
        }
        let mut led = ActiveLow(Pin(true));
        led.set_high().unwrap();
        assert!(!led.0.0);
        led.set_low().unwrap();
        assert!(led.0.0);
    }
}
