//! A board that a host debugs or emulates: its report, inputs and outputs go through semihosting.
//!
//! What is left to say of such a board is its clock.

use crate::fault::guard_stack;
use crate::semihosting::{self, File};
use crate::{Board, Outcome, calibrate};

unsafe extern "C" {
    // From `memory.x`, which the board's build script writes.
    static _stack_start: u32;
    static _stack_end: u32;
}

/// What differs between boards with semihosting.
pub trait Machine {
    /// The board's identifier, the name of its folder: `env!("TEALIGHT_BOARD")`.
    const ID: &'static str;

    /// Ticks of [`Machine::ticks`] in a second.
    const TICKS_PER_SECOND: u32;

    /// Takes the hardware and starts its clock; called once.
    fn take() -> Self;

    /// A free-running count that goes up and wraps at 2³².
    fn ticks(&mut self) -> u32;
}

/// A machine with the host's console and files.
#[derive(Debug)]
pub struct Semihosted<M> {
    console: File,
    input: Option<File>,
    output: Option<File>,
    machine: M,
}

impl<M: Machine> Semihosted<M> {
    /// Takes the machine. Without a host to talk to, it ends the run.
    pub fn take() -> Self {
        guard_stack();
        let Some(console) = File::console() else { semihosting::exit(Outcome::Failure) };
        let (input, output) = (File::open(c"input.bin"), File::create(c"output.bin"));
        Self { console, input, output, machine: M::take() }
    }
}

impl<M: Machine> Board for Semihosted<M> {
    type Console = File;
    type Input = File;
    type Output = File;

    const ID: &'static str = M::ID;
    const TICKS_PER_SECOND: u32 = M::TICKS_PER_SECOND;

    fn console(&mut self) -> &mut File {
        &mut self.console
    }

    fn input(&mut self) -> Option<&mut File> {
        self.input.as_mut()
    }

    fn output(&mut self) -> Option<&mut File> {
        self.output.as_mut()
    }

    #[inline(always)]
    fn ticks(&mut self) -> u32 {
        self.machine.ticks()
    }

    fn stack(&self) -> (usize, usize) {
        ((&raw const _stack_end) as usize, (&raw const _stack_start) as usize)
    }

    fn spin(&mut self, instructions: u32) {
        calibrate::spin(instructions);
    }

    fn exit(&mut self, outcome: Outcome) -> ! {
        semihosting::exit(outcome)
    }
}
