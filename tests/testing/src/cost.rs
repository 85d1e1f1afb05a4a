//! The cost of a poll, by the plan's records.

use tealight::{Model, Position};
use tealight_format::ops::CALL_COST;

/// Returns the cost of everything between two positions.
pub fn cost_between(model: &Model<'_>, from: Position, to: Position) -> u64 {
    let Position { mut op, mut row } = from;
    let mut cost = 0u64;
    while (op, row) < (to.op, to.row) {
        let record = model.op(op);
        let end = if to.op > op { record.rows } else { to.row };
        let period = model.period(&record);
        let preparations = end.div_ceil(period) - row.div_ceil(period);
        let rows = u64::from(end - row) * u64::from(record.row_cost);
        let prepared = u64::from(preparations) * u64::from(record.prepare_cost);
        cost = cost.saturating_add(CALL_COST.into()).saturating_add(rows).saturating_add(prepared);
        (op, row) = (op + 1, 0);
    }
    cost
}
