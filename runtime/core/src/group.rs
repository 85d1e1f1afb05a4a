//! Computes rows of operators that run in a group: of values that are in memory only in part.
//!
//! To an operator, the rows in memory that it reads are a whole image, and the rows that it writes another. So it is
//! called with records that say so: the heights are those of the two strips, the input's offset is that of the first row
//! read, and the rows of padding above the image remain only where the strip is at its top. A kernel cannot tell the
//! difference, so the bits are those of the whole image.

use crate::execute::Call;
use crate::linked::Ops;
use crate::memory::{Strips, WithoutState, range_of, split_output};
use crate::ops::run;
use crate::session::Position;
use crate::tensor::copy;
use core::ops::Range;
use tealight_format::{Model, OpCode, OpRecord, ValueRecord, ValueWords};

/// The rows of its output that operator `op`, at `position`, has still to compute before another operator continues.
#[inline]
pub(crate) fn rows_left<O: Ops>(model: &Model<'_>, op: OpRecord<'_>, position: Position) -> u32 {
    let all = op.rows();
    let end = if in_group::<O>(op) { output(model, op).rows().written(position.pass, all) } else { all };
    end.saturating_sub(position.row)
}

/// Whether operator `op` is in a group and `position` is at the start of its rows in a pass.
pub(crate) fn starts_pass<O: Ops>(model: &Model<'_>, op: OpRecord<'_>, position: Position) -> bool {
    in_group::<O>(op) && output(model, op).rows().written_before(position.pass, op.rows()) == position.row
}

/// The position after the last row that operator `op` computes without another continuing.
#[inline]
pub(crate) fn next<O: Ops>(model: &Model<'_>, op: OpRecord<'_>, position: Position) -> Position {
    let Position { op: index, pass, .. } = position;
    let following = Position { op: index.saturating_add(1), row: 0, pass: 0 };
    if !in_group::<O>(op) {
        return following;
    }
    let group = op.group();
    let at = |index: usize, pass: u32| {
        let op = model.record_of_op(index);
        Position { op: index, row: output(model, op).rows().written_before(pass, op.rows()), pass }
    };
    if group.after > 0 {
        at(following.op, pass)
    } else if output(model, op).rows().written(pass, op.rows()) < op.rows() {
        at(index.saturating_sub(group.before.into()), pass.saturating_add(1))
    } else {
        following
    }
}

/// Whether operator `op` is in a group; never if no operator of the set `O` is.
#[inline]
pub(crate) fn in_group<O: Ops>(op: OpRecord<'_>) -> bool {
    let linked = const { O::SET.has_groups() };
    linked && !op.group().is_none()
}

fn output<'m>(model: &Model<'m>, op: OpRecord<'_>) -> ValueRecord<'m> {
    model.record_of_value(op.output().into())
}

/// Computes `rows` of `op` in pass `pass`.
pub(crate) fn execute_in_group<O: Ops>(
    model: &Model<'_>,
    memory: &mut [u8],
    op: OpRecord<'_>,
    code: OpCode,
    rows: Range<u32>,
    pass: u32,
) {
    let target = output(model, op);
    let schedule = target.rows();
    let (before, written) = (schedule.written_before(pass, op.rows()), schedule.written(pass, op.rows()));
    let oldest = schedule.oldest(written);
    if rows.start == before {
        let gone = oldest.saturating_sub(schedule.oldest(before));
        let bytes = memory.get_mut(range_of(target)).unwrap_or(&mut []);
        discard(bytes, gone.wrapping_mul(target.image_row()) as usize);
    }
    let count = rows.end.saturating_sub(rows.start);
    let target = target.of_rows(rows.start.saturating_sub(oldest), count);
    let window = op.window_rows(code);
    let lead = window.map_or(0, |[stride, lead]| lead.saturating_sub(rows.start.wrapping_mul(stride)));
    let input = |k: usize| {
        let record = model.record_of_value(op.input(k).map_or(usize::MAX, usize::from));
        let Some([stride, lead]) = window else { return strip_of(record, pass, rows.start, count) };
        if k == 0 {
            let from = rows.start.wrapping_mul(stride).saturating_sub(lead);
            strip_of(record, pass, from, u32::MAX)
        } else {
            record.words()
        }
    };
    let (a, b, words) = (input(0), input(1), op.with_lead(code, lead));
    let strips = Strips { output: target.record(), inputs: [a.record(), b.record()] };
    let mut rest = WithoutState { below: &[], above: memory, base: 0 };
    let (output, mut reader) = split_output(model, &mut rest, range_of(target.record()));
    reader.strips = Some(&strips);
    run::<O>(
        code,
        Call { op: words.record(), rows: 0..count as usize, reader, output, state: &mut [], workspace: &[] },
    );
}

/// The rows of an input from `from` on, at most `count`; of a value that is not whole in memory, at most those that have been
/// written in pass `pass`. A constant that has no image rows is returned whole.
fn strip_of(input: ValueRecord<'_>, pass: u32, from: u32, count: u32) -> ValueWords {
    if input.rank() != 4 {
        return input.words();
    }
    let schedule = input.rows();
    let height = input.dim(1);
    // A whole value may be that of another group, whose passes are others.
    let (written, oldest) = if schedule.held == 0 || schedule.held >= height {
        (height, 0)
    } else {
        let written = schedule.written(pass, height);
        (written, schedule.oldest(written))
    };
    input.of_rows(from.saturating_sub(oldest), written.saturating_sub(from).min(count))
}

/// Moves all but the first `gone` bytes to the start.
pub(crate) fn discard(mut bytes: &mut [u8], gone: usize) {
    if gone == 0 {
        return;
    }
    while let Some((to, from)) = core::mem::take(&mut bytes).split_at_mut_checked(gone) {
        copy(from, to);
        bytes = from;
    }
}
