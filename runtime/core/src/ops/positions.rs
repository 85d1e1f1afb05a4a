//! Positions.

use crate::execute::Call;
use tealight_format::ops;

pub(super) fn positions(op: &ops::Positions, mut call: Call<'_>) {
    let capacity = op.capacity.max(0);
    let [seen] = call.state::<i32>() else { return };
    let mut next = (*seen).clamp(0, capacity);
    for position in call.out::<i32>() {
        *position = next;
        next = next.saturating_add(1).min(capacity);
    }
    *seen = next;
}
