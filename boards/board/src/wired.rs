//! A board whose only connection is serial: a UART, or a debugger's RTT.
//!
//! Its log and its outputs are sent as the [log's](crate::log) frames: a run of output bytes is a line `tealight
//! output=[..]`. Inputs are received as raw bytes, after their number (u32, little-endian), because the connection has
//! no end of file; or they are built into the image.

use crate::bytes::fill;
use crate::{Board, Machine, Outcome, calibrate, fault, stack};
use defmt::println;
use embedded_io::{ErrorKind, ErrorType, Read, Write};

/// A machine with a serial connection.
pub trait Wire: Machine {
    /// The receiver of inputs.
    type Reader: Read;

    /// Returns the receiver, or `None` if the connection only sends.
    fn reader(&mut self) -> Option<&mut Self::Reader>;
}

/// A serial port that returns one byte at a time, as most HALs' do, for a [`Wire::Reader`].
#[derive(Debug)]
pub struct ByteReader<P> {
    port: P,
    /// Waits for a byte; returns false if the port failed.
    receive: fn(&mut P, &mut [u8]) -> bool,
}

impl<P> ByteReader<P> {
    /// Creates it from `receive`, which waits for one byte, writes it to a slice of length 1, and returns whether it
    /// arrived.
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

/// A board of a machine with a serial connection. [`Machine::take`] has set the console of the log.
#[derive(Debug)]
pub struct Wired<M> {
    input: Incoming<M>,
    output: Outgoing,
}

impl<M: Wire> Wired<M> {
    /// Takes ownership of the machine.
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

/// The inputs as they are received.
#[derive(Debug)]
pub struct Incoming<M> {
    machine: M,
    /// The number of bytes still to be received, once it is known.
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
                // The sender may wait for this.
                println!("tealight ready=1");
                let mut length = [0; 4];
                if fill(reader, &mut length).map_err(|_| ErrorKind::Other)? < length.len() {
                    return Err(ErrorKind::BrokenPipe);
                }
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

/// The outputs as frames of the log.
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

/// The maximum number of output bytes in a line.
const PIECE: usize = 256;
