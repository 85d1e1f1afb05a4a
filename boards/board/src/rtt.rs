//! The log over SEGGER's Real-Time Transfer: a ring buffer in RAM, which a debugger reads while the core runs. No panic and
//! no other crate is linked for it.
//!
//! A debugger finds the buffer by the symbol `_SEGGER_RTT`, or by the identifier at its start. While none reads, what does
//! not fit is lost, and the firmware goes on. A debugger that reads everything sets the channel's mode to blocking. It can
//! do that before the firmware starts, too, so that nothing is lost until it first reads: the control block is in memory
//! that start-up code leaves as it is, and the word [`BLOCKING_FROM_START`] in the place of the flags sets the mode.

use crate::{ByteReader, Machine, Wire, keep, log};
use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::mem::MaybeUninit;
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{Ordering, fence};
use embedded_io::{ErrorType, Write};

/// The length of the buffer in bytes, of which one stays free.
const LENGTH: u32 = 512;

/// The identifier, backwards: so that it stands in the image in no form that a search would find.
const IDENTIFIER: [u8; 16] = *b"\0\0\0\0\0\0TTR REGGES";

/// The name of the channel: debuggers take it for the format of what it carries.
static NAME: [u8; 6] = *b"defmt\0";

/// Flags that a debugger writes before the firmware starts, to have the mode be [`BLOCKING`] from there on.
pub const BLOCKING_FROM_START: u32 = 0x7EA1_0002;

/// The mode in which a writer waits until there is room.
const BLOCKING: u32 = 2;
/// The bits of the flags that are the mode.
const MODE: u32 = 3;

/// A channel, laid out as debuggers expect it.
#[repr(C)]
struct Channel {
    name: *const u8,
    buffer: *mut u8,
    length: u32,
    /// The index of the next byte that the firmware writes.
    write: u32,
    /// The index of the next byte that the debugger reads; it writes this.
    read: u32,
    flags: u32,
}

/// The control block, with one channel to the debugger and none from it.
#[repr(C)]
struct ControlBlock {
    identifier: [u8; 16],
    up_channels: u32,
    down_channels: u32,
    up: Channel,
}

#[repr(transparent)]
struct Shared<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the firmware accesses it in `start` and by the one `Sender` that `start` returns.
unsafe impl<T> Sync for Shared<T> {}

#[unsafe(export_name = "_SEGGER_RTT")]
#[unsafe(link_section = ".uninit.rtt")]
static BLOCK: Shared<ControlBlock> = Shared(UnsafeCell::new(MaybeUninit::uninit()));

#[unsafe(link_section = ".uninit.rtt_buffer")]
static BUFFER: Shared<[u8; LENGTH as usize]> = Shared(UnsafeCell::new(MaybeUninit::uninit()));

/// Prepares the channel. Called once.
fn start() -> Sender {
    let block: *mut ControlBlock = BLOCK.0.get().cast();
    // SAFETY: the block is valid for volatile access, which a debugger may do at the same time; any bytes are values of
    // its fields. Nothing else in the firmware refers to it.
    unsafe {
        let asked = read_volatile(&raw const (*block).up.flags) == BLOCKING_FROM_START;
        write_volatile(&raw mut (*block).up.name, NAME.as_ptr());
        write_volatile(&raw mut (*block).up.buffer, BUFFER.0.get().cast());
        write_volatile(&raw mut (*block).up.length, LENGTH);
        write_volatile(&raw mut (*block).up.write, 0);
        write_volatile(&raw mut (*block).up.read, 0);
        write_volatile(&raw mut (*block).up.flags, if asked { BLOCKING } else { 0 });
        write_volatile(&raw mut (*block).up_channels, 1);
        write_volatile(&raw mut (*block).down_channels, 0);
        // The identifier is last, and its first byte the last of it: then all else is valid.
        fence(Ordering::SeqCst);
        let identifier: *mut u8 = (&raw mut (*block).identifier).cast();
        for (place, byte) in (0..16).rev().zip(IDENTIFIER) {
            write_volatile(identifier.add(place), byte);
        }
    }
    Sender(block)
}

/// The firmware's end of the channel.
struct Sender(*mut ControlBlock);

impl Sender {
    fn blocks(&self) -> bool {
        // SAFETY: the block is valid, and the firmware's only reference to it is this.
        unsafe { read_volatile(&raw const (*self.0).up.flags) & MODE == BLOCKING }
    }

    /// Bytes that fit now, given where the next is written. A debugger that wrote nonsense makes it 0.
    fn room(&self, write: u32) -> u32 {
        // SAFETY: as above.
        let read = unsafe { read_volatile(&raw const (*self.0).up.read) };
        match read.checked_sub(write) {
            _ if read >= LENGTH => 0,
            Some(0) | None => (LENGTH - 1).saturating_sub(write.saturating_sub(read)),
            Some(ahead) => ahead - 1,
        }
    }
}

impl ErrorType for Sender {
    type Error = Infallible;
}

impl Write for Sender {
    /// Waits for room if the channel blocks; otherwise what does not fit as a whole is lost.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        // SAFETY: as above.
        let mut write = unsafe { read_volatile(&raw const (*self.0).up.write) } % LENGTH;
        if !self.blocks() && bytes.len() > self.room(write) as usize {
            return Ok(bytes.len());
        }
        let buffer: *mut u8 = BUFFER.0.get().cast();
        for &byte in bytes {
            while self.room(write) == 0 {
                if !self.blocks() {
                    return Ok(bytes.len());
                }
                core::hint::spin_loop();
            }
            // SAFETY: the index is below the buffer's length.
            unsafe { write_volatile(buffer.add(write as usize), byte) };
            write = (write + 1) % LENGTH;
            // The byte is there before the index that counts it.
            fence(Ordering::SeqCst);
            // SAFETY: as above.
            unsafe { write_volatile(&raw mut (*self.0).up.write, write) };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A machine whose log is read by a debugger. Its inputs are built into the image.
#[derive(Debug)]
pub struct Rtt<M>(M);

impl<M: Machine> Machine for Rtt<M> {
    type Led = M::Led;

    const ID: &'static str = M::ID;
    const TICKS_PER_SECOND: u32 = M::TICKS_PER_SECOND;

    fn take() -> Self {
        log::start(keep!(start() => Sender));
        Self(M::take())
    }

    fn led(&mut self) -> &mut M::Led {
        self.0.led()
    }

    #[inline(always)]
    fn ticks(&mut self) -> u32 {
        self.0.ticks()
    }
}

impl<M: Machine> Wire for Rtt<M> {
    type Reader = ByteReader<()>;

    fn reader(&mut self) -> Option<&mut Self::Reader> {
        None
    }
}
