//! The report: lines of the form `tealight key=value` in the [log](crate::log), for xtask and for people.
//!
//! Values are decimal integers or plain words. The first line is `version`, the last is `done` or `error`; other lines
//! of the log are not part of it.

/// The version of the report's keys and their meaning.
pub const VERSION: u32 = 4;
