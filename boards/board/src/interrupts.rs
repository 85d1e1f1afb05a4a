//! The app of the feature `measure-interrupts`: by how much a control is late that runs in the interrupt of the board's
//! timer, while the model runs in slices beside it.
//!
//! The board's input is five little-endian u32 (the period, what the control takes, and for how long interrupts are masked
//! after each slice, all in instructions; the budget of a slice; the instructions in a second of the board's clock), then
//! the model's inputs. The output is a u32 for each turn of the control: by how many ticks it was late.

use crate::Board;
use crate::alarm;
use crate::app::{end, start};
use crate::bytes::write_all;
use crate::input::{Failure, InputSource, RawInput, next};
use crate::log::emit;
use tealight::{Arena, Budget, Embedded, Ops, Session};

/// The maximum length of a period in ticks: that of the shortest counter of a timer.
const LONGEST: u32 = 1 << 24;

/// Runs `model` over and over until the control has had its turns, and reports by how much each was late.
pub fn app_interrupts<B: Board, const NEEDED: usize, const GIVEN: usize, O: Ops>(
    board: &mut B,
    model: &'static Embedded<NEEDED, O>,
    arena: &'static mut Arena<GIVEN>,
    embedded: Option<&'static [u8]>,
) -> ! {
    start(board);
    let mut session = Session::new(model, arena);
    let result = measure(board, &mut session, embedded);
    end(board, result)
}

/// Returns the number of inferences that have ended.
fn measure<B: Board, O: Ops>(
    board: &mut B,
    session: &mut Session<'_, O>,
    mut embedded: Option<&'static [u8]>,
) -> Result<u32, Failure> {
    let mut header = [0; 20];
    if next(board, &mut embedded, &mut header)? != header.len() {
        return Err(Failure::InputTruncated);
    }
    let (words, _) = header.as_chunks::<4>();
    let &[period, control, masked, budget, rate] = words else { return Err(Failure::InputTruncated) };
    let [period, control, masked, budget, rate] = [period, control, masked, budget, rate].map(u32::from_le_bytes);
    let ticks = u64::from(period) * u64::from(B::TICKS_PER_SECOND);
    let period = ticks.checked_div(u64::from(rate)).and_then(|ticks| u32::try_from(ticks).ok());
    let period = period.filter(|period| (1..LONGEST).contains(period)).ok_or(Failure::Period)?;
    if !RawInput(embedded).fill(board, session)? {
        return Err(Failure::InputTruncated);
    }
    let (mut inferences, mut ended) = (0_u32, 0);
    let period = alarm::start(period, B::TICKS_PER_SECOND, control);
    let before = board.ticks();
    while alarm::turns() < alarm::TURNS {
        if !session.poll(Budget::macs(u64::from(budget))).is_pending() {
            (inferences, ended) = (inferences.wrapping_add(1), alarm::turns());
        }
        if masked > 0 {
            critical_section::with(|_| board.spin(masked));
        }
    }
    let (turns, elapsed) = (alarm::turns(), board.ticks().wrapping_sub(before));
    alarm::stop();
    emit!("tealight period_ticks={}", period);
    emit!("tealight turns={}", turns as u32);
    emit!("tealight turns_of_inferences={}", ended as u32);
    emit!("tealight elapsed_ticks={}", elapsed);
    let sink = board.output().ok_or(Failure::NoOutput)?;
    for late in alarm::lateness() {
        if !write_all(sink, &late.to_le_bytes()) {
            return Err(Failure::OutputWrite);
        }
    }
    Ok(inferences)
}
