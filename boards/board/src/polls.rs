//! Measures the time of single polls of any model, which the costs in a plan are based on.
//!
//! The input, embedded or the board's, is a sequence of jobs. A job consists of three little-endian u32 (the length of a
//! model file, the length of its inputs, the number of polls), the file, the inputs, and a u64 for each poll: its budget,
//! or [`LAYER`].
//! The output is a u32 for each poll: its ticks.

use crate::Board;
use crate::bytes::write_all;
use crate::input::{Failure, next};
use tealight::{AllOps, Budget, Model, Session};

/// Represents a poll to the end of an operator.
const LAYER: u64 = u64::MAX;

/// Runs all jobs and returns their number. `memory` holds the model file, and after it the arena.
pub(crate) fn polls<B: Board>(
    board: &mut B,
    memory: &mut [u8],
    mut embedded: Option<&'static [u8]>,
) -> Result<u32, Failure> {
    let mut jobs = 0_u32;
    let mut header = [0; 12];
    loop {
        match next(board, &mut embedded, &mut header)? {
            0 => return Ok(jobs),
            12 => job(board, header, memory, &mut embedded)?,
            _ => return Err(Failure::InputTruncated),
        }
        jobs = jobs.wrapping_add(1);
    }
}

fn job<B: Board>(
    board: &mut B,
    header: [u8; 12],
    memory: &mut [u8],
    embedded: &mut Option<&'static [u8]>,
) -> Result<(), Failure> {
    let (words, _) = header.as_chunks::<4>();
    let &[file_len, input_len, polls] = words else { return Err(Failure::InputTruncated) };
    let file_len = u32::from_le_bytes(file_len) as usize;
    let Some((file, arena)) = memory.split_at_mut_checked(file_len.saturating_add(15) & !15) else {
        return Err(Failure::InputTooLong);
    };
    let Some(file) = file.get_mut(..file_len) else { return Err(Failure::InputTooLong) };
    whole(board, embedded, file)?;
    let model = Model::parse(file).map_err(Failure::Parse)?;
    let mut session = Session::<AllOps>::load(&model, arena).map_err(Failure::Load)?;
    let mut left = u32::from_le_bytes(input_len) as usize;
    for index in 0..model.input_count() {
        let Some(mut tensor) = session.input(index) else { break };
        let bytes = tensor.as_bytes_mut();
        left = left.wrapping_sub(bytes.len());
        whole(board, embedded, bytes)?;
    }
    if left != 0 {
        return Err(Failure::InputTruncated);
    }
    for _ in 0..u32::from_le_bytes(polls) {
        let mut budget = [0; 8];
        whole(board, embedded, &mut budget)?;
        let budget = match u64::from_le_bytes(budget) {
            LAYER => Budget::layer(),
            cost => Budget::macs(cost),
        };
        let start = board.ticks();
        let progress = session.poll(budget);
        let ticks = board.ticks().wrapping_sub(start);
        let _ = core::hint::black_box(progress);
        let sink = board.output().ok_or(Failure::NoOutput)?;
        if !write_all(sink, &ticks.to_le_bytes()) {
            return Err(Failure::OutputWrite);
        }
    }
    Ok(())
}

/// Fills `bytes` from the input.
fn whole<B: Board>(board: &mut B, embedded: &mut Option<&'static [u8]>, bytes: &mut [u8]) -> Result<(), Failure> {
    let wanted = bytes.len();
    if next(board, embedded, bytes)? == wanted { Ok(()) } else { Err(Failure::InputTruncated) }
}
