//! The interface between an app and a board.

/// The result of a firmware run; a board passes it to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every inference was run and its output written.
    Success,
    /// Something failed; the reason is in the log.
    Failure,
}

/// A board: its status LED, its input and output, its clock and its stack.
///
/// Its console is that of the [log](crate::log), which the board sets at start-up.
pub trait Board {
    /// The status LED, lit while the network runs.
    type Led: embedded_hal::digital::OutputPin;
    /// The source of inputs: those of one inference after those of another, until its end.
    type Input: embedded_io::Read;
    /// The sink of outputs, in the same order.
    type Output: embedded_io::Write;

    /// The board's identifier, the name of its folder.
    const ID: &'static str;

    /// Ticks of [`Board::ticks`] in a second.
    const TICKS_PER_SECOND: u32;

    /// The status LED; [`NoLed`](crate::led::NoLed) where there is none.
    fn led(&mut self) -> &mut Self::Led;

    /// The source of inputs, or `None` where there is none.
    fn input(&mut self) -> Option<&mut Self::Input>;

    /// The sink of outputs, or `None` where there is none.
    fn output(&mut self) -> Option<&mut Self::Output>;

    /// Returns a free-running count that increases and wraps at 2³².
    fn ticks(&mut self) -> u32;

    /// Returns the lowest and the highest address (exclusive) of the memory reserved for the stack.
    fn stack(&self) -> (usize, usize);

    /// Runs a loop of exactly `instructions` instructions (a multiple of two), to calibrate the clock.
    fn spin(&mut self, instructions: u32);

    /// Ends the run.
    fn exit(&mut self, outcome: Outcome) -> !;
}
