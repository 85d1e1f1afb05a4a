//! The cost of a poll, by the plan's records.

use crate::group::{in_group, next, rows_left, starts_pass};
use crate::linked::AllOps;
use crate::session::Position;
use tealight_format::Model;
use tealight_format::ops::CALL_COST;

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
        let record = model.record_of_op(at.op);
        let stops = (at.op, at.pass) == (to.op, to.pass);
        let end = at.row.saturating_add(rows_left::<AllOps>(model, record, at));
        let end = if stops { to.row } else { end };
        if end > at.row {
            let op = model.op(at.op);
            let preparations = if in_group::<AllOps>(record) {
                u32::from(starts_pass::<AllOps>(model, record, at))
            } else {
                let period = model.period(&op).max(1);
                end.div_ceil(period).saturating_sub(at.row.div_ceil(period))
            };
            let rows = u64::from(end.saturating_sub(at.row)).saturating_mul(op.row_cost.into());
            let prepared = u64::from(preparations).saturating_mul(op.prepare_cost.into());
            each(at.op, u64::from(CALL_COST).saturating_add(rows).saturating_add(prepared));
        }
        at = if stops { to } else { next::<AllOps>(model, record, at) };
    }
}
