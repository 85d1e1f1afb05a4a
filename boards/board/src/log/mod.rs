//! The log: everything a board reports, as defmt frames on whatever console the board has.
//!
//! The texts stay in the image's debug information, and xtask, which has the image, decodes the frames. A line
//! therefore costs a few bytes of flash and of transfer, and one connection carries the [report](crate::report), the
//! app's messages and the message of a panic.

#[cfg(target_os = "none")]
mod frames;
#[cfg(not(target_os = "none"))]
mod lines;

#[cfg(target_os = "none")]
pub(crate) use frames::rescue;
#[cfg(target_os = "none")]
pub use frames::start;
#[cfg(not(target_os = "none"))]
pub(crate) use lines::line;
#[cfg(not(target_os = "none"))]
pub use lines::take;

/// Stores a value in a static, `keep!(value => Type)`, and returns a `&'static mut` to it: a console for `start`. Must
/// run only once.
#[macro_export]
macro_rules! keep {
    ($value:expr => $type:ty) => {{
        static mut KEPT: Option<$type> = None;
        // SAFETY: this is the only place that refers to it, and it runs once.
        let kept: &'static mut Option<$type> = unsafe { &mut *(&raw mut KEPT) };
        kept.insert($value)
    }};
}

/// Writes a line of the report.
macro_rules! emit {
    ($format:literal $(, $value:expr)*) => {{
        #[cfg(target_os = "none")]
        defmt::println!($format $(, $value)*);
        #[cfg(not(target_os = "none"))]
        $crate::log::line(format_args!($format $(, $value)*));
    }};
}
pub(crate) use emit;

/// Logs a message for people, at one of defmt's levels.
macro_rules! log {
    ($level:ident, $format:literal $(, $value:expr)*) => {{
        #[cfg(target_os = "none")]
        defmt::$level!($format $(, $value)*);
        #[cfg(not(target_os = "none"))]
        $crate::log::line(format_args!(concat!(stringify!($level), " ", $format) $(, $value)*));
    }};
}
pub(crate) use log;
