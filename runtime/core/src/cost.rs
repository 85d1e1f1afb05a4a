//! The cost of a poll, by the plan's records.

use crate::session::Position;
use tealight_format::ops::CALL_COST;
use tealight_format::{Model, Op, Schedule};

/// The cost of everything from position `from` to a later position `to` of the same inference, whose end is the
/// position of the operator after the last: what the calls of [`Session::poll`](crate::Session::poll) in between count
/// against their budgets, in units of about a multiply-accumulate.
///
/// ```
/// use tealight::{Budget, Position, Session, cost_between};
///
/// tealight::include_model!(mod relu = "../tests/relu.safetensors");
/// let mut arena = relu::Arena::new();
/// let mut session = relu::Session::new(&mut arena);
/// let model = *session.model();
/// let end = Position { op: model.op_count(), ..Position::default() };
/// assert_eq!(cost_between(&model, Position::default(), end), model.cost());
/// ```
pub fn cost_between(model: &Model<'_>, from: Position, to: Position) -> u64 {
    let mut cost = 0u64;
    costs_between(model, from, to, |_, part| cost = cost.saturating_add(part));
    cost
}

/// As [`cost_between`], by parts: calls `each` with the index of an operator and the cost of rows of it, in the order in
/// which they are computed.
pub fn costs_between(model: &Model<'_>, from: Position, to: Position, mut each: impl FnMut(usize, u64)) {
    let mut at = from;
    while at != to && at.op < model.op_count() {
        let op = model.op(at.op);
        let schedule = schedule(model, &op);
        let stops = (at.op, at.pass) == (to.op, to.pass);
        let end = if stops { to.row } else { schedule.map_or(op.rows, |s| s.rows.written(at.pass, s.height)) };
        if end > at.row {
            let period = model.period(&op).max(1);
            let preparations = match schedule {
                Some(s) => u32::from(s.rows.written_before(at.pass, s.height) == at.row),
                None => end.div_ceil(period).saturating_sub(at.row.div_ceil(period)),
            };
            let rows = u64::from(end.saturating_sub(at.row)).saturating_mul(op.row_cost.into());
            let prepared = u64::from(preparations).saturating_mul(op.prepare_cost.into());
            each(at.op, u64::from(CALL_COST).saturating_add(rows).saturating_add(prepared));
        }
        at = if stops { to } else { next(model, &op, at) };
    }
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
        Some(_) if op.group.after > 0 => starting(at.op.saturating_add(1), at.pass),
        Some(s) if s.rows.written(at.pass, s.height) < s.height => {
            starting(at.op.saturating_sub(op.group.before.into()), at.pass.saturating_add(1))
        }
        _ => Position { op: at.op.saturating_add(1), row: 0, pass: 0 },
    }
}
