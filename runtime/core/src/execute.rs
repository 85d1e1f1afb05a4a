//! Computes some rows of one operator.

use crate::linked::Ops;
use crate::memory::{Reader, WithoutState, range, split_output};
use crate::ops::{prepare, run};
use crate::tensor::copy;
use core::ops::Range;
use tealight_format::{Model, Op, Operands, Operator};

/// What an operator works with: its operands, the rows to compute, and where they go.
pub(crate) struct Call<'s> {
    pub(crate) operands: &'s Operands,
    pub(crate) rows: Range<usize>,
    pub(crate) reader: Reader<'s>,
    /// Exactly the bytes of those rows.
    pub(crate) output: &'s mut [u8],
    /// The state that the operator writes in addition; empty if it writes none.
    pub(crate) state: &'s mut [u8],
    /// The workspace that [`prepare`] has written for these rows; empty if the operator has none.
    pub(crate) workspace: &'s [u8],
}

/// Computes `rows` of `op`. An output that shares memory with an input is computed row by row into the scratch value
/// and copied to its place; any other output is written directly. An operator with a workspace uses the scratch value
/// for it.
pub(crate) fn execute<O: Ops>(model: &Model<'_>, memory: &mut [u8], op: &Op, rows: Range<u32>) {
    let operands = &model.operands(op);
    let output = range(&operands.output);
    let row_len = model.row_bytes(op) as usize;
    let (state, mut rest) = split_state(memory, &op.operator, operands);
    let place = |rows: &Range<usize>| {
        let at = |row: usize| output.start.wrapping_add(row.wrapping_mul(row_len));
        at(rows.start)..at(rows.end)
    };
    let rows = rows.start as usize..rows.end as usize;
    let Some(scratch) = op.scratch else {
        let (output, reader) = split_output(model, &mut rest, place(&rows));
        run::<O>(&op.operator, Call { operands, rows, reader, output, state, workspace: &[] });
        return;
    };
    let scratch = model.value(scratch.into());
    if const { O::SET.prepares() }
        && let Some(workspace) = op.operator.workspace(operands)
    {
        let period = (workspace.rows as usize).max(1);
        let mut start = rows.start;
        while start < rows.end {
            let into = start.checked_rem(period).unwrap_or(0);
            let rows = start..start.saturating_add(period.wrapping_sub(into)).min(rows.end);
            start = rows.end;
            // The workspace, written before the first row of a period, serves all its rows, in later calls too.
            if into == 0 {
                let (output, reader) = split_output(model, &mut rest, range(&scratch));
                let rows = rows.clone();
                prepare::<O>(&op.operator, Call { operands, rows, reader, output, state, workspace: &[] });
            }
            let (output, reader) = split_output(model, &mut rest, place(&rows));
            let workspace = reader.bytes(Some(scratch));
            run::<O>(&op.operator, Call { operands, rows, reader, output, state, workspace });
        }
        return;
    }
    for row in rows {
        let rows = row..row.wrapping_add(1);
        let target = place(&rows);
        let (output, reader) = split_output(model, &mut rest, range(&scratch));
        run::<O>(&op.operator, Call { operands, rows, reader, output, state, workspace: &[] });
        let (target, reader) = split_output(model, &mut rest, target);
        copy(reader.bytes(Some(scratch)), target);
    }
}

/// The state that the operator writes, and the rest of the memory. State lies before all activations.
fn split_state<'s>(memory: &'s mut [u8], operator: &Operator, operands: &Operands) -> (&'s mut [u8], WithoutState<'s>) {
    let Some(state) = operator.state_input().and_then(|k| operands.input(k)) else {
        return (&mut [], WithoutState { below: &[], above: memory, base: 0 });
    };
    let at = range(&state);
    if let Some((before, above)) = memory.split_at_mut_checked(at.end)
        && let Some((below, state)) = before.split_at_mut_checked(at.start)
    {
        return (state, WithoutState { below, above, base: at.end });
    }
    (&mut [], WithoutState { below: &[], above: &mut [], base: 0 })
}
