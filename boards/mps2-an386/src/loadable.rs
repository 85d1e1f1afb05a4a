//! The image for models that are known only at run time: every operator is linked, the memory is a fixed size.

use crate::{INPUT, Mps2An386};
use cortex_m_rt::entry;
use tealight::Arena;
use tealight_board::semihosting;

/// Memory for the arena of whichever model is loaded.
const MEMORY: usize = 512 * 1024;

/// The file, aligned as a flash slot is.
#[repr(C, align(16))]
struct Slot<T: ?Sized>(T);

static SLOT: &Slot<[u8]> = &Slot(*include_bytes!(env!("TEALIGHT_MODEL")));

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<MEMORY> = Arena::new();
    match Mps2An386::take() {
        Some(mut board) => tealight_board::app_loadable(&mut board, &SLOT.0, ARENA.bytes_mut(), INPUT),
        None => semihosting::exit(tealight_board::Outcome::Failure),
    }
}
