//! A board whose only way to the world is a wire: a UART, or a debugger's RTT.
//!
//! What it says and what it answers goes out as the [log's](crate::log) frames: a run of output bytes is a line
//! `tealight output=[..]`. Inputs come in as they are, after the number of their bytes (u32, little-endian), because a wire has
//! no end; or they are built into the image.

use crate::{Board, Machine, Outcome, calibrate, fault, stack};
use defmt::println;
use embedded_io::{ErrorKind, ErrorType, Read, ReadExactError, Write};

/// A machine with a wire.
pub trait Wire: Machine {
    /// Where inputs come from.
    type Reader: Read;

    /// The end of the wire on which inputs come, or `None` if it goes one way only.
    fn reader(&mut self) -> Option<&mut Self::Reader>;
}

/// A serial port that gives a byte at a time, as most HALs' do, for a [`Wire::Reader`].
#[derive(Debug)]
pub struct ByteReader<P> {
    port: P,
    /// Waits for a byte; false if the port failed.
    receive: fn(&mut P, &mut [u8]) -> bool,
}

impl<P> ByteReader<P> {
    /// `receive` waits for one byte, which it writes to a slice of length 1, and tells whether it came.
    pub const fn new(port: P, receive: fn(&mut P, &mut [u8]) -> bool) -> Self {
        Self { port, receive }
    }
}

impl<P> ErrorType for ByteReader<P> {
    type Error = ErrorKind;
}

impl<P> Read for ByteReader<P> {
    /// Waits for a byte.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some((first, _)) = bytes.split_at_mut_checked(1) else { return Ok(0) };
        if (self.receive)(&mut self.port, first) { Ok(1) } else { Err(ErrorKind::Other) }
    }
}

/// A board of a machine with a wire. [`Machine::take`] has given the log its console.
#[derive(Debug)]
pub struct Wired<M> {
    input: Incoming<M>,
    output: Outgoing,
}

impl<M: Wire> Wired<M> {
    /// Takes the machine.
    pub fn take() -> Self {
        Self { input: Incoming { machine: M::take(), left: None }, output: Outgoing }
    }
}

impl<M: Wire> Board for Wired<M> {
    type Led = M::Led;
    type Input = Incoming<M>;
    type Output = Outgoing;

    const ID: &'static str = M::ID;
    const TICKS_PER_SECOND: u32 = M::TICKS_PER_SECOND;

    fn led(&mut self) -> &mut M::Led {
        self.input.machine.led()
    }

    fn input(&mut self) -> Option<&mut Incoming<M>> {
        self.input.machine.reader()?;
        Some(&mut self.input)
    }

    fn output(&mut self) -> Option<&mut Outgoing> {
        Some(&mut self.output)
    }

    #[inline(always)]
    fn ticks(&mut self) -> u32 {
        self.input.machine.ticks()
    }

    fn stack(&self) -> (usize, usize) {
        stack::bounds()
    }

    fn spin(&mut self, instructions: u32) {
        calibrate::spin(instructions);
    }

    fn exit(&mut self, outcome: Outcome) -> ! {
        fault::stop(outcome)
    }
}

/// Inputs as they come.
#[derive(Debug)]
pub struct Incoming<M> {
    machine: M,
    /// Bytes still to come, once their number has come.
    left: Option<u32>,
}

impl<M: Wire> ErrorType for Incoming<M> {
    type Error = ErrorKind;
}

impl<M: Wire> Read for Incoming<M> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        let reader = self.machine.reader().ok_or(ErrorKind::NotConnected)?;
        let left = match self.left {
            Some(left) => left,
            None => {
                // Whoever sends may wait for this.
                println!("tealight ready=1");
                let mut length = [0; 4];
                reader.read_exact(&mut length).map_err(|error| match error {
                    ReadExactError::UnexpectedEof => ErrorKind::BrokenPipe,
                    ReadExactError::Other(_) => ErrorKind::Other,
                })?;
                u32::from_le_bytes(length)
            }
        };
        let wanted = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let wanted = bytes.get_mut(..wanted).unwrap_or_default();
        let read = if wanted.is_empty() { 0 } else { reader.read(wanted).map_err(|_| ErrorKind::Other)? };
        self.left = Some(left.saturating_sub(read as u32));
        Ok(read)
    }
}

/// Outputs as frames of the log.
#[derive(Debug)]
pub struct Outgoing;

impl ErrorType for Outgoing {
    type Error = ErrorKind;
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let (now, _) = bytes.split_at_checked(PIECE).unwrap_or((bytes, &[]));
        if !now.is_empty() {
            println!("tealight output={=[u8]}", now);
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Output bytes in a line at most.
const PIECE: usize = 256;
