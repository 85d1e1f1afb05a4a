//! Transpose.

use super::{aligned, item, sizes};
use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn transpose(op: &ops::Transpose, call: Call<'_>) {
    let input = call.input(0);
    let rank = input.rank();
    let moved = 6usize.saturating_sub(rank);
    // The kernel has six dimensions; the 1s that precede the tensor's stay in place.
    let mut perm = aligned(op.perm.map(|from| (from.max(0) as usize).wrapping_add(moved)), rank, 0);
    for (i, from) in perm.iter_mut().enumerate().take(moved) {
        *from = i;
    }
    let p = kernels::Transpose { input: sizes(input.shape()), perm, item: item(input.dtype()) };
    kernels::transpose(&p, call.rows.clone(), call.bytes(0), call.output);
}
