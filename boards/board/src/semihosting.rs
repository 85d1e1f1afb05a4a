//! Files, console and exit of the host that debugs or emulates the board (Arm semihosting, version 2).
//!
//! Calls are made directly, without the formatting of `cortex_m_semihosting::hio`, because formatting can panic.

use crate::Outcome;
use cortex_m_semihosting::syscall;
use embedded_io::{ErrorKind, ErrorType, Read, Write};

/// `SYS_EXIT_EXTENDED`, the exit that carries a status on 32-bit cores too.
const EXIT_EXTENDED: usize = 0x20;

/// `ADP_Stopped_ApplicationExit`: the program ended by itself.
const APPLICATION_EXIT: usize = 0x2_0026;

const MODE_READ_BINARY: usize = 1;
const MODE_WRITE: usize = 4;
const MODE_WRITE_BINARY: usize = 5;

/// A file of the host, or its console.
#[derive(Debug)]
pub struct File {
    handle: usize,
}

impl File {
    /// Opens a file of the host for reading, or says `None`.
    pub fn open(name: &core::ffi::CStr) -> Option<Self> {
        Self::with_mode(name, MODE_READ_BINARY)
    }

    /// Creates a file of the host, or says `None`.
    pub fn create(name: &core::ffi::CStr) -> Option<Self> {
        Self::with_mode(name, MODE_WRITE_BINARY)
    }

    /// The host's console.
    pub fn console() -> Option<Self> {
        Self::with_mode(c":tt", MODE_WRITE)
    }

    fn with_mode(name: &core::ffi::CStr, mode: usize) -> Option<Self> {
        // SAFETY: SYS_OPEN reads a zero-ended name of the given length; both live through the call.
        let handle = unsafe { syscall!(OPEN, name.as_ptr(), mode, name.count_bytes()) };
        (handle != usize::MAX).then_some(Self { handle })
    }
}

impl ErrorType for File {
    type Error = ErrorKind;
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        // SAFETY: SYS_READ writes at most `len` bytes at the pointer, which is the borrowed buffer.
        let missing = unsafe { syscall!(READ, self.handle, buffer.as_mut_ptr(), buffer.len()) };
        // The host answers with the number of bytes it did not fill: all of them at the file's end.
        buffer.len().checked_sub(missing).ok_or(ErrorKind::Other)
    }
}

impl Write for File {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // SAFETY: SYS_WRITE reads `len` bytes at the pointer, which is the borrowed buffer.
        let left = unsafe { syscall!(WRITE, self.handle, buffer.as_ptr(), buffer.len()) };
        match buffer.len().checked_sub(left) {
            Some(written) if written > 0 => Ok(written),
            _ => Err(ErrorKind::WriteZero),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Ends the program; the host's exit status is 0 for success and 1 for failure.
pub fn exit(outcome: Outcome) -> ! {
    let status = match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
    };
    loop {
        // SAFETY: SYS_EXIT_EXTENDED reads two words, the reason and the status.
        unsafe { cortex_m_semihosting::syscall(EXIT_EXTENDED, &[APPLICATION_EXIT, status]) };
    }
}

/// Says on the console where the firmware panicked or faulted, and exits with failure. For panic and fault handlers.
pub fn fail(what: &str, place: &str, number: u32) -> ! {
    if let Some(mut console) = File::console() {
        crate::report::line(
            &mut console,
            &[
                b"tealight error=",
                what.as_bytes(),
                b" at ",
                place.as_bytes(),
                b":",
                crate::report::Digits::new(number).as_bytes(),
            ],
        );
    }
    exit(Outcome::Failure)
}
