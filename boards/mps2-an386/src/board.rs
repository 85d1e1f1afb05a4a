//! The board's parts, as the app sees them.

use tealight_board::semihosting::{self, File};
use tealight_board::{Board, Outcome, calibrate, cmsdk};

/// Base of CMSDK APB timer 0 (Application Note AN386, table of the APB peripherals).
const TIMER0: usize = 0x4000_0000;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The MPS2 board with its timer and the host's console and files.
pub(crate) struct Mps2An386 {
    console: File,
    input: Option<File>,
    output: Option<File>,
    timer: cmsdk::Timer,
}

impl Mps2An386 {
    /// Takes the board; `None` if there is no host to talk to.
    pub(crate) fn take() -> Option<Self> {
        Some(Self {
            console: File::console()?,
            input: File::open(c"input.bin"),
            output: File::create(c"output.bin"),
            // SAFETY: the address is the board's timer 0, and nothing else in this image uses it.
            timer: unsafe { cmsdk::Timer::start(TIMER0) },
        })
    }
}

impl Board for Mps2An386 {
    type Console = File;
    type Input = File;
    type Output = File;

    const ID: &'static str = "mps2-an386";
    // The timer runs at 25 MHz.
    const TICK_NS: u32 = 40;

    fn console(&mut self) -> &mut File {
        &mut self.console
    }

    fn input(&mut self) -> Option<&mut File> {
        self.input.as_mut()
    }

    fn output(&mut self) -> Option<&mut File> {
        self.output.as_mut()
    }

    fn ticks(&mut self) -> u32 {
        self.timer.ticks()
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
