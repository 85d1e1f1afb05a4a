//! Lookup.

use crate::execute::Call;
use tealight_format::ops;
use tealight_kernels as kernels;

pub(super) fn lookup(_: &ops::Lookup, call: Call<'_>) {
    kernels::lookup(call.bytes(1), call.rows_of(0), call.output);
}
