//! The error of a damaged file, and names cut to a length.

use crate::diag::CompileError;

/// The maximum length of a tensor's name, in bytes; the rest is cut. Messages contain names, and other names are
/// derived from them.
pub(super) const MAX_NAME: usize = 1024;

pub(super) fn corrupt(what: impl Into<String>) -> CompileError {
    CompileError::Corrupt(what.into())
}

/// Returns `name`, or its first `max` bytes.
pub(super) fn truncated(name: &str, max: usize) -> &str {
    &name[..name.floor_char_boundary(max)]
}
