//! The log of a host, where tests run the app: lines of text, since a host has room for them.

use std::cell::RefCell;
use std::fmt::Arguments;

thread_local! {
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Adds a line to this thread's log.
pub(crate) fn line(text: Arguments<'_>) {
    LINES.with_borrow_mut(|lines| *lines += &format!("{text}\n"));
}

/// Returns and clears what this thread has logged.
pub fn take() -> String {
    LINES.take()
}
