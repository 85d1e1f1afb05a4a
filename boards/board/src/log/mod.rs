//! The log: all that a board says, as defmt's frames, to whatever console the board has.
//!
//! The idea: the texts stay in the image's debug information, and xtask, which has the image, puts them back. So a line costs a
//! few bytes of flash and of wire, and one wire carries the [report](crate::report), the app's messages and the last words of a
//! panic alike.

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

/// Keeps a value for good, `keep!(value => Type)`, and gives a `&'static mut` to it: a console for `start`. Runs once.
#[macro_export]
macro_rules! keep {
    ($value:expr => $type:ty) => {{
        static mut KEPT: Option<$type> = None;
        // SAFETY: this is the only place that names it, and it is run once.
        let kept: &'static mut Option<$type> = unsafe { &mut *(&raw mut KEPT) };
        kept.insert($value)
    }};
}

/// Writes a line of the report.
macro_rules! fact {
    ($format:literal $(, $value:expr)*) => {{
        #[cfg(target_os = "none")]
        defmt::println!($format $(, $value)*);
        #[cfg(not(target_os = "none"))]
        $crate::log::line(format_args!($format $(, $value)*));
    }};
}
pub(crate) use fact;

/// Logs for people, at one of defmt's levels.
macro_rules! note {
    ($level:ident, $format:literal $(, $value:expr)*) => {{
        #[cfg(target_os = "none")]
        defmt::$level!($format $(, $value)*);
        #[cfg(not(target_os = "none"))]
        $crate::log::line(format_args!(concat!(stringify!($level), " ", $format) $(, $value)*));
    }};
}
pub(crate) use note;
