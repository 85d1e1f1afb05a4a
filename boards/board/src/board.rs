//! What an app may ask of a board.

/// How a firmware run ended; a board passes it to whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every inference was run and its output written.
    Success,
    /// Something failed; the console says what.
    Failure,
}

/// A board: its status LED, where inputs come from and outputs go, its clock, its stack.
///
/// Its console is the [log's](crate::log), which a board gives it when it starts.
pub trait Board {
    /// Shines while the network runs.
    type Led: embedded_hal::digital::OutputPin;
    /// Gives the inputs: those of one inference after those of another, until its end.
    type Input: embedded_io::Read;
    /// Takes the outputs in the same order.
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

    /// A free-running count that goes up and wraps at 2³².
    fn ticks(&mut self) -> u32;

    /// Lowest and highest address (exclusive) of the memory kept for the stack.
    fn stack(&self) -> (usize, usize);

    /// Runs a loop of exactly `instructions` instructions (a multiple of two), to calibrate the clock by.
    fn spin(&mut self, instructions: u32);

    /// Ends the run.
    fn exit(&mut self, outcome: Outcome) -> !;
}
