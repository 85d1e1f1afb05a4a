//! Positions.

use crate::execute::Call;
use tealight_format::ops;

pub(super) fn positions(op: &ops::Positions, mut call: Call<'_>) {
    let capacity = op.capacity.max(0);
    let output = call.out::<i32>();
    let count = match call.op.count() {
        ..2 => output.len(),
        _ => call.slice::<i32>(1).first().map_or(0, |&count| count.max(0) as usize),
    };
    let [seen] = call.state::<i32>() else { return };
    let mut next = (*seen).clamp(0, capacity);
    let Some((there, others)) = output.split_at_mut_checked(count.min(output.len())) else { return };
    for position in there {
        *position = next;
        next = next.saturating_add(1).min(capacity);
    }
    others.fill(-1);
    *seen = next;
}
