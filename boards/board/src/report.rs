//! The report: lines of `tealight key=value` in the [log](crate::log), which xtask reads and a person can.
//!
//! Values are decimal integers or plain words. The first line is `version`, the last is `done` or `error`; other lines of the
//! log are not part of it.

/// Version of the report's keys and their meaning.
pub const VERSION: u32 = 4;
