//! The report: lines of `tealight key=value` in the [log](crate::log), which xtask reads and a person can.
//!
//! Values are decimal integers or plain words. The first line is `version`, the last is `done` or `error`; other lines of the
//! log are not part of it.

use defmt::{Str, println};

/// Version of the report's keys and their meaning.
pub const VERSION: u32 = 3;

/// Writes one fact whose value is a number.
pub fn number(key: Str, value: u32) {
    println!("tealight {=istr}={=u32}", key, value);
}
