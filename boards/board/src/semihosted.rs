//! A board under a debugger or emulator: its report, inputs and outputs go through semihosting. Inputs and outputs are
//! files of the host, or with the feature `balance-wire` a wire: its console.
//!
//! Only its clock and its LED remain to be described.

#[cfg(feature = "balance-wire")]
use crate::Outgoing;
use crate::semihosting::{self, File};
use crate::{Board, Machine, Outcome, calibrate, keep, log, stack};

/// Where outputs go.
#[cfg(not(feature = "balance-wire"))]
type Output = File;
#[cfg(feature = "balance-wire")]
type Output = Outgoing;

/// Opens the files of inputs and outputs.
#[cfg(not(feature = "balance-wire"))]
fn open() -> (Option<File>, Option<Output>) {
    (File::open(c"input.bin"), File::create(c"output.bin"))
}

/// Opens the host's standard input. Outputs are lines of the report.
#[cfg(feature = "balance-wire")]
fn open() -> (Option<File>, Option<Output>) {
    (File::open(c":tt"), Some(Outgoing))
}

/// A machine with the host's console and files.
#[derive(Debug)]
pub struct Semihosted<M> {
    input: Option<File>,
    output: Option<Output>,
    machine: M,
}

impl<M: Machine> Semihosted<M> {
    /// Takes ownership of the machine. Without a host, it ends the run.
    pub fn take() -> Self {
        let Some(console) = File::console() else { semihosting::exit(Outcome::Failure) };
        log::start(keep!(console => File));
        let (input, output) = open();
        Self { input, output, machine: M::take() }
    }
}

impl<M: Machine> Board for Semihosted<M> {
    type Led = M::Led;
    type Input = File;
    type Output = Output;

    const ID: &'static str = M::ID;
    const TICKS_PER_SECOND: u32 = M::TICKS_PER_SECOND;

    fn led(&mut self) -> &mut M::Led {
        self.machine.led()
    }

    fn input(&mut self) -> Option<&mut File> {
        self.input.as_mut()
    }

    fn output(&mut self) -> Option<&mut Output> {
        self.output.as_mut()
    }

    #[inline(always)]
    fn ticks(&mut self) -> u32 {
        self.machine.ticks()
    }

    fn stack(&self) -> (usize, usize) {
        stack::bounds()
    }

    fn spin(&mut self, instructions: u32) {
        calibrate::spin(instructions);
    }

    fn exit(&mut self, outcome: Outcome) -> ! {
        semihosting::exit(outcome)
    }
}
