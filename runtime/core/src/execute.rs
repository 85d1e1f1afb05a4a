//! Computes some rows of one operator.

use crate::linked::Ops;
use crate::memory::{Reader, WithoutState, range_of, split_output};
use crate::ops::{WITH_WORKSPACE, prepare, run};
use crate::tensor::{slice_of, slice_of_mut};
use core::ops::Range;
use tealight_format::ops::FullyConnectedBlock;
use tealight_format::{Model, OpCode, OpRecord};
use tealight_kernels::{ROOM_FOR_ROWS, copy_bytes, with_room_for_rows};

/// What an operator works with: its record, the rows to compute, and where they go.
pub(crate) struct Call<'s> {
    pub(crate) op: OpRecord<'s>,
    pub(crate) rows: Range<usize>,
    pub(crate) reader: Reader<'s>,
    /// Exactly the bytes of those rows.
    pub(crate) output: &'s mut [u8],
    /// The state that the operator writes in addition; empty if it writes none.
    pub(crate) state: &'s mut [u8],
    /// The workspace that [`prepare`] has written for these rows; empty if the operator has none.
    pub(crate) workspace: &'s [u8],
}

/// Computes `rows` of `op`. Of an output that shares memory with an input, rows that share none of it are written
/// directly; the others are computed into the scratch value, as many at a time as it holds, and copied to their place:
/// or on the stack, if more have room there.
/// Any other output is written directly. An operator with a workspace uses the scratch value for it.
pub(crate) fn execute<O: Ops>(model: &Model<'_>, memory: &mut [u8], op: OpRecord<'_>, code: OpCode, rows: Range<u32>) {
    let output = model.record_of_value(op.output().into());
    let row_len = output.byte_len().checked_div(op.rows()).unwrap_or(0) as usize;
    let start = output.offset() as usize;
    let (state, mut rest) = split_state::<O>(model, memory, op, code);
    let place = |rows: &Range<usize>| {
        let at = |row: usize| start.wrapping_add(row.wrapping_mul(row_len));
        at(rows.start)..at(rows.end)
    };
    let rows = rows.start as usize..rows.end as usize;
    let Some(scratch) = op.scratch() else {
        let (output, reader) = split_output(model, &mut rest, place(&rows));
        run::<O>(code, Call { op, rows, reader, output, state, workspace: &[] });
        return;
    };
    let scratch = model.record_of_value(scratch.into());
    if const { O::SET.has(WITH_WORKSPACE) }
        && let Some(period) = workspace_rows(model, op, code)
    {
        let mut start = rows.start;
        while start < rows.end {
            let into = start.checked_rem(period).unwrap_or(0);
            let rows = start..start.saturating_add(period.wrapping_sub(into)).min(rows.end);
            start = rows.end;
            // The workspace, written before the first row of a period, serves all its rows, in later calls too.
            if into == 0 {
                let (output, reader) = split_output(model, &mut rest, range_of(scratch));
                let rows = rows.clone();
                prepare::<O>(code, Call { op, rows, reader, output, state, workspace: &[] });
            }
            let (output, reader) = split_output(model, &mut rest, place(&rows));
            let workspace = reader.bytes(scratch);
            run::<O>(code, Call { op, rows, reader, output, state, workspace });
        }
        return;
    }
    let at_once = (scratch.byte_len() as usize).checked_div(row_len).unwrap_or(0).max(1);
    let mut start = rows.start;
    let apart = bytes_before_inputs(model, op, range_of(output)).checked_div(row_len).unwrap_or(0).min(rows.end);
    if start < apart {
        let rows = start..apart;
        start = apart;
        let (output, reader) = split_output(model, &mut rest, place(&rows));
        run::<O>(code, Call { op, rows, reader, output, state, workspace: &[] });
    }
    let room = if const { ROOM_FOR_ROWS != 0 } { ROOM_FOR_ROWS.checked_div(row_len).unwrap_or(0) } else { 0 };
    let left = rows.end.saturating_sub(start);
    if room > at_once && left > at_once {
        // As even as they can be, because a call of few rows is slow.
        let at_once = left.div_ceil(left.div_ceil(room).max(1));
        let (output, rows) = (output.offset() as usize, start..rows.end);
        return execute_on_stack::<O>(model, rest, (op, code), state, rows, [output, row_len, at_once]);
    }
    while start < rows.end {
        let rows = start..start.saturating_add(at_once).min(rows.end);
        start = rows.end;
        let target = place(&rows);
        let from = scratch.offset() as usize;
        let into = from..from.wrapping_add(target.len());
        let (output, reader) = split_output(model, &mut rest, into);
        run::<O>(code, Call { op, rows, reader, output, state, workspace: &[] });
        let (target, reader) = split_output(model, &mut rest, target);
        copy_bytes(slice_of_mut(target), slice_of(reader.bytes(scratch)));
    }
}

