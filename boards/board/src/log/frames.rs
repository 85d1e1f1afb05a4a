//! The log of a microcontroller: a global logger of defmt. A frame is buffered and then written in few pieces, because
//! each call to the host takes long.

use crate::bytes::write_all;
use core::cell::UnsafeCell;
use critical_section::RestoreState;
use defmt::{Encoder, Logger};
use embedded_io::Write;
use heapless::Vec;

/// The size of the buffer for a frame. Most frames are shorter.
const GATHERED: usize = 64;

/// Sets the console of the log. Anything logged before is lost.
pub fn start<C: Write>(console: &'static mut C) {
    critical_section::with(|_| {
        // SAFETY: within a critical section nothing else accesses the state.
        let state = unsafe { &mut *LOG.0.get() };
        state.sink.console = Some(Console { context: core::ptr::from_mut(console).cast(), write: write::<C> });
    });
}

/// Discards an unfinished frame. For handlers that interrupted it and never return to it.
pub(crate) fn rescue() {
    // SAFETY: the interrupted code never continues, so nothing else accesses the state.
    let state = unsafe { &mut *LOG.0.get() };
    state.encoder = Encoder::new();
    state.sink.gathered.clear();
}

/// A console of any type, without its type.
struct Console {
    context: *mut (),
    write: unsafe fn(*mut (), &[u8]),
}

/// Writes to the console of type `C` at `context`. Errors are ignored: there is no other place to report them.
///
/// # Safety
/// `context` must be a `&'static mut C` that nothing else uses.
unsafe fn write<C: Write>(context: *mut (), bytes: &[u8]) {
    // SAFETY: as the caller says.
    let console = unsafe { &mut *context.cast::<C>() };
    let _ = write_all(console, bytes);
    let _ = console.flush();
}

struct State {
    restore: RestoreState,
    encoder: Encoder,
    sink: Sink,
}

impl State {
    fn encode(&mut self, encode: impl FnOnce(&mut Encoder, &mut dyn FnMut(&[u8]))) {
        let Self { encoder, sink, .. } = self;
        encode(encoder, &mut |bytes| sink.gather(bytes));
    }
}

/// The destination of encoded bytes.
struct Sink {
    gathered: Vec<u8, GATHERED>,
    console: Option<Console>,
}

impl Sink {
    /// Buffers bytes; the encoder passes one at a time.
    fn gather(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.gathered.is_full() {
                self.write();
            }
            let _ = self.gathered.push(byte);
        }
    }

    /// Writes the buffered bytes.
    fn write(&mut self) {
        if let Some(console) = &self.console {
            // SAFETY: `start` took the console as `&'static mut`, so it is still valid.
            unsafe { (console.write)(console.context, &self.gathered) };
        }
        self.gathered.clear();
    }
}

struct Log(UnsafeCell<State>);

// SAFETY: the state is only accessed within critical sections.
unsafe impl Sync for Log {}

static LOG: Log = Log(UnsafeCell::new(State {
    restore: RestoreState::invalid(),
    encoder: Encoder::new(),
    sink: Sink { gathered: Vec::new(), console: None },
}));

#[defmt::global_logger]
struct Frames;

// SAFETY: `acquire` begins a critical section and `release` ends it; between them no interrupt logs.
unsafe impl Logger for Frames {
    fn acquire() {
        // SAFETY: `release` is called with the returned state, in reverse order.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: a critical section has begun.
        let state = unsafe { &mut *LOG.0.get() };
        state.restore = restore;
        state.encode(|encoder, gather| encoder.start_frame(gather));
    }

    unsafe fn flush() {
        // Every frame is written as it ends.
    }

    unsafe fn release() {
        // SAFETY: `acquire` began a critical section.
        let state = unsafe { &mut *LOG.0.get() };
        state.encode(|encoder, gather| encoder.end_frame(gather));
        state.sink.write();
        // SAFETY: `acquire` gave it.
        unsafe { critical_section::release(state.restore) };
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: `acquire` began a critical section.
        let state = unsafe { &mut *LOG.0.get() };
        state.encode(|encoder, gather| encoder.write(bytes, gather));
    }
}
