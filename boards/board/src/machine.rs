//! The hardware of a board, independent of its connection to the host.

use embedded_hal::digital::OutputPin;

/// A board's hardware, as far as the app needs it: `Semihosted` and `Wired` turn it into a [`Board`](crate::Board).
pub trait Machine {
    /// The status LED.
    type Led: OutputPin;

    /// The board's identifier, the name of its folder: `env!("TEALIGHT_BOARD")`.
    const ID: &'static str;

    /// Ticks of [`Machine::ticks`] in a second.
    const TICKS_PER_SECOND: u32;

    /// Takes ownership of the hardware and starts its clock; called once.
    fn take() -> Self;

    /// The status LED; [`NoLed`](crate::led::NoLed) where there is none.
    fn led(&mut self) -> &mut Self::Led;

    /// Returns a free-running count that increases and wraps at 2³².
    fn ticks(&mut self) -> u32;
}
