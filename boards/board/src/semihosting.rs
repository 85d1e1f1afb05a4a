//! Files, console and exit status of the host that debugs or emulates the board (Arm semihosting; RISC-V has the same
//! calls).
//!
//! The calls are made without formatting, which can panic.

use crate::Outcome;
use core::ffi::CStr;
use embedded_io::{ErrorKind, ErrorType, Read, Write};
use semihosting::fd::BorrowedFd;
use semihosting::sys::arm_compat::{ExitReason, OpenMode, sys_exit_extended, sys_open, sys_read_orig, sys_write_orig};

/// A file of the host, or its console. It stays open to the end of the run.
#[derive(Debug)]
pub struct File(BorrowedFd<'static>);

impl File {
    /// Opens a file of the host for reading; returns `None` if it cannot.
    pub fn open(name: &CStr) -> Option<Self> {
        Self::with_mode(name, OpenMode::RDONLY_BINARY)
    }

    /// Creates a file of the host; returns `None` if it cannot.
    pub fn create(name: &CStr) -> Option<Self> {
        Self::with_mode(name, OpenMode::WRONLY_TRUNC_BINARY)
    }

    /// Opens the host's console.
    pub fn console() -> Option<Self> {
        Self::with_mode(c":tt", OpenMode::WRONLY_TRUNC)
    }

    fn with_mode(name: &CStr, mode: OpenMode) -> Option<Self> {
        let file = sys_open(name, mode).ok()?.into_raw_fd();
        // An open file is never -1; the check here removes a check that could panic from the linked code.
        // SAFETY: the file is open, and nothing closes it.
        (file != -1).then(|| Self(unsafe { BorrowedFd::borrow_raw(file) }))
    }
}

impl ErrorType for File {
    type Error = ErrorKind;
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        // The host answers with the number of bytes it did not fill: all of them at the file's end.
        let missing = sys_read_orig(self.0, buffer).map_err(|_| ErrorKind::Other)?;
        buffer.len().checked_sub(missing).ok_or(ErrorKind::Other)
    }
}

impl Write for File {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = sys_write_orig(self.0, buffer).map_err(|_| ErrorKind::Other)?;
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
        sys_exit_extended(ExitReason::ADP_Stopped_ApplicationExit, status);
    }
}