/// Computes rows of `op`, whose output begins at `start`, on the stack, `at_once` at a time, and copies them to their place.
#[inline(never)]
fn execute_on_stack<O: Ops>(
    model: &Model<'_>,
    mut rest: WithoutState<'_>,
    (op, code): (OpRecord<'_>, OpCode),
    state: &mut [u8],
    rows: Range<usize>,
    [start, row_len, at_once]: [usize; 3],
) {
    with_room_for_rows(at_once.wrapping_mul(row_len), |bytes| {
        let mut next = rows.start;
        while next < rows.end {
            let rows = next..next.saturating_add(at_once).min(rows.end);
            next = rows.end;
            let at = |row: usize| start.wrapping_add(row.wrapping_mul(row_len));
            let target = at(rows.start)..at(rows.end);
            let bytes = bytes.get_mut(..target.len()).unwrap_or(&mut []);
            // Nothing is split off: all of the memory may be read.
            let nothing = rest.base..rest.base;
            let (_, reader) = split_output(model, &mut rest, nothing);
            run::<O>(code, Call { op, rows, reader, output: bytes, state, workspace: &[] });
            let (target, _) = split_output(model, &mut rest, target);
            copy_bytes(slice_of_mut(target), slice_of(bytes));
        }
    });
}

/// The number of bytes of an output, at `place`, that lie before all inputs it shares memory with; 0 if there are none.
fn bytes_before_inputs(model: &Model<'_>, op: OpRecord<'_>, place: Range<usize>) -> usize {
    let mut first = place.end;
    let mut shared = false;
    for index in (0..op.count()).filter_map(|k| op.input(k)) {
        let input = model.record_of_value(index.into());
        let at = range_of(input);
        if !input.is_constant() && at.start < place.end && place.start < at.end {
            (first, shared) = (first.min(at.start), true);
        }
    }
    if shared { first.saturating_sub(place.start) } else { 0 }
}

/// The number of rows that use one workspace, for an operator that has a workspace.
pub(crate) fn workspace_rows(model: &Model<'_>, op: OpRecord<'_>, code: OpCode) -> Option<usize> {
    if code != WITH_WORKSPACE {
        return None;
    }
    let rows = if FullyConnectedBlock::is_together(op) {
        op.rows()
    } else {
        model.record_of_value(op.input(1)?.into()).dim(0)
    };
    Some((rows as usize).max(1))
}

/// The state that the operator writes, and the rest of the memory. State lies before all activations.
pub(crate) fn split_state<'s, O: Ops>(
    model: &Model<'_>,
    memory: &'s mut [u8],
    op: OpRecord<'_>,
    code: OpCode,
) -> (&'s mut [u8], WithoutState<'s>) {
    if const { !O::SET.writes_state() } {
        return (&mut [], WithoutState { below: &[], above: memory, base: 0 });
    }
    let Some(state) = code.state_input().and_then(|k| op.input(k)) else {
        return (&mut [], WithoutState { below: &[], above: memory, base: 0 });
    };
    let at = range_of(model.record_of_value(state.into()));
    if let Some((before, above)) = memory.split_at_mut_checked(at.end)
        && let Some((below, state)) = before.split_at_mut_checked(at.start)
    {
        return (state, WithoutState { below, above, base: at.end });
    }
    (&mut [], WithoutState { below: &[], above: &mut [], base: 0 })
}
