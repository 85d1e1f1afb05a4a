//! The cost of a poll, by the plan's records.

use tealight::{Model, Position};
use tealight_format::ops::CALL_COST;
use tealight_format::{Op, Schedule};

/// Returns the cost of everything between two positions.
pub fn cost_between(model: &Model<'_>, from: Position, to: Position) -> u64 {
    let (mut at, mut cost) = (from, 0u64);
    while at != to {
        let op = model.op(at.op);
        let schedule = schedule(model, &op);
        let stops = (at.op, at.pass) == (to.op, to.pass);
        let end = if stops { to.row } else { schedule.map_or(op.rows, |s| s.rows.written(at.pass, s.height)) };
        if end > at.row {
            let preparations = match schedule {
                Some(s) => u32::from(s.rows.written_before(at.pass, s.height) == at.row),
                None => end.div_ceil(model.period(&op)) - at.row.div_ceil(model.period(&op)),
            };
            let rows = u64::from(end - at.row) * u64::from(op.row_cost);
            let prepared = u64::from(preparations) * u64::from(op.prepare_cost);
            cost = cost.saturating_add(CALL_COST.into()).saturating_add(rows).saturating_add(prepared);
        }
        at = if stops { to } else { next(model, &op, at) };
    }
    cost
}

/// How the output of an operator in a group is written.
fn schedule(model: &Model<'_>, op: &Op) -> Option<Schedule> {
    if op.group.is_none() { None } else { model.value(op.output.into()).schedule() }
}

/// The position after the rows of operator `op` in the pass of `at`.
fn next(model: &Model<'_>, op: &Op, at: Position) -> Position {
    let starting = |index: usize, pass: u32| {
        let schedule = schedule(model, &model.op(index));
        Position { op: index, row: schedule.map_or(0, |s| s.rows.written_before(pass, s.height)), pass }
    };
    match schedule(model, op) {
        Some(_) if op.group.after > 0 => starting(at.op + 1, at.pass),
        Some(s) if s.rows.written(at.pass, s.height) < s.height => {
            starting(at.op - usize::from(op.group.before), at.pass + 1)
        }
        _ => Position { op: at.op + 1, row: 0, pass: 0 },
    }
}
