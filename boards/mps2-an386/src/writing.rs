//! The image for one model that continues a text.

use crate::{INPUT, Mps2An386};
use cortex_m_rt::entry;
use tealight::Arena;
use tealight_board::semihosting;

tealight::include_model!(static MODEL = env!("TEALIGHT_MODEL"));

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ MODEL.arena_len() }> = Arena::new();
    match Mps2An386::take() {
        Some(mut board) => tealight_board::app_text(&mut board, &MODEL, ARENA, INPUT),
        None => semihosting::exit(tealight_board::Outcome::Failure),
    }
}
