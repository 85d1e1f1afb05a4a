//! The image for one model that listens.

use crate::{INPUT, Mps2An386};
use cortex_m_rt::entry;
use tealight::Arena;
use tealight_board::{Sound, semihosting};

tealight::include_model!(static MODEL = env!("TEALIGHT_MODEL"));

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ MODEL.arena_len() }> = Arena::new();
    // A second of features as `models/keyword` takes them.
    static mut SOUND: Sound<49, 40> = Sound::new();
    match Mps2An386::take() {
        Some(mut board) => tealight_board::app_audio(&mut board, &MODEL, ARENA, SOUND, INPUT),
        None => semihosting::exit(tealight_board::Outcome::Failure),
    }
}
